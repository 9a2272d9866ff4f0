"""Layout of rows with long texts in a given width: texts have room, words stay whole, shared values are shown once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.cells import cell_len
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

TEXT_ROOM = 44
"""The least characters for the free text beside the other columns. With fewer it goes below them."""

_SHARED = ("agent", "type", "event", "tags", "kind", "status", "distribution", "version", "closed", "detail")
_GAP = "  "


def laid_out(table: Table, width: int) -> Iterator[RenderableType]:
    """A table whose last column is free text, in lines of `width`.

    Values that are equal in two or more rows are shown once above the table. Those of a single row are shown there if
    its text needs the room.
    """
    *fields, text = table.columns
    if table.row_count > 1 or _room(fields, width) < _width(text):
        said, fields = _split(fields)
        if said:
            yield shared_line(said)
    if _room(fields, width) >= min(TEXT_ROOM, _width(text)):
        yield _with_columns([*fields, text], fields, table)
        return
    styles = [str(column.style) for column in fields]
    for *row, content in zip(*map(_cells, (*fields, text)), strict=True):
        yield from text_below([*zip(row, styles, strict=True)], content)


def said_once(table: Table, width: int) -> tuple[list[Text], Table]:
    """The shared values of two or more rows, as a line above a table without long texts; and the rest of the table.

    Unbroken columns stay whole as far as the `width` allows, those on the left before those on the right.
    """
    said, columns = _split(table.columns) if table.row_count > 1 else ([], table.columns)
    unbroken = [column for column in columns if column.no_wrap]
    while unbroken and _room(unbroken, width) < (len(columns) - len(unbroken)) * (1 + len(_GAP)) - len(_GAP):
        unbroken.pop()
    longest = {str(column.header): _longest_word(column) for column in columns}
    by_words = list(unbroken)  # with dates above times, if the others' words are whole then
    while (
        not (fits := _room(by_words, width) >= _room_of_words(columns, by_words, longest))
        and by_words
        and longest[str(by_words[-1].header)] <= _WORD_ROOM
    ):
        by_words.pop()
    made = _with_columns(columns, by_words if fits else unbroken, table, longest if fits else None)
    return [shared_line(said)] if said else [], made


def _room_of_words(columns: Sequence[Column], unbroken: Sequence[Column], longest: Mapping[str, int]) -> int:
    """The width in which the other columns keep their words, up to `_WORD_ROOM`, with the gaps between them."""
    others = [str(column.header) for column in columns if column not in unbroken]
    return sum(min(longest[name], _WORD_ROOM) + len(_GAP) for name in others) - len(_GAP)


def _split(columns: Sequence[Column]) -> tuple[list[tuple[str, str]], list[Column]]:
    """Split the columns: those that are equal in each row and not empty, by name; and the others."""
    shared = [column for column in columns if column.header in _SHARED and len(set(_cells(column))) == 1]
    said = [(str(column.header), _cells(column)[0]) for column in shared if _cells(column)[0]]
    return said, [column for column in columns if column not in shared]


#: Words up to this width, such as a date, are not broken while another column can give way.
_WORD_ROOM = 10


def shared_line(said: Iterable[tuple[str, str]]) -> Text:
    """The values shared by all rows, each with its name."""
    return Text(_GAP).join(Text.assemble((f"{name} ", "dim"), value) for name, value in said)


def row_of(fields: Sequence[tuple[str, str]], content: str, width: int) -> Iterator[RenderableType]:
    """One row by itself, where the next ones are not known yet: its text beside or below the styled `fields`."""
    head = _head(fields)
    if width - head.cell_len - 1 < min(TEXT_ROOM, cell_len(content)):
        yield from text_below(fields, content)
        return
    row = Table.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, 1, 0, 0))
    row.add_row(head, Text(content))
    yield row


def text_below(fields: Sequence[tuple[str, str]], content: str) -> Iterator[RenderableType]:
    """One row, its text below the styled `fields`."""
    yield _head(fields)
    yield Padding(Text(content), (0, 0, 0, len(_GAP)), expand=False)


def _head(fields: Sequence[tuple[str, str]]) -> Text:
    return Text(_GAP).join(Text(value, style) for value, style in fields if value)


def _with_columns(
    columns: Sequence[Column], unbroken: Sequence[Column], table: Table, longest_words: Mapping[str, int] | None = None
) -> Table:
    """A table like this one with these of its columns, which keep words of these widths, up to `_WORD_ROOM`."""
    made = Table(box=None, pad_edge=False, header_style=table.header_style, show_header=table.show_header)
    for column in columns:
        made.add_column(
            column.header,
            style=column.style,
            justify=column.justify,
            no_wrap=column in unbroken,
            overflow="fold",
            min_width=min(longest_words[str(column.header)], _WORD_ROOM) if longest_words else None,
        )
    for row in zip(*(column.cells for column in columns), strict=True):
        made.add_row(*row)
    return made


def _cells(column: Column) -> list[str]:
    return [str(cell) for cell in column.cells]


def _longest_word(column: Column) -> int:
    return max((cell_len(word) for cell in (str(column.header), *_cells(column)) for word in cell.split()), default=1)


def _width(column: Column) -> int:
    return max(map(cell_len, (str(column.header), *_cells(column))))


def _room(fields: Iterable[Column], width: int) -> int:
    return width - sum(_width(column) + len(_GAP) for column in fields)

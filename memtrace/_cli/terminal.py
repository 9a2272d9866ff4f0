"""What reaches the terminal or the pipe: consoles, and text that cannot harm them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, TextIO

import typer
from rich.console import Console, RenderableType
from rich.text import Text

from memtrace._support.error_text import printable

if TYPE_CHECKING:
    from rich.style import StyleType
    from rich.table import Table

    _PaddedCell = tuple[str, Text, str, StyleType]

_PIPE_WIDTH = 100
_GAP = "  "
_LEAST_WIDTH = 20  # containers and CI set COLUMNS to 0 or 1, in which a table is empty


def make_console(*, stderr: bool = False) -> Console:
    """A console in colour on a terminal, and plain elsewhere.

    NO_COLOR turns colours off, else FORCE_COLOR turns them on, in a pipe too; TERM=dumb has none. It is as wide as the terminal;
    without one as COLUMNS says, else 100. There a COLUMNS of less than 20 counts as unset.
    """
    on_terminal = _is_terminal(sys.stderr if stderr else sys.stdout)
    console = Console(
        stderr=stderr,
        force_terminal=on_terminal,  # FORCE_COLOR makes no terminal of a pipe
        color_system=_color_system(),
        markup=False,
        emoji=False,
        highlight=False,
    )
    if not console.is_terminal:
        console.width = columns_in_environment() or _PIPE_WIDTH
    return console


def _is_terminal(stream: TextIO | None) -> bool:
    with suppress(ValueError):  # it may be closed
        return stream is not None and stream.isatty()
    return False


def _color_system() -> Literal["auto", "standard"] | None:
    if os.environ.get("NO_COLOR"):
        return None
    return "standard" if os.environ.get("FORCE_COLOR") else "auto"


def columns_in_environment() -> int | None:
    """The width that COLUMNS asks for; None where it is unset, no number, or too small for a table."""
    text = os.environ.get("COLUMNS", "")
    width = int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0
    return width if width >= _LEAST_WIDTH else None


def show(console: Console, *parts: RenderableType, wrap: bool = True) -> None:
    """Print `parts`, one after the other; in a pipe without the white space that fills lines."""
    console.file.write(_rendered(console, *parts, wrap=wrap))


def _rendered(console: Console, *parts: RenderableType, wrap: bool = True) -> str:
    with console.capture() as captured:
        for part in parts:
            console.print(part, soft_wrap=not wrap)
    text = captured.get()
    return text if console.is_terminal else "\n".join(line.rstrip() for line in text.split("\n"))


def show_table(table: Table, *, of_texts: bool = False) -> None:
    """Print a table; in a pipe one line for each row, unless COLUMNS is wide enough for all of its text.

    In a table `of_texts` the last column is one, which gets room and whole words where there is a width.
    """
    console = make_console()
    whole = "" if console.is_terminal else "".join(f"{_plain(row)}\n" for row in _padded_rows(table))
    if whole and columns_in_environment() is None:
        if console.color_system is None:
            console.file.write(whole)
        else:
            show(console, *map(_styled, _padded_rows(table)), wrap=False)
        return
    from memtrace._cli.row_layout import laid_out, said_once

    if of_texts:
        show(console, *laid_out(table, console.width))
        return
    above, rest = said_once(table, console.width)
    text = _rendered(console, *above, rest)
    due = "".join(map(_plain, _padded_rows(rest))) if whole else ""
    is_whole = len("".join(text.split())) >= len("".join(due.split()))
    console.file.write(text if is_whole else whole)


def _padded_rows(table: Table) -> Iterator[list[_PaddedCell]]:
    """Each row, its cells as wide as their columns: Rich would fill all lines up to the longest cell, of millions of characters."""
    from rich.cells import cell_len

    headers = [[Text(str(column.header), table.header_style)] if table.show_header else [] for column in table.columns]
    cells = [
        [*header, *(cell if isinstance(cell, Text) else Text(str(cell)) for cell in column.cells)]
        for header, column in zip(headers, table.columns, strict=True)
    ]
    widths = [min(max((cell_len(str(cell)) for cell in each), default=0), _PIPE_WIDTH) for each in cells]
    for row in zip(*cells, strict=True):
        filled: list[_PaddedCell] = []
        for cell, width, column in zip(row, widths, table.columns, strict=True):
            space = " " * (width - cell_len(str(cell)))
            before, after = (space, "") if column.justify == "right" else ("", space)
            filled.append((before, cell, after, column.style))
        yield filled


def _plain(row: list[_PaddedCell]) -> str:
    return _GAP.join(f"{before}{cell}{after}" for before, cell, after, _ in row).rstrip()


def _styled(row: list[_PaddedCell]) -> Text:
    line = Text(_GAP).join(
        Text.assemble(before, cell, after, style=cell.style or style) for before, cell, after, style in row
    )
    line.rstrip()
    return line


def show_failure(message: str, cause: str, *more: str) -> None:
    """Print to stderr an error's message, which begins with its `cause`, and further lines.

    On a terminal the cause is red, the remedy is on the next line, and the request below that. Words are kept whole.
    Elsewhere the message is one line.
    """
    console = make_console(stderr=True)
    if not console.is_terminal:
        show_error(message, *more)
        return
    where, _, hint = visible(message[len(cause) :]).strip().rpartition("Hint: ")
    first = Text.assemble("memtrace-sdk: ", (visible(cause), "red"))
    below = [Text(hint), Text(where.strip(), "dim"), *(Text(visible(text)) for text in more)]
    for text in (first, *(line for line in below if line)):
        show(console, *_wrapped(text, console.width), wrap=False)


def show_error(message: str, *more: str) -> None:
    """Print to stderr what happened, and further lines, without breaking a line of the output before.

    On a terminal words are kept whole; elsewhere each is one line.
    """
    with suppress(OSError, ValueError, AttributeError):  # a failing output raises where it is written
        sys.stdout.flush()
    console = make_console(stderr=True)
    for text in (Text(visible(text)) for text in (f"memtrace-sdk: {message}", *more)):
        show(console, *(_wrapped(text, console.width) if console.is_terminal else [text]), wrap=False)


def _wrapped(text: Text, width: int) -> Iterator[Text]:
    """Lines of whole words. A word longer than a line, such as a URL, is one too: Rich would break it."""
    begins, place, used = list[int](), 0, 0
    for word in text.split(" "):
        if place and used + word.cell_len > width:
            begins.append(place)
            used = 0
        place += len(word) + 1
        used += word.cell_len + 1
    for line in text.divide(begins):
        line.rstrip()
        yield line


def say(message: str) -> None:
    """Print one line for people, which may name what a person gave."""
    typer.echo(visible(message))


def show_json(value: Mapping[str, object] | Sequence[object]) -> None:
    """Print a value for programs to read, in ASCII."""
    typer.echo(json.dumps(value, indent=2))


_LINE_ENDS = str.maketrans("\n\r\t", "   ")


def visible(text: str) -> str:
    r"""`text` on one line, with nothing that a terminal obeys, nor what cannot be encoded.

    >>> visible("one\ntwo \x1b[31mred")
    'one two \\x1b[31mred'
    """
    return printable(text.translate(_LINE_ENDS))


def show_lines(text: str) -> None:
    """Print several lines: unchanged into a pipe, without control sequences on a terminal."""
    console = make_console()
    if console.is_terminal:
        text = "\n".join(visible(line) for line in text.split("\n"))
    console.file.write(text if text.endswith("\n") else text + "\n")


def show_markdown(text: str) -> None:
    """Print Markdown of the SDK: rendered on a terminal, unchanged into a pipe."""
    console = make_console()
    if console.is_terminal:
        from rich.markdown import Markdown

        show(console, Markdown(text))
    else:
        console.file.write(text)

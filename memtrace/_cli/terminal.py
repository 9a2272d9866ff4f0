"""What reaches the terminal or the pipe: consoles, and text that cannot harm them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import typer
from rich.console import Console, RenderableType

from memtrace._support.error_text import printable

if TYPE_CHECKING:
    from rich.table import Table

_PIPE_WIDTH = 100
_LEAST_WIDTH = 20  # containers and CI set COLUMNS to 0 or 1, in which a table is empty


def make_console(*, stderr: bool = False) -> Console:
    """A console in colour on a terminal, and plain elsewhere or with NO_COLOR.

    It is as wide as the terminal; without one as COLUMNS says, else 100. There a COLUMNS of less than 20 counts as unset.
    """
    console = Console(
        stderr=stderr,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        markup=False,
        emoji=False,
        highlight=False,
    )
    if not console.is_terminal:
        console.width = columns_in_environment() or _PIPE_WIDTH
    return console


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
    whole = "" if console.is_terminal else "".join(f"{line}\n" for line in _row_lines(table))
    if whole and columns_in_environment() is None:
        console.file.write(whole)
        return
    if of_texts:
        from memtrace._cli.row_layout import laid_out

        show(console, *laid_out(table, console.width))
        return
    text = _rendered(console, table)
    console.file.write(text if len("".join(text.split())) >= len("".join(whole.split())) else whole)


def _row_lines(table: Table) -> Iterator[str]:
    """Each row on one line. Rich would fill every line up to the longest cell, which may have millions of characters."""
    from rich.cells import cell_len

    headers = [[str(column.header)] if table.show_header else [] for column in table.columns]
    cells = [[*header, *map(str, column.cells)] for header, column in zip(headers, table.columns, strict=True)]
    widths = [min(max(map(cell_len, each), default=0), _PIPE_WIDTH) for each in cells]
    for row in zip(*cells, strict=True):
        filled = []
        for cell, width, column in zip(row, widths, table.columns, strict=True):
            space = " " * (width - cell_len(cell))
            filled.append(space + cell if column.justify == "right" else cell + space)
        yield "  ".join(filled).rstrip()


def show_error(message: str, *more: str) -> None:
    """Print to stderr what happened, and further lines, without breaking them, nor a line of the output before."""
    with suppress(OSError, ValueError, AttributeError):  # an output that fails is told where it is written
        sys.stdout.flush()
    show(make_console(stderr=True), *(visible(text) for text in (f"memtrace-sdk: {message}", *more)), wrap=False)


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
    """Print a text of several lines: as it is in a pipe, with nothing that a terminal obeys on one."""
    console = make_console()
    if console.is_terminal:
        text = "\n".join(visible(line) for line in text.split("\n"))
    console.file.write(text if text.endswith("\n") else text + "\n")

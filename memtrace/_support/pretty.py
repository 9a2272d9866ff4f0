"""Pretty printing of models by rich and IPython: long texts and lists are cut. Imports neither."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import islice
from typing import Final, Protocol

TEXT_CUT: Final = 200
"""Characters of a string."""
ITEMS_CUT: Final = 10
"""Items of a list or a mapping."""
DEPTH_CUT: Final = 4
"""Levels of lists and mappings in one another."""


class PrettyPrinter(Protocol):
    """What IPython gives to ``_repr_pretty_``."""

    def group(self, indent: int = 0, open: str = "", close: str = "") -> AbstractContextManager[None]:  # noqa: A002 - IPython's names
        """What belongs together: broken into lines where it does not fit into one."""
        ...

    def text(self, obj: str) -> None:
        """Print this text as it is."""
        ...

    def breakable(self, sep: str = " ") -> None:
        """Print `sep`, or a line break."""
        ...

    def pretty(self, obj: object) -> None:
        """Print an object."""
        ...


class Omitted:
    """A placeholder for the part that was cut.

    >>> Omitted(1200), Omitted()
    (… 1,200 more, …)
    """

    __slots__ = ("count",)

    def __init__(self, count: int = 0) -> None:
        self.count = count

    def __repr__(self) -> str:
        return f"… {self.count:,} more" if self.count else "…"


def cut(value: object, depth: int = 0) -> object:
    """A value as far as it is shown.

    >>> cut("x" * 203)[-12:], cut([*range(12)])
    ('xx… (3 more)', [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, … 2 more])
    """
    if isinstance(value, str):
        hidden = len(value) - TEXT_CUT
        return value if hidden <= 0 else f"{value[:TEXT_CUT]}… ({hidden:,} more)"
    if not isinstance(value, (list, tuple, Mapping)):
        return value
    if depth == DEPTH_CUT:
        return Omitted()
    hidden = len(value) - ITEMS_CUT
    if isinstance(value, Mapping):
        shown = {cut(name): cut(each, depth + 1) for name, each in islice(value.items(), ITEMS_CUT)}
        return {**shown, Omitted(hidden): Omitted()} if hidden > 0 else shown
    items = [cut(each, depth + 1) for each in value[:ITEMS_CUT]]
    return [*items, Omitted(hidden)] if hidden > 0 else items


def cut_fields(fields: Iterable[tuple[str, object]]) -> Iterator[tuple[str, object]]:
    """Names and values as far as they are shown; fields that are None are left out."""
    for name, value in fields:
        if value is not None:
            yield name, cut(value)


def print_fields(printer: PrettyPrinter, kind: str, fields: Iterable[tuple[str, object]]) -> None:
    """Print an object of this class with these fields, for IPython."""
    with printer.group(len(kind) + 1, f"{kind}(", ")"):
        for place, (name, value) in enumerate(cut_fields(fields)):
            if place:
                printer.text(",")
                printer.breakable()
            printer.text(f"{name}=")
            printer.pretty(value)

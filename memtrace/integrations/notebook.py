"""How models look in a notebook: HTML tables, escaped and bounded, in the colours of the page that shows them.

Answers of the server and results of batches show themselves. Plain lists of models do after
``%load_ext memtrace.integrations.notebook``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from pydantic import BaseModel

from memtrace._support.html import CELL_SHOWN, ROWS_SHOWN, TEXT_SHOWN, fields_table
from memtrace.context import PromptContext
from memtrace.models import AGENT_TABLE, MEMORY_TABLE, SESSION_TABLE, Agent, Memory, ResponseModel, RowTable, Session
from memtrace.outcomes import BatchResult
from memtrace.ranking import SearchHits

__all__ = [
    "CELL_SHOWN",
    "ROWS_SHOWN",
    "TEXT_SHOWN",
    "Formatter",
    "Formatters",
    "ListRenderer",
    "Shell",
    "load_ipython_extension",
    "to_html",
    "unload_ipython_extension",
]


def to_html(shown: BaseModel | BatchResult | PromptContext | SearchHits) -> str:
    """`shown` in HTML: a table of rows for a list, hits or a batch, a table of its fields for a context and any other model.

    >>> from memtrace import AgentList
    >>> to_html(AgentList(agents=[], count=0)).count("<table")
    1
    """
    if isinstance(shown, (ResponseModel, BatchResult, PromptContext, SearchHits)):
        return shown._repr_html_()
    return fields_table(type(shown).__name__, shown)


ListRenderer = Callable[[list[object]], "str | None"]
"""Gives a list's HTML, or None for a list that it does not know."""


class Formatter(Protocol):
    """IPython's own, for one form of output."""

    def for_type(self, typ: type, func: ListRenderer | None = None) -> ListRenderer | None:
        """Set what shows a type; returns what did so far."""
        ...

    def pop(self, typ: type, default: None) -> ListRenderer | None:
        """Forget what shows a type, and return it."""
        ...


class Formatters(Protocol):
    """IPython's formatters by MIME type."""

    @property
    def formatters(self) -> Mapping[str, Formatter]:
        """One for each form."""
        ...


class Shell(Protocol):
    """What runs a notebook's cells: IPython."""

    @property
    def display_formatter(self) -> Formatters:
        """What shows a cell's value."""
        ...


_TABLES: Final[Mapping[type[ResponseModel], RowTable]] = {
    Memory: MEMORY_TABLE,
    Agent: AGENT_TABLE,
    Session: SESSION_TABLE,
}


class _Lists:
    """Shows lists of models as tables, and other lists as before."""

    def __init__(self, before: ListRenderer | None) -> None:
        self.before = before

    def __call__(self, shown: list[object]) -> str | None:
        for kind, table in _TABLES.items():
            rows = [row for row in shown if isinstance(row, kind)]
            if rows and len(rows) == len(shown):
                return table.render(table.counted(len(rows)), rows)
        return None if self.before is None else self.before(shown)


def load_ipython_extension(ipython: Shell) -> None:
    """``%load_ext memtrace.integrations.notebook``: plain lists of memories, agents or sessions are shown as tables too."""
    formatter = ipython.display_formatter.formatters["text/html"]
    before = formatter.pop(list, None)
    formatter.for_type(list, _Lists(before.before if isinstance(before, _Lists) else before))


def unload_ipython_extension(ipython: Shell) -> None:
    """``%unload_ext memtrace.integrations.notebook``: plain lists are shown as before."""
    formatter = ipython.display_formatter.formatters["text/html"]
    ours = formatter.pop(list, None)
    before = ours.before if isinstance(ours, _Lists) else ours
    if before is not None:
        formatter.for_type(list, before)

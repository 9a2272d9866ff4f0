"""How models look in a notebook: tables in HTML, escaped and bounded, in the colours of the page that shows them.

Answers of the server and results of batches show themselves. Plain lists of models do after ``%load_ext memtrace.notebook``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Protocol

from pydantic import BaseModel

from memtrace.batch import BatchResult, Outcome
from memtrace.models import Agent, AgentList, Memory, MemoryList, SearchResult, Session, SessionList

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

ROWS_SHOWN = 50
"""Rows of a table."""
CELL_SHOWN = 200
"""Characters of one cell of a table."""
TEXT_SHOWN = 10_000
"""Characters of one field of a single model."""

_COLUMNS: dict[type, tuple[str, ...]] = {
    Memory: (
        "time",
        "content",
        "memory_type",
        "event_type",
        "tags",
        "importance",
        "metadata",
        "agent_id",
        "session_id",
        "parent_id",
    ),
    Agent: ("id", "name", "description", "config", "created_at", "last_active_at"),
    Session: ("id", "agent_id", "status", "created_at", "updated_at", "closed_at", "metadata"),
    Outcome: ("index", "status", "content", "error"),
}
_NAMES: dict[type, tuple[str, str]] = {
    Memory: ("memory", "memories"),
    Agent: ("agent", "agents"),
    Session: ("session", "sessions"),
}


# ---- what is shown --------------------------------------------------------------------------------------------------


def to_html(shown: BaseModel | BatchResult) -> str:
    """`shown` in HTML: a table of rows for a list or a batch, a table of its fields for any other model.

    >>> to_html(AgentList(agents=[], count=0)).count("<table")
    1
    """
    if isinstance(shown, MemoryList):
        more = "; more may follow" if shown.has_more else ""
        return _table(shown.memories, f"MemoryList: {_count(Memory, len(shown.memories))}{more}", Memory)
    if isinstance(shown, SearchResult):
        return _table(
            shown.results,
            f"SearchResult: {_count(Memory, len(shown.results))} in {shown.query_time_ms} ms of the storage",
            Memory,
        )
    if isinstance(shown, AgentList):
        return _table(shown.agents, f"AgentList: {_count(Agent, len(shown.agents))}", Agent)
    if isinstance(shown, SessionList):
        return _table(shown.sessions, f"SessionList: {_count(Session, len(shown.sessions))}", Session)
    if isinstance(shown, BatchResult):
        return _batch(shown)
    return _fields(shown)


def _count(kind: type, number: int) -> str:
    one, many = _NAMES[kind]
    return f"{number:,} {one if number == 1 else many}"


def _batch(result: BatchResult) -> str:
    """What was not stored stands first: it is what the reader has to see."""
    counts = {
        "stored": len(result.stored),
        "duplicate": len(result.duplicates),
        "failed": len(result.failed),
        "unknown": len(result.unknown),
    }
    told = ", ".join(f"{number:,} {status}" for status, number in counts.items() if number) or "nothing"
    outcomes = sorted(result.outcomes, key=lambda outcome: outcome.status in {"stored", "duplicate"})
    return _table(outcomes, f"BatchResult of {_count(Memory, len(result))}: {told}", Outcome)


# ---- tables ---------------------------------------------------------------------------------------------------------

_CELL = "text-align:left;vertical-align:top;padding:3px 12px 3px 0;border-bottom:1px solid rgba(128,128,128,.35)"
_WRAPPED = f"{_CELL};white-space:pre-wrap;overflow-wrap:break-word"
_UNBROKEN = f"{_CELL};white-space:nowrap"
_LONG = f"{_CELL};white-space:pre-wrap;overflow-wrap:anywhere;min-width:20em"
_STYLES = {
    **dict.fromkeys(("content", "context", "error"), _LONG),
    **dict.fromkeys(("time", "created_at", "updated_at", "closed_at", "last_active_at", "index", "status"), _UNBROKEN),
}


def _table(rows: Sequence[object], caption: str, kind: type) -> str:
    """The columns in which one of the rows that are shown has something."""
    shown = [{column: _text(_value(row, column), CELL_SHOWN) for column in _COLUMNS[kind]} for row in rows[:ROWS_SHOWN]]
    columns = [column for column in _COLUMNS[kind] if any(cells[column] for cells in shown)]
    head = "".join(f'<th scope="col" style="{_CELL}">{column}</th>' for column in columns)
    body = "".join(f"<tr>{''.join(_cell(cells[column], column) for column in columns)}</tr>" for cells in shown)
    hidden = len(rows) - len(shown)
    rest = f"… and {hidden:,} more, which are not shown" if hidden else ""
    return _wrap(caption, f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>" if shown else "", rest)


def _fields(shown: BaseModel) -> str:
    """The fields that are set, those that a newer server added among them."""
    given = [(name, _text(value, TEXT_SHOWN)) for name, value in shown]
    filled = [(name, text) for name, text in given if text]
    body = "".join(
        f'<tr><th scope="row" style="{_UNBROKEN}">{_escaped(name)}</th>{_cell(text, name)}</tr>'
        for name, text in filled[:ROWS_SHOWN]
    )
    hidden = len(filled) - ROWS_SHOWN
    rest = f"… and {hidden:,} more fields, which are not shown" if hidden > 0 else ""
    return _wrap(type(shown).__name__, f"<tbody>{body}</tbody>", rest)


def _wrap(caption: str, rows: str, rest: str) -> str:
    # The classes keep MathJax from reading a price in dollars as a formula.
    return (
        '<div class="memtrace tex2jax_ignore mathjax_ignore" style="overflow-x:auto">'
        '<table style="border-collapse:collapse">'
        f'<caption style="caption-side:top;text-align:left;white-space:nowrap;padding:3px 0;font-weight:bold">{_escaped(caption)}</caption>'
        f"{rows}</table>{f'<div>{rest}</div>' if rest else ''}</div>"
    )


def _cell(text: str, column: str) -> str:
    return f'<td dir="auto" style="{_STYLES.get(column, _WRAPPED)}">{_escaped(text)}</td>'


# ---- cells ----------------------------------------------------------------------------------------------------------


def _value(row: object, column: str) -> object:
    if isinstance(row, Outcome) and column == "content":
        return None if row.memory is None else row.memory.content
    return getattr(row, column, None)  # a model that was made without validation may lack some


def _text(value: object, longest: int) -> str:
    """A value as text of at most so many characters, then how many more there are; empty for what is not there."""
    if value is None or (isinstance(value, (dict, list)) and not value):
        return ""
    if isinstance(value, datetime):
        text = re.sub(r"\+00:00$", " UTC", value.isoformat(" ", "seconds"))
    elif isinstance(value, str):
        text = value
    elif isinstance(value, list) and all(isinstance(one, str) for one in value):
        text = ", ".join(value)
    elif isinstance(value, (Mapping, list)):
        text = json.dumps(value, ensure_ascii=False, default=str)
    else:
        text = str(value)
    hidden = len(text) - longest
    return text if hidden <= 0 else f"{text[:longest]}… ({hidden:,} more)"


_UNSHOWABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def _escaped(text: str) -> str:
    """For HTML; what no page can show is the replacement character."""
    return escape(_UNSHOWABLE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n")))


# ---- plain lists ----------------------------------------------------------------------------------------------------


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


class _Lists:
    """Shows lists of models as tables, and other lists as before."""

    def __init__(self, before: ListRenderer | None) -> None:
        self.before = before

    def __call__(self, shown: list[object]) -> str | None:
        kind = next((kind for kind in _NAMES if shown and all(isinstance(row, kind) for row in shown)), None)
        if kind is not None:
            return _table(shown, _count(kind, len(shown)), kind)
        return None if self.before is None else self.before(shown)


def load_ipython_extension(ipython: Shell) -> None:
    """``%load_ext memtrace.notebook``: plain lists of memories, agents or sessions are shown as tables too."""
    formatter = ipython.display_formatter.formatters["text/html"]
    before = formatter.pop(list, None)
    formatter.for_type(list, _Lists(before.before if isinstance(before, _Lists) else before))


def unload_ipython_extension(ipython: Shell) -> None:
    """``%unload_ext memtrace.notebook``: plain lists are shown as before."""
    formatter = ipython.display_formatter.formatters["text/html"]
    ours = formatter.pop(list, None)
    before = ours.before if isinstance(ours, _Lists) else ours
    if before is not None:
        formatter.for_type(list, before)

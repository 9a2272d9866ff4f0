"""How models look in a notebook: HTML tables, escaped and bounded, in the colours of the page that shows them.

Answers of the server and results of batches show themselves. Plain lists of models do after
``%load_ext memtrace.integrations.notebook``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from importlib.util import find_spec
from typing import Final, Protocol

from pydantic import BaseModel

from memtrace._support.html import CELL_SHOWN, ROWS_SHOWN, TEXT_SHOWN, fields_table
from memtrace.client import Memtrace
from memtrace.context import PromptContext
from memtrace.exceptions import ConfigurationError
from memtrace.models import AGENT_TABLE, MEMORY_TABLE, SESSION_TABLE, Agent, Memory, ResponseModel, RowTable, Session
from memtrace.operations._validation import invalid
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
    "Timeline",
    "load_ipython_extension",
    "to_html",
    "unload_ipython_extension",
    "view",
]


def to_html(shown: BaseModel | BatchResult | PromptContext | SearchHits) -> str:
    """Render a result as an HTML table.

    Args:
        shown: A list result, hits or a batch result, which gets one line for each item. Any other
            model gets one line for each field.

    Returns:
        The HTML.

    Example:
        >>> from memtrace import AgentList
        >>> to_html(AgentList(agents=[], count=0)).count("<table")
        1
    """
    if isinstance(shown, (ResponseModel, BatchResult, PromptContext, SearchHits)):
        return shown._repr_html_()
    return fields_table(type(shown).__name__, shown)


class Timeline:
    """Memories that a notebook shows as a timeline. `view` creates it.

    Attributes:
        memories: The memories, newest first.
        has_more: Whether there are older ones.
    """

    def __init__(self, memories: list[Memory], *, title: str, has_more: bool) -> None:
        self.memories = memories
        self.has_more = has_more
        self._title = title

    def __repr__(self) -> str:
        """How many memories there are; no content."""
        return f"<Timeline: {len(self.memories)} memories>"

    def _repr_html_(self) -> str:
        """Render the timeline in a sandboxed frame, in which no script runs."""
        from memtrace.integrations._viewer._document import render_timeline

        document = render_timeline(self.memories, title=self._title, has_more=self.has_more)
        return f'<iframe sandbox title="{escape(self._title)}" width="100%" height="480" srcdoc="{escape(document)}"></iframe>'


def view(client: Memtrace, *, agent_id: str | None = None, session_id: str | None = None, limit: int = 100) -> Timeline:
    """Show the newest memories as a timeline in a notebook: the last line of a cell is enough.

    The timeline is in a sandboxed frame. Nothing in a memory is rendered as markup, and no script
    runs. ``memtrace-sdk view`` shows all pages in a browser.

    Args:
        client: The client.
        agent_id: Only this agent's memories. Default: all agents.
        session_id: Only this session's memories. Default: all sessions.
        limit: How many memories at most, from 1. Default: 100.

    Returns:
        The timeline.

    Raises:
        InvalidRequestError: `client` is not a `Memtrace`, or an argument breaks a rule. Nothing was
            sent.
        ConfigurationError: The extra ``view`` is not installed.
        MemtraceError: The read failed.

    Example:
        >>> from memtrace import Memtrace
        >>> client = Memtrace("memory://", "any key")
        >>> memory = client.remember("assistant", "User prefers tea")
        >>> view(client, agent_id="assistant")
        <Timeline: 1 memories>
    """
    if not isinstance(client, Memtrace):
        raise invalid("client", "a Memtrace", "an AsyncMemtrace would have to be awaited")
    if find_spec("jinja2") is None:
        raise ConfigurationError(
            "view needs the package jinja2, not installed here", hint='run: pip install "memtrace-sdk[view]"'
        )
    found = client.memories.list(agent_id=agent_id, session_id=session_id, limit=limit)
    named = [f"{name} {value}" for name, value in (("agent", agent_id), ("session", session_id)) if value]
    return Timeline(found.memories, title=", ".join(named) or "all agents", has_more=found.has_more)


ListRenderer = Callable[[list[object]], "str | None"]
"""Gives a list's HTML, or None for a list that it does not know."""


class Formatter(Protocol):
    """IPython's formatter of one MIME type."""

    def for_type(self, typ: type, func: ListRenderer | None = None) -> ListRenderer | None:
        """Register the renderer of a type.

        Args:
            typ: The type.
            func: The renderer. None changes nothing.

        Returns:
            The previous renderer, if any.
        """
        ...

    def pop(self, typ: type, default: None) -> ListRenderer | None:
        """Remove the renderer of a type.

        Args:
            typ: The type.
            default: The result if the type has none.

        Returns:
            The removed renderer, or `default`.
        """
        ...


class Formatters(Protocol):
    """IPython's formatters by MIME type."""

    @property
    def formatters(self) -> Mapping[str, Formatter]:
        """One formatter for each MIME type."""
        ...


class Shell(Protocol):
    """The shell of a notebook: IPython."""

    @property
    def display_formatter(self) -> Formatters:
        """Its formatters."""
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
    """Show plain lists of memories, agents or sessions as tables, after ``%load_ext memtrace.integrations.notebook``.

    Args:
        ipython: The running shell.
    """
    formatter = ipython.display_formatter.formatters["text/html"]
    before = formatter.pop(list, None)
    formatter.for_type(list, _Lists(before.before if isinstance(before, _Lists) else before))


def unload_ipython_extension(ipython: Shell) -> None:
    """Show plain lists as IPython does, after ``%unload_ext memtrace.integrations.notebook``.

    Args:
        ipython: The running shell.
    """
    formatter = ipython.display_formatter.formatters["text/html"]
    ours = formatter.pop(list, None)
    before = ours.before if isinstance(ours, _Lists) else ours
    if before is not None:
        formatter.for_type(list, before)

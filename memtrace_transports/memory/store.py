"""Memories that have arrived in storage, and the indexes that keep reading them cheap."""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from typing import NamedTuple, Protocol

__all__ = ["AgentCounts", "MemoryStore", "Row", "Selection", "Store"]


class Row(NamedTuple):
    """One memory as storage keeps it: `time` in whole microseconds, `tags` joined by commas, `metadata` as JSON text."""

    time: int
    agent_id: str
    session_id: str
    memory_type: str
    event_type: str
    content: str
    metadata: str
    tags: str
    dedup_key: str
    importance: float
    parent_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which rows to read. Empty texts and None do not filter; `after` and `before` (microseconds) are exclusive."""

    agent_id: str = ""
    session_id: str = ""
    memory_types: frozenset[str] | None = None
    event_types: frozenset[str] | None = None
    #: Each has to occur somewhere in the joined tags.
    tags: tuple[str, ...] = ()
    contains: str = ""
    min_importance: float | None = None
    after: int | None = None
    before: int | None = None
    limit: int = 100
    offset: int = 0
    oldest_first: bool = False

    def admits(self, row: Row) -> bool:
        """Whether `row` passes every filter but the time window."""
        return (
            (not self.agent_id or row.agent_id == self.agent_id)
            and (not self.session_id or row.session_id == self.session_id)
            and (self.memory_types is None or row.memory_type in self.memory_types)
            and (self.event_types is None or row.event_type in self.event_types)
            and all(tag in row.tags for tag in self.tags)
            and self.contains in row.content
            and (self.min_importance is None or row.importance >= self.min_importance)
        )


@dataclass(frozen=True, slots=True)
class AgentCounts:
    """What statistics count of one agent's memories."""

    total: int
    recent: int
    recent_errors: int
    by_type: dict[str, int]


class Store(Protocol):
    """Where arrived memories are kept, of all organisations. Rows of one organisation have distinct times."""

    def add(self, org_id: str, row: Row) -> None:
        """Keep `row`; usually the newest, but a back-dated one takes its place in time."""
        ...

    def holds(self, org_id: str, time: int) -> bool:
        """Whether a row of this organisation has exactly this time."""
        ...

    def last_stored(self, org_id: str, dedup_key: str) -> int | None:
        """The newest time at which a row with this key was stored, in microseconds; None when there is none."""
        ...

    def select(self, org_id: str, selection: Selection) -> list[Row]:
        """The rows that `selection` asks for, from the end that it asks for."""
        ...

    def counts(self, org_id: str, agent_id: str, since: int) -> AgentCounts:
        """Statistics of one agent; recent is what is newer than `since`, in microseconds."""
        ...


_time = attrgetter("time")


class MemoryStore:
    """A `Store` in lists: rows in order of time for each organisation, and again for each of its agents and sessions.

    A read takes the shortest list that holds all it asks for, bisects the time window, walks from the end that was
    asked for and stops when the page is full.
    """

    def __init__(self) -> None:
        self._by_org: dict[str, list[Row]] = {}
        self._by_agent: dict[tuple[str, str], list[Row]] = {}
        self._by_session: dict[tuple[str, str], list[Row]] = {}
        self._types: dict[tuple[str, str], Counter[str]] = {}
        self._stored: dict[tuple[str, str], int] = {}

    def add(self, org_id: str, row: Row) -> None:
        """Keep `row` at its place in time."""
        row = _interned(row)
        agent = (org_id, row.agent_id)
        _insert(self._by_org.setdefault(org_id, []), row)
        _insert(self._by_agent.setdefault(agent, []), row)
        if row.session_id:
            _insert(self._by_session.setdefault((org_id, row.session_id), []), row)
        self._types.setdefault(agent, Counter())[row.memory_type] += 1
        key = (org_id, row.dedup_key)
        self._stored[key] = max(row.time, self._stored.get(key, row.time))

    def holds(self, org_id: str, time: int) -> bool:
        """Whether a row of this organisation has exactly this time."""
        rows = self._by_org.get(org_id, [])
        place = bisect_left(rows, time, key=_time)
        return place < len(rows) and rows[place].time == time

    def last_stored(self, org_id: str, dedup_key: str) -> int | None:
        """The newest time at which a row with this key was stored."""
        return self._stored.get((org_id, dedup_key))

    def select(self, org_id: str, selection: Selection) -> list[Row]:
        """The rows that `selection` asks for."""
        rows = self._shortest(org_id, selection)
        first = 0 if selection.after is None else bisect_right(rows, selection.after, key=_time)
        end = len(rows) if selection.before is None else bisect_left(rows, selection.before, key=_time)
        places = range(first, end) if selection.oldest_first else range(end - 1, first - 1, -1)
        if selection.offset >= len(places):
            return []
        matching = _matching(rows, places, selection)
        return list(islice(matching, selection.offset, selection.offset + selection.limit))

    def counts(self, org_id: str, agent_id: str, since: int) -> AgentCounts:
        """Statistics of one agent."""
        agent = (org_id, agent_id)
        rows = self._by_agent.get(agent, [])
        first = bisect_right(rows, since, key=_time)
        errors = sum(row.event_type == "error" for row in islice(rows, first, None))
        return AgentCounts(len(rows), len(rows) - first, errors, dict(self._types.get(agent, {})))

    def _shortest(self, org_id: str, selection: Selection) -> Sequence[Row]:
        lists = [self._by_org.get(org_id, [])]
        if selection.agent_id:
            lists.append(self._by_agent.get((org_id, selection.agent_id), []))
        if selection.session_id:
            lists.append(self._by_session.get((org_id, selection.session_id), []))
        return min(lists, key=len)


def _matching(rows: Sequence[Row], places: Iterable[int], selection: Selection) -> Iterator[Row]:
    return (row for row in map(rows.__getitem__, places) if selection.admits(row))


def _insert(rows: list[Row], row: Row) -> None:
    if not rows or rows[-1].time < row.time:
        rows.append(row)
    else:
        insort(rows, row, key=_time)


def _interned(row: Row) -> Row:
    """`row` with one object for each of the texts that many rows share."""
    return row._replace(
        agent_id=sys.intern(row.agent_id),
        session_id=sys.intern(row.session_id),
        memory_type=sys.intern(row.memory_type),
        event_type=sys.intern(row.event_type),
        tags=sys.intern(row.tags),
    )

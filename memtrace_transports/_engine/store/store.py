"""Memories that have arrived in storage, and the indexes that keep reading them cheap."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import NamedTuple

from memtrace_transports._engine.store.rows import AgentCounts, Row, RowSelection
from memtrace_transports._engine.store.series import BLOCK_ROWS, Series, encoded
from memtrace_transports._engine.store.snapshots import StoreSnapshot, UndoHistory

_SEARCH_GAIN = 8
"""How many rows, roughly, can be searched as part of blocks in the time that it takes to look into one."""


class MemoryStore:
    """Arrived memories of all organisations: rows in order of time for each, and again for each of its agents and sessions.

    A read takes the series that is cheapest to walk, bisects the time window, walks from the end that was asked for
    and stops when the page is full. A search for a string looks at whole blocks of an organisation's rows at once. A
    snapshot copies nothing.
    """

    def __init__(self, block_rows: int = BLOCK_ROWS) -> None:
        """`block_rows` is how many rows make a block of a series."""
        self._by_id = defaultdict[str, _OrganisationRows](lambda: _OrganisationRows(block_rows))
        self._history = UndoHistory(self._undo, self._redo)

    def extend(self, org_id: str, rows: Iterable[Row]) -> None:
        """Keep `rows`; usually the newest, but a back-dated one takes its place in time. No two have one time."""
        org = self._by_id[org_id]
        for row in rows:
            if self._history.is_kept:
                self._history.note(_Addition(org, row, org.stored.get(row.dedup_key)))
            org.add(row)

    def holds(self, org_id: str, time: int) -> bool:
        """Whether a row of this organisation has exactly this time."""
        org = self._by_id.get(org_id)
        return org is not None and org.rows.holds(time)

    def newest(self, org_id: str) -> int:
        """The time of the newest row of this organisation, in microseconds; 0 when there is none."""
        org = self._by_id.get(org_id)
        return 0 if org is None else org.rows.newest()

    def last_stored(self, org_id: str, dedup_keys: Sequence[str]) -> Mapping[str, int]:
        """The newest time at which a row with each of these keys was stored, in microseconds; keys of no row are left out."""
        org = self._by_id.get(org_id)
        return {} if org is None else {key: org.stored[key] for key in dedup_keys if key in org.stored}

    def select(self, org_id: str, selection: RowSelection) -> list[Row]:
        """The rows that `selection` asks for, from the end that it asks for."""
        org = self._by_id.get(org_id)
        series = None if org is None else org.cheapest(selection)
        if org is None or series is None or selection.offset >= len(series):
            return []
        needle = encoded(selection.contains) if series is org.rows else b""
        runs = series.runs(selection.after, selection.before, oldest_first=selection.oldest_first, needle=needle)
        return list(islice(_matching(runs, selection), selection.offset, selection.offset + selection.limit))

    def counts(self, org_id: str, agent_id: str, since: int) -> AgentCounts:
        """Statistics of one agent; recent is what is newer than `since`, in microseconds."""
        org = self._by_id.get(org_id)
        if org is None or agent_id not in org.agents:
            return AgentCounts(0, 0, 0, {})
        series = org.agents[agent_id]
        recent = list(chain.from_iterable(series.runs(since, None, oldest_first=True)))
        errors = sum(row.event_type == "error" for row in recent)
        return AgentCounts(len(series), len(recent), errors, dict(org.types[agent_id]))

    def snapshot(self) -> StoreSnapshot:
        """What the store holds now, in constant time."""
        return self._history.snapshot()

    def restore(self, snapshot: StoreSnapshot) -> None:
        """Hold again what was held at `snapshot`, which stays valid, in a time that grows with the rows that differ.

        Raises ValueError for one of another store.
        """
        self._history.restore(snapshot)

    @staticmethod
    def _undo(addition: _Addition) -> None:
        addition.org.remove(addition.row, addition.stored_before)

    @staticmethod
    def _redo(addition: _Addition) -> None:
        addition.org.add(addition.row)


class _OrganisationRows:
    """One organisation's rows with their indexes: series by agent and session, types by agent, times by key."""

    __slots__ = ("agents", "rows", "sessions", "stored", "types")

    def __init__(self, block_rows: int) -> None:
        self.rows = Series(block_rows)
        self.agents = defaultdict[str, Series](lambda: Series(block_rows))
        self.sessions = defaultdict[str, Series](lambda: Series(block_rows))
        self.types = defaultdict[str, Counter[str]](Counter)
        self.stored: dict[str, int] = {}

    def add(self, row: Row) -> None:
        self.rows.add(row)
        self.agents[row.agent_id].add(row)
        if row.session_id:
            self.sessions[row.session_id].add(row)
        self.types[row.agent_id][row.memory_type] += 1
        stored = self.stored.get(row.dedup_key)
        if stored is None or stored < row.time:
            self.stored[row.dedup_key] = row.time

    def remove(self, row: Row, stored_before: int | None) -> None:
        """Take out the row that was added last; `stored_before` is what `stored` had for its key until then."""
        self.rows.remove(row.time)
        self.agents[row.agent_id].remove(row.time)
        if row.session_id:
            self.sessions[row.session_id].remove(row.time)
        types = self.types[row.agent_id]
        types[row.memory_type] -= 1
        if not types[row.memory_type]:
            del types[row.memory_type]
        if stored_before is None:
            del self.stored[row.dedup_key]
        else:
            self.stored[row.dedup_key] = stored_before

    def cheapest(self, selection: RowSelection) -> Series | None:
        """The series with all that `selection` asks for that takes least to walk; None when there is nothing."""
        series = [self.rows]
        for index, name in ((self.agents, selection.agent_id), (self.sessions, selection.session_id)):
            if name:
                if name not in index:
                    return None
                series.append(index[name])
        shortest = min(series, key=len)
        if selection.contains and len(self.rows) < _SEARCH_GAIN * len(shortest):
            return self.rows
        return shortest


class _Addition(NamedTuple):
    """A row that was added, and what its key's newest time was before."""

    org: _OrganisationRows
    row: Row
    stored_before: int | None


def _matching(runs: Iterator[Sequence[Row]], selection: RowSelection) -> Iterator[Row]:
    rows = chain.from_iterable(runs)
    return rows if selection.is_plain() else filter(selection.admits, rows)

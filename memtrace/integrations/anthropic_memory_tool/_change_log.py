"""The changes of the files as memories of one agent: written one by one, read in the server's order.

A memory can be neither changed nor deleted, so that every change is one more. It says in which state its path was when
it was decided on; where another change came in between, it has no effect, for no reader.

==============  =========================================================================================
field           content
==============  =========================================================================================
``content``     the whole text of the file; what was done, where there is none
``event_type``  ``memory_file``, by which they are found
``metadata``    ``change`` (``written``, ``deleted``, ``renamed``), ``path``, ``to``, ``expected``, the state of the
                path before, ``number``, the order among changes of one microsecond, ``empty``
``dedup_key``   the change's own, so that equal ones are all kept
==============  =========================================================================================
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from memtrace._runtime.workflows.listing import read_all
from memtrace._runtime.workflows.steps import Workflow
from memtrace._runtime.workflows.visibility import add_and_wait
from memtrace.clock import Clock
from memtrace.integrations.anthropic_memory_tool._tree import Change, Deleted, Renamed, Tree, Written
from memtrace.models import AddMemoryRequest, ListOptions, Memory
from memtrace.operations._time_bounds import beside

EVENT_TYPE = "memory_file"

_LATE = timedelta(hours=1)
"""How long after a change an earlier one may still become readable: a server holds what it cannot store."""

_EVERYTHING = 2**62


@dataclass(frozen=True, slots=True)
class _LogEntry:
    """A change as it is stored."""

    time: datetime
    number: int
    version: str
    expected: str
    change: Change

    @property
    def place(self) -> tuple[datetime, int, str]:
        """Its position in the log, the same for every reader."""
        return self.time, self.number, self.version


class ChangeLog:
    """The log of one agent. Several threads may use it; what was read once, and is an hour old, is not read again."""

    def __init__(self, agent_id: str, wait_timeout: float) -> None:
        self._agent_id = agent_id
        self._wait_timeout = wait_timeout
        self._lock = threading.Lock()
        self._settled = Tree()
        self._settled_until: datetime | None = None
        self._entries: dict[str, _LogEntry] = {}
        self._number = 0

    def read(self, clock: Clock) -> Workflow[Tree]:
        """The files as they are now, as far as the server shows them."""
        tree, _ = yield from self._read(clock)
        return tree

    def write(self, change: Change, tree: Tree, clock: Clock) -> Workflow[bool]:
        """Write a change that was decided on by `tree`; whether it has taken effect, by what can be read then."""
        version = uuid4().hex
        yield from add_and_wait(self._request(change, tree, version), "per_call", self._wait_timeout, clock)
        _, effective = yield from self._read(clock)
        return version in effective

    def _request(self, change: Change, tree: Tree, version: str) -> AddMemoryRequest:
        metadata: dict[str, object] = {"path": change.path, "expected": tree.state_of(change.path)}
        if isinstance(change, Written):
            content, metadata["change"] = change.text, "written"
            if not content:
                content, metadata["empty"] = f"{change.path} was emptied", True
        elif isinstance(change, Deleted):
            content, metadata["change"] = f"{change.path} was deleted", "deleted"
        else:
            content, metadata["change"] = f"{change.path} was renamed to {change.to}", "renamed"
            metadata["to"] = change.to
        metadata["number"] = self._number + 1
        return AddMemoryRequest(
            agent_id=self._agent_id,
            memory_type="entity",
            event_type=EVENT_TYPE,
            content=content,
            metadata=metadata,
            dedup_key=version,
        )

    def _read(self, clock: Clock) -> Workflow[tuple[Tree, set[str]]]:
        since = self._settled_until
        options = ListOptions(
            agent_id=self._agent_id, event_type=EVENT_TYPE, since=since, order="asc", limit=_EVERYTHING
        )
        rows = (yield from read_all(options, clock)).memories
        with self._lock:
            self._take(rows)
            return self._replay()

    def _take(self, rows: Iterable[Memory]) -> None:
        for row in rows:
            entry = _entry_of(row)
            # Another thread may have settled it meanwhile.
            if entry is not None and (self._settled_until is None or entry.time > self._settled_until):
                self._entries[entry.version] = entry
                self._number = max(self._number, entry.number)

    def _replay(self) -> tuple[Tree, set[str]]:
        """The tree, and the entries that had an effect on it; settles those to which nothing earlier can come."""
        entries = sorted(self._entries.values(), key=lambda entry: entry.place)
        if not entries:
            return self._settled.copy(), set()
        border = beside(entries[-1].time, -_LATE)
        settling = [entry for entry in entries if entry.time <= border]
        if settling:
            effective = {entry.version for entry in settling if _replayed(entry, self._settled)}
            self._settled_until = settling[-1].time
            for entry in settling:
                del self._entries[entry.version]
        else:
            effective = set()
        tree = self._settled.copy()
        effective |= {entry.version for entry in entries[len(settling) :] if _replayed(entry, tree)}
        return tree, effective


def _replayed(entry: _LogEntry, tree: Tree) -> bool:
    """Apply an entry, unless its path was changed since it was decided on."""
    return tree.state_of(entry.change.path) == entry.expected and tree.apply(entry.change, entry.version)


def _entry_of(row: Memory) -> _LogEntry | None:
    """What a memory says; None for one that is not of this log's making."""
    metadata = row.metadata or {}
    change = _change_of(metadata, row.content)
    expected, number = metadata.get("expected"), metadata.get("number")
    if change is None or not isinstance(expected, str) or not isinstance(number, int) or not row.dedup_key:
        return None
    return _LogEntry(row.time, number, row.dedup_key, expected, change)


def _change_of(metadata: dict[str, object], content: str) -> Change | None:
    path, to = metadata.get("path"), metadata.get("to")
    if not isinstance(path, str):
        return None
    if metadata.get("change") == "written":
        return Written(path, "" if metadata.get("empty") is True else content)
    if metadata.get("change") == "deleted":
        return Deleted(path)
    if metadata.get("change") == "renamed" and isinstance(to, str):
        return Renamed(path, to)
    return None

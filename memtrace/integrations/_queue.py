"""The messages of one conversation, of which the oldest are archived: a queue in records.

A change is a record that names the keys of the items which it removes or archives. Of two callers that take the same items, the
record that the server got first counts, so that each item is given to one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from memtrace._runtime.workflows.steps import Workflow
from memtrace.clock import Clock
from memtrace.integrations._history import HistoryItem
from memtrace.integrations._records import Record, RecordCodec, check_wait_timeout, json_text, write
from memtrace.integrations.identifiers import id_for
from memtrace.models import AddMemoryRequest
from memtrace.operations._validation import require_id, require_non_empty

_ITEM, _REMOVED, _ARCHIVED, _CLEARED = "item", "removed", "archived", "cleared"

Status = Literal["active", "archived"]
Change = Literal["removed", "archived"]


@dataclass(slots=True)
class _Contents:
    """What records amount to: the items that are there, oldest first, and what was done to which."""

    items: list[Record] = field(default_factory=list)
    #: For each item's key, the key of the first record that removed or archived it.
    changes: dict[Change, dict[str, str]] = field(default_factory=lambda: {"removed": {}, "archived": {}})

    def of(self, status: Status | None) -> list[Record]:
        """The items of a status, or all."""
        return [item for item in self.items if status is None or status == self._status(item)]

    def _status(self, item: Record) -> Status:
        return "archived" if item.key in self.changes["archived"] else "active"

    def take(self, record: Record) -> bool:
        """Apply the record before; whether there may be more."""
        if record.kind == _ITEM:
            self.items.append(record)
        elif record.kind in (_REMOVED, _ARCHIVED) and isinstance(record.item, list):
            change: Change = "removed" if record.kind == _REMOVED else "archived"
            self.changes[change].update((key, record.key) for key in record.item if isinstance(key, str))
        return record.kind != _CLEARED


class MessageQueue:
    """The queue that the session `key` of one agent has, in records named `name`.

    Writes wait `wait_timeout` seconds until they can be read; None does not wait, and then two callers may take the same items.
    Raises `InvalidRequestError` for an agent that the server does not take, and for an empty key.
    """

    def __init__(self, name: str, agent_id: str, key: str, wait_timeout: float | None) -> None:
        require_id(agent_id, "agent_id")
        require_non_empty(key, "key")
        check_wait_timeout(wait_timeout)
        self._form = RecordCodec(name, agent_id, id_for(key), session=key)
        self._wait_timeout = wait_timeout

    def items(self, status: Status | None, clock: Clock) -> Workflow[list[Any]]:
        """The items of a status, or all, oldest first."""
        contents = yield from self._contents(clock)
        return [record.item for record in contents.of(status)]

    def add(self, entries: Sequence[HistoryItem], status: Status, clock: Clock) -> Workflow[None]:
        """Add items in order, all or none. Nothing is sent when one of them breaks a rule of the server."""
        yield from write(self._form.whole_batch(self._added(entries, status)), self._wait_timeout, clock)

    def replace(self, entries: Sequence[HistoryItem], status: Status, clock: Clock) -> Workflow[None]:
        """Remove all items and add others, all or none."""
        requests = [self._clearing(), *self._added(entries, status)]
        yield from write(self._form.whole_batch(requests), self._wait_timeout, clock)

    def clear(self, status: Status | None, clock: Clock) -> Workflow[None]:
        """Remove the items of a status, or all."""
        if status is None:
            yield from write([self._clearing()], self._wait_timeout, clock)
            return
        contents = yield from self._contents(clock)
        yield from self._change(contents.of(status), "removed", clock)

    def take_oldest(self, count: int, change: Change, clock: Clock) -> Workflow[list[Any]]:
        """Remove or archive the oldest active items; gives those that no other caller took first."""
        contents = yield from self._contents(clock)
        return (yield from self._change(contents.of("active")[: max(count, 0)], change, clock))

    def take_at(self, index: int, clock: Clock) -> Workflow[Any]:
        """Remove the active item at a place, counted from the oldest; None where there is none."""
        items = (yield from self._contents(clock)).of("active")
        if not 0 <= index < len(items):
            return None
        taken = yield from self._change([items[index]], "removed", clock)
        return taken[0] if taken else None

    def _contents(self, clock: Clock) -> Workflow[_Contents]:
        contents = _Contents()
        moments = self._form.newest_first(clock)
        while (records := (yield from moments.next())) is not None:
            if not all(map(contents.take, records)):
                break
        contents.items = [item for item in reversed(contents.items) if item.key not in contents.changes["removed"]]
        return contents

    def _added(self, entries: Sequence[HistoryItem], status: Status) -> list[AddMemoryRequest]:
        requests = [
            self._form.request(_ITEM, entry.item, content=entry.content, event_type=entry.event_type)
            for entry in entries
        ]
        if status == "active" or not requests:
            return requests
        return [*requests, self._changing([request.dedup_key or "" for request in requests], _ARCHIVED)]

    def _change(self, items: Sequence[Record], change: Change, clock: Clock) -> Workflow[list[Any]]:
        """Write that these items are removed or archived; gives those of which that is the first record."""
        if not items:
            return []
        request = self._changing([item.key for item in items], change)
        yield from write([request], self._wait_timeout, clock)
        if self._wait_timeout is None:
            return [item.item for item in items]
        taken = (yield from self._contents(clock)).changes[change]
        return [item.item for item in items if taken.get(item.key, request.dedup_key) == request.dedup_key]

    def _changing(self, keys: list[str], kind: str) -> AddMemoryRequest:
        content = f"{len(keys)} items were {kind}"
        return self._form.request(kind, json_text(keys, "keys"), content=content, event_type=f"items_{kind}")

    def _clearing(self) -> AddMemoryRequest:
        content = "All items before this were removed"
        return self._form.request(_CLEARED, "null", content=content, event_type="history_cleared")


def session_names(name: str, agent_id: str, clock: Clock) -> Workflow[list[str]]:
    """What the framework calls the sessions of an agent that have items, oldest first. Reads all its records."""
    require_id(agent_id, "agent_id")
    sessions: dict[str, _Contents] = {}
    closed: set[str] = set()
    moments = RecordCodec(name, agent_id).newest_first(clock)
    while (records := (yield from moments.next())) is not None:
        for record in records:
            session = record.session
            if (
                session is not None
                and session not in closed
                and not sessions.setdefault(session, _Contents()).take(record)
            ):
                closed.add(session)
    return [name for name, found in reversed(sessions.items()) if _has_items(found)]


def _has_items(contents: _Contents) -> bool:
    return any(item.key not in contents.changes["removed"] for item in contents.items)

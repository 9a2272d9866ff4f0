"""A conversation as records of one session: adding, reading, taking back the last item, clearing.

What is taken back stays on the server, which cannot delete. A record says that an item was removed, or that all before it
were; readers leave those out.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from memtrace import operations
from memtrace._runtime.workflows.keyset_pagination import PAGE_SIZE
from memtrace._runtime.workflows.steps import Workflow, run_operation
from memtrace._runtime.workflows.visibility import wait_until_all_visible
from memtrace.clock import Clock
from memtrace.integrations._records import Record, RecordCodec, check_wait_timeout, json_text, write
from memtrace.models import Memory
from memtrace.operations._validation import invalid, require_id

_ITEM, _REMOVED, _CLEARED = "item", "removed", "cleared"
_SPARE = 20


@dataclass(frozen=True, slots=True)
class HistoryItem:
    """An item to be added: its JSON text, the text for people, and the event type."""

    item: str = field(repr=False)
    content: str = field(repr=False)
    event_type: str


class History:
    """The history of one session of one agent, in records named `name`.

    Writes wait `wait_timeout` seconds until they can be read; None does not wait. Raises `InvalidRequestError` for ids that
    the server does not take.
    """

    def __init__(self, name: str, agent_id: str, session_id: str, wait_timeout: float | None) -> None:
        require_id(agent_id, "agent_id")
        require_id(session_id, "session_id")
        check_wait_timeout(wait_timeout)
        self._form = RecordCodec(name, agent_id, session_id)
        self._wait_timeout = wait_timeout
        self._lock = threading.Lock()
        #: The keys of items that were removed, or are being removed, as this object knows; reads may not show it yet.
        self._removed: set[str] = set()

    def items(self, limit: int | None, clock: Clock) -> Workflow[list[Any]]:
        """The items, oldest first; the newest `limit` of them. Raises `InvalidRequestError` for a limit below 0."""
        if limit is not None and limit < 0:
            raise invalid("limit", "0 or more", "it says how many items to give")
        found = yield from self._newest(limit, clock, frozenset())
        return [record.item for record in reversed(found)]

    def add(self, entries: Sequence[HistoryItem], clock: Clock) -> Workflow[None]:
        """Add items in order, all or none. Nothing is sent when one of them breaks a rule of the server."""
        requests = [
            self._form.request(_ITEM, entry.item, content=entry.content, event_type=entry.event_type)
            for entry in entries
        ]
        yield from write(self._form.whole_batch(requests), self._wait_timeout, clock)

    def pop(self, clock: Clock) -> Workflow[Any]:
        """Remove the last item and give it; None where there is none.

        Callers at once get different items: of the removals of one item the earliest counts, and every other caller goes on to
        the item before. Those of other processes are known only by reading, which a history that does not wait leaves out.
        """
        while found := (yield from self._newest(1, clock, self._known_removed())):
            last = found[0]
            if not self._reserve(last.key):
                continue  # another caller took it since it was read
            try:
                is_first = yield from self._remove(last, clock)
            except BaseException:
                self._release(last.key)
                raise
            if is_first:
                return last.item
        return None

    def _known_removed(self) -> frozenset[str]:
        with self._lock:
            return frozenset(self._removed)

    def _reserve(self, key: str) -> bool:
        """Whether no caller of this history has removed the item, or is about to; this one does now."""
        with self._lock:
            is_free = key not in self._removed
            self._removed.add(key)
            return is_free

    def _release(self, key: str) -> None:
        with self._lock:
            self._removed.discard(key)

    def _remove(self, record: Record, clock: Clock) -> Workflow[bool]:
        """Store a removal of this item; whether it is the one that counts."""
        removal = self._form.request(
            _REMOVED, json_text(record.key, "key"), content="The last item was taken back", event_type="item_removed"
        )
        memory = yield from run_operation(operations.add_memory(removal, "server"))
        if self._wait_timeout is None:
            return True
        yield from wait_until_all_visible([memory], self._wait_timeout, clock)
        return (yield from self._is_first(memory, record, clock))

    def _is_first(self, removal: Memory, record: Record, clock: Clock) -> Workflow[bool]:
        """Whether nobody removed an item before this removal did. What the server took before it can be read when it can."""
        first = ""
        moments = self._form.newest_first(clock, page_size=_SPARE)
        while (records := (yield from moments.next())) is not None:
            for each in records:
                if each.kind == _REMOVED and each.item == record.key:
                    first = each.key
                elif each.kind == _CLEARED and first:
                    return False
                elif each.key == record.key:
                    return first == removal.dedup_key
        return False

    def clear(self, clock: Clock) -> Workflow[None]:
        """Remove all items there are."""
        clearing = self._form.request(
            _CLEARED, "null", content="All items before this were removed", event_type="history_cleared"
        )
        yield from write([clearing], self._wait_timeout, clock)

    def _newest(self, limit: int | None, clock: Clock, besides: frozenset[str]) -> Workflow[list[Record]]:
        """The newest items that were not removed, the last one first."""
        found: list[Record] = []
        removed = set(besides)
        page_size = PAGE_SIZE if limit is None else min(PAGE_SIZE, limit + _SPARE)
        moments = self._form.newest_first(clock, page_size=page_size)
        while limit is None or len(found) < limit:
            records = yield from moments.next()
            if records is None:
                break
            removed |= {record.item for record in records if record.kind == _REMOVED and isinstance(record.item, str)}
            for record in records:
                if record.kind == _CLEARED:
                    return found[:limit]
                if record.kind == _ITEM and record.key not in removed:
                    found.append(record)
        return found[:limit]

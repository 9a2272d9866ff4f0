"""A conversation as records of one session: adding, reading, taking back the last item, clearing.

What is taken back stays on the server, which cannot delete. A record says that an item was removed, or that all before it
were; readers leave those out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from memtrace import operations
from memtrace._runtime.workflows.keyset_pagination import PAGE_SIZE
from memtrace._runtime.workflows.steps import Workflow, run_operation
from memtrace._runtime.workflows.visibility import wait_until_all_visible
from memtrace.clock import Clock
from memtrace.exceptions import ConflictError
from memtrace.integrations._records import Record, RecordCodec, json_text, write
from memtrace.operations._validation import check_non_negative_seconds, invalid, require_id

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
        if wait_timeout is not None:
            check_non_negative_seconds(wait_timeout, "wait_timeout")
        self._form = RecordCodec(name, agent_id, session_id)
        self._wait_timeout = wait_timeout

    def items(self, limit: int | None, clock: Clock) -> Workflow[list[Any]]:
        """The items, oldest first; the newest `limit` of them. Raises `InvalidRequestError` for a limit below 0."""
        if limit is not None and limit < 0:
            raise invalid("limit", "0 or more", "it says how many items to give")
        found = yield from self._newest(limit, clock, frozenset())
        return [record.item for record in reversed(found)]

    def add(self, entries: Sequence[HistoryItem], clock: Clock) -> Workflow[None]:
        """Add items in order. Nothing is sent when one of them breaks a rule of the server."""
        requests = [
            self._form.request(_ITEM, entry.item, content=entry.content, event_type=entry.event_type)
            for entry in entries
        ]
        yield from write(requests, self._wait_timeout, clock)

    def pop(self, clock: Clock) -> Workflow[Any]:
        """Remove the last item and give it; None where there is none.

        The key of the removal is made of the item's: of two that take back the same item, the server recognises the second where
        it comes a second later or more; of two at the same moment both may get the item, which is removed once.
        """
        taken: set[str] = set()
        while found := (yield from self._newest(1, clock, frozenset(taken))):
            last = found[0]
            try:
                yield from self._remove(last, clock)
            except ConflictError:
                taken.add(last.key)
            else:
                return last.item
        return None

    def _remove(self, record: Record, clock: Clock) -> Workflow[None]:
        removal = self._form.request(
            _REMOVED,
            json_text(record.key, "key"),
            content="The last item was taken back",
            event_type="item_removed",
            key=f"removed-{record.key}",
        )
        memory = yield from run_operation(operations.add_memory(removal, "server"))
        if self._wait_timeout is not None:
            yield from wait_until_all_visible([memory], self._wait_timeout, clock)

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

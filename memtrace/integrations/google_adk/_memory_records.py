"""The long-term memories of one user of an app as records, and what other programs stored for the same agent."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from google.adk.memory.memory_entry import MemoryEntry
from google.genai.types import Content, Part

from memtrace._runtime.workflows.searching import Searching
from memtrace._runtime.workflows.steps import Workflow
from memtrace.clock import Clock
from memtrace.integrations._records import RecordCodec, event_type_of, is_record, json_text, unreadable, write
from memtrace.integrations._relevant import relevant
from memtrace.integrations.google_adk._content import model_as_json, spoken
from memtrace.integrations.identifiers import id_for
from memtrace.models import AddMemoryRequest, Memory

_FORMAT = "google-adk-memory"
_MEMORY, _REMOVED = "memory", "removed"
_REMOVED_TAG = "google-adk-removed"


class MemoryRecords:
    """The memories of one agent. Writes wait `wait_timeout` seconds until they can be read; None does not wait."""

    def __init__(self, agent_id: str, wait_timeout: float | None) -> None:
        self._agent_id = agent_id
        self._wait_timeout = wait_timeout

    def store(self, entries: Sequence[MemoryEntry], session_id: str | None, clock: Clock) -> Workflow[None]:
        """Store what is not stored yet, all or none. Nothing is sent when one of them breaks a rule."""
        codec = RecordCodec(
            _FORMAT, self._agent_id, id_for(session_id) if session_id else None, session=session_id or None
        )
        requests = {
            request.dedup_key: request for request in (_request(codec, i, each) for i, each in enumerate(entries))
        }
        if not requests:
            return
        moments = codec.newest_first(clock)
        while requests and (records := (yield from moments.next())) is not None:
            for record in records:
                requests.pop(record.key, None)
        yield from write(codec.whole_batch([*requests.values()]), self._wait_timeout, clock)

    def remove(self, memory_id: str, clock: Clock) -> Workflow[None]:
        """Leave a memory out of all searches from now on."""
        item, content = json_text(memory_id, "memory_id"), "A memory was deleted"
        removal = RecordCodec(_FORMAT, self._agent_id).request(
            _REMOVED, item, content=content, event_type="memory_deleted", tags=[_REMOVED_TAG]
        )
        yield from write([removal], self._wait_timeout, clock)

    def search(self, query: str, limit: int, searching: Searching) -> Workflow[list[MemoryEntry]]:
        """The memories that are relevant to a query and not removed, the most relevant first."""
        codec = RecordCodec(_FORMAT, self._agent_id)
        removed: set[str] = set()
        moments = codec.newest_first(searching.clock, tags=[_REMOVED_TAG])
        while (records := (yield from moments.next())) is not None:
            removed |= {record.item for record in records if record.kind == _REMOVED and isinstance(record.item, str)}

        def is_wanted(memory: Memory) -> bool:
            entry = _entry(codec, memory)
            return entry is not None and entry.id not in removed

        hits = yield from relevant(
            query, agent_id=self._agent_id, limit=limit, is_wanted=is_wanted, searching=searching
        )
        return [entry for hit in hits if (entry := _entry(codec, hit.memory)) is not None]


def _request(codec: RecordCodec, index: int, entry: MemoryEntry) -> AddMemoryRequest:
    entry = entry.model_copy(update={"id": entry.id or uuid4().hex})
    field = f"memories[{index}]"
    key = hashlib.sha256(json_text([codec.session_id, entry.id], field).encode()).hexdigest()
    return codec.request(
        _MEMORY,
        json_text(model_as_json(entry, field), field),
        content=spoken(entry.content),
        event_type=event_type_of(f"{entry.author}_message" if entry.author else "memory"),
        key=f"{_FORMAT}-{key}",
    )


def _entry(codec: RecordCodec, memory: Memory) -> MemoryEntry | None:
    """A memory as the kit has it; None for a record that is none, or of another integration."""
    record = codec.record_of(memory)
    if record is not None and record.kind == _MEMORY:
        try:
            return MemoryEntry.model_validate(record.item)
        except ValueError:
            raise unreadable(_FORMAT, "memory of the kit") from None
    if is_record(memory):
        return None
    metadata: dict[str, Any] = dict(memory.metadata or {})
    return MemoryEntry(
        id=memory.dedup_key,
        content=Content(role="user", parts=[Part(text=memory.content)]),
        timestamp=memory.occurred_at.isoformat(),
        custom_metadata=metadata,
    )

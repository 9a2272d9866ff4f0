"""CrewAI's records as memories: each change and each deletion is one, and the newest of an ID counts."""

from __future__ import annotations

import base64
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from crewai.memory.types import MemoryRecord
from numpy.typing import NDArray

from memtrace._runtime.local_index import LATENESS
from memtrace._runtime.workflows.steps import Workflow
from memtrace.clock import Clock
from memtrace.integrations._records import Order, Record, RecordCodec, json_text, unreadable, write
from memtrace.models import AddMemoryRequest
from memtrace.operations._time_bounds import beside
from memtrace.operations._validation import BATCH_SIZE

if TYPE_CHECKING:
    from memtrace._runtime.dispatch import Dispatcher

_FORMAT = "crewai"
_PUT, _DELETED = "put", "deleted"


class StoredRecord(NamedTuple):
    """A record without its vector, and the vector: a list of numbers would take ten times its memory."""

    record: MemoryRecord
    vector: NDArray[np.float32] | None

    def whole(self) -> MemoryRecord:
        """The record with its vector."""
        return self.record.model_copy(update={"embedding": None if self.vector is None else self.vector.tolist()})


class RecordLog:
    """The records of one agent. Each reading adds newer events, in any order, to what this process knows."""

    def __init__(self, dispatcher: Dispatcher, agent_id: str, wait_timeout: float | None) -> None:
        self._dispatcher = dispatcher
        self._codec = RecordCodec(_FORMAT, agent_id, memory_type="entity")
        self._wait_timeout = wait_timeout
        #: Held while events are applied, never during I/O.
        self._lock = threading.Lock()
        #: The newest event of each ID: its order, and the record, or None if it was deleted.
        self._known: dict[str, tuple[Order, StoredRecord | None]] = {}
        self._newest: datetime | None = None

    def records(self) -> list[StoredRecord]:
        """The records as they are now, in no order. Raises what reading raises."""
        events = self._dispatcher.run(self._newer(self._newest, self._dispatcher.settings.clock))
        with self._lock:
            for event in events:
                self._apply(event)
            return [record for _, record in self._known.values() if record is not None]

    def put(self, records: Sequence[MemoryRecord]) -> None:
        """Store records. Nothing is sent if one is not JSON, or breaks a rule of the server."""
        self._write([self._request(record, f"records[{place}]") for place, record in enumerate(records)])

    def delete(self, ids: Sequence[str]) -> None:
        """Store that records are deleted."""
        parts = [[*ids[start : start + BATCH_SIZE]] for start in range(0, len(ids), BATCH_SIZE)]
        self._write(
            [
                self._codec.request(
                    _DELETED,
                    json_text({"ids": part}, "record_ids"),
                    content=f"{len(part)} records were deleted",
                    event_type="records_deleted",
                )
                for part in parts
            ]
        )

    def _write(self, requests: Sequence[AddMemoryRequest]) -> None:
        if requests:
            self._dispatcher.run(write(requests, self._wait_timeout, self._dispatcher.settings.clock))

    def _request(self, record: MemoryRecord, field: str) -> AddMemoryRequest:
        json_text(record.metadata, f"{field}.metadata")  # pydantic would write other values, such as null for NaN
        fields = record.model_dump(mode="json")
        vector = None if record.embedding is None else _encoded(record.embedding)
        return self._codec.request(
            _PUT,
            json_text({"record": fields, "vector": vector}, f"{field}.metadata"),
            content=record.content,
            event_type="record_put",
        )

    def _newer(self, newest: datetime | None, clock: Clock) -> Workflow[list[Record]]:
        """The events since the newest one that is known, and those that may have become visible late."""
        since = None if newest is None else beside(newest, -LATENESS)
        stream, found = self._codec.newest_first(clock, since=since), list[Record]()
        while (records := (yield from stream.next())) is not None:
            found += records
        return found

    def _apply(self, event: Record) -> None:
        self._newest = max(self._newest or event.memory.time, event.memory.time)
        for record_id, record in _changes(event).items():
            if record_id not in self._known or self._known[record_id][0] < event.order:
                self._known[record_id] = event.order, record


def _changes(event: Record) -> Mapping[str, StoredRecord | None]:
    """The records that an event stores, and None for those that it deletes."""
    try:
        if event.kind == _DELETED:
            return dict.fromkeys(event.item["ids"])
        record = MemoryRecord.model_validate(event.item["record"])
        return {record.id: StoredRecord(record, _decoded(event.item["vector"]))}
    except (KeyError, TypeError, ValueError):  # pydantic's error is a ValueError
        raise unreadable(_FORMAT, "record") from None


def _encoded(vector: Sequence[float]) -> str:
    return base64.b64encode(np.asarray(vector, "<f4").tobytes()).decode()


def _decoded(vector: str | None) -> NDArray[np.float32] | None:
    return None if vector is None else np.frombuffer(base64.b64decode(vector), "<f4")

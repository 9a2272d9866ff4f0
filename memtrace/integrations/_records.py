"""How a framework's items are kept: one memory each, which people can read and from which the item comes back exactly.

==============  =======================================================================================
field           content
==============  =======================================================================================
``content``     the item as readable text, which is never parsed
``tags``        the name of the format first, by which records are found
``dedup_key``   the record's own key, so that equal items are all kept
``metadata``    ``record``: its kind, ``item``: the item as JSON text, since the server changes large
                numbers and the order of keys, ``sequence``: the order among records of one microsecond,
                ``batch``: of what takes several requests, and counts once a record says that all are there,
                ``session``: the framework's name of the session as JSON text, where the id is made of it
==============  =======================================================================================

A memory cannot be changed or deleted, so that a change is another record, which readers apply.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from typing import Any
from uuid import uuid4

from memtrace._runtime.workflows.batches import CHUNK_BYTES, Batch, BatchItem, check_all, send_chunk, stored_rows
from memtrace._runtime.workflows.keyset_pagination import PAGE_SIZE, Paginator
from memtrace._runtime.workflows.listing import paginate
from memtrace._runtime.workflows.steps import Workflow
from memtrace._runtime.workflows.visibility import wait_until_all_visible
from memtrace._support.characters import has_half_character, whole_characters
from memtrace.clock import Clock
from memtrace.exceptions import InvalidRequestError, ResponseDecodeError
from memtrace.integrations._errors import InvalidTypeError, invalid_type
from memtrace.models import AddMemoryRequest, ListOptions, Memory, MemoryType
from memtrace.operations._validation import BATCH_SIZE, check_non_negative_seconds, check_type
from memtrace.outcomes import BatchResult, Outcome

_DEEPEST = 100
_RULE = f"JSON: strings as keys, finite numbers, at most {_DEEPEST} levels"
_SEQUENCE = itertools.count(1)

Order = tuple[datetime, int, str]
"""The sort key of records: the later one has the greater key."""
_COMMITTED = "committed"


# ---- values ---------------------------------------------------------------------------------------------------------


def json_text(value: object, field: str) -> str:
    """`value` as JSON that preserves it exactly, except tuples, which become lists.

    Raises `InvalidTypeError`, which names `field` and never the value, for what JSON would change or cannot hold.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise _no_json(field) from None
    _check_depth_and_keys(value, field)
    # Half a character can be sent only as an escape.
    return json.dumps(value) if has_half_character(text) else text


def _check_depth_and_keys(value: object, field: str) -> None:
    """Walk over the containers, level by level. `value` holds no circle."""
    level = [value]
    for _ in range(_DEEPEST + 1):
        inner: list[object] = []
        for each in level:
            if isinstance(each, dict):
                if not all(isinstance(key, str) for key in each):
                    raise _no_json(field)
                inner += each.values()
            elif isinstance(each, (list, tuple)):
                inner += each
        if not inner:
            return
        level = inner
    raise _no_json(field)


def _no_json(field: str) -> InvalidTypeError:
    return invalid_type(field, _RULE, "it could not be given back as it is")


def hex_digest(text: str) -> str:
    """A string as 32 hex digits, for a tag, which has 64 characters of few kinds."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def event_type_of(name: object) -> str:
    """`name` as an event type where the server takes it as one, else ``item``."""
    if not isinstance(name, str) or not name:
        return "item"
    try:
        check_type(name, "event_type")
    except InvalidRequestError:
        return "item"
    return name


# ---- records --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Record:
    """One record that was read: its kind, the item's JSON value, the key, and the memory that it is."""

    kind: str
    item: Any = field(repr=False)
    key: str
    sequence: int
    memory: Memory = field(repr=False)
    #: What the framework calls the session, where its id is made of that.
    session: str | None = None
    #: What it was written with, where that took several requests.
    batch: str | None = None

    @property
    def order(self) -> Order:
        """Greater than that of each record that was written before it: by the server's time, then by the writing process."""
        return self.memory.time, self.sequence, self.key


@dataclass(frozen=True, slots=True)
class RecordCodec:
    """The records of one framework and one agent; of one session, where that is given."""

    #: The tag of each record.
    name: str
    agent_id: str
    session_id: str | None = None
    memory_type: MemoryType = "episodic"
    #: What the framework calls the session, where its id is made of that.
    session: str | None = None

    def request(
        self,
        kind: str,
        item: str,
        *,
        content: str,
        event_type: str,
        tags: Sequence[str] = (),
        details: Mapping[str, object] | None = None,
        key: str | None = None,
    ) -> AddMemoryRequest:
        """A new record: `item` is JSON text, `content` is for people, `details` are kept beside the item.

        Without a `key` it gets a unique one.
        """
        return AddMemoryRequest(
            agent_id=self.agent_id,
            session_id=self.session_id,
            memory_type=self.memory_type,
            event_type=event_type,
            content=whole_characters(content),
            metadata={
                "record": kind,
                "item": item,
                "sequence": next(_SEQUENCE),
                **({} if self.session is None else {"session": json_text(self.session, "session")}),
                **(details or {}),
            },
            tags=[self.name, *tags],
            dedup_key=key or uuid4().hex,
        )

    def whole_batch(self, requests: Sequence[AddMemoryRequest]) -> list[AddMemoryRequest]:
        """New records that all count or none: of several requests, the last one may fail.

        Raises `InvalidRequestError` and `PayloadTooLargeError` for a record that the server would not take.
        """
        sizes = [len(BatchItem(index, request, "server").body) + 1 for index, request in enumerate(requests)]
        if len(requests) <= BATCH_SIZE and sum(sizes) <= CHUNK_BYTES:
            return list(requests)
        batch = uuid4().hex
        marked = [
            request.model_copy(update={"metadata": {**(request.metadata or {}), "batch": batch}})
            for request in requests
        ]
        content = f"{len(requests)} items were stored"
        return [
            *marked,
            self.request(_COMMITTED, json_text(batch, "batch"), content=content, event_type="batch_stored"),
        ]

    def newest_first(
        self,
        clock: Clock,
        *,
        page_size: int = PAGE_SIZE,
        tags: Sequence[str] = (),
        memory_type: MemoryType | None = None,
        since: datetime | None = None,
    ) -> RecordStream:
        """All records that have these tags, this type and a later time, newest first; `page_size` rows are read at once."""
        options = ListOptions(
            agent_id=self.agent_id,
            session_id=self.session_id,
            tags=[self.name, *tags],
            memory_type=memory_type,
            since=since,
        )
        return RecordStream(self, paginate(options, clock, "memories.list", None, page_size))

    def record_of(self, memory: Memory) -> Record | None:
        """The record that a memory is; None for a memory of somebody else.

        Raises `ResponseDecodeError` for a record whose item is none.
        """
        metadata = memory.metadata or {}
        kind, sequence = metadata.get("record"), metadata.get("sequence")
        if self.name not in (memory.tags or ()) or not isinstance(kind, str) or not isinstance(sequence, int):
            return None
        try:
            item, session = json.loads(metadata["item"]), json.loads(metadata.get("session", "null"))
        except (KeyError, TypeError, ValueError, RecursionError):
            raise unreadable(self.name, "item in its metadata") from None
        return Record(
            kind,
            item,
            memory.dedup_key or "",
            sequence,
            memory,
            session if isinstance(session, str) else None,
            metadata.get("batch"),
        )


def is_record(memory: Memory) -> bool:
    """Whether a memory is a record of any format."""
    return {"record", "item", "sequence"} <= (memory.metadata or {}).keys()


def unreadable(name: str, lacking: str) -> ResponseDecodeError:
    """The error for a memory that calls itself a record of this format and is none."""
    return ResponseDecodeError(
        f"a record of {name} holds no {lacking}",
        hint=f"another program wrote it: memories.list(tags={name!r}) shows the records",
    )


class RecordStream:
    """Records newest first, a moment at a time: those of one microsecond come together.

    The server gives these in any order; here they stand in the order in which one process wrote them, the last one first.
    What belongs to a batch of which not all was stored is left out.
    """

    def __init__(self, form: RecordCodec, paginator: Paginator) -> None:
        self._form = form
        self._paginator = paginator
        self._rows: list[Memory] = []
        self._committed: set[str] = set()

    def next(self) -> Workflow[list[Record] | None]:
        """The records of the next moment, maybe none; None at the end. Raises what reading raises."""
        while not self._paginator.ended and (not self._rows or self._rows[0].time == self._rows[-1].time):
            self._rows += yield from self._paginator.next_page()
        if not self._rows:
            return None
        moment = list(takewhile(lambda row: row.time == self._rows[0].time, self._rows))
        del self._rows[: len(moment)]
        records = [record for record in map(self._form.record_of, moment) if record is not None]
        records.sort(key=lambda record: (record.sequence, record.key), reverse=True)
        self._committed |= {
            record.item for record in records if record.kind == _COMMITTED and isinstance(record.item, str)
        }
        return [record for record in records if record.batch is None or record.batch in self._committed]


# ---- writing --------------------------------------------------------------------------------------------------------


def check_wait_timeout(seconds: float | None) -> None:
    """Refuse a negative time to wait for a write; None does not wait."""
    if seconds is not None:
        check_non_negative_seconds(seconds, "wait_timeout")


def write(requests: Sequence[AddMemoryRequest], wait_timeout: float | None, clock: Clock) -> Workflow[list[Memory]]:
    """Store records in order and wait until all can be read, `wait_timeout` seconds at most; None does not wait.

    Nothing is sent when one of them breaks a rule of the server. Raises as `add_memories` does, and as `wait_until_visible`.
    """
    batch = Batch(
        check_all(requests), "server", chunk_size=BATCH_SIZE, max_concurrency=1, on_failure="stop", progress=None
    )
    outcomes: list[Outcome] = []
    for chunks in batch.rounds():
        for chunk in chunks:
            batch.record((yield from send_chunk(chunk)))
        outcomes += batch.outcomes()
    rows = stored_rows(BatchResult.of(outcomes))
    if wait_timeout is not None:
        yield from wait_until_all_visible(rows, wait_timeout, clock)
    return rows

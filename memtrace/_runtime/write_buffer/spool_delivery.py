"""Sending what is in a spool: in order, by one process at a time, each memory once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING

from memtrace._runtime.workflows.batches import CHUNK_BYTES, item_body, send_requests
from memtrace._runtime.workflows.steps import Workflow, run_blocking, run_operation
from memtrace._runtime.write_buffer.reporting import aborted
from memtrace._runtime.write_buffer.spool import Spool, SpooledMemory
from memtrace._support.error_text import excerpt
from memtrace._support.timestamps import EPOCH
from memtrace.exceptions import InvalidRequestError, MemtraceError, PayloadTooLargeError
from memtrace.models import AddMemoryRequest, ListOptions
from memtrace.operations import Operation, list_memories
from memtrace.operations._recovery import server_date
from memtrace.operations._sent_memories import CallKey
from memtrace.operations._validation import BATCH_SIZE
from memtrace.outcomes import Outcome, OutcomeStatus
from memtrace.transport import Response

if TYPE_CHECKING:
    from memtrace._runtime.config import Settings

_MARGIN = timedelta(minutes=1)
"""By how much the clocks of a server's processes may differ."""


@dataclass(slots=True)
class Delivery:
    """What one go at a spool came to: the outcomes that were asked for, by number, and how many there are of each kind in all."""

    outcomes: dict[int, Outcome] = field(default_factory=dict[int, Outcome])
    counts: Counter[OutcomeStatus] = field(default_factory=Counter[OutcomeStatus])
    #: Why something is left.
    error: MemtraceError | None = None
    #: Whether another process is sending, so that this one has not.
    is_busy: bool = False


class Outbox:
    """One process's adding to a spool and sending out of it."""

    def __init__(
        self,
        path: str,
        settings: Settings,
        max_items: int = BATCH_SIZE,
        *,
        create: bool = True,
        take_over: bool = False,
    ) -> None:
        self.spool: Spool = Spool(path, settings, create=create, take_over=take_over)
        self._clock = settings.clock
        self._max_items = max_items
        #: A moment by the server's clock that has passed.
        self._server_time: datetime | None = None

    def add(self, request: AddMemoryRequest) -> int:
        """Keep a memory that breaks no rule and has its key; gives its number in the file."""
        return self.spool.add(item_body(request), is_unique=isinstance(request.dedup_key, CallKey))

    def deliver(self, wanted: Sequence[int] = ()) -> Workflow[Delivery]:
        """Send, in order, what others have added until now, and what this process has up to the last number of `wanted`.

        Raises nothing of the SDK's: an error ends it early.
        """
        delivery = Delivery()
        try:
            if (yield from run_blocking(self.spool.take_role, self.spool.thread)):
                try:
                    yield from self._send(delivery, wanted)
                finally:
                    self.spool.release_role()
            else:
                delivery.is_busy = True
            yield from self._add_settled(delivery, wanted)
        except MemtraceError as error:
            delivery.error = error
        return delivery

    @staticmethod
    def aborted(error: BaseException) -> Delivery:
        """What a go came to that ended with something that is no error of the SDK."""
        return Delivery(error=aborted(error).error)

    def _send(self, delivery: Delivery, wanted: Sequence[int]) -> Workflow[None]:
        spool, wanted_numbers = self.spool, set(wanted)
        up_to, own_up_to = (yield from run_blocking(spool.newest, spool.thread)), wanted[-1] if wanted else 0
        while up_to and delivery.error is None:
            since = yield from self._time_of_server()
            taking = partial(spool.take, up_to, own_up_to, (self._max_items, CHUNK_BYTES), since)
            memories = yield from run_blocking(taking, spool.thread)
            if not memories:
                return
            # what others left is marked with the times of their requests: the earliest is before all of them
            marks = [memory.sent_since for memory in memories if memory.sent_since is not None]
            outcomes = yield from send_requests([memory.request for memory in memories], min(marks, default=None))
            yield from self._note(delivery, memories, outcomes)
            delivery.outcomes.update(
                (memory.number, outcome)
                for memory, outcome in zip(memories, outcomes, strict=True)
                if memory.number in wanted_numbers and _is_known(memory, outcome)
            )

    def _note(
        self, delivery: Delivery, memories: Sequence[SpooledMemory], outcomes: Sequence[Outcome]
    ) -> Workflow[None]:
        stored: list[int] = []
        unsent: list[int] = []
        refused: dict[int, str] = {}
        for memory, outcome in zip(memories, outcomes, strict=True):
            if outcome.error is None:
                stored += [memory.number] if _is_known(memory, outcome) else []
            elif _is_refused(outcome):
                refused[memory.number] = _reason(outcome.error, memory.request)
            else:
                delivery.error = delivery.error or outcome.error
                if outcome.status == "failed":
                    unsent.append(memory.number)
            if outcome.memory is not None and self._server_time is not None:
                self._server_time = max(self._server_time, outcome.memory.time - _MARGIN)
        yield from run_blocking(partial(self.spool.note, stored, unsent, refused), self.spool.thread)
        pairs = zip(memories, outcomes, strict=True)
        delivery.counts.update(outcome.status for memory, outcome in pairs if _is_known(memory, outcome))

    def _add_settled(self, delivery: Delivery, wanted: Sequence[int]) -> Workflow[None]:
        """Add what other processes have sent in the meantime: the rows are not known here."""
        missing = [number for number in wanted if number not in delivery.outcomes]
        if missing:
            found = yield from run_blocking(partial(self.spool.settled, missing), self.spool.thread)
            for number, reason in found.items():
                error = None if reason is None else InvalidRequestError(reason)
                delivery.outcomes[number] = Outcome(0, "stored" if reason is None else "failed", error=error)

    def _time_of_server(self) -> Workflow[datetime]:
        """A past time of the server's clock: memories sent from now on are later. Raises if the server is down."""
        if self._server_time is None:
            newest = list_memories(ListOptions(since="1m", limit=1), self._clock)

            def read(response: Response) -> datetime:
                newest.parse(response)
                date = server_date(response)
                return EPOCH if date is None else datetime.fromtimestamp(date, timezone.utc) - _MARGIN

            self._server_time = yield from run_operation(
                Operation(newest.name, newest.method, newest.target, read, "read")
            )
        return self._server_time


def _is_known(memory: SpooledMemory, outcome: Outcome) -> bool:
    """Whether this is what became of it. Nothing new has a key that nothing else has: a duplicate of it is looked for, once."""
    if outcome.status == "duplicate" and memory.sent_since is None:
        return not isinstance(memory.request.dedup_key, CallKey)
    return outcome.error is None or _is_refused(outcome)


def _is_refused(outcome: Outcome) -> bool:
    """Whether the server takes this memory at no time."""
    return outcome.status == "failed" and isinstance(outcome.error, (InvalidRequestError, PayloadTooLargeError))


_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


def _reason(error: MemtraceError, request: AddMemoryRequest) -> str:
    """Why the server rejects a memory, without the memory's content: no quoted part, and none of its strings."""
    text = _QUOTED.sub("'…'", error.message)
    fields = request.model_dump(exclude_none=True)
    for value in sorted(_texts(fields), key=len, reverse=True):
        if len(value) > _SHORT:
            text = text.replace(value, "…")
    return excerpt(text, 300)


_SHORT = 3


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in _texts(part)]
    if isinstance(value, list):
        return [text for part in value for text in _texts(part)]
    return []

"""Memories stored in requests of a size that the server takes well, and what became of each item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import replace
from datetime import datetime
from typing import get_args

from memtrace._runtime.progress import tell, tell_async
from memtrace._runtime.workflows.steps import Workflow, run_operation
from memtrace._support.numbers import is_int
from memtrace._support.tracebacks import drop_own_frames
from memtrace.exceptions import InvalidRequestError, MemtraceError, PayloadTooLargeError, ResponseDecodeError
from memtrace.models import AddMemoryRequest, Memory
from memtrace.operations import AddedMemories, Dedup, add_memories, memory_body
from memtrace.operations._endpoints import MAX_BODY, with_dedup_key
from memtrace.operations._server_messages import refused_item
from memtrace.operations._validation import invalid
from memtrace.outcomes import BatchProgress, BatchResult, OnFailure, Outcome, OutcomeStatus, Progress

_FRAME = len(b'{"memories":[]}')
CHUNK_BYTES = MAX_BODY - _FRAME
"""Bytes of the items of a request, with a comma between each two."""
_MOST_ITEMS = 1000
_MOST_REQUESTS = 64


class BatchItem:
    """One valid item of a batch: its place and its bytes.

    Raises `InvalidRequestError` and `PayloadTooLargeError`, with its place, for what the server would not take.
    """

    __slots__ = ("body", "index", "request")

    def __init__(self, index: int, request: AddMemoryRequest, dedup: Dedup) -> None:
        if not isinstance(request, AddMemoryRequest):
            raise invalid(f"memories[{index}]", "an AddMemoryRequest", f"{type(request).__name__} was given")
        if dedup == "per_call" and not request.dedup_key:
            request = with_dedup_key(request)
        self.request: AddMemoryRequest = request
        self.index: int = index
        try:
            self.body: bytes = item_body(request)
        except MemtraceError as error:
            raise _with_index(error, index) from None


def item_body(request: AddMemoryRequest) -> bytes:
    """One memory as it is sent in a batch.

    Raises `InvalidRequestError` for what the server would refuse; `PayloadTooLargeError` when a batch of it alone is over 4 MiB.
    """
    body = memory_body(request)
    if len(body) > CHUNK_BYTES:
        raise PayloadTooLargeError(f"the request body has {len(body) + _FRAME} bytes; the server takes {MAX_BODY}", 0)
    return body


Chunk = Sequence[BatchItem]
"""The items of one request."""


def check_all(requests: Iterable[AddMemoryRequest]) -> list[AddMemoryRequest]:
    """All of `requests`, none of which breaks a rule. Raises as `BatchItem` does."""
    return [BatchItem(index, request, "server").request for index, request in enumerate(requests)]


def stored_rows(result: BatchResult) -> list[Memory]:
    """The rows that were stored. Raises the server's own error when nothing was stored, else `BatchError`."""
    first_error = next((outcome.error for outcome in result if outcome.error is not None), None)
    if first_error is not None and not result.stored and not result.duplicates:
        raise first_error
    result.raise_for_failures()
    return result.stored


# ---- one request ----------------------------------------------------------------------------------------------------


class ChunkResult:
    """What became of the items of one request: their outcomes, why the request failed if it did, and what was left unsent."""

    __slots__ = ("error", "outcomes", "remainder")

    def __init__(self, outcomes: list[Outcome], error: MemtraceError | None = None, remainder: Chunk = ()) -> None:
        self.outcomes: list[Outcome] = outcomes
        self.error: MemtraceError | None = error
        self.remainder: Chunk = remainder


def send_chunk(chunk: Chunk, sent_since: datetime | None = None) -> Workflow[ChunkResult]:
    """Store the items of one request. The server stores the items before one that it refuses, and no later item.

    Items that a process which ended may have sent, at `sent_since` or later, are looked up first.
    """
    try:
        operation = add_memories([item.request for item in chunk], [item.body for item in chunk])
        answer = yield from run_operation(replace(operation, sent_since=sent_since) if sent_since else operation)
        if answer.rejected is None:
            unsent = _unsent(answer, len(chunk))
            outcomes = [outcome for place, outcome in enumerate(_outcomes(chunk, answer)) if place not in unsent]
            return ChunkResult(outcomes, remainder=[chunk[place] for place in unsent])
        place = min(answer.rejected.item, len(chunk) - 1)
        bad = InvalidRequestError(answer.rejected.error, 500)
        outcomes = [*_outcomes(chunk[:place], answer), Outcome(chunk[place].index, "failed", error=bad)]
        return ChunkResult(outcomes, bad, chunk[place + 1 :])
    except MemtraceError as error:
        return _failed(chunk, error)


def send_requests(requests: Iterable[AddMemoryRequest], sent_since: datetime | None = None) -> Workflow[list[Outcome]]:
    """Store memories that fit into one request, break no rule and have their keys; returns the outcomes in order.

    Items after one that the server refuses, and items that a lost request left out, are sent in another request. Items that a
    process which ended may have sent, at `sent_since` or later by the server's clock, are looked up first.
    """
    outcomes: list[Outcome] = []
    remainder: Chunk = [BatchItem(index, request, "server") for index, request in enumerate(requests)]
    while remainder:
        sent = yield from send_chunk(remainder, sent_since)
        outcomes += sent.outcomes
        remainder, sent_since = sent.remainder, None  # which is surely not stored
    return sorted(outcomes, key=lambda outcome: outcome.index)


def _failed(chunk: Chunk, error: MemtraceError) -> ChunkResult:
    drop_own_frames(error)  # whoever raises it again would show the way to here
    refused = refused_item(error.message)
    if refused is None or refused >= len(chunk):
        status: OutcomeStatus = "unknown" if error.maybe_applied else "failed"
        return ChunkResult([Outcome(item.index, status, error=error) for item in chunk], error)
    before = [Outcome(item.index, "unknown", error=error) for item in chunk[:refused]]
    bad = InvalidRequestError(error.message, error.status_code)  # the other says that some may have been stored
    return ChunkResult([*before, Outcome(chunk[refused].index, "failed", error=bad)], error, chunk[refused + 1 :])


def _outcomes(chunk: Chunk, answer: AddedMemories) -> list[Outcome]:
    """What became of each item: those of duplicates have no row."""
    if answer.places is None:
        unreadable = ResponseDecodeError("the response to a batch has memories that were not sent")
        unreadable.maybe_applied = True
        raise unreadable
    rows = dict(zip(answer.places, answer.memories, strict=True))
    return [_outcome(item, rows.get(place)) for place, item in enumerate(chunk)]


def _unsent(answer: AddedMemories, count: int) -> list[int]:
    """The places of items that are sent in another request; always fewer than were sent."""
    there = set(answer.unsent).difference(answer.places or ())
    return [place for place in range(count) if place in there] if answer.memories else []


def _outcome(item: BatchItem, row: Memory | None) -> Outcome:
    return Outcome(item.index, "duplicate" if row is None else "stored", memory=row)


# ---- all of them ----------------------------------------------------------------------------------------------------


class Batch:
    """The state of a batch: the next requests, and the progress. It takes items as it goes.

    Both clients do the same with it: for each round of `rounds` they run its chunks, hand in what came of each, and give out the
    outcomes. Raises `InvalidRequestError` for what is no iterable, and for a `chunk_size` or a `max_concurrency` out of bounds.
    """

    def __init__(
        self,
        requests: Iterable[AddMemoryRequest],
        dedup: Dedup,
        *,
        chunk_size: int,
        max_concurrency: int,
        on_failure: OnFailure,
        progress: Progress | None,
    ) -> None:
        _check_several(requests)
        _check_between(chunk_size, "chunk_size", _MOST_ITEMS)
        _check_between(max_concurrency, "max_concurrency", _MOST_REQUESTS)
        if on_failure not in get_args(OnFailure):
            raise invalid("on_failure", " or ".join(map(repr, get_args(OnFailure))), "there is no other")
        self.max_concurrency = max_concurrency
        self._size = chunk_size
        self._stops = on_failure == "stop"
        self._failure: MemtraceError | None = None
        self._known: list[Outcome] = []
        self._remainder: list[Chunk] = []
        self._tell = progress
        self._is_untold = False
        self._progress = BatchProgress(total=len(requests) if isinstance(requests, Sized) else None)
        self._chunks = self._cut(requests, dedup)

    def rounds(self) -> Iterator[list[Chunk]]:
        """The requests of each round, sent at once. A round may be empty, with outcomes to return."""
        while True:
            chunks, self._remainder = self._remainder[: self.max_concurrency], self._remainder[self.max_concurrency :]
            raised = self._fill(chunks)
            if chunks and self._stops and self._failure is not None:
                self._known += [_skipped(item, self._failure) for chunk in chunks for item in chunk]
                chunks = []
            elif not chunks and not self._known and raised is None:
                return
            yield chunks
            if raised is not None:
                raise raised

    def _fill(self, chunks: list[Chunk]) -> Exception | None:
        """Add what is to be sent next; what taking an item raised comes after the items before it."""
        while len(chunks) < self.max_concurrency:
            try:
                chunk = next(self._chunks, None)
            except Exception as error:  # noqa: BLE001  # what was taken before it is sent first
                return error
            if not chunk:
                return None  # the end, or many invalid items that are to be told
            chunks.append(chunk)
        return None

    def record(self, sent: ChunkResult) -> None:
        """Hand in what became of a chunk."""
        self._known += sent.outcomes
        if sent.error is not None and self._failure is None:
            self._failure = sent.error
        if sent.remainder:
            self._remainder.append(sent.remainder)

    def outcomes(self) -> Iterator[Outcome]:
        """New outcomes. Call `tell` afterwards."""
        known, self._known = self._known, []
        yield from known
        counts = Counter([outcome.status for outcome in known])
        now = self._progress
        self._progress = BatchProgress(
            stored=now.stored + counts["stored"],
            duplicate=now.duplicate + counts["duplicate"],
            failed=now.failed + counts["failed"],
            unknown=now.unknown + counts["unknown"],
            total=now.total,
        )
        self._is_untold = bool(known)

    def tell(self) -> None:
        """Call `progress` where outcomes were new."""
        if self._is_untold and self._tell is not None:
            tell(self._tell, self._progress)

    async def tell_async(self) -> None:
        """Call `progress` where outcomes were new, and await what it gives."""
        if self._is_untold and self._tell is not None:
            await tell_async(self._tell, self._progress)

    def _cut(self, requests: Iterable[AddMemoryRequest], dedup: Dedup) -> Iterator[list[BatchItem]]:
        """Chunks of valid items; an empty one where there is something to tell. What `requests` raises comes after the rest."""
        chunk: list[BatchItem] = []
        size = 0
        try:
            for item in self._items(requests, dedup):
                if item is None:
                    yield []
                    continue
                if chunk and size + 1 + len(item.body) > CHUNK_BYTES:
                    yield chunk
                    chunk, size = [], 0
                size += len(item.body) + bool(chunk)  # and a comma
                chunk.append(item)
                if len(chunk) == self._size:
                    yield chunk
                    chunk, size = [], 0
        except Exception:
            if chunk:
                yield chunk
            raise
        if chunk:
            yield chunk

    def _items(self, requests: Iterable[AddMemoryRequest], dedup: Dedup) -> Iterator[BatchItem | None]:
        """The valid items; None after so many invalid ones as a chunk has, which are known by then."""
        invalid = 0
        for index, request in enumerate(requests):
            try:
                item = BatchItem(index, request, dedup)
            except MemtraceError as error:
                self._known.append(Outcome(index, "failed", error=error))
                invalid += 1
                if invalid % self._size == 0:
                    yield None
            else:
                yield item


def _check_several(requests: object) -> None:
    """Refuse what cannot be iterated over, and one memory, a string or a mapping, which give no memories then."""
    if isinstance(requests, (AddMemoryRequest, str, bytes, Mapping)) or not isinstance(requests, Iterable):
        raise invalid("requests", "an iterable of AddMemoryRequest", f"{type(requests).__name__} was given")


def _check_between(value: object, name: str, largest: int) -> None:
    if not is_int(value) or not 1 <= value <= largest:
        raise invalid(name, f"a whole number from 1 to {largest}", "no other makes sense")


def _with_index(error: MemtraceError, index: int) -> MemtraceError:
    """The same error, with the item's place."""
    if isinstance(error, InvalidRequestError):
        return InvalidRequestError(
            f"memories[{index}].{error.message}",
            field=f"memories[{index}].{error.field}",
            rule=error.rule,
            problem=error.problem,
            hint=error.hint,
        )
    error.argument = f"memories[{index}]"
    return error


def _skipped(item: BatchItem, failure: MemtraceError) -> Outcome:
    error = MemtraceError(
        f"not sent, because an earlier request of this batch failed: {failure.message}", code="skipped"
    )
    error.retryable = True
    return Outcome(item.index, "failed", error=error)

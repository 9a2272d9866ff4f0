"""Memories stored in requests of a size that the server takes well, and what became of each item."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from memtrace.batch import BatchResult, Outcome
from memtrace.exceptions import InvalidRequestError, MemtraceError, PayloadTooLargeError, UnreadableResponseError
from memtrace.models import AddMemoryRequest, Memory
from memtrace.operations import MAX_BODY, add_memories, memory_body, with_unique_key
from memtrace.procedures.steps import Procedure, step
from memtrace.recovery import content_key
from memtrace.retry import Dedup
from memtrace.rules import refuse

__all__ = ["add_in_chunks", "add_strictly"]

_FRAME = len(b'{"memories":[]}')
CHUNK = 100
"""Items a request: the server takes 1.1 ms an item then, and 3.3 ms at 1,000."""


def add_in_chunks(requests: Iterable[AddMemoryRequest], dedup: Dedup = "server") -> Procedure[BatchResult]:
    """Store memories in requests of at most 100 items and 4 MiB, one outcome an item.

    Takes items as it goes. One that breaks a rule is not sent. After a request that failed nothing more is sent.
    """
    refused: list[Outcome] = []
    outcomes = yield from _send_in_chunks(_valid_items(requests, dedup, refused))
    return BatchResult(tuple(sorted(outcomes + refused, key=lambda outcome: outcome.index)))


def _valid_items(requests: Iterable[AddMemoryRequest], dedup: Dedup, refused: list[Outcome]) -> Iterator[_Item]:
    for index, request in enumerate(requests):
        try:
            item = _Item(index, request, dedup)
        except MemtraceError as error:
            refused.append(Outcome(index, "failed", error=error))
        else:
            yield item


def add_strictly(requests: Iterable[AddMemoryRequest], dedup: Dedup = "server") -> Procedure[list[Memory]]:
    """Store memories and return the rows that the server answered, duplicates left out.

    Sends nothing when an item breaks a rule. Raises the server's own error when nothing was stored, else `BatchError`.
    """
    items = [_Item(index, request, dedup) for index, request in enumerate(requests)]
    result = BatchResult(tuple((yield from _send_in_chunks(items))))
    first_error = next((outcome.error for outcome in result if outcome.error is not None), None)
    if first_error is not None and not result.stored and not result.duplicates:
        raise first_error
    result.raise_for_failures()
    return result.stored


class _Item:
    """One valid item of a batch: its place, its bytes and the key by which its row is known in the answer."""

    __slots__ = ("body", "index", "key", "request")

    def __init__(self, index: int, request: AddMemoryRequest, dedup: Dedup) -> None:
        if not isinstance(request, AddMemoryRequest):
            raise refuse(f"memories[{index}]", "an AddMemoryRequest", f"{type(request).__name__} was given")
        if dedup == "unique" and not request.dedup_key:
            request = with_unique_key(request)
        self.request = request
        self.index = index
        try:
            self.body = memory_body(request)
            if len(self.body) > MAX_BODY - _FRAME:
                raise PayloadTooLargeError(
                    f"the request body has {len(self.body) + _FRAME} bytes; the server takes {MAX_BODY}", 0
                )
        except MemtraceError as error:
            raise _located(error, index) from None
        self.key = request.dedup_key or content_key(request)


def _chunks(items: Iterable[_Item]) -> Iterable[list[_Item]]:
    chunk: list[_Item] = []
    size = 0
    for item in items:
        added = len(item.body) + bool(chunk)  # and a comma
        if chunk and (len(chunk) == CHUNK or size + added > MAX_BODY - _FRAME):
            yield chunk
            chunk, size = [], 0
        chunk.append(item)
        size += added
    if chunk:
        yield chunk


def _send_in_chunks(items: Iterable[_Item]) -> Procedure[list[Outcome]]:
    outcomes: list[Outcome] = []
    failure: MemtraceError | None = None
    for chunk in _chunks(items):
        if failure is None:
            results, failure = yield from _add_chunk(chunk)
        else:
            results = [Outcome(item.index, "failed", error=_not_sent(failure)) for item in chunk]
        outcomes += results
    return outcomes


def _add_chunk(chunk: Sequence[_Item]) -> Procedure[tuple[list[Outcome], MemtraceError | None]]:
    try:
        answer = yield from step(add_memories([item.request for item in chunk], [item.body for item in chunk]))
        if answer.refused is None:
            return _match(chunk, answer.memories), None
        place = answer.refused.item
        bad = InvalidRequestError(answer.refused.error, 500)
        outcomes = _match(chunk[:place], answer.memories)
        return outcomes + [Outcome(item.index, "failed", error=bad) for item in chunk[place:]], bad
    except MemtraceError as error:
        unsure = len(chunk) if error.maybe_applied else 0
        refused = _REFUSED_ITEM.match(error.message)
        if refused:  # the server stored what came before this item, and nothing from it on
            unsure = int(refused[1])
        return [
            Outcome(item.index, "unknown" if place < unsure else "failed", error=error)
            for place, item in enumerate(chunk)
        ], error


_REFUSED_ITEM = re.compile(r"failed to create memory (\d+):")


def _match(chunk: Sequence[_Item], rows: Sequence[Memory]) -> list[Outcome]:
    """Find each item's row: rows come in the items' order, and those of duplicates are left out."""
    if len(rows) == len(chunk):
        return [Outcome(item.index, "stored", memory=row) for item, row in zip(chunk, rows, strict=True)]
    outcomes: list[Outcome] = []
    place = 0
    for item in chunk:
        if place < len(rows) and rows[place].dedup_key == item.key:
            outcomes.append(Outcome(item.index, "stored", memory=rows[place]))
            place += 1
        else:
            outcomes.append(Outcome(item.index, "duplicate"))
    if place < len(rows):
        unreadable = UnreadableResponseError("the answer to a batch holds rows that were not sent")
        unreadable.maybe_applied = True
        raise unreadable
    return outcomes


def _located(error: MemtraceError, index: int) -> MemtraceError:
    """The same error, with the item's place in front."""
    if isinstance(error, InvalidRequestError):
        return InvalidRequestError(
            f"memories[{index}].{error.message}",
            field=f"memories[{index}].{error.field}",
            rule=error.rule,
            hint=error.hint,
        )
    return type(error)(f"memories[{index}]: {error.message}", 0, hint=error.hint)


def _not_sent(failure: MemtraceError) -> MemtraceError:
    error = MemtraceError(
        f"not sent, because an earlier request of this batch failed: {failure.message}", code="not_sent"
    )
    error.retryable = True
    return error

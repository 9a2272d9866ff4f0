"""Waiting until what was written can be read.

The server answers a write before that. A read has it store what it holds, but does not show it yet; one 0.1 to 0.15 s later
does. What went to another server process is stored there within about 1.1 s.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from memtrace import operations
from memtrace._runtime.workflows.steps import Workflow, pause, run_operation, run_operation_until
from memtrace.clock import Clock
from memtrace.exceptions import DeadlineExceededError, MemtraceError, TransportError
from memtrace.models import AddMemoryRequest, ListOptions, Memory, MemoryList
from memtrace.operations import Dedup, Operation
from memtrace.operations._time_bounds import beside
from memtrace.operations._validation import MAX_LIMIT, check_non_negative_seconds

DELAY = 0.15
"""Seconds from one read to the next."""

_NOTHING_LEFT = 0.001  # seconds: a clock's sums are rounded, and may never come to the very end
_LEAST = 0.2  # seconds that a read has: a look at the end, and the only one where there is no time to wait
_MICROSECOND = timedelta(microseconds=1)


def wait_until_visible(memory: Memory, timeout: float, clock: Clock) -> Workflow[Memory]:
    """Read until `memory` is there, and give it as it is read; for `timeout` seconds, and at least once.

    A read has what is left of that, 0.2 s at least. Raises `DeadlineExceededError` after that, and at once what a read raises.
    """
    check_non_negative_seconds(timeout, "timeout")
    # The rows of its microsecond, and of the next one should the storage round.
    return _awaited(memory, _window(memory, memory, clock, event_type=memory.event_type), timeout, clock)


def add_and_wait(request: AddMemoryRequest, dedup: Dedup, wait_timeout: float, clock: Clock) -> Workflow[Memory]:
    """Store a memory, then wait for it. What fails after the write says that it may be stored."""
    check_non_negative_seconds(wait_timeout, "wait_timeout")
    return _added(operations.add_memory(request, dedup), wait_timeout, clock)


def wait_until_all_visible(memories: Sequence[Memory], timeout: float, clock: Clock) -> Workflow[None]:
    """Read until all of `memories` are there: rows of one agent and one session, each with its own duplicate key.

    One read sees up to 1000 of them. What fails says that they may be stored: they were written before.
    """
    check_non_negative_seconds(timeout, "timeout")
    return _all_awaited(sorted(memories, key=lambda memory: memory.time), timeout, clock)


def _all_awaited(missing: list[Memory], timeout: float, clock: Clock) -> Workflow[None]:
    waiting = _Waiting(timeout, clock)
    try:
        while missing:
            rows = yield from waiting.read(_window(missing[0], missing[-1], clock))
            there = {row.dedup_key for row in rows}
            before, missing = missing, [memory for memory in missing if memory.dedup_key not in there]
            if not missing or (len(rows) == MAX_LIMIT and len(missing) < len(before)):
                continue  # a full page ends before the others
            yield from waiting.pause()
    except MemtraceError as error:
        error.maybe_applied, error.retryable = True, False
        error.hint = "the server has accepted the memories: do not store them again"
        raise


def _added(operation: Operation[Memory], wait_timeout: float, clock: Clock) -> Workflow[Memory]:
    memory = yield from run_operation(operation)
    try:
        return (yield from wait_until_visible(memory, wait_timeout, clock))
    except MemtraceError as error:
        error.maybe_applied, error.retryable = True, False
        error.hint = "the server has accepted the memory: call wait_until_visible again, and do not add it again"
        raise


def _awaited(memory: Memory, reading: Operation[MemoryList], timeout: float, clock: Clock) -> Workflow[Memory]:
    waiting = _Waiting(timeout, clock)
    while True:
        rows = yield from waiting.read(reading)
        found = next((row for row in rows if _is_same(row, memory)), None)
        if found is not None:
            return found
        yield from waiting.pause()


class _Waiting:
    """Reads, and pauses between them, within one bound."""

    def __init__(self, timeout: float, clock: Clock) -> None:
        self._timeout = timeout
        self._clock = clock
        self._started = clock.monotonic()
        self._reads = 0

    def read(self, reading: Operation[MemoryList]) -> Workflow[Sequence[Memory]]:
        """What a read finds. Raises the error of the whole where the bound has cut it short."""
        self._reads += 1
        try:
            return (
                yield from run_operation_until(reading, self._clock.monotonic() + max(self._left(), _LEAST))
            ).memories
        except TransportError as error:
            if error.cause != "timeout" or self._left() >= _NOTHING_LEFT:
                raise
            raise self._over() from error

    def pause(self) -> Workflow[None]:
        """Wait for the next read. Raises where no time is left."""
        if self._left() < _NOTHING_LEFT:
            raise self._over()
        yield from pause(min(DELAY, self._left()))

    def _left(self) -> float:
        return self._timeout - (self._clock.monotonic() - self._started)

    def _over(self) -> DeadlineExceededError:
        return _not_visible(self._timeout, self._clock.monotonic() - self._started, self._reads)


def _window(first: Memory, last: Memory, clock: Clock, event_type: str | None = None) -> Operation[MemoryList]:
    """What reads the rows between two of one agent and one session, oldest first."""
    window = {
        "since": beside(first.time, -_MICROSECOND),
        "until": beside(last.time, 2 * _MICROSECOND),
        "limit": MAX_LIMIT,
    }
    options = ListOptions(agent_id=first.agent_id, session_id=first.session_id, event_type=event_type, order="asc")
    return operations.list_memories(options.model_copy(update=window), clock)


def _is_same(row: Memory, memory: Memory) -> bool:
    """Rows have no id: of one agent and one moment, these two tell them apart."""
    return row.content == memory.content and row.dedup_key == (memory.dedup_key or row.dedup_key)


def _not_visible(timeout: float, elapsed: float, reads: int) -> DeadlineExceededError:
    error = DeadlineExceededError(
        f"the memory could not be read within {timeout:g} s, in {reads} reads",
        cause="timeout",
        code="visibility_timeout",
        hint="give it more time, and look at client.ready(): while storage is down the server keeps accepted memories",
    )
    error.attempts, error.elapsed, error.retryable = reads, elapsed, True
    return error

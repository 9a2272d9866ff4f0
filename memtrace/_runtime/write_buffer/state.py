"""What a write buffer has accepted, and what became of it: the state of both buffers."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Generic, TypeVar

from memtrace._runtime.workflows.batches import CHUNK_BYTES
from memtrace._runtime.write_buffer.limits import BufferLimits
from memtrace.exceptions import BufferFullError, ConfigurationError, MemtraceError
from memtrace.models import AddMemoryRequest
from memtrace.outcomes import BufferCounts, Outcome, OutcomeStatus

if TYPE_CHECKING:
    from memtrace._runtime.write_buffer.spool_delivery import Delivery

FutureT = TypeVar("FutureT")

_LONG_AGO = float("-inf")
_LONGEST_PAUSE = 60.0


class BufferedItem(Generic[FutureT]):
    """One accepted memory: its number, the request, its bytes, when it came, and who is to be told its outcome.

    `spooled` is its number in the buffer's spool, where it has one.
    """

    __slots__ = ("accepted_at", "future", "number", "outcome", "request", "size", "spooled")

    def __init__(
        self,
        number: int,
        request: AddMemoryRequest,
        size: int,
        accepted_at: float,
        future: FutureT,
        *,
        spooled: int = 0,
    ) -> None:
        self.number: int = number
        self.request: AddMemoryRequest = request
        self.size: int = size
        self.accepted_at: float = accepted_at
        self.future: FutureT = future
        self.spooled: int = spooled
        self.outcome: Outcome | None = None


class BufferState(Generic[FutureT]):
    """A buffer's memories in the order of their acceptance: decided but not told, then in flight, then waiting; dropped ones apart.

    No I/O, no waiting, no lock: its owner guards it, and reports its decisions.
    """

    def __init__(self, limits: BufferLimits, spool: str | None = None) -> None:
        self._limits = limits
        #: The path of the file in which it is kept, where there is one.
        self.spool: str | None = spool
        self._postponed_until = _LONG_AGO
        self._failures = 0
        self._numbers = itertools.count()
        self._waiting: deque[BufferedItem[FutureT]] = deque()
        self._waiting_bytes = 0
        self._in_flight: tuple[BufferedItem[FutureT], ...] = ()
        self._decided: deque[BufferedItem[FutureT]] = deque()
        self._dropped: deque[BufferedItem[FutureT]] = deque()
        self._tallies: dict[OutcomeStatus, int] = dict.fromkeys(
            ("stored", "duplicate", "failed", "dropped", "unknown"), 0
        )
        self._urgent = -1  # what has this number or a lower one does not wait for company
        #: Whether nothing more is accepted.
        self.closing = False
        #: The memories that were accepted but never sent, after the buffer was abandoned.
        self.unsent: tuple[AddMemoryRequest, ...] = ()
        #: Whether the spool may have something that others have left there.
        self.has_backlog = False
        #: How many are in the spool still, though the buffer has ended; they count as unknown.
        self.kept = 0

    # ---- what there is

    @property
    def pending(self) -> int:
        """How many wait or are under way."""
        return len(self._waiting) + len(self._in_flight)

    @property
    def in_flight(self) -> int:
        """How many are in the request that was begun last."""
        return len(self._in_flight)

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another."""
        return self.pending >= self._limits.max_pending

    @property
    def is_settled(self) -> bool:
        """Whether all that was accepted is known and told."""
        return not (self.pending or self._decided or self._dropped or self.has_backlog)

    @property
    def counts(self) -> BufferCounts:
        """The counts of this moment."""
        pending = self.pending
        return BufferCounts(accepted=sum(self._tallies.values()) + pending, pending=pending, **self._tallies)

    def due_at(self) -> float | None:
        """The moment at which the next request is to be sent, long ago where that is now; None where there is none to send."""
        if not (self._waiting or self.has_backlog) or self._in_flight:
            return None
        if self.has_backlog or self.closing or self.has_chunk or self._waiting[0].number <= self._urgent:
            return self._postponed_until
        return max(self._waiting[0].accepted_at + self._limits.flush_interval, self._postponed_until)

    def changes_due(self, size: int) -> bool:
        """Whether one more, of so many bytes, is the first that waits, or fills a request."""
        return not self._waiting or self._fills(len(self._waiting) + 1, self._waiting_bytes + size + 1)

    @property
    def has_chunk(self) -> bool:
        """Whether as many wait as a request holds."""
        return self._fills(len(self._waiting), self._waiting_bytes)

    def _fills(self, items: int, size: int) -> bool:
        return items >= min(self._limits.max_items, self._limits.max_pending) or size >= CHUNK_BYTES

    def is_known(self, number: int) -> bool:
        """Whether the outcome of this one and of all before it is known and told."""
        parts = (self._dropped, self._decided, self._in_flight, self._waiting)
        return not self.has_backlog and all(not items or items[0].number > number for items in parts)

    # ---- what happens

    def accept(
        self, request: AddMemoryRequest, size: int, now: float, future: FutureT, *, spooled: int = 0
    ) -> BufferedItem[FutureT]:
        """Take one more to the end of what waits."""
        item = BufferedItem(next(self._numbers), request, size, now, future, spooled=spooled)
        self._waiting_bytes += size + 1  # and a comma
        self._waiting.append(item)
        return item

    def drop(self) -> None:
        """Drop the memory that has waited longest. The caller reports the drop, so that drops do not pile up."""
        item = self._waiting[0]
        text = f"dropped unsent: the buffer held {self._limits.max_pending} memories, and newer ones came"
        item.outcome = Outcome(item.number, "dropped", error=BufferFullError(text))
        tallies = self._tallied([item.outcome])
        dropped = self._dropped.copy()
        dropped.append(item)
        # No call between these lines: at an interrupt all of them are done, or none.
        del self._waiting[0]
        self._dropped, self._tallies = dropped, tallies
        self._waiting_bytes -= item.size + 1

    def request_flush(self) -> int:
        """Have all that waits sent without waiting for company; gives the number of the newest that is pending, or -1."""
        newest = next((items[-1].number for items in (self._waiting, self._in_flight, self._decided) if items), -1)
        self._urgent = max(self._urgent, newest)
        self._postponed_until = _LONG_AGO
        self.has_backlog = self.spool is not None and not self.closing
        return newest

    def take(self) -> tuple[BufferedItem[FutureT], ...]:
        """Take the memories for the next request: at most `max_items`, and 4 MiB."""
        size = taken = 0
        for item in itertools.islice(self._waiting, self._limits.max_items):
            if taken and size + item.size > CHUNK_BYTES:
                break
            size += item.size + 1
            taken += 1
        self._in_flight = tuple(self._waiting.popleft() for _ in range(taken))
        self._waiting_bytes -= size
        return self._in_flight

    def record_outcomes(self, chunk: tuple[BufferedItem[FutureT], ...], outcomes: Sequence[Outcome]) -> None:
        """Note what became of a request, unless it was given up meanwhile."""
        if self._in_flight is chunk:
            decided = self._decided_with(zip(chunk, outcomes, strict=True))
            tallies = self._tallied(outcomes)
            self._in_flight, self._decided, self._tallies = (), decided, tallies

    def record_delivery(self, chunk: tuple[BufferedItem[FutureT], ...], delivery: Delivery, now: float) -> float:
        """Note what is known of a chunk that was sent out of a spool; the rest waits again. Gives the seconds until then.

        After a failure there is a pause, which doubles each time. Nobody waits for a backlog in a file that cannot be used.
        """
        outcomes, failed = delivery.outcomes, delivery.error is not None
        self._failures = self._failures + 1 if failed else 0
        seconds = min(_LONGEST_PAUSE, 2.0 ** min(self._failures - 1, 10)) if failed else 0.0
        if self._in_flight is chunk:
            known = [(item, outcomes[item.spooled]) for item in chunk if item.spooled in outcomes]
            left = [item for item in chunk if item.spooled not in outcomes]
            decided, tallies = self._decided_with(known), self._tallied([outcome for _, outcome in known])
            self._in_flight, self._decided, self._tallies = (), decided, tallies
            self._waiting.extendleft(reversed(left))
            self._waiting_bytes += sum(item.size + 1 for item in left)
            self._postponed_until = now + seconds if failed else _LONG_AGO
        if isinstance(delivery.error, ConfigurationError) if failed else not delivery.is_busy:
            self.has_backlog = False
        return seconds

    def give_up(self, *, is_kept: bool) -> None:
        """Decide all that is pending: what waits has failed and is `unsent`, what is under way is unknown.

        Where it is kept in the spool, all of it is unknown, since another process sends it.
        """
        self.has_backlog = False
        if self.spool is not None and is_kept:
            self._keep(self.spool)
            return
        waiting: deque[BufferedItem[FutureT]] = deque()
        unsent = self.unsent + tuple(item.request for item in self._waiting)
        outcomes = [Outcome(0, "unknown", error=_drain_timeout_error()) for _ in self._in_flight]
        outcomes += [Outcome(0, "failed", error=_skipped()) for _ in self._waiting]
        decided = self._decided_with(zip((*self._in_flight, *self._waiting), outcomes, strict=True))
        tallies = self._tallied(outcomes)
        # No call from here on: at an interrupt all of these lines are done, or none.
        self._in_flight, self._waiting, self._waiting_bytes = (), waiting, 0
        self._decided, self._tallies, self.unsent = decided, tallies, unsent

    def _keep(self, spool: str) -> None:
        items = (*self._in_flight, *self._waiting)
        waiting: deque[BufferedItem[FutureT]] = deque()
        outcomes = [Outcome(0, "unknown", error=_left_in(spool)) for _ in items]
        decided, tallies = self._decided_with(zip(items, outcomes, strict=True)), self._tallied(outcomes)
        kept = self.kept + len(items)
        self._in_flight, self._waiting, self._waiting_bytes = (), waiting, 0
        self._decided, self._tallies, self.kept = decided, tallies, kept

    def _decided_with(self, decisions: Iterable[tuple[BufferedItem[FutureT], Outcome]]) -> deque[BufferedItem[FutureT]]:
        decided = self._decided.copy()
        for item, outcome in decisions:
            item.outcome = replace(outcome, index=item.number)
            decided.append(item)
        return decided

    def _tallied(self, outcomes: Sequence[Outcome]) -> dict[OutcomeStatus, int]:
        more = Counter(outcome.status for outcome in outcomes)
        return {status: count + more[status] for status, count in self._tallies.items()}

    # ---- reporting

    def next_dropped(self) -> BufferedItem[FutureT] | None:
        """The first that was let go and that nobody was told of; it stays the first until `acknowledge` is called."""
        return self._dropped[0] if self._dropped else None

    def next_decided(self) -> BufferedItem[FutureT] | None:
        """The first other one whose outcome nobody was told; it stays the first until `acknowledge` is called."""
        return self._decided[0] if self._decided else None

    def acknowledge(self, item: BufferedItem[FutureT]) -> None:
        """Strike out what was told; once is enough."""
        for items in (self._dropped, self._decided):
            if items and items[0] is item:
                items.popleft()


def _left_in(spool: str) -> MemtraceError:
    error = MemtraceError(
        f"not known to be stored before the write buffer was closed; it is in the spool {spool}",
        code="spooled",
        hint="the next process that opens the spool sends it, or: memtrace-sdk spool send FILE",
    )
    error.maybe_applied = True
    return error


def _drain_timeout_error() -> MemtraceError:
    error = MemtraceError("the write buffer was closed while the request was under way", code="drain_timeout")
    error.maybe_applied = True
    return error


def _skipped() -> MemtraceError:
    error = MemtraceError("not sent before the write buffer was closed", code="skipped")
    error.retryable = True
    return error

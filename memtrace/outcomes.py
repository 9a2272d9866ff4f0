"""What became of each item of a batch and of a write buffer, and the two errors that carry it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from memtrace._support.numbers import counted
from memtrace.exceptions import MemtraceError

if TYPE_CHECKING:
    from memtrace.models import AddMemoryRequest, Memory

__all__ = [
    "BatchError",
    "BatchProgress",
    "BatchResult",
    "BufferCounts",
    "BufferDrainError",
    "OnFailure",
    "OnFull",
    "OnResult",
    "Outcome",
    "OutcomeStatus",
    "Progress",
]

OutcomeStatus = Literal["stored", "duplicate", "failed", "unknown", "dropped"]
"""``duplicate``: the server has it from the last 24 hours. ``unknown``: no answer says whether it was stored.
``dropped``: a write buffer that was full let it go, unsent; no batch has such an item."""


OnFailure = Literal["stop", "continue"]
"""What happens to the rest of a batch after a request that failed: it is not sent, or sent all the same."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item: `index` is its place in what was given, from 0."""

    index: int
    status: OutcomeStatus
    #: The stored row, where `status` is ``stored``.
    memory: Memory | None = field(default=None, repr=False)
    #: Why, where `status` is ``failed``, ``unknown`` or ``dropped``.
    error: MemtraceError | None = None


OnResult = Callable[[Outcome], object]
"""A callback of a write buffer, called with each outcome; what it returns is ignored."""

OnFull = Literal["block", "raise", "drop_oldest"]
"""What a full write buffer does with another memory.

``block``: `add` waits for room. ``raise``: it raises `BufferFullError`. ``drop_oldest``: the memory that has waited longest is
dropped.
"""


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """How far a batch is, in items. The four outcomes add up to `done`."""

    stored: int = 0
    duplicate: int = 0
    failed: int = 0
    unknown: int = 0
    #: How many there are in all; None where the batch has no length.
    total: int | None = None

    @property
    def done(self) -> int:
        """Items whose outcome is known to the caller."""
        return self.stored + self.duplicate + self.failed + self.unknown


Progress = Callable[[BatchProgress], object]
"""What is told after each round of a batch, of `max_concurrency` requests, how far it is. What it raises ends the batch.

`AsyncMemtrace` awaits what it gives, where that can be awaited, so it may be async; for `Memtrace` it may not.
"""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """One outcome for each item, in the order in which they were given.

    >>> result = BatchResult((Outcome(0, "duplicate"),))
    >>> len(result), result.duplicates, result.ok
    (1, [0], True)
    """

    outcomes: tuple[Outcome, ...]

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> BatchResult:
        """The outcomes of all items, put in order."""
        return cls(tuple(sorted(outcomes, key=lambda outcome: outcome.index)))

    @property
    def stored(self) -> list[Memory]:
        """The rows that the server answered."""
        return [outcome.memory for outcome in self.outcomes if outcome.memory is not None]

    @property
    def duplicates(self) -> list[int]:
        """The indexes of what the server already had."""
        return self._indexes("duplicate")

    @property
    def failed(self) -> list[int]:
        """The indexes of what was surely not stored."""
        return self._indexes("failed")

    @property
    def unknown(self) -> list[int]:
        """The indexes of what may have been stored."""
        return self._indexes("unknown")

    @property
    def ok(self) -> bool:
        """Whether every item is stored, now or before."""
        return not self.failed and not self.unknown

    def raise_for_failures(self) -> None:
        """Raise `BatchError`, which carries this result, unless every item is stored."""
        if self.ok:
            return
        first = next(outcome.error for outcome in self.outcomes if outcome.error is not None)
        counts = ", ".join(f"{count} {status}" for status, count in self._counts())
        raise BatchError(
            f"of {len(self)} memories {counts}; the first error: {first}", first.status_code, result=self
        ) from first

    def _indexes(self, status: OutcomeStatus) -> list[int]:
        return [outcome.index for outcome in self.outcomes if outcome.status == status]

    def _counts(self) -> list[tuple[str, int]]:
        """How many items have each status that there is."""
        each = (
            ("stored", len(self.stored)),
            ("duplicate", len(self.duplicates)),
            ("failed", len(self.failed)),
            ("unknown", len(self.unknown)),
        )
        return [(status, count) for status, count in each if count]

    def _repr_html_(self) -> str:
        """Render the outcomes as a table, for notebooks. What was not stored comes first."""
        from memtrace._support.html import rows_table

        summary = ", ".join(f"{count:,} {status}" for status, count in self._counts()) or "nothing"
        rows = (
            (outcome.index, outcome.status, outcome.memory and outcome.memory.content, outcome.error)
            for outcome in sorted(self.outcomes, key=lambda outcome: outcome.status in {"stored", "duplicate"})
        )
        caption = f"BatchResult of {counted(len(self), 'memory', 'memories')}: {summary}"
        return rows_table(caption, ("index", "status", "content", "error"), rows, len(self))

    def __len__(self) -> int:
        return len(self.outcomes)

    def __iter__(self) -> Iterator[Outcome]:
        return iter(self.outcomes)


class BatchError(MemtraceError):
    """Some items of a batch were not stored; `result` has the outcome of every item."""

    _code = "batch"
    _is_raised_outside = True

    #: One outcome an item; None only where the error was made by hand without one.
    result: BatchResult | None

    def __init__(
        self,
        message: str = "Some items were not stored",
        status_code: int = 0,
        *,
        result: BatchResult | None = None,
        code: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, status_code, code=code, hint=hint)
        self.result = result


@dataclass(frozen=True, slots=True)
class BufferCounts:
    """How many memories a buffer accepted, and what became of them. At every moment the others add up to `accepted`.

    >>> BufferCounts(accepted=3, stored=2, pending=1)
    BufferCounts(accepted=3, stored=2, duplicate=0, failed=0, dropped=0, unknown=0, pending=1)
    """

    accepted: int = 0
    stored: int = 0
    #: The server has them from the last 24 hours.
    duplicate: int = 0
    #: Surely not stored.
    failed: int = 0
    #: Let go unsent, for newer ones.
    dropped: int = 0
    #: No answer says whether they are stored.
    unknown: int = 0
    #: Waiting, or under way.
    pending: int = 0

    def __str__(self) -> str:
        names = ("stored", "duplicate", "failed", "dropped", "unknown", "pending")
        parts = [f"{getattr(self, name)} {name}" for name in names if getattr(self, name)]
        return f"of {self.accepted} memories {', '.join(parts) or 'none'}"


class BufferDrainError(MemtraceError):
    """A write buffer was closed before all that it had accepted was stored: the time for that was over, or it was interrupted.

    `maybe_applied` says whether a request was under way then.
    """

    _code = "buffer_drain"
    _is_raised_outside = True

    #: What was surely not sent, oldest first, each with its duplicate key where the client makes one.
    unsent: list[AddMemoryRequest]
    #: What became of everything that the buffer accepted; None only where the error was made by hand.
    counts: BufferCounts | None

    def __init__(
        self,
        message: str = "Some memories were not sent",
        status_code: int = 0,
        *,
        unsent: Sequence[AddMemoryRequest] = (),
        counts: BufferCounts | None = None,
        code: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, status_code, code=code, hint=hint)
        self.unsent = list(unsent)
        self.counts = counts

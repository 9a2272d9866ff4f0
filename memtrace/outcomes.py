"""What became of each item of a batch and of a write buffer, and the two errors that carry it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, overload

from memtrace._support.numbers import counted
from memtrace._support.peer_names import BATCH_NAMES, OUTCOME_NAMES, HintsAtNames
from memtrace.exceptions import MemtraceError
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
"""``duplicate``: the server has it from the last 24 hours. ``unknown``: no response, so that it may have been stored.
``dropped``: a write buffer that was full let it go, unsent; no batch has such an item."""


OnFailure = Literal["stop", "continue"]
"""What happens to the rest of a batch after a request that failed: it is not sent, or sent all the same."""


@dataclass(frozen=True, slots=True)
class Outcome(HintsAtNames):
    """The outcome of one item. `index` is its place in the batch, from 0."""

    _peer_names: ClassVar[Mapping[str, str]] = OUTCOME_NAMES

    index: int
    status: OutcomeStatus
    #: The stored memory, if `status` is ``stored``.
    memory: Memory | None = field(default=None, repr=False)
    #: Why, if `status` is ``failed``, ``unknown`` or ``dropped``.
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
    """The progress of a batch, in items. The four outcomes add up to `done`."""

    stored: int = 0
    duplicate: int = 0
    failed: int = 0
    unknown: int = 0
    #: The number of items; None if the batch has no length.
    total: int | None = None

    @property
    def done(self) -> int:
        """How many items have an outcome."""
        return self.stored + self.duplicate + self.failed + self.unknown


Progress = Callable[[BatchProgress], object]
"""Called with the progress after each round of a batch, of `max_concurrency` requests. An exception of it ends
the batch.

It may be async with `AsyncMemtrace`, which awaits its result. `Memtrace` refuses an async one.
"""


@dataclass(frozen=True, slots=True, repr=False)
class BatchResult(HintsAtNames):
    """One outcome for each item, in the order of the items: iteration, length, index and slice are the outcomes'.

    >>> result = BatchResult((Outcome(0, "duplicate"),))
    >>> len(result), result.duplicates, result.ok, result[0].status
    (1, [0], True, 'duplicate')
    """

    _peer_names: ClassVar[Mapping[str, str]] = BATCH_NAMES

    outcomes: tuple[Outcome, ...]

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> BatchResult:
        """Create a result from outcomes, in order of their index.

        Args:
            outcomes: The outcomes of all items.

        Returns:
            The result.
        """
        return cls(tuple(sorted(outcomes, key=lambda outcome: outcome.index)))

    @property
    def stored(self) -> list[Memory]:
        """The stored memories."""
        return [outcome.memory for outcome in self.outcomes if outcome.memory is not None]

    @property
    def count(self) -> int:
        """How many outcomes there are, as in every list result."""
        return len(self.outcomes)

    @property
    def duplicates(self) -> list[int]:
        """The indexes of memories that the server already had."""
        return self._indexes("duplicate")

    @property
    def failed(self) -> list[int]:
        """The indexes of memories that were surely not stored."""
        return self._indexes("failed")

    @property
    def unknown(self) -> list[int]:
        """The indexes of memories that may have been stored."""
        return self._indexes("unknown")

    @property
    def ok(self) -> bool:
        """Whether every item is stored, by this batch or before."""
        return not self.failed and not self.unknown

    def raise_for_failures(self) -> None:
        """Raise an exception unless every item is stored, by this batch or before.

        Raises:
            BatchError: An item failed, or its outcome is unknown. `BatchError.result` is this
                result.
        """
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
        """Render the outcomes as a table, for notebooks. Items that were not stored come first."""
        from memtrace._support.html import rows_table

        rows = (
            (outcome.index, outcome.status, outcome.memory and outcome.memory.content, outcome.error)
            for outcome in sorted(self.outcomes, key=lambda outcome: outcome.status in {"stored", "duplicate"})
        )
        return rows_table(self._summary(), ("index", "status", "content", "error"), rows, len(self))

    def _summary(self) -> str:
        counts = ", ".join(f"{count:,} {status}" for status, count in self._counts()) or "nothing"
        return f"BatchResult of {counted(len(self), 'memory', 'memories')}: {counts}"

    def __repr__(self) -> str:
        return f"<{self._summary()}>"

    def __len__(self) -> int:
        return len(self.outcomes)

    def __iter__(self) -> Iterator[Outcome]:
        return iter(self.outcomes)

    @overload
    def __getitem__(self, place: int) -> Outcome: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Outcome, ...]: ...
    def __getitem__(self, place: int | slice) -> Outcome | tuple[Outcome, ...]:
        """An outcome by its place, or several."""
        return self.outcomes[place]


class BatchError(MemtraceError):
    """Some items of a batch were not stored. `result` has the outcome of every item."""

    _code = "batch"
    _http_status = 502
    _is_raised_outside = True

    #: The outcome of each item. None only if your own code created the error without one.
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
    """How many memories a buffer accepted, and their outcomes. The others always add up to `accepted`.

    Example:
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
    """A write buffer closed before everything was stored: `drain_timeout` expired, or closing was interrupted.

    `maybe_applied` is True if a request was being sent.
    """

    _code = "buffer_drain"
    _is_raised_outside = True

    #: The memories that were surely not sent, oldest first, each with its duplicate key if the client creates one.
    unsent: list[AddMemoryRequest]
    #: The counts of all memories that the buffer accepted. None only if your own code created the error.
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

"""What became of each item of a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from memtrace.exceptions import BatchError, MemtraceError

if TYPE_CHECKING:
    from memtrace.models import Memory

__all__ = ["BatchProgress", "BatchResult", "OnFailure", "Outcome", "OutcomeStatus", "Progress"]

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
    memory: Memory | None = None
    #: Why, where `status` is ``failed``, ``unknown`` or ``dropped``.
    error: MemtraceError | None = None


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


Progress = Callable[[BatchProgress], None]
"""What is told after each round of a batch, of `concurrency` requests, how far it is. What it raises ends the batch."""


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
        counts = ", ".join(
            f"{count} {status}"
            for status, count in (
                ("stored", len(self.stored)),
                ("duplicate", len(self.duplicates)),
                ("failed", len(self.failed)),
                ("unknown", len(self.unknown)),
            )
            if count
        )
        raise BatchError(
            f"of {len(self)} memories {counts}; the first error: {first}", first.status_code, result=self
        ) from first

    def _indexes(self, status: OutcomeStatus) -> list[int]:
        return [outcome.index for outcome in self.outcomes if outcome.status == status]

    def _repr_html_(self) -> str:
        """As notebooks show it."""
        from memtrace.notebook import to_html

        return to_html(self)

    def __len__(self) -> int:
        return len(self.outcomes)

    def __iter__(self) -> Iterator[Outcome]:
        return iter(self.outcomes)

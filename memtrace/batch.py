"""What became of each item of a batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from memtrace.exceptions import BatchError, MemtraceError

if TYPE_CHECKING:
    from memtrace.models import Memory

__all__ = ["BatchResult", "Outcome", "OutcomeStatus"]

OutcomeStatus = Literal["stored", "duplicate", "failed", "unknown"]
"""``duplicate``: the server has it from the last 24 hours. ``unknown``: no answer says whether it was stored."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item: `index` is its place in what was given, from 0."""

    index: int
    status: OutcomeStatus
    #: The stored row, where `status` is ``stored``.
    memory: Memory | None = None
    #: Why, where `status` is ``failed`` or ``unknown``.
    error: MemtraceError | None = None


@dataclass(frozen=True, slots=True)
class BatchResult:
    """One outcome for each item, in the order in which they were given.

    >>> result = BatchResult((Outcome(0, "duplicate"),))
    >>> len(result), result.duplicates, result.ok
    (1, [0], True)
    """

    outcomes: tuple[Outcome, ...]

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

    def __len__(self) -> int:
        return len(self.outcomes)

    def __iter__(self) -> Iterator[Outcome]:
        return iter(self.outcomes)

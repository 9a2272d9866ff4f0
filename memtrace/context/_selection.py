"""Which memories a budget holds, so that what was written before stays as it is for as long as it can."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from memtrace.models import Memory


@dataclass(frozen=True, slots=True)
class RenderedMemory:
    """A memory as it is written, and how many tokens that has."""

    memory: Memory = field(repr=False)
    text: str = field(repr=False)
    tokens: int


class BudgetSelection:
    """What is kept of memories that are taken one after the other, oldest first.

    A memory is added at the end while the budget holds it. One that would not fit makes room: half of the budget is cleared,
    so that more than as much is added before the beginning changes again. Everything follows from the memories alone.
    """

    def __init__(self, budget: int | None) -> None:
        self._budget = budget
        self.kept: list[RenderedMemory] = []
        self.tokens: int = 0
        self.omitted: int = 0
        self.revision: int = 0

    def take(self, entry: RenderedMemory) -> None:
        """Add the next memory. One that is larger than the budget is left out, and nothing else changes."""
        if self._budget is not None and entry.tokens > self._budget:
            self.omitted += 1
            return
        if self._budget is not None and self.tokens + entry.tokens > self._budget:
            self.shrink(min(self._budget // 2, self._budget - entry.tokens))
        self.kept.append(entry)
        self.tokens += entry.tokens

    def shrink(self, budget: int) -> None:
        """Keep what `budget` tokens hold; nothing, when they are less than 0."""
        kept = _shrunk(self.kept, budget)
        self.omitted += len(self.kept) - len(kept)
        self.kept, self.tokens = kept, sum(entry.tokens for entry in kept)
        self.revision += 1


def _shrunk(entries: Sequence[RenderedMemory], budget: int) -> list[RenderedMemory]:
    """The newest in a row that half of `budget` holds, and in the rest of it the most important of the others, newer ones first."""
    left, newest = budget, len(entries)
    while newest and left - entries[newest - 1].tokens >= budget - budget // 2:
        newest -= 1
        left -= entries[newest].tokens
    older: list[int] = []
    for place in sorted(range(newest), key=lambda place: (_importance(entries[place]), place), reverse=True):
        if entries[place].tokens <= left:
            older.append(place)
            left -= entries[place].tokens
    return [*(entries[place] for place in sorted(older)), *entries[newest:]]


def _importance(entry: RenderedMemory) -> float:
    """The server gives no importance for one of 0, so that none counts as 0."""
    return entry.memory.importance or 0.0

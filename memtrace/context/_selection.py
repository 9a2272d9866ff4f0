"""Which memories a budget holds: in order of time as long as the beginning is to stay, or by an order of importance."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from memtrace.models import Memory

Moment = tuple[datetime, datetime]
"""When a memory occurred, and when the server took it: memories are written in this order."""


@dataclass(slots=True, eq=False)
class RenderedMemory:
    """A rendered memory, the attributes above its group, and the tokens of each."""

    memory: Memory = field(repr=False)
    #: Its place among all that were given, and when it occurred and was stored.
    number: int
    moment: Moment
    #: The number of the memory before it in its session, of those that were passed.
    previous_number: int | None
    #: The memories before and after it in its session, as far as an index knows.
    before: Moment | None
    after: Moment | None
    #: The place of its group among all.
    group: int
    head: str = field(repr=False)
    text: str = field(repr=False)
    head_tokens: int
    tokens: int
    gap_tokens: int
    #: The number of the memory after it in its session, of those that were passed so far.
    next_number: int | None = None
    #: By what it was chosen last, and its score if a rank has one.
    chosen_by: Literal["fits", "score", "importance", "recency"] = "fits"
    score: float | None = None

    def comes_after_gap(self, last: RenderedMemory | None) -> bool:
        """Whether something is left out between the one that is written before it and this: of the session of one of the two."""
        if last is None:
            return False
        return (
            (last.next_number is not None and last.next_number < self.number)
            or (self.previous_number is not None and self.previous_number > last.number)
            or (last.after is not None and last.after < self.moment)
            or (self.before is not None and self.before > last.moment)
        )

    def starts_group(self, before: RenderedMemory | None) -> bool:
        """Whether its group's head is written above it."""
        return before is None or before.group != self.group

    def tokens_after(self, before: RenderedMemory | None) -> int:
        """What it costs behind another one."""
        head = self.head_tokens if self.starts_group(before) else 0
        return self.tokens + head + (self.gap_tokens if self.comes_after_gap(before) else 0)


class KeptMemories:
    """Memories in order of time, and what they cost together."""

    def __init__(self) -> None:
        self.entries: list[RenderedMemory] = []
        self.tokens: int = 0

    def added_tokens(self, entry: RenderedMemory) -> int:
        """What it would cost to add one: less than it has, where it closes a gap."""
        place = self._place(entry)
        before = self.entries[place - 1] if place else None
        added = entry.tokens_after(before)
        if place < len(self.entries):
            after = self.entries[place]
            added += after.tokens_after(entry) - after.tokens_after(before)
        return added

    def add(self, entry: RenderedMemory) -> None:
        """Add one at its place in time."""
        self.tokens += self.added_tokens(entry)
        self.entries.insert(self._place(entry), entry)

    def add_what_fits(self, entries: Iterable[RenderedMemory], budget: int) -> None:
        """Add each, in the order given, that the rest of the budget holds."""
        for entry in entries:
            if self.tokens + self.added_tokens(entry) <= budget:
                self.add(entry)

    def _place(self, entry: RenderedMemory) -> int:
        if not self.entries or self.entries[-1].number < entry.number:
            return len(self.entries)
        return bisect_left(self.entries, entry.number, key=lambda kept: kept.number)


class BudgetSelection:
    """The memories that fit into the budget, added one by one, oldest first.

    A memory is added at the end while the budget holds it. One that would not fit makes room: half of the budget is cleared,
    so that more than as much is added before the beginning changes again. Everything follows from the memories alone.
    """

    def __init__(self, budget: int | None) -> None:
        self._budget = budget
        self.kept = KeptMemories()
        self.omitted: int = 0
        self.revision: int = 0

    def take(self, entry: RenderedMemory) -> None:
        """Add the next memory. One that is larger than the budget is left out, and nothing else changes."""
        if self._budget is not None:
            alone = entry.tokens_after(None)
            if alone > self._budget:
                self.omitted += 1
                return
            if self.kept.tokens + self.kept.added_tokens(entry) > self._budget:
                self.shrink(min(self._budget // 2, self._budget - alone - entry.gap_tokens))
        self.kept.add(entry)

    def shrink(self, budget: int) -> None:
        """Keep what `budget` tokens hold; nothing, when they are less than 0."""
        kept = _shrunk(self.kept.entries, budget)
        self.omitted += len(self.kept.entries) - len(kept.entries)
        self.kept = kept
        self.revision += 1


def _shrunk(entries: Sequence[RenderedMemory], budget: int) -> KeptMemories:
    """The newest in a row that half of `budget` holds, and in the rest of it the most important of the others, newer ones first."""
    kept = KeptMemories()
    newest = len(entries)
    while newest and kept.tokens + kept.added_tokens(entries[newest - 1]) <= budget // 2:
        newest -= 1
        kept.add(entries[newest])
        entries[newest].chosen_by = "recency"
    rest = sorted(entries[:newest], key=_least_important_last)
    kept.add_what_fits(rest, budget)
    for entry in rest:
        entry.chosen_by = "importance"
    return kept


def _least_important_last(entry: RenderedMemory) -> tuple[float, int]:
    """Of equal ones the newer first. The server gives no importance for one of 0, so that none counts as 0."""
    return -(entry.memory.importance or 0.0), -entry.number


def chosen(ranked: Sequence[RenderedMemory], budget: int | None) -> KeptMemories:
    """The best of memories, the best first, that a budget holds."""
    kept = KeptMemories()
    if budget is None:
        for entry in sorted(ranked, key=lambda entry: entry.number):
            kept.add(entry)
    else:
        kept.add_what_fits(ranked, budget)
    return kept


def by_age_and_importance(entries: Sequence[RenderedMemory], budget: int | None) -> list[RenderedMemory]:
    """Without a rank from outside: the newest in a row that half of the budget holds, then the others by importance."""
    newest, left = len(entries), (budget or 0) // 2
    while newest and left >= (cost := entries[newest - 1].tokens_after(None)):
        newest -= 1
        left -= cost
    by_importance = sorted(entries[:newest], key=_least_important_last)
    for entry in by_importance:
        entry.chosen_by = "importance"
    for entry in entries[newest:]:
        entry.chosen_by = "recency"
    return [*reversed(entries[newest:]), *by_importance]

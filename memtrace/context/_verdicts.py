"""Why a memory is in a context or not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from memtrace.context._selection import RenderedMemory
from memtrace.models import Memory

VerdictReason = Literal["fits", "score", "importance", "recency", "budget", "size"]
"""Why a memory is in a context: the budget holds all memories so far (``fits``), or it was chosen by its ``score``, its
``importance`` or as one of the newest (``recency``). Why it is not: memories that were chosen earlier need the ``budget``, or
it is larger than the whole budget (``size``)."""


@dataclass(frozen=True, slots=True)
class MemoryVerdict:
    """Whether a memory is in a context, and why."""

    memory: Memory = field(repr=False)
    included: bool
    reason: VerdictReason
    #: The tokens of the memory without the attributes of its group.
    tokens: int
    #: The score of the hit, or the number that the function `rank` returned. None without either.
    score: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values, for programs.

        Returns:
            The fields by name.
        """
        return {
            "included": self.included,
            "reason": self.reason,
            "score": self.score,
            "tokens": self.tokens,
            "memory": self.memory.model_dump(mode="json", exclude_unset=True),
        }


def verdict_on(entry: RenderedMemory, budget: int | None, *, included: bool) -> MemoryVerdict:
    """The verdict on a memory that a selection considered."""
    reason: VerdictReason = entry.chosen_by
    if not included:
        reason = "size" if budget is not None and entry.tokens_after(None) > budget else "budget"
    return MemoryVerdict(entry.memory, included, reason, entry.tokens, entry.score)

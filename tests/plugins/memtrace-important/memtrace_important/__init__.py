"""A ranker that lets the importance of memories count: ``ranker="important"``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from memtrace import SearchHit
from memtrace.plugins import RankerSpec, hookimpl

__all__ = ["Important", "memtrace_ranker"]


class Important:
    """Multiplies each score by 1 and `weight` times the importance.

    Args:
        weight: How much an importance of 1 adds, from 0.
    """

    def __init__(self, *, weight: float = 1.0) -> None:
        self._weight = weight

    def rank(self, query: str, candidates: Sequence[SearchHit]) -> list[SearchHit]:
        """The candidates by their new scores, the highest first."""
        weighed = [
            replace(hit, score=hit.score * (1 + self._weight * (hit.memory.importance or 0))) for hit in candidates
        ]
        return sorted(weighed, key=lambda hit: hit.score, reverse=True)


@hookimpl
def memtrace_ranker() -> RankerSpec:
    """The ranker with its usual weight."""
    return RankerSpec(create=Important)

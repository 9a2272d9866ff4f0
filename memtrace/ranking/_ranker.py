"""The interface of rankers, which order the hits of a search, and the built-in ranker."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from memtrace.ranking._hits import SearchHit, SearchHits


@runtime_checkable
class Ranker(Protocol):
    """The interface of a ranker, which orders search hits. It blocks; an async client calls it in a thread."""

    def rank(self, query: str, candidates: Sequence[SearchHit]) -> Iterable[SearchHit]:
        """Rank the candidates, most relevant first.

        Args:
            query: The query.
            candidates: The best hits by their words (and vectors), best first, with these scores.

        Returns:
            The candidates in the new order. Change a score with `dataclasses.replace`. A candidate
            that is not returned is not a hit.
        """
        ...


class LexicalRanker:
    """The built-in ranker ``lexical``: the order of the index, by words and vectors."""

    def rank(self, query: str, candidates: Sequence[SearchHit]) -> Iterable[SearchHit]:
        """Rank candidates by their scores: the order that they have.

        Args:
            query: The query.
            candidates: The hits, best by their words first.

        Returns:
            The hits in the new order.
        """
        return candidates


def ranked(ranker: Ranker, query: str, hits: SearchHits, most: int) -> SearchHits:
    """Order the first `most` hits by the ranker. Raises `TypeError` if it returns anything else, and the ranker's own errors."""
    candidates = list(hits[:most])
    places = {id(hit.memory) for hit in candidates}
    order = list(ranker.rank(query, candidates))
    if not all(_is_hit(hit) and id(hit.memory) in places for hit in order):
        raise TypeError(f"{type(ranker).__name__}.rank must give the candidates that it was given, in order")
    unique = {
        id(hit.memory): hit for hit in reversed(order)
    }  # a candidate that is returned twice keeps its first place
    return SearchHits([*reversed(unique.values()), *hits[most:]])


def _is_hit(value: object) -> bool:
    return isinstance(value, SearchHit)

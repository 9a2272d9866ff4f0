"""A search: the best places of an index, without what a filter leaves out, each content once, as memories."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence

from memtrace._support.numbers import is_int
from memtrace.models import WIRE, Memory
from memtrace.operations._validation import invalid
from memtrace.ranking._filters import MemoryFilter
from memtrace.ranking._hits import SearchHit, SearchHits
from memtrace.ranking._index import IndexedMemory, TextIndex
from memtrace.ranking._lexical import LexicalScores, best_of_groups, smoothed
from memtrace.ranking._places import around, group_of
from memtrace.ranking._vectors import BATCH, CheckedEmbedder, Embedder, QueryVector, keep_vectors
from memtrace.ranking._words import vector_text

MemoryLoader = Callable[[Sequence[int]], Iterable[Memory]]
"""Gives the memories that a host keeps under these keys, in their order."""

#: Places that are looked at closely, at least; more are when a filter or repeated contents leave too few.
_LEAST = 150
#: What likeness counts beside words, and in it what is most alike in the same group.
_VECTOR_WEIGHT = 0.5
_GROUP_LIKENESS = 0.1
_Scored = tuple[IndexedMemory, float]


class MemorySearch:
    """Search an index by words, and by meaning if there is an embedder.

    Args:
        index: The index.
        embedder: Turns texts into vectors.
        load: Loads memories of a host by their keys, if the index does not keep them.
    """

    def __init__(self, index: TextIndex, *, embedder: Embedder | None = None, load: MemoryLoader | None = None) -> None:
        self._index = index
        self._load = load
        self._embedder = None if embedder is None else CheckedEmbedder(embedder)

    def search(
        self,
        query: str,
        memory_filter: MemoryFilter | None = None,
        *,
        limit: int = 10,
        vector: Sequence[float] | None = None,
    ) -> SearchHits:
        """Find the most relevant memories.

        Equal contents of one agent are one hit, the newest. Equal scores are ordered by time.

        Args:
            query: What to look for, in plain words.
            memory_filter: Only memories that match. Default: all.
            limit: How many hits at most, from 1.
            vector: The query's vector. Default: the embedder computes it.

        Returns:
            The hits, most relevant first.

        Raises:
            InvalidRequestError: The query is blank, or the limit is below 1. The error names the
                field.
        """
        check_query(query)
        check_hits(limit)
        memory_filter = memory_filter or MemoryFilter()
        if vector is None and self._embedder is not None:
            vectors = self._embedder.vectors([query])
            vector = None if vectors is None else vectors[0]
        with self._index.reading():
            found, direct = self._found(query, vector, memory_filter, limit)
            again = self._index.repeated([row.fingerprint for row, _ in found], memory_filter)
            counted = []
            for row, score in found:
                count, newest = again.get(row.fingerprint, (1, row))
                # what has no word of the query is there for its neighbours, and stays beside them
                counted.append((count, newest if row.place in direct else row, score))
            memories = self._memories([row for _, row, _ in counted])
            return SearchHits(map(_hit, memories, counted))

    def newest(self, memory_filter: MemoryFilter, most: int) -> SearchHits:
        """Get the memories that occurred last, newest first, with the score 0.

        Args:
            memory_filter: Only memories that match.
            most: How many at most.

        Returns:
            The hits.
        """
        with self._index.reading():
            rows = self._index.latest(memory_filter, most)
            return SearchHits(
                SearchHit(memory, 0.0, place=row.place) for row, memory in zip(rows, self._memories(rows), strict=True)
            )

    def without_vectors(
        self, memory_filter: MemoryFilter, most: int, length: int | None = None
    ) -> list[tuple[int, str]]:
        """Find memories that have no vector yet.

        Args:
            memory_filter: Only memories that match.
            most: How many at most.
            length: The length of a vector. Memories whose vector has another length count too.
                Default: any length.

        Returns:
            Their places, and the strings of which their vectors are made.
        """
        rows = self._index.without_vectors(most, memory_filter, length)
        return [(row.place, vector_text(memory)) for row, memory in zip(rows, self._memories(rows), strict=True)]

    def embed(self) -> int:
        """Compute missing vectors.

        Returns:
            How many were computed; 0 without an embedder.
        """
        made = set[int]()
        while self._embedder is not None:
            missing = self.without_vectors(MemoryFilter(), BATCH, self._embedder.length)
            if not made.isdisjoint(place for place, _ in missing):  # another model's client replaces what is made here
                break
            vectors = self._embedder.vectors([text for _, text in missing]) if missing else None
            if vectors is None:
                break
            keep_vectors(self._index, [(place, vector) for (place, _), vector in zip(missing, vectors, strict=True)])
            made |= {place for place, _ in missing}
        return len(made)

    def _found(
        self, query: str, vector: Sequence[float] | None, memory_filter: MemoryFilter, limit: int
    ) -> tuple[list[_Scored], Container[int]]:
        """At most `limit`, of different contents, the best first; and the places that the query itself finds."""
        scope = self._index.scope(memory_filter.agent_id, memory_filter.session_id)
        text = LexicalScores(self._index, query, scope)
        most, among = max(_LEAST, 2 * limit), None
        can_compare = vector is not None and self._index.has_vectors_of(len(vector))
        alike = QueryVector(self._index, scope, vector) if vector is not None and can_compare else None
        while True:
            chosen = {*text.best(most, among)}
            if alike is not None:
                chosen |= alike.nearest(most, among)
            scores = text.of_places(around(chosen))
            if alike is not None:
                scores = _fused(scores, alike.of_places(around(scores)))
            found = self._distinct(scores, memory_filter, limit)
            if len(found) >= limit or len(chosen) < most:
                return found[:limit], chosen
            if among is None:  # a filter may have left out most of them
                among = self._index.places(memory_filter)
            most *= 8

    def _distinct(self, scores: Mapping[int, float], memory_filter: MemoryFilter, limit: int) -> list[_Scored]:
        """What passes the filter, the best first, each content of an agent once; of the same score the newest first.

        Rows are read from the best on, until there are enough.
        """
        order = sorted(scores, key=scores.__getitem__, reverse=True)
        best: dict[int, _Scored] = {}
        start, size = 0, 4 * limit
        while start < len(order) and len(best) < limit:
            end = min(start + size, len(order))
            while end < len(order) and scores[order[end]] == scores[order[end - 1]]:
                end += 1
            rows = self._index.memories(order[start:end], memory_filter)
            rows.sort(key=lambda row: (scores[row.place], row.at, row.place), reverse=True)
            for row in rows:
                best.setdefault(row.fingerprint, (row, scores[row.place]))
            start, size = end, 4 * size
        return [*best.values()]

    def _memories(self, rows: Sequence[IndexedMemory]) -> list[Memory]:
        if self._load is not None:
            return [*self._load([row.key for row in rows if row.key is not None])]
        kept = self._index.contents(row.place for row in rows)
        return [Memory.model_validate_json(kept[row.place], context=WIRE) for row in rows]


def check_query(query: object) -> None:
    """Refuse what is no text, and a blank one."""
    if not isinstance(query, str) or not query.strip():
        raise invalid("query", "a string that is not blank", "it says what to look for")


def check_hits(limit: object) -> None:
    """Refuse a number of hits that is no whole number, or below 1."""
    if not is_int(limit) or limit < 1:
        raise invalid("limit", "a whole number, 1 or more", "it says how many hits there may be")


def _hit(memory: Memory, counted: tuple[int, IndexedMemory, float]) -> SearchHit:
    count, row, score = counted
    return SearchHit(memory, score, count, row.place)


def _fused(text: Mapping[int, float], likeness: Mapping[int, float]) -> dict[int, float]:
    """Both kinds of scores, each from 0 to 1, what is alike counting half."""
    of_groups = best_of_groups(likeness, map(group_of, likeness))
    alike = [
        near + _GROUP_LIKENESS * of_groups.get(group_of(place), 0.0)
        for place, near in zip(text, smoothed(likeness, text), strict=True)
    ]
    most_of_text, most_alike = max(text.values(), default=0.0) or 1.0, max(alike, default=0.0) or 1.0
    return {
        place: score / most_of_text + _VECTOR_WEIGHT * near / most_alike
        for (place, score), near in zip(text.items(), alike, strict=True)
    }

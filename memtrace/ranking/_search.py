"""Search an index: the best places that pass a filter, each content once, as memories."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from memtrace._support.numbers import is_int
from memtrace.models import WIRE, Memory
from memtrace.operations._validation import invalid
from memtrace.ranking._filters import MemoryFilter
from memtrace.ranking._hits import SearchHit, SearchHits
from memtrace.ranking._index import IndexedMemory, MemoryLoader, TextIndex, age
from memtrace.ranking._lexical import LexicalScores, best_of_groups, smoothed
from memtrace.ranking._neighbours import Window
from memtrace.ranking._places import block_of
from memtrace.ranking._scope import Scope
from memtrace.ranking._vectors import QueryVector
from memtrace.ranking._words import vector_text

#: How many places get a full score, at least. If filters or repeated contents leave too few, more do.
_LEAST = 150
#: The weight of similarity beside words, and within it the weight of the most similar memories of the same group.
_VECTOR_WEIGHT = 0.5
_GROUP_LIKENESS = 0.1
_Scored = tuple[IndexedMemory, float]
_Counted = tuple[IndexedMemory, float, int]
"""A memory, its score, and how many of its agent have the same content."""


class MemorySearch:
    """Search an index by words, and by meaning with the vector of a query.

    Args:
        index: The index.
        load: Loads memories of a host by their keys, if the index does not keep them.
    """

    def __init__(self, index: TextIndex, *, load: MemoryLoader | None = None) -> None:
        self._index = index
        self._load = load

    def search(
        self,
        query: str,
        memory_filter: MemoryFilter | None = None,
        *,
        limit: int = 10,
        vector: Sequence[float] | None = None,
        model: str | None = None,
    ) -> SearchHits:
        """Find the most relevant memories.

        Equal contents of one agent are one hit, the newest. The same memories give the same order,
        in whichever order they were added, and whatever else is in the index. Equal scores are
        ordered by time: first by `occurred_at`, then by the server's time, newest first.

        Args:
            query: What to look for, in plain words.
            memory_filter: Only memories that match. Default: all.
            limit: How many hits at most, from 1.
            vector: The query's vector. It is compared only with vectors of the same model and
                length. Default: words alone rank.
            model: The name of the model that computed the vector.

        Returns:
            The hits, most relevant first.

        Raises:
            InvalidRequestError: The query is blank, or the limit is below 1. The error names the
                field.
        """
        check_query(query)
        check_hits(limit)
        memory_filter = memory_filter or MemoryFilter()
        with self._index.reading():
            scope = self._index.scope(memory_filter.agent_id, memory_filter.session_id)
            alike = self._alike(scope, vector, model)
            found, direct = self._found(query, scope, alike, memory_filter, limit)
            again = self._index.repeated([row.fingerprint for row, _ in found], memory_filter)
            counted: list[_Counted] = []
            for row, score in found:
                count, newest = again.get(row.fingerprint, (1, row))
                # a memory without a word of the query is a hit for its neighbours, and stays beside them
                counted.append((newest if row.place in direct else row, score, count))
            return self._hits(scope, counted)

    def newest(self, memory_filter: MemoryFilter, most: int) -> SearchHits:
        """Get the memories that occurred last, newest first, with the score 0.

        Args:
            memory_filter: Only memories that match.
            most: How many at most.

        Returns:
            The hits.
        """
        with self._index.reading():
            scope = self._index.scope(memory_filter.agent_id, memory_filter.session_id)
            return self._hits(scope, [(row, 0.0, 1) for row in self._index.latest(memory_filter, most)])

    def without_vectors(self, memory_filter: MemoryFilter, most: int, model: int | None) -> list[tuple[int, str]]:
        """Find memories that have no vector of a model yet.

        Args:
            memory_filter: Only memories that match.
            most: How many at most.
            model: The number of the model. Default: no model, so that all memories match.

        Returns:
            Their places, and the strings from which their vectors are computed.
        """
        rows = self._index.without_vectors(most, memory_filter, model)
        return [(row.place, vector_text(memory)) for row, memory in zip(rows, self._memories(rows), strict=True)]

    def _alike(self, scope: Scope, vector: Sequence[float] | None, name: str | None) -> QueryVector | None:
        model = None if vector is None else self._index.model(name, len(vector))
        return None if vector is None or model is None else QueryVector(self._index, scope, vector, model)

    def _found(
        self, query: str, scope: Scope, alike: QueryVector | None, memory_filter: MemoryFilter, limit: int
    ) -> tuple[list[_Scored], Container[int]]:
        """At most `limit` memories of different contents, best first, and the places that match the query themselves."""
        text, neighbours = LexicalScores(self._index, query, scope), self._index.neighbours(scope)
        most, among = max(_LEAST, 2 * limit), None
        while True:
            chosen = {*text.best(most, among)}
            if alike is not None:
                chosen |= alike.nearest(most, among)
            windows = neighbours.around(chosen)
            scores = text.of_places(windows)
            if alike is not None:
                likeness = alike.of_places({*windows}.union(*windows.values()))
                scores = _fused(scores, likeness, windows, scope)
            found = self._distinct(scores, memory_filter, limit)
            if len(found) >= limit or len(chosen) < most:
                return found[:limit], chosen
            if among is None:  # a filter may have left out most of them
                among = self._index.places(memory_filter)
            most *= 8

    def _distinct(self, scores: Mapping[int, float], memory_filter: MemoryFilter, limit: int) -> list[_Scored]:
        """The memories that pass the filter, best first, each content of an agent once. Equal scores: newest first.

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
            rows.sort(key=lambda row: (scores[row.place], *age(row)), reverse=True)
            for row in rows:
                best.setdefault(row.fingerprint, (row, scores[row.place]))
            start, size = end, 4 * size
        return [*best.values()]

    def _hits(self, scope: Scope, counted: Sequence[_Counted]) -> SearchHits:
        rows = [row for row, _, _ in counted]
        times = self._index.neighbours(scope).times([row.place for row in rows])
        return SearchHits(
            SearchHit(memory, score, count, *times[row.place])
            for memory, (row, score, count) in zip(self._memories(rows), counted, strict=True)
        )

    def _memories(self, rows: Sequence[IndexedMemory]) -> list[Memory]:
        if self._load is not None:
            return [*self._load([row.key for row in rows if row.key is not None])]
        kept = self._index.contents(row.place for row in rows)
        return [Memory.model_validate_json(kept[row.place], context=WIRE) for row in rows]


def check_query(query: object) -> None:
    """Refuse a query that is not a string, or blank."""
    if not isinstance(query, str) or not query.strip():
        raise invalid("query", "a string that is not blank", "it says what to look for")


def check_hits(limit: object) -> None:
    """Refuse a limit that is not a whole number, or below 1."""
    if not is_int(limit) or limit < 1:
        raise invalid("limit", "a whole number, 1 or more", "it says how many hits there may be")


def _fused(
    text: Mapping[int, float], likeness: Mapping[int, float], windows: Mapping[int, Window], scope: Scope
) -> dict[int, float]:
    """Combine both kinds of scores, each scaled to 0..1. Similarity counts half."""
    of_groups = best_of_groups((scope.group_of(block_of(place)), near) for place, near in likeness.items())
    alike = [
        near + _GROUP_LIKENESS * of_groups.get(scope.group_of(block_of(place)), 0.0)
        for place, near in zip(text, smoothed(likeness, windows), strict=True)
    ]
    most_of_text, most_alike = max(text.values(), default=0.0) or 1.0, max(alike, default=0.0) or 1.0
    return {
        place: score / most_of_text + _VECTOR_WEIGHT * near / most_alike
        for (place, score), near in zip(text.items(), alike, strict=True)
    }

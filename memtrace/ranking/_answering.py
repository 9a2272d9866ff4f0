"""Answer the queries of the index contract, for every kind of index."""

from __future__ import annotations

from collections.abc import Iterable

from memtrace.operations._validation import invalid
from memtrace.ranking._filters import MemoryFilter
from memtrace.ranking._hits import SearchHit
from memtrace.ranking._index import MemoryLoader, TextIndex
from memtrace.ranking._search import MemorySearch
from memtrace.ranking._vectors import keep_vectors
from memtrace.transport import IndexAnswer, IndexHit, IndexQuery, PlacedText


def answer_query(index: TextIndex, asked: IndexQuery, load: MemoryLoader | None = None) -> IndexAnswer:
    """Answer a query from an index. Storing vectors is a transaction, unless the connection has one.

    For a query that asks to `rebuild` it removes the vectors of other models; a host compares the memories with its own before.

    Args:
        index: The index.
        asked: The query.
        load: Loads memories of a host by their keys, if the index does not keep them.

    Returns:
        The hits, and what the index lacks.

    Raises:
        InvalidRequestError: The query is blank, the limit is below 1, or vectors have no model.
    """
    if asked.vectors:
        if asked.model is None:
            raise invalid(
                "model", "the name of the model that made the vectors", "those of two models cannot be compared"
            )
        keep_vectors(index, asked.model, [(each.place, each.vector) for each in asked.vectors])
    memory_filter = MemoryFilter(
        agent_id=asked.agent_id,
        session_id=asked.session_id,
        since=asked.since,
        until=asked.until,
        tags=asked.tags,
        tags_match=asked.tags_match,
        memory_types=asked.memory_types,
        event_types=asked.event_types,
        min_importance=asked.min_importance,
    )
    search, answer = MemorySearch(index, load=load), IndexAnswer()
    owner = MemoryFilter(agent_id=asked.agent_id, session_id=asked.session_id)
    if asked.rebuild and asked.model is not None:
        index.remove_vectors(owner, index.model(asked.model, asked.dimensions))
    if asked.query is not None:
        hits = search.search(asked.query, memory_filter, limit=asked.limit, vector=asked.vector, model=asked.model)
        answer.hits = _wire(hits)
    if asked.newest:
        answer.newest = _wire(search.newest(memory_filter, asked.newest))
    model = index.model(asked.model, asked.dimensions if asked.vector is None else len(asked.vector))
    if asked.counted:
        answer.memories, answer.vectors, answer.latest = index.counts(owner, model)
    if asked.missing:
        texts = search.without_vectors(owner, asked.missing, model)
        answer.missing = [PlacedText.model_construct(place=place, text=text) for place, text in texts]
    return answer


def _wire(hits: Iterable[SearchHit]) -> list[IndexHit]:
    return [
        IndexHit.model_construct(
            memory=hit.memory, score=hit.score, count=hit.count, previous=hit.previous, next=hit.next
        )
        for hit in hits
    ]

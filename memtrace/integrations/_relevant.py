"""The memories of an agent that are relevant to a query, without those that an integration does not want."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from memtrace._runtime.workflows.searching import Searching, index_query
from memtrace._runtime.workflows.steps import Workflow
from memtrace.models import Memory
from memtrace.ranking import SearchHit

_LEAST_HITS = 20


def relevant(
    query: str,
    *,
    agent_id: str,
    limit: int,
    is_wanted: Callable[[Memory], bool],
    searching: Searching,
    tags: Sequence[str] = (),
) -> Workflow[list[SearchHit]]:
    """At most `limit` hits that are wanted, the most relevant first; none for a query without words.

    Raises as the search of memories does.
    """
    if not query.strip():
        return []
    most = max(_LEAST_HITS, 2 * limit)
    while True:
        asked = index_query(searching.settings, query=query, agent_id=agent_id, tags=list(tags), limit=most)
        hits, _ = yield from searching.found(query, asked)
        found = [hit for hit in hits if is_wanted(hit.memory)]
        if len(found) >= limit or len(hits) < most:
            return found[:limit]
        most *= 8  # many of those that are not wanted say the same

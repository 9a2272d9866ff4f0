"""The index that a search reads: brought up to date before it, with the number of memories so far on a terminal."""

from __future__ import annotations

from typing import TypedDict

from memtrace._cli.progress import counting, is_shown
from memtrace.client import Memtrace
from memtrace.models import TagsMatch
from memtrace.ranking import IndexStatus


class SearchFilters(TypedDict, total=False):
    """What a search has beside its query; the fields are those of `memories.search`."""

    agent_id: str | None
    session_id: str | None
    since: str | None
    until: str | None
    tags: list[str] | None
    tags_match: TagsMatch
    memory_types: list[str] | None
    event_types: list[str] | None
    min_importance: float | None
    limit: int


def read_ahead(client: Memtrace, query: str, filters: SearchFilters) -> None:
    """Read what is newer into the index, and show how far that is; the search by itself would read it in silence.

    Off a terminal, and for a session, which is read alone, nothing is done. Raises `InvalidRequestError` for arguments that the
    search would refuse, before anything is sent.
    """
    from memtrace._runtime.workflows.searching import index_query

    if filters.get("session_id") is not None or not is_shown():
        return
    index_query(client._dispatcher.settings, query=query, **filters)  # noqa: SLF001  # of this package
    with counting("Reading into the search index") as show_progress:

        def told(status: IndexStatus) -> None:
            show_progress(f"{status.memories:,} memories")

        client.memories.index_sync(filters.get("agent_id"), progress=told)

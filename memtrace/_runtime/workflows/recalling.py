"""What `recall` reads: an agent's or a session's newest memories, of several types too, or those that a query finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from memtrace._runtime.workflows import listing
from memtrace._runtime.workflows.searching import Searching, index_query
from memtrace._runtime.workflows.steps import Workflow, run_operation
from memtrace.clock import Clock
from memtrace.models import ListOptions, MemoryList, SearchQuery, SearchResult
from memtrace.operations import Operation
from memtrace.operations._validation import check_count, check_offset, check_types, invalid, text_list

_FOUND = 10
"""How many memories a query finds, unless the limit says otherwise."""
_NEWEST = 100

Reader = Callable[[ListOptions, Clock], Operation[MemoryList] | Workflow[MemoryList]]
"""What reads memories where one type of them at most is asked for."""


def session_reader(session_id: str) -> Reader:
    """What reads a session's memories."""
    return lambda options, clock: listing.session_memories(session_id, options, clock)


def recall(
    options: ListOptions,
    memory_types: str | Sequence[str] | None,
    query: str | None,
    searching: Searching,
    read: Reader,
) -> Operation[MemoryList] | Workflow[MemoryList]:
    """The newest memories that the filters find, or with a query the most relevant ones. Arguments are checked now."""
    types = _types(options, memory_types)
    if query is not None:
        return _found(options, types, query, searching)
    if len(types) > 1:
        return _of_types(options, types, searching.clock)
    return read(options.model_copy(update={"memory_type": types[0]}) if types else options, searching.clock)


def _types(options: ListOptions, memory_types: str | Sequence[str] | None) -> list[str]:
    """The types that are asked for, one by one or together; none is all."""
    if memory_types is None:
        return [options.memory_type] if options.memory_type else []
    if options.memory_type:
        raise invalid("memory_types", "left out with memory_type", "one of them says which types")
    types = text_list(memory_types, "memory_types") or []
    check_types(types, "memory_types")
    return types


def _found(options: ListOptions, types: list[str], query: str, searching: Searching) -> Workflow[MemoryList]:
    for name in ("order", "offset"):
        if getattr(options, name) is not None:
            raise invalid(name, "left out with a query", "the most relevant memories come first")
    asked = index_query(
        searching.settings,
        query=query,
        agent_id=options.agent_id,
        session_id=options.session_id,
        since=options.since,
        until=options.until,
        tags=options.tags,
        tags_match=options.tags_match,
        memory_types=types or None,
        event_types=[options.event_type] if options.event_type else None,
        limit=_FOUND if options.limit is None else options.limit,
    )
    return searching.recall(query, asked)


def _of_types(options: ListOptions, types: list[str], clock: Clock) -> Workflow[MemoryList]:
    """Memories of any of several types: lists know one, the server's filter any number, but neither offset nor `has_more`."""
    check_count(options.limit)
    check_offset(options.offset)
    skipped, limit = options.offset or 0, _NEWEST if options.limit is None else options.limit
    asked = SearchQuery(
        agent_id=options.agent_id,
        session_id=options.session_id,
        memory_types=types,
        event_types=[options.event_type] if options.event_type else None,
        tags=options.tags,
        tags_match=options.tags_match,
        since=options.since,
        until=options.until,
        limit=skipped + limit + 1,
        order=options.order,
    )
    return _listed(listing.search_memories(asked, clock), skipped, limit)


def _listed(
    reading: Operation[SearchResult] | Workflow[SearchResult], skipped: int, limit: int
) -> Workflow[MemoryList]:
    found = yield from (run_operation(reading) if isinstance(reading, Operation) else reading)
    rows = found.results[skipped : skipped + limit]
    return MemoryList(memories=rows, count=len(rows), has_more=len(found.results) > skipped + limit)

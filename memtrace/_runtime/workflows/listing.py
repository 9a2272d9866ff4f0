"""Reading memories: in one request where the server gives what was asked for, else page by page.

What an endpoint of an agent or a session ignores, the bounds and offsets of pages among it, goes to the general one with
the id as a filter. Arguments are checked when a workflow is made, before it runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from memtrace import operations
from memtrace._runtime.workflows.keyset_pagination import PAGE_SIZE, PageRequest, Paginator
from memtrace._runtime.workflows.steps import Stream, Workflow, emit_all, run_operation
from memtrace.clock import Clock
from memtrace.exceptions import InvalidRequestError
from memtrace.models import ListOptions, Memory, MemoryList, SearchQuery, SearchResult
from memtrace.operations import Operation
from memtrace.operations._endpoints import for_agent, for_session
from memtrace.operations._time_bounds import to_absolute
from memtrace.operations._validation import MAX_LIMIT, check_count, check_page_size, split_tags, trim_tag

QueryT = TypeVar("QueryT", ListOptions, SearchQuery)

_LIST_LIMIT = 100
_SEARCH_LIMIT = 50


# ---- lists ----------------------------------------------------------------------------------------------------------


def list_memories(
    options: ListOptions, clock: Clock, *, page_size: int = PAGE_SIZE
) -> Operation[MemoryList] | Workflow[MemoryList]:
    """Read memories by filters, 100 unless `limit` says otherwise."""
    if _is_one_request(options):
        return operations.list_memories(_as_sent(options), clock)
    return read_all(options, clock, page_size=page_size)


def agent_memories(agent_id: str, options: ListOptions, clock: Clock) -> Operation[MemoryList] | Workflow[MemoryList]:
    """Read one agent's memories, of the last 24 hours unless `since` says otherwise; 100 unless `limit` does."""
    if _is_one_request(options):
        return operations.agent_memories(agent_id, _as_sent(options), clock)
    return read_all(for_agent(agent_id, options), clock, "agents.memories")


def session_memories(
    session_id: str, options: ListOptions, clock: Clock
) -> Operation[MemoryList] | Workflow[MemoryList]:
    """Read one session's memories, 100 unless `limit` says otherwise."""
    if _is_one_request(options):
        return operations.session_memories(session_id, _as_sent(options), clock)
    return read_all(for_session(session_id, options), clock, "sessions.memories")


def _is_one_request(wanted: ListOptions | SearchQuery) -> bool:
    check_count(wanted.limit)
    return (wanted.limit is None or wanted.limit <= MAX_LIMIT) and _exact_tags(wanted) is None


def read_all(
    options: ListOptions, clock: Clock, name: str = "memories.list", *, page_size: int = PAGE_SIZE
) -> Workflow[MemoryList]:
    """Read memories by filters page by page, 100 unless `limit` says otherwise."""
    limit = _LIST_LIMIT if options.limit is None else options.limit
    # One more row shows whether there are more; the next row with these exact tags may be far away.
    paginator = paginate(options, clock, name, limit + 1 if _exact_tags(options) is None else limit, page_size)
    rows = yield from _all_of(paginator)
    has_more = paginator.has_more or len(rows) > limit
    del rows[limit:]
    return MemoryList(memories=rows, count=len(rows), has_more=has_more)


def _all_of(paginator: Paginator) -> Workflow[list[Memory]]:
    rows: list[Memory] = []
    while not paginator.ended:
        rows += yield from paginator.next_page()
    return rows


# ---- one row after the other ----------------------------------------------------------------------------------------


def iter_memories(options: ListOptions, clock: Clock, *, page_size: int = PAGE_SIZE) -> Stream[Memory]:
    """Every memory that the filters find, in order; at most `limit`, where that is given."""
    return _emitted(paginate(options, clock, "memories.list", options.limit, page_size))


def iter_agent_memories(
    agent_id: str, options: ListOptions, clock: Clock, *, page_size: int = PAGE_SIZE
) -> Stream[Memory]:
    """`iter_memories` of one agent, of the last 24 hours unless `since` says otherwise."""
    return _emitted(paginate(for_agent(agent_id, options), clock, "agents.memories", options.limit, page_size))


def iter_session_memories(
    session_id: str, options: ListOptions, clock: Clock, *, page_size: int = PAGE_SIZE
) -> Stream[Memory]:
    """`iter_memories` of one session."""
    return _emitted(session_pages(session_id, options, clock, "sessions.memories", page_size))


def session_pages(
    session_id: str, options: ListOptions, clock: Clock, name: str, page_size: int = PAGE_SIZE
) -> Paginator:
    """The way over what `options` find of one session; `name` is that of its operations."""
    return paginate(for_session(session_id, options), clock, name, options.limit, page_size)


def _emitted(paginator: Paginator) -> Stream[Memory]:
    while not paginator.ended:
        yield from emit_all((yield from paginator.next_page()))


def paginate(
    options: ListOptions, clock: Clock, name: str, at_most: int | None, page_size: int = PAGE_SIZE
) -> Paginator:
    """The way over what `options` find. Raises `InvalidRequestError` for what the server would refuse or ignore."""
    check_count(options.limit)
    check_page_size(page_size)
    sent = _as_sent(options)
    operations.list_memories(sent.model_copy(update={"limit": None}), clock)

    def read(page: PageRequest) -> Workflow[list[Memory]]:
        asked = {"since": page.since, "until": page.until, "limit": page.limit, "offset": page.offset or None}
        answer = yield from run_operation(operations.list_memories(sent.model_copy(update=asked), clock, name))
        return answer.memories

    return Paginator(
        read,
        to_absolute(options.since, "since", clock),
        to_absolute(options.until, "until", clock),
        oldest_first=options.order == "asc",
        skip=options.offset or 0,
        keep=_exact_tags(options),
        at_most=at_most,
        page_size=page_size,
    )


# ---- search ---------------------------------------------------------------------------------------------------------


def search_memories(
    query: SearchQuery, clock: Clock, *, page_size: int = PAGE_SIZE
) -> Operation[SearchResult] | Workflow[SearchResult]:
    """Search memories by filters and a part of their content, 50 unless `limit` says otherwise."""
    if _is_one_request(query):
        return operations.search_memories(_as_sent(query), clock)
    return _searched(query, clock, page_size)


def _searched(query: SearchQuery, clock: Clock, page_size: int) -> Workflow[SearchResult]:
    spent = 0

    def read(page: PageRequest) -> Workflow[list[Memory]]:
        nonlocal spent
        if page.offset:
            raise InvalidRequestError(
                f"{page.limit} rows or more of one microsecond are found, and the server's search cannot give those after the "
                f"first {page.limit}",
                field="limit",
                rule=f"at most {page.limit} where so many rows have one time",
                code="result_window_exceeded",
                hint="narrow the search by agent_id or session_id, or read with memories.iter",
            )
        asked = {"since": page.since, "until": page.until, "limit": page.limit}
        answer = yield from run_operation(operations.search_memories(_as_sent(query).model_copy(update=asked), clock))
        spent += answer.query_time_ms
        return answer.results

    paginator = Paginator(
        read,
        to_absolute(query.since, "since", clock),
        to_absolute(query.until, "until", clock),
        oldest_first=query.order == "asc",
        keep=_exact_tags(query),
        at_most=_SEARCH_LIMIT if query.limit is None else query.limit,
        page_size=page_size,
        smallest_page=2,  # of one row there is no next one without an offset
    )
    rows = yield from _all_of(paginator)
    return SearchResult(results=rows, count=len(rows), query_time_ms=spent)


# ---- tags -----------------------------------------------------------------------------------------------------------


def _as_sent(wanted: QueryT) -> QueryT:
    """Without the choice of tags that is made here."""
    return wanted if wanted.tags_match != "exact" else wanted.model_copy(update={"tags_match": None})


def _exact_tags(wanted: ListOptions | SearchQuery) -> Callable[[Memory], bool] | None:
    """Check that a row has every tag of the filter; None if the server's filter is enough."""
    if wanted.tags_match != "exact" or not wanted.tags:
        return None
    asked = frozenset(split_tags(wanted.tags) if isinstance(wanted.tags, str) else map(trim_tag, wanted.tags)) - {""}
    return (lambda row: asked.issubset(row.tags or ())) if asked else None

"""Memories written into a prompt: all of them, read from the first to the last, or those that a search finds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from memtrace._runtime.workflows.keyset_pagination import Paginator
from memtrace._runtime.workflows.listing import paginate
from memtrace._runtime.workflows.searching import Searching, index_query
from memtrace._runtime.workflows.steps import Workflow
from memtrace.context._options import PromptContextOptions
from memtrace.context._prompt import ContextWriter, PromptContext
from memtrace.models import ListOptions, Memory
from memtrace.operations._coercion import filters_from
from memtrace.operations._validation import check_importance, check_recent, check_types, invalid, require_non_empty
from memtrace.ranking import SearchHit
from memtrace.transport import IndexQuery

_LEAST_TOKENS = 6
"""What a memory takes at least: so many more are looked for than the budget may hold."""
_EVERYTHING = 1 << 40


class Owner(NamedTuple):
    """Whose memories, and for which call."""

    #: The name of the operations that read them.
    operation: str
    agent_id: str | None = None
    session_id: str | None = None


def session_prompt_context(
    session_id: str, options: PromptContextOptions, searching: Searching
) -> Workflow[PromptContext]:
    """The context of a session's memories. Raises `InvalidRequestError` for an empty one, which would mean every session."""
    require_non_empty(session_id, "session_id")
    return prompt_context(Owner("sessions.prompt_context", session_id=session_id), options, searching)


def prompt_context(owner: Owner, options: PromptContextOptions, searching: Searching) -> Workflow[PromptContext]:
    """The context of an owner's memories. Arguments are checked when it is made, before it runs."""
    check_types(options.memory_types, "memory_types")
    check_types(options.event_types, "event_types")
    check_importance(options.min_importance)
    writer = ContextWriter(
        options.max_tokens,
        options.count_tokens,
        options.format,
        options.metadata_keys,
        show_agents=options.show_agents,
        explain=options.explain,
    )
    is_stable = _is_stable(options)
    if options.query is not None:
        return _found(_asked(owner, options, searching), options.query, writer, searching)
    paginator = paginate(_sent(owner, options), searching.clock, owner.operation, None)
    if is_stable:
        return _written(paginator, options, writer)
    return _filled(paginator, options, writer, searching)


def _is_stable(options: PromptContextOptions) -> bool:
    """Whether the beginning is to stay. Raises `InvalidRequestError` where that cannot be."""
    check_recent(options.recent)
    is_ranked = options.query is not None or options.recent > 0
    if options.stable_prefix and is_ranked:
        raise invalid("stable_prefix", "False with a query or recent", "an order of importance changes the beginning")
    return not is_ranked if options.stable_prefix is None else options.stable_prefix


# ---- all of them ----------------------------------------------------------------------------------------------------


def _written(paginator: Paginator, options: PromptContextOptions, writer: ContextWriter) -> Workflow[PromptContext]:
    while not paginator.ended:
        rows = yield from paginator.next_page()
        writer.take(row for row in rows if _is_wanted(row, options))
    return writer.context()


def _filled(
    paginator: Paginator, options: PromptContextOptions, writer: ContextWriter, searching: Searching
) -> Workflow[PromptContext]:
    memories: list[Memory] = []
    while not paginator.ended:
        rows = yield from paginator.next_page()
        memories += [row for row in rows if _is_wanted(row, options)]
    return (yield from searching.blocking(partial(_chosen, writer, memories, None, options.recent)))


def _sent(owner: Owner, options: PromptContextOptions) -> ListOptions:
    """The filters that the server knows; of types it takes one."""
    filters = {
        "agent_id": owner.agent_id,
        "session_id": owner.session_id,
        "memory_type": _only(options.memory_types),
        "event_type": _only(options.event_types),
        "tags": options.tags,
        "tags_match": options.tags_match,
        "since": options.since,
        "until": options.until,
        "order": "asc",
    }
    return filters_from(ListOptions, None, filters)


def _only(types: Sequence[str] | None) -> str | None:
    return types[0] if types and len(types) == 1 else None


def _is_wanted(memory: Memory, options: PromptContextOptions) -> bool:
    least = options.min_importance
    return (
        (not options.memory_types or memory.memory_type in options.memory_types)
        and (not options.event_types or memory.event_type in options.event_types)
        and (least is None or (memory.importance or 0.0) >= least)
    )


# ---- what a search finds --------------------------------------------------------------------------------------------


def _asked(owner: Owner, options: PromptContextOptions, searching: Searching) -> IndexQuery:
    most = _EVERYTHING if options.max_tokens is None else max(50, options.max_tokens // _LEAST_TOKENS)
    return index_query(
        searching.settings,
        query=options.query,
        agent_id=owner.agent_id,
        session_id=owner.session_id,
        since=options.since,
        until=options.until,
        tags=options.tags,
        tags_match=options.tags_match,
        memory_types=options.memory_types,
        event_types=options.event_types,
        min_importance=options.min_importance,
        limit=most,
        newest=options.recent,
    )


def _found(asked: IndexQuery, query: str, writer: ContextWriter, searching: Searching) -> Workflow[PromptContext]:
    hits, newest = yield from searching.found(query, asked)
    ranked = {_key(hit): hit for hit in [*hits, *newest]}
    order = [*newest, *hits]
    memories = [hit.memory for hit in ranked.values()]
    return (yield from searching.blocking(partial(_chosen, writer, memories, order, 0, len(newest))))


def _key(hit: SearchHit) -> tuple[object, ...]:
    memory = hit.memory
    return memory.time, memory.agent_id, memory.session_id, memory.content


def _chosen(
    writer: ContextWriter, memories: list[Memory], order: list[SearchHit] | None, recent: int, preferred: int = 0
) -> PromptContext:
    writer.choose(memories, order, recent, preferred=preferred)
    return writer.context()

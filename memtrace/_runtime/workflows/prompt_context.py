"""A session's memories, read from the first to the last and written into a prompt."""

from __future__ import annotations

from memtrace._runtime.workflows.keyset_pagination import Paginator
from memtrace._runtime.workflows.listing import session_pages
from memtrace._runtime.workflows.steps import Workflow
from memtrace.clock import Clock
from memtrace.context._options import PromptContextOptions
from memtrace.context._prompt import ContextWriter, PromptContext
from memtrace.models import ListOptions, Memory
from memtrace.operations._coercion import coerce_request
from memtrace.operations._validation import check_importance, check_types


def session_prompt_context(session_id: str, options: PromptContextOptions, clock: Clock) -> Workflow[PromptContext]:
    """The context of a session's memories. Arguments are checked when it is made, before it runs."""
    check_types(options.memory_types, "memory_types")
    check_types(options.event_types, "event_types")
    check_importance(options.min_importance)
    writer = ContextWriter(
        options.max_tokens,
        options.count_tokens,
        options.format,
        options.metadata_keys,
        show_agents=options.show_agents,
    )
    return _written(session_pages(session_id, _sent(options), clock, "sessions.prompt_context"), options, writer)


def _written(paginator: Paginator, options: PromptContextOptions, writer: ContextWriter) -> Workflow[PromptContext]:
    while not paginator.ended:
        rows = yield from paginator.next_page()
        writer.take(row for row in rows if _is_wanted(row, options))
    return writer.context()


def _sent(options: PromptContextOptions) -> ListOptions:
    """The filters that the server knows; of types it takes one."""
    filters = {
        "memory_type": _only(options.memory_types),
        "event_type": _only(options.event_types),
        "tags": options.tags,
        "tags_match": options.tags_match,
        "since": options.since,
        "until": options.until,
        "order": "asc",
    }
    return coerce_request(ListOptions, None, filters)


def _only(types: list[str] | None) -> str | None:
    return types[0] if types and len(types) == 1 else None


def _is_wanted(memory: Memory, options: PromptContextOptions) -> bool:
    least = options.min_importance
    return (
        (not options.memory_types or memory.memory_type in options.memory_types)
        and (not options.event_types or memory.event_type in options.event_types)
        and (least is None or (memory.importance or 0.0) >= least)
    )

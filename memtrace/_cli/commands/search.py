"""search and filter: by relevance, and by the server's own filters."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from memtrace._cli.options import (
    AgentOption,
    Choice,
    EventsOption,
    IdsOption,
    ImportanceOption,
    JsonOption,
    KindsOption,
    SearchIndexOption,
    SessionOption,
    SinceOption,
    TagOption,
    TagsMatchOption,
    UntilOption,
)
from memtrace._cli.terminal import show_error, show_json, show_table

SEARCH = """\b
Examples:
  memtrace-sdk search "what does the user drink?"
  memtrace-sdk search "train to Lisbon" --agent assistant --since 30d
  memtrace-sdk search "dark mode" --search-index memories.index --json

\b
The most relevant first, by the words of QUERY: any of them is enough. The
console ranks them, so that it works with every server. Without --search-index
it reads all memories of the agent, session or organisation first. --since and
--until are for when a memory occurred. For a part of the content, as it is
written: memtrace-sdk filter.
"""


def search(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to look for, in plain words.")],
    *,
    agent: AgentOption = None,
    session: SessionOption = None,
    memory_type: KindsOption = None,
    event_type: EventsOption = None,
    tag: TagOption = None,
    tags_match: TagsMatchOption = "exact",
    min_importance: ImportanceOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[int, typer.Option(metavar="N", help="The maximum number of memories.")] = 10,
    search_index: SearchIndexOption = None,
    ids: IdsOption = False,
    choice: Choice,
    as_json: JsonOption = False,
) -> None:
    """Find the memories that are relevant to a query."""
    from memtrace._cli.agent_names import AgentNames
    from memtrace._cli.connection import connected
    from memtrace._cli.nothing_found import nothing_of
    from memtrace._cli.search_index import SearchFilters, read_ahead
    from memtrace._cli.tables import hits_table

    with connected(choice, search_index) as client:
        filters: SearchFilters = {
            "agent_id": agent,
            "session_id": session,
            "memory_types": memory_type,
            "event_types": event_type,
            "tags": tag,
            "tags_match": tags_match,
            "min_importance": min_importance,
            "since": since,
            "until": until,
            "limit": limit,
        }
        read_ahead(client, query, filters)
        hits = client.memories.search(query, **filters)
        none = "" if hits else nothing_of(client, agent)
        names = AgentNames(client, ids=ids or as_json).of(hit.memory.agent_id for hit in hits)
    if as_json:
        rows = [
            {"score": hit.score, "count": hit.count, "memory": hit.memory.model_dump(mode="json", exclude_unset=True)}
            for hit in hits
        ]
        show_json({"hits": rows, "count": len(rows)})
    elif hits:
        show_table(hits_table(hits, names), of_texts=True)
    else:
        show_error(none)


FILTER = """\b
Examples:
  memtrace-sdk filter "dark mode"
  memtrace-sdk filter --agent assistant --type decision --since 30d
  memtrace-sdk filter error --tag billing --order asc --json

\b
TEXT is a part of the content, case-sensitive; there are no wildcards.
A tag matches as a whole; with --tags-match substring, ui also finds gui.
memtrace-sdk search finds memories that are relevant to a query.
"""


def filter_(
    text: Annotated[str | None, typer.Argument(metavar="TEXT", help="A part of the content.")] = None,
    *,
    agent: AgentOption = None,
    session: SessionOption = None,
    memory_type: KindsOption = None,
    event_type: EventsOption = None,
    tag: TagOption = None,
    tags_match: TagsMatchOption = "exact",
    min_importance: ImportanceOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[int, typer.Option(metavar="N", help="The maximum number of memories.")] = 50,
    order: Annotated[Literal["asc", "desc"], typer.Option(help="asc is oldest first, desc newest first.")] = "desc",
    ids: IdsOption = False,
    choice: Choice,
    as_json: JsonOption = False,
) -> None:
    """Show the memories that the server's filters find, of all agents."""
    from memtrace._cli.agent_names import AgentNames
    from memtrace._cli.connection import connected
    from memtrace._cli.nothing_found import nothing_of
    from memtrace._cli.tables import show_memories

    with connected(choice) as client:
        found = client.memories.filter(
            content_contains=text,
            agent_id=agent,
            session_id=session,
            memory_types=memory_type,
            event_types=event_type,
            tags=tag,
            tags_match=tags_match,
            min_importance=min_importance,
            since=since,
            until=until,
            limit=limit,
            order=order,
        )
        names = AgentNames(client, ids=ids or as_json).of(memory.agent_id for memory in found.results)
        none = "" if found.results else nothing_of(client, agent)
    if as_json:
        show_json(found.model_dump(mode="json", exclude_unset=True))
        return
    if none:
        show_error(none)
        return
    show_memories(found.results, names)
    if found.count == limit:
        show_error(f"these are {found.count}, there may be more: --limit N")

"""remember, decide, recall and tail."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from memtrace._cli.exit_status import CommandError, ExitStatus
from memtrace._cli.options import (
    Choice,
    EventOption,
    IdsOption,
    JsonOption,
    KindOption,
    KindsOption,
    OccurredAtOption,
    QueryOption,
    SearchIndexOption,
    SessionOption,
    TagOption,
    TagsMatchOption,
    UntilOption,
)
from memtrace._cli.terminal import make_console, show, show_error, show_json, visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from memtrace._cli.agent_names import AgentNames
    from memtrace.client import Memtrace
    from memtrace.models import Memory
    from memtrace.resources.request_params import AddMemoryParams

REMEMBER = """\b
Examples:
  memtrace-sdk remember assistant "User prefers dark mode" --tag ui
  git log -1 --format=%B | memtrace-sdk remember builder - --event-type commit
  memtrace-sdk remember assistant "Use PostgreSQL" --type decision \\
    --metadata '{"reasoning": "JSON support"}' --json

\b
Exit status 4: the same agent, event and content (its first 200 bytes), or the
same --dedup-key, was stored within 24 hours.
"""


def remember(
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="The agent's ID, which need not be registered.")],
    content: Annotated[
        str, typer.Argument(metavar="CONTENT", help="The text to remember; - reads the standard input.")
    ],
    *,
    memory_type: Annotated[
        Literal["episodic", "session", "decision", "entity"], typer.Option("--type", help="The type of memory.")
    ] = "episodic",
    event_type: Annotated[str, typer.Option(metavar="EVENT", help="The event type.")] = "general",
    tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="A tag. May be repeated.")] = None,
    importance: Annotated[float | None, typer.Option(metavar="N", help="From 0 to 1; 0 counts as none.")] = None,
    session: Annotated[str | None, typer.Option(metavar="ID", help="The session's ID.")] = None,
    metadata: Annotated[str | None, typer.Option(metavar="JSON", help="A JSON object.")] = None,
    occurred_at: OccurredAtOption = None,
    dedup_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="An idempotency key: the same key within 24 hours is a duplicate.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it can be read.")] = False,
    choice: Choice,
    as_json: JsonOption = False,
) -> None:
    """Store a memory."""
    from memtrace._cli.stdin import json_object

    _store(
        choice,
        {
            "agent_id": agent,
            "content": content,
            "memory_type": memory_type,
            "event_type": event_type,
            "tags": tag,
            "importance": importance,
            "session_id": session,
            "metadata": None if metadata is None else json_object(metadata, "--metadata"),
            "dedup_key": dedup_key,
        },
        occurred_at=occurred_at,
        wait=wait,
        as_json=as_json,
    )


DECIDE = """\b
Examples:
  memtrace-sdk decide assistant "Open in dark mode" "the user prefers it"
  memtrace-sdk decide builder "Use PostgreSQL" "JSON support" --tag db --json

\b
It is a memory of the type and event decision, with REASONING in its metadata.
Exit status 4: this agent took the same decision within 24 hours.
"""


def decide(
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="The agent's ID, which need not be registered.")],
    content: Annotated[
        str, typer.Argument(metavar="CONTENT", help="The text of the decision; - reads the standard input.")
    ],
    reasoning: Annotated[str, typer.Argument(metavar="REASONING", help="Why.")],
    *,
    tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="A tag. May be repeated.")] = None,
    importance: Annotated[float | None, typer.Option(metavar="N", help="From 0 to 1; 0 counts as none.")] = None,
    session: Annotated[str | None, typer.Option(metavar="ID", help="The session's ID.")] = None,
    metadata: Annotated[str | None, typer.Option(metavar="JSON", help="A JSON object.")] = None,
    occurred_at: OccurredAtOption = None,
    dedup_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="An idempotency key: the same key within 24 hours is a duplicate.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it can be read.")] = False,
    choice: Choice,
    as_json: JsonOption = False,
) -> None:
    """Store a decision, with its reasoning."""
    from memtrace._cli.stdin import json_object

    also = {} if metadata is None else json_object(metadata, "--metadata")
    if "reasoning" in also:
        raise CommandError("--metadata has a reasoning, beside REASONING: leave it out there", ExitStatus.USAGE)
    _store(
        choice,
        {
            "agent_id": agent,
            "content": content,
            "memory_type": "decision",
            "event_type": "decision",
            "tags": tag,
            "importance": importance,
            "session_id": session,
            "metadata": {**also, "reasoning": reasoning},
            "dedup_key": dedup_key,
        },
        occurred_at=occurred_at,
        wait=wait,
        as_json=as_json,
    )


def _store(choice: Choice, fields: AddMemoryParams, *, occurred_at: str | None, wait: bool, as_json: bool) -> None:
    from memtrace._cli.connection import connected
    from memtrace._cli.stdin import text_of
    from memtrace._cli.tables import show_memories
    from memtrace.clock import SystemClock
    from memtrace.operations._time_bounds import to_moment

    with connected(choice, creates=True) as client:
        fields["occurred_at"] = to_moment(occurred_at, "occurred_at", SystemClock())
        fields["content"] = text_of(fields["content"])
        memory = client.memories.add(wait=wait, **fields)
    if as_json:
        show_json(memory.model_dump(mode="json", exclude_unset=True))
    else:
        show_memories([memory])


RECALL = """\b
Examples:
  memtrace-sdk recall assistant
  memtrace-sdk recall assistant --since 7d --until 1d --limit 1000
  memtrace-sdk recall assistant --type decision --tag ui
  memtrace-sdk recall assistant --query "what does the user drink?"
  memtrace-sdk recall assistant --json | jq -r '.memories[].content'
"""


def recall(
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="The agent's ID.")],
    *,
    query: QueryOption = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Only newer memories: 30m, 24h, 7d, or a time such as 2026-01-31T12:00:00Z. Without it: 24h, or all with --query.",
        ),
    ] = None,
    until: UntilOption = None,
    memory_type: KindsOption = None,
    tag: TagOption = None,
    tags_match: TagsMatchOption = "exact",
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", help="The maximum number of memories. Without it: 100, or 10 with --query."),
    ] = None,
    search_index: SearchIndexOption = None,
    ids: IdsOption = False,
    choice: Choice,
    as_json: JsonOption = False,
) -> None:
    """Show what an agent remembers: the newest, or with --query the most relevant first."""
    from memtrace._cli.agent_names import AgentNames
    from memtrace._cli.connection import connected
    from memtrace._cli.nothing_found import Window, why_nothing
    from memtrace._cli.search_index import SearchFilters, read_ahead
    from memtrace._cli.tables import show_memories

    if not agent:
        raise CommandError("AGENT is empty: as a filter that would mean everyone", ExitStatus.USAGE)
    with connected(choice, search_index) as client:
        filters: SearchFilters = {
            "until": until,
            "memory_types": memory_type,
            "tags": tag,
            "tags_match": tags_match,
        }
        if query is None:
            since = "24h" if since is None else since
        else:
            most = 10 if limit is None else limit
            read_ahead(client, query, {"agent_id": agent, "since": since, "limit": most, **filters})
        bound = () if since is None else (since,)
        found = client.memories.recall(
            agent,
            *bound,
            until=until,
            memory_types=memory_type,
            tags=tag,
            tags_match=tags_match,
            limit=limit,
            query=query,
        )
        if not found:
            window = Window(since, until, query, is_narrowed=bool(memory_type or tag))
            why = why_nothing(client, agent, window)
            if not as_json:
                show_error(why)
                return
        names = AgentNames(client, ids=ids or as_json).of([agent])
    if as_json:
        show_json(found.model_dump(mode="json", exclude_unset=True))
        return
    show_memories(found.memories, names)
    if found.has_more:
        which = "newest" if query is None else "most relevant"
        show_error(f"these are the {which} {found.count}; for more: --limit N, or memtrace-sdk export")


TAIL = """\b
Examples:
  memtrace-sdk tail
  memtrace-sdk tail assistant --lines 0
  memtrace-sdk tail --event-type error --json | jq -r .content

\b
Ctrl-C ends it. With --json each memory is one line of JSON.
"""


def tail(
    agent: Annotated[
        str | None, typer.Argument(metavar="AGENT", help="The agent's ID. Without it: all agents.")
    ] = None,
    *,
    agent_option: Annotated[str | None, typer.Option("--agent", metavar="ID", help="The same as AGENT.")] = None,
    session: SessionOption = None,
    memory_type: KindOption = None,
    event_type: EventOption = None,
    tag: TagOption = None,
    tags_match: TagsMatchOption = "exact",
    lines: Annotated[int, typer.Option("--lines", "-n", metavar="N", min=0, help="How many to show first.")] = 10,
    interval: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, max=3600, help="How long to wait between two reads.")
    ] = 1.0,
    ids: IdsOption = False,
    choice: Choice,
    as_json: JsonOption = False,
) -> None:
    """Follow new memories, until Ctrl-C."""
    from memtrace._cli.agent_names import AgentNames
    from memtrace._cli.connection import connected
    from memtrace._cli.tail import Outage, follow
    from memtrace.clock import SystemClock
    from memtrace.models import ListOptions

    if agent is not None and agent_option is not None:
        raise CommandError("AGENT and --agent say the same: leave one out", ExitStatus.USAGE)
    agent = agent_option if agent is None else agent
    wanted = ListOptions(
        agent_id=agent,
        session_id=session,
        memory_type=memory_type,
        event_type=event_type,
        tags=tag,
        tags_match=tags_match,
    )
    exact = {"agent": agent, "type": memory_type, "event": event_type}
    shared = {name: value for name, value in exact.items() if value is not None}
    with connected(choice) as client:
        names = AgentNames(client, ids=ids or as_json)
        if not as_json:
            _show_shared({name: names.of([value]).get(value, value) for name, value in shared.items()})
        for number, come in enumerate(follow(client, wanted, lines=lines, interval=interval, clock=SystemClock())):
            if number == 0 and not come:
                _warn_of_unknown(client, agent)
            if isinstance(come, Outage):
                show_error(f"no response yet, still trying: {come.error.message}")
            else:
                _show_as_they_come(come, shared, names, as_json=as_json)


def _warn_of_unknown(client: Memtrace, agent: str | None) -> None:
    """Say that nobody has written to this agent, which may change while `tail` runs."""
    from memtrace._cli.nothing_found import check_agent

    try:
        check_agent(client, agent)
    except CommandError as error:
        show_error(f"{error.message}; waiting for its first memory")


def _show_shared(shared: Mapping[str, str]) -> None:
    """Say once on a terminal what is the same in each memory; a pipe has it in each line."""
    from memtrace._cli.row_layout import shared_line

    console = make_console()
    if shared and console.is_terminal:
        show(console, shared_line((name, visible(value)) for name, value in shared.items()))


def _show_as_they_come(
    memories: Sequence[Memory], shared: Mapping[str, str], names: AgentNames, *, as_json: bool
) -> None:
    from memtrace._cli.recent_rows import line_of
    from memtrace._cli.tables import memory_line, memory_row

    console, known = make_console(), names.of(memory.agent_id for memory in memories)
    if as_json:
        for memory in memories:
            typer.echo(line_of(memory))
    elif console.is_terminal:
        for memory in memories:
            show(console, *memory_row(memory, console.width, shared, known))
    else:
        show(console, *(memory_line(memory, known) for memory in memories), wrap=False)
    sys.stdout.flush()

"""remember, recall, search, context and tail."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from memtrace._cli.exit_status import CommandError, ExitStatus
from memtrace._cli.options import AgentOption, Choice, EventOption, JsonOption, KindOption, SessionOption
from memtrace._cli.terminal import make_console, show, show_error, show_json, show_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memtrace.context import PromptContext
    from memtrace.models import Memory

_TagOption = Annotated[
    list[str] | None,
    typer.Option(metavar="TAG", help="Only what has a tag with this in it; repeat it for more, all must match."),
]
_ExactTagsOption = Annotated[bool, typer.Option("--exact-tags", help="Only what has these very tags.")]
_SinceOption = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Only what is newer: 30m, 24h, 7d, or a time as 2026-01-31T12:00:00Z."),
]
_UntilOption = Annotated[str | None, typer.Option(metavar="TIME", help="Only what is older, as --since.")]
_OrderOption = Annotated[Literal["asc", "desc"], typer.Option(help="asc is oldest first, desc newest first.")]

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
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="Who remembers: an id; it need not be registered.")],
    content: Annotated[str, typer.Argument(metavar="CONTENT", help="What is remembered; - reads the standard input.")],
    *,
    memory_type: Annotated[
        Literal["episodic", "session", "decision", "entity"], typer.Option("--type", help="The kind of memory.")
    ] = "episodic",
    event_type: Annotated[str, typer.Option(metavar="EVENT", help="The event type.")] = "general",
    tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="A tag; repeat it for more.")] = None,
    importance: Annotated[float | None, typer.Option(metavar="N", help="From 0 to 1.")] = None,
    session: Annotated[str | None, typer.Option(metavar="ID", help="The session that it belongs to.")] = None,
    metadata: Annotated[str | None, typer.Option(metavar="JSON", help="A JSON object.")] = None,
    dedup_key: Annotated[str | None, typer.Option(metavar="KEY", help="A duplicate key of your own.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it can be read.")] = False,
    choice: Choice,
    as_json: JsonOption = False,
) -> None:
    """Store a memory."""
    from memtrace._cli.connection import connected
    from memtrace._cli.stdin import json_object, text_of

    with connected(choice, creates=True) as client:
        memory = client.memories.add(
            wait=wait,
            agent_id=agent,
            content=text_of(content),
            memory_type=memory_type,
            event_type=event_type,
            tags=tag,
            importance=importance,
            session_id=session,
            metadata=None if metadata is None else json_object(metadata, "--metadata"),
            dedup_key=dedup_key,
        )
    if as_json:
        show_json(memory.model_dump(mode="json", exclude_unset=True))
    else:
        _show_memories([memory])


RECALL = """\b
Examples:
  memtrace-sdk recall assistant
  memtrace-sdk recall assistant --since 7d --limit 1000
  memtrace-sdk recall assistant --json | jq -r '.memories[].content'
"""


def recall(
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="Whose memories: an id.")],
    *,
    since: _SinceOption = "24h",
    limit: Annotated[int, typer.Option(metavar="N", help="How many at most.")] = 100,
    choice: Choice,
    as_json: JsonOption = False,
) -> None:
    """Show what an agent remembers, the newest first."""
    from memtrace._cli.connection import connected

    if not agent:
        raise CommandError("AGENT is empty: as a filter that would mean everyone", ExitStatus.USAGE)
    with connected(choice) as client:
        found = client.memories.list(agent_id=agent, since=since, limit=limit)
    if as_json:
        show_json(found.model_dump(mode="json", exclude_unset=True))
        return
    _show_memories(found.memories)
    if found.has_more:
        show_error(f"these are the newest {found.count}; for more: --limit N, or memtrace-sdk export")


SEARCH = """\b
Examples:
  memtrace-sdk search "dark mode"
  memtrace-sdk search --agent assistant --type decision --since 30d
  memtrace-sdk search error --tag billing --exact-tags --order asc --json

\b
TEXT is a part of the content, case-sensitive; there are no wildcards.
A tag matches as a part of the stored tags, ui finds gui too, unless
--exact-tags is given.
"""


def search(
    text: Annotated[str | None, typer.Argument(metavar="TEXT", help="A part of the content.")] = None,
    *,
    agent: AgentOption = None,
    session: SessionOption = None,
    memory_type: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="TYPE", help="Only this kind; repeat it for more, any matches."),
    ] = None,
    event_type: Annotated[
        list[str] | None, typer.Option(metavar="EVENT", help="Only this event type; repeat it for more, any matches.")
    ] = None,
    tag: _TagOption = None,
    exact_tags: _ExactTagsOption = False,
    min_importance: Annotated[
        float | None, typer.Option(metavar="N", help="Only what is at least so important.")
    ] = None,
    since: _SinceOption = None,
    until: _UntilOption = None,
    limit: Annotated[int, typer.Option(metavar="N", help="How many at most.")] = 50,
    order: _OrderOption = "desc",
    choice: Choice,
    as_json: JsonOption = False,
) -> None:
    """Search the memories of all agents."""
    from memtrace._cli.connection import connected

    with connected(choice) as client:
        found = client.memories.search(
            content_contains=text,
            agent_id=agent,
            session_id=session,
            memory_types=memory_type,
            event_types=event_type,
            tags=tag,
            tags_match="exact" if exact_tags else "substring",
            min_importance=min_importance,
            since=since,
            until=until,
            limit=limit,
            order=order,
        )
    if as_json:
        show_json(found.model_dump(mode="json", exclude_unset=True))
        return
    _show_memories(found.results)
    if found.count == limit:
        show_error(f"these are {found.count}, there may be more: --limit N")


CONTEXT = """\b
Examples:
  memtrace-sdk context sess_0123456789abcdef01234567
  memtrace-sdk context sess_0123456789abcdef01234567 --since 7d --type decision
  memtrace-sdk context sess_0123456789abcdef01234567 --prompt --max-tokens 2000

\b
The server takes 100 memories at most and cuts each at 80 bytes. A session that
it does not know gives the heading alone. With --prompt the console writes all
of the session, each memory whole, as sessions.prompt_context does; tokens are
estimated.
"""


def context(
    session: Annotated[str, typer.Argument(metavar="SESSION", help="The session's id.")],
    *,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="How far back: 30m, 24h, 7d. Without it: 24h, or all with --prompt."),
    ] = None,
    memory_type: Annotated[
        list[str] | None, typer.Option("--type", metavar="TYPE", help="Only this kind; repeat it for more.")
    ] = None,
    prompt: Annotated[bool, typer.Option("--prompt", help="Whole memories, written by the console.")] = False,
    max_tokens: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="With --prompt: how many tokens at most.")
    ] = None,
    format: Annotated[
        Literal["markdown", "xml", "messages"] | None,
        typer.Option(help="With --prompt: how it is written; messages is JSON. Without it: markdown."),
    ] = None,
    choice: Choice,
    as_json: JsonOption = False,
) -> None:
    """Show a session's context for a prompt: the server's Markdown, or with --prompt whole memories in a budget."""
    from memtrace._cli.connection import connected

    if not prompt and (max_tokens is not None or format is not None):
        given = "--format" if max_tokens is None else "--max-tokens"
        raise CommandError(f"{given} goes with --prompt: the server has neither", ExitStatus.USAGE)
    if prompt:
        with connected(choice) as client:
            made = client.sessions.prompt_context(
                session, since=since, memory_types=memory_type, max_tokens=max_tokens, format=format or "markdown"
            )
        _show_prompt(made, as_json=as_json, as_messages=format == "messages")
        return
    with connected(choice) as client:
        written = client.sessions.context(session, since=since, include_types=memory_type)
    if as_json:
        show_json(written.model_dump(mode="json", exclude_unset=True))
    else:
        show_lines(written.context)


TAIL = """\b
Examples:
  memtrace-sdk tail
  memtrace-sdk tail --agent assistant --lines 0
  memtrace-sdk tail --event-type error --json | jq -r .content

\b
Ctrl-C ends it. With --json each memory is one line of JSON.
"""


def tail(
    *,
    agent: AgentOption = None,
    session: SessionOption = None,
    memory_type: KindOption = None,
    event_type: EventOption = None,
    tag: _TagOption = None,
    exact_tags: _ExactTagsOption = False,
    lines: Annotated[int, typer.Option("--lines", "-n", metavar="N", min=0, help="How many to begin with.")] = 10,
    interval: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, max=3600, help="How long to wait between two looks.")
    ] = 1.0,
    choice: Choice,
    as_json: JsonOption = False,
) -> None:
    """Show memories as they come, until Ctrl-C."""
    from memtrace._cli.connection import connected
    from memtrace._cli.tail import Outage, follow
    from memtrace.clock import SystemClock
    from memtrace.models import ListOptions

    wanted = ListOptions(
        agent_id=agent,
        session_id=session,
        memory_type=memory_type,
        event_type=event_type,
        tags=tag,
        tags_match="exact" if exact_tags else "substring",
    )
    with connected(choice) as client:
        for come in follow(client, wanted, lines=lines, interval=interval, clock=SystemClock()):
            if isinstance(come, Outage):
                show_error(f"no answer for now, still trying: {come.error.message}")
            else:
                _show_as_they_come(come, as_json=as_json)


def _show_memories(memories: Sequence[Memory]) -> None:
    from memtrace._cli.tables import memories_table
    from memtrace._cli.terminal import show_table

    if memories:
        show_table(memories_table(memories))
    else:
        show_error("nothing was found")


def _show_prompt(made: PromptContext, *, as_json: bool, as_messages: bool) -> None:
    if as_json:
        memories = [memory.model_dump(mode="json", exclude_unset=True) for memory in made.memories]
        counts = {"tokens": made.tokens, "omitted": made.omitted, "revision": made.revision}
        show_json({"text": made.text, "messages": made.messages, **counts, "memories": memories})
        return
    if not made.memories:
        show_error("nothing was found" if not made.omitted else "no memory fits: raise --max-tokens")
    if as_messages:
        show_json(made.messages)
    elif made.memories:
        show_lines(made.text)
    if made.memories and made.omitted:
        show_error(f"{made.omitted} more did not fit: --max-tokens N")


def _show_as_they_come(memories: Sequence[Memory], *, as_json: bool) -> None:
    from memtrace._cli.recent_rows import line_of
    from memtrace._cli.tables import memory_line

    if as_json:
        for memory in memories:
            typer.echo(line_of(memory))
    else:
        show(make_console(), *map(memory_line, memories), wrap=False)
    sys.stdout.flush()

"""context: the memories for a prompt, rendered by the server or by the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from memtrace._cli.exit_status import CommandError, ExitStatus
from memtrace._cli.options import Choice, JsonOption, KindsOption, QueryOption, SearchIndexOption
from memtrace._cli.terminal import show_error, show_json, show_lines, show_table

if TYPE_CHECKING:
    from memtrace.context import PromptContext

CONTEXT = """\b
Examples:
  memtrace-sdk context sess_0123456789abcdef01234567
  memtrace-sdk context sess_0123456789abcdef01234567 --type decision
  memtrace-sdk context sess_0123456789abcdef01234567 --prompt
  memtrace-sdk context --agent assistant --query "where does the user live?"
  memtrace-sdk context --agent assistant --query "who drives?" --explain

\b
The server takes 100 memories at most and cuts each at 80 bytes. A session
that it does not know gives the heading alone. With --prompt the console
writes all memories of the session or agent, each whole, as
memories.prompt_context does; with --query those that are relevant, with their
neighbours, in 2000 tokens unless --max-tokens says otherwise. Tokens are
estimated.
"""
_QUERY_TOKENS = 2000


def context(
    session: Annotated[str | None, typer.Argument(metavar="SESSION", help="The session's ID.")] = None,
    *,
    agent: Annotated[
        str | None,
        typer.Option(metavar="ID", help="With --prompt or --query: the memories of this agent."),
    ] = None,
    query: QueryOption = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="How far back: 30m, 24h, 7d. Without it: 24h, or all with --prompt or --query."
        ),
    ] = None,
    memory_type: KindsOption = None,
    prompt: Annotated[bool, typer.Option("--prompt", help="Whole memories, written by the console.")] = False,
    max_tokens: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="With --prompt or --query: the maximum number of tokens.")
    ] = None,
    format: Annotated[
        Literal["markdown", "xml", "messages"] | None,
        typer.Option(help="With --prompt or --query: how it is written; messages is JSON. Without it: markdown."),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="With --prompt or --query: show which memories are in it and why, as a table."),
    ] = False,
    search_index: SearchIndexOption = None,
    choice: Choice,
    as_json: JsonOption = False,
) -> None:
    """Show a context for a prompt: the server's Markdown, or with --prompt or --query whole memories in a budget."""
    from memtrace._cli.connection import connected
    from memtrace._cli.nothing_found import nothing_of
    from memtrace._cli.search_index import SearchFilters, read_ahead

    if query is None:
        _check_owner(session, agent, prompt=prompt)
    if prompt or query is not None:
        with connected(choice, search_index) as client:
            if query is not None:
                owner: SearchFilters = {"agent_id": agent, "session_id": session}
                read_ahead(client, query, {**owner, "since": since, "memory_types": memory_type})
                max_tokens = max_tokens or _QUERY_TOKENS
            made = client.memories.prompt_context(
                query,
                agent_id=agent,
                session_id=session,
                since=since,
                memory_types=memory_type,
                max_tokens=max_tokens,
                format=format or "markdown",
                explain=explain,
            )
            none = "" if made.memories or made.omitted else nothing_of(client, agent)
        if explain and not as_json:
            _show_verdicts(made, none)
        else:
            _show_prompt(made, none, as_json=as_json, as_messages=format == "messages")
        return
    for option, given in {
        "--max-tokens": max_tokens,
        "--format": format,
        "--explain": explain or None,
        "--search-index": search_index,
    }.items():
        if given is not None:
            raise CommandError(f"{option} goes with --prompt or --query: the server has none", ExitStatus.USAGE)
    with connected(choice) as client:
        written = client.sessions.context(str(session), since=since, include_types=memory_type)
    if as_json:
        show_json(written.model_dump(mode="json", exclude_unset=True))
    else:
        show_lines(written.context)


def _check_owner(session: str | None, agent: str | None, *, prompt: bool) -> None:
    """Refuse what names nobody. Raises `CommandError`."""
    if prompt and session is None and agent is None:
        raise CommandError("--prompt needs a SESSION or --agent; with --query it needs neither", ExitStatus.USAGE)
    if not prompt and (session is None or agent is not None):
        problem = "--agent goes with --prompt or --query" if agent is not None else "SESSION is missing"
        raise CommandError(f"{problem}: the server writes the context of a session", ExitStatus.USAGE)


def _show_verdicts(made: PromptContext, none: str) -> None:
    from memtrace._cli.tables import verdicts_table

    if not made.verdicts:
        show_error(none)
        return
    show_table(verdicts_table(made.verdicts), of_texts=True)
    show_error(f"{len(made.memories)} of {len(made.verdicts)} memories are in the prompt, {made.tokens} tokens")


def _show_prompt(made: PromptContext, none: str, *, as_json: bool, as_messages: bool) -> None:
    if as_json:
        memories = [memory.model_dump(mode="json", exclude_unset=True) for memory in made.memories]
        counts = {"tokens": made.tokens, "omitted": made.omitted, "revision": made.revision}
        told = {"verdicts": [each.to_json() for each in made.verdicts]} if made.verdicts else {}
        show_json({"text": made.text, "messages": made.messages, **counts, "memories": memories, **told})
        return
    if not made.memories:
        show_error(none or "no memory fits: raise --max-tokens")
    if as_messages:
        show_json(made.messages)
    elif made.memories:
        show_lines(made.text)
    if made.memories and made.omitted:
        show_error(f"{made.omitted} more did not fit: --max-tokens N")

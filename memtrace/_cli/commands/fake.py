"""demo and serve-fake: without a server, and in place of one."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from memtrace._cli.exit_status import CommandError, ExitStatus

DEMO = """\b
Examples:
  memtrace-sdk demo
  memtrace-sdk demo --store sqlite:///demo.db
  memtrace-sdk demo --conversation sample
  memtrace-sdk demo --conversation sample --ask "how do they travel?"
  memtrace-sdk demo --conversation chats.jsonl
  zcat chats.jsonl.gz | memtrace-sdk demo --conversation -

\b
FILE has one turn a line, as a JSON object:
  {"conversation": 1, "session": 1, "time": "2026-03-02T09:00:00Z",
   "speaker": "Ines", "id": "1:1", "text": "Good morning!"}
All fields are needed; a "caption" and any other may follow. Each speaker of
each conversation becomes an agent, each session of a conversation a session.
An invalid line ends the command with status 2; the message has the number of
turns that were stored before it.
"""


def _not_blank(questions: list[str] | None) -> list[str] | None:
    if any(not question.strip() for question in questions or ()):
        raise typer.BadParameter("it is blank; it says what to look for")
    return questions


def demo(
    *,
    conversation: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Load a conversation from JSON lines: a file, - for the standard input, or sample for the one that "
            "comes with the SDK (a file of that name is ./sample).",
        ),
    ] = None,
    ask: Annotated[
        list[str] | None,
        typer.Option(
            metavar="QUESTION",
            callback=_not_blank,
            help="With --conversation: what to look for, in plain words. May be repeated.",
        ),
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="With --conversation: the budget of the prompt, 400 tokens.")
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Keep everything in a file, such as sqlite:///demo.db, between runs."),
    ] = None,
) -> None:
    """Walk through the SDK without a server and without a key, in memory unless --store names a file."""
    from memtrace._cli.demo import MAX_TOKENS, run_conversation, run_walkthrough

    if conversation is not None:
        status = run_conversation(conversation, store, questions=ask or (), max_tokens=max_tokens or MAX_TOKENS)
        raise typer.Exit(status)
    if ask or max_tokens:
        given = "--ask" if ask else "--max-tokens"
        raise CommandError(f"{given} goes with --conversation, as in --conversation sample", ExitStatus.USAGE)
    run_walkthrough(store)


SERVE = """\b
Examples:
  memtrace-sdk serve-fake
  memtrace-sdk serve-fake --port 9100 --org acme=mtk_of_acme
  memtrace-sdk serve-fake --clock manual --visibility server --json

\b
The control routes under /_fake add organisations, seed rows, move the clock
and plan faults; any program that can reach the port can use them. Web pages
cannot, and no other Host than this machine's, HOST and those of --allow-host.
"""


def serve_fake(
    *,
    host: Annotated[str, typer.Option(metavar="HOST", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="PORT", min=0, max=65535, help="The port; 0 selects a free one.")] = 0,
    clock: Annotated[
        Literal["real", "manual"], typer.Option(help="manual does not move until /_fake/clock/advance moves it.")
    ] = "real",
    visibility: Annotated[
        Literal["immediate", "server"], typer.Option(help="server delays writes like the real one.")
    ] = "immediate",
    dedup_enabled: Annotated[Literal["true", "false"], typer.Option(help="false accepts duplicates.")] = "true",
    dedup_window_hours: Annotated[int, typer.Option(metavar="HOURS", help="How long a duplicate is recognised.")] = 24,
    write_batch_size: Annotated[
        int,
        typer.Option(
            metavar="ROWS", help="With server visibility: the number of waiting writes that are stored at once."
        ),
    ] = 100,
    write_flush_interval_ms: Annotated[
        int, typer.Option(metavar="MS", help="With server visibility: how often waiting writes are stored.")
    ] = 1000,
    store: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Keep everything in a file, such as sqlite:///fake.db, between runs."),
    ] = None,
    org: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[=KEY]", help="An organisation, with this key. May be repeated."),
    ] = None,
    control: Annotated[
        bool, typer.Option("--control/--no-control", help="Offer the control routes under /_fake, without a key.")
    ] = True,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Offer the control routes under this Host too. May be repeated."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON: url, api_key, org_id.")] = False,
) -> None:
    """Serve a fake that responds like a Memtrace server, until Ctrl-C or SIGTERM. Without --store its data is discarded at the end."""
    from memtrace._cli.serve import run_server

    status = run_server(
        host=host,
        port=port,
        manual_clock=clock == "manual",
        visibility=visibility,
        dedup_enabled=dedup_enabled == "true",
        dedup_window_hours=dedup_window_hours,
        write_batch_size=write_batch_size,
        write_flush_interval_ms=write_flush_interval_ms,
        store=store,
        orgs=org or [],
        control=control,
        allowed_hosts=allow_host or [],
        as_json=as_json,
    )
    raise typer.Exit(status)

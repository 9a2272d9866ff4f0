"""export and import."""

from __future__ import annotations

from typing import Annotated

import typer

from memtrace._cli.options import AgentOption, Choice, EventOption, JsonOption, KindOption, SessionOption, TagOption

EXPORT = """\b
Examples:
  memtrace-sdk export all.jsonl.gz
  memtrace-sdk export all.jsonl --base-url sqlite:///agent.db
  memtrace-sdk export assistant.jsonl --agent assistant --since 2026-01-01
  memtrace-sdk export - | grep -c decision

\b
A line for each agent, each session and each memory, as the server gives it,
the oldest first; with a filter, only memories. A name that ends in .gz is
compressed. The file appears when it is whole; until then there is a file
FILE.*.part, and the same command goes on from it after an interruption,
unless --since or --until counts from now (24h). A pipe, a device or /dev/fd/3
gets the lines as they come.
"""


def export(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file to create; - is the standard output.")],
    *,
    agent: AgentOption = None,
    session: SessionOption = None,
    memory_type: KindOption = None,
    event_type: EventOption = None,
    tag: TagOption = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Only newer memories: 24h, or 2026-01-31.")] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only older memories, in the formats of --since.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    choice: Choice,
    as_json: JsonOption = False,
) -> None:
    """Export agents, sessions and memories to a file of JSON lines."""
    from memtrace._cli.transfer.run import run_export
    from memtrace.models import ListOptions

    wanted = ListOptions(
        agent_id=agent,
        session_id=session,
        memory_type=memory_type,
        event_type=event_type,
        tags=tag,
        tags_match="exact",
        since=since,
        until=until,
    )
    run_export(choice, wanted, file, force=force, as_json=as_json)


IMPORT = """\b
Examples:
  memtrace-sdk import all.jsonl.gz
  memtrace-sdk import all.jsonl --base-url http://localhost:9100 --dry-run
  memtrace-sdk import old.jsonl.gz --profile other --keep-time-as old_time
  jq -c '{content: .text}' notes.jsonl | memtrace-sdk import - --agent notes

\b
A line is a JSON object with the fields of a memory; agent_id and content are
needed. What export writes is what import reads: agents are registered by
their names, sessions opened, and memories stored under the IDs that these
get. A name that ends in .gz is decompressed. The server sets a new time, see
--keep-time-as.
Run it again after an interruption, the next day or next year: what is there
is found, and stored no second time.
Exit status 8: completed, some lines rejected.
"""


def import_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file to read; - is the standard input.")],
    *,
    agent: Annotated[str | None, typer.Option(metavar="ID", help="The agent of lines without agent_id.")] = None,
    keep_time_as: Annotated[
        str | None, typer.Option(metavar="FIELD", help="Keep each line's time in its metadata, under this name.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Store nothing; count what would be stored.")] = False,
    choice: Choice,
    as_json: JsonOption = False,
) -> None:
    """Import a file of JSON lines, and store nothing twice."""
    from memtrace._cli.transfer.importer import ImportPlan
    from memtrace._cli.transfer.run import run_import

    plan = ImportPlan(
        name="the standard input" if file == "-" else file, agent=agent, keep_time_as=keep_time_as, dry_run=dry_run
    )
    raise typer.Exit(run_import(choice, file, plan, as_json=as_json))

"""spool: the file of a write buffer."""

from __future__ import annotations

import functools
from typing import Annotated

import typer

from memtrace._cli.options import Choice, JsonOption, with_choice
from memtrace._cli.strict_options import StrictOptionsCommand

SPOOL = """\b
Examples:
  memtrace-sdk spool status outbox.db
  memtrace-sdk spool send outbox.db
  memtrace-sdk spool failed outbox.db --drop > rejected.jsonl

\b
The file is what memories.buffered(spool="outbox.db") writes. Programs may go
on using it meanwhile.
"""

spool: typer.Typer = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Maintain the spool of a write buffer.", epilog=SPOOL
)

_command = functools.partial(spool.command, cls=StrictOptionsCommand)

FileArgument = Annotated[str, typer.Argument(metavar="FILE", help="The spool.")]


@_command(
    help="Count memories that wait, are being sent, or were rejected by the server.",
    epilog="\b\nExamples:\n  memtrace-sdk spool status outbox.db --json\n",
)
def status(file: FileArgument, *, as_json: JsonOption = False) -> None:
    """Count memories that wait, are being sent, or were rejected by the server."""
    from memtrace._cli.spool import show_status

    show_status(file, as_json=as_json)


@_command(
    help="Send waiting memories, each once; the server is asked first for those that a process was sending.",
    epilog="\b\nExamples:\n  memtrace-sdk spool send outbox.db\n  memtrace-sdk spool send outbox.db --profile work\n\n"
    "The server and the key are those that the spool was made with. After they have\nchanged, --take-over sends it with the new ones.\n\n"
    "Exit status 8: completed, but the server rejected some.",
)
@with_choice
def send(
    file: FileArgument,
    *,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Assign the spool to this base URL and this key.")
    ] = False,
    choice: Choice,
    as_json: JsonOption = False,
) -> None:
    """Send waiting memories, each once; the server is asked first for those that a process was sending."""
    from memtrace._cli.spool import run_send

    raise typer.Exit(run_send(choice, file, take_over=take_over, as_json=as_json))


@_command(
    help="Print rejected memories as JSON lines, which import reads.",
    epilog="\b\nExamples:\n  memtrace-sdk spool failed outbox.db --drop > rejected.jsonl\n",
)
def failed(
    file: FileArgument,
    *,
    drop: Annotated[bool, typer.Option("--drop", help="Remove the printed memories from the spool.")] = False,
) -> None:
    """Print rejected memories as JSON lines, which import reads."""
    from memtrace._cli.spool import print_failed

    print_failed(file, drop=drop)

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
  memtrace-sdk spool failed outbox.db --drop > refused.jsonl

\b
The file is what memories.buffered(spool="outbox.db") writes. Programs may go on
using it meanwhile.
"""

spool: typer.Typer = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Look after the spool of a write buffer.", epilog=SPOOL
)

_command = functools.partial(spool.command, cls=StrictOptionsCommand)

FileArgument = Annotated[str, typer.Argument(metavar="FILE", help="The spool.")]


@_command(
    help="Count what waits, what is under way and what the server refused.",
    epilog="\b\nExamples:\n  memtrace-sdk spool status outbox.db --json\n",
)
def status(file: FileArgument, *, as_json: JsonOption = False) -> None:
    """Count what waits, what is under way and what the server refused."""
    from memtrace._cli.spool import show_status

    show_status(file, as_json=as_json)


@_command(
    help="Send what waits, each memory once; what a process left under way is looked for first.",
    epilog="\b\nExamples:\n  memtrace-sdk spool send outbox.db\n  memtrace-sdk spool send outbox.db --profile work\n\n"
    "The server and the key are those that the spool was made with. After they have\nchanged, --take-over sends it with the new ones.\n\n"
    "Exit status 8: all is sent, but for what the server refused.",
)
@with_choice
def send(
    file: FileArgument,
    *,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Make it this base URL's and this key's, where it is another's.")
    ] = False,
    choice: Choice,
    as_json: JsonOption = False,
) -> None:
    """Send what waits, each memory once; what a process left under way is looked for first."""
    from memtrace._cli.spool import run_send

    raise typer.Exit(run_send(choice, file, take_over=take_over, as_json=as_json))


@_command(
    help="Print what the server refused as JSON lines, which import reads.",
    epilog="\b\nExamples:\n  memtrace-sdk spool failed outbox.db --drop > refused.jsonl\n",
)
def failed(
    file: FileArgument,
    *,
    drop: Annotated[bool, typer.Option("--drop", help="Remove from the spool what was printed.")] = False,
) -> None:
    """Print what the server refused as JSON lines, which import reads."""
    from memtrace._cli.spool import print_failed

    print_failed(file, drop=drop)

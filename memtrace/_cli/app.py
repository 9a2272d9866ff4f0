"""The program: its commands put together, its help, its ends."""

from __future__ import annotations

import functools
import io
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from memtrace._cli.command_errors import handle_broken_pipe
from memtrace._cli.commands import agents_sessions, diagnostics, fake, mcp, memories, profiles, transfer
from memtrace._cli.exit_status import ExitStatus
from memtrace._cli.single_use_options import SingleUseOptionsCommand

__all__ = ["app", "run"]

_STATUSES = "\n".join(f"  {status.value:<5}{status.meaning}" for status in ExitStatus)
_EPILOG = f"""\b
Exit statuses:
{_STATUSES}

\b
Examples:
  memtrace-sdk demo
  memtrace-sdk recall assistant --since 7d
  memtrace-sdk --install-completion
"""


class _Program(TyperGroup):
    """The group of commands, which ends quietly where Python would show a traceback."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read the arguments; help and version are printed here."""
        with handle_broken_pipe():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Run the command, and write its output out."""
        with handle_broken_pipe():
            result = super().invoke(ctx)
            if sys.stdout is not None:
                sys.stdout.flush()
            return result


app: typer.Typer = typer.Typer(
    cls=_Program,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def run() -> None:
    """Run the command that the process's arguments name. Always ends in `SystemExit`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # one that is not UTF-8 shows what it cannot write as \u escapes
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="memtrace-sdk")


def _show_version(asked: bool) -> None:  # noqa: FBT001  # typer calls it so
    if asked:
        from memtrace import __version__

        typer.echo(f"memtrace-sdk {__version__}")
        raise typer.Exit


@app.callback(epilog=_EPILOG)
def program(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Work with a Memtrace server, try its Python SDK without one, and find out why one does not answer."""


_command = functools.partial(app.command, cls=SingleUseOptionsCommand)

_command(epilog=memories.REMEMBER, short_help="Store a memory.")(memories.remember)
_command(epilog=memories.RECALL, short_help="Show what an agent remembers.")(memories.recall)
_command(epilog=memories.SEARCH, short_help="Search the memories of all agents.")(memories.search)
_command(epilog=memories.CONTEXT, short_help="Show a session's context for a prompt.")(memories.context)
_command(epilog=memories.TAIL, short_help="Show memories as they come.")(memories.tail)
_command(epilog=agents_sessions.AGENTS, short_help="Show the registered agents.")(agents_sessions.agents)
_command(epilog=agents_sessions.SESSIONS, short_help="Show the sessions.")(agents_sessions.sessions)
_command(epilog=agents_sessions.STATS, short_help="Count what is stored.")(agents_sessions.stats)
_command(epilog=transfer.EXPORT, short_help="Write memories to a file of JSON lines.")(transfer.export)
_command("import", epilog=transfer.IMPORT, short_help="Store the memories of such a file.")(transfer.import_)
app.add_typer(profiles.profiles, name="profiles", short_help="Name servers, for --profile.")
_command(epilog=diagnostics.DOCTOR, short_help="Find out why a server does not answer.")(diagnostics.doctor)
_command(epilog=diagnostics.TRANSPORTS, short_help="List the installed transports.")(diagnostics.transports)
_command(epilog=diagnostics.MIDDLEWARE, short_help="List the installed middleware.")(diagnostics.middleware)
_command(epilog=fake.DEMO, short_help="Walk through the SDK, without a server.")(fake.demo)
_command(
    "serve-fake",
    epilog=fake.SERVE,
    short_help="Serve a fake Memtrace server, for tests in any language.",
)(fake.serve_fake)
_command(epilog=mcp.MCP, short_help="Serve an agent's memory as tools of the Model Context Protocol.")(mcp.mcp)

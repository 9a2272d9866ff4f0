"""The program: its commands put together, its help, its ends."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from memtrace._cli.command_errors import handle_broken_pipe
from memtrace._cli.commands import (
    agents_sessions,
    context,
    diagnostics,
    explain,
    fake,
    mcp,
    memories,
    new_plugin,
    profiles,
    search,
    spool,
    store,
    transfer,
    view,
)
from memtrace._cli.exit_status import ExitStatus
from memtrace._cli.options import with_choice
from memtrace._cli.strict_options import StrictOptionsCommand

_STATUSES = "\n".join(f"  {status.value:<5}{status.meaning}" for status in ExitStatus)
_EPILOG = f"""\b
Examples:
  memtrace-sdk demo
  memtrace-sdk recall assistant --since 7d
  memtrace-sdk search "what does the user drink?"
  memtrace-sdk --install-completion

\b
Exit statuses:
{_STATUSES}
"""
_MEMORIES = "Memories"
_AGENTS = "Agents and sessions"
_STORE = "Store"
_SERVERS = "Servers"
_TOOLS = "Tools"
_SECTIONS = (_MEMORIES, _AGENTS, _STORE, _SERVERS, _TOOLS)


class _Program(TyperGroup):
    """The group of commands, which ends quietly where Python would show a traceback."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read the arguments; help and version are printed here."""
        with handle_broken_pipe():
            return super().make_context(*args, **kwargs)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands into their sections, with texts that begin at one column."""
        commands = self.commands
        longest = max(map(len, commands))
        room = formatter.width - formatter.current_indent - longest - 4
        for section in _SECTIONS:
            rows = [
                (name.ljust(longest), command.get_short_help_str(room))
                for name, command in commands.items()
                if getattr(command, "rich_help_panel", None) == section
            ]
            with formatter.section(section):
                formatter.write_dl(rows)

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


@app.callback(
    epilog=_EPILOG,
    help="Work with a Memtrace server, try its Python SDK without one, and find out why one does not respond.",
)
def program(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Work with a Memtrace server, try its Python SDK without one, and find out why one does not respond."""


def _add(
    command: Callable[..., None],
    epilog: str,
    short_help: str,
    section: str,
    *,
    help: str | None = None,  # noqa: A002  # the name that it has in typer
    name: str | None = None,
) -> None:
    # the texts stand here as well as in the docstrings, which python -OO takes away
    text = help or short_help
    add = app.command(
        name, cls=StrictOptionsCommand, epilog=epilog, short_help=short_help, help=text, rich_help_panel=section
    )
    add(with_choice(command))


_add(memories.remember, memories.REMEMBER, "Store a memory.", _MEMORIES)
_add(memories.decide, memories.DECIDE, "Store a decision, with its reasoning.", _MEMORIES)
_add(
    memories.recall,
    memories.RECALL,
    "Show what an agent remembers.",
    _MEMORIES,
    help="Show what an agent remembers: the newest, or with --query the most relevant first.",
)
_add(search.search, search.SEARCH, "Find the memories that are relevant to a query.", _MEMORIES)
_add(
    search.filter_,
    search.FILTER,
    "Show the memories that the server's filters find.",
    _MEMORIES,
    help="Show the memories that the server's filters find, of all agents.",
    name="filter",
)
_add(
    context.context,
    context.CONTEXT,
    "Show a context for a prompt.",
    _MEMORIES,
    help="Show a context for a prompt: the server's Markdown, or with --prompt or --query whole memories in a budget.",
)
_add(
    memories.tail,
    memories.TAIL,
    "Follow new memories.",
    _MEMORIES,
    help="Follow new memories, until Ctrl-C.",
)
_add(
    view.view,
    view.VIEW,
    "Show memories as a page in the browser.",
    _MEMORIES,
    help="Show agents, sessions and memories as a read-only page in the browser, until Ctrl-C.",
)
_add(agents_sessions.agents, agents_sessions.AGENTS, "Show the registered agents.", _AGENTS)
_add(
    agents_sessions.sessions,
    agents_sessions.SESSIONS,
    "Show the sessions.",
    _AGENTS,
    help="Show the sessions, the newest first.",
)
_add(agents_sessions.stats, agents_sessions.STATS, "Count what is stored.", _AGENTS)
_add(transfer.export, transfer.EXPORT, "Export agents, sessions and memories to a file of JSON lines.", _STORE)
_add(
    transfer.import_,
    transfer.IMPORT,
    "Import such a file.",
    _STORE,
    help="Import a file of JSON lines, and store nothing twice.",
    name="import",
)
app.add_typer(profiles.profiles, name="profiles", short_help="Name servers, for --profile.", rich_help_panel=_SERVERS)
app.add_typer(
    store.store, name="store", short_help="Maintain the file of a store without a server.", rich_help_panel=_STORE
)
app.add_typer(spool.spool, name="spool", short_help="Maintain the spool of a write buffer.", rich_help_panel=_STORE)
_add(
    store.serve,
    store.SERVE,
    "Serve the file of a store to clients in any language.",
    _SERVERS,
    help="Serve the file of a store over HTTP like a Memtrace server, until Ctrl-C or SIGTERM, to clients with one of its keys.",
)
_add(
    diagnostics.doctor,
    diagnostics.DOCTOR,
    "Find out why a server does not respond.",
    _SERVERS,
    help="Check configuration, transport, server, key and storage, and say how to fix what fails.",
)
_add(
    diagnostics.transports,
    diagnostics.TRANSPORTS,
    "List the installed transports.",
    _TOOLS,
    help="List the installed transports: the clients they support, the default, and why one cannot be used.",
)
_add(
    diagnostics.middleware,
    diagnostics.MIDDLEWARE,
    "List the installed middleware.",
    _TOOLS,
    help="List the built-in middleware and the installed ones, which run only in clients that name them.",
)
_add(
    diagnostics.rankers,
    diagnostics.RANKERS,
    "List the installed rankers.",
    _TOOLS,
    help="List the built-in ranker and the installed ones, which rank only in clients that name them.",
)
_add(
    explain.explain,
    explain.EXPLAIN,
    "Show what an error means and what to do.",
    _TOOLS,
    help="Show what an error means, its causes and what to do, or list all errors.",
)
_add(
    new_plugin.new,
    new_plugin.NEW,
    "Write a package for your own plugin.",
    _TOOLS,
    help="Write a package for your own plugin, which passes its tests and can be published.",
)
_add(
    fake.demo,
    fake.DEMO,
    "Walk through the SDK, without a server.",
    _TOOLS,
    help="Walk through the SDK without a server and without a key, in memory unless --store names a file.",
)
_add(
    fake.serve_fake,
    fake.SERVE,
    "Serve a fake Memtrace server, for tests in any language.",
    _SERVERS,
    help="Serve a fake that responds like a Memtrace server, until Ctrl-C or SIGTERM. Without --store its data is discarded at the end.",
    name="serve-fake",
)
app.add_typer(
    mcp.mcp,
    name="mcp",
    help="Serve memories as tools to a model's host, over the standard streams or HTTP, until it ends.",
    short_help="Serve memories as tools of the Model Context Protocol.",
    rich_help_panel=_SERVERS,
)

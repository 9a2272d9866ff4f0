"""mcp: a memory served to a model's host, and written into the host's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from memtrace._cli.exit_status import CommandError, ExitStatus
from memtrace._cli.options import Choice, SearchIndexOption, with_choice
from memtrace._cli.strict_options import StrictOptionsCommand, StrictOptionsGroup

MCP = """\b
Examples:
  memtrace-sdk mcp
  memtrace-sdk mcp --agent assistant
  memtrace-sdk mcp --agent assistant --base-url memory:// --read-only
  memtrace-sdk mcp --agent assistant --profile acme
  memtrace-sdk mcp --agent assistant --http 127.0.0.1:8765
  memtrace-sdk mcp install claude-desktop --agent assistant

\b
Without --agent the tools are those of Memtrace's own MCP server, with its
names and arguments: each call names the agent.

\b
The key is read from MEMTRACE_API_KEY or belongs to a profile. It is never
on the command line. MEMTRACE_URL sets the base URL if MEMTRACE_BASE_URL is
not set. Without a base URL and a key, memories are kept in a file of this
machine; a line on stderr says where. With --http, MEMTRACE_MCP_TOKEN is the
secret that clients have to send as Authorization: Bearer; without one only
the loopback address is served.
"""
INSTALL = """\b
Examples:
  memtrace-sdk mcp install cursor --agent assistant
  memtrace-sdk mcp install claude-code --profile acme
  memtrace-sdk mcp install vscode --print
  memtrace-sdk mcp install zed --uvx

\b
The other servers, settings and comments of the file stay, and a backup is
written. The key is never written, unless with --with-key: the client reads it
from a profile, or from its own environment.
"""

mcp: typer.Typer = typer.Typer(rich_markup_mode=None)

AgentOption = Annotated[
    str | None, typer.Option(metavar="ID", help="The agent's ID. Without it each call names the agent.")
]
ReadOnlyOption = Annotated[bool, typer.Option("--read-only", help="Offer only the tools that read.")]


@mcp.callback(cls=StrictOptionsGroup, invoke_without_command=True, epilog=MCP)
@with_choice
def serve(
    context: typer.Context,
    *,
    agent: AgentOption = None,
    session: Annotated[str | None, typer.Option(metavar="ID", help="The session of stored memories.")] = None,
    scope: Annotated[
        Literal["agent", "session"], typer.Option(help="Read all memories of the agent, or only those of the session.")
    ] = "agent",
    read_only: ReadOnlyOption = False,
    prefix: Annotated[str, typer.Option(metavar="TEXT", help="The prefix of each tool's name.")] = "",
    http: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Serve over streamable HTTP, in place of the standard streams."),
    ] = None,
    search_index: SearchIndexOption = None,
    choice: Choice,
) -> None:
    """Serve memories as tools to a model's host, over the standard streams or HTTP, until it ends."""
    if context.invoked_subcommand is not None:
        _check_order(context)
        return
    from memtrace._cli.mcp import Serving, run_mcp

    serving = Serving(
        agent=agent,
        session=session,
        scope=scope,
        read_only=read_only,
        prefix=prefix,
        http=http,
        search_index=search_index,
    )
    raise typer.Exit(run_mcp(choice, serving))


def _check_order(context: Any) -> None:
    """Refuse options in front of a subcommand, which would have no effect there."""
    source = context.get_parameter_source
    given = [name for name in context.params if source(name).name == "COMMANDLINE"]
    if given:
        option = "--" + given[0].replace("_", "-")
        raise CommandError(f"{option} is in front of {context.invoked_subcommand}: put it behind", ExitStatus.USAGE)


@mcp.command(
    cls=StrictOptionsCommand,
    epilog=INSTALL,
    help="Add this memory to the MCP servers of a client, and keep all else that its file says.",
)
@with_choice
def install(
    client: Annotated[
        Literal["claude-desktop", "claude-code", "cursor", "vscode", "windsurf", "zed"],
        typer.Argument(metavar="CLIENT", help="claude-desktop, claude-code, cursor, vscode, windsurf or zed."),
    ],
    *,
    agent: AgentOption = None,
    read_only: ReadOnlyOption = False,
    name: Annotated[str, typer.Option(metavar="NAME", help="What the client calls the server.")] = "memtrace",
    file: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Another settings file, such as that of a project.")
    ] = None,
    uvx: Annotated[bool, typer.Option("--uvx", help="Let uvx install and start the server.")] = False,
    with_key: Annotated[
        bool, typer.Option("--with-key", help="Write the key itself into the file, where who reads it has it.")
    ] = False,
    print_: Annotated[bool, typer.Option("--print", help="Show what would be added, and write nothing.")] = False,
    choice: Choice,
) -> None:
    """Add this memory to the MCP servers of a client, and keep all else that its file says."""
    from memtrace._cli.mcp_install import Installation, run_install

    installation = Installation(
        client=client, name=name, file=file, agent=agent, read_only=read_only, uvx=uvx, with_key=with_key
    )
    run_install(choice, installation, only_print=print_)

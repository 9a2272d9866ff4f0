"""The command that serves an agent's memory to a model's host."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from memtrace._cli.options import Choice, SearchIndexOption

MCP = """\b
Examples:
  memtrace-sdk mcp --agent assistant
  memtrace-sdk mcp --agent assistant --base-url memory:// --read-only
  memtrace-sdk mcp --agent assistant --profile acme
  memtrace-sdk mcp --agent assistant --http 127.0.0.1:8765

\b
The key is read from MEMTRACE_API_KEY or belongs to a profile. It is never on
the command line. Without a base URL, memories are kept in a file of this
machine; a line on stderr says where. With --http, MEMTRACE_MCP_TOKEN is the
secret that clients have to send as Authorization: Bearer; without one only
the loopback address is served.
"""


def mcp(
    *,
    agent: Annotated[str, typer.Option(metavar="ID", help="The agent's ID.")],
    session: Annotated[str | None, typer.Option(metavar="ID", help="The session of stored memories.")] = None,
    scope: Annotated[
        Literal["agent", "session"], typer.Option(help="Read all memories of the agent, or only those of the session.")
    ] = "agent",
    read_only: Annotated[bool, typer.Option("--read-only", help="Offer only recall and search.")] = False,
    prefix: Annotated[str, typer.Option(metavar="TEXT", help="The prefix of each tool's name.")] = "",
    http: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Serve over streamable HTTP, in place of the standard streams."),
    ] = None,
    search_index: SearchIndexOption = None,
    choice: Choice,
) -> None:
    """Serve remember, recall, search and decide to a model's host, over the standard streams or HTTP, until it ends."""
    from memtrace._cli.mcp import run_mcp

    status = run_mcp(
        choice,
        agent=agent,
        session=session,
        scope=scope,
        read_only=read_only,
        prefix=prefix,
        http=http,
        search_index=search_index,
    )
    raise typer.Exit(status)

"""The command that shows memories in a browser."""

from __future__ import annotations

from typing import Annotated

import typer

from memtrace._cli.options import Choice, SearchIndexOption

VIEW = """\b
Examples:
  memtrace-sdk view
  memtrace-sdk view --agent assistant --base-url sqlite:///agent.db
  memtrace-sdk view --port 8080 --no-browser
  memtrace-sdk view --html memories.html --agent assistant

\b
The page is read-only, and served to this machine only. Its URL has a secret
token: users of this machine who have the URL can read the memories. The key
is never in the page. Ctrl-C ends the command. With --html one file is
written, which opens without a server: the newest 1,000 memories, and counts
of what it omits.
"""


def view(
    *,
    agent: Annotated[str | None, typer.Option(metavar="ID", help="Begin with this agent.")] = None,
    port: Annotated[int, typer.Option(metavar="PORT", min=0, max=65535, help="The port; 0 chooses a free one.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the URL, and open no browser.")] = False,
    html: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write the newest memories to this file, in place of serving the page; - is standard output.",
        ),
    ] = None,
    search_index: SearchIndexOption = None,
    choice: Choice,
    as_json: Annotated[
        bool,
        typer.Option("--json", help='Print {"url": ...}, or {"file": ...} with --html, for programs; open no browser.'),
    ] = False,
) -> None:
    """Show agents, sessions and memories as a read-only page in the browser, until Ctrl-C."""
    from memtrace._cli.view import run_view, write_html

    if html is not None:
        write_html(choice, html, agent=agent, as_json=as_json)
    else:
        opens = not (no_browser or as_json)
        status = run_view(choice, agent=agent, port=port, browser=opens, search_index=search_index, as_json=as_json)
        raise typer.Exit(status)

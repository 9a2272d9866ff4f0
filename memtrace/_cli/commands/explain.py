"""explain: the page about an error."""

from __future__ import annotations

from typing import Annotated

import typer

EXPLAIN = """\b
Examples:
  memtrace-sdk explain
  memtrace-sdk explain duplicate_memory
  memtrace-sdk explain NotFoundError

\b
CODE is an error's code, the URL that its text ends with, or the name of its
class. The pages come with the package: no network is needed.
"""


def explain(
    code: Annotated[str | None, typer.Argument(metavar="CODE", help="An error's code, URL or class.")] = None,
) -> None:
    """Show what an error means, its causes and what to do, or list all errors."""
    from memtrace._cli.error_pages import page_of, titles
    from memtrace._cli.tables import plain_table
    from memtrace._cli.terminal import show_markdown, show_table

    if code is None:
        show_table(plain_table({"code": "cyan", "what it means": ""}, titles().items()))
    else:
        show_markdown(page_of(code))

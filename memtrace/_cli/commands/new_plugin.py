"""new: a package for a plugin."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from memtrace._cli.options import JsonOption

NEW = """\b
Examples:
  memtrace-sdk new middleware memtrace-audit
  memtrace-sdk new transport memtrace-curl --directory plugins/curl
  memtrace-sdk new ranker memtrace-recent

\b
The package memtrace-audit brings the plugin audit, as in
middleware=["audit"]. It has typed source with an example that works, tests by
the SDK's contract, a README and a licence. Nothing that is there is replaced.
"""

PluginKind = Literal["middleware", "ranker", "transport"]


def new(
    kind: Annotated[PluginKind, typer.Argument(metavar="KIND", help="The kind of plugin.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="The package's name for pip, as in memtrace-audit.")],
    *,
    directory: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="The folder to write to. Without it: one of the package's name, here."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a package for your own plugin, which passes its tests and can be published."""
    from memtrace._cli.new_plugin.run import run_new

    run_new(kind, name, directory=directory, as_json=as_json)

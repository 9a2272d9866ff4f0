"""transports, middleware, rankers and doctor: installed plugins, and why a server does not answer."""

from __future__ import annotations

import typer

from memtrace._cli.options import Choice, JsonOption

TRANSPORTS = """\b
Examples:
  memtrace-sdk transports
  memtrace-sdk transports --json
"""


def transports(*, as_json: JsonOption = False) -> None:
    """List the installed transports: the clients they support, the default, and why one cannot be used."""
    from memtrace._cli.plugin_table import run_listing
    from memtrace.plugins import transport_registry as installed

    run_listing(installed.listing(), "No transport is installed.", as_json=as_json, clients=True)


MIDDLEWARE = """\b
Examples:
  memtrace-sdk middleware
  memtrace-sdk middleware --json
"""


def middleware(*, as_json: JsonOption = False) -> None:
    """List the built-in middleware and the installed ones, which run only in clients that name them."""
    from memtrace._cli.plugin_table import run_listing
    from memtrace.plugins import middleware_registry as installed

    run_listing(installed.listing(), "No middleware is installed.", as_json=as_json)


RANKERS = """\b
Examples:
  memtrace-sdk rankers
  memtrace-sdk rankers --json
"""


def rankers(*, as_json: JsonOption = False) -> None:
    """List the built-in ranker and the installed ones, which rank only in clients that name them."""
    from memtrace._cli.plugin_table import run_listing
    from memtrace.plugins import ranker_registry as installed

    run_listing(installed.listing(), "No ranker is installed.", as_json=as_json)


DOCTOR = """\b
Examples:
  memtrace-sdk doctor
  memtrace-sdk doctor --base-url http://localhost:9100
  memtrace-sdk doctor --json

\b
The key is read from MEMTRACE_API_KEY or belongs to a profile. It is never on
the command line, and is not shown.
Exit status: 0 on success, 1 when a check failed, 2 when the configuration is
missing or wrong.
"""


def doctor(
    *,
    choice: Choice,
    as_json: JsonOption = False,
) -> None:
    """Check configuration, transport, server, key and storage, and say how to fix what fails."""
    from memtrace._cli.doctor import run_doctor

    raise typer.Exit(run_doctor(choice, as_json=as_json))

"""store: the file of a store that needs no server."""

from __future__ import annotations

import functools
from typing import Annotated

import typer

from memtrace._cli.options import JsonOption
from memtrace._cli.strict_options import StrictOptionsCommand

STORE = """\b
Examples:
  memtrace-sdk store info --store sqlite:///agent.db
  memtrace-sdk store backup agent-backup.db --store sqlite:///agent.db
  memtrace-sdk store forget --agent assistant --before 2026-01-01

\b
Without --store, MEMTRACE_BASE_URL names the file. Other processes may go on
using it meanwhile, except that compact and forget need it exclusively at the
end.
"""

store: typer.Typer = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Maintain the file of a sqlite:/// store.", epilog=STORE
)
keys: typer.Typer = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Issue and revoke the keys that memtrace-sdk serve asks for."
)
store.add_typer(keys, name="keys")

_command = functools.partial(store.command, cls=StrictOptionsCommand)
_key_command = functools.partial(keys.command, cls=StrictOptionsCommand)

StoreOption = Annotated[
    str | None,
    typer.Option("--store", metavar="URL", help="The store, as in sqlite:///agent.db. Without it: MEMTRACE_BASE_URL."),
]
TimeoutOption = Annotated[
    float, typer.Option(metavar="SECONDS", min=0, help="How long to wait for other processes that use the file.")
]
OrganisationOption = Annotated[
    str, typer.Option(metavar="NAME", help="The organisation, by name or ID; store info shows them.")
]


@_command(
    help="Show the contents of the file, and its size.",
    epilog="\b\nExamples:\n  memtrace-sdk store info --store sqlite:///agent.db --json\n",
)
def info(*, store: StoreOption = None, timeout: TimeoutOption = 30.0, as_json: JsonOption = False) -> None:
    """Show the contents of the file, and its size."""
    from memtrace._cli.store import show_info

    show_info(store, timeout=timeout, as_json=as_json)


@_command(
    help="Check the whole file.",
    epilog="\b\nExamples:\n  memtrace-sdk store check --store sqlite:///agent.db\n\nExit status 1: the file is damaged.",
)
def check(*, store: StoreOption = None, timeout: TimeoutOption = 30.0, as_json: JsonOption = False) -> None:
    """Check the whole file."""
    from memtrace._cli.store import run_check

    raise typer.Exit(run_check(store, timeout=timeout, as_json=as_json))


@_command(
    help="Write a consistent copy, while others go on writing.",
    epilog="\b\nExamples:\n  memtrace-sdk store backup agent-backup.db --store sqlite:///agent.db\n",
)
def backup(
    destination: Annotated[str, typer.Argument(metavar="DEST", help="The file to create.")],
    *,
    store: StoreOption = None,
    timeout: TimeoutOption = 30.0,
    as_json: JsonOption = False,
) -> None:
    """Write a consistent copy, while others go on writing."""
    from memtrace._cli.store import run_backup

    run_backup(store, destination, timeout=timeout, as_json=as_json)


@_command(
    help="Return free pages to the file system, and rebuild a damaged text index.",
    epilog="\b\nExamples:\n  memtrace-sdk store compact --store sqlite:///agent.db\n",
)
def compact(*, store: StoreOption = None, timeout: TimeoutOption = 30.0, as_json: JsonOption = False) -> None:
    """Return free pages to the file system, and rebuild a damaged text index."""
    from memtrace._cli.store import run_compact

    run_compact(store, timeout=timeout, as_json=as_json)


@_command(
    help="Remove an agent's memories for good, from rows, text index and free pages. Shows what it would remove, and asks.",
    epilog="\b\nExamples:\n  memtrace-sdk store forget --agent assistant --store sqlite:///agent.db\n"
    "  memtrace-sdk store forget --agent assistant --before 2026-01-01 --yes\n\n"
    "Exit status 3: the organisation has no such agent.",
)
def forget(
    *,
    agent: Annotated[str, typer.Option(metavar="AGENT", help="The agent, by ID, or by the name of a registered one.")],
    before: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only older memories: 90d, 24h, or 2026-01-31. Without it: all.")
    ] = None,
    organisation: OrganisationOption = "default",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    store: StoreOption = None,
    timeout: TimeoutOption = 30.0,
    as_json: JsonOption = False,
) -> None:
    """Remove an agent's memories for good, from rows, text index and free pages. Shows what it would remove, and asks."""
    from memtrace._cli.store import run_forget

    run_forget(store, agent, before=before, organisation=organisation, yes=yes, timeout=timeout, as_json=as_json)


@_key_command(
    help="Create a key and print it this once: the file keeps only a hash.",
    epilog="\b\nExamples:\n  memtrace-sdk store keys create acme --store sqlite:///agent.db\n",
)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The key's name.")],
    *,
    organisation: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The key's organisation; default is what clients without a key use. Without it: an organisation named like the key.",
        ),
    ] = None,
    store: StoreOption = None,
    timeout: TimeoutOption = 30.0,
    as_json: JsonOption = False,
) -> None:
    """Create a key and print it this once: the file keeps only a hash."""
    from memtrace._cli.store import create_key

    create_key(store, name, organisation or "", timeout=timeout, as_json=as_json)


@_key_command(
    "list",
    help="Show the issued keys by name.",
    epilog="\b\nExamples:\n  memtrace-sdk store keys list --store sqlite:///agent.db --json\n",
)
def list_(*, store: StoreOption = None, timeout: TimeoutOption = 30.0, as_json: JsonOption = False) -> None:
    """Show the issued keys by name."""
    from memtrace._cli.store import list_keys

    list_keys(store, timeout=timeout, as_json=as_json)


@_key_command(
    help="Reject a key from now on.",
    epilog="\b\nExamples:\n  memtrace-sdk store keys revoke acme --store sqlite:///agent.db\n",
)
def revoke(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The key.")],
    *,
    store: StoreOption = None,
    timeout: TimeoutOption = 30.0,
    as_json: JsonOption = False,
) -> None:
    """Reject a key from now on."""
    from memtrace._cli.store import revoke_key

    revoke_key(store, name, timeout=timeout, as_json=as_json)


SERVE = """\b
Examples:
  memtrace-sdk store keys create acme --store sqlite:///memories.db
  memtrace-sdk serve --store sqlite:///memories.db
  memtrace-sdk serve --store sqlite:///memories.db --host 0.0.0.0 --port 9100

\b
The routes are those of a Memtrace server; there are no control routes. Put a
proxy that speaks TLS in front of it where others than this machine can reach
it.
"""


def serve(
    *,
    store: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The store, as in sqlite:///memories.db. Without it nothing lasts."),
    ] = None,
    host: Annotated[str, typer.Option(metavar="HOST", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="PORT", min=0, max=65535, help="The port; 0 selects a free one.")] = 9100,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON with the url.")] = False,
) -> None:
    """Serve the file of a store over HTTP like a Memtrace server, until Ctrl-C or SIGTERM, to clients with one of its keys."""
    from memtrace._cli.serve import run_store_server

    raise typer.Exit(run_store_server(store=store, host=host, port=port, as_json=as_json))

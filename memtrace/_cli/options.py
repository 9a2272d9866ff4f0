"""Options that several commands have, each described once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from memtrace._cli.connection import Choice

__all__ = [
    "AgentOption",
    "EventOption",
    "JsonOption",
    "KindOption",
    "ProfileOption",
    "SessionOption",
    "TimeoutOption",
    "TransportOption",
    "UrlOption",
    "connection_choice",
    "not_empty",
    "profile_names",
]


def profile_names() -> list[str]:
    """What a shell can complete."""
    from memtrace._cli import profiles
    from memtrace._cli.exit_status import CommandError

    try:
        return list(profiles.load().profiles)
    except CommandError:  # a shell that completes shows no errors
        return []


ProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile",
        "-p",
        metavar="NAME",
        autocompletion=profile_names,
        help="A profile of the config file. Without it: MEMTRACE_PROFILE.",
    ),
]
UrlOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="The server's address, with the key of MEMTRACE_API_KEY. Without it: MEMTRACE_BASE_URL."
    ),
]
TransportOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="A transport by name. Without it: what the address names, else MEMTRACE_TRANSPORT."
    ),
]
TimeoutOption = Annotated[
    float | None, typer.Option(metavar="SECONDS", help="For one attempt. Without it: MEMTRACE_TIMEOUT, else 30.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def not_empty(value: str | None) -> str | None:
    """Refuse an empty id, as an unset variable of a shell gives it."""
    if value == "":
        raise typer.BadParameter("it is empty, and would leave out nobody: leave it out, or give an id")
    return value


AgentOption = Annotated[
    str | None, typer.Option(metavar="ID", callback=not_empty, help="Only what this agent remembers.")
]
SessionOption = Annotated[
    str | None, typer.Option(metavar="ID", callback=not_empty, help="Only what belongs to this session.")
]


KindOption = Annotated[str | None, typer.Option("--type", metavar="TYPE", help="Only this kind.")]
EventOption = Annotated[str | None, typer.Option(metavar="EVENT", help="Only this event type.")]


def connection_choice(profile: str | None, url: str | None, transport: str | None, timeout: float | None) -> Choice:
    """What the options say, for `memtrace._cli.connection`."""
    from memtrace._cli.connection import Choice

    return Choice(profile=profile, url=url, transport=transport, timeout=timeout)

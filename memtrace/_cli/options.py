"""Options that several commands have, each described once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import typer


def profile_names() -> list[str]:
    """What a shell can complete."""
    from memtrace._cli import profiles
    from memtrace._cli.exit_status import CommandError

    try:
        return list(profiles.load().profiles)
    except CommandError:  # a shell that completes shows no errors
        return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the options say of the server that a command speaks to."""

    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            "-p",
            metavar="NAME",
            autocompletion=profile_names,
            help="A profile of the config file. Without it: MEMTRACE_PROFILE.",
        ),
    ] = None
    base_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The base URL of a server, with the key of MEMTRACE_API_KEY, or a file, as in sqlite:///agent.db. "
            "Without it: MEMTRACE_BASE_URL.",
        ),
    ] = None
    transport: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The transport's name. Without it: the scheme of the base URL, or MEMTRACE_TRANSPORT."
        ),
    ] = None
    timeout: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="The timeout of one attempt. Without it: MEMTRACE_TIMEOUT, or 30."),
    ] = None


def with_choice(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of `Choice` in the place of its parameter `choice`."""
    signature = inspect.signature(command, eval_str=True)
    if "choice" not in signature.parameters:
        return command
    options = inspect.signature(Choice, eval_str=True).parameters

    @functools.wraps(command)
    def choosing(**given: Any) -> None:
        command(choice=Choice(**{name: given.pop(name) for name in options}), **given)

    parameters: list[inspect.Parameter] = []
    for name, parameter in signature.parameters.items():
        parameters += options.values() if name == "choice" else [parameter]
    choosing.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # what typer reads
    return choosing


IdsOption = Annotated[bool, typer.Option("--ids", help="Show the IDs of registered agents, not their names.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


AgentOption = Annotated[str | None, typer.Option(metavar="ID", help="Only memories of this agent.")]
SessionOption = Annotated[str | None, typer.Option(metavar="ID", help="Only memories of this session.")]
KindOption = Annotated[str | None, typer.Option("--type", metavar="TYPE", help="Only this type.")]
EventOption = Annotated[str | None, typer.Option(metavar="EVENT", help="Only this event type.")]
TagOption = Annotated[
    list[str] | None,
    typer.Option(metavar="TAG", help="Only memories with this tag. May be repeated; all must match."),
]
TagsMatchOption = Annotated[
    Literal["exact", "substring"],
    typer.Option(help="exact matches whole tags; substring also matches parts of tags, as the server does."),
]
KindsOption = Annotated[
    list[str] | None,
    typer.Option("--type", metavar="TYPE", help="Only this type. May be repeated; any may match."),
]
EventsOption = Annotated[
    list[str] | None,
    typer.Option(metavar="EVENT", help="Only this event type. May be repeated; any may match."),
]
ImportanceOption = Annotated[
    float | None, typer.Option("--min-importance", metavar="N", help="Only memories of at least this importance.")
]
SinceOption = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Only newer memories: 30m, 24h, 7d, or a time such as 2026-01-31T12:00:00Z."),
]
OccurredAtOption = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="When it happened, by default now: 2h for 2 hours ago, or 2026-01-31T12:00:00Z."),
]
UntilOption = Annotated[
    str | None, typer.Option(metavar="TIME", help="Only older memories, in the formats of --since.")
]
QueryOption = Annotated[
    str | None,
    typer.Option(
        metavar="QUERY", help="Only memories that are relevant to this query in plain words, most relevant first."
    ),
]
SearchIndexOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Keep the search index in this file, so that the next search reads only newer memories.",
    ),
]

"""agents, sessions and stats."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from memtrace._cli.exit_status import CommandError, ExitStatus
from memtrace._cli.options import Choice, IdsOption, JsonOption
from memtrace._cli.terminal import show_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memtrace.client import Memtrace
    from memtrace.models import AgentStats

AGENTS = """\b
Examples:
  memtrace-sdk agents
  memtrace-sdk agents --ids
  memtrace-sdk agents assistant
  memtrace-sdk agents --json | jq -r '.agents[].id'
"""


def agents(
    agent: Annotated[str | None, typer.Argument(metavar="AGENT", help="Only this one, by ID or name.")] = None,
    *,
    ids: Annotated[bool, typer.Option("--ids", help="Also show the agents' IDs.")] = False,
    choice: Choice,
    as_json: JsonOption = False,
) -> None:
    """Show the registered agents."""
    from memtrace._cli.connection import connected
    from memtrace._cli.nothing_found import registered
    from memtrace._cli.tables import agents_table, show_found

    with connected(choice) as client:
        found = [registered(client, agent)] if agent is not None else client.agents.list().agents
    show_found(
        "agents",
        found,
        partial(agents_table, ids=ids),
        "no agent is registered; memories need none",
        as_json=as_json,
        of_texts=True,
    )


SESSIONS = """\b
Examples:
  memtrace-sdk sessions
  memtrace-sdk sessions --ids
  memtrace-sdk sessions --agent agent_0123456789abcdef01234567
  memtrace-sdk sessions sess_0123456789abcdef01234567 --json
"""


def sessions(
    session: Annotated[str | None, typer.Argument(metavar="SESSION", help="Only this one, by ID.")] = None,
    *,
    agent: Annotated[str | None, typer.Option(metavar="ID", help="Only sessions of this agent, by ID.")] = None,
    ids: IdsOption = False,
    choice: Choice,
    as_json: JsonOption = False,
) -> None:
    """Show the sessions, the newest first."""
    from memtrace._cli.agent_names import AgentNames
    from memtrace._cli.connection import connected
    from memtrace._cli.nothing_found import check_agent
    from memtrace._cli.tables import sessions_table, show_found

    if session is not None and agent is not None:
        raise CommandError("SESSION and --agent do not go together: leave one out", ExitStatus.USAGE)
    with connected(choice) as client:
        found = [client.sessions.get(session)] if session is not None else client.sessions.list(agent).sessions
        if not found:
            check_agent(client, agent)
        names = AgentNames(client, ids=ids or as_json).of(each.agent_id for each in found)
    show_found("sessions", found, partial(sessions_table, names=names), "there is no session", as_json=as_json)


STATS = """\b
Examples:
  memtrace-sdk stats
  memtrace-sdk stats assistant importer --json

\b
AGENT is the ID that memories are stored under, not the name of a registered
agent. Without one: all registered agents.
"""


def stats(
    agent: Annotated[list[str] | None, typer.Argument(metavar="AGENT", help="The agents, by ID.")] = None,
    *,
    ids: IdsOption = False,
    choice: Choice,
    as_json: JsonOption = False,
) -> None:
    """Count what is stored."""
    from memtrace._cli.agent_names import AgentNames
    from memtrace._cli.connection import connected
    from memtrace._cli.tables import show_found, stats_table

    with connected(choice) as client:
        counted = agent or [each.id for each in client.agents.list().agents]
        found = [client.agents.stats(each) for each in counted]
        notes, unknown = _without_memories(client, found) if agent else ({}, {})
        found = [each for each in found if each.agent_id not in unknown]
        names = AgentNames(client, ids=ids or as_json).of(counted)
    if agent and not found:
        raise _unknown([*unknown.values()])
    show_found(
        "stats",
        found,
        partial(stats_table, names=names),
        "no agent is registered; name the id that memories are stored under: memtrace-sdk stats AGENT",
        as_json=as_json,
    )
    for note in () if as_json else notes.values():
        show_error(note)
    if unknown:
        raise _unknown([*unknown.values()])


def _without_memories(client: Memtrace, counted: Sequence[AgentStats]) -> tuple[dict[str, str], dict[str, str]]:
    """What to tell of the agents that have no memory, by ID: of registered ones, and of unknown ones."""
    from memtrace._cli.nothing_found import WithoutMemories

    notes: dict[str, str] = {}
    unknown: dict[str, str] = {}
    without = WithoutMemories(client)
    for agent_id in [each.agent_id for each in counted if not each.memory_count]:
        try:
            notes[agent_id] = without.why(agent_id)
        except CommandError as error:
            unknown[agent_id] = error.message
    return notes, unknown


def _unknown(told: Sequence[str]) -> CommandError:
    return CommandError(told[0], ExitStatus.NOT_FOUND, *told[1:])

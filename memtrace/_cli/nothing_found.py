"""Why nothing was found: the window was too narrow, or nobody has written to this agent."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from memtrace._cli.exit_status import CommandError, ExitStatus
from memtrace.client import Memtrace
from memtrace.exceptions import NotFoundError
from memtrace.models import Agent

_RECENT = 1000
_NEAR = 3


@dataclass(frozen=True, slots=True)
class Window:
    """What `recall` looked at. Without `since` and `until` it is all times."""

    since: str | None
    until: str | None
    query: str | None
    #: By type or tag.
    is_narrowed: bool = field(kw_only=True)

    def __str__(self) -> str:
        parts = [f"{name} {time}" for name, time in (("since", self.since), ("until", self.until)) if time is not None]
        return " ".join(parts) or "of all times"


def why_nothing(client: Memtrace, agent: str, window: Window) -> str:
    """What to tell whoever recalled `agent` and saw nothing. Raises `CommandError` for an agent that is unknown.

    Reads one memory, and where there is none the agents and the newest 1,000 memories, for names that are near.
    """
    if newest := client.memories.list(agent_id=agent, limit=1).memories:
        last = f"{newest[0].time:%Y-%m-%d %H:%M}"
        seen = f"{window} with these filters" if window.is_narrowed else str(window)
        if window.query is not None:
            return f"nothing that {agent} has {seen} is relevant to the query; its newest memory is of {last} UTC"
        bound = "a longer --since" if window.until is None else "another --since or --until"
        wider = f"give {bound}, or leave a filter out" if window.is_narrowed else f"give {bound}, or --query"
        return f"{agent} has nothing {seen}; its newest memory is of {last} UTC: {wider}"
    return WithoutMemories(client).why(agent)


def nothing_of(client: Memtrace, agent: str | None) -> str:
    """What to tell whoever searched the memories of `agent`, or of all agents, and found nothing.

    Raises `CommandError` for an agent that is unknown.
    """
    if agent is None or client.memories.list(agent_id=agent, limit=1).memories:
        return "nothing was found"
    return WithoutMemories(client).why(agent)


def check_agent(client: Memtrace, agent: str | None) -> None:
    """Refuse an agent that is unknown: neither registered, nor written to. Raises `CommandError`."""
    if agent is not None and not client.memories.list(agent_id=agent, limit=1).memories:
        WithoutMemories(client).why(agent)


class WithoutMemories:
    """Agents that have no memory: registered ones, and unknown ones.

    The registered agents and the newest 1,000 memories are read once, and only if needed.
    """

    def __init__(self, client: Memtrace) -> None:
        self._client = client

    @cached_property
    def _registered(self) -> list[Agent]:
        return self._client.agents.list().agents

    @cached_property
    def _written(self) -> set[str]:
        return {memory.agent_id for memory in self._client.memories.list(limit=_RECENT).memories}

    def why(self, agent: str) -> str:
        """What to tell of a registered agent that has no memory. Raises `CommandError` for any other."""
        if any(each.id == agent for each in self._registered):
            return f"the agent {agent} is registered, and has no memories yet"
        for each in self._registered:
            if each.name == agent:
                text = f"no memory is stored under {agent}; the agent of that name stores under its id: memtrace-sdk recall {each.id}"
                raise CommandError(text, ExitStatus.NOT_FOUND)
        meant = _meant(agent, self._written | {each.id for each in self._registered})
        text = f"the agent {agent} is unknown: nobody has written to it, and it is not registered{meant}"
        raise CommandError(text, ExitStatus.NOT_FOUND)


def registered(client: Memtrace, agent: str) -> Agent:
    """The registered agent of this id or name. Raises `CommandError`, with near names, where there is none."""
    try:
        return client.agents.get(agent)
    except NotFoundError:  # of a name with other characters than those of a path too
        agents = client.agents.list().agents
    for each in agents:
        if each.name == agent:
            return each
    meant = _meant(agent, [each.name for each in agents])
    raise CommandError(f"no agent is registered as {agent}{meant}", ExitStatus.NOT_FOUND)


def _meant(name: str, names: Iterable[str]) -> str:
    near = _near(name, names)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _near(name: str, names: Iterable[str]) -> list[str]:
    folded = {each.casefold(): each for each in sorted(names)}
    return [folded[each] for each in difflib.get_close_matches(name.casefold(), folded, n=_NEAR)]

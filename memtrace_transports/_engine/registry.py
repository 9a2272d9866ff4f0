"""Agents and sessions of one organisation. They live apart from storage, and work without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from memtrace_transports._engine.go_json.writer import RawJson, Writable
from memtrace_transports._engine.route_errors import (
    agent_exists,
    agent_in_use,
    agent_not_found,
    session_without_agent,
)
from memtrace_transports._engine.stamps import Stamp
from memtrace_transports._engine.timestamps import SECOND


@dataclass(frozen=True, slots=True)
class Agent:
    """A registered agent; `config` is JSON text, "" when empty."""

    id: str
    name: str
    description: str
    config: str
    created: Stamp

    def json(self, org_id: str, *, just_created: bool = False) -> dict[str, Writable]:
        """The agent as responses show it: only the response to its creation has a fraction in its time."""
        return _given(
            id=self.id,
            org_id=org_id,
            name=self.name,
            description=self.description,
            config=RawJson(self.config),
            created_at=self.created.text() if just_created else self.created.whole_seconds(),
        )


@dataclass(frozen=True, slots=True)
class Session:
    """A session; `metadata` is JSON text, "" when empty."""

    id: str
    agent_id: str
    status: str
    metadata: str
    created: Stamp
    updated: Stamp
    closed: Stamp | None = None

    def json(self, org_id: str) -> dict[str, Writable]:
        """The session as answers show it."""
        return _given(
            id=self.id,
            org_id=org_id,
            agent_id=self.agent_id,
            status=self.status,
            metadata=RawJson(self.metadata),
            created_at=self.created.text(),
            updated_at=self.updated.text(),
            closed_at=self.closed.text() if self.closed is not None else "",
        )


def _given(**members: str) -> dict[str, Writable]:
    """The members that are not empty."""
    return {name: value for name, value in members.items() if value}


class Registry(Protocol):
    """One organisation's agents and sessions. A violation of the server's rules raises RouteError with its words."""

    def add_agent(self, agent: Agent) -> None:
        """Register `agent`. Its name has to be new in the organisation, in exactly this case."""
        ...

    def has_agent(self, agent_id: str) -> bool:
        """Whether there is an agent of this id."""
        ...

    def agent(self, id_or_name: str) -> Agent:
        """The agent of this id, else of this name."""
        ...

    def agents(self) -> list[Agent]:
        """All agents, those of the newest second first."""
        ...

    def remove_agent(self, agent_id: str) -> None:
        """Delete an agent, by id only. One that ever had a session stays for good; its name is free again otherwise."""
        ...

    def add_session(self, session: Session) -> None:
        """Open `session`, for a registered agent's id."""
        ...

    def replace_session(self, session: Session) -> None:
        """Put `session` in the place of the one with its id."""
        ...

    def find_session(self, session_id: str) -> Session | None:
        """The session of this id."""
        ...

    def sessions(self, agent_id: str = "") -> list[Session]:
        """All sessions, or those of one agent, newest first."""
        ...

    def copy(self) -> Registry:
        """What keeps these agents and sessions when others come, for a snapshot."""
        ...


class MemoryRegistry:
    """A `Registry` in memory."""

    def __init__(self) -> None:
        self._agents: dict[str, Agent] = {}
        self._names: dict[str, str] = {}
        self._sessions: dict[str, Session] = {}
        self._sessions_of: dict[str, list[str]] = {}

    def add_agent(self, agent: Agent) -> None:
        """Register `agent`. Its name has to be new in the organisation, in exactly this case."""
        if agent.name in self._names:
            raise agent_exists(agent.name)
        self._agents[agent.id] = agent
        self._names[agent.name] = agent.id

    def has_agent(self, agent_id: str) -> bool:
        """Whether there is an agent of this id."""
        return agent_id in self._agents

    def agent(self, id_or_name: str) -> Agent:
        """The agent of this id, else of this name."""
        found = self._agents.get(id_or_name) or self._agents.get(self._names.get(id_or_name, ""))
        if found is None:
            raise agent_not_found()
        return found

    def agents(self) -> list[Agent]:
        """All agents, those of the newest second first."""
        return sorted(self._agents.values(), key=lambda agent: -(agent.created.microseconds // SECOND))

    def remove_agent(self, agent_id: str) -> None:
        """Delete an agent, by id only. One that ever had a session stays for good; its name is free again otherwise."""
        agent = self._agents.get(agent_id)
        if agent is None:
            raise agent_not_found()
        if agent_id in self._sessions_of:
            raise agent_in_use()
        del self._agents[agent_id]
        del self._names[agent.name]

    def add_session(self, session: Session) -> None:
        """Open `session`, for a registered agent's id."""
        if session.agent_id not in self._agents:
            raise session_without_agent()
        self._sessions[session.id] = session
        self._sessions_of.setdefault(session.agent_id, []).append(session.id)

    def replace_session(self, session: Session) -> None:
        """Put `session` in the place of the one with its id."""
        self._sessions[session.id] = session

    def find_session(self, session_id: str) -> Session | None:
        """The session of this id."""
        return self._sessions.get(session_id)

    def sessions(self, agent_id: str = "") -> list[Session]:
        """All sessions, or those of one agent, newest first."""
        if not agent_id:
            return list(self._sessions.values())[::-1]
        return [self._sessions[session_id] for session_id in reversed(self._sessions_of.get(agent_id, []))]

    def copy(self) -> MemoryRegistry:
        """Another one with the same agents and sessions, which never change in place."""
        other = MemoryRegistry()
        other._agents, other._names, other._sessions = self._agents.copy(), self._names.copy(), self._sessions.copy()
        other._sessions_of = {agent_id: ids.copy() for agent_id, ids in self._sessions_of.items()}
        return other

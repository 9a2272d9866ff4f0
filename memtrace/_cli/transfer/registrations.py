"""Agents and sessions as lines of a file, and their import: the same ones under the ids of another server.

An agent is identified by its name. An imported session has the id of its original in its metadata.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from memtrace._cli.messages import item_problem_of
from memtrace.client import Memtrace
from memtrace.exceptions import InvalidRequestError, PayloadTooLargeError
from memtrace.models import CreateSessionRequest, RegisterAgentRequest, Session
from memtrace.operations import create_session, register_agent
from memtrace.operations._validation_errors import first_violation

ORIGIN = "imported_session_id"
"""The field of a session's metadata with the id of the original session."""

_ACTIVE = "active"


# ---- lines ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RegisteredLines:
    """The agents and sessions of an organisation, a line each, the oldest first."""

    agents: list[str]
    sessions: list[str]

    @property
    def lines(self) -> list[str]:
        """All of them, the agents first."""
        return self.agents + self.sessions


def registered_lines(client: Memtrace) -> RegisteredLines:
    """Read all agents, then the sessions of each: the server does not paginate them, and limits a response."""
    agents = client.agents.list().agents[::-1]
    lines = [f'{{"agent":{agent.model_dump_json(exclude_unset=True)}}}' for agent in agents]
    ids = [agent.id for agent in agents]
    del agents
    sessions = [
        (session.created_at, f'{{"session":{session.model_dump_json(exclude_unset=True)}}}')
        for agent_id in ids
        for session in reversed(client.sessions.list(agent_id).sessions)
    ]
    sessions.sort(key=lambda each: each[0])
    return RegisteredLines(lines, [line for _, line in sessions])


class _AgentLine(RegisterAgentRequest):
    id: str


class _SessionLine(CreateSessionRequest):
    id: str
    status: str = _ACTIVE


_LineT = TypeVar("_LineT", _AgentLine, _SessionLine)


class FieldError(Exception):
    """A field of a line is invalid: which one, and why."""

    def __init__(self, field: str | None, problem: str) -> None:
        super().__init__(problem)
        self.field = field
        self.problem = problem


def kind_of(fields: Mapping[str, object]) -> Literal["agent", "session"] | None:
    """The agent or session of a line; None for any other line."""
    if len(fields) != 1:
        return None
    return "agent" if "agent" in fields else "session" if "session" in fields else None


def _read(kind: str, model: type[_LineT], said: object, needed: tuple[str, ...]) -> _LineT:
    if not isinstance(said, dict):
        raise FieldError(kind, "must be a JSON object")
    for name in needed:
        if not said.get(name):
            raise FieldError(f"{kind}.{name}", "is missing or empty; each such line needs it")
    try:
        return model.model_validate({name: value for name, value in said.items() if value is not None})
    except ValidationError as error:
        name, _, problem = first_violation(error)
        raise FieldError(f"{kind}.{name}", problem) from None


# ---- import ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class RegisteredCounts:
    """The outcome for the agents, or the sessions, of a file."""

    stored: int = 0
    #: They were already on the server.
    present: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.stored + self.present


@dataclass(frozen=True, slots=True)
class _Known:
    """A session of the target server."""

    id: str
    #: Whether it is unchanged since its import: an earlier import may have closed it, and its owner reopened it.
    is_as_opened: bool


@dataclass(slots=True)
class Registrar:
    """Registers missing agents of a file and opens its missing sessions. Maps their ids between both servers."""

    client: Memtrace
    agents: RegisteredCounts
    sessions: RegisteredCounts
    dry_run: bool = False
    _agent_ids: dict[str, str] = field(default_factory=dict)
    _session_ids: dict[str, str] = field(default_factory=dict)
    _by_name: dict[str, str] | None = None
    _by_origin: dict[str, _Known] = field(default_factory=dict)
    _read_agents: set[str] = field(default_factory=set)
    #: Sessions whose status changes at the end, by their id.
    _statuses: dict[str, str] = field(default_factory=dict)

    def agent_id(self, agent_id: str) -> str:
        """The new id for an id of the file; the same id if no agent of the file has it."""
        return self._agent_ids.get(agent_id, agent_id)

    def session_id(self, session_id: str | None) -> str | None:
        """The new id for a session id of the file; the same id if the file has no such session."""
        return None if session_id is None else self._session_ids.get(session_id, session_id)

    def take(self, fields: Mapping[str, object]) -> bool:
        """Register the agent or session of a line, or find it; False for any other line. Raises `FieldError`."""
        kind = kind_of(fields)
        if kind is None:
            return False
        said = fields[kind]
        try:
            if kind == "agent":
                self._take_agent(_read(kind, _AgentLine, said, ("id", "name")))
            else:
                self._take_session(_read(kind, _SessionLine, said, ("id", "agent_id")))
        except (InvalidRequestError, PayloadTooLargeError) as error:
            raise FieldError(None, f"cannot be stored: {item_problem_of(error)}") from None
        return True

    def end_sessions(self) -> None:
        """Give the sessions the status they have in the file, after all their memories are written."""
        for session_id, status in self._statuses.items():
            self.client.sessions.update(session_id, status=status)

    def _agents_here(self) -> dict[str, str]:
        """The ids of the server's agents, by name."""
        if self._by_name is None:
            self._by_name = {agent.name: agent.id for agent in self.client.agents.list().agents}
        return self._by_name

    def _take_agent(self, line: _AgentLine) -> None:
        here = self._agents_here()
        known = here.get(line.name)
        if known is None:
            here[line.name] = known = self._registered(line)
            self.agents.stored += 1
        else:
            self.agents.present += 1
        self._agent_ids[line.id] = known

    def _registered(self, line: _AgentLine) -> str:
        request = RegisterAgentRequest(name=line.name, description=line.description, config=line.config)
        if self.dry_run:
            register_agent(request)  # which checks it, and sends nothing
            return line.id
        return self.client.agents.get_or_register(request).id

    def _take_session(self, line: _SessionLine) -> None:
        agent_id = self.agent_id(line.agent_id)
        self._read_sessions(agent_id)
        origin = _origin(line.id, line.metadata)
        known = self._by_origin.get(origin)
        if known is None:
            known = self._by_origin[origin] = _Known(self._opened(line, agent_id, origin), is_as_opened=True)
            self.sessions.stored += 1
        else:
            self.sessions.present += 1
        self._session_ids[line.id] = known.id
        if line.status != _ACTIVE and known.is_as_opened and not self.dry_run:
            self._statuses[known.id] = line.status

    def _opened(self, line: _SessionLine, agent_id: str, origin: str) -> str:
        request = CreateSessionRequest(agent_id=agent_id, metadata={**(line.metadata or {}), ORIGIN: origin})
        if self.dry_run:
            create_session(request)
            return line.id
        return self.client.sessions.create(request).id

    def _read_sessions(self, agent_id: str) -> None:
        """Read the sessions of an agent from the server. Raises `FieldError` if there is no such agent."""
        if agent_id in self._read_agents:
            return
        if agent_id not in self._agents_here().values():
            raise FieldError("session.agent_id", "is the id of no agent, neither of a line before this one nor here")
        self._read_agents.add(agent_id)
        for session in reversed(self.client.sessions.list(agent_id).sessions):
            origin = _origin(session.id, session.metadata)
            self._by_origin.setdefault(origin, _Known(session.id, _is_as_opened(session)))


def _origin(session_id: str, metadata: Mapping[str, Any] | None) -> str:
    """The id of the original session, across a chain of imports; its own id if it was not imported."""
    named = (metadata or {}).get(ORIGIN)
    return named if isinstance(named, str) and named else session_id


def _is_as_opened(session: Session) -> bool:
    return ORIGIN in (session.metadata or {}) and session.status == _ACTIVE and session.closed_at is None

"""Agents and sessions of one organisation in a file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from memtrace_transports._engine.registry import Agent, Session
from memtrace_transports._engine.route_errors import (
    agent_exists,
    agent_in_use,
    agent_not_found,
    session_without_agent,
)
from memtrace_transports._engine.stamps import Stamp
from memtrace_transports._engine.timestamps import SECOND
from memtrace_transports.sqlite._store import Numbers

_NANOSECONDS = 1000
_AGENT = "SELECT agent_id, name, description, config, created FROM agents WHERE org = ?"
_SESSION = "SELECT session_id, agent_id, status, metadata, created, updated, closed FROM sessions WHERE org = ?"


class SqliteRegistry:
    """A `Registry` over the tables of `connection`, of the organisation `org_id`, which need not be stored yet."""

    def __init__(self, connection: sqlite3.Connection, numbers: Numbers, org_id: str) -> None:
        self._connection = connection
        self._numbers = numbers
        self._org_id = org_id

    @property
    def _org(self) -> int:
        return self._numbers.of(self._org_id)

    def add_agent(self, agent: Agent) -> None:
        """Register `agent`. Its name has to be new in the organisation, in exactly this case."""
        query = "SELECT 1 FROM agents WHERE org = ? AND name = ?"
        if self._connection.execute(query, (self._org, agent.name)).fetchone() is not None:
            raise agent_exists(agent.name)
        self._connection.execute(
            "INSERT INTO agents (org, agent_id, name, description, config, created) VALUES (?, ?, ?, ?, ?, ?)",
            (self._org, agent.id, agent.name, agent.description, agent.config, _number(agent.created)),
        )

    def has_agent(self, agent_id: str) -> bool:
        """Whether there is an agent of this id."""
        query = "SELECT 1 FROM agents WHERE org = ? AND agent_id = ?"
        return self._connection.execute(query, (self._org, agent_id)).fetchone() is not None

    def agent(self, id_or_name: str) -> Agent:
        """The agent of this id, else of this name."""
        for column in ("agent_id", "name"):
            query = f"{_AGENT} AND {column} = ?"
            found = self._connection.execute(query, (self._org, id_or_name)).fetchone()
            if found is not None:
                return _agent(found)
        raise agent_not_found()

    def agents(self) -> list[Agent]:
        """All agents, those of the newest second first."""
        query = f"{_AGENT} ORDER BY created / ? DESC, id"
        return [_agent(row) for row in self._connection.execute(query, (self._org, SECOND * _NANOSECONDS))]

    def remove_agent(self, agent_id: str) -> None:
        """Delete an agent, by id only. One that ever had a session stays for good; its name is free again otherwise."""
        if not self.has_agent(agent_id):
            raise agent_not_found()
        query = "SELECT 1 FROM sessions WHERE org = ? AND agent_id = ?"
        if self._connection.execute(query, (self._org, agent_id)).fetchone() is not None:
            raise agent_in_use()
        self._connection.execute("DELETE FROM agents WHERE org = ? AND agent_id = ?", (self._org, agent_id))

    def add_session(self, session: Session) -> None:
        """Open `session`, for a registered agent's id."""
        if not self.has_agent(session.agent_id):
            raise session_without_agent()
        self._connection.execute(
            "INSERT INTO sessions (org, session_id, agent_id, status, metadata, created, updated, closed)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (self._org, session.id, session.agent_id, session.status, session.metadata, *_times(session)),
        )

    def replace_session(self, session: Session) -> None:
        """Put `session` in the place of the one with its id."""
        self._connection.execute(
            "UPDATE sessions SET status = ?, metadata = ?, created = ?, updated = ?, closed = ?"
            " WHERE org = ? AND session_id = ?",
            (session.status, session.metadata, *_times(session), self._org, session.id),
        )

    def find_session(self, session_id: str) -> Session | None:
        """The session of this id."""
        found = self._connection.execute(f"{_SESSION} AND session_id = ?", (self._org, session_id)).fetchone()
        return None if found is None else _session(found)

    def sessions(self, agent_id: str = "") -> list[Session]:
        """All sessions, or those of one agent, newest first."""
        query, values = f"{_SESSION} ORDER BY id DESC", [self._org, agent_id]
        if agent_id:
            query = f"{_SESSION} AND agent_id = ? ORDER BY id DESC"
        return [_session(row) for row in self._connection.execute(query, values[: query.count("?")])]

    def copy(self) -> SqliteRegistry:
        """This one: the file is what a snapshot keeps."""
        return self


def _agent(row: tuple[str, str, str, str, int]) -> Agent:
    agent_id, name, description, config, created = row
    return Agent(agent_id, name, description, config, _stamp(created))


def _session(row: tuple[str, str, str, str, int, int, int | None]) -> Session:
    session_id, agent_id, status, metadata, created, updated, closed = row
    when = None if closed is None else _stamp(closed)
    return Session(session_id, agent_id, status, metadata, _stamp(created), _stamp(updated), when)


def _times(session: Session) -> Iterable[int | None]:
    closed = None if session.closed is None else _number(session.closed)
    return _number(session.created), _number(session.updated), closed


def _number(stamp: Stamp) -> int:
    """A time as the file keeps it: nanoseconds since 1970."""
    return stamp.microseconds * _NANOSECONDS + stamp.nanoseconds


def _stamp(number: int) -> Stamp:
    return Stamp(*divmod(number, _NANOSECONDS))

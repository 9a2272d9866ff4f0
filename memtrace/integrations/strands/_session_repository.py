"""Conversations that go on in another process: the repository that Strands' `RepositorySessionManager` calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from strands.session.session_repository import SessionRepository
from strands.types.session import Session, SessionAgent, SessionMessage

from memtrace.client import Memtrace
from memtrace.integrations.strands._entries import message_entry, multi_agent_entry, state_entry
from memtrace.integrations.strands._session_files import SessionFiles, path_of

if TYPE_CHECKING:
    from strands.multiagent import MultiAgentBase


class MemtraceSessionRepository(SessionRepository):
    """A repository for ``RepositorySessionManager``: sessions that go on in another process.

    Sessions, states and messages are memories of one agent of Memtrace, of the type ``session``.
    The IDs of Strands may be any strings. `SessionException` is raised for every failure. Of two
    programs that add a message to one conversation at the same moment, the second gets it too.

    Args:
        client: The client, a `Memtrace`.
        agent_id: The agent of Memtrace whose memories they are.
        wait_timeout: Seconds that a write waits until it can be read.

    Raises:
        InvalidRequestError: The server does not accept the ID, or `wait_timeout` is negative.
        ConfigurationError: The client is not a `Memtrace`.

    Example:
        >>> from memtrace import Memtrace
        >>> from strands.types.session import Session, SessionType
        >>> with Memtrace("memory://", "any key") as client:
        ...     repository = MemtraceSessionRepository(client, agent_id="assistant")
        ...     _ = repository.create_session(Session("user/42", SessionType.AGENT))
        ...     repository.read_session("user/42").session_id
        'user/42'
    """

    def __init__(self, client: Memtrace, *, agent_id: str, wait_timeout: float = 5.0) -> None:
        self._files = SessionFiles(client, agent_id, wait_timeout)

    def create_session(self, session: Session, **kwargs: Any) -> Session:
        """Create a session.

        Args:
            session: The session.
            **kwargs: Not used.

        Returns:
            The session.

        Raises:
            SessionException: The session exists, or could not be stored.
        """
        about = f"Session {session.session_id}"
        self._files.create(session.session_id, "session", session.to_dict(), about, "session_created")
        return session

    def read_session(self, session_id: str, **kwargs: Any) -> Session | None:
        """Read a session.

        Args:
            session_id: The session's ID.
            **kwargs: Not used.

        Returns:
            The session, or None if there is none.

        Raises:
            SessionException: It could not be read.
        """
        found = self._files.read(session_id, "session")
        return None if found is None else Session.from_dict(found)

    def create_agent(self, session_id: str, session_agent: SessionAgent, **kwargs: Any) -> None:
        """Store the state of a new agent of a session; if it exists, replace it.

        Args:
            session_id: The session's ID.
            session_agent: The agent's state.
            **kwargs: Not used.

        Raises:
            SessionException: The state could not be stored.
        """
        self._files.put(session_id, *state_entry(session_agent))

    def read_agent(self, session_id: str, agent_id: str, **kwargs: Any) -> SessionAgent | None:
        """Read the state of an agent.

        Args:
            session_id: The session's ID.
            agent_id: The agent's ID in Strands.
            **kwargs: Not used.

        Returns:
            The state, or None if there is none.

        Raises:
            SessionException: It could not be read.
        """
        found = self._files.read(session_id, path_of("agents", agent_id))
        return None if found is None else SessionAgent.from_dict(found)

    def update_agent(self, session_id: str, session_agent: SessionAgent, **kwargs: Any) -> None:
        """Replace the state of an agent. It keeps the time of its creation.

        Args:
            session_id: The session's ID.
            session_agent: The new state.
            **kwargs: Not used.

        Raises:
            SessionException: The agent does not exist, or its state could not be stored.
        """
        self._files.update(session_id, *state_entry(session_agent))

    def create_message(self, session_id: str, agent_id: str, session_message: SessionMessage, **kwargs: Any) -> None:
        """Store a message of an agent's conversation.

        Args:
            session_id: The session's ID.
            agent_id: The agent's ID in Strands.
            session_message: The message.
            **kwargs: Not used.

        Raises:
            SessionException: Another message has this number, or the message could not be stored.
        """
        self._files.create(session_id, *message_entry(agent_id, session_message))

    def read_message(self, session_id: str, agent_id: str, message_id: int, **kwargs: Any) -> SessionMessage | None:
        """Read a message.

        Args:
            session_id: The session's ID.
            agent_id: The agent's ID in Strands.
            message_id: The message's number.
            **kwargs: Not used.

        Returns:
            The message, or None if there is none.

        Raises:
            SessionException: It could not be read.
        """
        found = self._files.read(session_id, path_of("messages", agent_id, message_id))
        return None if found is None else SessionMessage.from_dict(found)

    def update_message(self, session_id: str, agent_id: str, session_message: SessionMessage, **kwargs: Any) -> None:
        """Replace a message, for example by a redacted one. The server keeps the one before.

        Args:
            session_id: The session's ID.
            agent_id: The agent's ID in Strands.
            session_message: The message.
            **kwargs: Not used.

        Raises:
            SessionException: The message does not exist, or could not be stored.
        """
        self._files.update(session_id, *message_entry(agent_id, session_message))

    def list_messages(
        self, session_id: str, agent_id: str, limit: int | None = None, offset: int = 0, **kwargs: Any
    ) -> list[SessionMessage]:
        """Read the messages of an agent's conversation, in order.

        Args:
            session_id: The session's ID.
            agent_id: The agent's ID in Strands.
            limit: How many at most. Default: all.
            offset: How many to leave out at the beginning.
            **kwargs: Not used.

        Returns:
            The messages.

        Raises:
            SessionException: They could not be read.
        """
        found = map(SessionMessage.from_dict, self._files.below(session_id, path_of("messages", agent_id)))
        messages = sorted(found, key=lambda message: message.message_id)
        return messages[offset:] if limit is None else messages[offset : offset + limit]

    def create_multi_agent(self, session_id: str, multi_agent: MultiAgentBase, **kwargs: Any) -> None:
        """Store the state of a new graph or swarm; if it exists, replace it.

        Args:
            session_id: The session's ID.
            multi_agent: The graph or swarm.
            **kwargs: Not used.

        Raises:
            SessionException: The state could not be stored.
        """
        self._files.put(session_id, *multi_agent_entry(multi_agent))

    def read_multi_agent(self, session_id: str, multi_agent_id: str, **kwargs: Any) -> dict[str, Any] | None:
        """Read the state of a graph or swarm.

        Args:
            session_id: The session's ID.
            multi_agent_id: Its ID in Strands.
            **kwargs: Not used.

        Returns:
            The state, or None if there is none.

        Raises:
            SessionException: It could not be read.
        """
        return self._files.read(session_id, path_of("multi_agents", multi_agent_id))

    def update_multi_agent(self, session_id: str, multi_agent: MultiAgentBase, **kwargs: Any) -> None:
        """Replace the state of a graph or swarm.

        Args:
            session_id: The session's ID.
            multi_agent: The graph or swarm.
            **kwargs: Not used.

        Raises:
            SessionException: It does not exist, or its state could not be stored.
        """
        self._files.update(session_id, *multi_agent_entry(multi_agent))

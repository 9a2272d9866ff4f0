"""The sessions of the Agent Development Kit, on Memtrace."""

from __future__ import annotations

import time
from typing import Any, TypeVar
from uuid import uuid4

from google.adk.errors._stale_session_error import StaleSessionError
from google.adk.errors.already_exists_error import AlreadyExistsError
from google.adk.errors.session_not_found_error import SessionNotFoundError
from google.adk.events import Event
from google.adk.sessions import BaseSessionService, Session
from google.adk.sessions.base_session_service import GetSessionConfig, ListSessionsResponse

from memtrace._runtime.workflows.steps import Workflow
from memtrace.async_client import AsyncMemtrace
from memtrace.integrations._dual_client import async_dispatcher
from memtrace.integrations._records import check_wait_timeout, event_type_of, unreadable
from memtrace.integrations.google_adk._content import event_as_json, state_as_json, text_of
from memtrace.integrations.google_adk._session_records import FORMAT, SessionRecords, StoredSession

T = TypeVar("T")


class MemtraceSessionService(BaseSessionService):
    """Sessions, their events and their state, as a session service of the Agent Development Kit.

    An event is stored as a memory of the agent `id_for(app_name)`, with its change of the state. State with the
    prefix ``app:`` is shared by all sessions of the app, with ``user:`` by those of the user, and with ``temp:`` it
    is not stored. `MemtraceError` is raised if the server cannot be reached or rejects a call.

    Args:
        client: The client, an `AsyncMemtrace`.
        wait_timeout: Seconds that a write waits until it can be read. None does not wait, so that a
            read right after may miss it.

    Raises:
        InvalidRequestError: `wait_timeout` is negative.
        ConfigurationError: The client is not an `AsyncMemtrace`.

    Example:
        >>> import asyncio
        >>> from memtrace import AsyncMemtrace
        >>> async def visit():
        ...     async with AsyncMemtrace("memory://", "any key") as client:
        ...         service = MemtraceSessionService(client)
        ...         await service.create_session(app_name="shop", user_id="ines", state={"user:tea": "green"})
        ...         later = await service.create_session(app_name="shop", user_id="ines")
        ...         return later.state
        >>> asyncio.run(visit())
        {'user:tea': 'green'}
    """

    def __init__(self, client: AsyncMemtrace, *, wait_timeout: float | None = 5.0) -> None:
        self._dispatcher = async_dispatcher(client, "MemtraceSessionService")
        self._clock = self._dispatcher.settings.clock
        check_wait_timeout(wait_timeout)
        self._client = client
        self._wait_timeout = wait_timeout

    async def create_session(
        self, *, app_name: str, user_id: str, state: dict[str, Any] | None = None, session_id: str | None = None
    ) -> Session:
        """Create a session.

        Args:
            app_name: The app, any string.
            user_id: The user, any string.
            state: The first state, which JSON can hold.
            session_id: The session's ID, any string, without the white space around it. Default: a
                unique one.

        Returns:
            The session, with the state of the user and of the app.

        Raises:
            AlreadyExistsError: The user has a session with this ID. Of two simultaneous callers one
                creates it.
            InvalidRequestError: JSON cannot hold the state, or a name is empty. Nothing was sent.
            MemtraceError: The session could not be stored.
        """
        session_id = (session_id or "").strip() or str(uuid4())
        records = SessionRecords(app_name, self._wait_timeout)
        first = state_as_json(state or {}, "state")
        stored = await self._run(records.create(user_id, session_id, first, time.time(), self._clock))
        if stored is None:
            raise AlreadyExistsError(f"Session with id {session_id} already exists.")
        return _session(app_name, stored)

    async def get_session(
        self, *, app_name: str, user_id: str, session_id: str, config: GetSessionConfig | None = None
    ) -> Session | None:
        """Read a session.

        Args:
            app_name: The app.
            user_id: The user.
            session_id: The session's ID.
            config: Which events to return: only the newest, or those since a time. Default: all.

        Returns:
            The session, or None if there is none.

        Raises:
            MemtraceError: The session could not be read.
        """
        records = SessionRecords(app_name, self._wait_timeout)
        stored = await self._run(records.load(user_id, session_id.strip(), self._clock))
        if stored is None:
            return None
        session = _session(app_name, stored)
        if config is not None and config.num_recent_events is not None:
            session.events = session.events[max(len(session.events) - config.num_recent_events, 0) :]
        if config is not None and config.after_timestamp:
            session.events = [event for event in session.events if event.timestamp >= config.after_timestamp]
        return session

    async def list_sessions(self, *, app_name: str, user_id: str | None = None) -> ListSessionsResponse:
        """Read the sessions of a user, or of all users, without their events. Reads all their records.

        Args:
            app_name: The app.
            user_id: The user. Default: all users.

        Returns:
            The sessions, the one that was updated last at the end.

        Raises:
            MemtraceError: The sessions could not be read.
        """
        stored = await self._run(SessionRecords(app_name, self._wait_timeout).list(user_id, self._clock))
        return ListSessionsResponse(
            sessions=[_session(app_name, each).model_copy(update={"events": []}) for each in stored]
        )

    async def delete_session(self, *, app_name: str, user_id: str, session_id: str) -> None:
        """Delete a session, if there is one. The server keeps its events, but no read returns them.

        Args:
            app_name: The app.
            user_id: The user.
            session_id: The session's ID.

        Raises:
            MemtraceError: The deletion could not be stored.
        """
        records = SessionRecords(app_name, self._wait_timeout)
        await self._run(records.delete(user_id, session_id.strip(), self._clock))

    async def get_user_state(self, *, app_name: str, user_id: str) -> dict[str, Any]:
        """Read the state that all sessions of a user share.

        Args:
            app_name: The app.
            user_id: The user.

        Returns:
            The state. Its keys do not have the prefix ``user:``.

        Raises:
            MemtraceError: The state could not be read.
        """
        return await self._run(SessionRecords(app_name, self._wait_timeout).user_state(user_id, self._clock))

    async def append_event(self, session: Session, event: Event) -> Event:
        """Store an event with its change of the state, in one write, and append it to `session`.

        Appending an event that is stored already stores nothing, so you may retry a failed call.

        Args:
            session: The session, as it was read or created.
            event: The event. A partial one is not stored.

        Returns:
            The event.

        Raises:
            SessionNotFoundError: The session was deleted, or never created.
            StaleSessionError: Another writer updated the session since it was read. Nothing was
                stored.
            InvalidRequestError: JSON cannot hold the event. Nothing was stored.
            PayloadTooLargeError: The event is over 4 MiB. Nothing was stored.
            MemtraceError: The event could not be stored.
        """
        if event.partial:
            return event
        content, author = text_of(event.content), event_type_of(f"{event.author}_message")
        seen = session.user_id, session.id, session.last_update_time
        records = SessionRecords(session.app_name, self._wait_timeout)
        updated_at = await self._run(
            records.append(seen, event_as_json(event), content, author, self._clock),
        )
        if updated_at is None:
            raise SessionNotFoundError(f"Session {session.id} not found.")
        if updated_at > session.last_update_time:
            raise StaleSessionError(
                "Another writer updated the session after it was read; read it again with get_session."
            )
        event = await super().append_event(session, event)
        session.last_update_time = event.timestamp
        return event

    async def close(self) -> None:
        """Close the client, like `AsyncMemtrace.close` does."""
        await self._client.close()

    async def _run(self, workflow: Workflow[T]) -> T:
        return await self._dispatcher.run(workflow)


def _session(app_name: str, stored: StoredSession) -> Session:
    try:
        events = [Event.model_validate(event) for event in stored.events]
    except ValueError:  # pydantic's, which shows the content
        raise unreadable(FORMAT, "event of the kit") from None
    return Session(
        app_name=app_name,
        user_id=stored.user_id,
        id=stored.id,
        state=stored.state,
        events=events,
        last_update_time=stored.updated_at,
    )

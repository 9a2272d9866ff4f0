"""The long-term memory of the Agent Development Kit, on Memtrace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone

from google.adk.events import Event
from google.adk.memory import BaseMemoryService
from google.adk.memory.base_memory_service import SearchMemoryResponse
from google.adk.memory.memory_entry import MemoryEntry
from google.adk.sessions import Session

from memtrace.async_client import AsyncMemtrace
from memtrace.integrations._dual_client import async_dispatcher
from memtrace.integrations._records import check_wait_timeout, json_text
from memtrace.integrations.google_adk._content import spoken
from memtrace.integrations.google_adk._memory_records import MemoryRecords
from memtrace.integrations.identifiers import id_for
from memtrace.operations._validation import require_non_empty
from memtrace.ranking._search import check_hits


def agent_id_for(app_name: str, user_id: str) -> str:
    """Return the ID of the agent that has a user's long-term memories in an app.

    Pass it to `client.remember` to store a memory that `MemtraceMemoryService` finds.

    Args:
        app_name: The app, any string.
        user_id: The user, any string.

    Returns:
        The ID. Two users never share one, and neither do two apps.

    Raises:
        InvalidRequestError: A name is empty.

    Example:
        >>> agent_id_for("shop", "ines")
        'id-06a4410bc541fb9e39ec7c134d30fbec'
    """
    require_non_empty(app_name, "app_name")
    require_non_empty(user_id, "user_id")
    return id_for(json_text([app_name, user_id], "user_id"))


class MemtraceMemoryService(BaseMemoryService):
    """Long-term memory, searched by relevance, as a memory service of the Agent Development Kit.

    The memories of a user belong to the agent `agent_id_for(app_name, user_id)`. A search finds those that this
    service stored, and those that other programs stored for that agent. `MemtraceError` is raised if the server
    cannot be reached or rejects a call.

    Args:
        client: The client, an `AsyncMemtrace`. Its embedder and ranker count.
        limit: How many memories a search returns at most, from 1.
        wait_timeout: Seconds that a write waits until its memories can be read. None does not wait.

    Raises:
        InvalidRequestError: `limit` is below 1, or `wait_timeout` is negative.
        ConfigurationError: The client is not an `AsyncMemtrace`.

    Example:
        >>> import asyncio
        >>> from memtrace import AsyncMemtrace
        >>> async def recall():
        ...     async with AsyncMemtrace("memory://", "any key") as client:
        ...         await client.remember(agent_id_for("shop", "ines"), "Prefers tea without sugar")
        ...         service = MemtraceMemoryService(client)
        ...         found = await service.search_memory(app_name="shop", user_id="ines", query="tea or coffee?")
        ...         return [memory.content.parts[0].text for memory in found.memories]
        >>> asyncio.run(recall())
        ['Prefers tea without sugar']
    """

    def __init__(self, client: AsyncMemtrace, *, limit: int = 10, wait_timeout: float | None = 5.0) -> None:
        self._dispatcher = async_dispatcher(client, "MemtraceMemoryService")
        self._clock = self._dispatcher.settings.clock
        check_hits(limit)
        check_wait_timeout(wait_timeout)
        self._client, self._limit, self._wait_timeout = client, limit, wait_timeout

    async def add_session_to_memory(self, session: Session) -> None:
        """Store what the events of a session say. Events that were stored before are left out.

        Args:
            session: The session.

        Raises:
            InvalidRequestError: JSON cannot hold an event. Nothing was sent.
            PayloadTooLargeError: An event is over 4 MiB. Nothing was sent.
            MemtraceError: The events could not be stored. You may retry the call.
        """
        await self.add_events_to_memory(
            app_name=session.app_name, user_id=session.user_id, events=session.events, session_id=session.id
        )

    async def add_events_to_memory(
        self,
        *,
        app_name: str,
        user_id: str,
        events: Sequence[Event],
        session_id: str | None = None,
        custom_metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Store what events say. Events without text, and those that were stored before, are left out.

        Args:
            app_name: The app.
            user_id: The user.
            events: The events.
            session_id: Their session.
            custom_metadata: Returned with each memory.

        Raises:
            InvalidRequestError: JSON cannot hold an event. Nothing was sent.
            PayloadTooLargeError: An event is over 4 MiB. Nothing was sent.
            MemtraceError: The events could not be stored. You may retry the call.
        """
        entries = [
            MemoryEntry(
                id=event.id or None,
                author=event.author,
                content=event.content,
                timestamp=datetime.fromtimestamp(event.timestamp, timezone.utc).isoformat(),
                custom_metadata=dict(custom_metadata or {}),
            )
            for event in events
            if event.content is not None and spoken(event.content)
        ]
        await self._dispatcher.run(self._records(app_name, user_id).store(entries, session_id, self._clock))

    async def add_memory(
        self,
        *,
        app_name: str,
        user_id: str,
        memories: Sequence[MemoryEntry],
        custom_metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Store memories. One whose ID was stored before is left out, as is one without text.

        Args:
            app_name: The app.
            user_id: The user.
            memories: The memories.
            custom_metadata: Returned with each memory, unless it has its own value.

        Raises:
            InvalidRequestError: JSON cannot hold a memory. Nothing was sent.
            PayloadTooLargeError: A memory is over 4 MiB. Nothing was sent.
            MemtraceError: The memories could not be stored.
        """
        shared = dict(custom_metadata or {})
        entries = [
            entry.model_copy(update={"custom_metadata": {**shared, **entry.custom_metadata}})
            for entry in memories
            if spoken(entry.content)
        ]
        await self._dispatcher.run(self._records(app_name, user_id).store(entries, None, self._clock))

    async def search_memory(self, *, app_name: str, user_id: str, query: str) -> SearchMemoryResponse:
        """Find the memories of a user that are relevant to a query.

        Args:
            app_name: The app.
            user_id: The user.
            query: What to look for, in plain words.

        Returns:
            The memories, most relevant first. None for a query without words.

        Raises:
            MemtraceError: The memories could not be read.
        """
        search = self._records(app_name, user_id).search(query, self._limit, self._dispatcher.searching)
        return SearchMemoryResponse(memories=await self._dispatcher.run(search))

    async def delete_memory(self, *, app_name: str, user_id: str, memory_id: str | None = None) -> None:
        """Delete a memory. The server keeps it, but no search returns it, and it is not stored again.

        Args:
            app_name: The app.
            user_id: The user.
            memory_id: `MemoryEntry.id`, as `search_memory` returns it. None deletes nothing.

        Raises:
            MemtraceError: The deletion could not be stored.
        """
        if memory_id:
            await self._dispatcher.run(self._records(app_name, user_id).remove(memory_id, self._clock))

    async def close(self) -> None:
        """Close the client, like `AsyncMemtrace.close` does."""
        await self._client.close()

    def _records(self, app_name: str, user_id: str) -> MemoryRecords:
        return MemoryRecords(agent_id_for(app_name, user_id), self._wait_timeout)

"""What an agent remembers over sessions: the store that Strands' `MemoryManager` calls."""

from __future__ import annotations

import hashlib
from typing import Any

from strands.memory import ExtractionConfig, MemoryEntry, MemoryStore, SearchOptions

from memtrace.async_client import AsyncMemtrace
from memtrace.exceptions import ConflictError
from memtrace.integrations._dual_client import async_dispatcher
from memtrace.operations._validation import require_id

_MOST_ENTRIES = 5
_REMEMBERED = ("episodic", "decision", "entity")


class MemtraceMemoryStore(MemoryStore):
    """A memory store for ``MemoryManager``, in which one agent of Memtrace remembers.

    A search ranks by relevance. It finds all memories of the agent except those of the type
    ``session``, whichever program stored them.

    Args:
        client: The client, an `AsyncMemtrace`.
        agent_id: The agent whose memories the store reads and writes.
        session_id: The session of the written memories. Default: none.
        name: The store's name, unique in a manager.
        description: What the store is for, in words for the model.
        max_search_results: How many entries a search returns at most, unless its caller says it.
        writable: Whether the manager may write.
        extraction: Strands' configuration of what it remembers by itself. True: with its defaults.

    Raises:
        InvalidRequestError: The server does not accept an ID.
        ConfigurationError: The client is not an `AsyncMemtrace`.

    Example:
        >>> import asyncio
        >>> from memtrace import AsyncMemtrace
        >>> async def main() -> None:
        ...     async with AsyncMemtrace("memory://", "any key") as client:
        ...         store = MemtraceMemoryStore(client, agent_id="assistant")
        ...         await store.add("Ines drinks tea without sugar")
        ...         print((await store.search("tea or coffee?"))[0].content)
        >>> asyncio.run(main())
        Ines drinks tea without sugar
    """

    def __init__(
        self,
        client: AsyncMemtrace,
        *,
        agent_id: str,
        session_id: str | None = None,
        name: str = "memtrace",
        description: str | None = None,
        max_search_results: int | None = None,
        writable: bool = True,
        extraction: ExtractionConfig | bool | None = None,
    ) -> None:
        async_dispatcher(client, "MemtraceMemoryStore")
        require_id(agent_id, "agent_id")
        if session_id is not None:
            require_id(session_id, "session_id")
        self._client = client
        self._agent_id = agent_id
        self._session_id = session_id
        self.name = name
        self.description = description
        self.max_search_results = max_search_results
        self.writable = writable
        self.extraction = extraction

    async def search(self, query: str, options: SearchOptions | None = None) -> list[MemoryEntry]:
        """Find the memories that are relevant to a query.

        Args:
            query: What to look for, in plain words.
            options: Strands' options: ``max_search_results``.

        Returns:
            The entries, most relevant first. Their metadata has the time, the type and the score.

        Raises:
            MemtraceError: The memories could not be read.
        """
        if not query.strip():
            return []
        limit = (options or {}).get("max_search_results") or self.max_search_results or _MOST_ENTRIES
        hits = await self._client.memories.search(query, agent_id=self._agent_id, memory_types=_REMEMBERED, limit=limit)
        return [
            MemoryEntry(
                hit.memory.content,
                metadata={
                    "time": hit.memory.occurred_at.isoformat(timespec="seconds"),
                    "type": hit.memory.memory_type,
                    "score": round(hit.score, 4),
                },
            )
            for hit in hits
        ]

    async def add(self, content: str, metadata: dict[str, Any] | None = None) -> None:
        """Store one memory. The server skips a content that it stored within the last 24 hours.

        Args:
            content: What to remember.
            metadata: JSON values by name, stored with it.

        Raises:
            InvalidRequestError: An argument breaks a rule of the server. Nothing was sent.
            PayloadTooLargeError: The content is over 4 MiB. Nothing was sent.
            MemtraceError: The memory could not be stored.
        """
        digest = hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
        try:
            await self._client.memories.add(
                agent_id=self._agent_id,
                session_id=self._session_id,
                content=content,
                metadata=metadata,
                dedup_key=f"strands-{self._agent_id}-{digest}",
            )
        except ConflictError as error:
            if error.code != "duplicate_memory":
                raise

"""Memories: adding, listing, searching, and the three words that agents use most."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, overload

from memtrace import operations, procedures
from memtrace.models import AddMemoryRequest, ListOptions, Memory, MemoryList, SearchQuery, SearchResult, TimeBound
from memtrace.resources import arguments
from memtrace.resources.arguments import episode, model_from, newest

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from memtrace.batch import BatchResult
    from memtrace.dispatch import AsyncDispatcher, Dispatcher
    from memtrace.fields import AddMemoryFields, ListFields, SearchFields

__all__ = ["AsyncMemories", "Memories"]


class Memories:
    """The memories of the key's organisation; ``client.memories``."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    @overload
    def add(self, request: AddMemoryRequest) -> Memory: ...
    @overload
    def add(self, **fields: Unpack[AddMemoryFields]) -> Memory: ...
    def add(self, request: AddMemoryRequest | None = None, **fields: object) -> Memory:
        """Store one memory, given as `AddMemoryRequest` or as its fields.

        The server answers before the memory can be read: that takes 0.1 s after the next read, or about a second.
        Raises `ConflictError` when the same agent, event and content (its first 200 bytes), or the same `dedup_key`, was
        stored within 24 hours; `InvalidRequestError` for a field that the server would refuse, before anything is sent.
        """
        return self._dispatcher.send(
            operations.add_memory(model_from(AddMemoryRequest, request, fields), self._dispatcher.settings.dedup)
        )

    def add_many(self, requests: Iterable[AddMemoryRequest]) -> BatchResult:
        """Store memories in requests of at most 100 items and 4 MiB; one outcome for each item, in order.

        An item that breaks a rule is ``failed`` and not sent, one that the server has already is ``duplicate``. After a
        request that failed nothing more is sent. Raises nothing for an item: see `BatchResult.raise_for_failures`.
        """
        return self._dispatcher.run(procedures.add_in_chunks(requests, self._dispatcher.settings.dedup))

    @overload
    def list(self, options: ListOptions) -> MemoryList: ...
    @overload
    def list(self, **fields: Unpack[ListFields]) -> MemoryList: ...
    def list(self, options: ListOptions | None = None, **fields: object) -> MemoryList:
        """Read memories by filters, newest first unless `order` is ``asc``; 100 unless `limit` says otherwise.

        A tag matches as a part of the stored tags: ``ui`` finds ``gui`` too. Bounds of time are exclusive.
        Raises `InvalidRequestError` for a `limit` outside 1 to 1000 and for a filter that the server would refuse.
        """
        return self._dispatcher.send(
            operations.list_memories(model_from(ListOptions, options, fields), self._dispatcher.settings.clock)
        )

    @overload
    def search(self, query: SearchQuery) -> SearchResult: ...
    @overload
    def search(self, **fields: Unpack[SearchFields]) -> SearchResult: ...
    def search(self, query: SearchQuery | None = None, **fields: object) -> SearchResult:
        """Search memories by filters and a part of their content, in this case; 50 unless `limit` says otherwise.

        Raises `InvalidRequestError` for a `limit` outside 1 to 1000 and for a filter that the server would refuse.
        """
        return self._dispatcher.send(
            operations.search_memories(model_from(SearchQuery, query, fields), self._dispatcher.settings.clock)
        )

    def remember(self, agent_id: str, content: str) -> Memory:
        """Store an episodic memory, event type ``general``. Raises as `add` does."""
        return self.add(episode(agent_id, content))

    def recall(self, agent_id: str, since: TimeBound = "24h") -> MemoryList:
        """Read an agent's newest 100 memories since then, newest first."""
        return self.list(newest(agent_id, since))

    def decide(self, agent_id: str, decision: str, reasoning: str) -> Memory:
        """Store a decision, its reasoning under ``metadata["reasoning"]``. Raises as `add` does."""
        return self.add(arguments.decision(agent_id, decision, reasoning))


class AsyncMemories:
    """The memories of the key's organisation; ``client.memories``."""

    def __init__(self, dispatcher: AsyncDispatcher) -> None:
        self._dispatcher = dispatcher

    @overload
    async def add(self, request: AddMemoryRequest) -> Memory: ...
    @overload
    async def add(self, **fields: Unpack[AddMemoryFields]) -> Memory: ...
    async def add(self, request: AddMemoryRequest | None = None, **fields: object) -> Memory:
        """Store one memory, given as `AddMemoryRequest` or as its fields.

        The server answers before the memory can be read: that takes 0.1 s after the next read, or about a second.
        Raises `ConflictError` when the same agent, event and content (its first 200 bytes), or the same `dedup_key`, was
        stored within 24 hours; `InvalidRequestError` for a field that the server would refuse, before anything is sent.
        """
        return await self._dispatcher.send(
            operations.add_memory(model_from(AddMemoryRequest, request, fields), self._dispatcher.settings.dedup)
        )

    async def add_many(self, requests: Iterable[AddMemoryRequest]) -> BatchResult:
        """Store memories in requests of at most 100 items and 4 MiB; one outcome for each item, in order.

        An item that breaks a rule is ``failed`` and not sent, one that the server has already is ``duplicate``. After a
        request that failed nothing more is sent. Raises nothing for an item: see `BatchResult.raise_for_failures`.
        """
        return await self._dispatcher.run(procedures.add_in_chunks(requests, self._dispatcher.settings.dedup))

    @overload
    async def list(self, options: ListOptions) -> MemoryList: ...
    @overload
    async def list(self, **fields: Unpack[ListFields]) -> MemoryList: ...
    async def list(self, options: ListOptions | None = None, **fields: object) -> MemoryList:
        """Read memories by filters, newest first unless `order` is ``asc``; 100 unless `limit` says otherwise.

        A tag matches as a part of the stored tags: ``ui`` finds ``gui`` too. Bounds of time are exclusive.
        Raises `InvalidRequestError` for a `limit` outside 1 to 1000 and for a filter that the server would refuse.
        """
        return await self._dispatcher.send(
            operations.list_memories(model_from(ListOptions, options, fields), self._dispatcher.settings.clock)
        )

    @overload
    async def search(self, query: SearchQuery) -> SearchResult: ...
    @overload
    async def search(self, **fields: Unpack[SearchFields]) -> SearchResult: ...
    async def search(self, query: SearchQuery | None = None, **fields: object) -> SearchResult:
        """Search memories by filters and a part of their content, in this case; 50 unless `limit` says otherwise.

        Raises `InvalidRequestError` for a `limit` outside 1 to 1000 and for a filter that the server would refuse.
        """
        return await self._dispatcher.send(
            operations.search_memories(model_from(SearchQuery, query, fields), self._dispatcher.settings.clock)
        )

    async def remember(self, agent_id: str, content: str) -> Memory:
        """Store an episodic memory, event type ``general``. Raises as `add` does."""
        return await self.add(episode(agent_id, content))

    async def recall(self, agent_id: str, since: TimeBound = "24h") -> MemoryList:
        """Read an agent's newest 100 memories since then, newest first."""
        return await self.list(newest(agent_id, since))

    async def decide(self, agent_id: str, decision: str, reasoning: str) -> Memory:
        """Store a decision, its reasoning under ``metadata["reasoning"]``. Raises as `add` does."""
        return await self.add(arguments.decision(agent_id, decision, reasoning))

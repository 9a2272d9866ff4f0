"""The memories of one agent, as AutoGen calls them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, ClassVar, TypeVar

from autogen_core import CancellationToken, Component, ComponentType
from autogen_core.memory import Memory, MemoryContent, MemoryQueryResult, UpdateContextResult
from autogen_core.model_context import ChatCompletionContext
from autogen_core.models import SystemMessage
from pydantic import BaseModel
from typing_extensions import Self

from memtrace import models
from memtrace._runtime.workflows.searching import Searching
from memtrace._runtime.workflows.steps import Workflow
from memtrace.async_client import AsyncMemtrace
from memtrace.context import build_context
from memtrace.integrations._dual_client import async_dispatcher
from memtrace.integrations._records import Record, RecordCodec, check_wait_timeout, is_record, json_text, write
from memtrace.integrations._relevant import relevant
from memtrace.integrations.autogen._contents import FORMAT, as_item, content_of, query_text
from memtrace.operations._validation import require_id
from memtrace.ranking import SearchHit, SearchHits
from memtrace.ranking._search import check_hits

_ITEM, _CLEARED = "item", "cleared"
_CLEARED_TAG = "autogen-cleared"

T = TypeVar("T")


class MemtraceMemoryConfig(BaseModel):
    """What `MemtraceMemory.dump_component` writes. It has no API key: set ``MEMTRACE_API_KEY`` where you load it."""

    #: The agent whose memories these are.
    agent_id: str
    #: The base URL of the client. None reads ``MEMTRACE_BASE_URL``.
    base_url: str | None = None
    #: How many memories a query returns at most.
    limit: int = 5
    #: Seconds that a write waits until it can be read.
    wait_timeout: float | None = 5.0


class MemtraceMemory(Memory, Component[MemtraceMemoryConfig]):
    """The memories of one agent, found by relevance, as a memory of AutoGen.

    A query finds whatever was stored for the agent: by `add`, by `client.remember` or by the function tools.
    `MemtraceError` is raised if the server cannot be reached or rejects a call.

    Args:
        client: The client, an `AsyncMemtrace`. Its embedder and ranker count. You close it.
        agent_id: The agent whose memories these are.
        limit: How many memories a query returns at most, from 1.
        wait_timeout: Seconds that a write waits until it can be read. None does not wait.

    Raises:
        InvalidRequestError: The server does not accept the ID, `limit` is below 1, or `wait_timeout`
            is negative.
        ConfigurationError: The client is not an `AsyncMemtrace`.

    Example:
        >>> import asyncio
        >>> from autogen_core.memory import MemoryContent, MemoryMimeType
        >>> from memtrace import AsyncMemtrace
        >>> async def recall():
        ...     async with AsyncMemtrace("memory://", "any key") as client:
        ...         memory = MemtraceMemory(client, agent_id="assistant")
        ...         await memory.add(MemoryContent(content="User prefers tea", mime_type=MemoryMimeType.TEXT))
        ...         found = await memory.query("tea or coffee?")
        ...         return [content.content for content in found.results]
        >>> asyncio.run(recall())
        ['User prefers tea']
    """

    component_type: ClassVar[ComponentType] = "memory"
    component_provider_override: ClassVar[str | None] = "memtrace.integrations.autogen.MemtraceMemory"
    component_config_schema = MemtraceMemoryConfig

    def __init__(
        self, client: AsyncMemtrace, *, agent_id: str, limit: int = 5, wait_timeout: float | None = 5.0
    ) -> None:
        self._dispatcher = async_dispatcher(client, "MemtraceMemory")
        require_id(agent_id, "agent_id")
        check_hits(limit)
        check_wait_timeout(wait_timeout)
        self._clock = self._dispatcher.settings.clock
        self._codec = RecordCodec(FORMAT, agent_id)
        self._limit, self._wait_timeout = limit, wait_timeout
        self._own_client: AsyncMemtrace | None = None

    async def update_context(self, model_context: ChatCompletionContext) -> UpdateContextResult:
        """Add the memories that are relevant to the last message, as one system message, marked as data.

        Args:
            model_context: The context. It stays as it is if no memory is relevant.

        Returns:
            The memories.

        Raises:
            MemtraceError: The memories could not be read.
        """
        messages = await model_context.get_messages()
        said = messages[-1].content if messages else ""
        parts = said if isinstance(said, list) else [said]
        hits = await self._hits("\n".join(part for part in parts if isinstance(part, str)), self._limit)
        if hits:
            await model_context.add_message(SystemMessage(content=build_context(SearchHits(hits)).text))
        return UpdateContextResult(memories=self._result(hits))

    async def query(
        self, query: str | MemoryContent, cancellation_token: CancellationToken | None = None, **kwargs: Any
    ) -> MemoryQueryResult:
        """Find the memories that are relevant to a query.

        Args:
            query: What to look for, in plain words.
            cancellation_token: Cancels the query.
            kwargs: ``limit``, how many memories to return at most. Default: the memory's limit.

        Returns:
            The memories, most relevant first, each with its ``score`` in `metadata`. None for a query
            without words.

        Raises:
            TypeError: There is another keyword.
            InvalidRequestError: `limit` is below 1. Nothing was sent.
            MemtraceError: The memories could not be read.
        """
        limit = kwargs.pop("limit", self._limit)
        if kwargs:
            raise TypeError(f"MemtraceMemory.query takes limit and no {', '.join(kwargs)}")
        check_hits(limit)
        words = query_text(query.content if isinstance(query, MemoryContent) else query)
        return self._result(await _cancellable(self._hits(words, limit), cancellation_token))

    async def add(self, content: MemoryContent, cancellation_token: CancellationToken | None = None) -> None:
        """Store a content. A query returns it as it is, and finds bytes and images by their metadata.

        Args:
            content: The content.
            cancellation_token: Cancels the write, which is then stored or not.

        Raises:
            InvalidRequestError: JSON cannot hold a dict or the metadata. Nothing was sent.
            PayloadTooLargeError: The content is over 4 MiB. Nothing was sent.
            MemtraceError: The content could not be stored.
        """
        item, readable = as_item(content)
        request = self._codec.request(_ITEM, json_text(item, "content"), content=readable, event_type="memory")
        stored = self._dispatcher.run(write([request], self._wait_timeout, self._clock))
        await _cancellable(stored, cancellation_token)

    async def clear(self) -> None:
        """Hide all memories that there are. The server keeps them, but no query returns them.

        Raises:
            MemtraceError: It could not be stored.
        """
        request = self._codec.request(
            _CLEARED,
            "null",
            content="All memories before this were removed",
            event_type="memory_cleared",
            tags=[_CLEARED_TAG],
        )
        await self._dispatcher.run(write([request], self._wait_timeout, self._clock))

    async def close(self) -> None:
        """Close the client of a memory that was loaded from its configuration. Your client stays open."""
        if self._own_client is not None:
            await self._own_client.close()

    async def _hits(self, words: str, limit: int) -> list[SearchHit]:
        return await self._dispatcher.run(self._found(words, limit, self._dispatcher.searching))

    def _found(self, words: str, limit: int, searching: Searching) -> Workflow[list[SearchHit]]:
        cleared: Record | None = None
        moments = self._codec.newest_first(self._clock, page_size=20, tags=[_CLEARED_TAG])
        while cleared is None and (records := (yield from moments.next())) is not None:
            cleared = next((record for record in records if record.kind == _CLEARED), None)

        def is_wanted(memory: models.Memory) -> bool:
            record = self._codec.record_of(memory)
            place = memory.time, 0 if record is None else record.sequence
            if cleared is not None and place <= (cleared.memory.time, cleared.sequence):
                return False
            return record.kind == _ITEM if record is not None else not is_record(memory)

        return (
            yield from relevant(
                words, agent_id=self._codec.agent_id, limit=limit, is_wanted=is_wanted, searching=searching
            )
        )

    def _result(self, hits: list[SearchHit]) -> MemoryQueryResult:
        return MemoryQueryResult(results=[content_of(self._codec.record_of(hit.memory), hit) for hit in hits])

    def _to_config(self) -> MemtraceMemoryConfig:
        return MemtraceMemoryConfig(
            agent_id=self._codec.agent_id,
            base_url=str(self._dispatcher.settings.base_url),
            limit=self._limit,
            wait_timeout=self._wait_timeout,
        )

    @classmethod
    def _from_config(cls, config: MemtraceMemoryConfig) -> Self:
        client = AsyncMemtrace(config.base_url)
        memory = cls(client, agent_id=config.agent_id, limit=config.limit, wait_timeout=config.wait_timeout)
        memory._own_client = client
        return memory


async def _cancellable(call: Coroutine[Any, Any, T], token: CancellationToken | None) -> T:
    if token is None:
        return await call
    task = asyncio.ensure_future(call)
    token.link_future(task)
    return await task

"""Memories: adding, listing, searching, and the three words that agents use most."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, overload

from memtrace import operations
from memtrace._runtime.config import DEFAULT_SINCE, Unset
from memtrace._runtime.workflows import listing, visibility
from memtrace.models import AddMemoryRequest, ListOptions, Memory, MemoryList, SearchQuery, SearchResult, TimeBound
from memtrace.operations._coercion import coerce_request, decision_memory, episodic_memory, filters_from, recent_query
from memtrace.operations._validation import BATCH_SIZE, MAX_LIMIT, check_non_negative_seconds
from memtrace.resources._former_search import refusing_filters

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from memtrace._runtime.dispatch import AsyncDispatcher
    from memtrace.context import PromptContext
    from memtrace.outcomes import BatchResult, OnFailure, OnFull, OnResult, Outcome, Progress
    from memtrace.ranking import IndexProgress, IndexStatus, SearchHits
    from memtrace.resources._async_write_buffer import AsyncWriteBuffer
    from memtrace.resources.request_params import AddMemoryParams, FilterParams, ListParams, MemoryContextParams


class AsyncMemories:
    """The memories of the key's organisation; ``client.memories``."""

    def __init__(self, dispatcher: AsyncDispatcher) -> None:
        self._dispatcher = dispatcher

    @overload
    async def add(self, request: AddMemoryRequest, *, wait: bool = False, wait_timeout: float = 5.0) -> Memory: ...
    @overload
    async def add(
        self, *, wait: bool = False, wait_timeout: float = 5.0, **fields: Unpack[AddMemoryParams]
    ) -> Memory: ...
    async def add(
        self,
        request: AddMemoryRequest | None = None,
        *,
        wait: bool = False,
        wait_timeout: float = 5.0,
        **fields: object,
    ) -> Memory:
        """Store one memory, given as `AddMemoryRequest` or as its fields.

        The server answers before the memory can be read: that takes 0.1 s after the next read, or about a second.

        Args:
            request: The memory; or give its fields as keyword arguments.
            wait: Return once the memory can be read, and as it is read.
            wait_timeout: How long `wait` waits after the response to the write, in seconds, 0 or more.
            **fields: The fields of `AddMemoryRequest`.

        Returns:
            The stored memory.

        Raises:
            ConflictError: The same agent, event type and content (its first 200 bytes), or the same `dedup_key`, was stored
                within 24 hours.
            InvalidRequestError: A field breaks a rule of the server; nothing was sent.
            DeadlineExceededError: With `wait`: the memory could not be read in time. `maybe_applied` is True then, as in
                every error after the write.
        """
        chosen = coerce_request(AddMemoryRequest, request, fields)
        settings = self._dispatcher.settings
        if wait:
            return await self._dispatcher.run(
                visibility.add_and_wait(chosen, settings.dedup, wait_timeout, settings.clock)
            )
        if wait_timeout != 5.0:  # the default costs no call
            check_non_negative_seconds(wait_timeout, "wait_timeout")
        return await self._dispatcher.send(operations.add_memory(chosen, settings.dedup))

    async def wait_until_visible(self, memory: Memory, *, timeout: float = 5.0) -> Memory:
        """Wait until a memory that a write returned can be read, and return it as it is read.

        The server answers a write before that: reading has it store what it holds, and 0.1 to 0.15 s later it shows it; what
        went to another server process takes about 1.1 s. So this reads, waits 0.15 s by the client's clock, and reads again.
        Raises `DeadlineExceededError` (code ``visibility_timeout``) after `timeout` seconds, and at once what `list` raises.
        """
        clock = self._dispatcher.settings.clock
        return await self._dispatcher.run(visibility.wait_until_visible(memory, timeout, clock))

    async def add_many(
        self,
        requests: Iterable[AddMemoryRequest],
        *,
        chunk_size: int = BATCH_SIZE,
        max_concurrency: int = 1,
        on_failure: OnFailure = "stop",
        progress: Progress | None = None,
    ) -> BatchResult:
        """Store memories in requests of `chunk_size` items and at most 4 MiB; one outcome for each item, in order.

        As `add_iter`, when its outcomes are wanted together. Raises nothing for an item: see `BatchResult.raise_for_failures`.
        """
        from memtrace.outcomes import BatchResult

        outcomes = self.add_iter(
            requests, chunk_size=chunk_size, max_concurrency=max_concurrency, on_failure=on_failure, progress=progress
        )
        return BatchResult.of([outcome async for outcome in outcomes])

    def add_iter(
        self,
        requests: Iterable[AddMemoryRequest],
        *,
        chunk_size: int = BATCH_SIZE,
        max_concurrency: int = 1,
        on_failure: OnFailure = "stop",
        progress: Progress | None = None,
    ) -> AsyncGenerator[Outcome, None]:
        """Store memories in requests of `chunk_size` items and at most 4 MiB, and give each item's outcome once it is known.

        Takes `chunk_size` times `max_concurrency` items, sends them in so many requests at once, gives their outcomes, and takes more
        when the next outcome is asked for: whoever stops behind the last of a round has the outcome of all that was sent. An
        item that breaks a rule is ``failed`` and not sent; one that the server had already is ``duplicate``. After a request that failed the rest is
        ``failed`` and not sent, or sent all the same where `on_failure` is ``continue``. A request whose answer is lost is
        repeated by the client's `retry`, and its outcomes are found out. `progress` is told after each round, and may be async.

        Raises `InvalidRequestError` for one memory in place of several, a `chunk_size` outside 1 to 1000, a `max_concurrency` outside
        1 to 64 or a `progress` that is no function, and what `requests` and `progress` raise, after the outcomes of what was taken before.
        """
        from memtrace._runtime.progress import check_progress_async
        from memtrace._runtime.workflows.batches import Batch
        from memtrace.resources._batching import send_async

        check_progress_async(progress)
        dedup = self._dispatcher.settings.dedup
        batch = Batch(
            requests,
            dedup,
            chunk_size=chunk_size,
            max_concurrency=max_concurrency,
            on_failure=on_failure,
            progress=progress,
        )
        return send_async(self._dispatcher, batch)

    def buffered(
        self,
        *,
        max_items: int = 100,
        flush_interval: float = 1.0,
        max_pending: int = 10_000,
        on_full: OnFull = "block",
        max_block: float | None = None,
        on_result: OnResult | None = None,
        drain_timeout: float = 30.0,
        spool: str | os.PathLike[str] | None = None,
    ) -> AsyncWriteBuffer:
        """A buffer for one block, whose `add` gives a future at once: a worker sends what it holds, as `add_many` does.

        It sends when `max_items` wait (100 at most), or the oldest has waited `flush_interval` seconds. It holds at most
        `max_pending`; then `on_full` decides: ``block`` waits (`max_block` seconds at most), ``raise`` raises
        `BufferFullError`, ``drop_oldest`` lets the oldest go. `on_result` is called with each `Outcome`. The end of the block
        waits at most `drain_timeout` seconds for what is pending. Times are by the client's clock. Raises `ConfigurationError`.

        With a `spool`, the path of a file, `add` returns once the memory is in it, on the disk. What is not sent when the process
        ends, is killed or loses power is sent by the next one that uses the file, once. Several processes may use it.
        """
        from memtrace._runtime.write_buffer.limits import BufferLimits
        from memtrace.resources._async_write_buffer import AsyncWriteBuffer

        limits = BufferLimits(max_items, flush_interval, max_pending, on_full, max_block, drain_timeout)
        if spool is None:
            return AsyncWriteBuffer(self._dispatcher, limits, on_result)
        from memtrace._runtime.write_buffer.spool import spool_path
        from memtrace._runtime.write_buffer.spool_delivery import Outbox

        path, settings = spool_path(spool, on_full), self._dispatcher.settings
        return AsyncWriteBuffer(self._dispatcher, limits, on_result, lambda: Outbox(path, settings, max_items))

    @overload
    async def list(self, options: ListOptions) -> MemoryList: ...
    @overload
    async def list(self, **fields: Unpack[ListParams]) -> MemoryList: ...
    async def list(self, options: ListOptions | None = None, **fields: object) -> MemoryList:
        """Read memories by filters, newest first unless `order` is ``asc``; 100 unless `limit` says otherwise.

        A tag matches as a part of the stored tags, ``ui`` finds ``gui`` too, unless `tags_match` is ``exact``. Bounds of time
        are exclusive. Up to 1000 rows are one request; more, or exact tags, are read page by page as `iter` does.
        Raises `InvalidRequestError` for a `limit` below 1 and for a filter that the server would refuse.
        """
        chosen = filters_from(ListOptions, options, fields)
        return await self._dispatcher.run(listing.list_memories(chosen, self._dispatcher.settings.clock))

    @overload
    def iter(self, options: ListOptions, *, page_size: int = ...) -> AsyncGenerator[Memory, None]: ...
    @overload
    def iter(self, *, page_size: int = ..., **fields: Unpack[ListParams]) -> AsyncGenerator[Memory, None]: ...
    def iter(
        self, options: ListOptions | None = None, *, page_size: int = MAX_LIMIT, **fields: object
    ) -> AsyncGenerator[Memory, None]:
        """Every memory that the filters find, once and in order, newest first unless `order` is ``asc``.

        Reads in pages of `page_size`, one at a time, by time and not by offset: what others write meanwhile moves nothing. Newest
        first, such memories are not among them; oldest first, they come at the end. `limit` is how many to give at most (all
        when left out), `offset` how many to skip. A relative `since` or `until` counts from this call, by the client's clock.
        `page_size` is from 1 to 1000, and halved where a response is over the transport's `max_response_bytes`.
        Nothing is sent before the first memory is asked for. Raises `InvalidRequestError` at once for a filter that the
        server would refuse, and from the iteration what `list` raises.
        """
        chosen = filters_from(ListOptions, options, fields)
        return self._dispatcher.stream(
            listing.iter_memories(chosen, self._dispatcher.settings.clock, page_size=page_size)
        )

    @overload
    async def filter(self, query: SearchQuery) -> SearchResult: ...
    @overload
    async def filter(self, **fields: Unpack[FilterParams]) -> SearchResult: ...
    async def filter(self, query: SearchQuery | None = None, **fields: object) -> SearchResult:
        """Read memories by filters and a part of their content, case-sensitive; 50 unless `limit` says otherwise.

        The server does it, newest first unless `order` is ``asc``. `search` finds what is relevant to a query instead.

        Up to 1000 rows are one request; more, or exact tags, are read page by page. Raises `InvalidRequestError` for a `limit`
        below 1, for a filter that the server would refuse, and where 1000 rows of one microsecond hide those after them.
        """
        chosen = filters_from(SearchQuery, query, fields)
        return await self._dispatcher.run(listing.search_memories(chosen, self._dispatcher.settings.clock))

    @refusing_filters
    async def search(
        self,
        query: str,
        *,
        agent_id: str | None = None,
        session_id: str | None = None,
        since: TimeBound | None = None,
        until: TimeBound | None = None,
        tags: str | Sequence[str] | None = None,
        memory_types: Sequence[str] | None = None,
        event_types: Sequence[str] | None = None,
        min_importance: float | None = None,
        limit: int = 10,
    ) -> SearchHits:
        """Find the memories that are relevant to a query, by its words, and by meaning where the client has an embedder.

        The client ranks them, so that this works with every server. It keeps a text index of what it read (`search_index` of the
        client): the first search reads all memories of the agent or session, 1000 a request; a further one reads what is newer, in
        one request. `filter` is the server's own filter instead, with a part of the content.

        Args:
            query: What to look for, in plain words; not an expression. Any of its words is enough.
            agent_id: Only this agent's memories. Without agent and session, those of the organisation.
            session_id: Only this session's.
            since: Only what occurred later: see `Memory.occurred_at`.
            until: Only what occurred earlier.
            tags: Tags that all have to match, each as a part of the stored ones.
            memory_types: Any of these types.
            event_types: Any of these types.
            min_importance: At least this; a memory without an importance has 0.
            limit: How many hits at most, from 1.

        Returns:
            The hits, the most relevant first. Equal contents of one agent are one hit, the newest, with their count.

        Raises:
            InvalidRequestError: The query is blank, or an argument breaks a rule; nothing was sent.
            ConfigurationError: The file of the index cannot be used, or Python's sqlite3 has no FTS5.

        Example:
            >>> import asyncio
            >>> from memtrace import AsyncMemtrace
            >>> async def main() -> str:
            ...     async with AsyncMemtrace("memory://", "any key") as client:
            ...         tea = await client.remember("assistant", "User prefers tea without sugar")
            ...         city = await client.remember("assistant", "User moved to Lisbon")
            ...         hits = await client.memories.search("what does the user drink: tea?", agent_id="assistant")
            ...         return hits[0].memory.content
            >>> asyncio.run(main())
            'User prefers tea without sugar'
        """
        from memtrace._runtime.workflows.searching import index_query

        asked = index_query(
            self._dispatcher.settings,
            query=query,
            agent_id=agent_id,
            session_id=session_id,
            since=since,
            until=until,
            tags=tags,
            memory_types=memory_types,
            event_types=event_types,
            min_importance=min_importance,
            limit=limit,
        )
        return await self._dispatcher.run(self._dispatcher.searching.search(query, asked))

    async def prompt_context(
        self,
        query: str | None = None,
        *,
        agent_id: str | None = None,
        session_id: str | None = None,
        max_tokens: int | None = 2000,
        **fields: Unpack[MemoryContextParams],
    ) -> PromptContext:
        """Write the memories that are relevant to a query into a prompt, with the neighbours that make them understandable.

        They are written in order of time, each gap is marked, and the budget is filled with the best, as far as enough is found.
        Without a query it is all memories of the agent, session or organisation, as `sessions.prompt_context`.

        Args:
            query: What the prompt is about, in plain words; as `search`.
            agent_id: Only this agent's memories.
            session_id: Only this session's.
            max_tokens: What the whole context may have, from 1; None for no bound.
            **fields: The other fields of `PromptContextOptions`, such as `recent` and `format`.

        Returns:
            The context. Its text is empty where nothing was found.

        Raises:
            InvalidRequestError: An argument is out of bounds, before anything is sent.
        """
        from memtrace._runtime.workflows import prompt_context
        from memtrace.context import PromptContextOptions

        given = {"query": query, "max_tokens": max_tokens, **fields}
        options = coerce_request(PromptContextOptions, None, given)
        owner = prompt_context.Owner("memories.prompt_context", agent_id, session_id)
        return await self._dispatcher.run(prompt_context.prompt_context(owner, options, self._dispatcher.searching))

    async def index_status(self, agent_id: str | None = None) -> IndexStatus:
        """What the index of `search` has of an agent's memories, or of all. Nothing is read into it."""
        return await self._dispatcher.run(self._dispatcher.searching.status(agent_id))

    async def index_sync(
        self, agent_id: str | None = None, *, rebuild: bool = False, progress: IndexProgress | None = None
    ) -> IndexStatus:
        """Bring the index of `search` up to date ahead: read what is newer, and make the vectors that are missing.

        Args:
            agent_id: Whose memories. Default: those of the organisation.
            rebuild: Read all of them again, and not only what is newer: what became visible more than 10 seconds late is added,
                what the server no longer has is taken out, and vectors of other embedders are removed. Searches go on meanwhile.
            progress: A function that is told how far it is, after each request of 1000 memories and each 64 vectors; it may be
                async. What it raises ends the sync; what was read stays.

        Returns:
            What the index has then.

        Raises:
            InvalidRequestError: The agent is empty, or `progress` is no function; nothing was sent.

        Example:
            >>> import asyncio
            >>> from memtrace import AsyncMemtrace
            >>> async def main() -> int:
            ...     async with AsyncMemtrace("memory://", "any key") as client:
            ...         tea = await client.remember("assistant", "User prefers tea")
            ...         status = await client.memories.index_sync("assistant", rebuild=True)
            ...         return status.memories
            >>> asyncio.run(main())
            1
        """
        from memtrace._runtime.progress import check_progress_async

        check_progress_async(progress)
        searching = self._dispatcher.searching
        return await self._dispatcher.run(searching.sync(agent_id, progress, rebuild=rebuild))

    async def remember(self, agent_id: str, content: str, *, occurred_at: datetime | None = None) -> Memory:
        """Store an episodic memory, event type ``general``; `occurred_at` is when it happened, if not now. Raises as `add` does."""
        return await self.add(episodic_memory(agent_id, content, occurred_at))

    async def recall(
        self, agent_id: str, since: TimeBound = DEFAULT_SINCE, *, query: str | None = None, limit: int | None = None
    ) -> MemoryList:
        """Read an agent's newest memories, or with a `query` the most relevant.

        Args:
            agent_id: Whose memories.
            since: Only what is newer. Default: 24 hours ago; with a `query` there is no bound.
            query: What to look for, in plain words; as `search`.
            limit: How many at most, from 1. Default: 100; with a `query` 10.

        Returns:
            The newest first; with a `query` the most relevant first.

        Raises:
            InvalidRequestError: The agent is empty, the query blank, or a bound cannot be read; nothing was sent.
        """
        if query is None:
            return await self.list(recent_query(agent_id, since, limit))
        from memtrace._runtime.workflows.searching import recall_query

        bound = None if isinstance(since, Unset) else since
        asked = recall_query(self._dispatcher.settings, agent_id, query, bound, 10 if limit is None else limit)
        return await self._dispatcher.run(self._dispatcher.searching.recall(query, asked))

    async def decide(self, agent_id: str, decision: str, reasoning: str) -> Memory:
        """Store a decision, its reasoning under ``metadata["reasoning"]``. Raises as `add` does."""
        return await self.add(decision_memory(agent_id, decision, reasoning))

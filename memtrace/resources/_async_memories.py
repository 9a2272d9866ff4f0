"""Memories: adding, listing, searching, and the three words that agents use most."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import TYPE_CHECKING, overload

from typing_extensions import Unpack

from memtrace import operations
from memtrace._runtime.config import DEFAULT_SINCE, Unset
from memtrace._runtime.workflows import listing, visibility
from memtrace._support.lazy_modules import LazyModule
from memtrace._support.peer_names import MEMORIES_NAMES, HintsAtNames
from memtrace.models import (
    AddMemoryRequest,
    ListOptions,
    Memory,
    MemoryList,
    SearchQuery,
    SearchResult,
    TagsMatch,
    TimeBound,
)
from memtrace.operations._coercion import (
    coerce_request,
    decision_memory,
    episodic_memory,
    filters_from,
    recent_query,
    with_tags_match,
)
from memtrace.operations._validation import BATCH_SIZE, MAX_LIMIT, check_non_negative_seconds
from memtrace.resources._defaults import RESOURCES, Defaults
from memtrace.resources._former_search import refusing_filters
from memtrace.resources._keyword_hints import hinting_keywords
from memtrace.resources._signatures import keywords
from memtrace.resources.request_params import (
    AddMemoryParams,
    DecideParams,
    FilterParams,
    ListParams,
    MemoryContextParams,
    RecallParams,
    RememberParams,
)

if TYPE_CHECKING:
    from memtrace import context, outcomes, ranking
    from memtrace._runtime.dispatch import AsyncDispatcher
    from memtrace.operations import Dedup
    from memtrace.resources import _async_write_buffer
else:
    context, outcomes, ranking = map(LazyModule, ("memtrace.context", "memtrace.outcomes", "memtrace.ranking"))
    _async_write_buffer = LazyModule("memtrace.resources._async_write_buffer")

_WAIT_TIMEOUT = 5.0
"""Seconds."""


class AsyncMemories(HintsAtNames):
    """The memories of the key's organisation; ``client.memories``."""

    _peer_names = MEMORIES_NAMES

    def __init__(self, dispatcher: AsyncDispatcher, defaults: Defaults = RESOURCES) -> None:
        self._dispatcher = dispatcher
        self._dedup: Dedup = dispatcher.settings.dedup or defaults.dedup
        self._tags_match: TagsMatch = defaults.tags_match

    @overload
    async def add(self, request: AddMemoryRequest, *, wait: bool = False, wait_timeout: float = 5.0) -> Memory: ...
    @overload
    async def add(
        self, *, wait: bool = False, wait_timeout: float = 5.0, **fields: Unpack[AddMemoryParams]
    ) -> Memory: ...
    @keywords("AddMemoryParams")
    async def add(
        self,
        request: AddMemoryRequest | None = None,
        *,
        wait: bool = False,
        wait_timeout: float = _WAIT_TIMEOUT,
        **fields: object,
    ) -> Memory:
        """Store one memory, given as `AddMemoryRequest` or as its fields.

        The server responds before the memory can be read. That takes 0.1 s after the next read, or
        about a second.

        Args:
            request: The memory; or pass its fields as keyword arguments.
            wait: Whether to return only once the memory can be read.
            wait_timeout: Seconds that `wait` waits after the response to the write, 0 or more.
            **fields: The fields of `AddMemoryRequest`.

        Returns:
            The stored memory.

        Raises:
            ConflictError: The same `dedup_key` was stored within 24 hours; with the client's
                ``dedup="server"``, also the same agent, event type and content (its first 200
                bytes).
            InvalidRequestError: A field breaks a rule of the server. Nothing was sent.
            DeadlineExceededError: With `wait`: the memory could not be read in time.
                `maybe_applied` is True, as in every error after the write.
        """
        chosen = coerce_request(AddMemoryRequest, request, fields, ("wait", "wait_timeout"))
        if wait:
            clock = self._dispatcher.settings.clock
            return await self._dispatcher.run(visibility.add_and_wait(chosen, self._dedup, wait_timeout, clock))
        if wait_timeout != _WAIT_TIMEOUT:
            check_non_negative_seconds(wait_timeout, "wait_timeout")
        return await self._dispatcher.send(operations.add_memory(chosen, self._dedup))

    @hinting_keywords
    async def wait_until_visible(self, memory: Memory, *, timeout: float = 5.0) -> Memory:
        """Wait until a memory that a write returned can be read.

        The server responds to a write before the memory can be read. A read makes it store waiting
        memories, which takes 0.1 to 0.15 s. A memory that another server process accepted takes
        about 1.1 s. So this method reads, waits 0.15 s by the client's clock, and reads again.

        Args:
            memory: The memory that a write returned.
            timeout: Seconds to wait at most, 0 or more.

        Returns:
            The memory as it is read.

        Raises:
            DeadlineExceededError: The memory could not be read in time (code
                ``visibility_timeout``).
            MemtraceError: A read failed.
        """
        clock = self._dispatcher.settings.clock
        return await self._dispatcher.run(visibility.wait_until_visible(memory, timeout, clock))

    @hinting_keywords
    async def add_many(
        self,
        requests: Iterable[AddMemoryRequest],
        *,
        chunk_size: int = BATCH_SIZE,
        max_concurrency: int = 1,
        on_failure: outcomes.OnFailure = "stop",
        progress: outcomes.Progress | None = None,
    ) -> outcomes.BatchResult:
        """Store memories in bulk, and return one outcome for each, in order.

        Requests have `chunk_size` items and at most 4 MiB. A failed item raises nothing: see
        `BatchResult.raise_for_failures`.

        Args:
            requests: The memories.
            chunk_size: How many memories one request sends, from 1 to 1000.
            max_concurrency: How many requests are sent at once, from 1 to 64.
            on_failure: After a failed request, ``stop`` sends no more. ``continue`` sends the rest.
            progress: Called with a `BatchProgress` after each round.

        Returns:
            The outcomes of all items.

        Raises:
            InvalidRequestError: `requests` is a single memory, or `chunk_size` or `max_concurrency`
                is out of range.
        """
        added = self.add_iter(
            requests, chunk_size=chunk_size, max_concurrency=max_concurrency, on_failure=on_failure, progress=progress
        )
        return outcomes.BatchResult.of([outcome async for outcome in added])

    @hinting_keywords
    def add_iter(
        self,
        requests: Iterable[AddMemoryRequest],
        *,
        chunk_size: int = BATCH_SIZE,
        max_concurrency: int = 1,
        on_failure: outcomes.OnFailure = "stop",
        progress: outcomes.Progress | None = None,
    ) -> AsyncGenerator[outcomes.Outcome, None]:
        """Store memories in bulk, and return each item's outcome as soon as it is known.

        Each round takes `chunk_size` times `max_concurrency` items, sends them, and returns their
        outcomes. The next round begins when you ask for its first outcome. Stopping after a round's
        last outcome leaves no request unaccounted for.

        An item that breaks a rule is ``failed`` and is not sent. One that the server had already is
        ``duplicate``. If the response to a request is lost, the client's `retry` policy applies,
        and the outcomes are looked up.

        An error of `requests` or `progress` is raised after the outcomes of earlier items.

        Args:
            requests: The memories.
            chunk_size: How many memories one request sends, from 1 to 1000. A request has at most 4
                MiB.
            max_concurrency: How many requests are sent at once, from 1 to 64.
            on_failure: After a failed request, ``stop`` sends no more, and the rest is ``failed``.
                ``continue`` sends the rest.
            progress: Called with a `BatchProgress` after each round. It may be async.

        Returns:
            An iterator of outcomes.

        Raises:
            InvalidRequestError: `requests` is a single memory, `chunk_size` or `max_concurrency` is
                out of range, or `progress` is not a function.
        """
        from memtrace._runtime.progress import check_progress_async
        from memtrace._runtime.workflows.batches import Batch
        from memtrace.resources._batching import send_async

        check_progress_async(progress)
        batch = Batch(
            requests,
            self._dedup,
            chunk_size=chunk_size,
            max_concurrency=max_concurrency,
            on_failure=on_failure,
            progress=progress,
        )
        return send_async(self._dispatcher, batch)

    @hinting_keywords
    def buffered(
        self,
        *,
        max_items: int = 100,
        flush_interval: float = 1.0,
        max_pending: int = 10_000,
        on_full: outcomes.OnFull = "block",
        max_block: float | None = None,
        on_result: outcomes.OnResult | None = None,
        drain_timeout: float = 30.0,
        spool: str | os.PathLike[str] | None = None,
    ) -> _async_write_buffer.AsyncWriteBuffer:
        """Create a write buffer for one ``with`` block. A worker sends what its `add` accepts, in batches.

        All times are measured by the client's clock.

        Args:
            max_items: How many waiting memories are sent at once, from 1 to 100.
            flush_interval: Seconds after which waiting memories are sent, even if they are fewer.
            max_pending: How many accepted memories may have no outcome yet.
            on_full: What `add` does when `max_pending` is reached. ``block`` waits, ``raise``
                raises `BufferFullError`, and ``drop_oldest`` drops the oldest waiting memory.
            max_block: Seconds that ``block`` waits at most. Default: no limit.
            on_result: Called with each `Outcome`.
            drain_timeout: Seconds that the end of the block waits at most for pending memories.
            spool: The path of a file. `add` returns once the memory is in it, on disk. Memories
                that are not sent when the process ends, is killed or loses power are sent by the
                next process that uses the file, once. Several processes may use it.

        Returns:
            The buffer.

        Raises:
            ConfigurationError: An argument is out of range, or the spool cannot be used.
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
    @keywords("ListParams")
    async def list(self, options: ListOptions | None = None, **fields: object) -> MemoryList:
        """Read memories by filters, newest first, 100 by default.

        A tag matches as a whole, unless `tags_match` is ``substring``: then it matches as a part of
        the stored tags, as the server does (``ui`` also finds ``gui``). Time bounds are exclusive.
        Up to 1000 memories are one request. More, or whole tags, are read page by page.

        Args:
            options: The filters; or pass their fields as keyword arguments.
            **fields: The fields of `ListOptions`.

        Returns:
            The memories, and whether more match. It is a sequence of them.

        Raises:
            InvalidRequestError: `limit` is below 1, or a filter breaks a rule of the server.
        """
        chosen = with_tags_match(filters_from(ListOptions, options, fields), self._tags_match)
        return await self._dispatcher.run(listing.list_memories(chosen, self._dispatcher.settings.clock))

    @overload
    def iter(self, options: ListOptions, *, page_size: int = ...) -> AsyncGenerator[Memory, None]: ...
    @overload
    def iter(self, *, page_size: int = ..., **fields: Unpack[ListParams]) -> AsyncGenerator[Memory, None]: ...
    @keywords("ListParams")
    def iter(
        self, options: ListOptions | None = None, *, page_size: int = MAX_LIMIT, **fields: object
    ) -> AsyncGenerator[Memory, None]:
        """Iterate over all memories that match the filters, page by page, newest first.

        Pagination is by time, not by offset, so that concurrent writes never shift a page. Newest
        first, such writes are not included. With ``order="asc"`` they come at the end. A relative
        `since` or `until` counts from this call, by the client's clock.

        Args:
            options: The filters; or pass their fields as keyword arguments.
            page_size: How many memories one request reads, from 1 to 1000. It is halved if a
                response exceeds the transport's `max_response_bytes`.
            **fields: The fields of `ListOptions`. `limit` is how many memories to return at most.
                Default: all.

        Returns:
            An iterator. It sends the first request when you ask for the first memory, and raises
            `MemtraceError` if a request fails.

        Raises:
            InvalidRequestError: A filter breaks a rule of the server.
        """
        chosen = with_tags_match(filters_from(ListOptions, options, fields, ("page_size",)), self._tags_match)
        return self._dispatcher.stream(
            listing.iter_memories(chosen, self._dispatcher.settings.clock, page_size=page_size)
        )

    @overload
    async def filter(self, query: SearchQuery) -> SearchResult: ...
    @overload
    async def filter(self, **fields: Unpack[FilterParams]) -> SearchResult: ...
    @keywords("FilterParams")
    async def filter(self, query: SearchQuery | None = None, **fields: object) -> SearchResult:
        """Read memories by the server's filters and a part of their content, newest first, 50 by default.

        `search` finds what is relevant to a query instead. Up to 1000 memories are one request.
        More, or exact tags, are read page by page.

        Args:
            query: The filters; or pass their fields as keyword arguments.
            **fields: The fields of `SearchQuery`. `content_contains` is case-sensitive.

        Returns:
            The memories. It is a sequence of them.

        Raises:
            InvalidRequestError: `limit` is below 1, a filter breaks a rule of the server, or 1000
                memories of one microsecond hide those after them.
        """
        chosen = with_tags_match(filters_from(SearchQuery, query, fields), self._tags_match)
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
        tags_match: TagsMatch = "exact",
        memory_types: str | Sequence[str] | None = None,
        event_types: str | Sequence[str] | None = None,
        min_importance: float | None = None,
        limit: int = 10,
    ) -> ranking.SearchHits:
        """Find the memories that are relevant to a query, by words, and by meaning if the client has an embedder.

        The client ranks them, so that search works with every server. It keeps a full-text index
        (`search_index` of the client). The first search reads all memories of the agent or session,
        1000 a request. Later searches read newer memories in one request. `filter` uses the
        server's own filters instead.

        Args:
            query: What to look for, in plain words. It is not an expression, and any of its words
                is enough.
            agent_id: Only this agent's memories. Default: all agents.
            session_id: Only this session's memories. Default: all sessions.
            since: Only memories that occurred later: see `Memory.occurred_at`.
            until: Only memories that occurred earlier.
            tags: Tags that all have to match: a list, or a string with commas between them. White
                space around each is removed.
            tags_match: ``exact`` for whole tags; ``substring`` for parts of tags, as in the
                server's own filter.
            memory_types: Any of these types: a list, or a single string.
            event_types: Any of these types: a list, or a single string.
            min_importance: The lowest importance. A memory without an importance has 0.
            limit: How many hits at most, from 1.

        Returns:
            The hits, most relevant first. Equal contents of one agent are one hit, the newest, with
            their count.

        Raises:
            InvalidRequestError: The query is blank, or an argument breaks a rule. Nothing was sent.
            ConfigurationError: The file of the index cannot be used, or Python's sqlite3 has no
                FTS5.

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
            tags_match=tags_match,
            memory_types=memory_types,
            event_types=event_types,
            min_importance=min_importance,
            limit=limit,
        )
        return await self._dispatcher.run(self._dispatcher.searching.search(query, asked))

    @keywords("MemoryContextParams")
    async def prompt_context(
        self,
        query: str | None = None,
        *,
        agent_id: str | None = None,
        session_id: str | None = None,
        max_tokens: int | None = 2000,
        **fields: Unpack[MemoryContextParams],
    ) -> context.PromptContext:
        """Render the memories that are relevant to a query for a prompt, with neighbours that explain them.

        They are in order of time, and each gap is marked. The best hits fill the budget. Without a
        query it renders all memories of the agent, session or organisation, like
        `sessions.prompt_context`.

        Args:
            query: What the prompt is about, in plain words, as for `search`.
            agent_id: Only this agent's memories.
            session_id: Only this session's memories.
            max_tokens: The token budget of the whole context, from 1; None for no limit.
            **fields: The other fields of `PromptContextOptions`, such as `recent` and `format`.

        Returns:
            The context. Its text is empty if nothing was found.

        Raises:
            InvalidRequestError: An argument is out of range. Nothing was sent.
        """
        from memtrace._runtime.workflows import prompt_context

        given = {"query": query, "max_tokens": max_tokens, **fields}
        options = coerce_request(context.PromptContextOptions, None, given, ("agent_id", "session_id"))
        owner = prompt_context.Owner("memories.prompt_context", agent_id, session_id)
        return await self._dispatcher.run(prompt_context.prompt_context(owner, options, self._dispatcher.searching))

    @hinting_keywords
    async def index_status(self, agent_id: str | None = None) -> ranking.IndexStatus:
        """Describe the search index: how many memories it has, and up to when. It adds nothing to the index.

        Args:
            agent_id: Only this agent's memories. Default: all of the organisation.

        Returns:
            The status.

        Raises:
            ConfigurationError: The file of the index cannot be used, or Python's sqlite3 has no
                FTS5.
        """
        return await self._dispatcher.run(self._dispatcher.searching.status(agent_id))

    @hinting_keywords
    async def index_sync(
        self, agent_id: str | None = None, *, rebuild: bool = False, progress: ranking.IndexProgress | None = None
    ) -> ranking.IndexStatus:
        """Update the search index ahead of a search: read newer memories and compute missing vectors.

        Args:
            agent_id: Only this agent's memories. Default: all of the organisation.
            rebuild: Read all memories again, not only newer ones. Memories that became visible more
                than 10 seconds late are added, memories that the server no longer has are removed,
                and so are vectors of other embedders. Searches continue meanwhile.
            progress: Called with an `IndexStatus` after each request of 1000 memories, and after
                each 64 vectors. It may be async. An exception of it ends the update. The index
                keeps what was read.

        Returns:
            The status of the index.

        Raises:
            InvalidRequestError: The agent is empty, or `progress` is not a function. No request was
                sent.
            ConfigurationError: The file of the index cannot be used, or Python's sqlite3 has no
                FTS5.
            MemtraceError: A read failed.

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

    @keywords("RememberParams")
    async def remember(self, agent_id: str, content: str, **fields: Unpack[RememberParams]) -> Memory:
        """Store what an agent observed or did: an episodic memory of the event type ``general`` by default.

        Args:
            agent_id: The agent's ID.
            content: The text to remember, not empty.
            **fields: Other fields of `AddMemoryRequest`, such as `session_id`, `tags`,
                `importance`, `event_type`, `metadata`, `occurred_at` (when it happened, by default
                now) and `dedup_key`.

        Returns:
            The stored memory.

        Raises:
            ConflictError: The memory is a duplicate: see `add`.
            InvalidRequestError: A field breaks a rule of the server. Nothing was sent.

        Example:
            >>> import asyncio
            >>> from memtrace import AsyncMemtrace
            >>> async def main() -> list[str] | None:
            ...     async with AsyncMemtrace("memory://", "any key") as client:
            ...         memory = await client.memories.remember("assistant", "User likes tea", tags=["drinks"], importance=0.8)
            ...         return memory.tags
            >>> asyncio.run(main())
            ['drinks']
        """
        return await self.add(episodic_memory(agent_id, content, fields))

    @keywords("RecallParams")
    async def recall(
        self, agent_id: str, since: TimeBound = DEFAULT_SINCE, **fields: Unpack[RecallParams]
    ) -> MemoryList:
        """Read an agent's newest memories, or with a `query` the most relevant.

        With a `query`, `since` and `until` apply to the time when a memory occurred.

        Args:
            agent_id: The agent's ID.
            since: Only what is newer. Default: 24 hours ago; with a `query`, no limit.
            **fields: `until`: only what is older. `tags`: all of them must match, as whole tags,
                unless `tags_match` is ``substring``. `memory_types`: any of these types. `limit`:
                how many at most, from 1. Default: 100; with a `query`, 10. `query`: what to look
                for, in plain words, as for `search`.

        Returns:
            The memories, newest first; with a `query`, the most relevant first.

        Raises:
            InvalidRequestError: The agent is empty, the query is blank, or a filter breaks a rule.
                Nothing was sent.
        """
        from memtrace._runtime.workflows.recalling import recall

        memory_types, query = fields.pop("memory_types", None), fields.pop("query", None)
        bound = None if query is not None and isinstance(since, Unset) else since
        asked = recent_query(agent_id, bound, fields, has_query=query is not None)
        searching = self._dispatcher.searching
        return await self._dispatcher.run(recall(asked, memory_types, query, searching, listing.list_memories))

    @keywords("DecideParams")
    async def decide(self, agent_id: str, decision: str, reasoning: str, **fields: Unpack[DecideParams]) -> Memory:
        """Store a decision and its reasoning.

        Args:
            agent_id: The agent's ID.
            decision: The text of the decision, not empty.
            reasoning: Why. It is stored as ``metadata["reasoning"]``.
            **fields: Other fields of `AddMemoryRequest`, such as `session_id`, `tags`, `importance`
                and `metadata`, which must not contain ``reasoning``.

        Returns:
            The stored memory, of the memory type and event type ``decision``.

        Raises:
            ConflictError: The decision is a duplicate: see `add`.
            InvalidRequestError: A field breaks a rule of the server. Nothing was sent.
        """
        return await self.add(decision_memory(agent_id, decision, reasoning, fields))

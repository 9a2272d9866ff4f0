"""The awaiting client: configuration in, resources out."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from typing_extensions import Self, Unpack

from memtrace import operations
from memtrace._flow.composition import Middleware
from memtrace._runtime.config import (
    DEFAULT_RETRY,
    DEFAULT_SINCE,
    DEFAULT_TIMEOUT,
    LEXICAL,
    UNSET,
    Unset,
    settings_from_args,
    with_overrides,
)
from memtrace._runtime.dispatch import AsyncDispatcher
from memtrace._support.lazy_modules import LazyModule
from memtrace._support.peer_names import CLIENT_NAMES, HintsAtNames, unknown_setting
from memtrace._support.secrets import hidden_argument
from memtrace.clock import Clock
from memtrace.middleware._placement import Placement
from memtrace.models import (
    AddMemoryRequest,
    Agent,
    AgentList,
    AgentStats,
    ContextOptions,
    CreateSessionRequest,
    Health,
    ListOptions,
    Memory,
    MemoryList,
    RegisterAgentRequest,
    SearchQuery,
    SearchResult,
    Session,
    SessionContext,
    SessionList,
    TimeBound,
)
from memtrace.operations import Dedup, Operation, QueryValue, RawIdempotency, RawResponse, RetryPolicy
from memtrace.operations._coercion import decision_memory, episodic_memory, recent_query
from memtrace.resources._async_agents import AsyncAgents
from memtrace.resources._async_memories import AsyncMemories
from memtrace.resources._async_sessions import AsyncSessions
from memtrace.resources._defaults import EARLIER
from memtrace.resources._keyword_hints import hinting_keywords
from memtrace.resources._signatures import keywords
from memtrace.resources.request_params import DecideParams, RecallParams, RememberParams
from memtrace.transport import AsyncTransport, Method, Response, TransportOptions

if TYPE_CHECKING:
    from memtrace import plugins, ranking
else:
    plugins, ranking = LazyModule("memtrace.plugins"), LazyModule("memtrace.ranking")

__all__ = ["AsyncMemtrace"]

T = TypeVar("T")


class AsyncMemtrace(HintsAtNames):
    """A client of a Memtrace server, for asyncio and trio. The API key decides the organisation.

    One client serves many tasks. Creating a client sends no request. Use it as a context manager,
    or close it.

    Args:
        base_url: The base URL of the server, such as ``http://localhost:9100``. Without a server:
            ``sqlite:///agent.db`` or a path for a store in a file, or ``memory://`` for a store
            that ends with the client. Default: ``MEMTRACE_BASE_URL``.
        api_key: The API key of the organisation. ``sqlite://`` and ``memory://`` need none; their
            organisation is ``default`` then. Default: ``MEMTRACE_API_KEY``.
        timeout: Seconds for each attempt; None for no limit. A blocking client applies it to each
            wait on the socket. Default: ``MEMTRACE_TIMEOUT``, or 30.
        deadline: Seconds for a whole call with its retries; None for no limit.
        retry: Which failures are retried, and how often. Default: ``RetryPolicy()``.
        transport: A name (``"httpx"``, ``"memory"`` or a plugin's), an instance, or a
            `TransportSpec`. Default: ``MEMTRACE_TRANSPORT``, or the first one that is installed.
        transport_options: Connection pool, TLS, proxy and limits of the transport.
        middleware: What runs once a call, outermost first. A string is the name of an installed
            one. `before`, `after` and `replace` of `memtrace.middleware` decide the place.
        attempt_middleware: What runs once an attempt, outermost first.
        dedup: Which idempotency key a memory without a `dedup_key` gets. ``per_call``: a unique key
            for each call, so that a retry stores once and equal contents are separate memories.
            ``server``: the server's own, derived from the agent, the event type and the first 200 bytes
            of the content, so that an equal memory within 24 hours raises `ConflictError`. None:
            ``per_call`` in `memories`, sessions and buffers; ``server`` in the client's own
            `remember`, `decide`, `add_memory` and `add_memories`.
        headers: Headers of every request.
        clock: The clock of waits and deadlines. Default: the system clock.
        search_index: The file in which `memories.search` keeps its index between runs. Several
            processes may share it. Default: in memory, or the store's own file.
        embedder: A blocking function that turns a list of texts into vectors of one length, for
            search by meaning. If it fails, words alone rank, and one log record says so. Vectors
            are stored under the name of the model, its attribute `model` or `name`, or else the
            name of the function or class.
        ranker: Ranks search hits: the name of an installed ranker, or an object with
            `rank(query, candidates)`.

    Raises:
        ConfigurationError: An argument or a variable is missing or invalid.
        TransportNotAvailableError: The transport is unknown, broken or not installed.

    Example:
        >>> import asyncio
        >>> async def main() -> list[str]:
        ...     async with AsyncMemtrace("memory://", "any key") as client:
        ...         memory = await client.remember("assistant", "User prefers dark mode")
        ...         return [found.content for found in (await client.recall("assistant")).memories]
        >>> asyncio.run(main())
        ['User prefers dark mode']
    """

    memories: AsyncMemories
    agents: AsyncAgents
    sessions: AsyncSessions

    _peer_names = CLIENT_NAMES

    @keywords()
    def __init__(
        self,
        base_url: str | os.PathLike[str] | None = None,
        api_key: str | None = None,
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
        deadline: float | None = None,
        retry: RetryPolicy = DEFAULT_RETRY,
        transport: str | AsyncTransport | plugins.TransportSpec | None = None,
        transport_options: TransportOptions | None = None,
        middleware: Sequence[Middleware | Placement | str] = (),
        attempt_middleware: Sequence[Middleware | Placement | str] = (),
        dedup: Dedup | None = None,
        headers: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        search_index: str | os.PathLike[str] | None = None,
        embedder: ranking.Embedder | None = None,
        ranker: ranking.Ranker | str = LEXICAL,
        **unknown: NoReturn,
    ) -> None:
        api_key = hidden_argument(api_key)  # in this frame too, which a crash reporter may see
        if unknown:
            raise unknown_setting(unknown, AsyncMemtrace.__init__)
        settings = settings_from_args(
            base_url,
            api_key,
            timeout=timeout,
            deadline=deadline,
            retry=retry,
            dedup=dedup,
            middleware=middleware,
            attempt_middleware=attempt_middleware,
            headers=headers,
            clock=clock,
            search_index=search_index,
            embedder=embedder,
            ranker=ranker,
        )
        self._use(AsyncDispatcher.create(settings, transport, transport_options))

    def _use(self, dispatcher: AsyncDispatcher) -> None:
        self._dispatcher = dispatcher
        self.memories = AsyncMemories(dispatcher)
        self.agents = AsyncAgents(dispatcher)
        self.sessions = AsyncSessions(dispatcher)
        # What the flat methods call; a subclass of the earlier SDK's client may also use the names above for itself.
        self._memories = AsyncMemories(dispatcher, EARLIER)
        self._agents = AsyncAgents(dispatcher, EARLIER)
        self._sessions = AsyncSessions(dispatcher, EARLIER)

    @keywords()
    def with_options(
        self,
        *,
        api_key: str | Unset = UNSET,
        timeout: float | Unset | None = UNSET,
        deadline: float | Unset | None = UNSET,
        retry: RetryPolicy | Unset = UNSET,
        dedup: Dedup | Unset | None = UNSET,
        middleware: Sequence[Middleware | Placement | str] | Unset = UNSET,
        attempt_middleware: Sequence[Middleware | Placement | str] | Unset = UNSET,
        headers: Mapping[str, str] | Unset = UNSET,
        **unknown: NoReturn,
    ) -> Self:
        """Copy the client with other settings, on the same connections (for ``memory://`` the same store).

        Each argument replaces the whole setting. Other settings stay. The connections close when
        this client and all its copies are closed.

        Args:
            api_key: The API key, which decides the organisation.
            timeout: Seconds for each attempt; None for no limit.
            deadline: Seconds for a whole call with its retries; None for no limit.
            retry: Which failures are retried, and how often.
            dedup: Which idempotency key a memory without a `dedup_key` gets: ``per_call``, ``server``,
                or None for the defaults.
            middleware: What runs once a call, outermost first.
            attempt_middleware: What runs once an attempt, outermost first.
            headers: Headers of every request.

        Returns:
            The copy.

        Raises:
            ConfigurationError: A setting is invalid.
            ClientClosedError: This client is closed.
        """
        api_key = hidden_argument(api_key, Unset)
        if unknown:
            raise unknown_setting(unknown, AsyncMemtrace.with_options)
        settings = with_overrides(
            self._dispatcher.settings,
            api_key=api_key,
            timeout=timeout,
            deadline=deadline,
            retry=retry,
            dedup=dedup,
            middleware=middleware,
            attempt_middleware=attempt_middleware,
            headers=headers,
        )
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)  # what a subclass added
        other._use(self._dispatcher.copy(settings))  # its own class
        return other

    async def close(self) -> None:
        """Close this client, and the connections with the last of its `with_options` copies.

        A transport that you created stays open.
        """
        await self._dispatcher.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a client cannot be pickled or copied: use with_options() for one on the same connections, and make a client in each process"
        )

    def __repr__(self) -> str:
        if "_dispatcher" not in self.__dict__:
            return f"<{type(self).__name__}, not made>"  # in the frame of a constructor that failed
        return f"{type(self).__name__}({str(self._dispatcher.settings.base_url)!r}, transport={self._dispatcher.transport_name!r})"

    # -- the server

    @hinting_keywords
    async def health(self) -> Health:
        """Get the server's status. It responds even if its storage is down.

        Returns:
            The status.

        Raises:
            MemtraceError: The server did not respond, or with an error.
        """
        return await self._dispatcher.send(operations.health())

    @hinting_keywords
    async def ready(self) -> bool:
        """Check whether the server can reach its storage.

        Returns:
            True if it can, False on its 503.

        Raises:
            TransportError: The server did not respond.
        """
        return await self._dispatcher.send(operations.ready())

    # -- raw access

    async def send(self, operation: Operation[T]) -> RawResponse[T]:
        """Run an operation of `memtrace.operations`, or your own, and return the status and headers with its result.

        It takes the path of every call: middleware, retries, `deadline` and errors.

        Args:
            operation: The operation.

        Returns:
            The result, with the status and the headers.

        Raises:
            MemtraceError: The call failed, like the operation's own method.
            TypeError: `operation` is not an operation.
        """
        return await self._dispatcher.send_raw(operation)

    @hinting_keywords
    async def request(
        self,
        method: Method,
        path: str,
        *,
        params: Mapping[str, QueryValue] | None = None,
        json: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        idempotency: RawIdempotency | None = None,
        accepts: Collection[int] = (),
        operation: str = "request",
    ) -> Response:
        """Call a route that the SDK does not know.

        It takes the path of every call: middleware, retries, `deadline`, auth and errors. The
        response is not parsed: see `Response.json`.

        Args:
            method: The HTTP method.
            path: The path, percent-encoded, which begins with ``/``.
            params: Parameters that are added to the query.
            json: The body as a JSON value, or as a pydantic model, whose None fields are omitted.
            content: The body as bytes. Set the content type in `headers`.
            headers: Headers of this request.
            idempotency: What a retry does. ``read`` changes nothing, the default for GET and HEAD.
                ``idempotent`` leaves the same state after any number of calls. ``non_idempotent``,
                the default otherwise, is not retried if it may have been applied.
            accepts: Error statuses that are returned and not raised.
            operation: The name of the call in logs and errors.

        Returns:
            The response.

        Raises:
            MemtraceError: The status is 300 or above and not in `accepts`, or no response was
                received.
            InvalidRequestError: An argument cannot be sent.
        """
        from memtrace.operations._raw import raw_operation

        return await self._dispatcher.send(
            raw_operation(
                method,
                path,
                params=params,
                json=json,
                content=content,
                headers=headers,
                idempotency=idempotency,
                accepts=accepts,
                operation=operation,
            )
        )

    # -- memories

    @keywords("RememberParams")
    async def remember(self, agent_id: str, content: str, **fields: Unpack[RememberParams]) -> Memory:
        """Store what an agent observed or did: an episodic memory of the event type ``general`` by default, like `memories.remember`.

        The server's rule for duplicates applies, unless the client's `dedup` says otherwise.

        Args:
            agent_id: The agent's ID.
            content: The text to remember, not empty.
            **fields: Other fields of `AddMemoryRequest`, such as `session_id`, `tags`,
                `importance`, `event_type`, `metadata`, `occurred_at` (when it happened, by default
                now) and `dedup_key`.

        Returns:
            The stored memory.

        Raises:
            ConflictError: The server has the same agent, event type and content (its first 200
                bytes) from the last 24 hours. Nothing is stored.
            InvalidRequestError: A field breaks a rule of the server. Nothing was sent.
        """
        return await self.add_memory(episodic_memory(agent_id, content, fields))

    @keywords("RecallParams")
    async def recall(
        self, agent_id: str, since: TimeBound = DEFAULT_SINCE, **fields: Unpack[RecallParams]
    ) -> MemoryList:
        """Read an agent's newest memories, or with a `query` the most relevant, like `memories.recall`.

        Args:
            agent_id: The agent's ID.
            since: Only what is newer. Default: 24 hours ago; with a `query`, no limit.
            **fields: `until`, `tags`, `tags_match`, `memory_types`, `limit` and `query`. A tag
                matches as a whole, unless `tags_match` is ``substring``. `limit` is how many at
                most, from 1. Default: 100; with a `query`, 10.

        Returns:
            The memories, newest first; with a `query`, the most relevant first.

        Raises:
            InvalidRequestError: The agent is empty, the query is blank, or a filter breaks a rule.
                Nothing was sent.
        """
        if fields:
            return await self._memories.recall(agent_id, since, **fields)
        return await self.list_memories(recent_query(agent_id, since))

    @keywords("DecideParams")
    async def decide(self, agent_id: str, decision: str, reasoning: str, **fields: Unpack[DecideParams]) -> Memory:
        """Store a decision and its reasoning, like `memories.decide`.

        The server's rule for duplicates applies, unless the client's `dedup` says otherwise.

        Args:
            agent_id: The agent's ID.
            decision: The text of the decision, not empty.
            reasoning: Why. It is stored as ``metadata["reasoning"]``.
            **fields: Other fields of `AddMemoryRequest`, such as `session_id`, `tags`, `importance`
                and `metadata`, which must not contain ``reasoning``.

        Returns:
            The stored memory.

        Raises:
            ConflictError: The server has the same agent and decision (its first 200 bytes) from the
                last 24 hours. Nothing is stored.
            InvalidRequestError: A field breaks a rule of the server. Nothing was sent.
        """
        return await self.add_memory(decision_memory(agent_id, decision, reasoning, fields))

    async def add_memory(self, req: AddMemoryRequest) -> Memory:
        """Store one memory. Method of 0.2.0; `memories.add` also accepts fields.

        Args:
            req: The memory.

        Returns:
            The stored memory.

        Raises:
            ConflictError: The memory is a duplicate of the last 24 hours.
            InvalidRequestError: A field breaks a rule of the server. Nothing was sent.
        """
        return await self._memories.add(req)

    async def add_memories(self, memories: list[AddMemoryRequest]) -> list[Memory]:
        """Store memories in bulk. Method of 0.2.0; `memories.add_many` returns an outcome for each memory.

        Args:
            memories: The memories. They are sent in requests of at most 100.

        Returns:
            The stored memories, without duplicates.

        Raises:
            InvalidRequestError: An item breaks a rule of the server. Nothing was sent.
            BatchError: Only some memories were stored. Its `result` has an outcome for each.
            MemtraceError: Nothing was stored.
        """
        from memtrace._runtime.workflows.batches import check_all, stored_rows

        return stored_rows(await self._memories.add_many(check_all(memories)))

    async def list_memories(self, opts: ListOptions) -> MemoryList:
        """Read memories by filters. Method of 0.2.0; `memories.list` also accepts fields.

        A tag matches as a part of the stored tags, unless `tags_match` is ``exact``.

        Args:
            opts: The filters.

        Returns:
            The memories, and whether more match. It is a sequence of them.

        Raises:
            InvalidRequestError: A filter breaks a rule of the server.
        """
        return await self._memories.list(opts)

    async def search_memories(self, query: SearchQuery) -> SearchResult:
        """Read memories by filters and a part of their content. Method of 0.2.0, like `memories.filter`.

        A tag matches as a part of the stored tags, unless `tags_match` is ``exact``.

        Args:
            query: The filters.

        Returns:
            The memories. It is a sequence of them.

        Raises:
            InvalidRequestError: A filter breaks a rule of the server.
        """
        return await self._memories.filter(query)

    # -- agents

    async def register_agent(self, req: RegisterAgentRequest) -> Agent:
        """Register an agent. Method of 0.2.0; `agents.register` also accepts fields.

        Args:
            req: The agent.

        Returns:
            The registered agent, with its ID.

        Raises:
            ConflictError: The name is taken in this organisation.
            InvalidRequestError: A field breaks a rule of the server.
        """
        return await self._agents.register(req)

    async def list_agents(self) -> AgentList:
        """List all agents. Method of 0.2.0, like `agents.list`.

        Returns:
            All agents of the organisation, newest first.
        """
        return await self._agents.list()

    async def get_agent(self, agent_id: str) -> Agent:
        """Fetch an agent. Method of 0.2.0, like `agents.get`.

        Args:
            agent_id: The agent's ID or name.

        Returns:
            The agent.

        Raises:
            NotFoundError: No agent has this ID or name.
        """
        return await self._agents.get(agent_id)

    async def get_agent_stats(self, agent_id: str) -> AgentStats:
        """Count what is stored under an agent's ID. Method of 0.2.0, like `agents.stats`.

        Args:
            agent_id: The agent's ID, which need not be registered.

        Returns:
            The counts.

        Raises:
            NoArcInstanceError: The organisation has no storage.
        """
        return await self._agents.stats(agent_id)

    async def get_agent_memories(self, agent_id: str, opts: ListOptions | None = None) -> MemoryList:
        """Read an agent's memories. Method of 0.2.0; `agents.memories` also accepts fields.

        Args:
            agent_id: The agent's ID.
            opts: The filters. Default: the last 24 hours.

        Returns:
            The memories; an empty list for an unknown ID.

        Raises:
            InvalidRequestError: A filter breaks a rule of the server.
        """
        return await self._agents.memories(agent_id, opts)

    async def delete_agent(self, agent_id: str) -> None:
        """Delete an agent. Its memories stay. Method of 0.2.0, like `agents.delete`.

        Args:
            agent_id: The agent's ID, not its name.

        Raises:
            NotFoundError: No agent has this ID.
            ConflictError: The agent had a session at any time.
        """
        await self._agents.delete(agent_id)

    # -- sessions

    async def create_session(self, req: CreateSessionRequest) -> Session:
        """Create a session of a registered agent. Method of 0.2.0; `sessions.create` also accepts fields.

        Args:
            req: The session.

        Returns:
            The session, with its ID.

        Raises:
            InvalidRequestError: No agent has this ID, or a field breaks a rule of the server.
        """
        return await self._sessions.create(req)

    async def get_session(self, session_id: str) -> Session:
        """Fetch a session. Method of 0.2.0, like `sessions.get`.

        Args:
            session_id: The session's ID.

        Returns:
            The session.

        Raises:
            NotFoundError: No session has this ID.
        """
        return await self._sessions.get(session_id)

    async def list_sessions(self, agent_id: str | None = None) -> SessionList:
        """List the sessions of one agent, or all. Method of 0.2.0, like `sessions.list`.

        Args:
            agent_id: The agent's ID. Default: all agents.

        Returns:
            The sessions, newest first.
        """
        return await self._sessions.list(agent_id)

    async def close_session(self, session_id: str) -> Session:
        """Set a session's status to ``closed``. Method of 0.2.0, like `sessions.close`.

        Args:
            session_id: The session's ID.

        Returns:
            The closed session.

        Raises:
            NotFoundError: No session has this ID.
        """
        return await self._sessions.close(session_id)

    async def get_session_context(self, session_id: str, opts: ContextOptions | None = None) -> SessionContext:
        """Let the server render a session's memories as Markdown. Method of 0.2.0, like `sessions.context`.

        Args:
            session_id: The session's ID.
            opts: The time range. Default: the last 24 hours.

        Returns:
            The text.

        Raises:
            InvalidRequestError: The server would silently read `since` as 24 hours.
        """
        return await self._sessions.context(session_id, opts)

    async def get_session_memories(self, session_id: str, opts: ListOptions | None = None) -> MemoryList:
        """Read a session's memories. Method of 0.2.0; `sessions.memories` also accepts fields.

        Args:
            session_id: The session's ID.
            opts: The filters. Default: all times.

        Returns:
            The memories; an empty list for an unknown ID.

        Raises:
            InvalidRequestError: A filter breaks a rule of the server.
        """
        return await self._sessions.memories(session_id, opts)

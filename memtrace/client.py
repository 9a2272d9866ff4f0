# Generated from async_client.py by scripts/unasync.py: change that file and run the script.
"""The blocking client: configuration in, resources out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from memtrace import operations
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
from memtrace._runtime.dispatch import Dispatcher
from memtrace._support.secrets import hidden_argument
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
from memtrace.operations._coercion import decision_memory, episodic_memory, recent_query
from memtrace.resources._agents import Agents
from memtrace.resources._memories import Memories
from memtrace.resources._sessions import Sessions

if TYPE_CHECKING:
    import os
    from datetime import datetime

    from typing_extensions import Self

    from memtrace._flow.composition import Middleware
    from memtrace.clock import Clock
    from memtrace.middleware._placement import Placement
    from memtrace.operations import Dedup, Operation, QueryValue, RawIdempotency, RawResponse, RetryPolicy
    from memtrace.plugins import TransportSpec
    from memtrace.ranking import Embedder, Ranker
    from memtrace.transport import Method, Response, Transport, TransportOptions

__all__ = ["Memtrace"]

T = TypeVar("T")


class Memtrace:
    """A client of a Memtrace server, blocking. One serves many threads; the API key decides the organisation.

    Creating a client sends no request. Use it as a context manager, or close it.

    Args:
        base_url: The server's address, such as ``http://localhost:9100``; ``sqlite:///agent.db`` or a path for a store in a
            file, without a server; ``memory://`` for one that ends with the client. Default: ``MEMTRACE_BASE_URL``.
        api_key: The organisation's key. Default: ``MEMTRACE_API_KEY``; ``sqlite://`` and ``memory://`` need none, and have
            the organisation ``default`` without one.
        timeout: Seconds for one attempt; None is no limit. A blocking client applies it to each wait on the socket. Default:
            ``MEMTRACE_TIMEOUT``, or 30.
        deadline: Seconds for a call with all its attempts and waits; None is no limit.
        retry: When a failed call is retried.
        transport: A name (``"httpx"``, ``"memory"``, a plugin's), an instance, or a `TransportSpec`; made at the first call.
            Default: ``MEMTRACE_TRANSPORT``, or what is installed.
        transport_options: What the transport is made with: pools, TLS, proxies, limits.
        middleware: What runs once a call, outermost first; a string is the name of an installed one. `before`, `after` and
            `replace` of `memtrace.middleware` place one.
        attempt_middleware: What runs once an attempt.
        dedup: Which idempotency key a memory gets that has none.
        headers: Headers of every request.
        clock: The clock of waits and deadlines. Default: the system clock.
        search_index: The file in which `memories.search` keeps its index between runs; several processes may share it. Default: in
            memory, and for a store in a file in that file.
        embedder: A blocking function that gives each of a list of texts a vector, all of one length. Then searches find what is
            near in meaning too; where it fails, words alone rank, and the log says so once. Vectors are kept under the name of the
            model, its attribute `model` or `name`, else of the function or class, and their length.
        ranker: Puts what a search found in order: the name of an installed one, or an object with `rank(query, candidates)`.

    Raises:
        ConfigurationError: An argument or a variable is missing or cannot be used.
        TransportNotAvailableError: The transport is unknown, broken or not installed.

    Example:
        >>> with Memtrace("memory://", "any key") as client:
        ...     memory = client.remember("assistant", "User prefers dark mode")
        ...     [found.content for found in client.recall("assistant").memories]
        ['User prefers dark mode']
    """

    memories: Memories
    agents: Agents
    sessions: Sessions

    def __init__(
        self,
        base_url: str | os.PathLike[str] | None = None,
        api_key: str | None = None,
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
        deadline: float | None = None,
        retry: RetryPolicy = DEFAULT_RETRY,
        transport: str | Transport | TransportSpec | None = None,
        transport_options: TransportOptions | None = None,
        middleware: Sequence[Middleware | Placement | str] = (),
        attempt_middleware: Sequence[Middleware | Placement | str] = (),
        dedup: Dedup = "server",
        headers: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        search_index: str | os.PathLike[str] | None = None,
        embedder: Embedder | None = None,
        ranker: Ranker | str = LEXICAL,
    ) -> None:
        api_key = hidden_argument(api_key)  # in this frame too, which a crash reporter may see
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
        self._use(Dispatcher.create(settings, transport, transport_options))

    def _use(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        # Once more in private: a subclass of the earlier SDK's client may use these names for itself.
        self.memories = self._memories = Memories(dispatcher)
        self.agents = self._agents = Agents(dispatcher)
        self.sessions = self._sessions = Sessions(dispatcher)

    def with_options(
        self,
        *,
        api_key: str | Unset = UNSET,
        timeout: float | Unset | None = UNSET,
        deadline: float | Unset | None = UNSET,
        retry: RetryPolicy | Unset = UNSET,
        dedup: Dedup | Unset = UNSET,
        middleware: Sequence[Middleware | Placement | str] | Unset = UNSET,
        attempt_middleware: Sequence[Middleware | Placement | str] | Unset = UNSET,
        headers: Mapping[str, str] | Unset = UNSET,
    ) -> Self:
        """A cheap copy with these settings changed, on the same connections (for ``memory://``: on the same store).

        What is given replaces the whole setting. The connections close when this client and all its copies are closed.
        Raises `ConfigurationError`, and `ClientClosedError` when this client is closed.
        """
        api_key = hidden_argument(api_key, Unset)
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

    def close(self) -> None:
        """Close this client, and with the last of its `with_options` copies the connections; a transport of yours stays open."""
        self._dispatcher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a client cannot be pickled or copied: use with_options() for one on the same connections, and make a client in each process"
        )

    def __repr__(self) -> str:
        if "_dispatcher" not in self.__dict__:
            return f"<{type(self).__name__}, not made>"  # in the frame of a constructor that failed
        return f"{type(self).__name__}({str(self._dispatcher.settings.base_url)!r}, transport={self._dispatcher.transport_name!r})"

    # -- the server

    def health(self) -> Health:
        """What the server says of itself; it answers also when its storage is down."""
        return self._dispatcher.send(operations.health())

    def ready(self) -> bool:
        """Whether the server's storage can be reached; False on its 503. Raises `TransportError` where nothing answers."""
        return self._dispatcher.send(operations.ready())

    # -- raw access

    def send(self, operation: Operation[T]) -> RawResponse[T]:
        """Run an operation of `memtrace.operations`, or one of your own, and keep the status and the headers with its result.

        It goes the way of every call: middleware, retries, `deadline`, errors. Raises what the operation's own method raises (a
        failure gives no `RawResponse`), and `TypeError` for what is no operation.
        """
        return self._dispatcher.send_raw(operation)

    def request(
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
        """Call a route that the SDK does not know, the way of every call: middleware, retries, `deadline`, auth, errors.

        `path` is percent-encoded and begins with ``/``; `params` are added to its query. The body is `json` (a JSON value, or a
        pydantic model without its None fields) or `content`, whose content type goes into `headers`. `idempotency` says what a repeat does:
        ``read`` (nothing) for GET and HEAD, else ``non_idempotent``, which is never repeated when it may have been applied; ``idempotent``
        leaves the same state however often it is applied. `operation` is what logs and errors call it.

        Raises the `MemtraceError` of a status of 300 and above, unless `accepts` has it, and `InvalidRequestError` for what
        cannot be sent. The answer is not read: see `Response.json`.
        """
        from memtrace.operations._raw import raw_operation

        return self._dispatcher.send(
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

    def remember(self, agent_id: str, content: str, *, occurred_at: datetime | None = None) -> Memory:
        """Store an episodic memory, event type ``general``; as `memories.remember`."""
        return self.add_memory(episodic_memory(agent_id, content, occurred_at))

    def recall(
        self, agent_id: str, since: TimeBound = DEFAULT_SINCE, *, query: str | None = None, limit: int | None = None
    ) -> MemoryList:
        """Read an agent's newest memories since `since`, or with a `query` the most relevant, as `memories.recall`."""
        if query is not None:
            return self._memories.recall(agent_id, since, query=query, limit=limit)
        return self.list_memories(recent_query(agent_id, since, limit))

    def decide(self, agent_id: str, decision: str, reasoning: str) -> Memory:
        """Store a decision and its reasoning; as `memories.decide`."""
        return self.add_memory(decision_memory(agent_id, decision, reasoning))

    def add_memory(self, req: AddMemoryRequest) -> Memory:
        """Store one memory; as `memories.add`."""
        return self._memories.add(req)

    def add_memories(self, memories: list[AddMemoryRequest]) -> list[Memory]:
        """Store memories in requests of at most 100 and return the rows that the server answered, duplicates left out.

        Sends nothing when an item breaks a rule. Raises the server's error when nothing was stored, else `BatchError`, whose
        `result` says which items were. `memories.add_many` gives one outcome for each item instead.
        """
        from memtrace._runtime.workflows.batches import check_all, stored_rows

        return stored_rows(self._memories.add_many(check_all(memories)))

    def list_memories(self, opts: ListOptions) -> MemoryList:
        """Read memories by filters; as `memories.list`."""
        return self._memories.list(opts)

    def search_memories(self, query: SearchQuery) -> SearchResult:
        """Search memories; as `memories.filter`."""
        return self._memories.filter(query)

    # -- agents

    def register_agent(self, req: RegisterAgentRequest) -> Agent:
        """Register an agent; as `agents.register`."""
        return self._agents.register(req)

    def list_agents(self) -> AgentList:
        """All agents; as `agents.list`."""
        return self._agents.list()

    def get_agent(self, agent_id: str) -> Agent:
        """Fetch an agent by id or name; as `agents.get`."""
        return self._agents.get(agent_id)

    def get_agent_stats(self, agent_id: str) -> AgentStats:
        """Count what is stored under an agent's id; as `agents.stats`."""
        return self._agents.stats(agent_id)

    def get_agent_memories(self, agent_id: str, opts: ListOptions | None = None) -> MemoryList:
        """Read an agent's memories; as `agents.memories`."""
        return self._agents.memories(agent_id, opts)

    def delete_agent(self, agent_id: str) -> None:
        """Delete an agent by id; as `agents.delete`."""
        self._agents.delete(agent_id)

    # -- sessions

    def create_session(self, req: CreateSessionRequest) -> Session:
        """Create a session; as `sessions.create`."""
        return self._sessions.create(req)

    def get_session(self, session_id: str) -> Session:
        """Fetch a session; as `sessions.get`."""
        return self._sessions.get(session_id)

    def list_sessions(self, agent_id: str | None = None) -> SessionList:
        """All sessions, or those of one agent's id; as `sessions.list`."""
        return self._sessions.list(agent_id)

    def close_session(self, session_id: str) -> Session:
        """Set a session's status to ``closed``; as `sessions.close`."""
        return self._sessions.close(session_id)

    def get_session_context(self, session_id: str, opts: ContextOptions | None = None) -> SessionContext:
        """Have the server write a session's memories as Markdown; as `sessions.context`."""
        return self._sessions.context(session_id, opts)

    def get_session_memories(self, session_id: str, opts: ListOptions | None = None) -> MemoryList:
        """Read a session's memories; as `sessions.memories`."""
        return self._sessions.memories(session_id, opts)

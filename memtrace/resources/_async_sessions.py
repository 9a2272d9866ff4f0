"""Sessions: what belongs together."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, overload

from memtrace import operations
from memtrace._runtime.workflows import listing
from memtrace._support.lazy_modules import LazyModule
from memtrace._support.peer_names import SESSIONS_NAMES, HintsAtNames
from memtrace.models import (
    Agent,
    ContextOptions,
    CreateSessionRequest,
    ListOptions,
    Memory,
    MemoryList,
    Session,
    SessionContext,
    SessionList,
    UpdateSessionRequest,
)
from memtrace.operations._coercion import coerce_request, session_request, with_tags_match
from memtrace.operations._validation import MAX_LIMIT
from memtrace.resources._async_active_session import AsyncActiveSession
from memtrace.resources._defaults import RESOURCES, Defaults
from memtrace.resources._keyword_hints import hinting_keywords
from memtrace.resources._signatures import keywords

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from memtrace import context as contexts
    from memtrace._runtime.dispatch import AsyncDispatcher
    from memtrace.models import TagsMatch
    from memtrace.resources.request_params import (
        ContextParams,
        CreateSessionParams,
        PromptContextParams,
        SessionMemoriesParams,
        SessionOfAgentParams,
        UpdateSessionParams,
    )
else:
    contexts = LazyModule("memtrace.context")


class AsyncSessions(HintsAtNames):
    """The sessions of the key's organisation; ``client.sessions``."""

    _peer_names = SESSIONS_NAMES

    def __init__(self, dispatcher: AsyncDispatcher, defaults: Defaults = RESOURCES) -> None:
        self._dispatcher = dispatcher
        self._tags_match: TagsMatch = defaults.tags_match

    @overload
    async def create(self, request: CreateSessionRequest) -> Session: ...
    @overload
    async def create(self, agent: str | Agent, /, **fields: Unpack[SessionOfAgentParams]) -> Session: ...
    @overload
    async def create(self, **fields: Unpack[CreateSessionParams]) -> Session: ...
    @keywords("CreateSessionParams")
    async def create(self, request: CreateSessionRequest | Agent | str | None = None, **fields: object) -> Session:
        """Create a session of a registered agent, given by its ID or as the agent itself.

        Args:
            request: The agent or its ID, or the whole request; or pass its fields as keyword
                arguments.
            **fields: The fields of `CreateSessionRequest`. `agent_id` is the agent's ID, not its
                name.

        Returns:
            The session, with its ID.

        Raises:
            InvalidRequestError: No agent has this ID (field ``agent_id``), or a field breaks a rule
                of the server.
        """
        return await self._dispatcher.send(operations.create_session(session_request(request, fields)))

    @overload
    def open(self, request: CreateSessionRequest) -> AsyncActiveSession: ...
    @overload
    def open(self, agent: str | Agent, /, **fields: Unpack[SessionOfAgentParams]) -> AsyncActiveSession: ...
    @overload
    def open(self, **fields: Unpack[CreateSessionParams]) -> AsyncActiveSession: ...
    @keywords("CreateSessionParams")
    def open(self, request: CreateSessionRequest | Agent | str | None = None, **fields: object) -> AsyncActiveSession:
        """Open a session for one ``with`` block: created when the block begins, closed when it ends.

        Args:
            request: The agent or its ID, or the whole request; or pass its fields as keyword
                arguments.
            **fields: The fields of `CreateSessionRequest`. `agent_id` is the agent's ID, not its
                name.

        Returns:
            The session, to be used in a ``with`` block.

        Raises:
            InvalidRequestError: A field breaks a rule of the server.
        """
        return AsyncActiveSession(self._dispatcher, session_request(request, fields))

    @hinting_keywords
    async def get(self, session_id: str) -> Session:
        """Fetch a session.

        Args:
            session_id: The session's ID.

        Returns:
            The session.

        Raises:
            NotFoundError: No session has this ID.
        """
        return await self._dispatcher.send(operations.get_session(session_id))

    @hinting_keywords
    async def list(self, agent_id: str | None = None) -> SessionList:
        """List the sessions of one agent, or all, newest first. The server has no pagination here.

        Args:
            agent_id: The agent's ID. Default: all agents.

        Returns:
            The sessions. It is a sequence of them.

        Raises:
            MemtraceError: The call failed.
        """
        return await self._dispatcher.send(operations.list_sessions(agent_id))

    @overload
    async def update(self, session_id: str, request: UpdateSessionRequest) -> Session: ...
    @overload
    async def update(self, session_id: str, **fields: Unpack[UpdateSessionParams]) -> Session: ...
    @keywords("UpdateSessionParams")
    async def update(self, session_id: str, request: UpdateSessionRequest | None = None, **fields: object) -> Session:
        """Change a session's status or metadata.

        Args:
            session_id: The session's ID.
            request: The changes; or pass their fields as keyword arguments.
            **fields: The fields of `UpdateSessionRequest`. None leaves a field as it is.
                ``metadata={}`` clears the metadata.

        Returns:
            The changed session.

        Raises:
            NotFoundError: No session has this ID.
            InvalidRequestError: A field breaks a rule of the server.
        """
        return await self._dispatcher.send(
            operations.update_session(session_id, coerce_request(UpdateSessionRequest, request, fields))
        )

    @hinting_keywords
    async def close(self, session_id: str) -> Session:
        """Set a session's status to ``closed``. Closing it again updates `closed_at`.

        Args:
            session_id: The session's ID.

        Returns:
            The closed session.

        Raises:
            NotFoundError: No session has this ID.
        """
        return await self._dispatcher.send(operations.close_session(session_id))

    @overload
    async def context(self, session_id: str, options: ContextOptions | None = None) -> SessionContext: ...
    @overload
    async def context(self, session_id: str, **fields: Unpack[ContextParams]) -> SessionContext: ...
    @keywords("ContextParams")
    async def context(self, session_id: str, options: ContextOptions | None = None, **fields: object) -> SessionContext:
        """Let the server render a session's memories as Markdown, of the last 24 hours by default.

        The server ignores `max_tokens`, reads 100 memories at most and cuts each at 80 bytes.
        `prompt_context` has none of these limits.

        Args:
            session_id: The session's ID.
            options: The time range; or pass its fields as keyword arguments.
            **fields: The fields of `ContextOptions`.

        Returns:
            The text. For an unknown session it has the heading only.

        Raises:
            InvalidRequestError: The server would silently read `since` as 24 hours.
        """
        chosen = coerce_request(ContextOptions, options, fields)
        return await self._dispatcher.send(
            operations.session_context(session_id, chosen, self._dispatcher.settings.clock)
        )

    @overload
    async def prompt_context(
        self, session_id: str, options: contexts.PromptContextOptions | None = None
    ) -> contexts.PromptContext: ...
    @overload
    async def prompt_context(
        self, session_id: str, **fields: Unpack[PromptContextParams]
    ) -> contexts.PromptContext: ...
    @keywords("PromptContextParams")
    async def prompt_context(
        self, session_id: str, options: contexts.PromptContextOptions | None = None, **fields: object
    ) -> contexts.PromptContext:
        """Render a session's memories for a prompt, in the client: complete, oldest first, marked as data.

        A token budget keeps newer and more important memories. As the session grows, the prefix
        stays stable for prompt caching for as long as possible. All of the session is read, 1000
        memories a request.

        Args:
            session_id: The session's ID. An unknown one has an empty context.
            options: The budget and the format; or pass their fields as keyword arguments.
            **fields: The fields of `PromptContextOptions`. With a `query` it renders the relevant
                memories.

        Returns:
            The text, and what it contains.

        Raises:
            InvalidRequestError: An argument is out of range. Nothing was sent.
        """
        from memtrace._runtime.workflows import prompt_context

        chosen = coerce_request(contexts.PromptContextOptions, options, fields)
        searching = self._dispatcher.searching
        return await self._dispatcher.run(prompt_context.session_prompt_context(session_id, chosen, searching))

    @overload
    async def memories(self, session_id: str, options: ListOptions | None = None) -> MemoryList: ...
    @overload
    async def memories(self, session_id: str, **fields: Unpack[SessionMemoriesParams]) -> MemoryList: ...
    @keywords("SessionMemoriesParams")
    async def memories(self, session_id: str, options: ListOptions | None = None, **fields: object) -> MemoryList:
        """Read a session's memories, newest first, of all times by default.

        Every filter works: the SDK uses the general route for those that the session's own route
        ignores. A tag matches as a whole, unless `tags_match` is ``substring``.

        Args:
            session_id: The session's ID.
            options: The filters; or pass their fields as keyword arguments.
            **fields: The fields of `ListOptions`.

        Returns:
            The memories; none for an unknown ID. It is a sequence of them.

        Raises:
            InvalidRequestError: A filter breaks a rule of the server.
        """
        chosen = with_tags_match(coerce_request(ListOptions, options, fields), self._tags_match)
        return await self._dispatcher.run(listing.session_memories(session_id, chosen, self._dispatcher.settings.clock))

    @overload
    def memories_iter(
        self, session_id: str, options: ListOptions | None = None, *, page_size: int = ...
    ) -> AsyncGenerator[Memory, None]: ...
    @overload
    def memories_iter(
        self, session_id: str, *, page_size: int = ..., **fields: Unpack[SessionMemoriesParams]
    ) -> AsyncGenerator[Memory, None]: ...
    @keywords("SessionMemoriesParams")
    def memories_iter(
        self,
        session_id: str,
        options: ListOptions | None = None,
        *,
        page_size: int = MAX_LIMIT,
        **fields: object,
    ) -> AsyncGenerator[Memory, None]:
        """Iterate over a session's memories, of all times by default, page by page.

        Args:
            session_id: The session's ID.
            options: The filters; or pass their fields as keyword arguments.
            page_size: How many memories one request reads, from 1 to 1000.
            **fields: The fields of `ListOptions`. `limit` is how many memories to return at most.
                Default: all.

        Returns:
            An iterator. It sends the first request when you ask for the first memory.

        Raises:
            InvalidRequestError: A filter breaks a rule of the server.
        """
        chosen = with_tags_match(coerce_request(ListOptions, options, fields, ("page_size",)), self._tags_match)
        clock = self._dispatcher.settings.clock
        return self._dispatcher.stream(listing.iter_session_memories(session_id, chosen, clock, page_size=page_size))

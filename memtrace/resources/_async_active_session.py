"""One session for the length of a ``with`` block."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, overload

from typing_extensions import Self, Unpack

from memtrace import operations
from memtrace._support.error_text import excerpt
from memtrace._support.lazy_modules import LazyModule
from memtrace.models import (
    ContextOptions,
    CreateSessionRequest,
    ListOptions,
    Memory,
    MemoryList,
    SessionContext,
)
from memtrace.operations._coercion import coerce_request, decision_memory, episodic_memory, with_tags_match
from memtrace.resources._defaults import RESOURCES
from memtrace.resources._opened_session import OpenedSession
from memtrace.resources._signatures import keywords
from memtrace.resources.request_params import (
    ContextParams,
    PromptContextParams,
    SessionDecideParams,
    SessionMemoriesParams,
    SessionRememberParams,
)

if TYPE_CHECKING:
    from memtrace import context as contexts
    from memtrace._runtime.dispatch import AsyncDispatcher
    from memtrace.operations import Dedup
else:
    contexts = LazyModule("memtrace.context")

_logger = logging.getLogger("memtrace")


class AsyncActiveSession(OpenedSession):
    """An open session. ``client.sessions.open(agent_id=...)`` creates it, and the end of its block closes it.

    Calls after the block still use the closed session, which the server accepts. An error inside
    the block is never replaced by a failure to close, which is logged.
    """

    def __init__(self, dispatcher: AsyncDispatcher, request: CreateSessionRequest) -> None:
        super().__init__(request)
        self._dispatcher = dispatcher
        self._dedup: Dedup = dispatcher.settings.dedup or RESOURCES.dedup

    async def __aenter__(self) -> Self:
        self._begin()
        self._session = await self._dispatcher.send(operations.create_session(self._request))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._session = await self._dispatcher.send_last(operations.close_session(self.id))
        except Exception as failure:
            if error is None:
                raise
            _logger.warning("session %s could not be closed: %s", excerpt(self.id), failure)

    @keywords("SessionRememberParams")
    async def remember(self, content: str, **fields: Unpack[SessionRememberParams]) -> Memory:
        """Store an episodic memory in this session.

        Args:
            content: The text to remember, not empty.
            **fields: Other fields of `AddMemoryRequest`, such as `tags`, `importance` and
                `event_type`.

        Returns:
            The stored memory.

        Raises:
            ConflictError: The memory is a duplicate: see `memories.add`.
            InvalidRequestError: A field breaks a rule of the server. Nothing was sent.
        """
        self._refuse(fields, "agent_id", "session_id")
        request = episodic_memory(self.agent_id, content, fields, self.id)
        return await self._dispatcher.send(operations.add_memory(request, self._dedup))

    @keywords("SessionDecideParams")
    async def decide(self, decision: str, reasoning: str, **fields: Unpack[SessionDecideParams]) -> Memory:
        """Store a decision and its reasoning in this session.

        Args:
            decision: The text of the decision, not empty.
            reasoning: Why. It is stored as ``metadata["reasoning"]``.
            **fields: Other fields of `AddMemoryRequest`, such as `tags`, `importance` and
                `metadata`, which must not contain ``reasoning``.

        Returns:
            The stored memory.

        Raises:
            ConflictError: The decision is a duplicate: see `memories.add`.
            InvalidRequestError: A field breaks a rule of the server. Nothing was sent.
        """
        self._refuse(fields, "agent_id", "session_id")
        request = decision_memory(self.agent_id, decision, reasoning, fields, self.id)
        return await self._dispatcher.send(operations.add_memory(request, self._dedup))

    @overload
    async def recall(
        self, options: ListOptions, *, memory_types: str | Sequence[str] | None = None, query: str | None = None
    ) -> MemoryList: ...
    @overload
    async def recall(
        self,
        *,
        memory_types: str | Sequence[str] | None = None,
        query: str | None = None,
        **fields: Unpack[SessionMemoriesParams],
    ) -> MemoryList: ...
    @keywords("SessionMemoriesParams")
    async def recall(
        self,
        options: ListOptions | None = None,
        *,
        memory_types: str | Sequence[str] | None = None,
        query: str | None = None,
        **fields: object,
    ) -> MemoryList:
        """Read this session's newest memories, of all times by default, or with a `query` the most relevant.

        Args:
            options: The filters; or pass their fields as keyword arguments.
            memory_types: Any of these types: a list, or a single string.
            query: What to look for, in plain words, as for `memories.search`.
            **fields: The fields of `ListOptions`. A tag matches as a whole, unless `tags_match` is
                ``substring``. `limit` is how many at most, from 1. Default: 100; with a `query`,
                10.

        Returns:
            The memories, newest first; with a `query`, the most relevant first.

        Raises:
            InvalidRequestError: A filter breaks a rule of the server, or `order` or `offset` is
                given with a `query`.
        """
        from memtrace._runtime.workflows.recalling import recall, session_reader

        self._refuse(fields, "session_id")
        chosen = coerce_request(ListOptions, options, fields, ("memory_types", "query"))
        own = with_tags_match(chosen, RESOURCES.tags_match).model_copy(update={"session_id": self.id})
        return await self._dispatcher.run(
            recall(own, memory_types, query, self._dispatcher.searching, session_reader(self.id))
        )

    @overload
    async def context(self, options: ContextOptions) -> SessionContext: ...
    @overload
    async def context(self, **fields: Unpack[ContextParams]) -> SessionContext: ...
    @keywords("ContextParams")
    async def context(self, options: ContextOptions | None = None, **fields: object) -> SessionContext:
        """Let the server render this session's memories as Markdown, of the last 24 hours by default.

        The server reads 100 memories at most and cuts each at 80 bytes. `prompt_context` has none
        of these limits.

        Args:
            options: The time range; or pass its fields as keyword arguments.
            **fields: The fields of `ContextOptions`.

        Returns:
            The text.

        Raises:
            InvalidRequestError: The server would silently read `since` as 24 hours.
        """
        chosen = coerce_request(ContextOptions, options, fields)
        return await self._dispatcher.send(operations.session_context(self.id, chosen, self._dispatcher.settings.clock))

    @overload
    async def prompt_context(self, options: contexts.PromptContextOptions) -> contexts.PromptContext: ...
    @overload
    async def prompt_context(self, **fields: Unpack[PromptContextParams]) -> contexts.PromptContext: ...
    @keywords("PromptContextParams")
    async def prompt_context(
        self, options: contexts.PromptContextOptions | None = None, **fields: object
    ) -> contexts.PromptContext:
        """Render this session's memories for a prompt, in the client: complete, oldest first, marked as data.

        Args:
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
        return await self._dispatcher.run(prompt_context.session_prompt_context(self.id, chosen, searching))

"""One session for the length of a ``with`` block."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, overload

from memtrace import operations
from memtrace._support.error_text import excerpt
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

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from memtrace._runtime.dispatch import AsyncDispatcher
    from memtrace.context import PromptContext, PromptContextOptions
    from memtrace.operations import Dedup
    from memtrace.resources.request_params import (
        ContextParams,
        PromptContextParams,
        SessionDecideParams,
        SessionMemoriesParams,
        SessionRememberParams,
    )

_logger = logging.getLogger("memtrace")


class AsyncActiveSession(OpenedSession):
    """A session that remembers; made by ``client.sessions.open(agent_id=...)``, closed at the end of its block.

    What is called after the block still goes to the session, closed as it is: the server does not mind.
    An error inside the block is never replaced by a failure to close: that one is logged.
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
        """Store an episodic memory in this session, with other fields of `AddMemoryRequest` as keywords. Raises as `memories.add` does."""
        self._refuse(fields, "agent_id", "session_id")
        request = episodic_memory(self.agent_id, content, fields, self.id)
        return await self._dispatcher.send(operations.add_memory(request, self._dedup))

    @keywords("SessionDecideParams")
    async def decide(self, decision: str, reasoning: str, **fields: Unpack[SessionDecideParams]) -> Memory:
        """Store a decision in this session, its reasoning under ``metadata["reasoning"]``. Raises as `memories.add` does."""
        self._refuse(fields, "agent_id", "session_id")
        request = decision_memory(self.agent_id, decision, reasoning, fields, self.id)
        return await self._dispatcher.send(operations.add_memory(request, self._dedup))

    @overload
    async def recall(
        self, options: ListOptions, *, memory_types: Sequence[str] | None = None, query: str | None = None
    ) -> MemoryList: ...
    @overload
    async def recall(
        self,
        *,
        memory_types: Sequence[str] | None = None,
        query: str | None = None,
        **fields: Unpack[SessionMemoriesParams],
    ) -> MemoryList: ...
    @keywords("SessionMemoriesParams")
    async def recall(
        self,
        options: ListOptions | None = None,
        *,
        memory_types: Sequence[str] | None = None,
        query: str | None = None,
        **fields: object,
    ) -> MemoryList:
        """Read this session's memories of all times, or with a `query` the most relevant; as `sessions.memories`.

        Args:
            options: What to read; or give its fields as keyword arguments.
            memory_types: Any of these types.
            query: What to look for, in plain words; as `memories.search`.
            **fields: The fields of `ListOptions`.

        Returns:
            The newest first, 100 unless `limit` says otherwise; with a `query` the most relevant first, 10.

        Raises:
            InvalidRequestError: A filter breaks a rule of the server, or `order` or `offset` is given with a `query`.
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
        """Have the server write this session's memories as Markdown; as `sessions.context`."""
        chosen = coerce_request(ContextOptions, options, fields)
        return await self._dispatcher.send(operations.session_context(self.id, chosen, self._dispatcher.settings.clock))

    @overload
    async def prompt_context(self, options: PromptContextOptions) -> PromptContext: ...
    @overload
    async def prompt_context(self, **fields: Unpack[PromptContextParams]) -> PromptContext: ...
    @keywords("PromptContextParams")
    async def prompt_context(self, options: PromptContextOptions | None = None, **fields: object) -> PromptContext:
        """Write this session's memories into a prompt, in the client; as `sessions.prompt_context`."""
        from memtrace._runtime.workflows import prompt_context
        from memtrace.context import PromptContextOptions

        chosen = coerce_request(PromptContextOptions, options, fields)
        searching = self._dispatcher.searching
        return await self._dispatcher.run(prompt_context.session_prompt_context(self.id, chosen, searching))

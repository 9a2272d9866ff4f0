"""One session for the length of a ``with`` block."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, overload

from memtrace import operations
from memtrace._runtime.workflows import listing as reading
from memtrace._support.event_loops import shielded
from memtrace.models import (
    AddMemoryRequest,
    ContextOptions,
    CreateSessionRequest,
    ListOptions,
    Memory,
    MemoryList,
    Session,
    SessionContext,
)
from memtrace.operations import _coercion as arguments
from memtrace.operations._coercion import coerce_request

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from memtrace._runtime.dispatch import AsyncDispatcher, Dispatcher
    from memtrace.context import PromptContext, PromptContextOptions
    from memtrace.resources.request_params import (
        ContextParams,
        PromptContextParams,
        RememberParams,
        SessionMemoriesParams,
    )

__all__ = ["ActiveSession", "AsyncActiveSession"]

_logger = logging.getLogger("memtrace")
_NOT_OPEN = "this session is not open yet: use it as 'with client.sessions.open(agent_id=...) as session:' (async with for AsyncMemtrace)"


class _Opened:
    """What both forms know: the request, and the session once it is created."""

    def __init__(self, request: CreateSessionRequest) -> None:
        self._request = request
        self._session: Session | None = None

    @property
    def session(self) -> Session:
        """The session as the server gave it when the block began. Raises `RuntimeError` before that."""
        if self._session is None:
            raise RuntimeError(_NOT_OPEN)
        return self._session

    @property
    def id(self) -> str:
        """The session's id."""
        return self.session.id

    @property
    def agent_id(self) -> str:
        """The id of the agent whose session it is."""
        return self._request.agent_id

    def _begin(self) -> None:
        if self._session is not None:
            raise RuntimeError("this session was opened before: call client.sessions.open(...) again for another")

    def _memory(self, content: str, fields: Mapping[str, object]) -> AddMemoryRequest:
        self._refuse(fields, "agent_id", "session_id")
        given = {"agent_id": self.agent_id, "session_id": self.id, "content": content, **fields}
        return coerce_request(AddMemoryRequest, None, given)

    @staticmethod
    def _refuse(fields: Mapping[str, object], *names: str) -> None:
        """A session's own ids are not for its caller to give."""
        for name in names:
            if name in fields:
                raise TypeError(f"unexpected keyword argument {name!r}: it is the open session's own")

    def __repr__(self) -> str:
        state = "not open" if self._session is None else self._session.id
        return f"<{type(self).__name__} {state} of {self.agent_id}>"


class ActiveSession(_Opened):
    """A session that remembers; made by ``client.sessions.open(agent_id=...)``, closed at the end of its block.

    What is called after the block still goes to the session, closed as it is: the server does not mind.
    An error inside the block is never replaced by a failure to close: that one is logged.
    """

    def __init__(self, dispatcher: Dispatcher, request: CreateSessionRequest) -> None:
        super().__init__(request)
        self._dispatcher = dispatcher

    def __enter__(self) -> Self:
        self._begin()
        self._session = self._dispatcher.send(operations.create_session(self._request))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._session = self._dispatcher.send(operations.close_session(self.id))
        except Exception as failure:
            if error is None:
                raise
            _logger.warning("session %s could not be closed: %s", self.id, failure)

    def remember(self, content: str, **fields: Unpack[RememberParams]) -> Memory:
        """Store an episodic memory in this session, with other fields of `AddMemoryRequest` as keywords. Raises as `memories.add` does."""
        request = self._memory(content, fields)
        return self._dispatcher.send(operations.add_memory(request, self._dispatcher.settings.dedup))

    def decide(self, decision: str, reasoning: str) -> Memory:
        """Store a decision in this session, its reasoning under ``metadata["reasoning"]``. Raises as `memories.add` does."""
        request = arguments.decision(self.agent_id, decision, reasoning).model_copy(update={"session_id": self.id})
        return self._dispatcher.send(operations.add_memory(request, self._dispatcher.settings.dedup))

    @overload
    def recall(self, options: ListOptions) -> MemoryList: ...
    @overload
    def recall(self, **fields: Unpack[SessionMemoriesParams]) -> MemoryList: ...
    def recall(self, options: ListOptions | None = None, **fields: object) -> MemoryList:
        """Read this session's memories of all times, newest first, 100 unless `limit` says otherwise; as `sessions.memories`."""
        self._refuse(fields, "session_id")
        chosen = coerce_request(ListOptions, options, fields)
        return self._dispatcher.run(reading.session_memories(self.id, chosen, self._dispatcher.settings.clock))

    @overload
    def context(self, options: ContextOptions) -> SessionContext: ...
    @overload
    def context(self, **fields: Unpack[ContextParams]) -> SessionContext: ...
    def context(self, options: ContextOptions | None = None, **fields: object) -> SessionContext:
        """Have the server write this session's memories as Markdown; as `sessions.context`."""
        chosen = coerce_request(ContextOptions, options, fields)
        return self._dispatcher.send(operations.session_context(self.id, chosen, self._dispatcher.settings.clock))

    @overload
    def prompt_context(self, options: PromptContextOptions) -> PromptContext: ...
    @overload
    def prompt_context(self, **fields: Unpack[PromptContextParams]) -> PromptContext: ...
    def prompt_context(self, options: PromptContextOptions | None = None, **fields: object) -> PromptContext:
        """Write this session's memories into a prompt, in the client; as `sessions.prompt_context`."""
        from memtrace._runtime.workflows import prompt_context as prompting
        from memtrace.context import PromptContextOptions

        chosen = coerce_request(PromptContextOptions, options, fields)
        clock = self._dispatcher.settings.clock
        return self._dispatcher.run(prompting.session_prompt_context(self.id, chosen, clock))


class AsyncActiveSession(_Opened):
    """A session that remembers; made by ``client.sessions.open(agent_id=...)``, closed at the end of its block.

    What is called after the block still goes to the session, closed as it is: the server does not mind.
    An error inside the block is never replaced by a failure to close: that one is logged.
    """

    def __init__(self, dispatcher: AsyncDispatcher, request: CreateSessionRequest) -> None:
        super().__init__(request)
        self._dispatcher = dispatcher

    async def __aenter__(self) -> Self:
        self._begin()
        self._session = await self._dispatcher.send(operations.create_session(self._request))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            with shielded():  # also when the block was cancelled, the session ends
                self._session = await self._dispatcher.send(operations.close_session(self.id))
        except Exception as failure:
            if error is None:
                raise
            _logger.warning("session %s could not be closed: %s", self.id, failure)

    async def remember(self, content: str, **fields: Unpack[RememberParams]) -> Memory:
        """Store an episodic memory in this session, with other fields of `AddMemoryRequest` as keywords. Raises as `memories.add` does."""
        request = self._memory(content, fields)
        return await self._dispatcher.send(operations.add_memory(request, self._dispatcher.settings.dedup))

    async def decide(self, decision: str, reasoning: str) -> Memory:
        """Store a decision in this session, its reasoning under ``metadata["reasoning"]``. Raises as `memories.add` does."""
        request = arguments.decision(self.agent_id, decision, reasoning).model_copy(update={"session_id": self.id})
        return await self._dispatcher.send(operations.add_memory(request, self._dispatcher.settings.dedup))

    @overload
    async def recall(self, options: ListOptions) -> MemoryList: ...
    @overload
    async def recall(self, **fields: Unpack[SessionMemoriesParams]) -> MemoryList: ...
    async def recall(self, options: ListOptions | None = None, **fields: object) -> MemoryList:
        """Read this session's memories of all times, newest first, 100 unless `limit` says otherwise; as `sessions.memories`."""
        self._refuse(fields, "session_id")
        chosen = coerce_request(ListOptions, options, fields)
        return await self._dispatcher.run(reading.session_memories(self.id, chosen, self._dispatcher.settings.clock))

    @overload
    async def context(self, options: ContextOptions) -> SessionContext: ...
    @overload
    async def context(self, **fields: Unpack[ContextParams]) -> SessionContext: ...
    async def context(self, options: ContextOptions | None = None, **fields: object) -> SessionContext:
        """Have the server write this session's memories as Markdown; as `sessions.context`."""
        chosen = coerce_request(ContextOptions, options, fields)
        return await self._dispatcher.send(operations.session_context(self.id, chosen, self._dispatcher.settings.clock))

    @overload
    async def prompt_context(self, options: PromptContextOptions) -> PromptContext: ...
    @overload
    async def prompt_context(self, **fields: Unpack[PromptContextParams]) -> PromptContext: ...
    async def prompt_context(self, options: PromptContextOptions | None = None, **fields: object) -> PromptContext:
        """Write this session's memories into a prompt, in the client; as `sessions.prompt_context`."""
        from memtrace._runtime.workflows import prompt_context as prompting
        from memtrace.context import PromptContextOptions

        chosen = coerce_request(PromptContextOptions, options, fields)
        clock = self._dispatcher.settings.clock
        return await self._dispatcher.run(prompting.session_prompt_context(self.id, chosen, clock))

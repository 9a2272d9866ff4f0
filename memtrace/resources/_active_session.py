# Generated from _async_active_session.py by scripts/unasync.py: change that file and run the script.
"""One session for the length of a ``with`` block."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import TYPE_CHECKING, overload

from typing_extensions import Self, Unpack

from memtrace import operations
from memtrace._runtime.workflows import listing
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
from memtrace.operations._coercion import coerce_request, decision_memory
from memtrace.resources._opened_session import OpenedSession
from memtrace.resources.request_params import (
    ContextParams,
    PromptContextParams,
    RememberParams,
    SessionMemoriesParams,
)

if TYPE_CHECKING:
    from memtrace import context as contexts
    from memtrace._runtime.dispatch import Dispatcher
else:
    contexts = LazyModule("memtrace.context")

_logger = logging.getLogger("memtrace")


class ActiveSession(OpenedSession):
    """An open session. ``client.sessions.open(agent_id=...)`` creates it, and the end of its block closes it.

    Calls after the block still use the closed session, which the server accepts. An error inside
    the block is never replaced by a failure to close, which is logged.
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
            self._session = self._dispatcher.send_last(operations.close_session(self.id))
        except Exception as failure:
            if error is None:
                raise
            _logger.warning("session %s could not be closed: %s", excerpt(self.id), failure)

    def remember(self, content: str, **fields: Unpack[RememberParams]) -> Memory:
        """Store an episodic memory in this session.

        Args:
            content: The text to remember, not empty.
            **fields: Other fields of `AddMemoryRequest`, such as `tags` and `importance`.

        Returns:
            The stored memory.

        Raises:
            ConflictError: The server has the same agent, event type and content from the last 24
                hours.
            InvalidRequestError: A field breaks a rule of the server. Nothing was sent.
        """
        request = self._memory(content, fields)
        return self._dispatcher.send(operations.add_memory(request, self._dispatcher.settings.dedup))

    def decide(self, decision: str, reasoning: str) -> Memory:
        """Store a decision and its reasoning in this session.

        Args:
            decision: The text of the decision, not empty.
            reasoning: Why. It is stored as ``metadata["reasoning"]``.

        Returns:
            The stored memory.

        Raises:
            ConflictError: The server has the same agent and decision from the last 24 hours.
            InvalidRequestError: A field breaks a rule of the server. Nothing was sent.
        """
        request = decision_memory(self.agent_id, decision, reasoning).model_copy(update={"session_id": self.id})
        return self._dispatcher.send(operations.add_memory(request, self._dispatcher.settings.dedup))

    @overload
    def recall(self, options: ListOptions) -> MemoryList: ...
    @overload
    def recall(self, **fields: Unpack[SessionMemoriesParams]) -> MemoryList: ...
    def recall(self, options: ListOptions | None = None, **fields: object) -> MemoryList:
        """Read this session's memories, newest first, of all times by default, 100 at most by default.

        Args:
            options: The filters; or pass their fields as keyword arguments.
            **fields: The fields of `ListOptions`.

        Returns:
            The memories, and whether more match.

        Raises:
            InvalidRequestError: A filter breaks a rule of the server.
        """
        self._refuse(fields, "session_id")
        chosen = coerce_request(ListOptions, options, fields)
        return self._dispatcher.run(listing.session_memories(self.id, chosen, self._dispatcher.settings.clock))

    @overload
    def context(self, options: ContextOptions) -> SessionContext: ...
    @overload
    def context(self, **fields: Unpack[ContextParams]) -> SessionContext: ...
    def context(self, options: ContextOptions | None = None, **fields: object) -> SessionContext:
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
        return self._dispatcher.send(operations.session_context(self.id, chosen, self._dispatcher.settings.clock))

    @overload
    def prompt_context(self, options: contexts.PromptContextOptions) -> contexts.PromptContext: ...
    @overload
    def prompt_context(self, **fields: Unpack[PromptContextParams]) -> contexts.PromptContext: ...
    def prompt_context(
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
        return self._dispatcher.run(prompt_context.session_prompt_context(self.id, chosen, searching))

# Generated from _async_sessions.py by scripts/unasync.py: change that file and run the script.
"""Sessions: what belongs together."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, overload

from memtrace import operations
from memtrace._runtime.workflows import listing
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
from memtrace.operations._peer_names import SESSIONS_NAMES, HintsAtNames
from memtrace.operations._validation import MAX_LIMIT
from memtrace.resources._active_session import ActiveSession
from memtrace.resources._defaults import RESOURCES, Defaults
from memtrace.resources._keyword_hints import hinting_keywords
from memtrace.resources._signatures import keywords

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from memtrace._runtime.dispatch import Dispatcher
    from memtrace.context import PromptContext, PromptContextOptions
    from memtrace.models import TagsMatch
    from memtrace.resources.request_params import (
        ContextParams,
        CreateSessionParams,
        PromptContextParams,
        SessionMemoriesParams,
        SessionOfAgentParams,
        UpdateSessionParams,
    )


class Sessions(HintsAtNames):
    """The sessions of the key's organisation; ``client.sessions``."""

    _peer_names = SESSIONS_NAMES

    def __init__(self, dispatcher: Dispatcher, defaults: Defaults = RESOURCES) -> None:
        self._dispatcher = dispatcher
        self._tags_match: TagsMatch = defaults.tags_match

    @overload
    def create(self, request: CreateSessionRequest) -> Session: ...
    @overload
    def create(self, agent: str | Agent, /, **fields: Unpack[SessionOfAgentParams]) -> Session: ...
    @overload
    def create(self, **fields: Unpack[CreateSessionParams]) -> Session: ...
    @keywords("CreateSessionParams")
    def create(self, request: CreateSessionRequest | Agent | str | None = None, **fields: object) -> Session:
        """Create a session of a registered agent, given by its id or as the agent itself.

        Raises `InvalidRequestError` (field ``agent_id``) when no agent has this id.
        """
        return self._dispatcher.send(operations.create_session(session_request(request, fields)))

    @overload
    def open(self, request: CreateSessionRequest) -> ActiveSession: ...
    @overload
    def open(self, agent: str | Agent, /, **fields: Unpack[SessionOfAgentParams]) -> ActiveSession: ...
    @overload
    def open(self, **fields: Unpack[CreateSessionParams]) -> ActiveSession: ...
    @keywords("CreateSessionParams")
    def open(self, request: CreateSessionRequest | Agent | str | None = None, **fields: object) -> ActiveSession:
        """A session for one ``with`` block: created when the block begins, closed when it ends.

        Its agent is given by its id, or as the registered agent itself.
        """
        return ActiveSession(self._dispatcher, session_request(request, fields))

    @hinting_keywords
    def get(self, session_id: str) -> Session:
        """Fetch a session. Raises `NotFoundError`."""
        return self._dispatcher.send(operations.get_session(session_id))

    @hinting_keywords
    def list(self, agent_id: str | None = None) -> SessionList:
        """All sessions, or those of one agent's id, newest first; the server has no pages here."""
        return self._dispatcher.send(operations.list_sessions(agent_id))

    @overload
    def update(self, session_id: str, request: UpdateSessionRequest) -> Session: ...
    @overload
    def update(self, session_id: str, **fields: Unpack[UpdateSessionParams]) -> Session: ...
    @keywords("UpdateSessionParams")
    def update(self, session_id: str, request: UpdateSessionRequest | None = None, **fields: object) -> Session:
        """Change a session's status or metadata; None leaves as it is, ``{}`` clears the metadata. Raises `NotFoundError`."""
        return self._dispatcher.send(
            operations.update_session(session_id, coerce_request(UpdateSessionRequest, request, fields))
        )

    @hinting_keywords
    def close(self, session_id: str) -> Session:
        """Set a session's status to ``closed``; closing it again moves `closed_at`. Raises `NotFoundError`."""
        return self._dispatcher.send(operations.close_session(session_id))

    @overload
    def context(self, session_id: str, options: ContextOptions | None = None) -> SessionContext: ...
    @overload
    def context(self, session_id: str, **fields: Unpack[ContextParams]) -> SessionContext: ...
    @keywords("ContextParams")
    def context(self, session_id: str, options: ContextOptions | None = None, **fields: object) -> SessionContext:
        """Have the server write a session's memories as Markdown, of the last 24 hours unless `since` says otherwise.

        This server ignores `max_tokens`, takes 100 memories at most and cuts each at 80 bytes; `prompt_context` does
        neither. An unknown session gives the heading alone. Raises `InvalidRequestError` for a `since` that would silently become 24 hours.
        """
        chosen = coerce_request(ContextOptions, options, fields)
        return self._dispatcher.send(operations.session_context(session_id, chosen, self._dispatcher.settings.clock))

    @overload
    def prompt_context(self, session_id: str, options: PromptContextOptions | None = None) -> PromptContext: ...
    @overload
    def prompt_context(self, session_id: str, **fields: Unpack[PromptContextParams]) -> PromptContext: ...
    @keywords("PromptContextParams")
    def prompt_context(
        self, session_id: str, options: PromptContextOptions | None = None, **fields: object
    ) -> PromptContext:
        """Write a session's memories into a prompt, in the client: each as a whole, oldest first, fenced as data.

        `max_tokens` bounds all of it; then newer and more important memories stay. As the session grows, the beginning stays
        the same for as long as it can. All of the session is read, 1000 memories a request; an unknown one gives an empty
        context. With a `query` it is the memories that are relevant to it, as `memories.prompt_context`. Raises `InvalidRequestError` for an argument out of bounds, before anything is sent.
        """
        from memtrace._runtime.workflows import prompt_context
        from memtrace.context import PromptContextOptions

        chosen = coerce_request(PromptContextOptions, options, fields)
        searching = self._dispatcher.searching
        return self._dispatcher.run(prompt_context.session_prompt_context(session_id, chosen, searching))

    @overload
    def memories(self, session_id: str, options: ListOptions | None = None) -> MemoryList: ...
    @overload
    def memories(self, session_id: str, **fields: Unpack[SessionMemoriesParams]) -> MemoryList: ...
    @keywords("SessionMemoriesParams")
    def memories(self, session_id: str, options: ListOptions | None = None, **fields: object) -> MemoryList:
        """Read a session's memories, of all times unless `since` says otherwise, newest first.

        Every option works: those that the session's own route ignores go to the general one. An unknown id gives an empty list.
        """
        chosen = with_tags_match(coerce_request(ListOptions, options, fields), self._tags_match)
        return self._dispatcher.run(listing.session_memories(session_id, chosen, self._dispatcher.settings.clock))

    @overload
    def memories_iter(
        self, session_id: str, options: ListOptions | None = None, *, page_size: int = ...
    ) -> Generator[Memory, None, None]: ...
    @overload
    def memories_iter(
        self, session_id: str, *, page_size: int = ..., **fields: Unpack[SessionMemoriesParams]
    ) -> Generator[Memory, None, None]: ...
    @keywords("SessionMemoriesParams")
    def memories_iter(
        self,
        session_id: str,
        options: ListOptions | None = None,
        *,
        page_size: int = MAX_LIMIT,
        **fields: object,
    ) -> Generator[Memory, None, None]:
        """Every memory of a session, of all times unless `since` says otherwise; as `memories.iter`."""
        chosen = with_tags_match(coerce_request(ListOptions, options, fields, ("page_size",)), self._tags_match)
        clock = self._dispatcher.settings.clock
        return self._dispatcher.stream(listing.iter_session_memories(session_id, chosen, clock, page_size=page_size))

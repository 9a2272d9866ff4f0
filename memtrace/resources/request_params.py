"""The fields of each request model as keyword arguments, for type checkers and editors."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, TypedDict

from typing_extensions import Required

from memtrace._support.lazy_modules import LazyModule
from memtrace.models import MemoryType, Order, TagsMatch, TimeBound

if TYPE_CHECKING:
    from memtrace import context
else:
    context = LazyModule("memtrace.context")

__all__ = [
    "AddMemoryParams",
    "AgentMemoriesParams",
    "ContextParams",
    "CreateSessionParams",
    "DecideParams",
    "FilterParams",
    "ListParams",
    "MemoryContextParams",
    "NamedAgentParams",
    "PromptContextParams",
    "RecallParams",
    "RegisterAgentParams",
    "RememberParams",
    "SessionDecideParams",
    "SessionMemoriesParams",
    "SessionOfAgentParams",
    "SessionRememberParams",
    "UpdateSessionParams",
]


class AddMemoryParams(TypedDict, total=False):
    """The fields of `AddMemoryRequest`."""

    agent_id: Required[str]
    session_id: str | None
    memory_type: MemoryType
    event_type: str
    content: Required[str]
    metadata: dict[str, Any] | None
    occurred_at: datetime | None
    tags: list[str] | None
    dedup_key: str | None
    importance: float | None
    parent_id: str | None


class _DetailParams(TypedDict, total=False):
    tags: list[str] | None
    importance: float | None
    metadata: dict[str, Any] | None
    occurred_at: datetime | None
    dedup_key: str | None
    parent_id: str | None


class SessionRememberParams(_DetailParams, total=False):
    """The fields of `AddMemoryRequest` that an open session's `remember` accepts, except the content."""

    event_type: str
    memory_type: MemoryType


class RememberParams(SessionRememberParams, total=False):
    """The fields of `AddMemoryRequest` that `remember` accepts, except the agent's ID and the content."""

    session_id: str | None


class SessionDecideParams(_DetailParams, total=False):
    """The fields of `AddMemoryRequest` that an open session's `decide` accepts, except the decision and the reasoning."""


class DecideParams(SessionDecideParams, total=False):
    """The fields of `AddMemoryRequest` that `decide` accepts, except the agent's ID, the decision and the reasoning."""

    session_id: str | None


class RecallParams(TypedDict, total=False):
    """The keyword arguments of `recall`, except the agent's ID and `since`."""

    until: TimeBound | None
    tags: str | list[str] | None
    tags_match: TagsMatch | None
    memory_types: str | list[str] | None
    limit: int | None
    query: str | None


class _ReadParams(TypedDict, total=False):
    memory_type: str | None
    event_type: str | None
    tags: str | list[str] | None
    tags_match: TagsMatch | None
    since: TimeBound | None
    until: TimeBound | None
    limit: int | None
    offset: int | None
    order: Order | None


class AgentMemoriesParams(_ReadParams, total=False):
    """The fields of `ListOptions`, except the agent's ID."""

    session_id: str | None


class SessionMemoriesParams(_ReadParams, total=False):
    """The fields of `ListOptions`, except the session's ID."""

    agent_id: str | None


class ListParams(_ReadParams, total=False):
    """The fields of `ListOptions`."""

    agent_id: str | None
    session_id: str | None


class FilterParams(TypedDict, total=False):
    """The fields of `SearchQuery`."""

    agent_id: str | None
    session_id: str | None
    memory_types: str | list[str] | None
    event_types: str | list[str] | None
    tags: str | list[str] | None
    tags_match: TagsMatch | None
    content_contains: str | None
    since: TimeBound | None
    until: TimeBound | None
    min_importance: float | None
    limit: int | None
    order: Order | None


class NamedAgentParams(TypedDict, total=False):
    """The fields of `RegisterAgentRequest`, except the name."""

    description: str | None
    config: dict[str, Any] | None


class RegisterAgentParams(NamedAgentParams, total=False):
    """The fields of `RegisterAgentRequest`."""

    name: Required[str]


class SessionOfAgentParams(TypedDict, total=False):
    """The fields of `CreateSessionRequest`, except the agent's ID."""

    metadata: dict[str, Any] | None


class CreateSessionParams(SessionOfAgentParams, total=False):
    """The fields of `CreateSessionRequest`."""

    agent_id: Required[str]


class UpdateSessionParams(TypedDict, total=False):
    """The fields of `UpdateSessionRequest`."""

    status: str | None
    metadata: dict[str, Any] | None


class ContextParams(TypedDict, total=False):
    """The fields of `ContextOptions`."""

    max_tokens: int | None
    include_types: str | list[str] | None
    since: TimeBound | None


class _ContextParams(TypedDict, total=False):
    recent: int
    stable_prefix: bool | None
    count_tokens: context.TokenCounter
    format: context.ContextFormat
    memory_types: str | list[str] | None
    event_types: str | list[str] | None
    tags: str | list[str] | None
    tags_match: TagsMatch
    min_importance: float | None
    since: TimeBound | None
    until: TimeBound | None
    metadata_keys: list[str]
    show_agents: bool
    explain: bool


class MemoryContextParams(_ContextParams, total=False):
    """The fields of `PromptContextOptions`, except the query and the budget."""


class PromptContextParams(_ContextParams, total=False):
    """The fields of `PromptContextOptions`."""

    query: str | None
    max_tokens: int | None

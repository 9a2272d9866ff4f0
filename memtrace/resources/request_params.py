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
    "FilterParams",
    "ListParams",
    "MemoryContextParams",
    "PromptContextParams",
    "RegisterAgentParams",
    "RememberParams",
    "SessionMemoriesParams",
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


class RememberParams(TypedDict, total=False):
    """The fields of `AddMemoryRequest` that a session's `remember` accepts."""

    memory_type: MemoryType
    event_type: str
    metadata: dict[str, Any] | None
    occurred_at: datetime | None
    tags: list[str] | None
    dedup_key: str | None
    importance: float | None
    parent_id: str | None


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
    memory_types: list[str] | None
    event_types: list[str] | None
    tags: str | list[str] | None
    tags_match: TagsMatch | None
    content_contains: str | None
    since: TimeBound | None
    until: TimeBound | None
    min_importance: float | None
    limit: int | None
    order: Order | None


class RegisterAgentParams(TypedDict, total=False):
    """The fields of `RegisterAgentRequest`."""

    name: Required[str]
    description: str | None
    config: dict[str, Any] | None


class CreateSessionParams(TypedDict, total=False):
    """The fields of `CreateSessionRequest`."""

    agent_id: Required[str]
    metadata: dict[str, Any] | None


class UpdateSessionParams(TypedDict, total=False):
    """The fields of `UpdateSessionRequest`."""

    status: str | None
    metadata: dict[str, Any] | None


class ContextParams(TypedDict, total=False):
    """The fields of `ContextOptions`."""

    max_tokens: int | None
    include_types: list[str] | None
    since: TimeBound | None


class _ContextParams(TypedDict, total=False):
    recent: int
    stable_prefix: bool | None
    count_tokens: context.TokenCounter
    format: context.ContextFormat
    memory_types: list[str] | None
    event_types: list[str] | None
    tags: str | list[str] | None
    tags_match: TagsMatch
    min_importance: float | None
    since: TimeBound | None
    until: TimeBound | None
    metadata_keys: list[str]
    show_agents: bool


class MemoryContextParams(_ContextParams, total=False):
    """The fields of `PromptContextOptions`, except the query and the budget."""


class PromptContextParams(_ContextParams, total=False):
    """The fields of `PromptContextOptions`."""

    query: str | None
    max_tokens: int | None

"""The Python SDK of Memtrace, a server that gives AI agents a memory.

``from memtrace import Memtrace, AsyncMemtrace``. Names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from memtrace._version import __version__

if TYPE_CHECKING:
    from memtrace.async_client import AsyncMemtrace
    from memtrace.client import Memtrace
    from memtrace.clock import Clock, SystemClock
    from memtrace.context import PromptContext, PromptContextOptions
    from memtrace.exceptions import (
        APIConnectionError,
        APIStatusError,
        APITimeoutError,
        AuthenticationError,
        BufferFullError,
        ClientClosedError,
        ConfigurationError,
        ConflictError,
        DeadlineExceededError,
        InvalidRequestError,
        MemtraceError,
        MemtraceWarning,
        MiddlewareError,
        NoArcInstanceError,
        NotFoundError,
        PayloadTooLargeError,
        RateLimitError,
        RequestInfo,
        ResponseDecodeError,
        ServerError,
        TransportError,
        TransportNotAvailableError,
    )
    from memtrace.integrations.notebook import view
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
        UpdateSessionRequest,
    )
    from memtrace.operations import RawResponse, RetryPolicy
    from memtrace.outcomes import BatchError, BatchProgress, BatchResult, BufferCounts, BufferDrainError, Outcome
    from memtrace.ranking import IndexStatus, SearchHit, SearchHits
    from memtrace.resources._active_session import ActiveSession
    from memtrace.resources._async_active_session import AsyncActiveSession
    from memtrace.resources._async_write_buffer import AsyncWriteBuffer
    from memtrace.resources._write_buffer import WriteBuffer
    from memtrace.transport import TransportOptions

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "ActiveSession",
    "AddMemoryRequest",
    "Agent",
    "AgentList",
    "AgentStats",
    "AsyncActiveSession",
    "AsyncMemtrace",
    "AsyncWriteBuffer",
    "AuthenticationError",
    "BatchError",
    "BatchProgress",
    "BatchResult",
    "BufferCounts",
    "BufferDrainError",
    "BufferFullError",
    "ClientClosedError",
    "Clock",
    "ConfigurationError",
    "ConflictError",
    "ContextOptions",
    "CreateSessionRequest",
    "DeadlineExceededError",
    "Health",
    "IndexStatus",
    "InvalidRequestError",
    "ListOptions",
    "Memory",
    "MemoryList",
    "Memtrace",
    "MemtraceError",
    "MemtraceWarning",
    "MiddlewareError",
    "NoArcInstanceError",
    "NotFoundError",
    "Outcome",
    "PayloadTooLargeError",
    "PromptContext",
    "PromptContextOptions",
    "RateLimitError",
    "RawResponse",
    "RegisterAgentRequest",
    "RequestInfo",
    "ResponseDecodeError",
    "RetryPolicy",
    "SearchHit",
    "SearchHits",
    "SearchQuery",
    "SearchResult",
    "ServerError",
    "Session",
    "SessionContext",
    "SessionList",
    "SystemClock",
    "TransportError",
    "TransportNotAvailableError",
    "TransportOptions",
    "UpdateSessionRequest",
    "WriteBuffer",
    "__version__",
    "view",
]

_ELSEWHERE = {
    "ActiveSession": "memtrace.resources._active_session",
    "AsyncActiveSession": "memtrace.resources._async_active_session",
    "AsyncMemtrace": "memtrace.async_client",
    "AsyncWriteBuffer": "memtrace.resources._async_write_buffer",
    "BatchError": "memtrace.outcomes",
    "BatchProgress": "memtrace.outcomes",
    "BatchResult": "memtrace.outcomes",
    "BufferCounts": "memtrace.outcomes",
    "BufferDrainError": "memtrace.outcomes",
    "Clock": "memtrace.clock",
    "IndexStatus": "memtrace.ranking",
    "Memtrace": "memtrace.client",
    "MemtraceWarning": "memtrace.exceptions",
    "Outcome": "memtrace.outcomes",
    "PromptContext": "memtrace.context",
    "PromptContextOptions": "memtrace.context",
    "RawResponse": "memtrace.operations",
    "RequestInfo": "memtrace.exceptions",
    "RetryPolicy": "memtrace.operations",
    "SearchHit": "memtrace.ranking",
    "SearchHits": "memtrace.ranking",
    "SystemClock": "memtrace.clock",
    "TransportOptions": "memtrace.transport",
    "WriteBuffer": "memtrace.resources._write_buffer",
    "view": "memtrace.integrations.notebook",
}
"""Public names that are neither errors of `exceptions` nor models."""

_PLACES = {
    name: _ELSEWHERE.get(name) or ("memtrace.exceptions" if name.endswith("Error") else "memtrace.models")
    for name in __all__
    if name != "__version__"
}
_SUBMODULES = frozenset(
    {
        "async_client",
        "client",
        "clock",
        "context",
        "exceptions",
        "integrations",
        "middleware",
        "models",
        "operations",
        "outcomes",
        "plugins",
        "ranking",
        "resources",
        "testing",
        "transport",
    }
)


def __getattr__(name: str) -> object:
    if name in _SUBMODULES:
        return importlib.import_module(f"memtrace.{name}")
    if name not in _PLACES:
        raise AttributeError(f"module 'memtrace' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_PLACES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})

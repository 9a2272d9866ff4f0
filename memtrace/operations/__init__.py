"""Each endpoint once: from arguments to an `Operation`, which knows what to send and how to read the response.

No I/O and no waiting happens here. Arguments that the server would refuse, cap or ignore raise `InvalidRequestError`.
"""

from __future__ import annotations

from memtrace.operations._endpoints import (
    AddedMemories,
    Operation,
    RejectedItem,
    add_memories,
    add_memory,
    agent_memories,
    agent_stats,
    close_session,
    create_session,
    delete_agent,
    get_agent,
    get_session,
    health,
    list_agents,
    list_memories,
    list_sessions,
    memory_body,
    ready,
    register_agent,
    response_parser,
    search_memories,
    session_context,
    session_memories,
    update_session,
)
from memtrace.operations._raw import (
    QueryValue,
    RawIdempotency,
    RawResponse,
)
from memtrace.operations._retry_policy import (
    Dedup,
    RetryPolicy,
    VerifyBeforeRetry,
)

__all__ = [
    "AddedMemories",
    "Dedup",
    "Operation",
    "QueryValue",
    "RawIdempotency",
    "RawResponse",
    "RejectedItem",
    "RetryPolicy",
    "VerifyBeforeRetry",
    "add_memories",
    "add_memory",
    "agent_memories",
    "agent_stats",
    "close_session",
    "create_session",
    "delete_agent",
    "get_agent",
    "get_session",
    "health",
    "list_agents",
    "list_memories",
    "list_sessions",
    "memory_body",
    "ready",
    "register_agent",
    "response_parser",
    "search_memories",
    "session_context",
    "session_memories",
    "update_session",
]

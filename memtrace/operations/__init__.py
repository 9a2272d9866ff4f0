"""Each endpoint once: from arguments to an `Operation`, which knows what to send and how to read the response.

No I/O and no waiting happens here. Arguments that the server would refuse, cap or ignore raise `InvalidRequestError`.
"""

# ruff: noqa: F403, F405 - each module has an __all__ of its own

from __future__ import annotations

from memtrace.operations._endpoints import *
from memtrace.operations._raw import *
from memtrace.operations._retry_policy import *

__all__ = [
    "MAX_BODY",
    "VERIFY_DELAY_AFTER_READ",
    "VERIFY_DELAY_BEFORE_READ",
    "AddedMemories",
    "Dedup",
    "Operation",
    "QueryValue",
    "RawIdempotency",
    "RawResponse",
    "RefusedItem",
    "RetryPolicy",
    "VerifyBeforeRetry",
    "add_memories",
    "add_memory",
    "agent_memories",
    "agent_stats",
    "check_body_size",
    "close_session",
    "create_session",
    "delete_agent",
    "for_agent",
    "for_session",
    "get_agent",
    "get_session",
    "health",
    "list_agents",
    "list_memories",
    "list_sessions",
    "memory_body",
    "non_empty",
    "raw_operation",
    "ready",
    "register_agent",
    "response_parser",
    "search_memories",
    "session_context",
    "session_memories",
    "update_session",
    "with_unique_key",
]

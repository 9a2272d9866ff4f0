"""The resources of a client: memories, agents and sessions, each for both clients."""

from __future__ import annotations

from memtrace.resources._active_session import ActiveSession
from memtrace.resources._agents import Agents
from memtrace.resources._async_active_session import AsyncActiveSession
from memtrace.resources._async_agents import AsyncAgents
from memtrace.resources._async_memories import AsyncMemories
from memtrace.resources._async_sessions import AsyncSessions
from memtrace.resources._memories import Memories
from memtrace.resources._sessions import Sessions

__all__ = [
    "ActiveSession",
    "Agents",
    "AsyncActiveSession",
    "AsyncAgents",
    "AsyncMemories",
    "AsyncSessions",
    "Memories",
    "Sessions",
]

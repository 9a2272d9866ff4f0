"""The resources of a client: memories, agents and sessions, each in a sync and an async form side by side."""

from __future__ import annotations

from memtrace.resources._active_session import ActiveSession, AsyncActiveSession
from memtrace.resources._agents import Agents, AsyncAgents
from memtrace.resources._memories import AsyncMemories, Memories
from memtrace.resources._sessions import AsyncSessions, Sessions

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

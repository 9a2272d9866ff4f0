"""Strands agents use Memtrace: a `MemoryStore` and a `SessionRepository`. Needs the extra ``strands``."""

from __future__ import annotations

try:
    import strands.memory
except ImportError as _missing:
    raise ImportError(
        "memtrace.integrations.strands needs the package strands-agents, 1.45 or newer; "
        'run: pip install "memtrace-sdk[strands]"'
    ) from _missing

from memtrace.integrations.strands._memory_store import MemtraceMemoryStore
from memtrace.integrations.strands._session_repository import MemtraceSessionRepository

__all__ = ["MemtraceMemoryStore", "MemtraceSessionRepository"]

del strands

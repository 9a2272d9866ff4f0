"""CrewAI keeps its memory in Memtrace: a `StorageBackend`. Needs the extra ``crewai``."""

from __future__ import annotations

try:
    import crewai.memory.storage.backend
except ImportError as _missing:
    raise ImportError(
        'memtrace.integrations.crewai needs the package crewai; run: pip install "memtrace-sdk[crewai]"'
    ) from _missing

from memtrace.integrations.crewai._storage import MemtraceStorage

__all__ = ["MemtraceStorage"]

del crewai

"""The harness of Pydantic AI keeps its memory files in Memtrace: a `MemoryStore`. Needs the extra ``pydantic-ai-harness``."""

from __future__ import annotations

try:
    import pydantic_ai_harness.memory
except ImportError as _missing:
    raise ImportError(
        "memtrace.integrations.pydantic_ai_harness needs the package pydantic-ai-harness, 0.20 or newer; "
        'run: pip install "memtrace-sdk[pydantic-ai-harness]"'
    ) from _missing

from memtrace.integrations.pydantic_ai_harness._memory_store import MemtraceMemoryStore

__all__ = ["MemtraceMemoryStore"]

del pydantic_ai_harness

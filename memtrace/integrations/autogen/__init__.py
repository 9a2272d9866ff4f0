"""AutoGen's agents remember with Memtrace: a `Memory` of autogen-core. Needs the extra ``autogen``."""

from __future__ import annotations

try:
    import autogen_core.memory
except ImportError as _missing:
    raise ImportError(
        'memtrace.integrations.autogen needs the package autogen-core; run: pip install "memtrace-sdk[autogen]"'
    ) from _missing

from memtrace.integrations.autogen._memory import MemtraceMemory, MemtraceMemoryConfig

__all__ = ["MemtraceMemory", "MemtraceMemoryConfig"]

del autogen_core

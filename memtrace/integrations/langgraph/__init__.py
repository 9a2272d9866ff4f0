"""LangGraph keeps its long-term memory in Memtrace: a `BaseStore`. Needs the extra ``langgraph``."""

from __future__ import annotations

try:
    import langgraph.store.base
except ImportError as _missing:
    raise ImportError(
        "memtrace.integrations.langgraph needs the package langgraph-checkpoint, which comes with langgraph; "
        'run: pip install "memtrace-sdk[langgraph]"'
    ) from _missing

from memtrace.integrations.langgraph._store import MemtraceStore

__all__ = ["MemtraceStore"]

del langgraph

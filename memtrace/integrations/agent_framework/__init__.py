"""Microsoft Agent Framework uses Memtrace: history and context providers. Needs the extra ``agent-framework``."""

from __future__ import annotations

try:
    import agent_framework
except ImportError as _missing:
    raise ImportError(
        "memtrace.integrations.agent_framework needs the package agent-framework-core; "
        'run: pip install "memtrace-sdk[agent-framework]"'
    ) from _missing

from memtrace.integrations.agent_framework._context_provider import MemtraceContextProvider
from memtrace.integrations.agent_framework._history_provider import MemtraceHistoryProvider

__all__ = ["MemtraceContextProvider", "MemtraceHistoryProvider"]

del agent_framework

"""Google's Agent Development Kit keeps its sessions and its long-term memory in Memtrace. Needs the extra ``google-adk``."""

from __future__ import annotations

try:
    import google.adk.errors._stale_session_error
except ImportError as _missing:
    raise ImportError(
        "memtrace.integrations.google_adk needs the package google-adk, version 2.10 or newer; "
        'run: pip install "memtrace-sdk[google-adk]"'
    ) from _missing

from memtrace.integrations.google_adk._memory_service import MemtraceMemoryService, agent_id_for
from memtrace.integrations.google_adk._session_service import MemtraceSessionService
from memtrace.integrations.google_adk._uris import (
    memory_service_from_uri,
    register_services,
    session_service_from_uri,
)

__all__ = [
    "MemtraceMemoryService",
    "MemtraceSessionService",
    "agent_id_for",
    "memory_service_from_uri",
    "register_services",
    "session_service_from_uri",
]

del google

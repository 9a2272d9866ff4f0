"""A Memtrace server in memory, for tests: it answers as the real one does, from the same process."""

from __future__ import annotations

from memtrace_transports.memory.clock import ManualClock
from memtrace_transports.memory.fake import FakeMemtrace
from memtrace_transports.memory.organisations import Organisation, StorageState, Visibility
from memtrace_transports.memory.transport import AsyncMemoryTransport, MemoryTransport

__all__ = [
    "AsyncMemoryTransport",
    "FakeMemtrace",
    "ManualClock",
    "MemoryTransport",
    "Organisation",
    "StorageState",
    "Visibility",
]

"""A Memtrace server in memory, for tests: it answers as the real one does, from the same process."""

from __future__ import annotations

from memtrace_transports.memory.call_log import CallLog, LoggedCall
from memtrace_transports.memory.clock import ManualClock
from memtrace_transports.memory.fake import FakeMemtrace, Snapshot
from memtrace_transports.memory.faults import Fault, FaultKind, FaultPlan
from memtrace_transports.memory.organisations import Organisation, StorageState, Visibility
from memtrace_transports.memory.strict import StrictModeError, StrictModeWarning
from memtrace_transports.memory.transport import AsyncMemoryTransport, MemoryTransport

__all__ = [
    "AsyncMemoryTransport",
    "CallLog",
    "FakeMemtrace",
    "Fault",
    "FaultKind",
    "FaultPlan",
    "LoggedCall",
    "ManualClock",
    "MemoryTransport",
    "Organisation",
    "Snapshot",
    "StorageState",
    "StrictModeError",
    "StrictModeWarning",
    "Visibility",
]

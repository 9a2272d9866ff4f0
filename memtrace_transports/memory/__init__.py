"""A Memtrace server in memory, for tests: it answers as the real one does, from the same process."""

from __future__ import annotations

from memtrace_transports._engine.organisations import StorageState, Visibility
from memtrace_transports.memory._clock import ManualClock
from memtrace_transports.memory._controls.call_log import CallLog, LoggedCall
from memtrace_transports.memory._controls.faults import Fault, FaultKind, FaultPlan
from memtrace_transports.memory._controls.strict import StrictModeError, StrictModeWarning
from memtrace_transports.memory._fake import AsyncMemoryTransport, FakeMemtrace, MemoryTransport, Snapshot
from memtrace_transports.memory._organisations import Organisation

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

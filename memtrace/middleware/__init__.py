"""The built-in middleware, one file a concern, and what is needed to write your own."""

from __future__ import annotations

from memtrace.middleware.auth import ApiKeyAuth
from memtrace.middleware.errors import raise_errors
from memtrace.middleware.logging import log_attempts
from memtrace.middleware.placement import Placed, Position, after, before, instead_of
from memtrace.middleware.retry import Retry
from memtrace.pipeline import CallNext, Flow, HeldLock, Middleware, call, lock, sleep
from memtrace.transport import CallContext, Headers, Request, Response, TransportError

__all__ = [
    "ApiKeyAuth",
    "CallContext",
    "CallNext",
    "Flow",
    "Headers",
    "HeldLock",
    "Middleware",
    "Placed",
    "Position",
    "Request",
    "Response",
    "Retry",
    "TransportError",
    "after",
    "before",
    "call",
    "instead_of",
    "lock",
    "log_attempts",
    "raise_errors",
    "sleep",
]

"""The built-in middleware, one file a concern, and what is needed to write your own."""

from __future__ import annotations

from memtrace._flow.composition import CallNext, Middleware
from memtrace._flow.effects import call, lock, sleep
from memtrace._support.locks import HeldLock
from memtrace.middleware._auth import ApiKeyAuth
from memtrace.middleware._errors import raise_errors
from memtrace.middleware._logging import log_attempts
from memtrace.middleware._placement import Placement, Position, Relation, after, before, replace
from memtrace.middleware._retry import Retry
from memtrace.transport import CallContext, Flow, Headers, Request, Response, TransportError

__all__ = [
    "ApiKeyAuth",
    "CallContext",
    "CallNext",
    "Flow",
    "Headers",
    "HeldLock",
    "Middleware",
    "Placement",
    "Position",
    "Relation",
    "Request",
    "Response",
    "Retry",
    "TransportError",
    "after",
    "before",
    "call",
    "lock",
    "log_attempts",
    "raise_errors",
    "replace",
    "sleep",
]

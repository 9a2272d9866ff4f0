"""The contract of whatever moves bytes: requests, responses, the two transport protocols, and their options.

A transport author needs this module and `memtrace.plugins.TransportSpec`. No type of an HTTP library appears here.
"""

from __future__ import annotations

from memtrace.exceptions import TransportCause, TransportError
from memtrace.transport._contract import (
    AsyncTransport,
    CallContext,
    Effect,
    Flow,
    Headers,
    Idempotency,
    Method,
    Recovery,
    RecoveryContext,
    Request,
    Response,
    Transport,
)
from memtrace.transport._header_rules import HEADER_NAME, HEADER_VALUE
from memtrace.transport._options import TransportOptions

__all__ = [
    "HEADER_NAME",
    "HEADER_VALUE",
    "AsyncTransport",
    "CallContext",
    "Effect",
    "Flow",
    "Headers",
    "Idempotency",
    "Method",
    "Recovery",
    "RecoveryContext",
    "Request",
    "Response",
    "Transport",
    "TransportCause",
    "TransportError",
    "TransportOptions",
]

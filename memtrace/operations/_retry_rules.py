"""What a failure means for retries: the one place that decides whether a call may be retried.

The retry middleware asks whether it may make another attempt. An error asks whether its caller may retry the call. Both
follow from one verdict on the failure and from the call's `Idempotency`.
"""

from __future__ import annotations

from typing import Literal

from memtrace.exceptions import MemtraceError, RateLimitError, ResponseDecodeError, ServerError, TransportError
from memtrace.operations._server_messages import is_storage_failure
from memtrace.transport import Idempotency

Verdict = Literal["final", "not_applied", "maybe_applied", "storage_failed", "server_failed"]
"""The state of a call after a failure.

``not_applied``: it surely did not reach the server's storage. ``maybe_applied``: it may have. ``storage_failed``: the server
says that its storage failed. ``server_failed``: a 500 of another kind, which may be an argument that the SDK does not know of.
``final``: the same call would fail again.
"""

_OF_A_STATUS: dict[int, Verdict] = {502: "maybe_applied", 503: "not_applied", 504: "maybe_applied"}


def verdict_of(error: MemtraceError) -> Verdict:
    """What a failure means, whatever the call.

    Args:
        error: Why an attempt failed: of the transport, of the status, or of a body that is not readable.
    """
    if isinstance(error, TransportError):
        if error.maybe_sent:
            return "maybe_applied"
        return "final" if error.permanent else "not_applied"
    if isinstance(error, ResponseDecodeError):
        return "maybe_applied"
    if isinstance(error, RateLimitError):
        return "not_applied"
    if not isinstance(error, ServerError):  # an organisation without storage, a bad argument, a bad key
        return "final"
    if error.status_code == 500:
        return "storage_failed" if is_storage_failure(error.message) else "server_failed"
    return _OF_A_STATUS.get(error.status_code, "final")


def is_permanent(error: MemtraceError | None) -> bool:
    """Whether the same request would fail in the same way again."""
    return isinstance(error, TransportError) and error.permanent


def is_repeatable(idempotency: Idempotency) -> bool:
    """Whether the call leaves the same state however often it is applied."""
    return idempotency in ("read", "idempotent")


def may_retry(verdict: Verdict, idempotency: Idempotency, *, is_recoverable: bool, permanent: bool = False) -> bool:
    """Whether the SDK may make another attempt of the same call by itself.

    Args:
        verdict: What the newest attempt came to.
        idempotency: What a repeat of the call does.
        is_recoverable: Whether the SDK can find out what a keyed write left behind, and so can tell a repeat from it.
        permanent: Whether the same request would get the same response, which cannot be used. A repeated write gets another.
    """
    if verdict == "maybe_applied":
        return (is_repeatable(idempotency) and not permanent) or (idempotency == "keyed" and is_recoverable)
    return verdict == "not_applied" or (verdict == "storage_failed" and idempotency == "read")


def is_retryable(verdict: Verdict, idempotency: Idempotency, *, maybe_applied: bool, permanent: bool = False) -> bool:
    """Whether the caller may simply make the same call again: it can succeed, and cannot store anything twice.

    Args:
        verdict: What the last attempt came to.
        idempotency: What a repeat of the call does.
        maybe_applied: Whether any attempt of the call may have been applied.
        permanent: Whether the same request would get the same response, which cannot be used.
    """
    if is_repeatable(idempotency):
        return verdict != "final" and not permanent
    return verdict == "not_applied" and not maybe_applied

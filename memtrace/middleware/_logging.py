"""Logging: one line an attempt, without keys and without contents."""

from __future__ import annotations

import logging

from memtrace._flow.composition import CallNext
from memtrace.middleware._errors import is_failure
from memtrace.transport import Flow, Request, Response, TransportError

_logger = logging.getLogger("memtrace")
_logger.addHandler(logging.NullHandler())  # an application that configures no logging is not written to


def log_attempts(request: Request, call_next: CallNext) -> Flow[Response]:
    """Log each attempt to the logger ``memtrace``: DEBUG, and WARNING for a failure.

    A 409 stays at DEBUG, since a duplicate is often expected. So does a status that the call
    accepts. Each record has the fields ``memtrace_operation``, ``memtrace_method``,
    ``memtrace_path``, ``memtrace_status`` (0 without a response), ``memtrace_attempt`` and
    ``memtrace_seconds``.

    Args:
        request: The request.
        call_next: Passes the request on.

    Yields:
        The effects of the other middleware.

    Raises:
        TransportError: No response was received. It is logged and re-raised.
    """
    started = request.context.clock.monotonic()
    try:
        response = yield from call_next(request)
    except TransportError as error:
        if _logger.isEnabledFor(logging.WARNING):
            _log(logging.WARNING, request, 0, error.cause, started)
        raise
    failed = response.status >= 300 and is_failure(response, request) and response.status != 409
    level = logging.WARNING if failed else logging.DEBUG
    if _logger.isEnabledFor(level):
        _log(level, request, response.status, str(response.status), started)
    return response


def _log(level: int, request: Request, status: int, outcome: str, started: float) -> None:
    seconds = request.context.clock.monotonic() - started
    attempt, path = request.context.attempt, request.redacted_path
    fields = {
        "memtrace_operation": request.operation,
        "memtrace_method": request.method,
        "memtrace_path": path,
        "memtrace_status": status,
        "memtrace_attempt": attempt,
        "memtrace_seconds": seconds,
    }
    _logger.log(
        level,
        "%s: %s %s -> %s in %.1f ms (attempt %d)",
        request.operation,
        request.method,
        path,
        outcome,
        seconds * 1000,
        attempt,
        extra=fields,
    )

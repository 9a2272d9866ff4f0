"""The effects that a flow may ask its driver for: wait, call a function, take a lock, send a request."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TypeVar, cast, overload

from memtrace._support.locks import HeldLock
from memtrace.exceptions import ClientClosedError, ConfigurationError, DeadlineExceededError, MemtraceError
from memtrace.transport import CallContext, Effect, Flow, Request, Response, TransportCause, TransportError

A = TypeVar("A")

# No dataclasses: making one takes half a millisecond, and the whole import about a hundred.


class SendEffect(Effect):
    __slots__ = ("request",)

    def __init__(self, request: Request) -> None:
        self.request = request


class SleepEffect(Effect):
    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class CallEffect(Effect):
    __slots__ = ("arguments", "function")

    def __init__(self, function: Callable[..., object], arguments: tuple[object, ...]) -> None:
        self.function = function
        self.arguments = arguments


class LockEffect(Effect):
    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


def sleep(seconds: float) -> Flow[None]:
    """Wait, by the client's clock.

    Write ``yield from sleep(0.5)``.

    Args:
        seconds: How long.

    Yields:
        The effect, which the client performs.
    """
    yield SleepEffect(seconds)


@overload
def call(function: Callable[..., Coroutine[object, object, A]], /, *arguments: object) -> Flow[A]: ...
@overload
def call(function: Callable[..., A], /, *arguments: object) -> Flow[A]: ...
def call(function: Callable[..., object], /, *arguments: object) -> Flow[object]:
    """Call a function that may block.

    Write ``token = yield from call(fetch_token, url)``. The sync client calls it directly. The
    async client runs a blocking function in a thread, with the caller's context variables, and
    awaits an async one.

    Args:
        function: The function. An async one works with the async client only.
        arguments: Its positional arguments.

    Yields:
        The effect, which the client performs. The flow returns what the function returns.

    Raises:
        MiddlewareError: The function is async and the client is not.
    """
    return (yield CallEffect(function, arguments))


def lock(name: str) -> Flow[HeldLock]:
    """Acquire a lock that threads or tasks of one client and its `with_options` copies share.

    A lock that is still held when the call ends is released then. Locks are not reentrant.

    Args:
        name: The lock's name.

    Yields:
        The effect, which the client performs. The flow returns the held lock, a context manager.

    Example:
        >>> def refresh() -> Flow[None]:
        ...     with (yield from lock("token")):
        ...         yield from sleep(1)

        A lock that is still held when the call ends is released then. Locks are not reentrant.
    """
    return cast("HeldLock", (yield LockEffect(name)))


def send(request: Request) -> Flow[Response]:
    """The innermost step: hands the request to the transport and records the attempt in its context."""
    context = request.context
    remaining = context.remaining()
    if remaining is not None:
        if remaining <= 0:
            raise deadline_passed("before an attempt could begin")
        if request.timeout is None or request.timeout > remaining:
            request = replace(request, timeout=remaining)
    context.attempt += 1
    context.sent_body = request.body
    try:
        response: object = yield SendEffect(request)
    except TransportError as error:
        failure = error
    except (ClientClosedError, ConfigurationError):  # a transport that is closed, or cannot be used, sends nothing
        raise
    except BaseException as error:  # a cancellation, an interrupt, a defect of the transport
        context.mark_maybe_applied()  # the request may be on its way
        context.state[_LET_OUT] = error
        if not isinstance(error, OSError) or not is_foreign(error, request):
            raise
        failure = foreign_failure(error, request)  # at once: how a connection failed is for retries to know
    else:
        return _checked_response(response, context)
    context.last_cause = failure
    if failure.maybe_sent:
        context.mark_maybe_applied()
    raise failure  # out here, where it has no context


def _checked_response(response: object, context: CallContext) -> Response:
    if not isinstance(response, Response):
        context.mark_maybe_applied()
        raise TypeError(f"the transport's send returned {type(response).__name__}, not a memtrace.transport.Response")
    if response.status < 300 or (response.status > 501 and response.status != 503):
        # What fails from here on fails after a success; and a proxy's 502 or 504 says nothing of the server behind it.
        context.mark_maybe_applied()
    return response


_LET_OUT = object()
"""The key of a context's note of the newest error that the transport raised and that is not a `TransportError`."""


def is_foreign(error: Exception, request: Request) -> bool:
    """Whether a transport raised this error against its contract, which allows only errors of the SDK.

    An assertion of a test's transport is raised unchanged, and so is an error that a test makes the fake raise.
    """
    if request.context.state.get(_LET_OUT) is not error or request.origin.startswith("memory:"):
        return False
    return not isinstance(error, (MemtraceError, AssertionError))


def foreign_failure(error: Exception, request: Request) -> TransportError:
    """The error for a foreign exception of a transport, which becomes its cause.

    The exception's text is not quoted, since a library's text may contain a header. Whether the request was sent is
    unknown.
    """
    cause: TransportCause = "protocol"
    if isinstance(error, TimeoutError) or type(error).__name__ == "TimeoutError":  # asyncio's own on Python 3.10
        cause = "timeout"
    elif isinstance(error, OSError):
        cause = "connect" if isinstance(error, ConnectionRefusedError) else "reset"
    known = f" ({os.strerror(error.errno)})" if isinstance(error, OSError) and type(error.errno) is int else ""
    failure = TransportError(
        f"the transport failed with {type(error).__name__}{known}: no response from {request.origin}",
        cause=cause,
        maybe_sent=True,
    )
    failure.__cause__ = error
    return failure


def deadline_passed(when: str) -> DeadlineExceededError:
    """The error for a deadline that passed `when`, without anything sent."""
    return DeadlineExceededError(
        f"the call's deadline passed {when}",
        cause="timeout",
        maybe_sent=False,
        hint="raise the deadline, or leave it out",
        argument="deadline",
    )

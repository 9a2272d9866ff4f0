"""The effects that a flow may ask its driver for: wait, call a function, take a lock, send a request."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TypeVar, cast, overload

from memtrace._support.locks import HeldLock
from memtrace.exceptions import ClientClosedError, DeadlineExceededError
from memtrace.transport import Effect, Flow, Request, Response, TransportError

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
    """Wait by the client's clock, in seconds.

    Write ``yield from sleep(0.5)``.
    """
    yield SleepEffect(seconds)


@overload
def call(function: Callable[..., Coroutine[object, object, A]], /, *arguments: object) -> Flow[A]: ...
@overload
def call(function: Callable[..., A], /, *arguments: object) -> Flow[A]: ...
def call(function: Callable[..., object], /, *arguments: object) -> Flow[object]:
    """Call a function where it may block.

    Write ``token = yield from call(fetch_token, url)``. The sync client calls it as it is. The async client runs a blocking function in a thread, with the caller's
    context variables, and awaits an async one; the sync client refuses an async one with `MiddlewareError`.
    """
    return (yield CallEffect(function, arguments))


def lock(name: str) -> Flow[HeldLock]:
    """Queue for the lock `name`; threads or tasks of one client and its `with_options` copies share it.

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
        context.last_cause = error
        if error.maybe_sent:
            context.mark_maybe_applied()
        raise
    except ClientClosedError:  # a transport that is closed sends nothing
        raise
    except BaseException:  # a cancellation, an interrupt, a defect of the transport: the request may be on its way
        context.mark_maybe_applied()
        raise
    if not isinstance(response, Response):
        raise TypeError(f"the transport's send returned {type(response).__name__}, not a memtrace.transport.Response")
    if response.status < 300 or (response.status > 501 and response.status != 503):
        # What fails from here on fails after a success; and a proxy's 502 or 504 says nothing of the server behind it.
        context.mark_maybe_applied()
    return response


def deadline_passed(when: str) -> DeadlineExceededError:
    """The error for a deadline that passed `when`, without anything sent."""
    return DeadlineExceededError(
        f"the call's deadline passed {when}",
        cause="timeout",
        maybe_sent=False,
        hint="raise the deadline, or leave it out",
        argument="deadline",
    )

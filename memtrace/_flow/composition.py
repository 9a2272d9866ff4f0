"""Middleware, and how it is composed into one handler around the transport."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import partial
from types import GeneratorType
from typing import Protocol, cast

from memtrace._flow.effects import send
from memtrace._support.error_text import qualified_name
from memtrace.exceptions import MiddlewareError
from memtrace.transport import Flow, Request, Response

Handler = Callable[[Request], Flow[Response]]


class CallNext(Protocol):
    """The next middleware, or the transport."""

    def __call__(self, request: Request, /) -> Flow[Response]:
        """Pass the request on: ``response = yield from call_next(request)``. Call it anew for each attempt.

        Args:
            request: The request, or a changed copy.

        Returns:
            A flow, whose result is the response.
        """
        ...


class Middleware(Protocol):
    """The interface of a middleware: a generator function, or a class with ``__call__``.

    Example:
        >>> def trace(request: Request, call_next: CallNext) -> Flow[Response]:
        ...     response = yield from call_next(request.with_header("x-trace", "1"))
        ...     return response
    """

    def __call__(self, request: Request, call_next: CallNext, /) -> Flow[Response]:
        """Handle one call, or one attempt, and return its response.

        A transport's failure is raised as a `TransportError` at ``yield from call_next(request)``.

        Args:
            request: The request.
            call_next: Passes the request on to the next middleware.

        Returns:
            A flow, whose result is the response. Write a generator that delegates with
            ``yield from``.
        """
        ...


def compose(middleware: Iterable[Middleware], is_trusted: Callable[[Middleware], bool] | None = None) -> Handler:
    """One handler out of `middleware`, the first outermost; innermost is the transport.

    What `is_trusted` vouches for is not watched in each call, which is a third of a link's cost; it takes ``call_next`` by name.
    """
    handler: Handler = send
    for link in reversed(tuple(middleware)):
        trusted = is_trusted is not None and is_trusted(link)
        handler = (
            partial(cast("Callable[..., Flow[Response]]", link), call_next=handler) if trusted else _link(link, handler)
        )
    return handler


def _link(middleware: Middleware, inner: Handler) -> Handler:
    name = qualified_name(middleware)

    def handler(request: Request) -> Flow[Response]:
        call_next = _CheckedCallNext(inner, name)
        flow = middleware(request, call_next)
        if not isinstance(flow, GeneratorType):
            raise _no_generator(flow, name)
        try:
            response: object = yield from flow
        finally:
            call_next.finished = True
        if not isinstance(response, Response):
            raise _no_response(response, name)
        if call_next.unused is not None:
            raise MiddlewareError(f"{name} called call_next(request) but did not run it. {WRITE_HINT}")
        return response

    return handler


WRITE_HINT = "Write: response = yield from call_next(request)"


class _CheckedCallNext:
    """`call_next` of one run of one middleware: checks that each result is used once, at once."""

    __slots__ = ("_inner", "finished", "name", "unused")

    def __init__(self, inner: Handler, name: str) -> None:
        self._inner = inner
        self.name = name
        self.finished = False
        self.unused: PendingNext | None = None

    def __call__(self, request: Request, /) -> Flow[Response]:
        if self.finished:
            raise MiddlewareError(f"{self.name} kept call_next and used it after it had returned. {WRITE_HINT}")
        if not isinstance(request, Request):
            raise MiddlewareError(f"{self.name} gave call_next a {type(request).__name__}, not a Request. {WRITE_HINT}")
        if self.unused is not None:
            raise MiddlewareError(f"{self.name} called call_next(request) twice and ran only one of them. {WRITE_HINT}")
        self.unused = PendingNext(self, request)
        return cast("Flow[Response]", self.unused)

    def start(self, one_shot: PendingNext, request: Request) -> Flow[Response]:
        if self.finished or self.unused is not one_shot:
            raise MiddlewareError(
                f"{self.name} used one result of call_next(request) twice. Call call_next(request) again to send once more. {WRITE_HINT}"
            )
        self.unused = None
        return self._inner(request)


class PendingNext:
    """What `call_next(request)` returns: good for one ``yield from``, and an explanation for anything else."""

    __slots__ = ("_call_next", "_request")

    def __init__(self, call_next: _CheckedCallNext, request: Request) -> None:
        self._call_next = call_next
        self._request = request

    @property
    def owner(self) -> str:
        """The name of the middleware that asked for it."""
        return self._call_next.name

    def __iter__(self) -> Flow[Response]:
        return self._call_next.start(self, self._request)

    def __await__(self) -> Flow[Response]:
        raise MiddlewareError(f"call_next(request) cannot be awaited. {WRITE_HINT}")


def _no_generator(result: object, name: str) -> MiddlewareError:
    if inspect.iscoroutine(result):
        result.close()
        return MiddlewareError(
            f"{name} is an async function; one generator function serves both clients. Use def, not async def. {WRITE_HINT}"
        )
    if inspect.isasyncgen(result):
        return MiddlewareError(
            f"{name} is an async generator; one generator function serves both clients. Use def, not async def. {WRITE_HINT}"
        )
    if isinstance(result, PendingNext):
        return MiddlewareError(f"{name} returned call_next(request) itself. {WRITE_HINT}; return response")
    return MiddlewareError(
        f"{name} is not a generator function: it returned {type(result).__name__}. {WRITE_HINT}; return response"
    )


def _no_response(result: object, name: str) -> MiddlewareError:
    if isinstance(result, (PendingNext, GeneratorType)):
        return MiddlewareError(f"{name} returned a flow that nobody ran. {WRITE_HINT}; return response")
    return MiddlewareError(f"{name} returned {type(result).__name__}, not a Response. End it with: return response")

"""How a call runs: flows, what they may ask for, how they are put together, and the two drivers.

A middleware is written once, as a generator, and serves both clients: a driver runs the generator, does what it
asks for (blocking or awaiting) and hands back the result or throws in the exception.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable
from contextlib import suppress
from dataclasses import replace
from types import GeneratorType
from typing import Generic, Protocol, TypeVar, cast, overload

from memtrace.event_loops import running_under_trio
from memtrace.exceptions import ClientClosedError, DeadlineExceededError, MiddlewareError
from memtrace.locks import HeldLock, Locks
from memtrace.transport import AsyncTransport, CallContext, Request, Response, Transport, TransportError

__all__ = [
    "CallContext",
    "CallNext",
    "Effect",
    "Flow",
    "Handler",
    "HeldLock",
    "Locks",
    "Middleware",
    "call",
    "compose",
    "drive",
    "drive_async",
    "lock",
    "sleep",
]

T = TypeVar("T")
A = TypeVar("A")


class Effect:
    """What a flow asks its driver for. Made by `sleep`, `call`, `lock` and by sending, never by hand."""

    __slots__ = ()


Flow = Generator[Effect, object, T]
"""A generator that yields effects and returns a `T`. Write ``yield from`` before every flow that you use."""

Handler = Callable[[Request], Flow[Response]]


class CallNext(Protocol):
    """The rest of the way, as a middleware sees it."""

    def __call__(self, request: Request, /) -> Flow[Response]:
        """Send `request` on. Use it once for each sending, at once: ``response = yield from call_next(request)``."""
        ...


class Middleware(Protocol):
    """Anything that can be called like this; a class with ``__call__`` or a generator function.

    >>> def trace(request: Request, call_next: CallNext) -> Flow[Response]:
    ...     response = yield from call_next(request.with_header("x-trace", "1"))
    ...     return response
    """

    def __call__(self, request: Request, call_next: CallNext, /) -> Flow[Response]:
        """Do something about one call, or one attempt, and return its response.

        A `TransportError` is thrown in at ``yield from call_next(request)``.
        """
        ...


# No dataclasses: making one takes half a millisecond, and the whole import about a hundred.


class _SendEffect(Effect):
    __slots__ = ("request",)

    def __init__(self, request: Request) -> None:
        self.request = request


class _SleepEffect(Effect):
    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class _CallEffect(Effect):
    __slots__ = ("arguments", "function")

    def __init__(self, function: Callable[..., object], arguments: tuple[object, ...]) -> None:
        self.function = function
        self.arguments = arguments


class _LockEffect(Effect):
    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


def sleep(seconds: float) -> Flow[None]:
    """Wait by the client's clock, in seconds.

    Write ``yield from sleep(0.5)``.
    """
    yield _SleepEffect(seconds)


@overload
def call(function: Callable[..., Coroutine[object, object, A]], /, *arguments: object) -> Flow[A]: ...
@overload
def call(function: Callable[..., A], /, *arguments: object) -> Flow[A]: ...
def call(function: Callable[..., object], /, *arguments: object) -> Flow[object]:
    """Call a function where it may block.

    Write ``token = yield from call(fetch_token, url)``. The sync client calls it as it is. The async client runs a blocking function in a thread, with the caller's
    context variables, and awaits an async one; the sync client refuses an async one with `MiddlewareError`.
    """
    return (yield _CallEffect(function, arguments))


def lock(name: str) -> Flow[HeldLock]:
    """Queue for the lock `name`; threads or tasks of one client and its `with_options` copies share it.

    >>> def refresh() -> Flow[None]:
    ...     with (yield from lock("token")):
    ...         yield from sleep(1)

    A lock that is still held when the call ends is released then. Locks are not reentrant.
    """
    return cast("HeldLock", (yield _LockEffect(name)))


# ---- composition ----------------------------------------------------------------------------------------------------


def compose(middleware: Iterable[Middleware], is_trusted: Callable[[Middleware], bool] | None = None) -> Handler:
    """One handler out of `middleware`, the first outermost; innermost is the transport.

    What `is_trusted` vouches for is not watched in each call: that is a third of a link's cost.
    """
    handler: Handler = _send
    for link in reversed(tuple(middleware)):
        trusted = is_trusted is not None and is_trusted(link)
        handler = _trusted_link(link, handler) if trusted else _link(link, handler)
    return handler


def _send(request: Request) -> Flow[Response]:
    """The innermost step: hands the request to the transport and keeps the books of the call."""
    context = request.context
    remaining = context.remaining()
    if remaining is not None:
        if remaining <= 0:
            raise _deadline_passed("before an attempt could begin")
        if request.timeout is None or request.timeout > remaining:
            request = replace(request, timeout=remaining)
    context.attempt += 1
    context.sent_body = request.body
    try:
        response: object = yield _SendEffect(request)
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


def _trusted_link(middleware: Middleware, inner: Handler) -> Handler:
    return lambda request: middleware(request, inner)


def _link(middleware: Middleware, inner: Handler) -> Handler:
    name = _name_of(middleware)

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
            raise MiddlewareError(f"{name} called call_next(request) but did not run it. {_WRITE}")
        return response

    return handler


_WRITE = "Write: response = yield from call_next(request)"


class _CheckedCallNext:
    """`call_next` of one run of one middleware: checks that each result is used once, at once."""

    __slots__ = ("_inner", "finished", "name", "unused")

    def __init__(self, inner: Handler, name: str) -> None:
        self._inner = inner
        self.name = name
        self.finished = False
        self.unused: _PendingNext | None = None

    def __call__(self, request: Request, /) -> Flow[Response]:
        if self.finished:
            raise MiddlewareError(f"{self.name} kept call_next and used it after it had returned. {_WRITE}")
        if not isinstance(request, Request):
            raise MiddlewareError(f"{self.name} gave call_next a {type(request).__name__}, not a Request. {_WRITE}")
        if self.unused is not None:
            raise MiddlewareError(f"{self.name} called call_next(request) twice and ran only one of them. {_WRITE}")
        self.unused = _PendingNext(self, request)
        return cast("Flow[Response]", self.unused)

    def start(self, one_shot: _PendingNext, request: Request) -> Flow[Response]:
        if self.finished or self.unused is not one_shot:
            raise MiddlewareError(
                f"{self.name} used one result of call_next(request) twice. Call call_next(request) again for another sending. {_WRITE}"
            )
        self.unused = None
        return self._inner(request)


class _PendingNext:
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
        raise MiddlewareError(f"call_next(request) cannot be awaited. {_WRITE}")


def _name_of(middleware: object) -> str:
    named = getattr(middleware, "__qualname__", None)
    return named if isinstance(named, str) else type(middleware).__qualname__


def _no_generator(result: object, name: str) -> MiddlewareError:
    if inspect.iscoroutine(result):
        result.close()
        return MiddlewareError(
            f"{name} is an async function; one generator function serves both clients. Use def, not async def. {_WRITE}"
        )
    if inspect.isasyncgen(result):
        return MiddlewareError(
            f"{name} is an async generator; one generator function serves both clients. Use def, not async def. {_WRITE}"
        )
    if isinstance(result, _PendingNext):
        return MiddlewareError(f"{name} returned call_next(request) itself. {_WRITE}; return response")
    return MiddlewareError(
        f"{name} is no generator function: it returned {type(result).__name__}. {_WRITE}; return response"
    )


def _no_response(result: object, name: str) -> MiddlewareError:
    if isinstance(result, (_PendingNext, GeneratorType)):
        return MiddlewareError(f"{name} returned a flow that nobody ran. {_WRITE}; return response")
    return MiddlewareError(f"{name} returned {type(result).__name__}, not a Response. End it with: return response")


# ---- drivers --------------------------------------------------------------------------------------------------------


def drive(flow: Flow[T], transport: Transport, locks: Locks, context: CallContext) -> T:
    """Run `flow` to its end, blocking; returns what it returns and raises what it raises."""
    run = _FlowRunner(flow)
    try:
        effect = run.resume(None)
        while effect is not _DONE:
            try:
                if isinstance(effect, _SendEffect):
                    result: object = transport.send(effect.request)
                elif isinstance(effect, _SleepEffect):
                    _check_wait(effect.seconds, context)
                    context.clock.sleep(effect.seconds)
                    result = None
                elif isinstance(effect, _CallEffect):
                    result = _call_blocking(effect)
                else:
                    taken = locks.thread_lock(_lock_name(effect))
                    _take(taken, context)
                    result = run.hold(taken.release)
            except BaseException as error:  # noqa: BLE001  # the flow decides, `_Run.throw` lets none vanish
                effect = run.throw(error)
            else:
                effect = run.resume(result)
        return run.value
    finally:
        run.close()


async def drive_async(flow: Flow[T], transport: AsyncTransport, locks: Locks, context: CallContext) -> T:
    """Run `flow` to its end, awaiting; returns what it returns and raises what it raises."""
    run = _FlowRunner(flow)
    try:
        effect = run.resume(None)
        while effect is not _DONE:
            try:
                if isinstance(effect, _SendEffect):
                    result: object = await transport.send(effect.request)
                elif isinstance(effect, _SleepEffect):
                    _check_wait(effect.seconds, context)
                    await context.clock.async_sleep(effect.seconds)
                    result = None
                elif isinstance(effect, _CallEffect):
                    result = await _before_deadline(_call_awaiting(effect), context)
                else:
                    taken = locks.task_lock(_lock_name(effect))
                    await _before_deadline(taken.acquire(), context, undo=taken.release)
                    result = run.hold(taken.release)
            except BaseException as error:  # noqa: BLE001  # the flow decides, `_Run.throw` lets none vanish
                effect = run.throw(error)
            else:
                effect = run.resume(result)
        return run.value
    finally:
        run.close()


def _deadline_passed(when: str) -> DeadlineExceededError:
    return DeadlineExceededError(
        f"the call's deadline passed {when}", cause="timeout", maybe_sent=False, hint="raise deadline=, or leave it out"
    )


def _check_wait(seconds: float, context: CallContext) -> None:
    """Refuse a wait that could only end after the deadline."""
    remaining = context.remaining()
    if remaining is not None and seconds >= remaining:
        raise _deadline_passed(f"before a wait of {seconds:.3g} s could end")


def _take(taken: threading.Lock, context: CallContext) -> None:
    remaining = context.remaining()
    if not taken.acquire(timeout=-1 if remaining is None else max(remaining, 0)):
        raise _deadline_passed("while it waited for a lock")


async def _before_deadline(waiting: Awaitable[A], context: CallContext, undo: Callable[[], None] | None = None) -> A:
    """What `waiting` gives, unless the deadline passes first. `undo` takes back what nobody will hear of."""
    remaining = context.remaining()
    if remaining is None:
        return await waiting
    if running_under_trio():
        import trio

        with trio.move_on_after(max(remaining, 0)):
            return await waiting
        raise _deadline_passed("while it waited")
    import asyncio

    task = asyncio.ensure_future(waiting)
    try:
        await asyncio.wait((task,), timeout=max(remaining, 0))
    except asyncio.CancelledError:
        if not task.cancel() and undo is not None:
            undo()
        raise
    if task.done():
        return task.result()
    task.cancel()
    raise _deadline_passed("while it waited")


_DONE = Effect()  # no None: a bare `yield` gives that


class _FlowRunner(Generic[T]):
    """One flow under way: resumes it, lets nothing be swallowed that must not be, and cleans up."""

    __slots__ = ("_flow", "_held", "value")

    value: T

    def __init__(self, flow: Flow[T]) -> None:
        self._flow = flow
        self._held: list[HeldLock] = []

    def resume(self, result: object) -> Effect:
        """The next effect, or `_DONE` when the flow has returned and `value` is set."""
        try:
            return self._flow.send(result)
        except StopIteration as stop:
            self.value = stop.value
            return _DONE

    def throw(self, error: BaseException) -> Effect:
        """Throw `error` in. What is no `Exception` (a cancellation, an interrupt) always comes out again."""
        if isinstance(error, Exception):
            try:
                return self._flow.throw(error)
            except StopIteration as stop:
                self.value = stop.value
                return _DONE
        try:
            self._flow.throw(error)
        except Exception as raised:  # noqa: BLE001  # whatever it is, the cancellation goes first
            raise error from (None if isinstance(raised, StopIteration) else raised)
        raise error

    def hold(self, release: Callable[[], None]) -> HeldLock:
        held = HeldLock(release)
        self._held.append(held)
        return held

    def close(self) -> None:
        """End the flow where it stands, in the context that it began in, and free its locks.

        A flow that stands somewhere still is one that something else ends: that comes out, and not what closing raises.
        """
        try:
            with suppress(Exception):
                self._flow.close()
        finally:
            for held in self._held:
                held.release()


def _lock_name(effect: Effect) -> str:
    if isinstance(effect, _LockEffect):
        return effect.name
    if isinstance(effect, _PendingNext):
        raise MiddlewareError(f"{effect.owner} wrote 'yield' where 'yield from' is due. {_WRITE}")
    raise MiddlewareError(
        f"a middleware yielded {type(effect).__name__}. Yield only through call_next, sleep, call and lock, always with 'yield from'"
    )


def _call_blocking(effect: _CallEffect) -> object:
    result = _call_guarded(effect)
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        name = _name_of(effect.function)
        raise MiddlewareError(
            f"call({name}) is async, and this client is not: give the middleware a blocking function, or use AsyncMemtrace"
        )
    return result


async def _call_awaiting(effect: _CallEffect) -> object:
    if inspect.iscoroutinefunction(effect.function):
        return await effect.function(*effect.arguments)
    if running_under_trio():
        import trio

        (result,) = await trio.to_thread.run_sync(_call_boxed, effect)
    else:
        import asyncio

        (result,) = await asyncio.to_thread(_call_boxed, effect)
    return await result if inspect.isawaitable(result) else result


def _call_boxed(effect: _CallEffect) -> tuple[object]:
    """In a thread; boxed, since trio refuses a coroutine, which a lambda or a callable object may give."""
    return (_call_guarded(effect),)


def _call_guarded(effect: _CallEffect) -> object:
    try:
        return effect.function(*effect.arguments)
    except StopIteration as error:  # a generator cannot let it through: PEP 479
        raise RuntimeError(f"call({_name_of(effect.function)}) raised StopIteration") from error

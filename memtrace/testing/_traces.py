"""What a middleware does with a call, written down step by step, under each of the drivers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import wait
from dataclasses import replace
from importlib.util import find_spec
from typing import Final, Literal, TypeVar

import pytest

from memtrace._flow.composition import Middleware, compose
from memtrace._flow.drivers import drive, drive_async
from memtrace._support.locks import Locks
from memtrace.testing._threads import in_thread
from memtrace.transport import CallContext, Request, Response, TransportError
from memtrace_transports.memory._clock import ManualClock

ResultT = TypeVar("ResultT")

Driver = Literal["blocking", "asyncio", "trio"]
DRIVERS: Final[tuple[Driver, ...]] = ("blocking", "asyncio", "trio") if find_spec("trio") else ("blocking", "asyncio")
"""The drivers that can run here."""

TraceStep = int | Callable[[], BaseException]
"""A status to answer with, or what makes the error to raise."""


class _Trace(list[str]):
    """A trace, and which headers' values do not belong into it."""

    def __init__(self, volatile: AbstractSet[str]) -> None:
        super().__init__()
        self.volatile = volatile


class _TracingClock(ManualClock):
    """Passes by sleeping, and writes that down."""

    __slots__ = ("_lines",)

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines

    def sleep(self, seconds: float) -> None:
        """Pass at once."""
        self._lines.append(f"sleep {seconds!r}")
        super().sleep(seconds)


class TracingTransport:
    """A transport that does one step for each request, and answers 200 from then on; it writes down what it gets."""

    def __init__(self, steps: Sequence[TraceStep], lines: list[str]) -> None:
        self._steps = list(steps)
        self._lines = lines

    def send(self, request: Request) -> Response:
        """Do the next step."""
        volatile = getattr(self._lines, "volatile", ())
        headers = sorted((name, "..." if name in volatile else value) for name, value in request.headers.items())
        self._lines.append(f"send {request.method} {request.url} {headers} {request.body!r} within {request.timeout}")
        step = self._steps.pop(0) if self._steps else 200
        if isinstance(step, int):
            return Response(step, body=b'{"error":"planted"}' if step >= 400 else b'{"n":%d}' % len(self._lines))
        raise step()

    def close(self) -> None:
        """Do nothing."""


class AsyncTracingTransport:
    """The same, awaiting."""

    def __init__(self, steps: Sequence[TraceStep], lines: list[str]) -> None:
        self._transport = TracingTransport(steps, lines)

    async def send(self, request: Request) -> Response:
        """Do the next step."""
        return self._transport.send(request)

    async def close(self) -> None:
        """Do nothing."""


def run(
    middleware: Middleware, request: Request, steps: Sequence[TraceStep], driver: Driver, lines: list[str]
) -> Response:
    """Make one call through `middleware`; what reaches the transport is added to `lines`."""
    handler = compose((middleware,))
    if driver == "blocking":
        return drive(handler(request), TracingTransport(steps, lines), Locks(), request.context)
    transport = AsyncTracingTransport(steps, lines)
    return _run_on(driver, lambda: drive_async(handler(request), transport, Locks(), request.context))


def _run_on(driver: Driver, function: Callable[[], Awaitable[Response]]) -> Response:
    if driver == "trio":
        import trio

        return trio.run(function)

    async def main() -> Response:
        return await function()

    return asyncio.run(main())


def within(seconds: float, function: Callable[[], ResultT]) -> ResultT:
    """What a function returns or raises; a failure of the test where it does not end within `seconds`."""
    __tracebackhide__ = True
    outcome = in_thread(function)
    wait((outcome,), seconds)
    if not outcome.done():
        pytest.fail(f"it did not end within {seconds:g} seconds: does it hold a lock, or loop, across a yield?")
    return outcome.result()


def trace(
    middleware: Middleware,
    request: Request,
    steps: Sequence[TraceStep],
    driver: Driver,
    volatile: AbstractSet[str] = frozenset(),
) -> list[str]:
    """Every request, every wait, and how it ended: the same for the same middleware under each driver.

    Randomness is seeded, and only waits advance the clock. The values of `volatile` headers are left out.
    """
    lines: list[str] = _Trace(volatile)
    context = CallContext(_TracingClock(lines), request.context.idempotency)
    random.seed(0)
    try:
        response = run(middleware, replace(request, context=context), steps, driver, lines)
    except TransportError as error:
        lines.append(f"raised {type(error).__name__} {error.message} {error.cause} {error.maybe_sent}")
    except Exception as error:  # noqa: BLE001  # whatever it is, it belongs to the trace
        lines.append(f"raised {type(error).__name__} {error}")
    else:
        lines.append(f"returned {response.status} {sorted(response.headers.items())} {response.body!r}")
    return lines

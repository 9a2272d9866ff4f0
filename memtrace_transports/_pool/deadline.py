"""An exchange on an event loop within a bound, broken off whole: asyncio and trio do that differently."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Coroutine

import anyio

from memtrace._support.event_loops import running_under_trio
from memtrace.transport import Response

__all__ = ["run_within", "start_scope"]


def start_scope(bound: float | None) -> anyio.CancelScope:
    """A scope that ends `bound` seconds from now."""
    return anyio.CancelScope(deadline=math.inf if bound is None else anyio.current_time() + bound)


async def run_within(scope: anyio.CancelScope, send: Callable[[], Coroutine[None, None, Response]]) -> Response:
    """Send, until the deadline of `scope` at most. Raises `TimeoutError`.

    A task that asyncio cancels breaks off httpcore's cleaning up too, and its connection stays taken for good. So there the
    exchange has a task of its own, which is only ever ended through its scope, as trio ends every task.
    """
    exchange = _within_scope(scope, send)
    return await exchange if running_under_trio() else await _in_own_task(asyncio.create_task(exchange), scope)


async def _within_scope(scope: anyio.CancelScope, send: Callable[[], Coroutine[None, None, Response]]) -> Response:
    with scope:
        return await send()
    raise TimeoutError


async def _in_own_task(exchange: asyncio.Task[Response], scope: anyio.CancelScope) -> Response:
    try:
        await asyncio.wait((exchange,))  # which leaves the task alone when it is cancelled
    except asyncio.CancelledError:
        scope.cancel()
        await _end(exchange)
        raise
    return exchange.result()


async def _end(exchange: asyncio.Task[Response]) -> None:
    """Wait until it has ended, however often the waiting is cancelled meanwhile."""
    with anyio.CancelScope(shield=True):  # a scope of the caller's would cancel the waiting again and again
        while not exchange.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait((exchange,))
    if not exchange.cancelled():
        exchange.exception()  # looked at, or asyncio complains that nobody did

"""An exchange on an event loop within a bound, broken off whole: asyncio and trio do that differently."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Coroutine
from typing import Any

import anyio

from memtrace._support.event_loops import running_under_trio
from memtrace.transport import Response


def start_scope(bound: float | None) -> anyio.CancelScope:
    """A scope that ends `bound` seconds from now."""
    return anyio.CancelScope(deadline=math.inf if bound is None else anyio.current_time() + bound)


async def run_within(scope: anyio.CancelScope, exchange: Coroutine[Any, Any, Response]) -> Response:
    """Run `exchange`, all of which happens within `scope`.

    On asyncio it runs in a new task, which ends only through its scope, like every task of trio.
    """
    # A task that asyncio cancels breaks off httpcore's cleaning up, and its connection stays taken for good:
    # https://github.com/encode/httpcore/issues/658
    if running_under_trio():
        return await exchange
    task = asyncio.create_task(exchange)
    try:
        await asyncio.wait((task,))  # which leaves the task alone when it is cancelled
    except asyncio.CancelledError:
        scope.cancel()
        await _end(task)
        raise
    return task.result()


async def _end(exchange: asyncio.Task[Response]) -> None:
    """Wait until it has ended, however often the waiting is cancelled meanwhile."""
    with anyio.CancelScope(shield=True):  # a scope of the caller's would cancel the waiting again and again
        while not exchange.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait((exchange,))
    if not exchange.cancelled():
        exchange.exception()  # looked at, or asyncio complains that nobody did

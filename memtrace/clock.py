"""Time as the SDK sees it: one small protocol, so that tests replace it without patching anything."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, runtime_checkable

__all__ = ["Clock", "SystemClock"]


@runtime_checkable
class Clock(Protocol):
    """What the SDK asks of time. Give your own as ``Memtrace(..., clock=...)``.

    The fake server takes the same object, so one clock moves a client and its fake together.
    """

    def monotonic(self) -> float:
        """Seconds that never go back, from an arbitrary start; for durations."""
        ...

    def wall(self) -> float:
        """Seconds since 1970-01-01T00:00:00Z; for timestamps."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait `seconds`, blocking the thread; zero or less returns at once."""
        ...

    async def async_sleep(self, seconds: float) -> None:
        """Wait `seconds` without blocking the event loop."""
        ...


class SystemClock:
    """The machine's own clock; sleeps under asyncio and under trio.

    >>> SystemClock().wall() > 1_700_000_000
    True
    """

    __slots__ = ()

    def monotonic(self) -> float:
        """Seconds from `time.monotonic`."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds from `time.time`."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait with `time.sleep`; zero or less returns at once."""
        if seconds > 0:
            time.sleep(seconds)

    async def async_sleep(self, seconds: float) -> None:
        """Wait with the running library's own sleep: asyncio's, else trio's."""
        if running_under_trio():
            import trio

            await trio.sleep(max(seconds, 0))
        else:
            await asyncio.sleep(max(seconds, 0))

    def __repr__(self) -> str:
        return "SystemClock()"


def running_under_trio() -> bool:
    """Whether the code that awaits runs on trio: then no asyncio loop is running here."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False


def running_loop() -> object:
    """What stands for the running event loop: it can be a weak key, and goes when the loop does."""
    if running_under_trio():
        import trio

        return trio.lowlevel.current_root_task()
    return asyncio.get_running_loop()


def has_ended(loop: object) -> bool:
    """Whether this is an event loop of asyncio that was closed: what hangs on it may keep it alive all the same."""
    return isinstance(loop, asyncio.AbstractEventLoop) and loop.is_closed()


def shielded() -> AbstractContextManager[object]:
    """A block whose awaiting goes on after the scope around it was cancelled; asyncio's own cancellation comes only once."""
    if running_under_trio():
        import trio

        return trio.CancelScope(shield=True)
    if "anyio" in sys.modules:
        import anyio

        return anyio.CancelScope(shield=True)
    return nullcontext()

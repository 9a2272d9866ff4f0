"""Time as the SDK sees it: one small protocol, so that tests replace it without patching anything."""

from __future__ import annotations

import time
from typing import Protocol, runtime_checkable

from memtrace._support.event_loops import running_under_trio

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
            import asyncio

            await asyncio.sleep(max(seconds, 0))

    def __repr__(self) -> str:
        return "SystemClock()"

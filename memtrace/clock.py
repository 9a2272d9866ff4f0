"""Time as the SDK sees it: one small protocol, so that tests replace it without patching anything."""

from __future__ import annotations

import time
from typing import Protocol, runtime_checkable

from memtrace._support.event_loops import running_under_trio

__all__ = ["Clock", "SystemClock"]


@runtime_checkable
class Clock(Protocol):
    """The interface of a clock. Pass your own as ``Memtrace(..., clock=...)``.

    The fake server accepts the same object, so that one clock controls a client and its fake.
    """

    def monotonic(self) -> float:
        """Measure durations.

        Returns:
            Seconds that never go back, from an arbitrary start.
        """
        ...

    def wall(self) -> float:
        """Tell the time of day.

        Returns:
            Seconds since ``1970-01-01T00:00:00Z``.
        """
        ...

    def sleep(self, seconds: float) -> None:
        """Wait, blocking the thread.

        Args:
            seconds: How long; zero or less returns at once.
        """
        ...

    async def async_sleep(self, seconds: float) -> None:
        """Wait without blocking the event loop.

        Args:
            seconds: How long; zero or less returns at once.
        """
        ...


class SystemClock:
    """The system clock. It sleeps under asyncio and under trio.

    Example:
        >>> SystemClock().wall() > 1_700_000_000
        True
    """

    __slots__ = ()

    def monotonic(self) -> float:
        """Measure durations with `time.monotonic`.

        Returns:
            Seconds that never go back, from an arbitrary start.
        """
        return time.monotonic()

    def wall(self) -> float:
        """Tell the time of day with `time.time`.

        Returns:
            Seconds since ``1970-01-01T00:00:00Z``.
        """
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait with `time.sleep`.

        Args:
            seconds: How long; zero or less returns at once.
        """
        if seconds > 0:
            time.sleep(seconds)

    async def async_sleep(self, seconds: float) -> None:
        """Wait with the sleep of the running library, asyncio or trio.

        Args:
            seconds: How long; zero or less returns at once.
        """
        if running_under_trio():
            import trio

            await trio.sleep(max(seconds, 0))
        else:
            import asyncio

            await asyncio.sleep(max(seconds, 0))

    def __repr__(self) -> str:
        return "SystemClock()"

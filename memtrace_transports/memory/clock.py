"""A clock that stands still until it is told to move."""

from __future__ import annotations

import threading

__all__ = ["ManualClock"]

_NANOSECONDS = 1_000_000_000


class ManualClock:
    """A `memtrace.clock.Clock` for tests: time passes by `advance`, and by sleeping on it, never by itself.

    Give the same one to a client and to its `FakeMemtrace`, and retries, timeouts and the fake's write buffer agree
    on the time. It may be used by many threads; it counts whole nanoseconds, so steps of 0.1 add up.

    >>> clock = ManualClock()
    >>> clock.advance(1.5)
    >>> clock.sleep(0.5)
    >>> clock.monotonic(), clock.wall()
    (2.0, 1767225602.0)
    """

    __slots__ = ("_elapsed", "_lock", "_start")

    def __init__(self, start: float = 1_767_225_600.0) -> None:
        """Begin at `start`, in seconds since 1970-01-01T00:00:00Z; by default 2026-01-01T00:00:00Z."""
        self._start = round(start * _NANOSECONDS)
        self._elapsed = 0
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        """Seconds that this clock has moved since it was made."""
        with self._lock:
            return self._elapsed / _NANOSECONDS

    def wall(self) -> float:
        """Seconds since 1970-01-01T00:00:00Z."""
        with self._lock:
            return (self._start + self._elapsed) / _NANOSECONDS

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass. Raises ValueError when they are negative: a clock never goes back."""
        if not seconds >= 0:
            raise ValueError(f"a clock cannot go back: advance({seconds!r})")
        with self._lock:
            self._elapsed += round(seconds * _NANOSECONDS)

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass at once, without waiting; zero or less does nothing."""
        if seconds > 0:
            self.advance(seconds)

    async def async_sleep(self, seconds: float) -> None:
        """Let `seconds` pass at once, without waiting; zero or less does nothing."""
        self.sleep(seconds)

    def __repr__(self) -> str:
        return f"<ManualClock, {self.monotonic()} s since {self._start / _NANOSECONDS}>"

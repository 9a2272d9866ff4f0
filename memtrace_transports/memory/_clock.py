"""A clock that does not move until it is advanced."""

from __future__ import annotations

import threading
from typing import TypeGuard

_NANOSECONDS = 1_000_000_000
_YEAR = 365.25 * 86_400
_LONGEST = 10 * _YEAR
_LAST_MOMENT = 3030 * _YEAR


def is_span(value: object) -> TypeGuard[float]:
    """Whether it is a number of seconds, from 0 to 10 years, as a fault or a control route may ask for.

    >>> is_span(0.5), is_span(-1), is_span(True), is_span("1")
    (True, False, False, False)
    """
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < _LONGEST


class ManualClock:
    """Control time in tests: it passes by `advance` and by sleeping on the clock, never by itself.

    Give the same clock to a client and to its `FakeMemtrace`. Then retries, timeouts and the fake's
    write buffer agree on the time. Any thread may use it. It counts whole nanoseconds, so steps of
    0.1 add up.

    Args:
        start: The time at the beginning, in seconds since 1970-01-01T00:00:00Z. Default:
            2026-01-01.

    Example:
        >>> clock = ManualClock()
        >>> clock.advance(1.5)
        >>> clock.sleep(0.5)
        >>> clock.monotonic(), clock.wall()
        (2.0, 1767225602.0)
    """

    __slots__ = ("_elapsed", "_lock", "_start")

    def __init__(self, start: float = 1_767_225_600.0) -> None:
        """Begin at `start`, in seconds since 1970-01-01T00:00:00Z; by default 2026-01-01T00:00:00Z.

        Raises ValueError for a start after the year 5000.
        """
        if not start <= _LAST_MOMENT:
            raise ValueError(f"a clock starts before the year 5000: ManualClock({start!r})")
        self._start = round(start * _NANOSECONDS)
        self._elapsed = 0
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        """Measure durations.

        Returns:
            Seconds that this clock has moved since its creation.
        """
        with self._lock:
            return self._elapsed / _NANOSECONDS

    def wall(self) -> float:
        """Tell the time of day.

        Returns:
            Seconds since ``1970-01-01T00:00:00Z``.
        """
        with self._lock:
            return (self._start + self._elapsed) / _NANOSECONDS

    def advance(self, seconds: float) -> None:
        """Let time pass.

        Args:
            seconds: How long, 0 or more.

        Raises:
            ValueError: `seconds` is negative, or leads beyond the year 5000.
        """
        if not seconds >= 0:
            raise ValueError(f"a clock cannot go back: advance({seconds!r})")
        with self._lock:
            if seconds > _LAST_MOMENT - (self._start + self._elapsed) / _NANOSECONDS:
                raise ValueError(f"the clock goes no further than the year 5000: advance({seconds!r})")
            self._elapsed += round(seconds * _NANOSECONDS)

    def sleep(self, seconds: float) -> None:
        """Let time pass at once, without waiting.

        Args:
            seconds: How long; zero or less does nothing.
        """
        if seconds > 0:
            self.advance(seconds)

    async def async_sleep(self, seconds: float) -> None:
        """Let time pass at once, without waiting.

        Args:
            seconds: How long; zero or less does nothing.
        """
        self.sleep(seconds)

    def __repr__(self) -> str:
        return f"<ManualClock, {self.monotonic()} s since {self._start / _NANOSECONDS}>"

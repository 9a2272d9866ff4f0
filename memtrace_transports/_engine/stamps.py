"""A reading of the server's clock: whole microseconds, and a unique time for everything that is stored."""

from __future__ import annotations

from typing import NamedTuple

from memtrace.clock import Clock
from memtrace_transports._engine.timestamps import SECOND, rfc3339

_TAIL_STEP = 389


class Stamp(NamedTuple):
    """A time at which something was stored, with the nanoseconds that only some answers show."""

    microseconds: int
    nanoseconds: int

    def text(self) -> str:
        """The time with all its digits."""
        return rfc3339(self.microseconds, self.nanoseconds)

    def whole_seconds(self) -> str:
        """The time without its fraction."""
        return rfc3339(self.microseconds - self.microseconds % SECOND)


class Stamps:
    """Times for one server. Its lock is held around every call, so that stamps come in the order of requests."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._last = Stamp(0, 0)
        #: `elapsed` when the server began, in microseconds.
        self.started: int = self.elapsed()

    def now(self) -> int:
        """Microseconds since 1970."""
        return round(self.clock.wall() * SECOND)

    def elapsed(self) -> int:
        """Microseconds of the clock that never goes back."""
        return round(self.clock.monotonic() * SECOND)

    def stamp(self, *, after: int = 0) -> Stamp:
        """The time now, at least a microsecond after the last stamp and after `after`, whatever the clock says.

        The nanoseconds are made up, as no clock here has them: the server's answers do show them.
        """
        tail = (self._last.nanoseconds + _TAIL_STEP) % 1000
        self._last = Stamp(max(self.now(), self._last.microseconds + 1, after + 1), tail)
        return self._last

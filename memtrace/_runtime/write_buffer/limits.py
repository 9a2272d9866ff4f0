"""How much a write buffer holds, how long, and what happens when there is no room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from memtrace._support.numbers import is_int, is_non_negative_seconds
from memtrace.clock import Clock, SystemClock
from memtrace.exceptions import ConfigurationError
from memtrace.operations._validation import BATCH_SIZE
from memtrace.outcomes import OnFull


@dataclass(frozen=True, slots=True)
class BufferLimits:
    """The settings of one buffer; times in seconds by the client's clock. Raises `ConfigurationError`.

    >>> BufferLimits(max_items=500)
    Traceback (most recent call last):
    memtrace.exceptions.ConfigurationError: max_items must be a whole number from 1 to 100 (docs: https://github.com/Basekick-Labs/memtrace/blob/main/sdks/python/docs/errors/configuration.md)
    """

    #: A request is sent when so many wait, and holds no more.
    max_items: int = BATCH_SIZE
    #: A request is sent when the oldest that waits was accepted so long ago.
    flush_interval: float = 1.0
    #: How many are held at most, waiting and under way.
    max_pending: int = 10_000
    on_full: OnFull = "block"
    #: How long `add` waits for room at most; None is without bound.
    max_block: float | None = None
    #: How long closing waits for what is pending.
    drain_timeout: float = 30.0

    def __post_init__(self) -> None:
        if not is_int(self.max_items) or not 1 <= self.max_items <= BATCH_SIZE:
            raise ConfigurationError(f"max_items must be a whole number from 1 to {BATCH_SIZE}", argument="max_items")
        if not is_int(self.max_pending) or self.max_pending < 1:
            raise ConfigurationError("max_pending must be a whole number of 1 or more", argument="max_pending")
        for name in ("flush_interval", "drain_timeout"):
            if not is_non_negative_seconds(getattr(self, name)):
                raise ConfigurationError(f"{name} must be a number of seconds, 0 or more", argument=name)
        if self.max_block is not None and not is_non_negative_seconds(self.max_block):
            raise ConfigurationError("max_block must be None or a number of seconds, 0 or more", argument="max_block")
        if self.on_full not in get_args(OnFull):
            raise ConfigurationError(f"on_full must be one of {', '.join(get_args(OnFull))}", argument="on_full")


_LONGEST = 3600.0
_LOOK = 0.01


def seconds_until(clock: Clock, until: float | None) -> float | None:
    """Real seconds to wait before looking at `clock` again, for `until` to come by it; None is without bound.

    Time that a test moves makes no noise: another clock than the machine's is looked at every 0.01 s.

    >>> seconds_until(SystemClock(), None) is None
    True
    """
    if until is None:
        return None
    left = max(until - clock.monotonic(), 0.0)
    return min(left, _LONGEST if isinstance(clock, SystemClock) else _LOOK)

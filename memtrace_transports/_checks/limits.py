"""The bounds of the transports on HTTP libraries: what holds where an option says nothing, and the time of each phase."""

from __future__ import annotations

import traceback

from memtrace.transport import TransportOptions

__all__ = ["came_out_of", "keepalive_seconds", "max_connections", "shortest"]

_CONNECTIONS = 100
_KEPT_SECONDS = 30.0


def max_connections(options: TransportOptions) -> int:
    """Connections at once."""
    return options.max_connections or _CONNECTIONS


def keepalive_seconds(options: TransportOptions) -> float:
    """Seconds that an idle connection is kept."""
    return options.keepalive_expiry or _KEPT_SECONDS


def shortest(*seconds: float | None) -> float | None:
    """The shortest of these; None, which is no bound, only where none of them is one.

    >>> shortest(None, 2.0, 0.5), shortest(None, None)
    (0.5, None)
    """
    return min((each for each in seconds if each is not None), default=None)


def came_out_of(error: BaseException | None, package: str, function: str) -> bool:
    """Whether `error` came out of this function of a package: that is where an exchange stood when its bound passed."""
    frames = [frame for frame, _ in traceback.walk_tb(None if error is None else error.__traceback__)]
    return any(
        frame.f_code.co_name == function and f"{frame.f_globals.get('__name__')}.".startswith(f"{package}.")
        for frame in frames
    )

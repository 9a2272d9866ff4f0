"""The bounds of the transports on HTTP libraries: what holds where an option says nothing, and the time of each phase."""

from __future__ import annotations

import traceback

from memtrace._support.threads import is_refused_thread
from memtrace.transport import TransportOptions

_CONNECTIONS = 100
_KEPT_SECONDS = 30.0


def max_connections(options: TransportOptions) -> int:
    """Connections at once."""
    return options.max_connections or _CONNECTIONS


def keepalive_seconds(options: TransportOptions) -> float:
    """Seconds that an idle connection is kept."""
    return options.keepalive_expiry or _KEPT_SECONDS


def shortest(first: float | None, second: float | None) -> float | None:
    """The shorter of two times; None, which is no limit, only where both are None.

    >>> shortest(2.0, 0.5), shortest(None, 2.0), shortest(None, None)
    (0.5, 2.0, None)
    """
    if first is None or second is None:
        return second if first is None else first
    return min(first, second)


def is_refused_lookup(error: Exception) -> bool:
    """Whether no thread could be had to look a host's name up, as event loops do: nothing was sent then."""
    return is_refused_thread(error) and any(came_out_of(error, loop, "getaddrinfo") for loop in ("asyncio", "trio"))


def unsent(origin: str) -> str:
    """What a call did not do whose host could not be looked up."""
    return f"the host of {origin} was not looked up, and nothing was sent; an IP address, and the blocking client, need none"


def came_out_of(error: BaseException | None, package: str, function: str) -> bool:
    """Whether this function of a package raised `error`: the exchange was there when its time limit expired."""
    frames = [frame for frame, _ in traceback.walk_tb(None if error is None else error.__traceback__)]
    return any(
        frame.f_code.co_name == function and f"{frame.f_globals.get('__name__')}.".startswith(f"{package}.")
        for frame in frames
    )

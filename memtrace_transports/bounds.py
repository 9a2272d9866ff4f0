"""The bounds of the transports on HTTP libraries: what holds where an option says nothing, and the time of each phase."""

from __future__ import annotations

from memtrace.transport import TransportOptions

__all__ = ["connecting_part", "kept_seconds", "least", "most_connections"]

_CONNECTIONS = 100
_KEPT_SECONDS = 30.0
_CONNECTING = 0.95  # of a bound: a connection that does not come about is told from an answer that does not


def most_connections(options: TransportOptions) -> int:
    """Connections at once."""
    return options.max_connections or _CONNECTIONS


def kept_seconds(options: TransportOptions) -> float:
    """Seconds that an idle connection is kept."""
    return options.keepalive_expiry or _KEPT_SECONDS


def connecting_part(bound: float | None) -> float | None:
    """The part of an attempt's bound within which a connection has to come about, where the bound holds for all of it."""
    return None if bound is None else bound * _CONNECTING


def least(*seconds: float | None) -> float | None:
    """The shortest of these; None, which is no bound, only where none of them is one.

    >>> least(None, 2.0, 0.5), least(None, None)
    (0.5, None)
    """
    return min((each for each in seconds if each is not None), default=None)

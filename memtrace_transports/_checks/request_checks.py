"""What can be sent at all: in time, and in what HTTP can carry, for transports on libraries that send more than that, or refuse it with the key in their text."""

from __future__ import annotations

import re
from collections.abc import Iterable

from memtrace.transport import Request, TransportError
from memtrace.transport._header_rules import is_header

_TARGET = re.compile(r"/[\x21-\x7e]*")


def check_sendable(request: Request) -> None:
    """Refuse a target that cannot stand in a request's first line, and what cannot stand in a header line."""
    check_target(request.target, request.origin)
    check_fields(request.headers.multi_items, request.origin)


def check_target(target: str, origin: str) -> None:
    """Refuse what cannot stand in a request's first line."""
    if _TARGET.fullmatch(target) is None:
        raise cannot_send(origin)


def check_fields(pairs: Iterable[tuple[str, str]], origin: str) -> None:
    """Refuse what cannot stand in a header line."""
    for name, value in pairs:
        if not is_header(name, value):
            raise cannot_send(origin)


def cannot_send(origin: str, *, maybe_sent: bool = False) -> TransportError:
    """The error of a request to `origin` that cannot be written; it repeats nothing of it."""
    return TransportError(
        f"the request to {origin} cannot be written: a header or the address holds what HTTP does not allow",
        cause="protocol",
        maybe_sent=maybe_sent,
        permanent=True,
    )


def check_time_left(request: Request) -> None:
    """Refuse a request whose time is over before it was sent, as a middleware may have left it."""
    if request.timeout is not None and not request.timeout > 0:
        raise TransportError(
            f"the request to {request.origin} was not sent: it has {request.timeout:g} s left",
            cause="timeout",
            maybe_sent=False,
        )

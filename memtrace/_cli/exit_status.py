"""How the console ends: every exit status, once."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from memtrace import exceptions

if TYPE_CHECKING:
    from typing_extensions import Self


class ExitStatus(IntEnum):
    """The exit status that a command returns to the program that started it."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> Self:
        """A status that knows what it means."""
        status = int.__new__(cls, value)
        status._value_ = value
        status.meaning = meaning
        return status

    OK = 0, "success"
    FAILED = 1, "a doctor check failed, or the command failed"
    USAGE = 2, "an option, the configuration or the input is missing or invalid"
    NOT_FOUND = 3, "not found"
    CONFLICT = 4, "duplicate: already stored within the last 24 hours"
    DENIED = 5, "the server rejected the API key"
    UNAVAILABLE = 6, "no response, no storage or too many requests: retry later"
    UNKNOWN = 7, "unknown: the write may have been stored"
    INCOMPLETE = 8, "completed, some lines rejected"
    INTERRUPTED = 130, "interrupted with Ctrl-C"
    BROKEN_PIPE = 141, "output pipe closed"


class CommandError(Exception):
    """A command cannot go on: one line that says why and what to do, further lines, and the exit status."""

    def __init__(self, message: str, status: ExitStatus, *more: str, cause: str | None = None) -> None:
        super().__init__(message)
        #: What happened, with which the message begins; the rest is what to do.
        self.cause = message if cause is None else cause
        self.message = message
        self.status = status
        self.more = more


_UNAVAILABLE = (502, 503, 504)
_STATUSES: tuple[tuple[tuple[type[exceptions.MemtraceError], ...], ExitStatus], ...] = (
    ((exceptions.AuthenticationError,), ExitStatus.DENIED),
    ((exceptions.NotFoundError,), ExitStatus.NOT_FOUND),
    ((exceptions.ConflictError,), ExitStatus.CONFLICT),
    (
        (exceptions.InvalidRequestError, exceptions.PayloadTooLargeError, exceptions.ConfigurationError),
        ExitStatus.USAGE,
    ),
    ((exceptions.TransportError, exceptions.NoArcInstanceError, exceptions.RateLimitError), ExitStatus.UNAVAILABLE),
)


def status_of(error: exceptions.MemtraceError) -> ExitStatus:
    """The exit status that says the same as an error of the SDK."""
    if error.maybe_applied:
        return ExitStatus.UNKNOWN
    for kinds, status in _STATUSES:
        if isinstance(error, kinds):
            return status
    return ExitStatus.UNAVAILABLE if error.status_code in _UNAVAILABLE else ExitStatus.FAILED

"""What becomes of one request: an answer or a failure, and when."""

from __future__ import annotations

from dataclasses import dataclass, replace

from memtrace.exceptions import TransportError
from memtrace.transport import Response, TransportCause

__all__ = ["Exchange", "Failure"]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why no answer comes."""

    cause: TransportCause
    maybe_sent: bool
    text: str

    def error(self) -> TransportError:
        """What a transport raises, a new one each time."""
        hint = None if self.cause == "timeout" else "the fake fails where its fault plan says so: see fake.faults"
        return TransportError(self.text, cause=self.cause, maybe_sent=self.maybe_sent, hint=hint)


@dataclass(slots=True)
class Exchange:
    """One request's outcome. `seconds` pass before the answer begins, and `body_seconds` until it is whole.

    Where there is a `failure`, `response` is what the server had answered, None when it never did. Without both it cut the
    connection.
    """

    response: Response | None
    failure: Failure | None = None
    seconds: float = 0.0
    body_seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.response is None and self.failure is None:
            self.failure = _CUT

    def within(self, timeout: float | None) -> Exchange:
        """As a client sees it that waits no longer than `timeout` seconds."""
        if timeout is None or self.waits <= timeout:
            return self
        late = Failure("timeout", maybe_sent=True, text=f"no answer in {timeout} seconds, by the fault plan")
        return replace(self, failure=late, seconds=timeout, body_seconds=0.0)

    @property
    def waits(self) -> float:
        """Seconds until it is over."""
        return self.seconds + self.body_seconds

    def result(self) -> Response:
        """The answer. Raises the TransportError of a failure."""
        if self.failure is not None or self.response is None:
            raise (self.failure or _CUT).error()
        return self.response


_CUT = Failure("reset", maybe_sent=True, text="the server cut the connection")

"""The outcome of one request: a response or a failure, and when."""

from __future__ import annotations

from dataclasses import dataclass, replace

from memtrace.exceptions import TransportError
from memtrace.transport import Response, TransportCause

__all__ = ["Exchange", "Failure"]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no response."""

    cause: TransportCause
    maybe_sent: bool
    text: str

    def error(self) -> TransportError:
        """Create the error that a transport raises, a new one each time.

        Returns:
            The error.
        """
        hint = None if self.cause == "timeout" else "this is a fake server; see fake.faults for its injected faults"
        return TransportError(self.text, cause=self.cause, maybe_sent=self.maybe_sent, hint=hint)


@dataclass(slots=True)
class Exchange:
    """The outcome of one request. `seconds` pass before the response begins, and `body_seconds` until it is complete.

    With a `failure`, `response` is what the server would have sent, or None if it never responded.
    Without both, the server closed the connection.
    """

    response: Response | None
    failure: Failure | None = None
    seconds: float = 0.0
    body_seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.response is None and self.failure is None:
            self.failure = _CUT

    def within(self, timeout: float | None) -> Exchange:
        """Limit the exchange to the timeout of a client.

        Args:
            timeout: Seconds that the client waits; None for no limit.

        Returns:
            The exchange as that client sees it.
        """
        if timeout is None or self.waits <= timeout:
            return self
        late = Failure("timeout", maybe_sent=True, text=f"no response in {timeout} seconds, by an injected fault")
        return replace(self, failure=late, seconds=timeout, body_seconds=0.0)

    @property
    def waits(self) -> float:
        """Seconds until the exchange is complete."""
        return self.seconds + self.body_seconds

    def result(self) -> Response:
        """Get the response.

        Returns:
            The response.

        Raises:
            TransportError: The exchange failed.
        """
        if self.failure is not None or self.response is None:
            raise (self.failure or _CUT).error()
        return self.response


_CUT = Failure("reset", maybe_sent=True, text="the server closed the connection")

"""The contract of whatever moves bytes: requests, responses, the two transport protocols, and their options.

A transport author needs this module and `memtrace.plugins.TransportSpec`. No type of an HTTP library appears here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol, TypeVar, cast, runtime_checkable

from memtrace._support.error_text import excerpt
from memtrace._support.secrets import hidden
from memtrace._support.urls import redact_memory_text
from memtrace.clock import Clock, SystemClock
from memtrace.exceptions import (
    NO_MEMTRACE_THERE,
    RESPONSE_BODY_KEPT,
    MemtraceError,
    ResponseDecodeError,
    TransportCause,
    TransportError,
)
from memtrace.transport._header_rules import HEADER_NAME, HEADER_VALUE, SECRET_HEADERS
from memtrace.transport._index import (
    IndexAnswer,
    IndexedTransport,
    IndexHit,
    IndexQuery,
    Neighbour,
    PlacedText,
    PlacedVector,
)
from memtrace.transport._options import TransportOptions

__all__ = [
    "HEADER_NAME",
    "HEADER_VALUE",
    "AsyncTransport",
    "CallContext",
    "Effect",
    "Flow",
    "Headers",
    "Idempotency",
    "IndexAnswer",
    "IndexHit",
    "IndexQuery",
    "IndexedTransport",
    "Method",
    "Neighbour",
    "PlacedText",
    "PlacedVector",
    "Recovery",
    "RecoveryContext",
    "Request",
    "Response",
    "Transport",
    "TransportCause",
    "TransportError",
    "TransportOptions",
]

T = TypeVar("T")

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
"""The methods of requests. The SDK's own operations use GET, POST, PUT and DELETE."""

Idempotency = Literal["read", "idempotent", "keyed", "non_idempotent"]
"""What a retry of a call does.

``read`` changes nothing. ``idempotent`` leaves the same state after any number of calls. ``keyed`` is recognised by the server as a
duplicate, once the first one is in its storage. ``non_idempotent`` is applied each time.
"""


class Headers(Mapping[str, str]):
    """Immutable header fields; names match in any case, order and duplicates are kept.

    As a mapping it joins the values of a repeated name with ``", "``. `get_all` returns them
    separately. Its `repr` shows names only, so that a key never ends up in a log.

    Args:
        fields: Names and values, as a mapping or as pairs.

    Example:
        >>> headers = Headers([("Content-Type", "application/json"), ("x-trace", "1"), ("X-Trace", "2")])
        >>> headers["content-type"], headers["x-trace"], headers.get_all("X-TRACE")
        ('application/json', '1, 2', ['1', '2'])
    """

    __slots__ = ("_index", "multi_items")

    multi_items: tuple[tuple[str, str], ...]
    """The fields as they were given, in order."""

    def __init__(self, fields: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        if isinstance(fields, tuple) or not isinstance(fields, Mapping):  # a tuple first: asking an ABC takes time
            pairs = cast("Iterable[tuple[str, str]]", fields)
        else:
            pairs = cast("Mapping[str, str]", fields).items()
        self.multi_items = tuple(
            [(name, hidden(value) if name.lower() in SECRET_HEADERS else value) for name, value in pairs]
        )
        self._index: dict[str, str] | None = None

    def _joined(self) -> dict[str, str]:
        if self._index is None:
            index: dict[str, str] = {}
            for name, value in self.multi_items:
                key = name.lower()
                index[key] = f"{index[key]}, {value}" if key in index else value
            self._index = index
        return self._index

    def __getitem__(self, name: str) -> str:
        return self._joined()[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._joined()

    def __iter__(self) -> Iterator[str]:
        return iter(self._joined())

    def __len__(self) -> int:
        return len(self._joined())

    def get_all(self, name: str) -> list[str]:
        """Return every value of one header, in order.

        Args:
            name: The header, in any case.

        Returns:
            The values; an empty list if there are none.
        """
        wanted = name.lower()
        return [value for key, value in self.multi_items if key.lower() == wanted]

    def set(self, name: str, value: str) -> Headers:
        """Copy the headers, with one header set.

        Args:
            name: The header, in any case. Existing values are replaced.
            value: Printable ASCII, without white space at its ends.

        Returns:
            The copy.

        Raises:
            ValueError: The value cannot be sent in a header. The error does not contain it.
        """
        if HEADER_VALUE.fullmatch(value) is None:
            raise ValueError(
                f"the value of the header {name!r} cannot be sent: it must be printable ASCII without white space at its ends"
            )
        wanted = name.lower()
        kept = [pair for pair in self.multi_items if pair[0].lower() != wanted]
        return Headers((*kept, (name, value)))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Headers):
            return self._joined() == other._joined()
        return NotImplemented

    def __hash__(self) -> int:
        return hash(frozenset(self._joined().items()))

    def __repr__(self) -> str:
        return f"Headers({', '.join(name for name, _ in self.multi_items)})"


_NO_HEADERS = Headers()


@dataclass(slots=True, eq=False)
class CallContext:
    """The state of one call, shared by all its attempts: every attempt's request has it.

    Middleware reads it. `state` is for a middleware's own notes, under keys that no other
    middleware uses.
    """

    clock: Clock = field(default_factory=SystemClock)
    #: What a repeat of this call does; exceptions use it to say whether something may have been stored.
    idempotency: Idempotency = "non_idempotent"
    #: Statuses of 400 and above that are an answer to this call and no failure (the 503 of `ready`).
    accepts: frozenset[int] = frozenset()
    #: `clock.monotonic()` when the call began, in seconds.
    started: float = -1.0
    #: `clock.monotonic()` when the call has to be over, in seconds; None for no limit.
    deadline: float | None = None
    #: How many times a request of this call was handed to the transport.
    attempt: int = 0
    #: Whether a write of this call may have reached the server, without a response that confirms it.
    maybe_applied: bool = False
    #: The number of the newest attempt whose request may have been applied; 0 if there is none.
    applied_attempt: int = 0
    #: The body of the newest request that was handed to the transport: a middleware may have changed it.
    sent_body: bytes | None = field(default=None, repr=False)
    #: The newest failure of an attempt.
    last_cause: TransportError | None = None
    #: The failure that triggered the last retry; None so far.
    retried_after: MemtraceError | None = None
    #: Parses a response to this call. Raises `ResponseDecodeError`.
    parse: Callable[[Response], object] | None = None
    #: How the operation recovers from an attempt without a response; None if it does not.
    recovery: Recovery | None = None
    #: The earliest moment, by the server's clock, at which a process that is gone may have sent this call; None for a new call.
    sent_since: datetime | None = None
    state: dict[object, object] = field(default_factory=dict)

    _read: tuple[Response, object] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.started < 0:
            self.started = self.clock.monotonic()

    def read(self, response: Response) -> object:
        """Parse a response with the `parse` of the call, once for each response.

        Args:
            response: A response to this call.

        Returns:
            What the operation returns for it.

        Raises:
            ResponseDecodeError: The response is not what this route returns.
        """
        if self._read is None or self._read[0] is not response:
            self._read = (response, None if self.parse is None else self.parse(response))
        return self._read[1]

    def mark_maybe_applied(self) -> None:
        """Note that the newest attempt's request may have been applied, unless it only reads."""
        if self.idempotency != "read":
            self.maybe_applied, self.applied_attempt = True, self.attempt

    def elapsed(self) -> float:
        """Measure how long the call has run.

        Returns:
            Seconds since the call began.
        """
        return self.clock.monotonic() - self.started

    def remaining(self) -> float | None:
        """Measure how long the call may still run.

        Returns:
            Seconds until the deadline of the call; zero or less once it has passed. None if there
            is no deadline.
        """
        return None if self.deadline is None else self.deadline - self.clock.monotonic()


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """One request, ready to be sent.

    `target` is the path with its query, percent-encoded: a transport sends it byte for byte. `body`
    is the body, or None for none. `timeout` is the timeout of this attempt in seconds, or None for
    no limit. Change a request with `dataclasses.replace` or `with_header`.
    """

    method: Method
    origin: str
    target: str
    headers: Headers = _NO_HEADERS
    body: bytes | None = None
    operation: str = ""
    timeout: float | None = None
    context: CallContext = field(default_factory=CallContext)

    @property
    def url(self) -> str:
        """Origin and target together."""
        return self.origin + self.target

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def redacted_path(self) -> str:
        """The path for logs and errors: at most 500 characters, without the content that a query looks for."""
        return excerpt(redact_memory_text(self.path), 500)

    def with_header(self, name: str, value: str) -> Request:
        """Copy the request, with one header set.

        Args:
            name: The header, in any case. Existing values are replaced.
            value: Printable ASCII.

        Returns:
            The copy.

        Raises:
            ValueError: The value cannot be sent in a header.
        """
        headers = self.headers.set(name, value)
        return Request(
            self.method, self.origin, self.target, headers, self.body, self.operation, self.timeout, self.context
        )

    def __repr__(self) -> str:
        size = "no body" if self.body is None else f"{len(self.body)} bytes"
        return f"<Request {self.method} {self.redacted_path} {self.operation or 'unnamed'}, {size}>"


@dataclass(frozen=True, slots=True, repr=False)
class Response:
    """One response, whatever its status. `body` is complete and decompressed."""

    status: int
    headers: Headers = _NO_HEADERS
    body: bytes = b""

    def json(self) -> Any:
        """Parse the body as JSON.

        Returns:
            The JSON value.

        Raises:
            ResponseDecodeError: The body is not JSON.

        Example:
            >>> Response(200, body=b'{"count": 2}').json()
            {'count': 2}
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise self.unreadable("JSON", type(error).__name__) from None

    def unreadable(self, expected: str, problem: str) -> ResponseDecodeError:
        """Create the error for a response that cannot be read. Its text contains nothing of the body.

        Args:
            expected: What the response should have been, such as ``JSON``.
            problem: What it was instead.

        Returns:
            The error, to be raised.
        """
        kind = excerpt(self.headers.get("content-type", "no content type"), 100)
        error = ResponseDecodeError(
            f"the server's response of {len(self.body)} bytes ({kind}) is not readable as {expected}: {excerpt(problem)}",
            self.status,
            hint=NO_MEMTRACE_THERE,
            argument="base_url",
        )
        error.response_body = self.body[:RESPONSE_BODY_KEPT]
        return error

    def __repr__(self) -> str:
        return f"<Response {self.status}, {len(self.body)} bytes>"


class Effect:
    """A request of a flow to its driver. `sleep`, `call`, `lock` and sending create it."""

    __slots__ = ()


Flow = Generator[Effect, object, T]
"""A generator that yields effects and returns a `T`. Write ``yield from`` before every flow that you use."""


class RecoveryContext(NamedTuple):
    """What a recovery can use to look up an attempt."""

    #: The earliest moment at which the call can have begun, by the server's clock, UTC.
    began: datetime
    #: Whether the server said so: else `began` is by our own clock, which may be hours off.
    is_dated: bool
    #: Sends a read, and retries it. Raises `MemtraceError` if the last attempt fails.
    read: Callable[[Request], Flow[Response]]
    #: Waits until everything that has reached the server can be read. Raises `MemtraceError` if that is unknown.
    verify: Callable[[], Flow[None]]
    #: Whether another write of this client returned a memory, so that this write did not store it.
    is_answered: Callable[[Mapping[str, object]], bool] = lambda _: False


class Recovery(Protocol):
    """Find out what an earlier attempt of a write has stored. The `retry` middleware runs it. It only reads."""

    @property
    def needs_verification(self) -> bool:
        """Whether an attempt without a response can be found only once it is in storage: true for writes of memories."""
        ...

    def look_for(self, request: Request, context: RecoveryContext) -> Flow[Response | None]:
        """Look for what an earlier attempt without a response has stored.

        The `retry` middleware calls it before each retry. If `needs_verification` is set, it waits
        first until what has reached the server can be read. The default looks for nothing and lets
        the retry run.

        Args:
            request: The next request.
            context: Reads from the server, as a part of the same call.

        Yields:
            Effects. The flow returns the response that the earlier attempt would have had, or None
            if it stored nothing.

        Raises:
            MemtraceError: The lookup failed. Then there is no retry.
        """
        return None
        yield  # a flow

    def applies_to(self, response: Response, *, uncertain: bool) -> bool:
        """Decide whether a response may be about an earlier attempt.

        Args:
            response: The response to the newest attempt.
            uncertain: Whether an earlier attempt had no response.

        Returns:
            True if `recover` has to look at it.
        """
        ...

    def recover(self, request: Request, response: Response, context: RecoveryContext) -> Flow[Response]:
        """Find the response that the call would have had without the earlier attempt.

        It sets ``request.context.maybe_applied`` to False if the call stored nothing.

        Args:
            request: The request of the newest attempt.
            response: The response to it.
            context: Reads from the server, as a part of the same call.

        Returns:
            A flow that returns `response`, or another response for the caller.
        """
        ...


@runtime_checkable
class Transport(Protocol):
    """The interface of a blocking transport, which sends requests. Many threads use it at once."""

    def send(self, request: Request) -> Response:
        """Send one request and return the response, whatever its status.

        A transport follows no redirects and keeps no cookies.

        Args:
            request: The request, with the timeout of the attempt.

        Returns:
            The complete response.

        Raises:
            TransportError: No response was received; a new error for each attempt. Raise nothing
                else.
        """
        ...

    def close(self) -> None:
        """Release connections; a second call does nothing."""
        ...


@runtime_checkable
class AsyncTransport(Protocol):
    """The interface of an async transport, which sends requests. Many tasks use it at once."""

    async def send(self, request: Request) -> Response:
        """Send one request and return the response, whatever its status.

        A transport follows no redirects and keeps no cookies.

        Args:
            request: The request, with the timeout of the attempt.

        Returns:
            The complete response.

        Raises:
            TransportError: No response was received; a new error for each attempt. Raise nothing
                else.
        """
        ...

    async def close(self) -> None:
        """Release connections; a second call does nothing."""
        ...

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
"""What a repeat of a call does.

``read`` changes nothing; ``idempotent`` leaves the same state however often it is applied; ``keyed`` is recognised
by the server as a duplicate, once the first has arrived in its storage; ``non_idempotent`` is done again each time.
"""


class Headers(Mapping[str, str]):
    """Immutable header fields; names match in any case, order and duplicates are kept.

    As a mapping it joins the values of a repeated name with ``", "``; `get_all` gives them one by one. Its `repr`
    shows names only, so that a key never ends up in a log; that of a key's own value is ``'***'``.

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
        """Every value of `name`, in order; an empty list where there is none."""
        wanted = name.lower()
        return [value for key, value in self.multi_items if key.lower() == wanted]

    def set(self, name: str, value: str) -> Headers:
        """A copy in which `name` has this one value. Raises `ValueError`, without the value, where it cannot be sent."""
        if HEADER_VALUE.fullmatch(value) is None:
            raise ValueError(
                f"the value of the header {name!r} cannot be sent: printable ASCII without white space at its ends is due"
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
    """What is known of one call of the SDK's user, from its first attempt to its last; every attempt's request carries it.

    A middleware reads it; `state` is a place for a middleware's own notes, keyed by anything that is its own.
    """

    clock: Clock = field(default_factory=SystemClock)
    #: What a repeat of this call does; exceptions use it to say whether something may have been stored.
    idempotency: Idempotency = "non_idempotent"
    #: Statuses of 400 and above that are an answer to this call and no failure (the 503 of `ready`).
    accepts: frozenset[int] = frozenset()
    #: `clock.monotonic()` when the call began, in seconds.
    started: float = -1.0
    #: `clock.monotonic()` when the call has to be over, in seconds; None for no bound.
    deadline: float | None = None
    #: How many times a request of this call was handed to the transport.
    attempt: int = 0
    #: Whether a write of this call may have reached the server without an answer that says so.
    maybe_applied: bool = False
    #: The number of the newest attempt whose request may have been applied; 0 while there is none.
    applied_attempt: int = 0
    #: The body of the newest request that was handed to the transport: a middleware may have changed it.
    sent_body: bytes | None = field(default=None, repr=False)
    #: The newest failure of an attempt.
    last_cause: TransportError | None = None
    #: What made the newest repetition necessary; None while there is none.
    retried_after: MemtraceError | None = None
    #: Reads an answer of this call. Raises `ResponseDecodeError`.
    parse: Callable[[Response], object] | None = None
    #: What the operation knows of its own repetition, where there is something to know.
    recovery: Recovery | None = None
    #: The earliest moment, by the server's clock, at which a process that is gone may have sent this call; None for a new call.
    sent_since: datetime | None = None
    state: dict[object, object] = field(default_factory=dict)

    _read: tuple[Response, object] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.started < 0:
            self.started = self.clock.monotonic()

    def read(self, response: Response) -> object:
        """What this answer says to this call, by `parse`, which runs once for each answer. Raises `ResponseDecodeError`."""
        if self._read is None or self._read[0] is not response:
            self._read = (response, None if self.parse is None else self.parse(response))
        return self._read[1]

    def mark_maybe_applied(self) -> None:
        """Note that the newest attempt's request may have been applied, unless it only reads."""
        if self.idempotency != "read":
            self.maybe_applied, self.applied_attempt = True, self.attempt

    def elapsed(self) -> float:
        """Seconds since the call began."""
        return self.clock.monotonic() - self.started

    def remaining(self) -> float | None:
        """Seconds until the call's deadline, zero and less once it has passed; None where there is none."""
        return None if self.deadline is None else self.deadline - self.clock.monotonic()


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """One request, ready to be sent.

    `target` is the path with its query, percent-encoded: a transport sends it byte for byte as it stands. `body`
    is what goes out, or None for no body. `timeout` bounds this attempt, in seconds; None means no bound.
    Change one with `dataclasses.replace` or `with_header`.
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
        """The path as logs and errors show it: 500 characters of it, without the text of a memory that it looks for."""
        return excerpt(redact_memory_text(self.path), 500)

    def with_header(self, name: str, value: str) -> Request:
        """A copy in which the header `name` has this one value."""
        headers = self.headers.set(name, value)
        return Request(
            self.method, self.origin, self.target, headers, self.body, self.operation, self.timeout, self.context
        )

    def __repr__(self) -> str:
        size = "no body" if self.body is None else f"{len(self.body)} bytes"
        return f"<Request {self.method} {self.redacted_path} {self.operation or 'unnamed'}, {size}>"


@dataclass(frozen=True, slots=True, repr=False)
class Response:
    """One answer, whatever its status; `body` is whole and decompressed."""

    status: int
    headers: Headers = _NO_HEADERS
    body: bytes = b""

    def json(self) -> Any:
        """The body's JSON value. Raises `ResponseDecodeError` where it is none.

        >>> Response(200, body=b'{"count": 2}').json()
        {'count': 2}
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise self.unreadable("JSON", type(error).__name__) from None

    def unreadable(self, expected: str, problem: str) -> ResponseDecodeError:
        """The error for an answer that is not what was expected. Its text holds nothing of the body."""
        kind = excerpt(self.headers.get("content-type", "no content type"), 100)
        error = ResponseDecodeError(
            f"the server's answer of {len(self.body)} bytes ({kind}) is not readable as {expected}: {excerpt(problem)}",
            self.status,
            hint=NO_MEMTRACE_THERE,
            argument="base_url",
        )
        error.response_body = self.body[:RESPONSE_BODY_KEPT]
        return error

    def __repr__(self) -> str:
        return f"<Response {self.status}, {len(self.body)} bytes>"


class Effect:
    """What a flow asks its driver for. Made by `sleep`, `call`, `lock` and by sending, never by hand."""

    __slots__ = ()


Flow = Generator[Effect, object, T]
"""A generator that yields effects and returns a `T`. Write ``yield from`` before every flow that you use."""


class RecoveryContext(NamedTuple):
    """What a recovery may do to find out."""

    #: The earliest moment at which the call can have begun, by the server's clock, UTC.
    began: datetime
    #: Whether the server said so: else `began` is by our own clock, which may be hours off.
    is_dated: bool
    #: Makes a read, repeated where it fails. Raises `MemtraceError` where it fails for good.
    read: Callable[[Request], Flow[Response]]
    #: Waits until everything that has reached the server can be read. Raises `MemtraceError` where that is not known.
    verify: Callable[[], Flow[None]]
    #: Whether a row was answered to another write of this client, so that it is not what this one left.
    is_answered: Callable[[Mapping[str, object]], bool] = lambda _: False


class Recovery(Protocol):
    """What an operation knows of its own repetition. Retry runs it; it reads, and never writes."""

    @property
    def needs_verification(self) -> bool:
        """Whether an attempt without an answer can be found only once it has arrived in storage: writes of memories."""
        ...

    def look_for(self, request: Request, context: RecoveryContext) -> Flow[Response | None]:
        """The answer that an attempt without one would have had; None where a repeat is due, as there is nothing of it.

        Asked before each repeat; where it `needs_verification`, once what has reached the server can be read. Raises
        `MemtraceError` where it cannot be told: then there is no repeat. By default nothing is looked for, and a repeat finds it.
        """
        return None
        yield  # a flow

    def applies_to(self, response: Response, *, uncertain: bool) -> bool:
        """Whether this answer may speak of an earlier attempt; `uncertain` where there was one without an answer."""
        ...

    def recover(self, request: Request, response: Response, context: RecoveryContext) -> Flow[Response]:
        """The answer that the call would have had, or `response` where it stands.

        Sets ``request.context.maybe_applied`` to False where the call surely left nothing behind.
        """
        ...


@runtime_checkable
class Transport(Protocol):
    """Moves one request and brings its answer, blocking. Used by many threads at once."""

    def send(self, request: Request) -> Response:
        """Send `request` and return the answer, whatever its status.

        Redirects are not followed and cookies are not kept. Raises nothing but a new `TransportError` for each
        failed attempt.
        """
        ...

    def close(self) -> None:
        """Release connections; a second call does nothing."""
        ...


@runtime_checkable
class AsyncTransport(Protocol):
    """Moves one request and brings its answer, awaiting. Used by many tasks at once."""

    async def send(self, request: Request) -> Response:
        """Send `request` and return the answer, whatever its status.

        Redirects are not followed and cookies are not kept. Raises nothing but a new `TransportError` for each
        failed attempt.
        """
        ...

    async def close(self) -> None:
        """Release connections; a second call does nothing."""
        ...

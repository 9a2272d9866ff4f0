"""Every error that the SDK raises.

::

    MemtraceError
    ├── APIStatusError               an error status, or a redirect
    │   ├── AuthenticationError      401; also a PermissionError
    │   ├── NotFoundError            404, and the 400 "session not found"; also a KeyError
    │   ├── ConflictError            409, and an agent that has sessions
    │   ├── NoArcInstanceError       503: the organisation has no storage yet
    │   ├── InvalidRequestError      400, a 500 for a bad argument, input rejected before sending; also a ValueError
    │   ├── RateLimitError           429
    │   ├── PayloadTooLargeError     413
    │   └── ServerError              any other status of 500 and above
    ├── ResponseDecodeError          a response that is not what the route gives
    ├── TransportError               no response; what transports raise
    │   ├── APIConnectionError       no connection, or it broke; also a ConnectionError
    │   ├── APITimeoutError          no response in time; also a TimeoutError
    │   └── DeadlineExceededError    the call's deadline has passed; also a TimeoutError
    ├── BatchError                   some items of a batch were not stored; it says which
    ├── BufferFullError              a write buffer has no room for another memory
    ├── BufferDrainError             a write buffer could not send everything in time; it has the rest
    ├── ConfigurationError           a client cannot be created from these arguments
    │   └── TransportNotAvailableError
    ├── MiddlewareError              a middleware broke its contract
    └── ClientClosedError            the client was closed before
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Literal

__all__ = [
    "CODES",
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "AuthenticationError",
    "BufferFullError",
    "ClientClosedError",
    "ConfigurationError",
    "ConflictError",
    "DeadlineExceededError",
    "InvalidRequestError",
    "MemtraceError",
    "MemtraceWarning",
    "MiddlewareError",
    "NoArcInstanceError",
    "NotFoundError",
    "PayloadTooLargeError",
    "RateLimitError",
    "RequestInfo",
    "ResponseDecodeError",
    "ServerError",
    "TransportCause",
    "TransportError",
    "TransportNotAvailableError",
]

TransportCause = Literal["connect", "timeout", "reset", "protocol"]
"""Why there was no response: no connection, no response in time, a broken connection, or bytes that are not HTTP."""

RESPONSE_BODY_KEPT = 4096
"""How many bytes of a response an error keeps."""

NO_MEMTRACE_THERE = "check that the base URL is the address of a Memtrace server"
"""The hint of an error with a response that no Memtrace server sends."""

ENVIRONMENT_VARIABLES: Final = {
    "base_url": "MEMTRACE_BASE_URL",
    "api_key": "MEMTRACE_API_KEY",
    "timeout": "MEMTRACE_TIMEOUT",
}
"""The arguments of a client that a variable can stand for."""


CODES = frozenset(
    {
        "agent_in_use",
        "authentication",
        "batch",
        "buffer_closed",
        "buffer_drain",
        "buffer_full",
        "client_closed",
        "configuration",
        "conflict",
        "connection_failed",
        "deadline_exceeded",
        "drain_timeout",
        "duplicate_memory",
        "invalid_request",
        "middleware",
        "no_arc_instance",
        "no_thread",
        "not_found",
        "payload_too_large",
        "rate_limited",
        "redirect",
        "response_decode",
        "response_too_long",
        "result_window_exceeded",
        "server_error",
        "skipped",
        "spooled",
        "timeout",
        "transport",
        "transport_not_available",
        "unclassified",
        "unexpected_error",
        "unexpected_status",
        "unknown_agent",
        "visibility_timeout",
    }
)
"""The codes of the SDK's own errors; each has a page in the documentation. A transport's own may be others."""

_DEFAULT: Final = "that of the class"
"""Marks a message or a hint that is not given. It is compared by identity."""

PAGES = "errors"
"""The folder of those pages, relative to `DOCUMENTATION`."""

DOCUMENTATION: Final = "https://github.com/Basekick-Labs/memtrace/blob/main/sdks/python/docs"
"""The public URL of the documentation."""


class MemtraceWarning(UserWarning):
    """An argument has no effect, such as a field that a model does not have."""


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """The call that failed, without headers, query and body, so that it can be logged."""

    method: str
    path: str
    operation: str


class MemtraceError(Exception):
    """Base class of every exception of the SDK.

    `str()` of an error of a call adds where it happened and the URL of the documentation page that
    explains it. `message` is the bare message. `hint` says what to do. A traceback shows it as a
    note, from Python 3.11.

    Example:
        >>> error = MemtraceError("storage is full", 507)
        >>> error.message, error.status_code, str(error)
        ('storage is full', 507, 'storage is full')
    """

    _code: ClassVar[str] = "unclassified"
    #: Whether the SDK raises it outside of calls too: its text names the page then as well.
    _is_raised_outside: ClassVar[bool] = False
    #: Whether the message of such an error names the argument, except one that a variable can stand for.
    _names_argument: ClassVar[bool] = False
    _http_status: ClassVar[int] = 500

    #: What failed, without the call and the hint.
    message: str
    #: The HTTP status of the response; 0 if there was none.
    status_code: int
    #: A stable slug for programs and for the documentation.
    code: str
    #: The Python argument to check, if known: ``base_url``, ``timeout``, ``memories[3]``. The message does not
    #: spell it; `str()` does.
    argument: str | None
    #: The call, None when the error was raised before a request was built.
    request: RequestInfo | None = None
    #: How many times a request was handed to the transport.
    attempts: int = 0
    #: Seconds from the call's beginning to the error.
    elapsed: float = 0.0
    #: The failure that triggered the last retry; None after a single attempt.
    last_cause: MemtraceError | None = None
    #: Whether a write may have been stored all the same.
    maybe_applied: bool = False
    #: Whether you can safely retry the call: it can succeed then, and stores nothing twice.
    retryable: bool = False
    #: The first 4,096 bytes of the response. They are never in a message.
    response_body: bytes | None = None
    #: What tracebacks show below the error; Python 3.10 knows none, and shows none.
    __notes__: list[str]
    #: Whether the variable that can stand for `argument` may have given its value; in `with_options` it cannot.
    variable_counts: bool = True
    _hint: str | None = None

    def __init__(
        self,
        message: str,
        status_code: int = 0,
        *,
        code: str | None = None,
        hint: str | None = None,
        argument: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status_code = status_code
        self.code = code or self._code
        self.__notes__ = []
        self.hint = hint
        self.argument = argument

    def __str__(self) -> str:
        # the text of whatever an application raised it with; the hint is a note
        return self.format(str(self.message), None, self._spelled_argument())

    def format(self, message: str, hint: str | None, argument: str | None) -> str:
        """Format the error for readers who do not write Python, like the console does.

        Args:
            message: What happened, in the readers' words.
            hint: What to do, in the readers' words; None omits it.
            argument: Where they set the argument, such as ``from --base-url``; None omits it.

        Returns:
            The message, where it happened, the hint, and in parentheses the argument and the URL of
            the documentation page.

        Example:
            >>> error = ConfigurationError("the timeout is not a number", argument="timeout")
            >>> error.format(error.message, error.hint, "from --timeout")  # doctest: +ELLIPSIS
            'the timeout is not a number (from --timeout; docs: https://.../docs/errors/configuration.md)'
        """
        text = message
        if self.request is not None:
            text += f" [{self._where(self.request)}]"
        if hint:
            text += f" Hint: {hint}"
        notes = [argument] if argument else []
        if self.request is not None or self._is_raised_outside or self.code != self._code:
            notes.append(f"docs: {self.url}")
        return f"{text} ({'; '.join(notes)})" if notes else text

    def _spelled_argument(self) -> str | None:
        """How a Python program gives the argument; None where the message says so."""
        variable = ENVIRONMENT_VARIABLES.get(self.argument or "")
        if variable is not None and not self.variable_counts:
            return f"argument: {self.argument}"
        if variable is not None:
            return f"argument: {self.argument}, or {variable}"
        return None if self.argument is None or self._names_argument else f"argument: {self.argument}"

    @property
    def hint(self) -> str | None:
        """What to do, if known. It is a note of the error, and not a part of its message."""
        return self._hint

    @hint.setter
    def hint(self, hint: str | None) -> None:
        others = [note for note in self.__notes__ if note != f"Hint: {self._hint}"]
        self.__notes__ = [f"Hint: {hint}", *others] if hint else others
        self._hint = hint

    @property
    def page(self) -> str:
        """The page of the documentation about this error: ``errors/duplicate_memory``."""
        return f"{PAGES}/{self.code if self.code in CODES else self._code}"

    @property
    def url(self) -> str:
        """The URL of that page. The package has the same page: ``memtrace-sdk explain CODE`` shows it."""
        return f"{DOCUMENTATION}/{self.page}.md"

    @property
    def http_status(self) -> int:
        """The status that a web application should respond with if this error ends its own request.

        A 4xx status is only for errors that the application's caller can fix: 404, 409, 413, and 422 for an
        invalid argument. 503 means that a retry can help; send a ``Retry-After`` header with it. 502 and 504
        mean that the server failed or was too slow. Any other error is 500.

        Example:
            >>> NotFoundError().http_status, RateLimitError(retry_after=3).http_status, AuthenticationError().http_status
            (404, 503, 500)
        """
        return self._http_status

    def _where(self, request: RequestInfo) -> str:
        parts = [f"{request.operation}: {request.method} {request.path}"]
        if self.status_code:
            parts.append(f"HTTP {self.status_code}")
        parts.append(f"{self.attempts} attempt{'' if self.attempts == 1 else 's'}")
        parts.append(f"{self.elapsed:.3f} s")
        if self.maybe_applied:
            parts.append("may have been applied")
        return ", ".join(parts)


class APIStatusError(MemtraceError):
    """The server responded with an error status, or with a redirect, which the SDK never follows.

    `status_code` is the status. It is 0 for an `InvalidRequestError` or a `PayloadTooLargeError`
    that the SDK raised before it sent anything.
    """

    _code = "unexpected_status"
    _http_status = 502
    _default_message: ClassVar[str] = "Unexpected status"
    _default_status: ClassVar[int] = 400
    _default_hint: ClassVar[str | None] = None

    def __init__(
        self,
        message: str = _DEFAULT,
        status_code: int | None = None,
        *,
        code: str | None = None,
        hint: str | None = _DEFAULT,
        argument: str | None = None,
    ) -> None:
        super().__init__(
            self._default_message if message is _DEFAULT else message,
            self._default_status if status_code is None else status_code,
            code=code,
            hint=self._default_hint if hint is _DEFAULT else hint,
            argument=argument,
        )


class AuthenticationError(APIStatusError, PermissionError):
    """401: the API key is missing or unknown to the server. Also a builtin `PermissionError`."""

    _code = "authentication"
    _http_status = 500
    _default_message = "Invalid or missing API key"
    _default_status = 401


class NotFoundError(APIStatusError, KeyError):
    """404, or the server's 400 for an unknown session: not found in this organisation.

    Also a builtin `KeyError`, and so a `LookupError`.
    """

    _code = "not_found"
    _http_status = 404
    _default_message = "Resource not found"
    _default_status = 404


class ConflictError(APIStatusError):
    """409: a duplicate memory or a taken agent name. Also a 404 for an agent that has sessions."""

    _code = "conflict"
    _http_status = 409
    _default_message = "Conflict"
    _default_status = 409


class NoArcInstanceError(APIStatusError):
    """503: the key's organisation has no storage configured. An admin runs ``memtrace org add-arc <org_id>``."""

    _code = "no_arc_instance"
    _http_status = 503
    _default_message = "no arc instance configured for this org"
    _default_status = 503
    _default_hint = "ask an admin to run `memtrace org add-arc <org_id>`"


class InvalidRequestError(APIStatusError, ValueError):
    """An argument that the server does not accept. The SDK found it before sending (status 0), or the server did.

    Also a builtin `ValueError`.
    """

    _code = "invalid_request"
    _http_status = 422
    _is_raised_outside = True
    _names_argument = True

    #: The argument, as the SDK names it; ``memories[3].tags`` for an item of a batch. `argument` is the same.
    field: str | None
    #: What the argument has to be.
    rule: str | None
    #: The problem, to be read after the argument's name: ``must be a string, not int``. None if the server found it.
    problem: str | None

    def __init__(
        self,
        message: str = "Invalid request",
        status_code: int = 0,
        *,
        field: str | None = None,
        rule: str | None = None,
        problem: str | None = None,
        code: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, status_code, code=code, hint=hint, argument=field)
        self.field = field
        self.rule = rule
        self.problem = problem


class RateLimitError(APIStatusError):
    """429: too many requests."""

    _code = "rate_limited"
    _http_status = 503

    #: The seconds to wait that the last response asked for; None if it asked for none.
    retry_after: float | None

    def __init__(
        self,
        message: str = "Too many requests",
        status_code: int = 429,
        *,
        retry_after: float | None = None,
        code: str | None = None,
        hint: str | None = None,
        argument: str | None = None,
    ) -> None:
        super().__init__(message, status_code, code=code, hint=hint, argument=argument)
        self.retry_after = retry_after


class PayloadTooLargeError(APIStatusError):
    """413: the body is over the limit, 4 MiB on the server itself."""

    _code = "payload_too_large"
    _http_status = 413
    _is_raised_outside = True
    _default_message = "Request body too large"
    _default_status = 413


class ServerError(APIStatusError):
    """500 and above: the server, its storage or a proxy before it failed."""

    _code = "server_error"
    _default_message = "Server error"
    _default_status = 500

    @property
    def http_status(self) -> int:
        """503 and 504 stay as they are; any other failure of the server is 502."""
        return self.status_code if self.status_code in (503, 504) else 502


class ResponseDecodeError(MemtraceError):
    """The response is not what this route returns: it is not JSON, or its fields differ."""

    _code = "response_decode"
    _http_status = 502
    _is_raised_outside = True

    def __init__(
        self,
        message: str = "Unreadable response",
        status_code: int = 0,
        *,
        code: str | None = None,
        hint: str | None = None,
        argument: str | None = None,
    ) -> None:
        super().__init__(message, status_code, code=code, hint=hint, argument=argument)


class TransportError(MemtraceError):
    """No response was received. Transports raise it, a new one for each failed attempt.

    Example:
        >>> raise TransportError("connection refused", cause="connect", maybe_sent=False)
        Traceback (most recent call last):
        memtrace.exceptions.TransportError: connection refused
    """

    _code = "transport"
    _http_status = 502

    _default_cause: ClassVar[TransportCause] = "protocol"

    #: Why: ``connect``, ``timeout``, ``reset`` or ``protocol``.
    cause: TransportCause
    #: False only when the request surely never reached the server.
    maybe_sent: bool
    #: Whether the same request would fail in the same way again, so that it is not retried.
    permanent: bool

    def __init__(
        self,
        message: str = "Transport failed",
        *,
        cause: TransportCause | None = None,
        maybe_sent: bool = True,
        permanent: bool = False,
        code: str | None = None,
        hint: str | None = None,
        argument: str | None = None,
    ) -> None:
        super().__init__(message, code=code, hint=hint, argument=argument)
        self.cause = cause or self._default_cause
        self.maybe_sent = maybe_sent
        self.permanent = permanent


class APIConnectionError(TransportError, ConnectionError):
    """The connection failed (``cause`` is ``connect``), or broke (``reset``). Also a builtin `ConnectionError`."""

    _code = "connection_failed"
    _http_status = 503
    _default_cause = "connect"


class APITimeoutError(TransportError, TimeoutError):
    """Timeout: no response within the client's `timeout`. Also a builtin `TimeoutError`."""

    _code = "timeout"
    _http_status = 504
    _default_cause = "timeout"


class DeadlineExceededError(TransportError, TimeoutError):
    """The deadline of the call has passed, or a memory could not be read in time (code ``visibility_timeout``).

    Also a builtin `TimeoutError`.
    """

    _code = "deadline_exceeded"
    _http_status = 504
    _default_cause = "timeout"


def no_thread(what: str) -> TransportError:
    """The error for a thread that the system did not give; `what` says what was not done for that reason."""
    error = TransportError(
        f"no thread could be started: {what}",
        cause="connect",
        maybe_sent=False,
        code="no_thread",
        hint="the process has too many threads, or is ending: try again once others have ended",
    )
    error.retryable = True
    return error


class BufferFullError(MemtraceError):
    """The write buffer has `max_pending` memories: this one was not accepted, or was dropped for a newer one."""

    _code = "buffer_full"
    _http_status = 503
    _is_raised_outside = True


class ConfigurationError(MemtraceError):
    """A client cannot be created from these arguments and variables. The message names them."""

    _code = "configuration"
    _is_raised_outside = True
    _names_argument = True


class TransportNotAvailableError(ConfigurationError):
    """The transport is unknown, not installed, broken, or made for the other kind of client."""

    _code = "transport_not_available"


class MiddlewareError(MemtraceError):
    """A middleware broke its contract. The message says what to write instead."""

    _code = "middleware"
    _is_raised_outside = True


class ClientClosedError(MemtraceError):
    """The client was closed before this call. Create a new one."""

    _code = "client_closed"
    _is_raised_outside = True

    def __init__(
        self,
        message: str = "this client is closed; make a new one",
        status_code: int = 0,
        *,
        code: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, status_code, code=code, hint=hint)

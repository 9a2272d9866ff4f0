"""Raw access: a result with its status and headers, and the operation of a route that the SDK does not know."""

from __future__ import annotations

import json as json_format
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, TypeVar, get_args
from urllib.parse import quote, unquote, urlencode

from pydantic import BaseModel

from memtrace._support.peer_names import RESPONSE_NAMES, HintsAtNames
from memtrace.exceptions import InvalidRequestError, RequestInfo
from memtrace.operations._endpoints import Operation, check_body_size, check_characters, check_finite
from memtrace.operations._validation import WHOLE_CHARACTERS, invalid, is_text
from memtrace.transport import Headers, Method, Response
from memtrace.transport._header_rules import header_problem

T = TypeVar("T")

RawIdempotency = Literal["read", "idempotent", "non_idempotent"]
"""What a repeat of a raw request does: nothing, the same again, or the whole thing once more."""

QueryValue = str | int | float | Sequence[str] | None
"""A value of a query. A list repeats its name, a bool is ``true`` or ``false``, and None is omitted."""


@dataclass(frozen=True, slots=True, repr=False)
class RawResponse(HintsAtNames, Generic[T]):
    """The response to an operation, with its parsed result.

    Example:
        >>> from memtrace import Memtrace, operations
        >>> raw = Memtrace("memory://", "any key").send(operations.health())
        >>> raw.status, raw.parsed.status, raw.headers["content-type"], raw.attempts
        (200, 'ok', 'application/json', 1)
    """

    _peer_names: ClassVar[Mapping[str, str]] = RESPONSE_NAMES

    #: The status of the last response. For a write that was found after its response was lost: the status of the lost
    #: response.
    status: int
    headers: Headers
    #: Whole and decompressed.
    body: bytes
    #: What the operation's own method returns.
    parsed: T
    #: Seconds that the call took, with its retries and waits, by the client's clock.
    elapsed: float
    #: How many times a request was handed to the transport; 0 if a middleware responded.
    attempts: int
    #: The call, without headers, query and body.
    request: RequestInfo

    def __repr__(self) -> str:
        attempts = f"{self.attempts} attempt{'' if self.attempts == 1 else 's'}"
        return f"<RawResponse {self.status}, {len(self.body)} bytes, {self.request.operation}, {attempts}, {self.elapsed:.3f} s>"


def raw_operation(
    method: Method,
    path: str,
    *,
    params: Mapping[str, QueryValue] | None = None,
    json: Any = None,
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    idempotency: RawIdempotency | None = None,
    accepts: Collection[int] = (),
    operation: str = "request",
) -> Operation[Response]:
    """The operation of `client.request`: its response is not parsed. Raises `InvalidRequestError` for a bad request."""
    if method not in get_args(Method):
        raise invalid("method", f"one of {', '.join(get_args(Method))}", "the SDK sends no other")
    body = _body(json, content)
    if body is not None and method in _READS:
        raise invalid("json" if content is None else "content", f"left out of {method}", "such a request has no body")
    return Operation(
        _name(operation),
        method,
        _target(path, params),
        _identity,
        _idempotency(idempotency, method),
        body,
        _statuses(accepts),
        _header_fields(headers, content),
    )


def _identity(response: Response) -> Response:
    return response


# ---- what a retry does, and what counts as a response ---------------------------------------------------------------


_READS = ("GET", "HEAD")


def _idempotency(given: RawIdempotency | None, method: Method) -> RawIdempotency:
    if given is None:
        return "read" if method in _READS else "non_idempotent"
    if given not in get_args(RawIdempotency):
        raise invalid("idempotency", f"one of {', '.join(get_args(RawIdempotency))}", "it says what a repeat does")
    return given


def _statuses(accepts: Collection[int]) -> frozenset[int]:
    if not _is_collection(accepts) or not all(isinstance(status, int) for status in accepts):
        raise invalid("accepts", "a collection of statuses, such as {404}", "it says which are not errors")
    return frozenset(accepts)


def _is_collection(value: object) -> bool:
    return isinstance(value, Collection)


_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


def _name(operation: str) -> str:
    if not is_text(operation) or _NAME.fullmatch(operation) is None:
        rule = "a letter, then letters, digits, '_', '.' or '-', at most 64 characters"
        raise invalid("operation", rule, "it appears in logs and errors")
    return operation


# ---- the target -----------------------------------------------------------------------------------------------------

_PATH = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
_QUERY = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*")


def _target(target: str, params: Mapping[str, QueryValue] | None) -> str:
    if not is_text(target):
        raise invalid("path", "a string", f"{type(target).__name__} was given")
    path, mark, query = target.partition("?")
    if "://" in path:
        raise invalid("path", "a path such as /api/v1/agents", "the server is the client's base_url")
    if _PATH.fullmatch(path) is None or _QUERY.fullmatch(query) is None:
        raise invalid("path", "begun by '/' and percent-encoded", "it is sent as it is")
    segments = path[1:].removesuffix("/").split("/") if path != "/" else []
    if any(unquote(segment) in ("", ".", "..") for segment in segments):
        raise invalid("path", "without empty segments, '.' and '..'", "they would name another route")
    given = urlencode(list(_pairs(params or {})), quote_via=quote)
    return path + (f"?{'&'.join(filter(None, (query, given)))}" if mark or given else "")


def _pairs(params: Mapping[str, QueryValue]) -> Iterator[tuple[str, str]]:
    for name, value in params.items():
        field = f"params[{name!r}]"
        if not is_text(name):
            raise invalid(field, "a string", f"{type(name).__name__} was given")
        for one in [value] if value is None or isinstance(value, (str, int, float)) else _texts(value, field):
            if one is not None:
                yield _written(name, field), _written(one, field)


def _texts(values: Sequence[str], field: str) -> Sequence[str]:
    if isinstance(values, (list, tuple)) and all(isinstance(value, str) for value in values):
        return values
    raise invalid(field, "a string, a number, a bool, None, or a list of strings", "it is a part of the query")


def _written(value: str | float, field: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        raise invalid(field, "a finite number", "it is a part of the query")
    text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise invalid(field, WHOLE_CHARACTERS, "it holds half of one") from None
    return text


# ---- the body -------------------------------------------------------------------------------------------------------


def _body(json: Any, content: bytes | None) -> bytes | None:
    if content is not None:
        if json is not None:
            raise invalid("content", "given without json", "a request has one body")
        if not isinstance(content, bytes):
            raise invalid("content", "bytes", f"{type(content).__name__} was given")
        return check_body_size(content)
    if json is None:
        return None
    try:
        value = json
        if isinstance(json, BaseModel):
            value = json.model_dump(mode="json", exclude_none=True)
            check_finite(json)
            check_characters(json)
        text = json_format.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return check_body_size(text.encode())
    except (TypeError, ValueError, RecursionError):
        raise invalid("json", f"JSON: {WHOLE_CHARACTERS}, finite numbers", "it cannot be written") from None


def _header_fields(headers: Mapping[str, str] | None, content: bytes | None) -> tuple[tuple[str, str], ...]:
    allowed = frozenset({"content-type"}) if content is not None else frozenset()
    for name, value in (headers or {}).items():
        problem = header_problem(name, value, allowed)
        if problem is not None:
            raise InvalidRequestError(f"headers[{name!r}] {problem}", field=f"headers[{name!r}]", rule=problem)
    return tuple((headers or {}).items())

"""Errors: from a status or a failed transport to the exception that says what happened, where, and what to do."""

from __future__ import annotations

import json
import re

from memtrace._flow.composition import CallNext
from memtrace._support.urls import redact_memory_text
from memtrace.exceptions import (
    NO_MEMTRACE_THERE,
    RESPONSE_BODY_KEPT,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    ConflictError,
    DeadlineExceededError,
    InvalidRequestError,
    MemtraceError,
    NoArcInstanceError,
    NotFoundError,
    PayloadTooLargeError,
    RateLimitError,
    RequestInfo,
    ServerError,
    TransportError,
)
from memtrace.middleware._causes import held_agent, unknown_agent, unreadable_time, without_sql
from memtrace.operations._recovery import http_date
from memtrace.operations._time_bounds import TIME_RULE
from memtrace.transport import Flow, Request, Response

__all__ = [
    "annotate",
    "error_for",
    "is_failure",
    "is_storage_failure",
    "raise_errors",
    "retry_after",
    "to_public_error",
]

_NOTHING_LEFT = 0.005  # seconds: timers of different clocks do not agree more closely
_TEXT_SHOWN = 300
_ERROR_SHOWN = 2000


def raise_errors(request: Request, call_next: CallNext) -> Flow[Response]:
    """Raise the `MemtraceError` that fits a failed call; outermost, so that every other middleware still sees statuses."""
    try:
        response = yield from call_next(request)
    except MemtraceError as error:
        told = to_public_error(error, request)
        if told is error:
            raise
        raise told from told.__cause__
    if response is not request.context.success and is_failure(response, request):
        raise error_for(response, request)
    return response


def is_failure(response: Response, request: Request) -> bool:
    """Whether this answer is none that the operation can read: 300 and above, unless it accepts the status."""
    if response.status >= 300 and response.status not in request.context.accepts:
        return True
    request.context.success = response
    return False


def to_public_error(error: MemtraceError, request: Request) -> MemtraceError:
    """`error` as it comes out of the call: described, and of the class that its cause asks for."""
    told = _specific(error, request) if isinstance(error, TransportError) else error
    annotate(told, request)
    if told is not error:
        told.__cause__ = error.__cause__ or error
    return told


def annotate(error: MemtraceError, request: Request) -> None:
    """Fill in which call failed, and how it stands with a repeat. An error that is described already stays as it is."""
    if error.request is not None:
        return
    context = request.context
    error.request = RequestInfo(request.method, request.redacted_path, request.operation)
    error.attempts = context.attempt
    error.elapsed = context.elapsed()
    error.last_cause = context.retried_after
    if isinstance(error, TransportError) and error.maybe_sent and context.idempotency != "read":
        context.maybe_applied = True  # a middleware may have raised it, past the transport's own books
    error.maybe_applied = context.maybe_applied
    error.retryable = _is_retryable(error, request)
    if error.maybe_applied:
        _tell_how_to_look(error)


def _tell_how_to_look(error: MemtraceError) -> None:
    """Say first how to find out whether a write was applied."""
    look = _LOOKUP_HINTS.get(error.request.operation) if error.request is not None else None
    if look is not None and not (error.hint or "").startswith(look):
        error.hint = look if error.hint is None else f"{look}; {error.hint}"


_LOOK_FOR_ROWS = "before you write it again, look for it: memories.list(agent_id=...), about two seconds later"
_LOOKUP_HINTS = {
    "memories.add": _LOOK_FOR_ROWS,
    "memories.add_many": _LOOK_FOR_ROWS,
    "sessions.create": "before you create another, look for it: sessions.list(agent_id=...), by created_at",
    "agents.register": "before you register it again, look for it: agents.get_or_register(name=...) finds it",
}


def _is_retryable(error: MemtraceError, request: Request) -> bool:
    context = request.context
    repeatable = context.idempotency in ("read", "idempotent")
    if not repeatable and context.maybe_applied:
        return False
    if isinstance(error, (TransportError, RateLimitError)):
        return True
    if isinstance(error, ServerError):
        return error.status_code == 503 or (repeatable and error.status_code in (500, 502, 504))
    return False


def is_storage_failure(error: MemtraceError) -> bool:
    """Whether the server said that its storage failed, and not that it could not read an argument."""
    text = error.message
    return error.status_code == 500 and "query" in text and "Arc" in text and _UNREADABLE.search(text) is None


_UNREADABLE = re.compile("conver(?:t|sion)|timestamp field format", re.IGNORECASE)


# ---- without an answer ----------------------------------------------------------------------------------------------


def _specific(error: TransportError, request: Request) -> TransportError:
    if type(error) is not TransportError:
        return error
    remaining = request.context.remaining()
    if error.cause == "timeout" and remaining is not None and remaining <= _NOTHING_LEFT:
        return _remade(DeadlineExceededError, error, error.hint or "raise deadline=, or leave it out")
    if error.cause == "timeout":
        hint = error.hint or "raise timeout= (MEMTRACE_TIMEOUT), or look at the server's load"
        return _remade(APITimeoutError, error, hint)
    if error.cause in ("connect", "reset"):
        hint = error.hint or f"is the server running at {request.origin}? Check base_url (MEMTRACE_BASE_URL)"
        return _remade(APIConnectionError, error, hint)
    return error


def _remade(kind: type[TransportError], error: TransportError, hint: str) -> TransportError:
    own = None if error.code == TransportError().code else error.code  # a transport may have a slug of its own
    return kind(error.message, cause=error.cause, maybe_sent=error.maybe_sent, code=own, hint=hint)


# ---- from an answer -------------------------------------------------------------------------------------------------


def error_for(response: Response, request: Request) -> MemtraceError:
    """The described exception for an answer of 300 and above."""
    text, hint = _error_text(response)
    error = _from_status(response, text, request)
    error.status_code = response.status
    error.hint = hint or error.hint
    error.response_body = response.body[:RESPONSE_BODY_KEPT]
    annotate(error, request)
    if request.context.idempotency != "read" and _may_have_stored(error):
        error.maybe_applied = True
        _tell_how_to_look(error)
    return error


def _may_have_stored(error: MemtraceError) -> bool:
    """A 500 of the storage says nothing about a write; in a batch, the items before the refused one were stored."""
    item = _ITEM.match(error.message)
    if item:
        return int(item[1]) > 0
    return isinstance(error, ServerError) and error.status_code == 500


def _error_text(response: Response) -> tuple[str, str | None]:
    """The server's own words and its hint; the body's text, cut, where it is not the server's JSON; else the status."""
    try:
        content = json.loads(response.body)
    except (ValueError, RecursionError):
        text = " ".join(response.body[:RESPONSE_BODY_KEPT].decode("utf-8", "replace").split())
        return _cut(
            redact_memory_text(text), _TEXT_SHOWN
        ) or f"HTTP {response.status}", None  # "Cannot GET", and the path
    error, hint = (content.get("error"), content.get("hint")) if isinstance(content, dict) else (None, None)
    if not isinstance(error, str) or not error:
        return f"HTTP {response.status}", None
    return _cut(without_sql(error), _ERROR_SHOWN), _cut(hint, _ERROR_SHOWN) if isinstance(hint, str) and hint else None


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[:length] + "…"


def _conflict(text: str, request: Request) -> ConflictError:
    if text == "duplicate memory":
        return ConflictError(text, code="duplicate_memory", hint=_DUPLICATE_HINT)
    taken = request.operation == "agents.register"
    return ConflictError(text, hint=_NAME_TAKEN_HINT if taken else None)


def _from_status(response: Response, text: str, request: Request) -> MemtraceError:
    status = response.status
    if status == 503 and "arc instance" in text.lower():
        return NoArcInstanceError(text)
    held = held_agent(text, request) if status == 404 else None
    if held is not None:
        return ConflictError(held, code="agent_in_use", hint="an agent that ever had a session cannot be deleted")
    if status == 404 or (status == 400 and text == "session not found"):
        return NotFoundError(text, hint=_by_its_id(request) if response.body.startswith(b"{") else _no_route(request))
    if status == 400 or (status == 500 and _ARGUMENT.match(text)):
        return _invalid(text, request)
    field = unreadable_time(text, request) if status == 500 else None
    if field is not None:
        return InvalidRequestError(
            f"{field} is no time that the server's storage can read", field=field, rule=TIME_RULE
        )
    if status < 400:
        return APIStatusError(
            f"the server redirects to {_location(response)}; redirects are not followed",
            code="redirect",
            hint="put that address into base_url (MEMTRACE_BASE_URL), if it is the server's",
        )
    if status == 405:
        return APIStatusError(text, hint=_no_route(request))
    if status == 409:
        return _conflict(text, request)
    return _of_the_service(response, text, request)


def _of_the_service(response: Response, text: str, request: Request) -> MemtraceError:
    """The error of a status that says nothing of this call's arguments."""
    status = response.status
    if status == 401:
        return AuthenticationError(text, hint="check api_key (MEMTRACE_API_KEY)")
    if status == 413:
        return PayloadTooLargeError(text, hint=_TOO_LARGE_HINT)
    if status == 429:
        return RateLimitError(
            text, retry_after=retry_after(response, request.context.clock.wall()), hint=_RATE_LIMIT_HINT
        )
    if status < 500:
        return APIStatusError(text)
    error = ServerError(text, status, hint=_STORAGE_DOWN_HINT if status in (502, 503, 504) else None)
    if is_storage_failure(error):
        error.hint = _NO_STORAGE_HINT
    return error


def retry_after(response: Response, now: float) -> float | None:
    """The seconds that an answer asks to wait, where it does. A date is taken against the answer's own, else `now`."""
    text = response.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    until = http_date(text)
    if until is None:
        return None
    sent = http_date(response.headers.get("date", ""))
    return max(until - (now if sent is None else sent), 0.0)


def _by_its_id(request: Request) -> str | None:
    """What to do about a name in a path that finds no agent, or cannot find one."""
    asked = request.path.rpartition("/")[2]
    if request.operation == "agents.get" and "%" in asked:
        return (
            "a name with other than letters, digits, '-', '.', '_' and '~' is never found by a path: use the agent's id"
        )
    if request.operation == "agents.delete" and not asked.startswith("agent_"):
        return "delete takes the agent's id, and not its name"
    return None


def _no_route(request: Request) -> str:
    if "/api/v1/api/v1/" in request.target or request.path.endswith(("/api/v1/health", "/api/v1/ready")):
        return "base_url ends in /api/v1, which the client adds itself: leave it out"
    return f"{NO_MEMTRACE_THERE} that has this route"


_DUPLICATE_HINT = "the same agent, event_type and first 200 bytes of content, or the same dedup_key, was stored within 24 hours; another dedup_key keeps both"
_NAME_TAKEN_HINT = "client.agents.get_or_register(name=...) gives the one that is there"
_TOO_LARGE_HINT = "a proxy before the server takes less: give a smaller chunk_size=, or store it in parts"
_RATE_LIMIT_HINT = "send less at once, or let a call wait longer: RetryPolicy(max_retry_after=...)"
_STORAGE_DOWN_HINT = (
    "the server, or a proxy before it, is down or busy: try again later; memtrace-sdk doctor looks at the way there"
)
_NO_STORAGE_HINT = "the organisation's storage (Arc) does not answer: look with client.ready(), and tell an admin"
_ITEM = re.compile(r"failed to create memory (\d+): ")
_ARGUMENT = re.compile(
    r"(?:failed to create memory (?P<item>\d+): )?"
    r"(?:(?P<required>\w+) is required|invalid (?P<invalid>agent_id|session_id|memory_type|event_type|tag|include_type)\b)"
)
_RULES = {"memory_type": "one of episodic, session, decision, entity"}
_OUR_NAMES = {"tag": "tags", "include_type": "include_types"}


def _invalid(text: str, request: Request) -> InvalidRequestError:
    unknown = unknown_agent(text, request)
    if unknown is not None:
        return InvalidRequestError(
            unknown,
            field="agent_id",
            rule="the id of a registered agent",
            code="unknown_agent",
            hint="no agent with this id is registered: use the id of client.agents.get_or_register(name=...)",
        )
    match = _ARGUMENT.match(text)
    if match is None:
        return InvalidRequestError(text)
    name = match["required"] or match["invalid"]
    field = _OUR_NAMES.get(name, name)
    if match["item"]:
        field = f"memories[{match['item']}].{field}"
    return InvalidRequestError(text, field=field, rule="required" if match["required"] else _rule(text, name))


def _rule(text: str, name: str) -> str | None:
    """What stands behind ``format: ``; the type of a memory to be written is refused without that."""
    _, found, rule = text.rpartition("format: ")
    return rule if found else _RULES.get(name)


def _location(response: Response) -> str:
    """Where a redirect points to, without query, fragment and credentials."""
    place = re.split("[?#]", response.headers.get("location", ""), maxsplit=1)[0]
    return _cut(redact_memory_text(re.sub("//[^/]*@", "//", place, count=1)), _TEXT_SHOWN) or "an unnamed place"

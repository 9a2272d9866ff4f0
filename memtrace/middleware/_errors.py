"""Errors: from a status or a failed transport to the exception that says what happened, where, and what to do."""

from __future__ import annotations

import re
from typing import Final

from memtrace._flow.composition import CallNext
from memtrace._flow.effects import foreign_failure, is_foreign
from memtrace._support.error_text import excerpt
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
from memtrace.middleware._causes import held_agent, unknown_agent, unreadable_time_field
from memtrace.middleware._hints import no_route_hint, server_hint, slow_hint, unreachable_hint
from memtrace.operations._recovery import http_date
from memtrace.operations._retry_rules import is_permanent, is_retryable, verdict_of
from memtrace.operations._server_messages import (
    ErrorMessage,
    is_duplicate_memory,
    is_missing_storage,
    missing_resource,
    read_error,
    refused_argument,
    refused_item,
)
from memtrace.operations._time_bounds import TIME_RULE
from memtrace.operations._validation import ID_FIELDS, id_hint
from memtrace.transport import Flow, Request, Response

_NOTHING_LEFT = 0.005  # seconds: timers of different clocks do not agree more closely


def raise_errors(request: Request, call_next: CallNext) -> Flow[Response]:
    """Raise the `MemtraceError` of a failed call. It is outermost, so every other middleware sees statuses.

    Args:
        request: The request.
        call_next: Passes the request on.

    Yields:
        The effects of the other middleware.

    Raises:
        MemtraceError: The response has an error status, or no response was received.
    """
    try:
        response = yield from call_next(request)
    except MemtraceError as error:
        failure = to_public_error(error, request)
    except Exception as error:
        if not is_foreign(error, request):  # a defect of a middleware
            raise
        failure = to_public_error(foreign_failure(error, request), request)
    else:
        if response.status >= 300 and is_failure(response, request):  # a success costs no call
            raise error_for(response, request)
        return response
    raise failure  # out here, where it has no context


def is_failure(response: Response, request: Request) -> bool:
    """Whether this answer is none that the operation can read: 300 and above, unless it accepts the status."""
    return response.status >= 300 and response.status not in request.context.accepts


def to_public_error(error: MemtraceError, request: Request) -> MemtraceError:
    """`error` as the call raises it: described, and of the class that fits its cause."""
    told = _specific(error, request) if isinstance(error, TransportError) else error
    annotate(told, request)
    if told is not error:
        told.__cause__ = error.__cause__ or error
    return told


def annotate(error: MemtraceError, request: Request) -> None:
    """Fill in which call failed, and whether a retry is safe. An error that is already described is left unchanged."""
    if error.request is not None:
        return
    context = request.context
    if error.hint == NO_MEMTRACE_THERE:
        error.hint = server_hint(request, NO_MEMTRACE_THERE)
    error.request = RequestInfo(request.method, request.redacted_path, request.operation)
    error.attempts = context.attempt
    error.elapsed = context.elapsed()
    error.last_cause = context.retried_after
    if isinstance(error, TransportError) and error.maybe_sent and context.idempotency != "read":
        context.maybe_applied = True  # a middleware may have raised it, past the transport
    error.maybe_applied = context.maybe_applied
    error.retryable = is_retryable(
        verdict_of(error),
        context.idempotency,
        maybe_applied=context.maybe_applied,
        permanent=is_permanent(error),
    )
    if error.maybe_applied:
        _tell_how_to_look(error)


def _tell_how_to_look(error: MemtraceError) -> None:
    """Say first how to find out whether a write was applied."""
    look = _LOOKUP_HINTS.get(error.request.operation) if error.request is not None else None
    if look is not None and not (error.hint or "").startswith(look):
        error.hint = look if error.hint is None else f"{look}; {error.hint}"


_LOOK_FOR_ROWS = "before you retry, look for it: memories.list(agent_id=...), about two seconds later"
_LOOKUP_HINTS = {
    "memories.add": _LOOK_FOR_ROWS,
    "memories.add_many": _LOOK_FOR_ROWS,
    "sessions.create": "before you retry, look for it: sessions.list(agent_id=...), by created_at",
    "agents.register": "before you retry, look for it: agents.get_or_register(name=...) finds it",
}


# ---- without a response ---------------------------------------------------------------------------------------------


def _specific(error: TransportError, request: Request) -> TransportError:
    if type(error) is not TransportError:
        return error
    remaining = request.context.remaining()
    if error.cause == "timeout" and remaining is not None and remaining <= _NOTHING_LEFT:
        return _remade(DeadlineExceededError, error, "raise the deadline, or leave it out", "deadline")
    if error.cause == "timeout":
        return _remade(APITimeoutError, error, slow_hint(request), "timeout")
    if error.cause in ("connect", "reset"):
        return _remade(APIConnectionError, error, *unreachable_hint(request))
    return error


def _remade(kind: type[TransportError], error: TransportError, hint: str, argument: str | None) -> TransportError:
    own = None if error.code == TransportError().code else error.code  # a transport may have its own slug
    if error.hint:
        hint, argument = error.hint, error.argument  # the transport knows better where to look
    return kind(
        error.message,
        cause=error.cause,
        maybe_sent=error.maybe_sent,
        permanent=error.permanent,
        code=own,
        hint=hint,
        argument=argument,
    )


# ---- from a response ------------------------------------------------------------------------------------------------


def error_for(response: Response, request: Request) -> MemtraceError:
    """The described exception for a response with a status of 300 and above."""
    said = read_error(response)
    error = _from_status(response, said, request)
    error.status_code = response.status
    error.hint = said.hint or error.hint
    error.response_body = response.body[:RESPONSE_BODY_KEPT]
    annotate(error, request)
    if request.context.idempotency != "read" and _may_have_stored(error):
        error.maybe_applied = True
        _tell_how_to_look(error)
    return error


def _may_have_stored(error: MemtraceError) -> bool:
    """A 500 of the storage says nothing about a write; in a batch, the items before the refused one were stored."""
    item = refused_item(error.message)
    if item is not None:
        return item > 0
    return isinstance(error, ServerError) and error.status_code == 500


def _conflict(text: str, request: Request) -> ConflictError:
    if is_duplicate_memory(text):
        return ConflictError(text, code="duplicate_memory", hint=_DUPLICATE_HINT)
    taken = request.operation == "agents.register"
    return ConflictError(text, hint=_NAME_TAKEN_HINT if taken else None)


def _from_status(response: Response, said: ErrorMessage, request: Request) -> MemtraceError:
    status, text = response.status, said.text
    if status == 503 and is_missing_storage(text):
        return NoArcInstanceError(text)
    held = held_agent(text, request) if status == 404 else None
    if held is not None:
        return ConflictError(held, code="agent_in_use", hint="an agent that ever had a session cannot be deleted")
    if status == 404 or (status == 400 and missing_resource(text) == "session"):
        if said.is_from_server:
            return NotFoundError(text, hint=_by_its_id(request))
        return NotFoundError(text, hint=no_route_hint(request), argument="base_url")
    if status == 400 or (status == 500 and refused_argument(text) is not None):
        return _invalid(text, request)
    field = unreadable_time_field(text, request) if status == 500 else None
    if field is not None:
        return InvalidRequestError(
            f"{field} is not a time that the server's storage can read", field=field, rule=TIME_RULE
        )
    if status < 400:
        return APIStatusError(
            f"the server redirects to {_location(response)}; redirects are not followed",
            code="redirect",
            hint=server_hint(request, "make that address the base URL, if it is the server's"),
            argument="base_url",
        )
    if status == 405:
        return APIStatusError(text, hint=no_route_hint(request), argument="base_url")
    if status == 409:
        return _conflict(text, request)
    return _of_the_service(response, text, request)


def _of_the_service(response: Response, text: str, request: Request) -> MemtraceError:
    """The error of a status that says nothing of this call's arguments."""
    status = response.status
    if status == 401:
        return AuthenticationError(text, hint="check the API key", argument="api_key")
    if status == 413:
        argument = "chunk_size" if request.operation == "memories.add_many" else None
        return PayloadTooLargeError(text, hint=server_hint(request, _TOO_LARGE_HINT), argument=argument)
    if status == 429:
        wait = retry_after(response, request.context.clock.wall())
        return RateLimitError(text, retry_after=wait, hint=_RATE_LIMIT_HINT, argument="retry")
    if status < 500:
        return APIStatusError(text)
    error = ServerError(text, status)
    if status in (502, 503, 504):
        error.hint = server_hint(request, _STORAGE_DOWN_HINT)
    if verdict_of(error) == "storage_failed":
        error.hint = server_hint(request, _NO_STORAGE_HINT)
    return error


LONGEST_RETRY_AFTER: Final = 366 * 86_400.0
"""The most seconds that `retry_after` gives: every system can wait so long, and nobody does."""


def retry_after(response: Response, now: float) -> float | None:
    """The seconds that a response asks to wait, if any. A date is relative to the response's date, else to `now`."""
    text = response.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_RETRY_AFTER)  # of very many digits it is infinity
    until = http_date(text)
    if until is None:
        return None
    sent = http_date(response.headers.get("date", ""))
    return min(max(until - (now if sent is None else sent), 0.0), LONGEST_RETRY_AFTER)


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


_DUPLICATE_HINT = "the same agent, event_type and first 200 bytes of content, or the same dedup_key, was stored within 24 hours; another dedup_key, or a client with dedup='per_call', keeps both"
_NAME_TAKEN_HINT = "client.agents.get_or_register(name=...) returns the existing one"
_TOO_LARGE_HINT = "a proxy before the server accepts less: send less at once, or store it in parts"
_RATE_LIMIT_HINT = "send less at once, or let a call wait longer"
_STORAGE_DOWN_HINT = (
    "the server, or a proxy before it, is down or busy: try again later, or look with memtrace-sdk doctor"
)
_NO_STORAGE_HINT = "the organisation's storage (Arc) does not respond: ask an admin"


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
    refused = refused_argument(text)
    if refused is None:
        return InvalidRequestError(text)
    item = "" if refused.item is None else f"memories[{refused.item}]."
    is_id = refused.field in ID_FIELDS and refused.rule != "required"
    hint = id_hint(refused.field) if is_id else None
    return InvalidRequestError(text, field=f"{item}{refused.field}", rule=refused.rule, hint=hint)


def _location(response: Response) -> str:
    """Where a redirect points to, without query, fragment and credentials."""
    place = re.split("[?#]", response.headers.get("location", ""), maxsplit=1)[0]
    return excerpt(redact_memory_text(re.sub("//[^/]*@", "//", place, count=1))) or "an unnamed place"

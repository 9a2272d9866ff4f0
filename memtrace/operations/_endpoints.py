"""Each endpoint once: from arguments to an `Operation`, which has the request and the reader of its response.

No I/O and no waiting happens here. Arguments that the server would reject, cap or ignore raise `InvalidRequestError`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Final, Generic, TypeVar
from urllib.parse import quote, urlencode
from uuid import uuid4

from pydantic import AfterValidator, BaseModel, Field, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from memtrace._support.error_text import printable
from memtrace._support.urls import redact_memory_text
from memtrace.clock import Clock, SystemClock
from memtrace.exceptions import PayloadTooLargeError
from memtrace.models import (
    WIRE,
    AddMemoryRequest,
    Agent,
    AgentList,
    AgentStats,
    ContextOptions,
    CreateSessionRequest,
    Health,
    ListOptions,
    Memory,
    MemoryList,
    RegisterAgentRequest,
    SearchQuery,
    SearchResult,
    Session,
    SessionContext,
    SessionList,
    UpdateSessionRequest,
)
from memtrace.operations._dense_json import SMALL, first_error, is_dense, validate_dense
from memtrace.operations._recovery import AgentRecovery, BatchRecovery, DeletionRecovery, MemoryRecovery
from memtrace.operations._retry_policy import Dedup
from memtrace.operations._sent_memories import CallKey, is_deduplicated, places_of
from memtrace.operations._time_bounds import to_lookback, to_query
from memtrace.operations._validation import (
    check_id,
    check_importance,
    check_limit,
    check_offset,
    check_tag,
    check_tags,
    check_type,
    check_types,
    invalid,
    path_segment,
    require_non_empty,
    split_tags,
    trim_tag,
)
from memtrace.transport import Idempotency, Method, Recovery, Response

T = TypeVar("T")
ModelT = TypeVar("ModelT", bound=BaseModel)

MAX_BODY = 4 * 1024 * 1024
"""Bytes of a request body; over that the server cuts the connection."""

_API = "/api/v1"
_NO_STATUSES: frozenset[int] = frozenset()
_SYSTEM_CLOCK = SystemClock()


@dataclass(frozen=True, slots=True, repr=False)
class Operation(Generic[T]):
    """One call of one endpoint: its request, its retry rules, and how its response is parsed.

    `name` is its name in logs and errors, such as ``memories.add``. `target` is the path with its
    query, percent-encoded, without the base URL. `accepts` has the error statuses that `parse` can
    read.
    """

    name: str
    method: Method
    target: str
    parse: Callable[[Response], T]
    idempotency: Idempotency
    body: bytes | None = None
    accepts: frozenset[int] = _NO_STATUSES
    #: Header fields of this request alone; they win over the client's.
    headers: tuple[tuple[str, str], ...] = ()
    #: Finds what an earlier attempt without a response has stored, if it can.
    recovery: Recovery | None = field(default=None, compare=False)
    #: The earliest moment, by the server's clock, at which a process that is gone may have sent it; it is looked for then.
    sent_since: datetime | None = field(default=None, compare=False)
    #: Adds to a result what the body says that went out: a middleware may have changed it.
    complete: Callable[[T, bytes | None], T] | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        size = "no body" if self.body is None else f"{len(self.body)} bytes"
        return f"<Operation {self.name}: {self.method} {redact_memory_text(self.target.partition('?')[0])}, {size}>"


# ---- memories -------------------------------------------------------------------------------------------------------


class AddedMemories(BaseModel):
    """The response to a batch. It silently omits duplicates."""

    memories: list[Memory]
    count: int
    #: The item that the server rejected after it had stored those before it. Recovery creates such a response.
    rejected: RejectedItem | None = None
    #: The place, from 0, of the item of each memory. None if the response has memories that were not sent.
    places: list[int] | None = None
    #: The places of items that an attempt without a response has not stored, so that they may be sent separately.
    unsent: list[int] = []


class RejectedItem(BaseModel):
    """The item of a batch that the server rejected: its place from 0, and the server's message."""

    item: int = Field(ge=0)
    error: Annotated[str, AfterValidator(printable)]


def add_memory(request: AddMemoryRequest, dedup: Dedup = "server") -> Operation[Memory]:
    """Store one memory. The server rejects a duplicate of the last 24 hours with a 409.

    Args:
        request: The memory.
        dedup: ``per_call`` gives it a unique key if it has no `dedup_key`, so that it has no
            duplicates. ``server`` leaves it to the server's rule.

    Returns:
        The operation.

    Raises:
        InvalidRequestError: A field breaks a rule of the server.
        PayloadTooLargeError: The memory is over 4 MiB.
    """
    if dedup == "per_call" and not request.dedup_key:
        request = request.model_copy(update={"dedup_key": CallKey(uuid4().hex)})  # as below, without its frame
    body = memory_body(request)
    if not is_deduplicated(request):
        return Operation("memories.add", "POST", f"{_API}/memories", response_parser(Memory), "non_idempotent", body)
    recovery = MemoryRecovery(request)
    return Operation(
        "memories.add", "POST", f"{_API}/memories", response_parser(Memory), "keyed", body, recovery=recovery
    )


def with_dedup_key(request: AddMemoryRequest) -> AddMemoryRequest:
    """A copy with a duplicate key that nothing else has."""
    return request.model_copy(update={"dedup_key": CallKey(uuid4().hex)})


def add_memories(
    requests: Sequence[AddMemoryRequest], bodies: Sequence[bytes] | None = None
) -> Operation[AddedMemories]:
    """Store several memories in one request.

    Args:
        requests: The memories, one or more.
        bodies: Their `memory_body`, if you have them already.

    Returns:
        The operation.

    Raises:
        InvalidRequestError: The batch is empty, which the server would read as one memory, or a
            field breaks a rule of the server.
        PayloadTooLargeError: A memory is over 4 MiB.
    """
    if not requests:
        raise invalid("memories", "not empty", "the server would read an empty batch as one memory")
    written = [memory_body(request) for request in requests] if bodies is None else bodies
    body = check_body_size(b'{"memories":[' + b",".join(written) + b"]}")
    idempotency: Idempotency = "keyed" if all(map(is_deduplicated, requests)) else "non_idempotent"

    def with_places(added: AddedMemories, sent: bytes | None) -> AddedMemories:
        return added.model_copy(update={"places": places_of(added.memories, requests, sent)})

    return Operation(
        "memories.add_many",
        "POST",
        f"{_API}/memories",
        response_parser(AddedMemories),
        idempotency,
        body,
        recovery=BatchRecovery(requests),
        complete=with_places,
    )


def memory_body(request: AddMemoryRequest) -> bytes:
    """Serialise one memory as it is sent.

    Args:
        request: The memory.

    Returns:
        The JSON, as bytes.

    Raises:
        InvalidRequestError: A field breaks a rule of the server. The rules are checked in the
            server's order.
        PayloadTooLargeError: The memory is over 4 MiB.
    """
    require_non_empty(request.agent_id, "agent_id")
    require_non_empty(request.content, "content")
    check_id(request.agent_id, "agent_id")
    if request.session_id:
        check_id(request.session_id, "session_id")
    check_type(request.event_type, "event_type")
    if request.tags:
        check_tags(request.tags)
    return _body(request)


def list_memories(
    options: ListOptions, clock: Clock = _SYSTEM_CLOCK, name: str = "memories.list"
) -> Operation[MemoryList]:
    """Read memories by filters, newest first by default.

    Args:
        options: The filters.
        clock: The clock that relative times count from.
        name: The operation's name in logs and errors.

    Returns:
        The operation.

    Raises:
        InvalidRequestError: A filter breaks a rule of the server.
    """
    return _list(name, f"{_API}/memories", options, clock)


def agent_memories(agent_id: str, options: ListOptions, clock: Clock = _SYSTEM_CLOCK) -> Operation[MemoryList]:
    """Read one agent's memories, of the last 24 hours by default.

    The agent's own route ignores tags, until, offset and session_id. With one of these the general
    route is used.

    Args:
        agent_id: The agent's ID.
        options: The filters.
        clock: The clock that relative times count from.

    Returns:
        The operation.

    Raises:
        InvalidRequestError: A filter breaks a rule of the server.
    """
    if any(map(_is_given, (options.tags, options.until, options.offset, options.session_id))):
        return list_memories(for_agent(agent_id, options), clock, "agents.memories")
    options = options.model_copy(update={"agent_id": None})
    return _list("agents.memories", f"{_API}/agents/{path_segment(agent_id, 'agent_id')}/memories", options, clock)


def session_memories(session_id: str, options: ListOptions, clock: Clock = _SYSTEM_CLOCK) -> Operation[MemoryList]:
    """Read one session's memories, of all times by default.

    The session's own route knows only memory_type, since, limit and order. With another option the
    general route is used.

    Args:
        session_id: The session's ID.
        options: The filters.
        clock: The clock that relative times count from.

    Returns:
        The operation.

    Raises:
        InvalidRequestError: A filter breaks a rule of the server.
    """
    if any(map(_is_given, (options.tags, options.until, options.offset, options.agent_id, options.event_type))):
        return list_memories(for_session(session_id, options), clock, "sessions.memories")
    options = options.model_copy(update={"session_id": None})
    return _list(
        "sessions.memories", f"{_API}/sessions/{path_segment(session_id, 'session_id')}/memories", options, clock
    )


def for_agent(agent_id: str, options: ListOptions) -> ListOptions:
    """The options with which the general route reads one agent's memories, of the last 24 hours by default.

    Raises `InvalidRequestError` when `agent_id` is empty: as a filter it would mean everyone.
    """
    require_non_empty(agent_id, "agent_id")
    since = options.since if _is_given(options.since) else "24h"
    return options.model_copy(update={"agent_id": agent_id, "since": since})


def for_session(session_id: str, options: ListOptions) -> ListOptions:
    """The options with which the general route reads one session's memories.

    Raises `InvalidRequestError` when `session_id` is empty: as a filter it would mean every session.
    """
    require_non_empty(session_id, "session_id")
    return options.model_copy(update={"session_id": session_id})


def _is_given(option: object) -> bool:
    """Whether an option does anything: None, the empty text, no tags and no offset do not."""
    return option is not None and option not in ("", [], 0)


def search_memories(query: SearchQuery, clock: Clock = _SYSTEM_CLOCK) -> Operation[SearchResult]:
    """Read memories by filters and a part of their content.

    Args:
        query: The filters.
        clock: The clock that relative times count from.

    Returns:
        The operation.

    Raises:
        InvalidRequestError: A filter breaks a rule of the server.
    """
    check_id(query.agent_id, "agent_id")
    check_id(query.session_id, "session_id")
    check_types(query.memory_types, "memory_types")
    check_types(query.event_types, "event_types")
    tags = split_tags(query.tags) if isinstance(query.tags, str) else query.tags
    check_tags(tags)
    check_limit(query.limit)
    _check_match(query)
    check_importance(query.min_importance)
    times = {"since": to_query(query.since, "since", clock), "until": to_query(query.until, "until", clock)}
    body = _body(query.model_copy(update={**times, "tags": tags}), exclude={"tags_match"})
    return Operation("memories.filter", "POST", f"{_API}/search", response_parser(SearchResult), "read", body)


_LIST_CHECKS: Final[dict[str, Callable[[Any, str], None]]] = {
    "agent_id": check_id,
    "session_id": check_id,
    "memory_type": check_type,
    "event_type": check_type,
    "limit": check_limit,
    "offset": check_offset,
}


def _list(name: str, path: str, options: ListOptions, clock: Clock) -> Operation[MemoryList]:
    for field_name, check in _LIST_CHECKS.items():
        value = getattr(options, field_name)
        if value is not None:
            check(value, field_name)
    _check_match(options)
    query = {
        "agent_id": options.agent_id,
        "session_id": options.session_id,
        "memory_type": options.memory_type,
        "event_type": options.event_type,
        "tags": _tags(options.tags) if options.tags else None,
        "since": None if options.since is None else to_query(options.since, "since", clock),
        "until": None if options.until is None else to_query(options.until, "until", clock),
        "limit": options.limit,
        "offset": options.offset,
        "order": options.order,
    }
    return Operation(name, "GET", _with_query(path, query), response_parser(MemoryList), "read")


def _check_match(options: ListOptions | SearchQuery) -> None:
    """Refuse what one request cannot do."""
    if options.tags_match == "exact":
        raise invalid(
            "tags_match", "'substring' in an operation", "only client.memories reads on past what a tag is a part of"
        )


def _tags(tags: str | list[str]) -> str:
    """Tags as the server's comma-separated string. A comma within a tag of a list raises."""
    if isinstance(tags, str):
        for tag in split_tags(tags):
            check_tag(tag, "tags")
        return tags
    trimmed = [trim_tag(tag) for tag in tags]
    check_tags(trimmed)
    return ",".join(trimmed)


# ---- agents ---------------------------------------------------------------------------------------------------------


def register_agent(request: RegisterAgentRequest) -> Operation[Agent]:
    """Register an agent. The server rejects a taken name with a 409.

    Args:
        request: The agent.

    Returns:
        The operation.

    Raises:
        InvalidRequestError: A field breaks a rule of the server.
    """
    require_non_empty(request.name, "name")
    return Operation(
        "agents.register",
        "POST",
        f"{_API}/agents",
        response_parser(Agent),
        "keyed",
        _body(request),
        recovery=AgentRecovery(request),
    )


def list_agents() -> Operation[AgentList]:
    """List all agents of the organisation.

    Returns:
        The operation.
    """
    return Operation("agents.list", "GET", f"{_API}/agents", response_parser(AgentList), "read")


def get_agent(agent_id: str) -> Operation[Agent]:
    """Fetch an agent by ID or name.

    The server does not decode paths, so a name with a space, a slash or a non-ASCII letter gets a
    404.

    Args:
        agent_id: The agent's ID or name.

    Returns:
        The operation.

    Raises:
        InvalidRequestError: The ID is empty.
    """
    return Operation(
        "agents.get", "GET", f"{_API}/agents/{path_segment(agent_id, 'agent_id')}", response_parser(Agent), "read"
    )


def agent_stats(agent_id: str) -> Operation[AgentStats]:
    """Count what is stored under an agent's ID.

    Args:
        agent_id: The agent's ID.

    Returns:
        The operation.

    Raises:
        InvalidRequestError: The ID is empty.
    """
    path = f"{_API}/agents/{path_segment(agent_id, 'agent_id')}/stats"
    return Operation("agents.stats", "GET", path, response_parser(AgentStats), "read")


def delete_agent(agent_id: str) -> Operation[None]:
    """Delete an agent by ID. Its memories stay. The server rejects it if the agent ever had a session.

    Args:
        agent_id: The agent's ID.

    Returns:
        The operation.

    Raises:
        InvalidRequestError: The ID is empty.
    """
    path = f"{_API}/agents/{path_segment(agent_id, 'agent_id')}"
    return Operation("agents.delete", "DELETE", path, _parse_nothing, "idempotent", recovery=DeletionRecovery())


# ---- sessions -------------------------------------------------------------------------------------------------------


def create_session(request: CreateSessionRequest) -> Operation[Session]:
    """Open a session of a registered agent.

    Args:
        request: The session.

    Returns:
        The operation.

    Raises:
        InvalidRequestError: A field breaks a rule of the server.
    """
    require_non_empty(request.agent_id, "agent_id")
    return Operation(
        "sessions.create", "POST", f"{_API}/sessions", response_parser(Session), "non_idempotent", _body(request)
    )


def get_session(session_id: str) -> Operation[Session]:
    """Fetch a session.

    Args:
        session_id: The session's ID.

    Returns:
        The operation.

    Raises:
        InvalidRequestError: The ID is empty.
    """
    return Operation("sessions.get", "GET", _session_path(session_id), response_parser(Session), "read")


def list_sessions(agent_id: str | None = None) -> Operation[SessionList]:
    """List the sessions of one agent, or all.

    Args:
        agent_id: The agent's ID. Default: all agents.

    Returns:
        The operation.
    """
    return Operation(
        "sessions.list",
        "GET",
        _with_query(f"{_API}/sessions", {"agent_id": agent_id}),
        response_parser(SessionList),
        "read",
    )


def update_session(session_id: str, request: UpdateSessionRequest) -> Operation[Session]:
    """Change a session's status or metadata. The server rejects an unknown session with a 400.

    Args:
        session_id: The session's ID.
        request: The changes.

    Returns:
        The operation.

    Raises:
        InvalidRequestError: A field breaks a rule of the server.
    """
    return Operation(
        "sessions.update", "PUT", _session_path(session_id), response_parser(Session), "idempotent", _body(request)
    )


def close_session(session_id: str) -> Operation[Session]:
    """Set a session's status to ``closed``. Closing it again updates `closed_at`.

    Args:
        session_id: The session's ID.

    Returns:
        The operation.

    Raises:
        InvalidRequestError: The ID is empty.
    """
    body = _body(UpdateSessionRequest(status="closed"))
    return Operation("sessions.close", "PUT", _session_path(session_id), response_parser(Session), "idempotent", body)


def session_context(
    session_id: str, options: ContextOptions, clock: Clock = _SYSTEM_CLOCK
) -> Operation[SessionContext]:
    """Let the server render a session's memories as Markdown.

    Args:
        session_id: The session's ID.
        options: The time range and the size.
        clock: The clock that relative times count from.

    Returns:
        The operation.

    Raises:
        InvalidRequestError: A filter breaks a rule of the server.
    """
    check_types(options.include_types, "include_types")
    body = _body(options.model_copy(update={"since": to_lookback(options.since, "since", clock)}))
    return Operation(
        "sessions.context",
        "POST",
        f"{_session_path(session_id)}/context",
        response_parser(SessionContext),
        "read",
        body,
    )


def _session_path(session_id: str) -> str:
    return f"{_API}/sessions/{path_segment(session_id, 'session_id')}"


# ---- the server -----------------------------------------------------------------------------------------------------


def health() -> Operation[Health]:
    """Check whether the server runs. It needs no valid key.

    Returns:
        The operation.
    """
    return Operation("health", "GET", "/health", response_parser(Health), "read")


def ready() -> Operation[bool]:
    """Check whether the server can reach its storage. A 503 means that it cannot.

    Returns:
        The operation.
    """
    return Operation("ready", "GET", "/ready", _is_ready, "read", accepts=frozenset({503}))


def _is_ready(response: Response) -> bool:
    return response.status < 400 and response_parser(_Readiness)(response).status == "ready"


class _Readiness(BaseModel):
    status: str


# ---- bodies, queries and answers ------------------------------------------------------------------------------------


def _body(model: BaseModel, exclude: set[str] | None = None) -> bytes:
    """`model` as JSON without its None fields; what lies inside metadata is sent as it is."""
    try:
        body = model.__pydantic_serializer__.to_json(model, exclude=exclude, exclude_none=True)
        if b"null" in body:
            check_finite(model)
        if b"\xef\xbf\xbd" in body:
            check_characters(model)
    except (PydanticSerializationError, ValueError) as error:
        raise invalid(
            _unwritable_field(model), "JSON: whole Unicode characters, finite numbers", "it cannot be written"
        ) from error
    return check_body_size(body)


def check_body_size(body: bytes) -> bytes:
    """`body`, unless it is over 4 MiB, which raises `PayloadTooLargeError`."""
    if len(body) > MAX_BODY:
        raise PayloadTooLargeError(
            f"the request body has {len(body)} bytes; the server takes {MAX_BODY}", 0, hint="store it in parts"
        )
    return body


def check_finite(model: BaseModel, include: set[str] | None = None) -> None:
    """Raise `ValueError` for a number that is not finite: pydantic writes null in its place, which is another value."""
    text = to_json(model.model_dump(include=include), inf_nan_mode="constants", fallback=repr)
    json.loads(text, parse_constant=_refuse_constant)


def check_characters(model: BaseModel, include: set[str] | None = None) -> None:
    """Raise `ValueError` for half a character: pydantic writes U+FFFD for one in a key of a field's dict, and keys may collide."""
    json.dumps(model.model_dump(include=include), ensure_ascii=False, default=repr).encode()


def _refuse_constant(name: str) -> None:
    raise ValueError(f"JSON has no {name}")


def _unwritable_field(model: BaseModel) -> str:
    """The first field that by itself cannot be written either."""
    names = type(model).model_fields
    iterators_may_be_in = [name for name in names if isinstance(getattr(model, name, None), dict)]  # and read up by now
    return next((name for name in names if not _is_writable(model, name)), [*iterators_may_be_in, *names][0])


def _is_writable(model: BaseModel, field: str) -> bool:
    try:
        model.model_dump_json(include={field})
        check_finite(model, {field})
        check_characters(model, {field})
    except (PydanticSerializationError, ValueError):
        return False
    return True


def _with_query(path: str, query: Mapping[str, str | int | None]) -> str:
    given: list[tuple[str, str | int]] = []
    for name, value in query.items():
        if value is None or value == "":
            continue
        if isinstance(value, str) and not value.isascii():
            path_segment(value, name)
        given.append((name, value))
    return f"{path}?{urlencode(given, quote_via=quote)}" if given else path


def response_parser(model: type[ModelT]) -> Callable[[Response], ModelT]:
    """Create the `parse` function of an operation.

    Args:
        model: The model of the response.

    Returns:
        A function that parses a `Response`. It raises `ResponseDecodeError`.

    Example:
        >>> response_parser(Health)(Response(200, body=b'{"status": "ok", "service": "memtrace", "uptime": "5s"}')).uptime
        '5s'
    """
    read = _PARSERS.get(model)
    if read is None:
        read = _PARSERS[model] = _make_parser(model)
    return read  # type: ignore[return-value]  # the table maps each model to its own reader


_PARSERS: dict[type[BaseModel], Callable[[Response], BaseModel]] = {}


def _make_parser(model: type[ModelT]) -> Callable[[Response], ModelT]:
    validate = model.__pydantic_validator__.validate_json

    def read(response: Response) -> ModelT:
        body = response.body
        try:
            # its length first, which takes no call
            return validate_dense(model, body) if len(body) > SMALL and is_dense(body) else validate(body, context=WIRE)
        except ValidationError as error:
            first = first_error(error)
            place = ".".join(map(str, first["loc"]))
            problem = f"{place}: {first['type']}" if place else first["type"]
        except ValueError:
            problem = "json_invalid"
        raise response.unreadable(model.__name__, problem)

    return read


def _parse_nothing(response: Response) -> None:
    if response.body:
        raise response.unreadable("empty answer", f"{len(response.body)} bytes")

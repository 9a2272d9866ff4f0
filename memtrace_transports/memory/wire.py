"""HTTP over the engine: routing, authentication, and the form of every answer."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from dataclasses import replace
from email.utils import formatdate

from memtrace.exceptions import TransportError
from memtrace.transport import Headers, Request, Response
from memtrace_transports.memory import agent_routes, memory_routes, session_routes
from memtrace_transports.memory.calls import Call, json_response, read_query, refusal_response, text_response
from memtrace_transports.memory.engine import Engine
from memtrace_transports.memory.json_writer import Writable
from memtrace_transports.memory.organisations import OrganisationState
from memtrace_transports.memory.refusals import Refusal, no_storage
from memtrace_transports.memory.timestamps import SECOND, duration_text

__all__ = ["BODY_LIMIT", "answer"]

BODY_LIMIT = 4 * 1024 * 1024
"""The largest body in bytes; over it the server cuts the connection."""

_Handler = Callable[[Engine, OrganisationState, Call], Response]
_OpenHandler = Callable[[Engine], Response]

_PREFIX = ("api", "v1")
_ROUTES: Mapping[tuple[str, ...], Mapping[str, _Handler]] = {
    ("memories",): {"GET": memory_routes.list_memories, "POST": memory_routes.create_memories},
    ("memories", "*"): {"GET": memory_routes.find_memory},
    ("search",): {"POST": memory_routes.search_memories},
    ("agents",): {"GET": agent_routes.list_agents, "POST": agent_routes.create_agent},
    ("agents", "*"): {"GET": agent_routes.get_agent, "DELETE": agent_routes.delete_agent},
    ("agents", "*", "memories"): {"GET": memory_routes.agent_memories},
    ("agents", "*", "stats"): {"GET": agent_routes.agent_stats},
    ("sessions",): {"GET": session_routes.list_sessions, "POST": session_routes.create_session},
    ("sessions", "*"): {"GET": session_routes.get_session, "PUT": session_routes.update_session},
    ("sessions", "*", "memories"): {"GET": memory_routes.session_memories},
    ("sessions", "*", "context"): {"POST": session_routes.session_context},
}


def answer(engine: Engine, request: Request) -> Response:
    """Answer one request as the server does. `request.method` may be any text.

    Raises TransportError, cause ``reset``, for a body over `BODY_LIMIT`, and nothing else.
    """
    if len(request.body or b"") > BODY_LIMIT:
        raise TransportError("the server cut the connection", cause="reset", maybe_sent=True)
    try:
        response = _route(engine, request)
    except Refusal as refusal:
        response = refusal_response(refusal)
    return _finished(engine, request.method, response)


def _finished(engine: Engine, method: str, response: Response) -> Response:
    """`response` with its date, and without its body where HEAD asked."""
    date = formatdate(engine.timeline.now() // SECOND, usegmt=True)
    headers = Headers([("Date", date), *response.headers.pairs])
    return replace(response, headers=headers, body=b"" if method == "HEAD" else response.body)


def _route(engine: Engine, request: Request) -> Response:
    target = request.target.partition("#")[0]
    path, _, query = target.partition("?")
    segments = tuple(path.rstrip("/").split("/")[1:]) if path.startswith("/") else ()
    folded = tuple(segment.lower() for segment in segments)
    if folded[:2] != _PREFIX:
        return _open_route(engine, request.method, path, folded)
    org = _authenticate(engine, request.headers)
    engine.deliver(org)
    handlers = _ROUTES.get(_pattern(folded[2:]))
    if handlers is None:
        return _no_route(request.method, path)
    handler = handlers.get(_read_method(request.method))
    if handler is None:
        return _no_method()
    content_type = _first(request.headers, "content-type")
    return handler(engine, org, Call(segments[3:4], read_query(query), content_type, request.body or b""))


def _pattern(segments: tuple[str, ...]) -> tuple[str, ...]:
    """The path with its variable segment starred; what is empty there is no segment."""
    if len(segments) > 1 and segments[1]:
        return (segments[0], "*", *segments[2:])
    return segments


def _open_route(engine: Engine, method: str, path: str, folded: tuple[str, ...]) -> Response:
    """The two routes that need no key."""
    handler = _OPEN_ROUTES.get(folded)
    if handler is None:
        return _no_route(method, path)
    return handler(engine) if _read_method(method) == "GET" else _no_method()


def _read_method(method: str) -> str:
    """HEAD works where GET does."""
    return "GET" if method == "HEAD" else method


def _no_route(method: str, path: str) -> Response:
    return text_response(
        404, f"Cannot {method} {html.escape(path).replace('&quot;', '&#34;').replace('&#x27;', '&#39;')}"
    )


def _no_method() -> Response:
    return text_response(405, "Method Not Allowed")


def _authenticate(engine: Engine, headers: Headers) -> OrganisationState:
    """Whose request this is: ``x-api-key`` first, then ``Authorization`` with or without ``Bearer``."""
    key = _first(headers, "x-api-key")
    if not key:
        authorization = _first(headers, "authorization")
        if not authorization:
            raise Refusal(401, "missing API key")
        key = authorization.removeprefix("Bearer ")
        if key == "Bearer" or " " in key:  # no key, and no new one with `any_key`: another scheme, or "bearer"
            raise Refusal(401, "invalid API key")
    org = engine.organisation_of(key)
    if org is None:
        raise Refusal(401, "invalid API key")
    return org


def _first(headers: Headers, name: str) -> str:
    """The first value of a header, trimmed; "" when there is none."""
    values = headers.get_all(name)
    return values[0].strip(" \t") if values else ""


def _health(engine: Engine) -> Response:
    """``GET /health``: always well."""
    uptime = duration_text(engine.timeline.elapsed() - engine.timeline.started)
    members: dict[str, Writable] = {"status": "ok", "service": "memtrace", "uptime": uptime, "arc": _arcs(engine)}
    return json_response(200, members)


def _ready(engine: Engine) -> Response:
    """``GET /ready``: ready when there is storage and all of it can be reached."""
    arcs = _arcs(engine)
    if not arcs:
        return json_response(503, {"status": "not ready", "reason": "no_instances", "hint": no_storage().hint})
    if not all(arcs.values()):
        return json_response(503, {"status": "not ready", "arc": arcs})
    return json_response(200, {"status": "ready", "arc": arcs})


def _arcs(engine: Engine) -> dict[str, Writable]:
    return {**engine.arcs()}


_OPEN_ROUTES: Mapping[tuple[str, ...], _OpenHandler] = {("health",): _health, ("ready",): _ready}

"""HTTP over the engine: routing, authentication, and the form of every answer."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from email.utils import formatdate
from functools import lru_cache

from memtrace.transport import Headers, Request, Response
from memtrace_transports._engine.engine import Engine
from memtrace_transports._engine.go_json.writer import Writable
from memtrace_transports._engine.organisations import OrganisationState
from memtrace_transports._engine.route_errors import RouteError, no_storage
from memtrace_transports._engine.routes.matching import RouteMatch
from memtrace_transports._engine.routes.request import RouteRequest, error_response, json_response, text_response
from memtrace_transports._engine.timestamps import SECOND, duration_text
from memtrace_transports.memory._controls import strict

BODY_LIMIT = 4 * 1024 * 1024
"""The largest body in bytes; over it the server cuts the connection."""

_OpenHandler = Callable[[Engine], Response]


def answer(engine: Engine, request: Request, route_match: RouteMatch, headers: Mapping[str, str]) -> Response | None:
    """Answer one request as the server does; `headers` are its `first_values`.

    None for a body over `BODY_LIMIT`, where the server cuts the connection.
    """
    if len(request.body or b"") > BODY_LIMIT:
        return None
    try:
        response = _route(engine, request, route_match, headers)
    except RouteError as route_error:
        response = error_response(route_error)
    return dated(engine, request.method, response)


def dated(engine: Engine, method: str, response: Response) -> Response:
    """`response` with its date, and without its body where HEAD asked."""
    headers = _dated(engine.stamps.now() // SECOND, response.headers.multi_items)
    return Response(response.status, headers, b"" if method == "HEAD" else response.body)


@lru_cache(maxsize=16)
def _dated(seconds: int, pairs: tuple[tuple[str, str], ...]) -> Headers:
    return Headers((("Date", formatdate(seconds, usegmt=True)), *pairs))


def _route(engine: Engine, request: Request, route_match: RouteMatch, headers: Mapping[str, str]) -> Response:
    if route_match.is_open:
        return _open_route(engine, route_match)
    org = _authenticate(engine, headers)
    engine.deliver(org)
    if route_match.methods is None:
        return _no_route(route_match)
    route = route_match.route
    if route is None:
        return _no_method()
    call = RouteRequest(route_match.segments, route_match.query, headers.get("content-type", ""), request.body or b"")
    return route.handler(engine, org, call)


def check_strictly(request: Request, route_match: RouteMatch, headers: Mapping[str, str]) -> None:
    """Raise StrictModeError for what the route would silently ignore or cap, and warn of what is surprising."""
    route = route_match.route
    if route is not None:
        call = RouteRequest(
            route_match.segments, route_match.query, headers.get("content-type", ""), request.body or b""
        )
        strict.check_query(route.operation, route.parameters, request.target)
        strict.check_body(route.operation, route.fields, call)


def _open_route(engine: Engine, route_match: RouteMatch) -> Response:
    """The two routes that need no key."""
    handler = _OPEN_ROUTES.get(route_match.folded)
    if handler is None:
        return _no_route(route_match)
    return handler(engine) if route_match.read_method == "GET" else _no_method()


def _no_route(route_match: RouteMatch) -> Response:
    path = html.escape(route_match.path).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
    return text_response(404, f"Cannot {route_match.method} {path}")


def _no_method() -> Response:
    return text_response(405, "Method Not Allowed")


def _authenticate(engine: Engine, headers: Mapping[str, str]) -> OrganisationState:
    """Whose request this is."""
    key = key_of(headers)
    if key is None:
        raise RouteError(401, "missing API key")
    org = engine.organisation_of(key) if key else None
    if org is None:
        raise RouteError(401, "invalid API key")
    return org


def key_of(headers: Mapping[str, str]) -> str | None:
    """The key that a request carries: ``x-api-key`` first, then ``Authorization`` with or without ``Bearer``.

    None where there is neither, "" for what cannot be a key: another scheme, or "bearer".
    """
    key = headers.get("x-api-key")
    if key:
        return key
    authorization = headers.get("authorization")
    if not authorization:
        return None
    key = authorization.removeprefix("Bearer ")
    return "" if key == "Bearer" or " " in key else key


def first_values(headers: Headers) -> dict[str, str]:
    """The first value of each header, trimmed, by its name in lower case."""
    found: dict[str, str] = {}
    for name, value in headers.multi_items:
        found.setdefault(name.lower(), value.strip(" \t"))
    return found


def _health(engine: Engine) -> Response:
    """``GET /health``: always well."""
    uptime = duration_text(engine.stamps.elapsed() - engine.stamps.started)
    members: dict[str, Writable] = {"arc": _arcs(engine), "service": "memtrace", "status": "ok", "uptime": uptime}
    return json_response(200, members)


def _ready(engine: Engine) -> Response:
    """``GET /ready``: ready when there is storage and all of it can be reached."""
    arcs = _arcs(engine)
    if not arcs:
        return json_response(503, {"hint": no_storage().hint, "reason": "no_instances", "status": "not ready"})
    if not all(arcs.values()):
        return json_response(503, {"arc": arcs, "status": "not ready"})
    return json_response(200, {"arc": arcs, "status": "ready"})


def _arcs(engine: Engine) -> dict[str, Writable]:
    return dict(sorted(engine.arcs().items()))


_OPEN_ROUTES: Mapping[tuple[str, ...], _OpenHandler] = {("health",): _health, ("ready",): _ready}

"""One request answered by the server's rules: authentication, the route, and the form of every answer."""

from __future__ import annotations

import html
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache

from memtrace.transport import Headers, Request, Response
from memtrace_transports._engine.engine import Engine
from memtrace_transports._engine.route_errors import RouteError
from memtrace_transports._engine.routes.authentication import authenticate
from memtrace_transports._engine.routes.cross_origin import cross_origin_headers, is_preflight
from memtrace_transports._engine.routes.matching import RouteMatch
from memtrace_transports._engine.routes.request import RouteRequest, error_response, text_response
from memtrace_transports._engine.timestamps import SECOND

BODY_LIMIT = 4 * 1024 * 1024
"""The largest body in bytes; over it the server cuts the connection."""


def answer(engine: Engine, request: Request, route_match: RouteMatch, headers: Mapping[str, str]) -> Response | None:
    """Answer one request as the server does; `headers` are its `first_values`.

    None for a body over `BODY_LIMIT`, where the server cuts the connection.
    """
    if len(request.body or b"") > BODY_LIMIT:
        return None
    try:
        if is_preflight(request.method, headers):
            response = Response(204)
        else:
            response = _route(engine, request, route_match, headers)
    except RouteError as route_error:
        response = error_response(route_error)
    return finished(engine, request.method, headers, response)


def finished(engine: Engine, method: str, headers: Mapping[str, str], response: Response) -> Response:
    """`response` with its date, open to pages of other origins, and without its body where HEAD asked."""
    pairs = (*response.headers.multi_items, *cross_origin_headers(method, headers))
    dated = _dated(engine.stamps.now() // SECOND, pairs)
    return Response(response.status, dated, b"" if method == "HEAD" else response.body)


@lru_cache(maxsize=16)
def _dated(seconds: int, pairs: tuple[tuple[str, str], ...]) -> Headers:
    return Headers((("Date", formatdate(seconds, usegmt=True)), *pairs))


def _route(engine: Engine, request: Request, route_match: RouteMatch, headers: Mapping[str, str]) -> Response:
    if route_match.is_open:
        return _open_route(engine, route_match)
    org = authenticate(engine, headers)
    engine.deliver(org)
    if route_match.methods is None:
        return _no_route(route_match)
    route = route_match.route
    if route is None:
        return _no_method()
    try:
        response = route.handler(engine, org, route_request(request, route_match, headers))
    except RouteError:
        engine.deliver(org)  # what a batch stored before the item that ended it
        raise
    engine.deliver(org)
    return response


def route_request(request: Request, route_match: RouteMatch, headers: Mapping[str, str]) -> RouteRequest:
    """The request as its route's handler reads it."""
    content_type = headers.get("content-type", "")
    return RouteRequest(route_match.segments, route_match.query, content_type, request.body or b"")


def _open_route(engine: Engine, route_match: RouteMatch) -> Response:
    """The two routes that need no key."""
    handler = route_match.open_handler
    if handler is None:
        return _no_route(route_match)
    return handler(engine) if route_match.read_method == "GET" else _no_method()


def _no_route(route_match: RouteMatch) -> Response:
    path = html.escape(route_match.path).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
    return text_response(404, f"Cannot {route_match.method} {path}")


def _no_method() -> Response:
    return text_response(405, "Method Not Allowed")

"""What may be said of an address: the server, the route, and a URL without contents."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urlsplit

_REDACTED = "REDACTED"
_DEFAULT_PORTS = {"http": 80, "https": 443}
_API = re.compile(r"(?P<prefix>.*)/api/v1/(?P<resource>[a-z]+)(?:/(?P<id>[^/]+)(?P<rest>/[a-z]+)?)?/?")
_IDS = {"agents": "agent_id", "sessions": "session_id", "memories": "text"}
_NAME = re.compile(r"[a-z_]+=")
_PARTS = frozenset({"/memories", "/stats", "/context"})


@lru_cache(maxsize=256)
def server_of(origin: str) -> tuple[str, int | None]:
    """Host and port of an origin; the scheme replaces a missing host, as in ``memory://``.

    >>> server_of("https://memtrace.example"), server_of("http://[::1]:9100"), server_of("memory://")
    (('memtrace.example', 443), ('::1', 9100), ('memory', None))
    """
    parts = urlsplit(origin)
    return parts.hostname or parts.scheme, parts.port or _DEFAULT_PORTS.get(parts.scheme)


def route_of(path: str) -> str | None:
    """The path with names in place of ids, of which there are few; None for a route that is not known here.

    >>> route_of("/api/v1/agents/support-bot/stats"), route_of("/health"), route_of("/api/v1/agents/a/b/c")
    ('/api/v1/agents/{agent_id}/stats', '/health', None)
    """
    if path.endswith(("/health", "/ready")) and "/api/v1/" not in path:
        return path
    match = _API.fullmatch(path)
    if match is None:
        return None
    prefix, resource, identifier, rest = match["prefix"], match["resource"], match["id"], match["rest"] or ""
    if identifier is None:
        return f"{prefix}/api/v1/{resource}"
    if resource not in _IDS or (rest and (resource == "memories" or rest not in _PARTS)):
        return None
    return f"{prefix}/api/v1/{resource}/{{{_IDS[resource]}}}{rest}"


def shown_url(origin: str, target: str) -> str:
    """The URL with what is no content: ids of agents and sessions stay, values of a query and other names do not.

    >>> shown_url("http://server", "/api/v1/agents/support-bot/memories?tags=ui&limit=3")
    'http://server/api/v1/agents/support-bot/memories?tags=REDACTED&limit=REDACTED'
    >>> shown_url("http://server", "/api/v1/memories/what%20was%20said")
    'http://server/api/v1/memories/REDACTED'
    """
    path, _, query = target.partition("?")
    route = route_of(path)
    if route is None or route.endswith("{text}"):
        path = _up_to_resource(path)
    return f"{origin}{path}?{_names(query)}" if query else f"{origin}{path}"


def _names(query: str) -> str:
    """A query whose values, and whatever else is no name, are replaced."""
    return "&".join((found[0] if (found := _NAME.match(pair)) else "") + _REDACTED for pair in query.split("&"))


def _up_to_resource(path: str) -> str:
    """A path whose ends may be anything, cut behind the word after ``/api/v1``."""
    start, found, rest = path.partition("/api/v1/")
    return f"{start}{found}{rest.partition('/')[0]}/{_REDACTED}" if found else f"/{_REDACTED}"

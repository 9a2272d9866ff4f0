"""Requests of web pages: the server answers those of every origin."""

from __future__ import annotations

from collections.abc import Mapping

_ANY_ORIGIN = ("Access-Control-Allow-Origin", "*")
_METHODS = ("Access-Control-Allow-Methods", "GET,POST,HEAD,PUT,DELETE,PATCH")
_VARY = ("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers, Origin")


def is_preflight(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a browser asks before it sends a request; the server answers that on any path, without a key."""
    return method == "OPTIONS" and bool(headers.get("origin") and headers.get("access-control-request-method"))


def cross_origin_headers(method: str, headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """What every answer to a request with an Origin has besides; `headers` are its `first_values`."""
    if not headers.get("origin"):
        return []
    if method == "OPTIONS" and not is_preflight(method, headers):
        return [("Vary", "Origin")]
    allowed: list[tuple[str, str]] = [_VARY, _METHODS, _ANY_ORIGIN] if method == "OPTIONS" else [_ANY_ORIGIN]
    asked = headers.get("access-control-request-headers")
    return [*allowed, ("Access-Control-Allow-Headers", asked)] if asked else allowed

"""Whose request it is: the API key that its headers carry."""

from __future__ import annotations

from collections.abc import Mapping

from memtrace.transport import Headers
from memtrace_transports._engine.engine import Engine
from memtrace_transports._engine.organisations import OrganisationState
from memtrace_transports._engine.route_errors import RouteError


def authenticate(engine: Engine, headers: Mapping[str, str]) -> OrganisationState:
    """The organisation of the key in `headers`, which are `first_values`. Raises RouteError, 401, without one."""
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

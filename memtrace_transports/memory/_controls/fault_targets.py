"""Patterns of a method and a path, as faults have them: whether any route of the server can match one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Set as AbstractSet
from fnmatch import fnmatchcase

from memtrace_transports._engine.routes.matching import routes_list

_PART = re.compile(r"\[(?:!.|[^!])[^\]]*\]|.", re.DOTALL)
_QUERY = re.compile(r"\?\w*=")


def check_route(pattern: str) -> None:
    """Raise ValueError for a method and a path, or a pattern of them, that no call of a route of the server can have.

    >>> check_route("GET /api/v1/agents*")
    >>> check_route("GET /api/v1/agent")
    Traceback (most recent call last):
    ValueError: 'GET /api/v1/agent' is not a route of the server; did you mean 'GET /api/v1/agents'?
    """
    if _QUERY.search(pattern) is not None:
        raise ValueError(f"{pattern!r} can match no path: a path has no query. Choose by when, from call.arguments")
    routes = list(routes_list())
    if not any(_meets(pattern, route) or _meets(pattern, f"{route}/") for route in routes):
        near = difflib.get_close_matches(pattern, routes, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else '. What has no route is "unknown"'
        raise ValueError(f"{pattern!r} is not a route of the server{hint}")


def _meets(pattern: str, route: str) -> bool:
    """Whether one text can be both: in `route` a ``*`` is any segment of a path, and letters are of either case."""
    parts = _PART.findall(pattern)
    places = _past_stars(parts, {0})
    for char in route:
        after = _after(parts, places, char)
        while char == "*" and not after >= (more := _after(parts, after, char)):
            after |= more
        places = after
    return len(parts) in places


def _after(parts: list[str], places: AbstractSet[int], char: str) -> set[int]:
    """Where in the pattern one can be after `char`, having been at one of `places`."""
    found = {place for place in places if parts[place : place + 1] == ["*"]}
    found |= {place + 1 for place in places - found if place < len(parts) and _fits(parts[place], char)}
    return _past_stars(parts, found)


def _past_stars(parts: list[str], places: set[int]) -> set[int]:
    """`places`, and those behind the stars that begin there."""
    for place, part in enumerate(parts):
        if place in places and part == "*":
            places.add(place + 1)
    return places


def _fits(part: str, char: str) -> bool:
    if char == "*":
        return part != "/"
    return fnmatchcase(char, part) or fnmatchcase(char.upper(), part)

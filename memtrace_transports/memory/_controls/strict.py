"""Strict mode: what the real server silently ignores or caps is an error, what is only surprising is a warning."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from memtrace.transport import Request
from memtrace_transports._engine.go_json.reader import JsonObject, Number, Parsed
from memtrace_transports._engine.go_json.structs import JsonTypeError, fold_name
from memtrace_transports._engine.route_errors import RouteError
from memtrace_transports._engine.routes.dispatch import route_request
from memtrace_transports._engine.routes.matching import RouteMatch
from memtrace_transports._engine.routes.request import RouteRequest, read_query
from memtrace_transports._engine.rules.filters import read_integer
from memtrace_transports._engine.rules.new_memories import CREATE_MEMORY
from memtrace_transports._engine.rules.session_context import CONTEXT
from memtrace_transports._engine.store.rows import Row
from memtrace_transports._engine.timestamps import read_relative

_UNMATCHED_IN_KEYS = frozenset("\\\0")
_MEMORY_TYPES = ("episodic", "session", "decision", "entity")
_PACKAGES = ("memtrace", "memtrace_transports")


class StrictModeError(AssertionError):
    """The request asks for something that the real server would silently ignore or cap. The message has the rule.

    It is an AssertionError, so that code under test which handles the SDK's errors does not hide
    it.
    """


class StrictModeWarning(UserWarning):
    """The real server accepts the request, but it probably does not do what you mean."""


def check_strictly(request: Request, route_match: RouteMatch, headers: Mapping[str, str]) -> None:
    """Raise StrictModeError for what the route would silently ignore or cap, and warn of what is surprising."""
    route = route_match.route
    if route is not None:
        _check_query(route.operation, route.parameters, request.target)
        _check_body(route.operation, route.fields, route_request(request, route_match, headers))


# ---- the query


def _check_query(operation: str, read: AbstractSet[str], target: str) -> None:
    """Check the parameters of a target's query against those that the route reads."""
    query = target.partition("#")[0].partition("?")[2]
    seen: set[str] = set()
    for pair in filter(None, query.split("&")):
        for name, value in read_query(pair).items():
            if name not in read:
                raise StrictModeError(
                    f"{operation} does not read the parameter {name!r}, and ignores it; {_list(read)}"
                )
            if name in seen:
                raise StrictModeError(f"{operation}: of {name}, which is given twice, only the first counts")
            seen.add(name)
            if value:
                _check_parameter(operation, name, value)


def _check_parameter(operation: str, name: str, value: str) -> None:
    if name == "limit":
        _check_limit(operation, value, read_integer(value), default=100)
    elif name == "offset":
        asked = read_integer(value)
        if asked is None or asked < 0:
            raise StrictModeError(
                f"{operation}: offset={value} silently becomes 0, since it is not a whole number from 0"
            )
    elif name in _WORDS:
        _check_word(operation, name, value)
    elif name == "memory_type":
        _warn_of_types(operation, name, [value])


# ---- the body


def _check_body(operation: str, read: AbstractSet[str], call: RouteRequest) -> None:
    """Check the fields of a body against those that the route reads; what the server refuses is left to it."""
    if not call.body:
        return
    if call.is_form and read:
        raise StrictModeError(f"{operation}: a form is read as an object without fields; send application/json")
    try:
        parsed = call.parsed()
    except RouteError as route_error:
        _check_readable(operation, route_error.text)
        return
    if isinstance(parsed, JsonObject):
        _check_members(operation, read, parsed)
    elif parsed is not None:
        _check_readable(operation, "it is not an object")


def _check_readable(operation: str, reason: str) -> None:
    if operation == "sessions.context":
        raise StrictModeError(f"{operation}: the body cannot be read ({reason}), so that silently all defaults hold")


def _check_members(operation: str, read: AbstractSet[str], members: JsonObject) -> None:
    fields = _fields(operation, read, members)
    if operation == "memories.add" and fields.get("memories") is not None:
        _check_batch(operation, fields)
    elif operation == "memories.add":
        _warn_of_key(operation, fields)
    if operation == "memories.filter":
        _check_search(operation, fields)
    if operation == "sessions.context":
        _check_context(operation, members, fields)


def _fields(operation: str, read: AbstractSet[str], members: JsonObject) -> dict[str, Parsed]:
    """The fields by the names that the server knows them by; each has to be read, and there once."""
    found: dict[str, Parsed] = {}
    for name, value in members.pairs:
        known = fold_name(name)
        if known not in read:
            raise StrictModeError(f"{operation} does not read the field {name!r}, and ignores it; {_list(read)}")
        if known in found:
            raise StrictModeError(f"{operation}: of {known}, which is given twice, only the last counts")
        found[known] = value
    return found


def _check_batch(operation: str, fields: dict[str, Parsed]) -> None:
    items = fields.pop("memories")
    if fields:
        raise StrictModeError(
            f"{operation}: beside memories the field {min(fields)!r} is ignored, or the other way round"
        )
    for item in items if isinstance(items, list) else ():
        if isinstance(item, JsonObject):
            _warn_of_key(operation, _fields(operation, CREATE_MEMORY.fields.keys(), item))


def _check_search(operation: str, fields: dict[str, Parsed]) -> None:
    limit, types, contains, importance = (
        fields.get(name) for name in ("limit", "memory_types", "content_contains", "min_importance")
    )
    if isinstance(limit, Number):
        asked = read_integer(limit.text)
        if asked is not None:  # else the server refuses it
            _check_limit(operation, limit.text, asked, default=50)
    for name in _WORDS:
        value = fields.get(name)
        if isinstance(value, str) and value:
            _check_word(operation, name, value)
    if isinstance(types, list):
        _warn_of_types(operation, "memory_types", types)
    if isinstance(contains, str) and "\0" in contains:
        raise StrictModeError(f"{operation}: the NUL in content_contains is silently left out")
    if isinstance(importance, Number):
        _check_importance(operation, importance.text)


def _check_importance(operation: str, written: str) -> None:
    asked = float(written)
    if asked < 0:
        raise StrictModeError(f"{operation}: min_importance={written} is ignored, since it is below 0; leave it out")
    if asked != float(f"{asked:.6f}"):
        _warn(f"{operation}: min_importance={written} is rounded to {asked:.6f}")


def _check_context(operation: str, members: JsonObject, fields: dict[str, Parsed]) -> None:
    try:
        read = CONTEXT.decode(members)
    except JsonTypeError as error:
        raise StrictModeError(f"{operation}: {error}, so that silently all defaults hold") from None
    since = read.text("since")
    if since and read_relative(since) is None:
        raise StrictModeError(
            f"{operation}: since={since} silently becomes 24h, since only a whole number and h, d or m is read"
        )
    _warn_of_types(operation, "include_types", read.strings("include_types"))
    if fields.get("max_tokens") is not None:
        _warn(f"{operation}: the server ignores max_tokens")


# ---- rules of both


def _check_limit(operation: str, written: str, asked: int | None, *, default: int) -> None:
    if asked is None or not 1 <= asked <= 1000:
        raise StrictModeError(
            f"{operation}: limit={written} silently becomes {default}, since it is not a whole number from 1 to 1000"
        )


_WORDS = ("order", "until")


def _check_word(operation: str, name: str, value: str) -> None:
    if name == "order" and value not in ("asc", "desc"):
        raise StrictModeError(f"{operation}: order={value} silently means newest first; write asc or desc")
    if name == "until" and value == "now":
        raise StrictModeError(f"{operation}: until=now is ignored; leave it out")


def _list(read: AbstractSet[str]) -> str:
    return f"it reads {', '.join(sorted(read))}" if read else "it reads none"


# ---- what is only surprising


def _warn_of_types(operation: str, name: str, values: Iterable[Parsed]) -> None:
    for value in values:
        if value not in _MEMORY_TYPES:
            _warn(f"{operation}: {name} {value!r} is none of {', '.join(_MEMORY_TYPES)}, and matches nothing")


def _warn_of_key(operation: str, fields: Mapping[str, Parsed]) -> None:
    key = fields.get("dedup_key")
    if isinstance(key, str) and not _UNMATCHED_IN_KEYS.isdisjoint(key):
        _warn(f"{operation}: a dedup_key with a backslash or a NUL never matches: the same memory is stored again")


class StrictObserver:
    """Warns of results that are right by the server's rules and probably not what was meant."""

    def duplicate_rejected(self, stored: str, rejected: str) -> None:
        """Warn where a memory is rejected as the duplicate of one with another content."""
        if stored != rejected:
            _warn(
                "a memory was rejected as a duplicate of another content: only the first 200 bytes, or dedup_key, count"
            )

    def tags_matched(self, rows: Iterable[Row], tags: Sequence[str]) -> None:
        """Warn where a row was found by a part of a tag, or across two of them."""
        for tag in tags:
            if tag and any(tag not in row.tags.split(",") for row in rows):
                _warn(f"the tag {tag!r} matches as a substring: rows without that very tag were found")

    def context_cut(self, found: int, kept: int) -> None:
        """Warn where a context leaves out rows that it was asked for."""
        if found > kept:
            _warn(f"sessions.context: there are more than {kept} rows, and the context holds the newest {kept} alone")


def _warn(text: str) -> None:
    """Warn of the line outside of these packages that made the call, as far as there is one."""
    frame, level = sys._getframe(1), 2  # noqa: SLF001 - there is no other way before Python 3.12
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _PACKAGES:
        frame, level = frame.f_back, level + 1
    warnings.warn(text, StrictModeWarning, stacklevel=level)

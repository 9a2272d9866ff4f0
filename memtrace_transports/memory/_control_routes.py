"""The control routes that a fake server offers to its tests over HTTP, under ``/_fake``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, cast, get_args

from memtrace._support.numbers import is_int
from memtrace.transport import Headers, Request, Response
from memtrace.transport._header_rules import is_header
from memtrace_transports._engine.organisations import StorageState, Visibility
from memtrace_transports._engine.settings import ServerSettings
from memtrace_transports.memory._clock import ManualClock, is_span
from memtrace_transports.memory._controls.faults import Fault
from memtrace_transports.memory._fake import FakeMemtrace, Snapshot
from memtrace_transports.memory._organisations import Organisation

PREFIX = "/_fake/"
CONTROL_BODY_LIMIT = 16 * 1024 * 1024
"""The largest body of a control request, in bytes; larger ones are answered 413."""

_Body = Mapping[str, Any]
_KEPT_SNAPSHOTS = 1_000


class _BadControlError(ValueError):
    """A control request that is wrong; the text says how."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


class Controls:
    """Answers the control routes of one fake; it keeps the newest 1,000 of the snapshots that were taken over HTTP."""

    def __init__(self, fake: FakeMemtrace) -> None:
        self._fake = fake
        self._snapshots: dict[str, Snapshot] = {}
        self._taken = 0
        self._routes: dict[tuple[str, str], Callable[[_Body], object]] = {
            ("POST", "orgs"): self._add_organisation,
            ("POST", "settings"): self._configure,
            ("POST", "settle"): self._settle,
            ("POST", "clock/advance"): self._advance,
            ("POST", "faults"): self._add_faults,
            ("DELETE", "faults"): self._clear_faults,
            ("GET", "faults"): self._unused_faults,
            ("GET", "calls"): self._calls,
            ("POST", "snapshot"): self._snapshot,
            ("POST", "restore"): self._restore,
            ("POST", "reset"): self._reset,
        }

    def answer(self, request: Request) -> Response:
        """Answer one control request; 400, 404 or 405 with ``{"error": text}`` where it is wrong."""
        try:
            return _json(200, self._run(request))
        except _BadControlError as error:
            return _json(error.status, {"error": str(error)})
        except (ValueError, TypeError, OverflowError) as error:  # what the fake refuses, in its own words
            return _json(400, {"error": str(error)})

    def _run(self, request: Request) -> object:
        path = request.path.removeprefix(PREFIX).strip("/")
        route = self._routes.get((request.method, path))
        if route is not None:
            return route(_body(request))
        first, _, rest = path.partition("/")
        org_id, _, action = rest.partition("/")
        if first == "orgs" and action in ("seed", "arc"):
            if request.method != "POST":
                raise _BadControlError("Method Not Allowed", 405)
            org = self._organisation(org_id)
            return self._seed(org, _body(request)) if action == "seed" else self._set_arc(org, _body(request))
        if any(path == known for _, known in self._routes):
            raise _BadControlError("Method Not Allowed", 405)
        raise _BadControlError(f"there is no control route {request.path}", 404)

    def _organisation(self, org_id: str) -> Organisation:
        found = self._fake.organisation_by_id(org_id)
        if found is None:
            raise _BadControlError(f"there is no organisation {org_id}", 404)
        return found

    # -- one method a route

    def _add_organisation(self, body: _Body) -> object:
        _check_fields(body, "arc", "visibility")
        arc = _choice(body, "arc", get_args(StorageState), "up")
        visibility = _choice(body, "visibility", get_args(Visibility), None)
        org = self._fake.new_organisation(storage=cast("Any", arc), visibility=cast("Any", visibility))
        return {"org_id": org.org_id, "api_key": org.api_key}

    def _seed(self, org: Organisation, body: _Body) -> object:
        _check_fields(body, "memories")
        rows = body.get("memories")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise _BadControlError("memories must be a list of objects")
        return {"count": self._fake.seed(org, rows)}

    def _set_arc(self, org: Organisation, body: _Body) -> object:
        _check_fields(body, "state")
        state = _choice(body, "state", get_args(StorageState), "")
        if not state:
            raise _BadControlError("state must be one of up, none, down")
        self._fake.set_storage(org, cast("Any", state))
        return {}

    def _configure(self, body: _Body) -> object:
        _check_fields(body, *(field.name for field in fields(ServerSettings)))
        self._fake.configure(**body)
        return {}

    def _settle(self, body: _Body) -> object:
        self._fake.flush()
        return {}

    def _advance(self, body: _Body) -> object:
        _check_fields(body, "seconds")
        seconds = body.get("seconds")
        if not is_span(seconds):
            raise _BadControlError("seconds must be a number from 0 to 10 years")
        clock = self._fake.clock
        if not isinstance(clock, ManualClock):
            raise _BadControlError("this server uses the system clock; start it with --clock manual")
        clock.advance(seconds)
        return {"time": clock.wall()}

    def _add_faults(self, body: _Body) -> object:
        _check_fields(body, "faults")
        faults = body.get("faults")
        if not isinstance(faults, list):
            raise _BadControlError("faults must be a list of objects")
        self._fake.faults.add(*[_fault(fault, position) for position, fault in enumerate(faults)])
        return {}

    def _clear_faults(self, body: _Body) -> object:
        self._fake.faults.clear()
        return {}

    def _unused_faults(self, body: _Body) -> object:
        return {"unused": [fault.describe() for fault in self._fake.faults.unused()]}

    def _calls(self, body: _Body) -> object:
        names = ("operation", "method", "path", "status", "org_id", "fault", "headers")
        return {"calls": [{name: getattr(call, name) for name in names} for call in self._fake.calls]}

    def _snapshot(self, body: _Body) -> object:
        self._taken += 1
        name = f"snapshot_{self._taken}"
        self._snapshots[name] = self._fake.snapshot()
        self._snapshots.pop(f"snapshot_{self._taken - _KEPT_SNAPSHOTS}", None)
        return {"id": name}

    def _restore(self, body: _Body) -> object:
        name = body.get("id")
        if not isinstance(name, str):
            raise _BadControlError("id must be the id of a snapshot")
        snapshot = self._snapshots.get(name)
        if snapshot is None:
            raise _BadControlError(f"there is no snapshot {name!r}", 404)
        self._fake.restore(snapshot)
        return {}

    def _reset(self, body: _Body) -> object:
        self._fake.reset()
        return {}


def _body(request: Request) -> _Body:
    if not request.body:
        return {}
    if len(request.body) > CONTROL_BODY_LIMIT:
        raise _BadControlError("the body is larger than 16 MiB", 413)
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise _BadControlError("the body is not JSON") from error
    if not isinstance(body, dict):
        raise _BadControlError("the body must be an object")
    return body


def _check_fields(body: _Body, *names: str) -> None:
    unknown = sorted(set(body) - set(names))
    if unknown:
        raise _BadControlError(f"the unknown field {unknown[0]!r}; known: {', '.join(names)}")


def _choice(body: _Body, name: str, choices: tuple[str, ...], default: str | None) -> str | None:
    value = body.get(name, default)
    if value is not default and value not in choices:
        raise _BadControlError(f"{name} must be one of {', '.join(choices)}")
    return cast("str | None", value)


def _fault(given: object, position: int) -> Fault:
    """A fault from JSON: the fields of `Fault` except `when`, `org` an organisation's name or id, `body` a string."""
    where = f"faults[{position}]"
    if not isinstance(given, dict) or "kind" not in given:
        raise _BadControlError(f"{where} must be an object with a kind")
    unknown = sorted(set(given) - set(_FAULT_FIELDS))
    if unknown:
        raise _BadControlError(f"{where} has the unknown field {unknown[0]}; known: {', '.join(_FAULT_FIELDS)}")
    for name, value in given.items():
        what, is_right = _FAULT_FIELDS[name]
        if not is_right(value):
            raise _BadControlError(f"{where}: {name} must be {what}")
    values = {**given, "body": given["body"].encode("utf-8", "replace")} if "body" in given else given
    try:
        return Fault(**values)
    except ValueError as error:
        raise _BadControlError(f"{where}: {error}") from error


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _are_headers(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(field, str) and is_header(name, field) for name, field in value.items()
    )


def _or_null(is_right: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or is_right(value)


_FAULT_FIELDS: Mapping[str, tuple[str, Callable[[object], bool]]] = {
    "kind": ("a string", _is_text),
    "on": ("a string or null", _or_null(_is_text)),
    "org": ("an organisation's name or id, or null", _or_null(_is_text)),
    "nth": ("a whole number", is_int),
    "times": ("a whole number or null", _or_null(is_int)),
    "applied": ("true or false", lambda value: isinstance(value, bool)),
    "status": ("a whole number", is_int),
    "body": ("a string", _is_text),
    "headers": ("an object of strings that HTTP can carry", _are_headers),
    "seconds": ("a number from 0 to 10 years, or null", _or_null(is_span)),
}


def _json(status: int, value: object) -> Response:
    return Response(status, Headers({"Content-Type": "application/json"}), json.dumps(value).encode())

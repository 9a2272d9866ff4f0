"""Recorded vectors, replayed against a `FakeMemtrace`; the form is told in vectors/README.md."""

from __future__ import annotations

import base64
import http.client
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, cast
from urllib.parse import urlsplit

from memtrace.exceptions import TransportError
from memtrace.transport import Headers, Method, Request, Response
from memtrace_transports.memory import FakeMemtrace, ManualClock, Organisation, StorageState

__all__ = [
    "Difference",
    "Scenario",
    "Sender",
    "differences",
    "in_process",
    "load",
    "load_files",
    "over_socket",
    "replay",
]

Json: TypeAlias = Any
Scenario: TypeAlias = dict[str, Json]
Sender: TypeAlias = Callable[[str, str, Mapping[str, str], "bytes | None"], "Response | None"]
"""Method, target, headers and body of a request; its answer, None when the connection was cut."""

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)")
_IDENTIFIER = re.compile(r"\b(agent|sess|org)_[0-9a-f]{24}\b")
_REFERENCE = re.compile(r"<(?:org|(?:agent|session):\d+)>")
_GENERATED_KEY = re.compile("[0-9a-f]{32}")
_STORAGE: dict[str | None, StorageState] = {None: "up", "bare": "none", "dead": "down"}


def load(directory: Path) -> Iterator[Scenario]:
    """Every scenario of the files in `directory`."""
    for scenarios in load_files(directory).values():
        yield from scenarios


def load_files(directory: Path) -> dict[str, list[Scenario]]:
    """The scenarios of each file in `directory`, by the file's name."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(directory.glob("*.json"))}


def in_process(fake: FakeMemtrace) -> Sender:
    """Send by calling the fake."""

    def send(method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Response | None:
        try:
            return fake.handle(Request(cast("Method", method), "http://localhost", target, Headers(headers), body))
        except TransportError:
            return None

    return send


def over_socket(url: str) -> Sender:
    """Send over HTTP, on a connection for each request."""
    address = urlsplit(url).netloc

    def send(method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Response | None:
        connection = http.client.HTTPConnection(address, timeout=30)
        try:
            connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return Response(answer.status, Headers(answer.getheaders()), answer.read())
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    return send


@dataclass(frozen=True)
class Difference:
    """An answer that is not the recorded one."""

    scenario: str
    step: int
    what: str
    sent: Json
    wanted: Json
    got: Json


def replay(scenario: Scenario, fake: FakeMemtrace, clock: ManualClock, send: Sender) -> Iterator[Difference | None]:
    """Run one scenario in an organisation of its own; for each request None, or how its answer differs."""
    run = _Run(_organisation(scenario, fake))
    for position, step in enumerate(scenario["steps"]):
        if "wait" in step:
            clock.advance(step["wait"])
        elif "settle" in step:
            fake.flush()
        elif "seed" in step:
            fake.seed(run.organisation, run.resolved(step["seed"]))
        else:
            got = run.sent(step["request"], send)
            what = _difference(step["response"], got, step.get("compare", "exact"))
            sent, wanted = step["request"], step["response"]
            yield Difference(scenario["name"], position, what, sent, wanted, got) if what else None


def differences(
    scenarios: Iterable[Scenario], fake: FakeMemtrace, clock: ManualClock, send: Sender
) -> list[Difference]:
    """How the answers to all requests of `scenarios` differ from the recorded ones."""
    return [found for scenario in scenarios for found in replay(scenario, fake, clock, send) if found is not None]


def _organisation(scenario: Scenario, fake: FakeMemtrace) -> Organisation:
    return fake.organisation(scenario["name"], storage=_STORAGE[scenario.get("org")], visibility="server")


@dataclass
class _Run:
    organisation: Organisation
    references: dict[str, str] = field(default_factory=dict)

    def sent(self, request: Json, send: Sender) -> Json:
        """Send a recorded request; the answer in recorded form."""
        body, headers = self._body(request)
        headers |= self._authentication(request.get("auth", "key"))
        response = send(request["method"], self.resolved(request["path"]), headers, body)
        if response is None:
            return {"dropped": True}
        return self._recorded(response, request.get("repeat", {}).get("field"))

    def resolved(self, value: Json) -> Json:
        """`value` with what its references stand for."""
        if isinstance(value, str):
            return _REFERENCE.sub(lambda found: self._real(found[0]), value)
        if isinstance(value, list):
            return [self.resolved(item) for item in value]
        if isinstance(value, dict):
            return {name: self.resolved(item) for name, item in value.items()}
        return value

    def _real(self, reference: str) -> str:
        if reference == "<org>":
            return self.organisation.org_id
        return next((real for real, known in self.references.items() if known == reference), reference)

    def _authentication(self, auth: Json) -> dict[str, str]:
        key = self.organisation.api_key
        if auth == "key":
            return {"x-api-key": key}
        if auth == "bearer":
            return {"Authorization": f"Bearer {key}"}
        return {name: value.replace("<key>", key) for name, value in (auth or {}).items()}

    def _body(self, request: Json) -> tuple[bytes | None, dict[str, str]]:
        json_type = {"Content-Type": "application/json"}
        if "json" in request:
            return json.dumps(self.resolved(request["json"])).encode(), json_type
        if "repeat" in request:
            repeat = request["repeat"]
            return json.dumps({**repeat["json"], repeat["field"]: repeat["text"] * repeat["times"]}).encode(), json_type
        if "raw" not in request and "raw_base64" not in request:
            return None, {}
        body = request["raw"].encode() if "raw" in request else base64.b64decode(request["raw_base64"])
        return body, {"Content-Type": request["content_type"]} if request.get("content_type") else {}

    def _recorded(self, response: Response, repeated: str | None) -> Json:
        content_type = response.headers.get("content-type", "")
        answer: dict[str, Json] = {"status": response.status, "content_type": content_type}
        if content_type != "application/json" or not response.body:
            return {**answer, "text": self._referenced(response.body.decode())}
        body = self._referenced(json.loads(response.body))
        if repeated and repeated in body:
            body[repeated] = "<as sent>"
        return {**answer, "json": body}

    def _referenced(self, value: Json) -> Json:
        """`value` with references in place of what differs from one recording to the next."""
        if isinstance(value, str):
            return _TIME.sub("<time>", _IDENTIFIER.sub(lambda found: self._reference(found[0], found[1]), value))
        if isinstance(value, list):
            return [self._referenced(item) for item in value]
        if isinstance(value, dict):
            return self._referenced_members(value)
        return value

    def _referenced_members(self, members: dict[str, Json]) -> dict[str, Json]:
        out = {self._referenced(name): self._referenced(value) for name, value in members.items()}
        for name, reference in (("query_time_ms", "<ms>"), ("uptime", "<duration>")):
            if name in out:
                out[name] = reference
        hashes_agent = str(out.get("agent_id")).startswith("<agent:")
        if hashes_agent and _GENERATED_KEY.fullmatch(str(out.get("dedup_key"))):
            out["dedup_key"] = "<generated>"
        return out

    def _reference(self, real: str, kind: str) -> str:
        if kind == "org":
            return "<org>" if real == self.organisation.org_id else "<org:other>"
        if real not in self.references:
            word = {"agent": "agent", "sess": "session"}[kind]
            number = sum(reference.startswith(f"<{word}:") for reference in self.references.values()) + 1
            self.references[real] = f"<{word}:{number}>"
        return self.references[real]


def _difference(wanted: Json, got: Json, compare: str) -> str | None:
    """What of an answer is not as recorded; None when nothing is."""
    if "dropped" in wanted or "dropped" in got:
        return None if "dropped" in wanted and ("dropped" in got or got.get("status") == 413) else "status"
    if wanted["status"] != got["status"]:
        return "status"
    if wanted["content_type"].partition(";")[0] != got["content_type"].partition(";")[0]:
        return "content type"
    if compare == "status":
        return None if _has_error(got) or not _has_error(wanted) else "error"
    if compare == "count":
        return None if wanted["json"]["count"] == got["json"].get("count") == _rows(got["json"]) else "count"
    if "json" in wanted:
        if not _same(wanted["json"], got.get("json")):
            return "body"
        return None if _names(wanted["json"]) == _names(got["json"]) else "order"
    return None if wanted.get("text") == got.get("text") else "text"


def _has_error(answer: Json) -> bool:
    body = answer.get("json")
    return isinstance(body, dict) and isinstance(body.get("error"), str) and body["error"] != ""


def _rows(body: Json) -> int:
    lists: Sequence[list[Json]] = [value for value in body.values() if isinstance(value, list)]
    return len(lists[0]) if lists else 0


def _names(value: Json) -> Json:
    """The names of the members of every object, in the order in which they were written."""
    if isinstance(value, dict):
        return [(name, _names(item)) for name, item in value.items()]
    return [_names(item) for item in value] if isinstance(value, list) else None


def _same(wanted: Json, got: Json) -> bool:
    """Equal as JSON, whatever the order of members: 1 and 1.0 are one number, true and 1 are not."""
    if isinstance(wanted, list) and isinstance(got, list):
        return len(wanted) == len(got) and all(map(_same, wanted, got))
    if isinstance(wanted, dict) and isinstance(got, dict):
        return wanted.keys() == got.keys() and all(_same(wanted[name], got[name]) for name in wanted)
    return isinstance(wanted, bool) == isinstance(got, bool) and bool(wanted == got)

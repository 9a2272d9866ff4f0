"""Every recorded answer, read as the SDK reads it."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path

import pytest

from memtrace import (
    APIStatusError,
    AuthenticationError,
    ConflictError,
    InvalidRequestError,
    NoArcInstanceError,
    NotFoundError,
    ServerError,
    operations,
)
from memtrace.middleware._errors import error_for
from memtrace.models import (
    Agent,
    AgentList,
    AgentStats,
    Health,
    Memory,
    MemoryList,
    SearchResult,
    Session,
    SessionContext,
    SessionList,
)
from memtrace.transport import Headers, Request, Response

VECTORS = Path(__file__).parents[1] / "fake" / "vectors"

ROUTES = [
    ("POST", r"/memories", None),
    ("GET", r"/memories", MemoryList),
    ("GET", r"/memories/[^/]+", Memory),
    ("POST", r"/search", SearchResult),
    ("POST", r"/agents", Agent),
    ("GET", r"/agents", AgentList),
    ("GET", r"/agents/[^/]+", Agent),
    ("GET", r"/agents/[^/]+/memories", MemoryList),
    ("GET", r"/agents/[^/]+/stats", AgentStats),
    ("POST", r"/sessions", Session),
    ("GET", r"/sessions", SessionList),
    ("(?:GET|PUT)", r"/sessions/[^/]+", Session),
    ("GET", r"/sessions/[^/]+/memories", MemoryList),
    ("POST", r"/sessions/[^/]+/context", SessionContext),
]
PLACEHOLDERS = {
    "<time>": "2026-11-22T10:11:12.123456Z",
    "<duration>": "1h2m3.5s",
    "<org>": "org_" + "0" * 24,
    "<org:other>": "org_" + "1" * 24,
    "<generated>": "a" * 32,
}
TIMES = {"time", "created_at", "updated_at", "closed_at", "last_active_at"}


def exchanges(path):
    """What was recorded in one file, each with the name of its scenario and the number of its step."""
    for scenario in json.loads(path.read_text(encoding="utf-8")):
        for i, step in enumerate(scenario["steps"]):
            if "request" in step and "dropped" not in step["response"]:
                yield f"{scenario['name']}-{i}", step["request"], step["response"]


def filled(value):
    if isinstance(value, dict):
        return {name: 3 if name == "query_time_ms" else filled(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner) for inner in value]
    if isinstance(value, str):
        for placeholder, real in PLACEHOLDERS.items():
            value = value.replace(placeholder, real)
        return re.sub(
            r"<(agent|session):(\d+)>", lambda m: f"{'agent' if m[1] == 'agent' else 'sess'}_{m[2]:0>24}", value
        )
    return value


def comparable(value, name=""):
    if isinstance(value, dict):
        return {key: comparable(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [comparable(inner) for inner in value]
    if name in TIMES:
        return datetime.fromisoformat(value.replace("Z", "+00:00"))
    return value


def model_of(request, answer):
    path = request["path"].split("?")[0].rstrip("/").lower()
    if path == "/health":
        return Health
    path = path.removeprefix("/api/v1")
    for method, pattern, model in ROUTES:
        if re.fullmatch(method, request["method"]) and re.fullmatch(pattern, path):
            if model is None:
                return operations.AddedMemories if "memories" in answer else Memory
            return model
    return None


RECORDED = {path.stem: list(exchanges(path)) for path in sorted(VECTORS.glob("*.json"))}
ANSWERS = {
    name: [each for each in recorded if each[2]["status"] < 300 and "json" in each[2]]
    for name, recorded in RECORDED.items()
}
ERRORS = {
    name: [each for each in recorded if each[2]["status"] >= 300 and not each[1]["path"].startswith("/ready")]
    for name, recorded in RECORDED.items()
}


def files_of(exchanges_by_file):
    return [pytest.param(exchanges, id=name) for name, exchanges in exchanges_by_file.items() if exchanges]


def differences(check, exchanges):
    """What `check` finds wrong with each of the exchanges of a file, after their names."""
    found = {}
    for name, request, response in exchanges:
        try:
            check(request, response)
        except Exception as error:  # noqa: BLE001  # the other exchanges are checked nevertheless
            found[name] = f"{type(error).__name__}: {error}"
    return found


@pytest.mark.parametrize("exchanges", files_of(ANSWERS))
def test_every_recorded_answer_parses_and_dumps_back_to_the_same_json(exchanges):
    assert differences(check_answer, exchanges) == {}


def check_answer(request, response):
    answer = filled(response["json"])
    model = model_of(request, answer)
    if model is None:
        assert request["path"].startswith("/ready"), f"no model reads what {request['path']} answers"
        return
    read = operations.response_parser(model)(Response(response["status"], Headers(), json.dumps(answer).encode()))
    dumped = read.model_dump(mode="json", exclude_unset=True)
    assert comparable(dumped) == comparable(answer), f"read {answer} and dumped {dumped}"
    read.model_dump_json()


def expected(status, text):
    if status == 401:
        return AuthenticationError
    if status == 409 or (status == 404 and "FOREIGN KEY" in text):
        return ConflictError
    if status == 404 or text == "session not found":
        return NotFoundError
    if status == 503:
        return NoArcInstanceError
    if status == 400 or text.startswith(("invalid ", "failed to create memory ")) or "Conversion Error" in text:
        return InvalidRequestError
    return ServerError if status >= 500 else APIStatusError


@pytest.mark.parametrize("exchanges", files_of(ERRORS))
def test_every_recorded_error_becomes_the_right_exception(exchanges):
    assert differences(check_error, exchanges) == {}


def check_error(request, response):
    body = json.dumps(response["json"]) if "json" in response else response.get("text", "")
    text = response["json"]["error"] if "json" in response else body
    given = json.dumps(request["json"]).encode() if "json" in request else None
    sent = Request(request["method"], "http://server.test", request["path"], body=given, operation="test")
    error = error_for(Response(response["status"], Headers(), body.encode()), sent)
    assert type(error) is expected(response["status"], text), f"{text!r} became {type(error).__name__}"
    assert is_told(error, text), f"{text!r} is told as {error.message!r}"
    assert error.status_code == response["status"]
    if "hint" in response.get("json", {}):
        assert error.hint == response["json"]["hint"]


def is_told(error, text):
    """Whether the message of the exception is what the server's text becomes."""
    if "Conversion Error" in text:
        return error.message == f"{error.field} is not a time that the server's storage can read"
    if "FOREIGN KEY" in text:
        return error.message.endswith(f"': {text}")
    return error.message == text or text.startswith(error.message.removesuffix("…"))


def test_an_answer_that_is_read_wrongly_is_told_by_its_name():
    request = {"method": "GET", "path": "/api/v1/agents/a1"}
    found = differences(check_answer, [("agent-get-0", request, {"status": 200, "json": {"id": 5}})])
    assert list(found) == ["agent-get-0"]


def test_the_foreign_key_texts_are_told_apart():
    sent = Request("POST", "http://server.test", "/api/v1/sessions", operation="test")
    unknown = error_for(
        Response(400, Headers(), b'{"error":"failed to create session: FOREIGN KEY constraint failed"}'), sent
    )
    held = error_for(Response(404, Headers(), b'{"error":"FOREIGN KEY constraint failed"}'), sent)
    assert (type(unknown), unknown.field, unknown.status_code) == (InvalidRequestError, "agent_id", 400)
    assert (type(held), held.code, held.status_code) == (ConflictError, "agent_in_use", 404)


def test_there_is_enough_recorded():
    assert sum(map(len, ANSWERS.values())) == 910
    assert sum(map(len, ERRORS.values())) == 349

"""Routes, methods, keys, and what every answer carries."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtrace.transport import Response
from memtrace_transports._engine.routes.request import read_query
from memtrace_transports.memory import FakeMemtrace, ManualClock
from tests.fake.caller import API, Caller

TEXT = "text/plain; charset=utf-8"


@pytest.mark.parametrize("path", ["/api/v1/agents", "/API/V1/AGENTS", "/api/v1/agents/", "/api/v1/Agents//"])
def test_paths_match_without_case_and_with_a_trailing_slash(api: Caller, path: str) -> None:
    assert api.send("GET", path).json == {"agents": [], "count": 0}


@pytest.mark.parametrize(
    "path",
    [
        *("/", "", "/nope", "/health/x", "/api", "/api//v1/agents", "api/v1/agents", "x/api/v1/agents"),
        *("/api/v1", "/api/v1/nope", "/api/v1/agents//stats", "/api/v1/agents/x/nope", "/api/v1/agents/x/stats/y"),
    ],
)
def test_an_unknown_route_is_told_in_plain_text(api: Caller, path: str) -> None:
    answer = api.send("GET", path)
    assert (answer.status, answer.headers["content-type"], answer.text) == (404, TEXT, f"Cannot GET {path}")


def test_the_path_of_an_unknown_route_is_escaped_and_has_no_query(api: Caller) -> None:
    answer = api.send("PATCH", "/<a>'\"&/%20é?x=1#y")
    assert answer.text == "Cannot PATCH /&lt;a&gt;&#39;&#34;&amp;/%20é"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("PUT", "/memories"), ("DELETE", "/memories"), ("POST", "/memories/x"), ("GET", "/search")),
        *(("HEAD", "/search"), ("PATCH", "/agents/x"), ("PUT", "/agents/x"), ("POST", "/agents/x/stats")),
        *(("OPTIONS", "/agents"), ("DELETE", "/sessions/x"), ("GET", "/sessions/x/context"), ("FOO", "/sessions")),
    ],
)
def test_a_wrong_method_is_told_in_plain_text(api: Caller, method: str, path: str) -> None:
    answer = api.send(method, API + path)
    assert (answer.status, answer.headers["content-type"]) == (405, TEXT)
    assert answer.text == ("" if method == "HEAD" else "Method Not Allowed")


def test_head_answers_as_get_does_without_a_body(api: Caller) -> None:
    for path in (API + "/agents", API + "/memories", "/health"):
        head, get = api.send("HEAD", path), api.send("GET", path)
        assert (head.status, head.headers, head.response.body) == (get.status, get.headers, b"")
    assert api.send("HEAD", "/nope").status == 404


def test_health_needs_no_key_but_the_right_method(api: Caller) -> None:
    assert api.send("GET", "/Health/", headers={"x-api-key": "wrong"}).status == 200
    assert api.send("POST", "/health", headers={}).status == 405


@pytest.mark.parametrize("path", [API + "/agents", API + "/nope", API + "/memories/x/y", API])
def test_a_key_is_asked_for_before_the_route_is_looked_up(api: Caller, path: str) -> None:
    answer = api.send("POST", path, headers={})
    assert (answer.status, answer.json) == (401, {"error": "missing API key"})


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({"x-api-key": "{key}"}, None),
        ({"X-API-Key": " {key}\t"}, None),
        ({"Authorization": "Bearer {key}"}, None),
        ({"authorization": "{key}"}, None),
        ({"x-api-key": "  ", "Authorization": "Bearer {key}"}, None),
        ({"x-api-key": "{key}", "Authorization": "Bearer wrong"}, None),
        ({"x-api-key": "wrong", "Authorization": "Bearer {key}"}, "invalid API key"),
        ({"Authorization": "bearer {key}"}, "invalid API key"),
        ({"Authorization": "Basic {key}"}, "invalid API key"),
        ({"Authorization": "Bearer "}, "invalid API key"),
        ({"x-api-key": " "}, "missing API key"),
        ({"Authorization": " "}, "missing API key"),
        ({}, "missing API key"),
    ],
)
@pytest.mark.parametrize("any_key", [False, True])
def test_where_the_key_is_looked_for(headers: dict[str, str], error: str | None, any_key: object) -> None:
    fake = FakeMemtrace(any_key=bool(any_key))
    api = Caller(fake, fake.organisation())
    api.post("/agents", {"name": "mine"})
    sent = {name: value.format(key=api.org.api_key) for name, value in headers.items()}
    answer = api.send("GET", API + "/agents/mine", headers=sent)
    if error is None:
        assert answer.json["org_id"] == api.org.org_id
    elif any_key and sent.get("x-api-key") == "wrong":
        assert answer.status == 404
    else:
        assert (answer.status, answer.json) == (401, {"error": error})


def test_every_answer_carries_the_date_in_whole_seconds(api: Caller, clock: ManualClock) -> None:
    clock.advance(1.9)
    for path in ("/health", "/nope", API + "/agents", API + "/agents/x", API + "/memories?since=x"):
        assert api.send("GET", path).headers["date"] == "Thu, 01 Jan 2026 00:00:01 GMT"


def test_json_answers_have_their_content_type(api: Caller) -> None:
    assert api.get("/agents").headers["content-type"] == "application/json"
    assert api.get("/agents/x").headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        ("", {"": ""}),
        ("a=1&a=2", {"a": "1"}),
        ("a+b=c+d%2B", {"a b": "c d+"}),
        ("a=b=c&d", {"a": "b=c", "d": ""}),
        ("a=%zz%4", {"a": "%zz%4"}),
        ("%61=%C3%A9%ff", {"a": "é\ufffd"}),
    ],
)
def test_queries_are_decoded_as_the_server_does(query: str, parameters: dict[str, str]) -> None:
    assert read_query(query) == parameters


TARGETS = st.builds(
    "".join,
    st.lists(
        st.sampled_from(
            ["/api/v1", "/agents", "/memories", "/sessions", "/search", "/stats", "/context", "/x", "?", "&"]
        )
        | st.sampled_from(
            ["limit=", "since=", "offset=", "tags=", "agent_id=", "order=asc", "1", "2020-01-01", "%", "#"]
        )
        | st.text(max_size=4),
        max_size=6,
    ),
)


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", ""]) | st.text(max_size=5),
    target=TARGETS,
    body=st.none()
    | st.binary(max_size=20)
    | st.sampled_from([b"{}", b'{"name": "a"}', b'{"agent_id": "a", "content": "b"}']),
    key=st.sampled_from(["", "anyone"]),
)
@settings(deadline=None, max_examples=3 * settings().max_examples)
def test_any_request_is_answered(method: str, target: str, body: bytes | None, key: str) -> None:
    fake = FakeMemtrace(clock=ManualClock(), any_key=True)
    api = Caller(fake, fake.organisation())
    headers = {"x-api-key": key, "content-type": "application/json"}
    for path in (target, API + target):
        answer = api.send(method, path, body, headers=headers)
        assert isinstance(answer.response, Response)
        assert 200 <= answer.status <= 503

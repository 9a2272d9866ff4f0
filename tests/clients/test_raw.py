"""Raw access: operations with what came beside their result, and routes that the SDK does not know."""

from __future__ import annotations

import copy
import pickle
import string
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

import memtrace
from memtrace import (
    AddMemoryRequest,
    APIStatusError,
    ConflictError,
    ContextOptions,
    InvalidRequestError,
    ListOptions,
    MemtraceError,
    NotFoundError,
    PayloadTooLargeError,
    RateLimitError,
    RawResponse,
    RegisterAgentRequest,
    RequestInfo,
    ResponseDecodeError,
    RetryPolicy,
    SearchQuery,
    operations,
)
from memtrace.operations._raw import raw_operation
from memtrace.transport import Headers, Response, TransportError
from memtrace_transports import FakeMemtrace, ManualClock
from memtrace_transports.memory import Fault
from tests.dealing import by_face
from tests.faces import json_response

TEA = AddMemoryRequest(agent_id="assistant", content="User likes tea")


@pytest.fixture
def manual():
    return ManualClock()


@pytest.fixture
def fake(manual):
    return FakeMemtrace(clock=manual)


# ---- send -----------------------------------------------------------------------------------------------------------


def test_an_operation_gives_its_result_with_status_headers_body_and_call(face, fake):
    raw = face.of(fake, "acme").send(operations.add_memory(TEA))
    assert (raw.status, raw.headers["Content-Type"], raw.attempts) == (201, "application/json", 1)
    assert raw.parsed.content == "User likes tea"
    assert raw.body.startswith(b'{"time":')
    assert raw.request == RequestInfo("POST", "/api/v1/memories", "memories.add")


def test_elapsed_is_the_whole_call_with_its_waits(face, fake, manual):
    fake.faults.add(Fault("status", on="agents.list", status=429, headers={"retry-after": "7"}))
    raw = face.of(fake, "acme").send(operations.list_agents())
    assert (raw.attempts, raw.elapsed, raw.parsed.count) == (2, 7.0, 0)


def test_what_fails_raises_what_the_method_raises(face, fake):
    client = face.of(fake, "acme")
    client.send(operations.add_memory(TEA))
    with pytest.raises(ConflictError) as raised:
        client.send(operations.add_memory(TEA))
    assert (raised.value.code, raised.value.request.operation) == ("duplicate_memory", "memories.add")


def test_an_operation_keeps_its_recovery(face, fake):
    for applied, attempts in ((True, 1), (False, 2)):
        fake.faults.add(Fault("reset", on="memories.add", applied=applied))
        raw = face.of(fake, f"acme {applied}").send(operations.add_memory(TEA))
        assert (raw.status, raw.parsed.content, raw.attempts) == (201, "User likes tea", attempts)


@by_face(
    "make",
    [
        lambda: operations.list_memories(ListOptions(agent_id="a", since="24h", limit=5)),
        lambda: operations.agent_memories("a", ListOptions(limit=5)),
        lambda: operations.session_memories("s", ListOptions(limit=5)),
        lambda: operations.search_memories(SearchQuery(content_contains="tea")),
        lambda: operations.session_context("sess_1", ContextOptions(since="24h")),
        operations.list_sessions,
        lambda: operations.agent_stats("a"),
        operations.health,
        operations.ready,
        lambda: operations.register_agent(RegisterAgentRequest(name="n")),
        lambda: operations.add_memories([TEA]),
    ],
)
def test_every_operation_can_be_sent_without_a_clock_of_ones_own(face, fake, make):
    raw = face.of(fake, "acme").send(make())
    assert raw.status in (200, 201)
    assert raw.parsed is not None


@pytest.mark.parametrize(
    "make",
    [
        lambda: operations.list_memories(ListOptions(tags="ui", tags_match="exact")),
        lambda: operations.search_memories(SearchQuery(tags=["ui"], tags_match="exact")),
    ],
)
def test_one_operation_cannot_match_tags_exactly(make):
    with pytest.raises(InvalidRequestError) as raised:
        make()
    assert raised.value.field == "tags_match"


def test_an_empty_batch_is_refused():
    with pytest.raises(InvalidRequestError, match="memories must be not empty"):
        operations.add_memories([])


def test_a_batch_over_the_servers_limit_is_refused():
    with pytest.raises(PayloadTooLargeError):
        operations.add_memories([TEA.model_copy(update={"content": "x" * 2_500_000})] * 2)


def test_one_operation_reads_at_most_a_thousand_rows():
    with pytest.raises(InvalidRequestError, match="limit"):
        operations.list_memories(ListOptions(limit=1001))


class Report(BaseModel):
    rows: int


def test_an_operation_of_ones_own_reads_a_model_of_ones_own(face):
    client, transport = face.scripted(json_response(200, '{"rows": 3}'), json_response(200, '{"rows": "many"}'))
    report = operations.Operation("reports.get", "GET", "/api/v2/report", operations.response_parser(Report), "read")
    assert client.send(report).parsed.rows == 3
    assert transport.last.operation == "reports.get"
    with pytest.raises(ResponseDecodeError, match="is not readable as Report: rows: int_parsing"):
        client.with_options(retry=RetryPolicy(max_attempts=1)).send(report)


def test_headers_of_an_operation_win_over_those_of_the_client(face):
    client, transport = face.scripted(json_response(200, "{}"), headers={"x-trace": "client", "x-own": "1"})
    operation = operations.Operation("x", "GET", "/x", lambda _: None, "read", headers=(("X-Trace", "call"),))
    client.send(operation)
    assert (transport.last.headers.get_all("x-trace"), transport.last.headers["x-own"]) == (["call"], "1")


def test_a_raw_response_tells_its_size_and_not_its_content():
    call = RequestInfo("GET", "/api/v1/memories", "memories.list")
    raw = RawResponse(200, Headers({"a": "secret"}), b"secret", "secret", 0.25, 2, call)
    assert repr(raw) == "<RawResponse 200, 6 bytes, memories.list, 2 attempts, 0.250 s>"
    assert copy.deepcopy(raw) == raw


def test_a_raw_response_pickles(face, fake):
    raw = face.of(fake, "acme").send(operations.list_agents())
    assert pickle.loads(pickle.dumps(raw)) == raw


def test_the_modules_of_raw_access_resolve_from_the_root():
    assert memtrace.operations is operations
    assert memtrace.operations.RawResponse is memtrace.RawResponse


# ---- request --------------------------------------------------------------------------------------------------------


def test_a_route_is_called_with_key_headers_and_base_path(face):
    client, transport = face.scripted(json_response(200, '{"ok": true}'))
    response = client.request("GET", "/api/v2/things/a%20b", params={"limit": 2}, headers={"X-Mine": "1"})
    assert isinstance(response, Response)
    assert response.json() == {"ok": True}
    sent = transport.last
    assert (sent.method, sent.target, sent.body) == ("GET", "/api/v2/things/a%20b?limit=2", None)
    assert (sent.headers["x-api-key"], sent.headers["x-mine"], sent.operation) == ("mtk_key", "1", "request")
    assert "content-type" not in sent.headers


def test_a_known_route_answers_as_its_operation_does(face, fake):
    client = face.of(fake, "acme")
    client.remember("assistant", "User likes tea")
    rows = client.request("GET", "/api/v1/memories", params={"agent_id": "assistant", "since": None}).json()
    assert [row["content"] for row in rows["memories"]] == ["User likes tea"]
    assert client.request("HEAD", "/api/v1/memories").body == b""


@by_face(
    ("given", "body", "kind"),
    [
        ({"json": {"é": [1, None, True]}}, '{"é":[1,null,true]}'.encode(), "application/json"),
        ({"json": []}, b"[]", "application/json"),
        ({"json": RegisterAgentRequest(name="n")}, b'{"name":"n"}', "application/json"),
        ({"content": b"null"}, b"null", "application/json"),
        ({"content": b"a,b", "headers": {"Content-Type": "text/csv"}}, b"a,b", "text/csv"),
        ({}, None, None),
    ],
)
def test_a_body_is_a_json_value_a_model_or_bytes(face, given, body, kind):
    client, transport = face.scripted(json_response(200, "{}"))
    client.request("POST", "/api/v2/things", **given)
    assert (transport.last.body, transport.last.headers.get("content-type")) == (body, kind)


def test_a_failure_raises_the_mapped_error(face, fake):
    client = face.of(fake, "acme")
    with pytest.raises(NotFoundError) as raised:
        client.request("GET", "/api/v1/nothing", operation="things.list")
    assert raised.value.request == RequestInfo("GET", "/api/v1/nothing", "things.list")
    assert "that has this route" in raised.value.hint
    with pytest.raises(APIStatusError, match="Method Not Allowed") as not_allowed:
        client.request("PATCH", "/api/v1/agents", json={})
    assert not_allowed.value.status_code == 405


def test_an_address_that_has_the_clients_own_path_already_is_told(face):
    client, _ = face.scripted(Response(404, body=b"404 page not found"), url="http://server/api/v1")
    with pytest.raises(NotFoundError) as raised:
        client.memories.list()
    assert raised.value.hint == "the base URL ends in /api/v1, which is added to it: leave it out"


@by_face("given", ["x", None, operations.health])
def test_what_is_no_operation_is_refused_by_its_kind(face, fake, given):
    with pytest.raises(
        TypeError, match=r"needs an Operation, such as .*, not (str|NoneType|function); request\("
    ) as raised:
        face.of(fake, "acme").send(given)
    assert "health" in str(raised.value)


@by_face("accepts", [{404}, [404], range(400, 500)])
def test_an_accepted_status_is_an_answer(face, fake, accepts):
    assert face.of(fake, "acme").request("GET", "/api/v1/nothing", accepts=accepts).status == 404


def test_an_accepted_status_is_not_repeated(face):
    client, transport = face.scripted(Response(503))
    assert client.request("GET", "/x", accepts={503}).status == 503
    assert len(transport.requests) == 1


def lost():
    return TransportError("broken", cause="reset", maybe_sent=True)


def refused():
    return TransportError("refused", cause="connect", maybe_sent=False)


@by_face(
    ("method", "idempotency", "repeated"),
    [
        ("GET", None, True),
        ("HEAD", None, True),
        ("POST", None, False),
        ("PUT", None, False),
        ("PATCH", None, False),
        ("DELETE", None, False),
        ("POST", "read", True),
        ("DELETE", "idempotent", True),
        ("PUT", "idempotent", True),
        ("GET", "non_idempotent", False),
    ],
)
def test_what_may_have_been_applied_is_repeated_only_where_that_is_said_to_be_safe(
    face, clock, method, idempotency, repeated
):
    client, transport = face.scripted(lost(), Response(200), clock=clock)
    if repeated:
        assert client.request(method, "/x", idempotency=idempotency).status == 200
    else:
        with pytest.raises(MemtraceError) as raised:
            client.request(method, "/x", idempotency=idempotency)
        assert raised.value.maybe_applied
        assert not raised.value.retryable
    assert len(transport.requests) == (2 if repeated else 1)


@by_face("method", ["GET", "POST", "PATCH", "DELETE"])
@pytest.mark.parametrize("failure", [refused(), Response(429), Response(503)], ids=["refused", "429", "503"])
def test_what_was_surely_not_applied_is_repeated_for_every_method(face, clock, method, failure):
    client, transport = face.scripted(failure, Response(200), clock=clock)
    assert client.request(method, "/x").status == 200
    assert len(transport.requests) == 2


def test_a_request_keeps_to_the_deadline(face, clock):
    client, _ = face.scripted(Response(429, Headers({"retry-after": "50"})), clock=clock, deadline=10.0)
    with pytest.raises(RateLimitError):
        client.request("GET", "/x")
    assert clock.sleeps == []


def test_a_request_goes_through_all_middleware(face, clock):
    seen = []

    def outer(request, call_next):
        seen.append(("call", request.operation))
        return (yield from call_next(request.with_header("x-outer", "1")))

    def inner(request, call_next):
        seen.append(("attempt", "x-api-key" in request.headers))
        return (yield from call_next(request))

    client, transport = face.scripted(
        Response(503), Response(200), middleware=[outer], attempt_middleware=[inner], clock=clock
    )
    client.request("GET", "/x", operation="x.y")
    assert seen == [("call", "x.y"), ("attempt", True), ("attempt", True)]
    assert transport.last.headers["x-outer"] == "1"


# ---- what is refused before it is sent ------------------------------------------------------------------------------


@by_face(
    "path",
    ["", "api/v1", "http://evil.example/x", "https://evil.example", "//evil.example/x", "/a//b", "/a/./b", "/a/../b",
     "/a/%2e%2e/b", "/a/%2E/b", "/..", "/a b", "/é", "/a\r\nb", "/a#b", "/a%zz", "/a%2", "/a\\b", "/a?b c", "/a?b#c", None,
     b"/a"],
)  # fmt: skip
def test_a_path_that_would_name_another_place_is_refused(face, path):
    client, transport = face.scripted()
    with pytest.raises(InvalidRequestError) as raised:
        client.request("GET", path)
    assert (raised.value.field, raised.value.status_code, transport.requests) == ("path", 0, [])


@by_face("path", ["/", "/a", "/a/", "/a/b?c=d&e", "/a?", "/a%2Fb", "/a:b@c/~d!$&'()*+,;=", "/a?b=c/d?e"])
def test_a_path_goes_out_as_it_is(face, path):
    client, transport = face.scripted(Response(200))
    client.request("GET", path)
    assert transport.last.target == path


def test_params_join_the_query_that_is_there(face):
    client, transport = face.scripted(Response(200))
    client.request(
        "GET", "/a?b=c", params={"d": 1, "e": True, "f": False, "g": 1.5, "h": None, "i": ["x", "y"], "j": ""}
    )
    assert transport.last.target == "/a?b=c&d=1&e=true&f=false&g=1.5&i=x&i=y&j="


@given(
    st.dictionaries(
        st.text(max_size=5), st.text(max_size=9) | st.integers() | st.lists(st.text(max_size=5), max_size=3)
    )
)
def test_params_come_out_of_the_target_as_they_were_given(params):
    target = raw_operation("GET", "/x", params=params).target
    wanted = [
        (name, str(one)) for name, value in params.items() for one in (value if isinstance(value, list) else [value])
    ]
    assert set(target) <= set(string.printable) - set(string.whitespace) - {"#"}
    assert parse_qsl(target.partition("?")[2], keep_blank_values=True, strict_parsing=bool(wanted)) == wanted


@by_face(
    ("method", "given", "field"),
    [
        ("get", {}, "method"),
        ("TRACE", {}, "method"),
        ("GET", {"json": {}}, "json"),
        ("HEAD", {"content": b""}, "content"),
        ("POST", {"json": {}, "content": b"{}"}, "content"),
        ("POST", {"content": "text"}, "content"),
        ("POST", {"json": {"a": float("nan")}}, "json"),
        ("POST", {"json": {"a": object()}}, "json"),
        ("POST", {"json": "\ud800"}, "json"),
        ("POST", {"json": TEA.model_copy(update={"metadata": {"a": object()}})}, "json"),
        ("POST", {"json": TEA.model_copy(update={"metadata": {"a": float("nan")}})}, "json"),
        ("POST", {"json": TEA.model_copy(update={"metadata": {"\ud800": 1}})}, "json"),
        ("POST", {"json": {"\ud800": 1}}, "json"),
        ("GET", {"params": {"a": float("inf")}}, "params['a']"),
        ("GET", {"params": {"a": "\ud800"}}, "params['a']"),
        ("GET", {"params": {"\ud800": "a"}}, "params['\\ud800']"),
        ("GET", {"params": {1: "a"}}, "params[1]"),
        ("GET", {"params": {"a": {"b": 1}}}, "params['a']"),
        ("GET", {"params": {"a": [1]}}, "params['a']"),
        ("GET", {"params": {"a": b"x"}}, "params['a']"),
        ("GET", {"headers": {"x-api-key": "other"}}, "headers['x-api-key']"),
        ("GET", {"headers": {"Host": "other"}}, "headers['Host']"),
        ("POST", {"json": {}, "headers": {"content-type": "text/csv"}}, "headers['content-type']"),
        ("GET", {"headers": {"x-a": "a\r\nb: c"}}, "headers['x-a']"),
        ("GET", {"headers": {"x-a": 1}}, "headers['x-a']"),
        ("POST", {"idempotency": "keyed"}, "idempotency"),
        ("GET", {"accepts": 404}, "accepts"),
        ("GET", {"accepts": "404"}, "accepts"),
        ("GET", {"operation": ""}, "operation"),
        ("GET", {"operation": "a b"}, "operation"),
        ("GET", {"operation": None}, "operation"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_its_name(face, method, given, field):
    client, transport = face.scripted()
    with pytest.raises(InvalidRequestError) as raised:
        client.request(method, "/x", **given)
    assert (raised.value.field, raised.value.status_code, transport.requests) == (field, 0, [])
    assert raised.value.rule


def test_a_json_value_of_very_many_levels_is_refused_by_its_name(face):
    client, transport = face.scripted()
    nested: list = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(InvalidRequestError) as raised:
        client.request("POST", "/x", json=nested)
    assert (raised.value.field, raised.value.status_code, transport.requests) == ("json", 0, [])
    assert raised.value.rule


def test_a_body_over_the_servers_limit_is_refused(face):
    client, transport = face.scripted()
    for body in ({"content": b"x" * (4 * 1024 * 1024 + 1)}, {"json": "x" * (4 * 1024 * 1024)}):
        with pytest.raises(PayloadTooLargeError):
            client.request("POST", "/x", **body)
    assert transport.requests == []


SPOKEN = ["what-was-said", "what%20was%20said", "what-was-said/more", "what-was-said&more/stats"]


@by_face("route", ["/api/v1/memories/", "/API/V1/Memories/"])
@pytest.mark.parametrize("text", SPOKEN)
def test_the_text_of_a_memory_in_a_path_is_in_no_log_and_no_error(face, fake, caplog, route, text):
    caplog.set_level("DEBUG")
    with pytest.raises(NotFoundError) as raised:
        face.of(fake, "acme").request("GET", route + text)
    assert raised.value.request.path == f"{route}REDACTED"
    assert "said" not in f"{raised.value}{caplog.text}{[record.__dict__ for record in caplog.records]}"
    client, transport = face.scripted(Response(200, Headers(), b"{}"))
    client.request("GET", route + text)
    assert transport.requests[0].target == route + text


def test_a_redirect_shows_no_text_of_a_memory(face):
    moved = Response(308, Headers({"location": "https://other.test/api/v1/memories/what-was-said"}), b"")
    client, _ = face.scripted(moved)
    with pytest.raises(APIStatusError, match="redirects to https://other.test/api/v1/memories/REDACTED;"):
        client.request("GET", "/api/v1/memories/what-was-said")


# ---- reading an answer ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [b"", b"<html>secret</html>", b"\xff", b"[" * 100_000], ids=["empty", "html", "bytes", "deep"]
)
def test_a_body_that_is_no_json_says_so_without_showing_it(body):
    response = Response(200, Headers({"content-type": "text/html"}), body)
    with pytest.raises(ResponseDecodeError, match="is not readable as JSON") as raised:
        response.json()
    assert "secret" not in str(raised.value)
    assert raised.value.response_body == body[:4096]

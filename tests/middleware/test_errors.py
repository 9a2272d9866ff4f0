"""From what came back, or did not, to the exception that says so; the texts are the server's own."""

import inspect
import json
import pickle
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtrace import Memtrace
from memtrace.exceptions import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    ClientClosedError,
    ConflictError,
    DeadlineExceededError,
    InvalidRequestError,
    MemtraceError,
    MiddlewareError,
    NoArcInstanceError,
    NotFoundError,
    PayloadTooLargeError,
    RateLimitError,
    RequestInfo,
    ServerError,
    TransportError,
)
from memtrace.middleware._errors import annotate, error_for, is_failure, raise_errors
from memtrace.transport import CallContext, Headers, Request, Response
from tests.dealing import by_driver

ID_RULE = "must be alphanumeric with underscores/hyphens, max 128 chars"
TYPE_RULE = "must be alphanumeric with underscores, max 64 chars"
TAG_RULE = "must be alphanumeric with underscores/hyphens/dots, max 64 chars"


def answer(status, text=None, **more):
    return Response(status, body=json.dumps({"error": text, **more}).encode())


def request(idempotency="non_idempotent", **fields):
    context = CallContext(idempotency=idempotency)
    return Request("POST", "http://server", "/api/v1/memories?x=1", operation="memories.add", context=context, **fields)


def mapped(response, idempotency="non_idempotent", **fields):
    return error_for(response, replace(request(idempotency), **fields))


@pytest.mark.parametrize(
    ("status", "text", "kind", "code"),
    [
        (400, "invalid request body: unexpected end of JSON input", InvalidRequestError, "invalid_request"),
        (400, "session not found", NotFoundError, "not_found"),
        (401, "missing API key", AuthenticationError, "authentication"),
        (401, "invalid API key", AuthenticationError, "authentication"),
        (404, "memory not found", NotFoundError, "not_found"),
        (404, "agent not found", NotFoundError, "not_found"),
        (404, "FOREIGN KEY constraint failed", ConflictError, "agent_in_use"),
        (409, "duplicate memory", ConflictError, "duplicate_memory"),
        (409, "agent 'x' already exists in this organization", ConflictError, "conflict"),
        (413, "Request Entity Too Large", PayloadTooLargeError, "payload_too_large"),
        (429, "slow down", RateLimitError, "rate_limited"),
        (500, "Binder Error: no such column", ServerError, "server_error"),
        (500, "session not found", ServerError, "server_error"),
        (501, "no", ServerError, "server_error"),
        (502, "bad gateway", ServerError, "server_error"),
        (503, "overloaded", ServerError, "server_error"),
        (504, "gateway timeout", ServerError, "server_error"),
        (418, "teapot", APIStatusError, "unexpected_status"),
        (599, "what", ServerError, "server_error"),
    ],
)
def test_each_status_and_text_has_its_exception(status, text, kind, code):
    error = mapped(answer(status, text))
    assert type(error) is kind
    assert (error.status_code, error.message, error.code) == (status, text, code)
    assert error.request == RequestInfo("POST", "/api/v1/memories", "memories.add")
    assert error.response_body == answer(status, text).body


@pytest.mark.parametrize(
    ("status", "text", "field", "rule"),
    [
        (400, "agent_id is required", "agent_id", "required"),
        (400, "content is required", "content", "required"),
        (400, "name is required", "name", "required"),
        (400, "invalid memory_type: opinion", "memory_type", "one of episodic, session, decision, entity"),
        (400, f"invalid tag 'a b': invalid tag format: {TAG_RULE}", "tags", TAG_RULE),
        (400, f"invalid tag 'format: x': invalid tag format: {TAG_RULE}", "tags", TAG_RULE),
        (500, f"invalid agent_id: invalid ID format: {ID_RULE}", "agent_id", ID_RULE),
        (500, f"invalid session_id: invalid ID format: {ID_RULE}", "session_id", ID_RULE),
        (500, f"invalid memory_type: invalid type format: {TYPE_RULE}", "memory_type", TYPE_RULE),
        (500, f"invalid event_type: invalid type format: {TYPE_RULE}", "event_type", TYPE_RULE),
        (500, f"invalid tag: invalid tag format: {TAG_RULE}", "tags", TAG_RULE),
        (500, f"invalid include_type 'X Y': invalid type format: {TYPE_RULE}", "include_types", TYPE_RULE),
        (
            500,
            f"failed to create memory 3: invalid tag 'a b': invalid tag format: {TAG_RULE}",
            "memories[3].tags",
            TAG_RULE,
        ),
        (500, "failed to create memory 12: content is required", "memories[12].content", "required"),
        (400, "failed to create session: FOREIGN KEY constraint failed", "agent_id", "the id of a registered agent"),
        (400, "invalid event_type", "event_type", None),
        (400, "something else", None, None),
    ],
)
def test_a_refused_argument_is_named_with_its_rule(status, text, field, rule):
    error = mapped(answer(status, text))
    assert type(error) is InvalidRequestError
    assert (error.field, error.rule) == (field, rule)
    assert (error.status_code, error.message) == (status, text)
    assert error.retryable is False


def test_an_unknown_agent_says_where_ids_come_from():
    error = mapped(answer(400, "failed to create session: FOREIGN KEY constraint failed"))
    assert error.code == "unknown_agent"
    assert "get_or_register" in error.hint


def test_an_unknown_agent_is_named():
    asked = request(body=b'{"agent_id": "nobody", "metadata": {"note": "planted"}}')
    error = error_for(answer(400, "failed to create session: FOREIGN KEY constraint failed"), asked)
    assert error.message == "no agent has the id 'nobody': failed to create session: FOREIGN KEY constraint failed"
    assert (error.field, error.code) == ("agent_id", "unknown_agent")
    assert "planted" not in str(error)


@pytest.mark.parametrize("body", [None, b"", b"{", b"[]", b'{"agent_id": 3}', b'{"agent_id": ""}', b"[" * 100_000])
def test_an_unknown_agent_that_no_body_tells_keeps_the_servers_text(body):
    error = error_for(answer(400, "failed to create session: FOREIGN KEY constraint failed"), request(body=body))
    assert error.message == "failed to create session: FOREIGN KEY constraint failed"
    assert error.code == "unknown_agent"


def test_an_agent_that_sessions_hold_is_named():
    asked = Request("DELETE", "http://server", "/api/v1/agents/agent%201", operation="agents.delete")
    error = error_for(answer(404, "FOREIGN KEY constraint failed"), asked)
    assert type(error) is ConflictError
    assert error.status_code == 404
    assert error.message == "sessions hold the agent 'agent 1': FOREIGN KEY constraint failed"
    assert "cannot be deleted" in error.hint


def test_an_id_in_a_message_is_cut():
    asked = Request("DELETE", "http://server", f"/api/v1/agents/{'a' * 5000}")
    assert len(error_for(answer(404, "FOREIGN KEY constraint failed"), asked).message) < 200


def engine(value, operator, kind="invalid timestamp field format"):
    """What the real server answers, as it was recorded."""
    return (
        'failed to query memories: Arc query failed (status 500): {"success":false,"columns":null,"data":null,'
        f'"row_count":0,"error":"arrow query failed: Conversion Error: {kind}: \\"{value}\\", expected format is (YYYY-MM-DD'
        f" HH:MM:SS)\\n\\nLINE 1: ... content LIKE '%planted%' AND time \\u003{operator} '{value}' ORDER BY time\"}}"
    )


@pytest.mark.parametrize(
    ("target", "body", "text", "field"),
    [
        ("/x?since=abc", None, engine("abc", "e"), "since"),
        ("/x?until=0h&since=1h", None, engine("0h", "c"), "until"),
        (
            "/x?since=1h&until=2020-13-01",
            None,
            engine("2020-13-01", "c", "timestamp field value out of range"),
            "until",
        ),
        ("/x?since=2020-01-01T00%3A00%3A00%2B99%3A99", None, engine("another spelling", "e"), "since"),
        ("/x", b'{"since": "1h", "until": "366d"}', engine("366d", "c"), "until"),
        ("/x", b'{"since": "a", "until": "a"}', engine("a", "e"), "since"),
        (
            "/x?since=1w",
            None,
            "failed to query memories: Arc query failed (status 500): could not convert string '1w' to TIMESTAMP",
            "since",
        ),
    ],
)
def test_a_time_that_the_storage_cannot_read_is_named_without_its_query(target, body, text, field):
    asked = Request("GET", "http://server", target, body=body)
    error = error_for(answer(500, text), asked)
    assert type(error) is InvalidRequestError
    assert (error.field, error.status_code, error.retryable) == (field, 500, False)
    assert error.message == f"{field} is not a time that the server's storage can read"
    assert error.rule.startswith("a whole number from 1 to 8760")


def recorded():
    """Every answer of the real server to a time that it could not read."""
    for file in sorted((Path(__file__).parents[1] / "fake" / "vectors").glob("*.json")):
        for line in file.read_text(encoding="utf-8").splitlines():
            if "Conversion Error" in line:
                yield json.loads(line.rstrip(","))


def test_each_recorded_failure_to_read_a_time_names_the_one_that_was_wrong():
    seen = set()
    for vector in recorded():
        asked, given = vector["request"], vector["response"]
        body = json.dumps(asked["json"]).encode() if "json" in asked else None
        request = Request(asked["method"], "http://server", asked["path"], body=body)
        error = error_for(Response(given["status"], body=json.dumps(given["json"]).encode()), request)
        assert isinstance(error, InvalidRequestError)
        assert error.field in f"{asked['path']} {asked.get('json')}"
        assert error.field == ("since" if "time \\u003e" in given["json"]["error"] else "until")
        seen.add(error.field)
    assert seen == {"since", "until"}


@pytest.mark.parametrize("target", ["/x", "/x?since=1h&until=2h"])
def test_a_time_that_nobody_gave_is_a_failure_of_the_server(target):
    error = error_for(answer(500, engine("abc", "e")), Request("GET", "http://server", target))
    assert type(error) is ServerError
    assert "invalid timestamp field format" in error.message


@pytest.mark.parametrize("line_end", ["\n", "\\n"])
def test_what_was_searched_for_is_not_in_the_message_of_the_storage(line_end):
    text = f"Binder Error: no such column{line_end}{line_end}LINE 1: ... content LIKE '%planted%'{line_end}   ^"
    assert mapped(answer(500, text)).message == "Binder Error: no such column"


@pytest.mark.parametrize(
    "text", ["no arc instance configured for this org", "No Arc Instance", "NO ARC INSTANCE here", "the arc instances"]
)
def test_a_503_about_the_arc_instance_is_told_in_any_letter_case(text):
    error = mapped(answer(503, text, hint="ask an admin to run `memtrace org add-arc <org_id>`"))
    assert type(error) is NoArcInstanceError
    assert error.message == text
    assert error.hint == "ask an admin to run `memtrace org add-arc <org_id>`"
    assert error.retryable is False


def test_the_hint_of_a_missing_arc_instance_is_there_without_the_servers():
    assert "memtrace org add-arc <org_id>" in mapped(answer(503, "no arc instance")).hint


def test_only_a_503_is_about_an_arc_instance():
    assert type(mapped(answer(500, "no arc instance"))) is ServerError


@pytest.mark.parametrize(("status", "own"), [(500, None), (503, "the server, or a proxy before it, is down or busy")])
def test_a_hint_of_the_server_goes_before_our_own(status, own):
    assert mapped(answer(status, "down", hint="call us"), operation="agents.list").hint == "call us"
    for none in ("", 5):
        hint = mapped(answer(status, "down", hint=none), operation="agents.list").hint
        assert hint is None if own is None else hint.startswith(own)
    assert mapped(answer(401, "no", hint="")).hint == "check the API key"


@pytest.mark.parametrize(
    ("status", "text", "operation", "hint"),
    [
        (
            500,
            "failed to query Arc: connection refused",
            "memories.list",
            "the organisation's storage (Arc) does not respond",
        ),
        (502, "bad gateway", "agents.list", "the server, or a proxy before it, is down or busy: try again later"),
        (503, "overloaded", "agents.list", "the server, or a proxy before it, is down or busy: try again later"),
        (504, "gateway timeout", "agents.list", "the server, or a proxy before it, is down or busy: try again later"),
        (429, "slow down", "agents.list", "send less at once, or let a call wait longer"),
        (413, "too large", "agents.list", "a proxy before the server accepts less"),
        (302, "moved", "agents.list", "make that address the base URL"),
    ],
)
def test_the_failures_of_the_night_say_what_to_do(status, text, operation, hint):
    assert mapped(answer(status, text), operation=operation).hint.startswith(hint)


@pytest.mark.parametrize(
    ("response", "operation", "argument"),
    [
        (answer(401, "missing API key"), "agents.list", "api_key"),
        (answer(413, "too large"), "memories.add_many", "chunk_size"),
        (answer(413, "too large"), "memories.add", None),
        (answer(429, "slow down"), "agents.list", "retry"),
        (Response(302), "agents.list", "base_url"),
        (Response(404, body=b"Cannot GET it"), "agents.list", "base_url"),
        (answer(404, "agent not found"), "agents.get", None),
        (Response(405, body=b"Method Not Allowed"), "agents.list", "base_url"),
        (answer(500, "boom"), "agents.list", None),
    ],
)
def test_the_argument_to_look_at_is_named_and_is_one_that_there_is(response, operation, argument):
    assert mapped(response, operation=operation).argument == argument
    of_clients = inspect.signature(Memtrace).parameters
    of_batches = inspect.signature(Memtrace("memory://", "any key").memories.add_many).parameters
    assert argument is None or argument in {*of_clients, *of_batches}


@pytest.mark.parametrize("target", ["/api/v1/api/v1/memories", "/api/v1/health", "/behind/api/v1/ready"])
def test_an_address_that_ends_in_the_clients_own_path_is_told(target):
    error = mapped(Response(404, body=b"Cannot GET it"), target=target)
    assert error.hint == "the base URL ends in /api/v1, which is added to it: leave it out"
    assert "(argument: base_url, or MEMTRACE_BASE_URL; docs: " in str(error)


@pytest.mark.parametrize(
    ("operation", "asked", "hint"),
    [
        ("agents.get", "the%20assistant", "a name with other than letters"),
        ("agents.get", "assistant", None),
        ("agents.delete", "assistant", "delete takes the agent's id, and not its name"),
        ("agents.delete", "agent_0a5d2f346baa9455e3e70682", None),
        ("sessions.get", "the%20session", None),
    ],
)
def test_an_agent_that_a_path_does_not_find_may_be_found_by_its_id(operation, asked, hint):
    found = mapped(answer(404, "agent not found"), operation=operation, target=f"/api/v1/agents/{asked}").hint
    assert found is None if hint is None else found.startswith(hint)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:00 GMT", "date": "Thu, 01 Jan 1970 00:00:18 GMT"}, 42.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:00 GMT", "date": "Thu, 01 Jan 1970 00:02:00 GMT"}, 0.0),
    ],
)
def test_a_rate_limit_says_how_long_the_server_asks_to_wait(headers, seconds):
    error = mapped(Response(429, Headers(headers), b'{"error": "slow down"}'))
    assert error.retry_after == seconds
    assert pickle.loads(pickle.dumps(error)).retry_after == seconds


def test_a_404_of_another_service_asks_about_the_address():
    assert mapped(Response(404, body=b'{"detail": "Not Found"}')).argument == "base_url"


@pytest.mark.parametrize(("status", "body"), [(404, b"Cannot GET /nope"), (405, b"Method Not Allowed")])
def test_an_unknown_route_asks_about_the_address(status, body):
    error = mapped(Response(status, body=body))
    assert type(error) is (NotFoundError if status == 404 else APIStatusError)
    assert "check that the base URL is the address of a Memtrace server" in error.hint
    assert error.argument == "base_url"
    assert error.message == body.decode()
    assert error.status_code == status


# ---- redirects


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://other/x", "https://other/x"),
        ("https://other/x?key=planted", "https://other/x"),
        ("https://other/x#planted", "https://other/x"),
        ("https://user:planted@other/x", "https://other/x"),
        ("https://user:planted@other/a//b@c", "https://other/a//b@c"),
        ("//user:planted@other/x", "//other/x"),
        ("/login", "/login"),
        ("", "an unnamed place"),
        (None, "an unnamed place"),
        ("https://other/" + "x" * 5000, "https://other/" + "x" * 286 + "…"),
    ],
)
def test_a_redirect_is_no_answer_and_says_where_to_without_secrets(location, shown):
    headers = Headers() if location is None else Headers({"Location": location})
    for status in (301, 302, 303, 304, 307, 308):
        error = mapped(Response(status, headers, b"<html>"))
        assert type(error) is APIStatusError
        assert (error.status_code, error.code) == (status, "redirect")
        assert error.message == f"the server redirects to {shown}; redirects are not followed"
        assert "base URL" in error.hint
        assert error.argument == "base_url"
        assert error.retryable is False


# ---- bodies of every kind


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "HTTP 502"),
        (b"  \r\n ", "HTTP 502"),
        (b"Bad   Gateway\n", "Bad Gateway"),
        (b"<html>\n <h1>Bad Gateway</h1></html>", "<html> <h1>Bad Gateway</h1></html>"),
        (b"{}", "HTTP 502"),
        (b'{"message": "x"}', "HTTP 502"),
        (b'{"error": ""}', "HTTP 502"),
        (b'{"error": null}', "HTTP 502"),
        (b'{"error": 5}', "HTTP 502"),
        (b'{"error": {"text": "x"}}', "HTTP 502"),
        (b'["error"]', "HTTP 502"),
        (b"[]", "HTTP 502"),
        (b"null", "HTTP 502"),
        (b"5", "HTTP 502"),
        (b'"error"', "HTTP 502"),
        (b'{"error": "broken', '{"error": "broken'),
        (b"\xff\xfe\x00 bad", "\ufffd\ufffd\\x00 bad"),
        (b'\xef\xbb\xbf{"error": "with a mark"}', "with a mark"),
        ('{"error": "größe"}'.encode(), "größe"),
        (b"x" * 300, "x" * 300),
        (b"x" * 301, "x" * 300 + "…"),
        (b"[" * 100_000, "[" * 300 + "…"),
        (b'{"a":' * 100_000, '{"a":' * 60 + "…"),
        (b"1" * 5000, "1" * 300 + "…"),
    ],
    ids=lambda given: repr(given)[:30],
)
def test_a_body_of_any_kind_gives_a_useful_message(body, message):
    error = mapped(Response(502, body=body))
    assert type(error) is ServerError
    assert error.message == message
    assert error.response_body == body[:4096]


@pytest.mark.parametrize(
    ("form", "byte"),
    [(b"%s", b"x"), (b"%s", b" "), (b"%s", b"\xff"), (b'{"error": "%s"}', b"y")],
    ids=["text", "blank", "invalid UTF-8", "JSON"],
)
def test_a_body_of_ten_megabytes_is_bounded_everywhere(form, byte):
    body = form % (byte * 10_000_000)
    started = time.monotonic()
    error = mapped(Response(500, body=body))
    assert time.monotonic() - started < 30
    assert len(error.message) <= 5000
    assert len(str(error)) <= 6000
    assert len(error.response_body) == 4096


@given(st.integers(300, 599), st.binary(max_size=200))
def test_no_answer_whatever_breaks_the_mapping(status, body):
    error = mapped(Response(status, body=body))
    assert isinstance(error, MemtraceError)
    assert error.status_code == status
    assert error.message
    str(error)


@given(
    st.integers(300, 599),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["error", "hint", "x"]), inner),
    ),
)
def test_no_json_whatever_breaks_the_mapping(status, content):
    error = mapped(Response(status, body=json.dumps(content).encode()))
    assert error.message
    assert error.hint is None or isinstance(error.hint, str)


# ---- may it be repeated, may it have been applied


@by_driver(
    ("idempotency", "status", "retryable", "maybe_applied"),
    [
        ("read", 500, True, False),
        ("read", 502, True, False),
        ("read", 503, True, False),
        ("read", 504, True, False),
        ("read", 429, True, False),
        ("read", 501, False, False),
        ("idempotent", 500, True, True),
        ("keyed", 500, False, True),
        ("non_idempotent", 500, False, True),
        ("non_idempotent", 501, False, False),
        ("non_idempotent", 503, True, False),
        ("non_idempotent", 429, True, False),
        ("non_idempotent", 400, False, False),
        ("non_idempotent", 401, False, False),
        ("non_idempotent", 404, False, False),
        ("non_idempotent", 409, False, False),
        ("non_idempotent", 413, False, False),
    ],
)
def test_what_may_be_repeated_and_what_may_have_been_applied(runner, idempotency, status, retryable, maybe_applied):
    runner.context.idempotency = idempotency
    with pytest.raises(MemtraceError) as caught:
        runner.call(raise_errors, answer(status, "engine text"))
    assert (caught.value.retryable, caught.value.maybe_applied) == (retryable, maybe_applied)


@by_driver(
    ("idempotency", "status", "retryable", "maybe_applied"),
    [
        ("read", 502, True, False),
        ("non_idempotent", 502, False, True),
        ("non_idempotent", 504, False, True),
        ("idempotent", 504, True, True),
    ],
)
def test_a_gateway_says_nothing_about_a_write(runner, idempotency, status, retryable, maybe_applied):
    runner.context.idempotency = idempotency
    with pytest.raises(ServerError) as caught:
        runner.call(raise_errors, status)
    assert (caught.value.retryable, caught.value.maybe_applied) == (retryable, maybe_applied)


def repeating(request, call_next):
    with suppress(TransportError):
        yield from call_next(request)
    return (yield from call_next(request))


@by_driver("status", [429, 503])
def test_an_uncertain_attempt_before_makes_a_refusal_no_safe_repeat(runner, status):
    lost = TransportError("lost", cause="reset")
    with pytest.raises(MemtraceError) as caught:
        runner.call([raise_errors, repeating], lost, answer(status, "later"))
    assert (caught.value.retryable, caught.value.maybe_applied) == (False, True)
    runner.context = CallContext(runner.clock, "read")
    with pytest.raises(MemtraceError) as caught:
        runner.call([raise_errors, repeating], TransportError("lost", cause="reset"), answer(status, "later"))
    assert (caught.value.retryable, caught.value.maybe_applied) == (True, False)


@pytest.mark.parametrize(
    ("text", "maybe_applied"),
    [
        ("failed to create memory 0: content is required", False),
        ("failed to create memory 2: content is required", True),
        ("failed to create memory 0: disk full", False),
        ("failed to create memory 2: disk full", True),
    ],
)
def test_the_items_before_the_refused_one_of_a_batch_were_stored(text, maybe_applied):
    error = mapped(answer(500, text))
    assert error.maybe_applied is maybe_applied
    assert error.retryable is False


# ---- failures of the transport


@by_driver(
    ("cause", "kind", "hint", "argument"),
    [
        ("connect", APIConnectionError, "is the server running at http://server?", "base_url"),
        ("reset", APIConnectionError, "is the server running at http://server?", "base_url"),
        ("timeout", APITimeoutError, "raise the timeout", "timeout"),
        ("protocol", TransportError, None, None),
    ],
)
def test_a_failed_transport_becomes_what_fits_its_cause(runner, cause, kind, hint, argument):
    def failing(request):
        runner.clock.now += 2
        raise TransportError("no luck", cause=cause, maybe_sent=False)

    with pytest.raises(TransportError) as caught:
        runner.call(raise_errors, failing)
    error = caught.value
    assert type(error) is kind
    assert (error.message, error.cause, error.maybe_sent, error.status_code) == ("no luck", cause, False, 0)
    assert (error.attempts, error.elapsed) == (1, 2.0)
    assert error.request == RequestInfo("POST", "/api/v1/memories", "memories.add")
    assert error.hint is None if hint is None else error.hint.startswith(hint)
    assert error.argument == argument
    assert (type(error.__cause__) is TransportError) is (kind is not TransportError)


def test_a_hint_of_the_transport_is_kept(runner):
    for cause in ("connect", "timeout"):
        with pytest.raises(TransportError) as caught:
            runner.call(raise_errors, TransportError("x", cause=cause, hint="theirs"), operation="agents.list")
        assert (caught.value.hint, caught.value.argument) == ("theirs", None)
        with pytest.raises(TransportError) as caught:
            runner.call(raise_errors, TransportError("x", cause=cause, hint="theirs", argument="options.ca_bundle"))
        assert caught.value.argument == "options.ca_bundle"


@by_driver(
    ("operation", "look"),
    [
        ("memories.add", "memories.list("),
        ("memories.add_many", "memories.list("),
        ("sessions.create", "sessions.list("),
        ("agents.register", "agents.get_or_register("),
    ],
)
def test_what_may_have_been_applied_says_how_to_look(runner, operation, look):
    with pytest.raises(TransportError) as caught:
        runner.call(raise_errors, TransportError("x", cause="reset", hint="theirs"), operation=operation)
    assert caught.value.hint.startswith("before you ")
    assert caught.value.hint.endswith("; theirs")
    assert caught.value.hint.count(look) == 1
    with pytest.raises(TransportError) as caught:
        runner.call(raise_errors, TransportError("x", cause="reset", hint="theirs"), operation="sessions.close")
    assert caught.value.hint == "theirs"


@by_driver("kind", [APIConnectionError, APITimeoutError, DeadlineExceededError])
def test_what_is_special_already_stays_the_same_object(runner, kind):
    error = kind("x", cause="timeout")
    with pytest.raises(kind) as caught:
        runner.call(raise_errors, error)
    assert caught.value is error
    assert error.attempts == 1


@by_driver(
    ("idempotency", "maybe_sent", "retryable", "maybe_applied"),
    [
        ("read", True, True, False),
        ("idempotent", True, True, True),
        ("keyed", True, False, True),
        ("non_idempotent", True, False, True),
        ("non_idempotent", False, True, False),
        ("read", False, True, False),
    ],
)
def test_a_lost_write_may_have_been_applied(runner, idempotency, maybe_sent, retryable, maybe_applied):
    runner.context.idempotency = idempotency
    with pytest.raises(TransportError) as caught:
        runner.call(raise_errors, TransportError("x", cause="reset", maybe_sent=maybe_sent))
    assert (caught.value.retryable, caught.value.maybe_applied) == (retryable, maybe_applied)


def test_a_lost_write_that_a_middleware_tells_of_may_have_been_applied_too(runner):
    def raising(request, call_next):
        raise TransportError("lost on the way", cause="reset")
        yield

    with pytest.raises(APIConnectionError) as caught:
        runner.call([raise_errors, raising])
    assert (caught.value.attempts, caught.value.maybe_applied, caught.value.retryable) == (0, True, False)


def test_a_write_that_succeeded_before_a_middleware_failed_may_have_been_applied(runner):
    def failing(request, call_next):
        yield from call_next(request)
        raise MiddlewareError("too late")

    with pytest.raises(MiddlewareError) as caught:
        runner.call([raise_errors, failing], 201)
    assert caught.value.maybe_applied is True


# ---- around the call


def test_the_middleware_inside_sees_the_status_and_the_caller_the_exception(runner):
    seen = []

    def inner(request, call_next):
        response = yield from call_next(request)
        seen.append(response.status)
        return response

    with pytest.raises(ServerError):
        runner.call([raise_errors, inner], 503)
    assert seen == [503]


def test_what_succeeded_or_is_accepted_passes(runner):
    assert runner.call(raise_errors, 200).status == 200
    assert runner.call(raise_errors, 204).status == 204
    runner.context.accepts = frozenset({503})
    assert runner.call(raise_errors, 503).status == 503
    with pytest.raises(ServerError):
        runner.call(raise_errors, 502)


def test_other_errors_of_the_sdk_are_told_where_they_happened(runner):
    for error in (MiddlewareError("wrong"), ClientClosedError()):

        def raising(request, call_next, error=error):
            yield from call_next(request)
            raise error

        with pytest.raises(type(error)) as caught:
            runner.call([raise_errors, raising])
        assert caught.value is error
        assert error.request.operation == "memories.add"
        assert error.retryable is False


def test_errors_of_others_pass_untouched(runner):
    def raising(request, call_next):
        yield from call_next(request)
        raise LookupError("theirs")

    with pytest.raises(LookupError, match="theirs"):
        runner.call([raise_errors, raising])


def test_an_error_is_described_once():
    error = ServerError("x")
    annotate(error, request())
    first = error.request
    annotate(error, Request("GET", "http://other", "/other"))
    assert error.request is first


def test_success_is_below_300():
    asked = request()
    assert [status for status in (199, 200, 204, 299, 300, 400, 503) if is_failure(Response(status), asked)] == [
        300,
        400,
        503,
    ]


def test_neither_key_nor_content_nor_query_is_in_an_error(runner):
    def adding(request, call_next):
        return (yield from call_next(request.with_header("x-api-key", "planted-key")))

    for step in (500, 302, 401, TransportError("gone", cause="connect"), TransportError("gone", cause="timeout")):
        with pytest.raises(MemtraceError) as caught:
            runner.call([raise_errors, adding], step, target="/x?q=planted-query", body=b"planted-body")
        assert "planted" not in f"{caught.value} {caught.value!r} {vars(caught.value)}"


def test_a_slug_of_a_transports_own_is_kept(runner):
    with pytest.raises(APIConnectionError) as caught:
        runner.call(raise_errors, TransportError("x", cause="connect", code="no_route"))
    assert caught.value.code == "no_route"
    with pytest.raises(APIConnectionError) as caught:
        runner.call(raise_errors, TransportError("x", cause="connect"))
    assert caught.value.code == "connection_failed"

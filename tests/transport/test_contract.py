import copy
import pickle
import re
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtrace import AddMemoryRequest
from memtrace.clock import SystemClock
from memtrace.operations import add_memory, list_agents
from memtrace.transport import (
    AsyncTransport,
    CallContext,
    Headers,
    Request,
    Response,
    Transport,
    TransportError,
    TransportOptions,
)
from tests.conftest import AsyncScript, Script, StoppedClock

names = st.sampled_from(["A", "a", "x-trace", "X-Trace", "content-type"])
pairs = st.lists(st.tuples(names, st.text(max_size=3)), max_size=6)


# ---- headers


def test_names_match_in_any_case():
    headers = Headers({"Content-Type": "text/plain"})
    assert headers["content-TYPE"] == "text/plain"
    assert "CONTENT-type" in headers
    assert headers.get("accept") is None
    assert "accept" not in headers
    assert 5 not in headers
    with pytest.raises(KeyError):
        headers["accept"]


def test_repeated_names_are_joined_and_kept_one_by_one():
    headers = Headers([("Via", "a"), ("x", "1"), ("via", "b")])
    assert headers["VIA"] == "a, b"
    assert headers.get_all("Via") == ["a", "b"]
    assert headers.get_all("none") == []
    assert headers.multi_items == (("Via", "a"), ("x", "1"), ("via", "b"))
    assert list(headers) == ["via", "x"]
    assert len(headers) == 2
    assert dict(headers) == {"via": "a, b", "x": "1"}


def test_set_replaces_every_field_of_the_name_in_a_copy():
    headers = Headers([("Via", "a"), ("x", "1"), ("via", "b")])
    assert headers.set("VIA", "c").multi_items == (("x", "1"), ("VIA", "c"))
    assert headers.get_all("via") == ["a", "b"]


@given(pairs)
def test_equal_headers_have_equal_hashes_whatever_the_case_of_names(fields):
    headers = Headers(fields)
    other = Headers([(name.swapcase(), value) for name, value in fields])
    assert headers == other
    assert hash(headers) == hash(other)


@pytest.mark.parametrize("value", ["planted\n", "planted\r\nx: y", " planted", "plantedé", "planted\x00"])
def test_a_value_that_cannot_be_sent_is_refused_without_showing_it(value):
    with pytest.raises(ValueError, match="the value of the header 'x-api-key' cannot be sent") as caught:
        Headers().set("x-api-key", value)
    assert "planted" not in str(caught.value)


@given(pairs, names, st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=3))
def test_set_is_what_get_gives(fields, name, value):
    changed = Headers(fields).set(name, value)
    assert changed[name] == value
    assert changed.get_all(name) == [value]


def test_fields_given_as_lists_become_pairs():
    assert Headers([["X-One", "1"]]).multi_items == Headers((["X-One", "1"],)).multi_items == (("X-One", "1"),)


def test_headers_equal_headers_only():
    assert Headers({"a": "1"}) != Headers({"a": "2"})
    assert Headers({"a": "1"}) != {"a": "1"}
    assert Headers() == Headers([])


def test_repr_shows_no_value():
    assert repr(Headers({"x-api-key": "secret", "accept": "x"})) == "Headers(x-api-key, accept)"


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda headers: pickle.loads(pickle.dumps(headers))])
def test_headers_copy_and_pickle(again):
    headers = Headers([("a", "1"), ("A", "2")])
    assert again(headers).multi_items == headers.multi_items
    assert headers["a"] == "1, 2"
    assert again(headers) == headers


# ---- requests and responses


def a_request(**fields):
    return Request(
        "POST", "http://server:9100", "/v1/x?q=secret", Headers({"x-api-key": "secret"}), b"secret", **fields
    )


def test_a_request_knows_its_url_and_path():
    request = a_request()
    assert request.url == "http://server:9100/v1/x?q=secret"
    assert request.path == "/v1/x"
    assert replace(request, target="/plain").path == "/plain"


def test_a_request_is_frozen_and_changed_by_copying():
    request = a_request(operation="memories.add", timeout=3.0)
    with pytest.raises(FrozenInstanceError):
        request.body = b""
    changed = request.with_header("X-Trace", "1")
    assert changed.headers["x-trace"] == "1"
    assert "x-trace" not in request.headers
    assert (changed.body, changed.timeout, changed.operation) == (b"secret", 3.0, "memories.add")
    assert changed.context is request.context


def test_reprs_show_neither_headers_nor_query_nor_bodies():
    assert repr(a_request(operation="memories.add")) == "<Request POST /v1/x memories.add, 6 bytes>"
    assert repr(replace(a_request(), body=None)) == "<Request POST /v1/x unnamed, no body>"
    assert repr(Response(200, Headers({"set-cookie": "secret"}), b"secret")) == "<Response 200, 6 bytes>"


def test_a_response_is_empty_by_default():
    response = Response(204)
    assert response.headers == Headers()
    assert response.body == b""
    assert response == Response(204)


# ---- the context of a call


def test_a_context_takes_the_time_from_its_clock():
    clock = StoppedClock()
    context = CallContext(clock)
    clock.now += 2.5
    assert context.elapsed() == 2.5
    assert context.started == 1000.0
    assert CallContext(clock, started=999.0).elapsed() == 3.5


def test_a_context_begins_with_nothing_done():
    context = CallContext()
    assert isinstance(context.clock, SystemClock)
    assert (context.idempotency, context.attempt, context.maybe_applied, context.last_cause) == (
        "non_idempotent",
        0,
        False,
        None,
    )
    assert context.accepts == frozenset()
    assert context.state == {}
    assert CallContext().state is not context.state


def test_contexts_are_told_apart_by_identity():
    clock = StoppedClock()
    assert CallContext(clock) != CallContext(clock)
    assert len({CallContext(clock), CallContext(clock)}) == 2


# ---- protocols


def test_transports_are_recognised_by_their_methods():
    assert isinstance(Script(), Transport)
    assert isinstance(AsyncScript(), AsyncTransport)
    assert not isinstance(object(), Transport)


def test_options_have_defaults_and_are_keywords():
    options = TransportOptions()
    assert options.url == ""
    assert isinstance(options.clock, SystemClock)
    with pytest.raises(TypeError):
        TransportOptions("http://server")


def test_a_transport_error_says_why_and_whether_the_request_may_have_left():
    error = TransportError("refused", cause="connect", maybe_sent=False)
    assert (error.cause, error.maybe_sent, error.status_code) == ("connect", False, 0)
    assert (TransportError().cause, TransportError().maybe_sent) == ("protocol", True)


def test_a_context_shows_no_body_of_a_request():
    context = CallContext()
    context.sent_body = b'{"content": "planted secret"}'
    assert "planted secret" not in repr(context)


def test_an_operation_shows_the_size_of_its_body_and_no_content():
    operation = add_memory(AddMemoryRequest(agent_id="a", content="planted secret"))
    assert re.fullmatch(r"<Operation memories.add: POST /api/v1/memories, \d+ bytes>", repr(operation))
    assert repr(list_agents()) == "<Operation agents.list: GET /api/v1/agents, no body>"

from __future__ import annotations

import json
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtrace import InvalidRequestError, PayloadTooLargeError, operations
from memtrace.clock import SystemClock
from memtrace.models import (
    AddMemoryRequest,
    ContextOptions,
    CreateSessionRequest,
    ListOptions,
    RegisterAgentRequest,
    SearchQuery,
)
from memtrace.operations import (
    add_memory,
    agent_memories,
    create_session,
    list_memories,
    memory_body,
    register_agent,
    search_memories,
    session_context,
)
from memtrace.operations._endpoints import MAX_BODY
from memtrace.operations._validation import path_segment
from memtrace_transports import FakeMemtrace

CLOCK = SystemClock()


def add(**fields):
    return add_memory(AddMemoryRequest(**{"agent_id": "a1", "content": "x", **fields}), "server")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"agent_id": ""}, "agent_id"),
        ({"content": ""}, "content"),
        ({"agent_id": "1a"}, "agent_id"),
        ({"agent_id": "a b"}, "agent_id"),
        ({"agent_id": "a" * 129}, "agent_id"),
        ({"agent_id": "a\n"}, "agent_id"),
        ({"agent_id": "é"}, "agent_id"),
        ({"session_id": "s.1"}, "session_id"),
        ({"event_type": "a-b"}, "event_type"),
        ({"event_type": "e" * 65}, "event_type"),
        ({"tags": ["ok", "a b"]}, "tags[1]"),
        ({"tags": ["t" * 65]}, "tags[0]"),
        ({"tags": ["a,b"]}, "tags[0]"),
        ({"tags": [" ui"]}, "tags[0]"),
        ({"metadata": {"x": float("nan")}}, "metadata"),
        ({"metadata": {"x": [{"y": float("-inf")}]}}, "metadata"),
        ({"metadata": {"x": object()}}, "metadata"),
        ({"metadata": {"x": "\ud800"}}, "metadata"),
        ({"metadata": {"\ud800": 1}}, "metadata"),
        ({"metadata": dict.fromkeys(["\ud800", "\ud801"], 1)}, "metadata"),
        ({"metadata": {"x": {"\udfff": 1}}}, "metadata"),
        ({"content": "half a character \ud800"}, "content"),
        ({"dedup_key": "\ud800"}, "dedup_key"),
    ],
)
def test_a_memory_that_the_server_would_refuse_is_refused_with_field_and_rule(fields, field):
    with pytest.raises(InvalidRequestError) as caught:
        add(**fields)
    assert caught.value.field == field
    assert caught.value.rule
    assert field in caught.value.message
    assert isinstance(caught.value, ValueError)
    assert caught.value.status_code == caught.value.attempts == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"agent_id": "A" + "z-9_" * 31 + "abc"},
        {"session_id": ""},
        {"session_id": "sess_1"},
        {"event_type": ""},
        {"event_type": "tool_call"},
        {"tags": []},
        {"tags": ["", "a.b-c_D9"]},
        {"parent_id": "any thing / é"},
        {"dedup_key": "any thing / é"},
        {"metadata": {"note": "NaN and Infinity in a text"}},
        {"metadata": {"\ufffd": "the replacement character itself \ufffd"}},
    ],
)
def test_what_the_server_takes_is_taken(fields):
    assert add(**fields).body


def test_none_inside_metadata_is_sent_and_none_fields_are_not():
    body = memory_body(AddMemoryRequest(agent_id="a1", content="x", metadata={"a": None, "b": [None]}))
    assert body == (
        b'{"agent_id":"a1","memory_type":"episodic","event_type":"general","content":"x","metadata":{"a":null,"b":[null]}}'
    )


def test_a_body_over_4_mib_is_refused_and_one_of_4_mib_is_not():
    frame = len(memory_body(AddMemoryRequest(agent_id="a1", content="x"))) - 1
    assert len(add(content="x" * (MAX_BODY - frame)).body) == MAX_BODY
    with pytest.raises(PayloadTooLargeError, match="4194304"):
        add(content="x" * (MAX_BODY - frame + 1))


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"agent_id": "a b"}, "agent_id"),
        ({"session_id": "-"}, "session_id"),
        ({"memory_type": "a-b"}, "memory_type"),
        ({"event_type": "9"}, "event_type"),
        ({"tags": "ok,a b"}, "tags"),
        ({"tags": ["a,b"]}, "tags[0]"),
        ({"tags": ["ui", " a b "]}, "tags[1]"),
        ({"tags": "\x1fui"}, "tags"),
        ({"tags": ["ui\x1f"]}, "tags[0]"),
        ({"limit": 0}, "limit"),
        ({"limit": -1}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"offset": -1}, "offset"),
        ({"offset": 2**63}, "offset"),
        ({"since": "1w"}, "since"),
        ({"until": "now"}, "until"),
    ],
)
def test_a_filter_that_the_server_would_refuse_or_ignore_is_refused(options, field):
    with pytest.raises(InvalidRequestError) as caught:
        list_memories(ListOptions(**options), CLOCK)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"agent_id": "a b"}, "agent_id"),
        ({"memory_types": ["episodic", "a-b"]}, "memory_types[1]"),
        ({"event_types": ["a b"]}, "event_types[0]"),
        ({"tags": ["a b"]}, "tags[0]"),
        ({"tags": ["ui "]}, "tags[0]"),
        ({"limit": 1001}, "limit"),
        ({"min_importance": -0.1}, "min_importance"),
        ({"min_importance": float("nan")}, "min_importance"),
        ({"since": "now"}, "since"),
    ],
)
def test_a_search_that_the_server_would_refuse_is_refused(query, field):
    with pytest.raises(InvalidRequestError) as caught:
        search_memories(SearchQuery(**query), CLOCK)
    assert caught.value.field == field


@pytest.mark.parametrize("tags", [" ui,\tnav.a\n", ["ui\u3000", "\xa0nav.a\x85"]])
def test_white_space_around_the_tags_of_a_list_counts_for_nothing_as_on_the_server(tags):
    fake = FakeMemtrace()
    fake.organisation("acme")
    client = fake.client()
    for stored in (["ui"], ["gui", "nav.a"], ["ui", "nav.a"]):
        client.memories.add(agent_id="a", content=",".join(stored), tags=stored)
    fake.flush()
    assert client.memories.list(tags=tags, tags_match="substring").count == 2
    (exact,) = client.memories.list(tags=tags)
    assert exact.content == "ui,nav.a"


def test_a_search_takes_a_text_of_tags_with_white_space_as_a_list_does():
    body = json.loads(search_memories(SearchQuery(tags=" ui,\tnav "), CLOCK).body)
    assert body["tags"] == ["ui", "nav"]


def test_context_refuses_bad_types_and_times():
    for options in (ContextOptions(include_types=["a-b"]), ContextOptions(since="2026-01-01")):
        with pytest.raises(InvalidRequestError):
            session_context("sess_1", options, CLOCK)


def test_names_and_owners_are_required():
    with pytest.raises(InvalidRequestError, match="name must be a string that is not empty: it is required"):
        register_agent(RegisterAgentRequest(name=""))
    with pytest.raises(InvalidRequestError, match="agent_id must be .* it is required"):
        create_session(CreateSessionRequest(agent_id=""))
    with pytest.raises(InvalidRequestError, match="agent_id"):
        agent_memories("", ListOptions(tags="ui"), CLOCK)
    with pytest.raises(InvalidRequestError, match="config"):
        register_agent(RegisterAgentRequest(name="x", config={"k": float("inf")}))


def test_half_a_character_cannot_stand_in_a_path():
    with pytest.raises(InvalidRequestError, match="whole Unicode"):
        path_segment("\ud800", "agent_id")


@pytest.mark.parametrize("segment", [5, None, b"a"])
def test_what_is_no_text_cannot_stand_in_a_path(segment):
    with pytest.raises(InvalidRequestError, match="agent_id must be a string: .* was given"):
        path_segment(segment, "agent_id")


@pytest.mark.parametrize("segment", ["", ".", ".."])
def test_what_would_name_another_path_is_refused(segment):
    with pytest.raises(InvalidRequestError, match="it is a part of the path"):
        path_segment(segment, "agent_id")


@given(st.text(min_size=1).filter(lambda text: text not in (".", "..")))
def test_any_other_text_stands_in_a_path_as_one_segment(text):
    segment = path_segment(text, "agent_id")
    assert "/" not in segment
    assert "?" not in segment
    assert segment.isascii()
    assert unquote(segment) == text


def test_operations_that_send_alike_are_equal():
    tea = AddMemoryRequest(agent_id="a", content="tea")
    for make in (lambda: operations.add_memory(tea), lambda: operations.delete_agent("a"), operations.health):
        assert make() == make()
    assert operations.add_memory(tea) != operations.delete_agent("a")

"""A session's memories as a prompt: what is read, what is sent, and that both faces write the same."""

from __future__ import annotations

from datetime import timedelta

import pytest

from memtrace import AuthenticationError, InvalidRequestError, PromptContextOptions
from memtrace.context import build_context
from memtrace_transports import FakeMemtrace, ManualClock
from memtrace_transports.memory import Fault
from tests.dealing import by_face
from tests.faces import json_response
from tests.responses import MEMORIES
from tests.sampling import is_whole


@pytest.fixture
def fake():
    return FakeMemtrace(clock=ManualClock())


def seed(fake, count, **fields):
    rows = [
        {"agent_id": "bot", "content": f"row {n} of {count}", "age_s": (count - n) * 60, "session_id": "s", **fields}
        for n in range(count)
    ]
    fake.seed("default", rows)


def contents(context):
    return [memory.content for memory in context.memories]


def test_all_of_a_session_is_there_whole_and_oldest_first(face, fake):
    count = 2500 if is_whole() else 1100
    seed(fake, count)
    fake.seed("default", [{"agent_id": "bot", "session_id": "other", "content": "of another session", "age_s": 30}])
    long = "語" * 500
    fake.seed("default", [{"agent_id": "bot", "session_id": "s", "content": long, "age_s": 0}])
    context = face.of(fake).sessions.prompt_context("s")
    assert contents(context) == [*(f"row {n} of {count}" for n in range(count)), long]
    assert f"\n{long}\n" in context.text
    assert (context.omitted, context.revision) == (0, 0)
    assert [call.operation for call in fake.calls] == ["memories.list"] * len(fake.calls)


@by_face("form", ["markdown", "xml", "messages"])
def test_it_is_what_build_context_makes_of_the_same_memories(face, fake, form):
    seed(fake, 1200, importance=0.5, metadata={"reasoning": "r", "k": 1})
    client = face.of(fake)
    settings = {"format": form, "max_tokens": 3000, "metadata_keys": ["k"], "show_agents": True, "count_tokens": len}
    context = client.sessions.prompt_context("s", **settings)
    assert context == build_context(client.sessions.memories_iter("s"), **settings)
    assert context == client.sessions.prompt_context("s", PromptContextOptions(**settings))
    assert context.revision > 0
    assert context.tokens <= 3000


def test_the_types_tags_times_and_importance_are_chosen(face, fake):
    client = face.of(fake)
    for n, fields in enumerate(
        (
            {"memory_type": "decision", "event_type": "decision", "importance": 0.9, "tags": ["ui"]},
            {"memory_type": "entity", "event_type": "seen", "tags": ["gui"]},
            {"memory_type": "episodic", "event_type": "seen", "importance": 0.4, "tags": ["ui", "db"]},
            {"memory_type": "session", "event_type": "error"},
        )
    ):
        fake.seed(
            "default", [{"agent_id": "bot", "session_id": "s", "content": str(n), "age_s": 100 - n * 10, **fields}]
        )
    for chosen, expected in (
        ({}, "0123"),
        ({"memory_types": [], "event_types": [], "tags": []}, "0123"),
        ({"memory_types": ["decision"]}, "0"),
        ({"memory_types": ["decision", "session"]}, "03"),
        ({"memory_types": ["nothing_so_called"]}, ""),
        ({"event_types": ["seen"]}, "12"),
        ({"event_types": ["seen", "error"], "memory_types": ["entity", "session"]}, "13"),
        ({"tags": "ui", "tags_match": "substring"}, "012"),
        ({"tags": "ui"}, "02"),
        ({"tags": ["ui", "db"]}, "2"),
        ({"min_importance": 0.4}, "02"),
        ({"min_importance": 0}, "0123"),
        ({"min_importance": 0.95}, ""),
        ({"since": timedelta(seconds=85)}, "23"),
        ({"until": timedelta(seconds=85)}, "01"),
    ):
        assert contents(client.sessions.prompt_context("s", **chosen)) == list(expected), chosen


def test_one_type_is_chosen_by_the_server_and_several_by_the_client(face):
    client, transport = face.scripted(lambda _: json_response(200, MEMORIES))
    client.sessions.prompt_context(
        "s", memory_types=["decision"], event_types=["a", "b"], tags="ui", until="2026-01-31"
    )
    assert transport.last.operation == "sessions.prompt_context"
    assert transport.last.target == (
        "/api/v1/memories?session_id=s&memory_type=decision&tags=ui&until=2026-01-31&limit=1000&order=asc"
    )


def test_the_beginning_stays_while_a_session_goes_on(face, fake):
    client = face.of(fake)
    agent = client.agents.register(name="bot")
    before = None
    with client.sessions.open(agent_id=agent.id) as session:
        for n in range(40):
            session.remember(f"Turn {n} of a conversation", event_type="message")
            context = session.prompt_context(max_tokens=600)
            if before is not None and context.revision == before.revision:
                assert context.text.startswith(before.text)
                assert context.text != before.text
            before = context
        assert context.revision >= 1
        assert context == client.sessions.prompt_context(session.id, PromptContextOptions(max_tokens=600))


def test_an_unknown_session_gives_an_empty_context(face, fake):
    context = face.of(fake).sessions.prompt_context("nowhere", max_tokens=100)
    assert (context.text, context.messages, context.tokens, context.omitted) == ("", [], 0, 0)


@by_face(
    ("field", "value", "named"),
    [
        ("max_tokens", 0, "max_tokens"),
        ("max_tokens", "many", "max_tokens"),
        ("format", "html", "format"),
        ("count_tokens", None, "count_tokens"),
        ("memory_types", ["no spaces"], "memory_types[0]"),
        ("event_types", ["ok", "no-hyphens"], "event_types[1]"),
        ("tags", ["no spaces"], "tags[0]"),
        ("tags_match", "whole", "tags_match"),
        ("min_importance", -1, "min_importance"),
        ("since", "1.5h", "since"),
        ("until", "now", "until"),
        ("metadata_keys", "reasoning", "metadata_keys"),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(face, field, value, named):
    client, transport = face.scripted()
    with pytest.raises(InvalidRequestError) as caught:
        client.sessions.prompt_context("s", **{field: value})
    assert caught.value.field == named
    assert not transport.requests


@by_face("session_id", ["", "no spaces"])
def test_a_session_id_that_cannot_be_is_refused(face, session_id):
    client, transport = face.scripted()
    with pytest.raises(InvalidRequestError) as caught:
        client.sessions.prompt_context(session_id)
    assert caught.value.field == "session_id"
    assert not transport.requests


def test_a_field_that_there_is_not_is_told(face):
    client, _ = face.scripted()
    with pytest.raises(TypeError, match="Did you mean 'max_tokens'"):
        client.sessions.prompt_context("s", max_token=3)


def test_a_page_that_fails_comes_out(face, fake):
    seed(fake, 1500)
    fake.faults.add(Fault("status", on="memories.list", status=401, nth=2))
    with pytest.raises(AuthenticationError, match="sessions.prompt_context"):
        face.of(fake).sessions.prompt_context("s")


def test_the_fake_names_the_operation_that_a_prompt_context_is(fake):
    with pytest.raises(ValueError, match="did you mean 'memories.list'"):
        fake.faults.add(Fault("reset", on="sessions.prompt_context"))

"""Prompts of what is relevant: filled, in order of time, with gaps marked, and the newest in them."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone

import pytest

from memtrace import AddMemoryRequest, InvalidRequestError, PromptContextOptions
from memtrace.context import estimate_tokens
from memtrace_transports import FakeMemtrace, ManualClock
from tests.dealing import by_face
from tests.faces import json_response
from tests.responses import MEMORIES

START = datetime(2024, 3, 1, 9, tzinfo=timezone.utc)
LINE = "On that day we talked about the garden, the neighbours and what to cook"


def chat(turns, topic=(), agent="a", session="s"):
    """A long conversation, in which some turns name a lighthouse."""
    for n in range(turns):
        text = f"the lighthouse of Mallorca, part {n}" if n in topic else f"{LINE}, part {n}"
        at = START + timedelta(minutes=n)
        yield AddMemoryRequest(agent_id=agent, session_id=f"{session}{n // 100}", content=text, occurred_at=at)


def client_with(face, *args, **kwargs):
    client = face.of(FakeMemtrace(clock=ManualClock()))
    client.memories.add_many(chat(*args, **kwargs))
    return client


def numbers(context):
    return [int(memory.content.rpartition(" ")[2]) for memory in context.memories]


def test_the_relevant_are_in_it_with_their_neighbours_in_order_of_time_and_gaps_are_marked(face):
    client = client_with(face, 400, topic={50, 250})
    context = client.memories.prompt_context("lighthouse Mallorca", agent_id="a", max_tokens=400)
    assert {49, 50, 51, 249, 250, 251} <= set(numbers(context))
    assert numbers(context) == sorted(numbers(context))
    runs = 1 + sum(after != before + 1 for before, after in zip(numbers(context), numbers(context)[1:], strict=False))
    assert context.text.count("...\n") >= runs - 1 >= 1
    assert "2024-03-01" in context.text
    assert "09:50" in context.text, "when it happened, not when it was stored"


@by_face("max_tokens", [150, 500, 2000, 6000])
def test_the_budget_is_filled_where_enough_is_found(face, max_tokens):
    client = client_with(face, 600, topic={50, 250})
    context = client.memories.prompt_context(
        "what about the garden and the lighthouse?", agent_id="a", max_tokens=max_tokens
    )
    assert 0.9 * max_tokens <= context.tokens == estimate_tokens(context.text) <= max_tokens
    assert context.omitted > 0


def test_2000_tokens_are_the_budget_unless_said(face):
    context = client_with(face, 600).memories.prompt_context("the garden", agent_id="a")
    assert 1800 <= context.tokens <= 2000
    everything = client_with(face, 30).memories.prompt_context("the garden", agent_id="a", max_tokens=None)
    assert numbers(everything) == list(range(30))


def test_the_newest_are_always_in_it(face):
    client = client_with(face, 400, topic={50})
    context = client.memories.prompt_context("lighthouse", agent_id="a", max_tokens=300, recent=3)
    assert {50, 397, 398, 399} <= set(numbers(context))
    assert "...\n" in context.text
    without = client.memories.prompt_context("lighthouse", agent_id="a", max_tokens=300)
    assert 399 not in numbers(without)


def test_a_session_s_prompt_takes_a_query_too(face):
    client = client_with(face, 400, topic={50, 250})
    context = client.sessions.prompt_context("s2", query="lighthouse", max_tokens=200)
    assert 250 in numbers(context)
    assert all(200 <= n < 300 for n in numbers(context))
    by_options = client.sessions.prompt_context("s2", PromptContextOptions(query="lighthouse", max_tokens=200))
    assert by_options.text == context.text
    both = client.memories.prompt_context("lighthouse", session_id="s2", agent_id="a", max_tokens=200)
    assert both.text == context.text


def test_an_open_session_s_prompt_takes_a_query(face):
    client = face.of(FakeMemtrace(clock=ManualClock()))
    agent = client.agents.register(name="a")
    with client.sessions.open(agent_id=agent.id) as session:
        for n in range(30):
            session.remember(f"{LINE}, part {n}", occurred_at=START + timedelta(hours=n))
        session.remember("The lighthouse of Mallorca, part 30")
        context = session.prompt_context(query="lighthouse", max_tokens=150)
    assert 30 in numbers(context)
    assert context.tokens <= 150


def test_without_a_query_it_is_everything_of_an_agent_with_a_beginning_that_stays(face):
    client = client_with(face, 40)
    before = client.memories.prompt_context(agent_id="a", max_tokens=600)
    assert numbers(before) == list(range(numbers(before)[0], 40))
    client.memories.add_many(
        AddMemoryRequest(agent_id="a", session_id="s9", content=f"short {n}", occurred_at=START + timedelta(days=1))
        for n in range(2)
    )
    after = client.memories.prompt_context(agent_id="a", max_tokens=600)
    assert after.revision == before.revision
    assert after.text.startswith(before.text)
    filled = client.memories.prompt_context(agent_id="a", max_tokens=600, stable_prefix=False)
    assert filled.tokens >= 540
    recent = client.memories.prompt_context(agent_id="a", max_tokens=600, recent=2)
    assert [memory.content for memory in recent.memories][-2:] == ["short 0", "short 1"]
    assert client.memories.prompt_context(agent_id="nobody").text == ""


def test_filters_hold_with_a_query(face):
    client = client_with(face, 5)
    client.memories.add(
        agent_id="a", content="the garden, part 77", tags=["plan.now"], importance=0.9, event_type="plan"
    )
    for fields in (
        {"tags": ["plan.now"]},
        {"tags": "plan", "tags_match": "substring"},
        {"tags": ["plan.now"], "tags_match": "exact"},
        {"min_importance": 0.5},
        {"event_types": ["plan"]},
        {"since": START + timedelta(days=1)},
    ):
        assert numbers(client.memories.prompt_context("garden", agent_id="a", **fields)) == [77]
    assert numbers(client.memories.prompt_context("garden", agent_id="a", tags=["plan"], tags_match="exact")) == []
    assert 77 not in numbers(client.memories.prompt_context("garden", agent_id="a", until=START + timedelta(days=1)))
    context = client.memories.prompt_context("garden", agent_id="a", tags=["plan.now"], format="xml", show_agents=True)
    assert '<memory time="' in context.text
    assert 'agent="a"' in context.text


@by_face(
    "broken",
    [
        ("query", {"query": " "}),
        ("max_tokens", {"max_tokens": 0}),
        ("recent", {"recent": -1}),
        ("recent", {"recent": 2**63}),
        ("recent", {"recent": 10**30}),
        ("stable_prefix", {"stable_prefix": True}),
        ("agent_id", {"agent_id": ""}),
        ("session_id", {"session_id": "a b"}),
        ("count_tokens", {"count_tokens": 5}),
        ("min_importance", {"min_importance": -1}),
        ("min_importance", {"min_importance": float("nan")}),
        ("since", {"since": 5}),
        ("since", {"since": "never"}),
        ("format", {"format": "pdf"}),
    ],
)
def test_bad_arguments_are_refused_with_the_field_before_anything_is_sent(face, broken):
    field, arguments = broken
    client, transport = face.scripted(json_response(200, MEMORIES))
    with pytest.raises(InvalidRequestError) as caught:
        client.memories.prompt_context(**{"query": "tea", "agent_id": "a", **arguments})
    assert caught.value.field.startswith(field)
    assert not transport.requests


@by_face("arguments", [{"agent_id": ""}, {"recent": 2.5}, {"stable_prefix": True, "recent": 2}])
def test_so_they_are_without_a_query(face, arguments):
    client, transport = face.scripted(json_response(200, MEMORIES))
    with pytest.raises(InvalidRequestError):
        client.memories.prompt_context(**arguments)
    with pytest.raises(InvalidRequestError) as caught:
        client.sessions.prompt_context("", query="tea")
    assert caught.value.field == "session_id"
    assert not transport.requests


def test_an_async_client_counts_tokens_in_a_thread(face):
    threads = set()

    def count(text):
        threads.add(threading.current_thread())
        return len(text)

    client = client_with(face, 5)
    client.memories.prompt_context("garden", agent_id="a", max_tokens=5000, count_tokens=count)
    is_counted_here = threading.main_thread() in threads - {None} and len(threads) == 1
    assert is_counted_here is (face.kind == "sync")


def test_the_largest_number_of_newest_memories_is_all_of_them(face):
    client = face.of(FakeMemtrace())
    client.memories.add(agent_id="a", content="a lighthouse")
    for query in ("lighthouse", None):
        assert len(client.memories.prompt_context(query, agent_id="a", recent=2**63 - 1).memories) == 1

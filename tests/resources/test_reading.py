"""Reading through the resources: iterators, long lists and exact tags, on the fake and on the wire."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta

import pytest

from memtrace import ClientClosedError, InvalidRequestError, ListOptions, NotFoundError, SearchQuery
from memtrace_transports import FakeMemtrace, ManualClock
from tests.faces import json_response
from tests.responses import MEMORIES
from tests.sampling import is_whole


@pytest.fixture
def fake():
    return FakeMemtrace(clock=ManualClock())


def seed(fake, count, **fields):
    rows = [
        {"agent_id": "bot", "content": f"row {n}", "age_s": (count - n) * 60, "session_id": "s", **fields}
        for n in range(count)
    ]
    fake.seed("default", rows)


def contents(memories):
    return [memory.content for memory in memories]


# ---- iterators


def test_an_iterator_gives_every_row_whatever_their_number(face, fake):
    count = 2500 if is_whole() else 1200
    seed(fake, count)
    client = face.of(fake)
    newest = [f"row {n}" for n in reversed(range(count))]
    assert contents(client.memories.iter()) == newest
    assert contents(client.memories.iter(ListOptions(order="asc"))) == newest[::-1]
    assert contents(client.memories.iter(agent_id="bot", limit=3, offset=1)) == newest[1:4]
    assert contents(client.sessions.memories_iter("s")) == newest
    assert contents(client.memories.iter(agent_id="other")) == []
    assert [call.status for call in fake.calls] == [200] * len(fake.calls)


def test_an_agents_iterator_keeps_to_the_last_24_hours_unless_told_otherwise(face, fake):
    seed(fake, 48 * 60)
    client = face.of(fake)
    assert len(list(client.agents.memories_iter("bot"))) == 24 * 60 - 1
    assert len(list(client.agents.memories_iter("bot", since="36h"))) == 36 * 60 - 1
    assert len(list(client.agents.memories_iter("bot", ListOptions(since="365d")))) == 48 * 60


def test_every_option_works_in_every_iterator(face, fake):
    seed(fake, 5, tags=["ui"], event_type="seen")
    seed(fake, 5, tags=["gui"], event_type="seen")
    client = face.of(fake)
    options = {
        "tags": "ui",
        "tags_match": "substring",
        "event_type": "seen",
        "until": timedelta(seconds=150),
        "order": "asc",
        "offset": 1,
    }
    for items in (
        client.memories.iter(**options),
        client.agents.memories_iter("bot", session_id="s", **options),
        client.sessions.memories_iter("s", agent_id="bot", **options),
    ):
        assert contents(items) == ["row 0", "row 1", "row 1", "row 2", "row 2"]


def test_an_iterator_asks_the_general_route_and_names_its_own_operation(face):
    client, transport = face.scripted(lambda _: json_response(200, MEMORIES))
    for items, operation, target in (
        (client.memories.iter(limit=1), "memories.list", "?limit=1"),
        (client.agents.memories_iter("a", limit=1), "agents.memories", "?agent_id=a&since=20"),
        (client.sessions.memories_iter("s", limit=1), "sessions.memories", "?session_id=s&limit=1"),
    ):
        list(items)
        assert transport.last.operation == operation
        assert transport.last.target.startswith(f"/api/v1/memories{target}")


def test_nothing_is_sent_before_the_first_row_is_asked_for(face):
    client, transport = face.scripted(lambda _: json_response(200, MEMORIES))
    items = client.memories.iter()
    assert not transport.requests
    next(items)
    assert [request.target for request in transport.requests] == ["/api/v1/memories?limit=1000"]


def test_a_mistake_in_the_options_is_told_before_the_first_row_is_asked_for(face):
    client, transport = face.scripted()
    with pytest.raises(TypeError, match="Did you mean 'since'"):
        client.memories.iter(sinc="24h")
    for wrong in ({"limit": 0}, {"tags_match": "whole"}, {"until": "now"}):
        with pytest.raises(InvalidRequestError):
            client.memories.iter(**wrong)
    with pytest.raises(InvalidRequestError, match="agent_id"):
        client.agents.memories_iter("")
    assert not transport.requests


def test_an_iterator_that_is_left_half_way_leaves_nothing_open(face, fake):
    seed(fake, 1500)
    client = face.of(fake)
    items = client.memories.iter()
    assert contents(itertools.islice(items, 2)) == ["row 1499", "row 1498"]
    items.close()
    assert len(fake.calls) == 1
    assert list(items) == []
    client.close()
    with pytest.raises(ClientClosedError):
        next(client.memories.iter())


def test_a_failure_on_the_way_comes_out_of_the_iterator_after_what_was_read(face):
    rows = [{**json.loads(MEMORIES)["memories"][0], "time": f"2026-01-01T00:00:00.{n:06d}Z"} for n in range(1000)]
    page = json.dumps({"memories": rows[::-1], "count": 1000, "has_more": True})
    client, _ = face.scripted(json_response(200, page), json_response(404, "{}"))
    items = client.memories.iter()
    assert len(list(itertools.islice(items, 999))) == 999
    with pytest.raises(NotFoundError):
        next(items)


# ---- long lists


def test_a_list_of_more_than_1000_gives_them_all(face, fake):
    count, fewer, searched = (2500, 1500, 2000) if is_whole() else (1200, 1100, 1100)
    seed(fake, count)
    client = face.of(fake)
    for read in (
        client.memories.list,
        lambda **options: client.agents.memories("bot", since="365d", **options),
        lambda **options: client.sessions.memories("s", **options),
    ):
        found = read(limit=5000)
        assert (found.count, found.has_more) == (count, False)
        assert contents(found.memories) == [f"row {n}" for n in reversed(range(count))]
        found = read(limit=fewer, order="asc", offset=10)
        assert (found.count, found.has_more) == (fewer, True)
        assert contents(found.memories) == [f"row {n}" for n in range(10, 10 + fewer)]
    assert client.list_memories(ListOptions(limit=count)).has_more is False
    assert client.search_memories(SearchQuery(limit=searched, agent_id="bot")).count == searched


def test_a_list_of_up_to_1000_is_one_request_as_it_always_was(face):
    client, transport = face.scripted(lambda _: json_response(200, MEMORIES))
    client.memories.list(limit=1000, since="24h")
    client.agents.memories("a", limit=1000)
    client.sessions.memories("s", limit=1000)
    transport.script[:] = [json_response(200, '{"results":[],"count":0,"query_time_ms":0}')]
    client.memories.filter(limit=1000, since="24h")
    assert transport.last.body == b'{"since":"24h","limit":1000}'
    assert [request.target for request in transport.requests[:3]] == [
        "/api/v1/memories?since=24h&limit=1000",
        "/api/v1/agents/a/memories?limit=1000",
        "/api/v1/sessions/s/memories?limit=1000",
    ]


def test_a_list_of_no_rows_is_refused(face):
    client, transport = face.scripted()
    for read in (client.memories.list, client.memories.filter):
        with pytest.raises(InvalidRequestError, match="limit must be 1 or more"):
            read(limit=0)
    assert not transport.requests


# ---- tags


def test_exact_tags_find_what_has_them_and_substrings_what_holds_them(face, fake):
    seed(fake, 300, tags=["gui"])
    seed(fake, 3, tags=["ui", "nav"])
    seed(fake, 150, tags=["ui.main"])
    client = face.of(fake)
    agent = client.agents.register(name="bot")
    for read in (
        lambda **options: client.memories.list(**options).memories,
        lambda **options: list(client.memories.iter(**options)),
        lambda **options: client.memories.filter(**{**options, "tags": [options["tags"]]}).results,
        lambda **options: client.agents.memories("bot", **options).memories,
        lambda **options: list(client.agents.memories_iter("bot", **options)),
        lambda **options: client.sessions.memories("s", **options).memories,
        lambda **options: list(client.sessions.memories_iter("s", **options)),
    ):
        assert contents(read(tags="ui", tags_match="exact")) == ["row 2", "row 1", "row 0"]
        assert contents(read(tags="ui", limit=2)) == ["row 2", "row 1"]
        assert len(read(tags="ui", tags_match="substring", limit=10)) == 10
    with client.sessions.open(agent_id=agent.id) as session:
        session.remember("in a session", tags=["gui"])
        assert session.recall(tags="ui", tags_match="substring").count == 1
        assert session.recall(tags="ui").count == 0

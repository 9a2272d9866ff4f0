"""Agents and their statistics."""

from __future__ import annotations

import re

import pytest

from memtrace_transports.memory import ManualClock
from tests.fake.caller import Caller


def test_an_agent_is_answered_with_what_is_not_empty(api: Caller) -> None:
    agent = api.post("/agents", {"name": "a", "description": "d", "config": {"b": 1.0, "a": [1]}})
    assert agent.status == 201
    assert list(agent.json) == ["id", "org_id", "name", "description", "config", "created_at"]
    assert re.fullmatch("agent_[0-9a-f]{24}", agent.json["id"])
    assert '"config":{"a":[1],"b":1}' in agent.text
    assert list(api.post("/agents", {"name": "b", "description": "", "config": {}}).json) == [
        *("id", "org_id", "name", "created_at")
    ]


def test_a_repeated_config_is_merged(api: Caller) -> None:
    body = b'{"name": "a", "config": {"a": 1, "b": 1}, "config": {"b": 2}}'
    assert api.raw("POST", "/agents", body).json["config"] == {"a": 1, "b": 2}


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": None}])
def test_a_name_is_required(api: Caller, body: object) -> None:
    answer = api.post("/agents", body)
    assert (answer.status, answer.error) == (400, "name is required")


def test_a_name_is_unique_in_its_organisation_and_in_its_case(api: Caller, late: Caller) -> None:
    assert api.post("/agents", {"name": "it's"}).status == 201
    answer = api.post("/agents", {"name": "it's"})
    assert (answer.status, answer.error) == (409, "agent 'it's' already exists in this organization")
    assert api.post("/agents", {"name": "IT'S"}).status == 201
    assert late.post("/agents", {"name": "it's"}).status == 201


def test_an_agent_is_fetched_by_id_or_by_name_as_it_stands_in_the_path(api: Caller) -> None:
    ids = {name: api.post("/agents", {"name": name}).json["id"] for name in ("bob", "a/b", "with space", "é", "Bob")}
    assert api.get("/agents/bob").json["id"] == ids["bob"]
    assert api.get("/agents/Bob/").json["id"] == ids["Bob"]
    assert api.get(f"/agents/{ids['a/b']}").json["name"] == "a/b"
    for missing in ("a%2Fb", "with%20space", "%C3%A9", "BOB", "!", ids["bob"].upper()):
        answer = api.get(f"/agents/{missing}")
        assert (answer.status, answer.error) == (404, "agent not found")


def test_only_the_answer_that_creates_an_agent_has_a_fraction_in_its_time(api: Caller, clock: ManualClock) -> None:
    clock.advance(0.25)
    created = api.post("/agents", {"name": "a"}).json
    assert created["created_at"].startswith("2026-01-01T00:00:00.25")
    assert api.get("/agents/a").json["created_at"] == "2026-01-01T00:00:00Z"
    assert api.get("/agents").json["agents"][0]["created_at"] == "2026-01-01T00:00:00Z"


def test_the_list_has_the_newest_second_first_and_no_pages(api: Caller, clock: ManualClock) -> None:
    assert api.get("/agents").json == {"agents": [], "count": 0}
    for name in ("one", "two", "three"):
        api.post("/agents", {"name": name})
        clock.advance(1)
    answer = api.get("/agents?limit=1&name=one").json
    assert [agent["name"] for agent in answer["agents"]] == ["three", "two", "one"]
    assert answer["count"] == 3


def test_an_agent_is_deleted_by_id_only_and_its_name_is_free_again(api: Caller) -> None:
    agent = api.post("/agents", {"name": "a"}).json["id"]
    api.add(agent_id=agent)
    assert (api.delete("/agents/a").status, api.delete("/agents/a").error) == (404, "agent not found")
    answer = api.delete(f"/agents/{agent}")
    assert (answer.status, answer.text, "content-type" in answer.headers) == (204, "", False)
    assert api.delete(f"/agents/{agent}").status == 404
    assert api.post("/agents", {"name": "a"}).status == 201
    assert api.contents(f"/agents/{agent}/memories") == ["likes tea"]


def test_an_agent_that_ever_had_a_session_stays(api: Caller) -> None:
    agent = api.post("/agents", {"name": "a"}).json["id"]
    session = api.post("/sessions", {"agent_id": agent}).json["id"]
    api.put(f"/sessions/{session}", {"status": "closed"})
    answer = api.delete(f"/agents/{agent}")
    assert (answer.status, answer.error) == (404, "FOREIGN KEY constraint failed")


def test_statistics_count_by_agent_id_registered_or_not(api: Caller) -> None:
    agent = api.post("/agents", {"name": "bob"}).json["id"]
    rows = [
        {"agent_id": agent, "content": "old", "age_s": 200_000, "event_type": "error", "memory_type": "entity"},
        {"agent_id": agent, "content": "day", "age_s": 86_400, "event_type": "error"},
        {"agent_id": agent, "content": "bad", "age_s": 86_399, "event_type": "error"},
        {"agent_id": agent, "content": "new", "age_s": 10, "memory_type": "decision"},
        {"agent_id": "ghost", "content": "boo", "age_s": 10},
    ]
    api.fake.seed(api.org, rows)
    for status in ("closed", "active", "odd"):
        session = api.post("/sessions", {"agent_id": agent}).json["id"]
        api.put(f"/sessions/{session}", {"status": status})
    assert api.get(f"/agents/{agent}/stats").json == {
        "agent_id": agent,
        "memory_count": 4,
        "memories_24h": 2,
        "errors_24h": 1,
        "session_count": 3,
        "active_sessions": 1,
        "memory_types": {"decision": 1, "entity": 1, "episodic": 2},
    }
    assert api.get("/agents/ghost/stats").json["memory_count"] == 1
    assert api.get("/agents/bob/stats").json["memory_count"] == 0


def test_statistics_of_a_bad_id_are_a_500(api: Caller) -> None:
    answer = api.get("/agents/1/stats")
    assert answer.status == 500
    assert answer.error.startswith("invalid agent_id: invalid ID format")

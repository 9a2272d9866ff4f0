"""Organisations without storage, and with storage that cannot be reached."""

from __future__ import annotations

import pytest

from memtrace_transports.memory import FakeMemtrace, ManualClock, Visibility
from tests.fake.caller import Answer, Caller

HINT = "ask an admin to run `memtrace org add-arc <org_id>`"
READS = ["/memories", "/memories/x", "/agents/a/memories", "/sessions/s/memories"]


def reads(api: Caller) -> list[Answer]:
    return [*(api.get(path) for path in READS), api.post("/search", {}), api.post("/sessions/s/context", {})]


def test_without_storage_every_route_that_needs_it_says_what_to_do(api: Caller) -> None:
    api.fake.set_storage(api.org, "none")
    answers = [*reads(api), api.get("/agents/a/stats"), api.add()]
    answers.append(api.post("/memories", {"memories": [{"agent_id": "bot", "content": "x"}]}))
    for answer in answers:
        assert answer.status == 503
        assert answer.json == {"error": "no arc instance configured for this org", "hint": HINT}


def test_without_storage_agents_and_sessions_work(api: Caller) -> None:
    api.fake.set_storage("default", "none")
    agent = api.post("/agents", {"name": "a"}).json["id"]
    session = api.post("/sessions", {"agent_id": agent})
    assert session.status == 201
    assert api.put(f"/sessions/{session.json['id']}", {"status": "closed"}).status == 200


def test_the_request_is_validated_before_storage_is_missed(api: Caller) -> None:
    api.fake.set_storage("default", "none")
    assert api.add("").error == "content is required"
    assert api.get("/memories?agent_id=!").status == 500
    assert api.get("/agents/!/stats").status == 500
    assert api.post("/search", {"limit": "x"}).status == 400
    items = [{"agent_id": "bot", "content": "x"}, {}]
    assert api.post("/memories", {"memories": items}).status == 503
    assert api.post("/memories", {"memories": items[::-1]}).error == "failed to create memory 0: agent_id is required"


def test_an_unreadable_time_is_found_after_missing_storage(api: Caller) -> None:
    api.fake.set_storage("default", "none")
    assert api.get("/memories?since=nonsense").status == 503


def test_unreachable_storage_fails_reads_with_a_500(api: Caller) -> None:
    api.fake.set_storage("default", "down")
    for answer in reads(api):
        assert answer.status == 500
        assert "failed to query Arc" in answer.error


def test_unreachable_storage_leaves_stats_at_zero_but_for_sessions(api: Caller) -> None:
    agent = api.post("/agents", {"name": "a"}).json["id"]
    api.post("/sessions", {"agent_id": agent})
    api.add(agent_id=agent)
    api.fake.set_storage("default", "down")
    stats = api.get(f"/agents/{agent}/stats").json
    assert (stats["memory_count"], stats["session_count"], stats["memory_types"]) == (0, 1, {})


@pytest.mark.parametrize("visibility", ["immediate", "server"])
def test_writes_wait_for_unreachable_storage_and_are_not_checked(clock: ManualClock, visibility: Visibility) -> None:
    fake = FakeMemtrace(clock=clock)
    api = Caller(fake, fake.organisation(storage="down", visibility=visibility))
    assert [api.add().status for _ in range(2)] == [201, 201]
    clock.advance(60)
    fake.flush()
    assert clock.monotonic() == 60
    fake.set_storage("default", "up")
    fake.flush()
    assert api.contents() == ["likes tea"] * 2
    assert api.add().status == 409


def test_what_waited_goes_with_the_next_tick(late: Caller, clock: ManualClock) -> None:
    late.fake.set_storage("late", "down")
    late.add()
    clock.advance(9.5)
    late.fake.set_storage("late", "up")
    late.fake.set_storage("late", "up")
    assert late.get("/agents/bot/stats").json["memory_count"] == 0
    clock.advance(0.6)
    assert late.get("/agents/bot/stats").json["memory_count"] == 1


@pytest.mark.slow
def test_ten_thousand_rows_wait_and_the_oldest_go_first(late: Caller) -> None:
    late.fake.set_storage("late", "down")
    for start in range(0, 10_002, 1_667):
        items = [{"agent_id": "bot", "content": f"{n}"} for n in range(start, min(start + 1_667, 10_002))]
        late.post("/memories", {"memories": items})
    late.fake.set_storage("late", "up")
    late.fake.flush()
    assert late.get("/agents/bot/stats").json["memory_count"] == 10_000
    assert late.contents("/memories?order=asc&limit=1") == ["2"]


def test_rows_on_their_way_when_storage_fails_are_there_when_it_is_back(late: Caller, clock: ManualClock) -> None:
    late.add()
    late.get("/memories")
    late.fake.set_storage("late", "down")
    clock.advance(1)
    late.fake.set_storage("late", "up")
    assert late.contents() == ["likes tea"]


def test_health_is_always_well_and_names_every_storage(fake: FakeMemtrace, clock: ManualClock) -> None:
    api = Caller(fake, fake.organisation("up"))
    down = fake.organisation("down", storage="down")
    fake.organisation("none", storage="none")
    clock.advance(61.5)
    answer = api.send("GET", "/health", headers={})
    arcs = {api.org.org_id: True, down.org_id: False}
    assert answer.status == 200
    assert answer.json == {"status": "ok", "service": "memtrace", "uptime": "1m1.5s", "arc": arcs}


def test_ready_says_whether_all_storage_can_be_reached(fake: FakeMemtrace) -> None:
    api = Caller(fake, fake.organisation(storage="none"))
    ready = lambda: api.send("GET", "/ready", headers={})  # noqa: E731 - asked four times
    hint = "configure an Arc instance with `memtrace org add-arc`"
    assert (ready().status, ready().json) == (503, {"status": "not ready", "reason": "no_instances", "hint": hint})
    fake.set_storage(api.org, "up")
    assert (ready().status, ready().json) == (200, {"status": "ready", "arc": {api.org.org_id: True}})
    fake.set_storage(api.org, "down")
    assert (ready().status, ready().json) == (503, {"status": "not ready", "arc": {api.org.org_id: False}})

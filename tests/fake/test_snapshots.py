"""Snapshots of a whole fake, and starting anew."""

from __future__ import annotations

import pytest

from memtrace import APIConnectionError, AuthenticationError, NotFoundError, ServerError
from memtrace_transports.memory import FakeMemtrace, Fault
from tests.faces import ONCE
from tests.fake.caller import Caller


def contents(client) -> list[str]:
    return [memory.content for memory in client.memories.list(order="asc").memories]


def test_a_fake_goes_back_and_forth_between_states(fake, face):
    client = face.of(fake, retry=ONCE)
    empty = fake.snapshot()
    client.remember("bot", "one")
    one = fake.snapshot()
    client.remember("bot", "two")
    two = fake.snapshot()
    for snapshot, expected in (
        (one, ["one"]),
        (two, ["one", "two"]),
        (empty, []),
        (two, ["one", "two"]),
        (one, ["one"]),
    ):
        fake.restore(snapshot)
        assert contents(client) == expected if snapshot is not empty else True
    client.remember("bot", "other")
    assert contents(client) == ["one", "other"]
    fake.restore(two)
    assert contents(client) == ["one", "two"]


def test_agents_sessions_and_their_changes_go_back(fake, face):
    client = face.of(fake, retry=ONCE)
    fake.seed_agent("default", "bob", id="bob_1")
    session = fake.seed_session("default", "bob_1", metadata={"a": 1})
    before = fake.snapshot()
    client.sessions.close(session)
    client.agents.register(name="eve")
    fake.seed_session("default", "bob_1")
    fake.restore(before)
    assert (client.sessions.get(session).status, client.sessions.list().count) == ("active", 1)
    assert client.sessions.list(agent_id="bob_1").count == 1
    assert [agent.name for agent in client.agents.list().agents] == ["bob"]
    with pytest.raises(NotFoundError):
        client.agents.get("eve")
    client.agents.register(name="eve")
    fake.restore(before)
    assert client.agents.list().count == 1


def test_a_duplicate_is_none_after_its_first_was_taken_back(fake, face):
    client = face.of(fake, retry=ONCE)
    client.agents.list()
    before = fake.snapshot()
    client.remember("bot", "x")
    fake.restore(before)
    client.remember("bot", "x")
    assert contents(client) == ["x"]


def test_organisations_and_keys_go_back(fake, face):
    client, key = face.of(fake, retry=ONCE), fake.organisation().api_key
    before = fake.snapshot()
    late_key = fake.add_key("default")
    late_org = fake.organisation("late")
    fake.revoke_key(key)
    after = fake.snapshot()
    fake.restore(before)
    assert client.agents.list().count == 0
    for gone in (late_key, late_org.api_key):
        with pytest.raises(AuthenticationError):
            client.with_options(api_key=gone).agents.list()
    assert fake.organisation_by_id(late_org.org_id) is None
    assert fake.organisation("late") != late_org
    fake.restore(after)
    assert fake.organisation("late") == late_org
    with pytest.raises(AuthenticationError):
        client.agents.list()
    assert fake.organisation().api_key == late_key


def test_a_revoked_key_of_a_fake_that_takes_any_goes_back(clock):
    fake = FakeMemtrace(clock=clock, any_key=True)
    client = fake.client(retry=ONCE).with_options(api_key="own")
    client.remember("bot", "x")
    before = fake.snapshot()
    fake.revoke_key("own")
    with pytest.raises(AuthenticationError):
        client.recall("bot")
    fake.restore(before)
    assert client.recall("bot").count == 1


def test_the_state_of_storage_goes_back(fake, face, clock):
    client = face.of(fake, retry=ONCE)
    up = fake.snapshot()
    fake.faults.add(Fault("storage_down", seconds=10))
    with pytest.raises(ServerError):
        client.memories.list()
    down = fake.snapshot()
    fake.restore(up)
    assert client.memories.list().count == 0
    fake.restore(down)
    with pytest.raises(ServerError):
        client.memories.list()
    clock.advance(10)
    assert client.memories.list().count == 0
    for _ in range(2):
        clock.advance(7)
        fake.restore(down)
        clock.advance(9.9)
        with pytest.raises(ServerError):
            client.memories.list()
        clock.advance(0.1)
        assert client.memories.list().count == 0


def test_writes_on_their_way_are_in_a_snapshot(fake, clock):
    late = Caller(fake, fake.organisation("late", visibility="server"))
    late.add("waiting")
    waiting = fake.snapshot()
    assert late.contents() == []
    late.add("next")
    sent = fake.snapshot()
    clock.advance(2)
    assert late.contents() == ["waiting", "next"]
    fake.restore(waiting)
    assert late.contents() == []
    clock.advance(0.1)
    assert late.contents() == ["waiting"]
    fake.restore(sent)
    clock.advance(1.1)
    assert late.contents() == ["waiting", "next"]
    fake.restore(waiting)
    late.add("other")
    fake.flush()
    assert late.contents() == ["waiting", "other"]
    assert late.add("waiting").status == 409


def count(caller: Caller) -> int:
    """How many have arrived, without flushing the others."""
    return caller.get("/agents/bot/stats").json["memory_count"]


def test_writes_on_their_way_arrive_as_long_after_a_restore_as_after_the_snapshot(fake, clock):
    late = Caller(fake, fake.organisation("late", visibility="server"))
    clock.advance(1.25)
    late.add("waiting for the tick at 2 s")
    waiting = fake.snapshot()
    late.get("/memories")
    sent = fake.snapshot()
    for passed in (0.0, 0.3, 1.0, 100.0):
        clock.advance(passed)
        for snapshot, seconds in ((waiting, 0.85), (sent, 0.1)):
            fake.restore(snapshot)
            clock.advance(seconds - 0.01)
            assert count(late) == 0
            clock.advance(0.01)
            assert count(late) == 1
            assert [memory["time"] for memory in late.get("/memories").json["memories"]] == ["2026-01-01T00:00:01.25Z"]


def test_a_snapshot_after_a_restore_is_as_far_as_that(fake, clock):
    late = Caller(fake, fake.organisation("late", visibility="server"))
    late.add("x")
    first = fake.snapshot()
    clock.advance(5)
    fake.restore(first)
    clock.advance(0.6)
    second = fake.snapshot()
    clock.advance(5)
    fake.restore(second)
    clock.advance(0.49)
    assert count(late) == 0
    clock.advance(0.01)
    assert count(late) == 1


def test_the_clock_ids_log_and_faults_go_on(fake, clock):
    client = fake.client(retry=ONCE)
    before = fake.snapshot()
    first = client.agents.register(name="bob").id
    fake.faults.add(Fault("refused", nth=2))
    clock.advance(5)
    fake.restore(before)
    assert clock.monotonic() == 5
    again = client.agents.register(name="bob")
    assert again.id != first
    with pytest.raises(APIConnectionError):
        client.agents.list()
    fake.calls.assert_called("agents.register", times=2)


def test_times_rise_over_a_restore(fake):
    client = fake.client(retry=ONCE)
    before = fake.snapshot()
    first = client.remember("bot", "x").time
    fake.restore(before)
    assert client.remember("bot", "x").time > first


def test_a_snapshot_of_another_fake_is_refused(fake, clock):
    other = FakeMemtrace(clock=clock)
    fake.client(retry=ONCE).remember("bot", "x")
    with pytest.raises(ValueError, match="belongs to another fake"):
        fake.restore(other.snapshot())
    assert contents(fake.client(retry=ONCE)) == ["x"]


def test_a_snapshot_shows_no_key_and_no_content(fake):
    client, key = fake.client(retry=ONCE), fake.organisation().api_key
    client.remember("bot", "likes tea")
    snapshot = fake.snapshot()
    for text in (repr(snapshot), repr(snapshot.state)):
        assert key not in text
        assert "likes tea" not in text


# reset


def test_a_reset_forgets_rows_organisations_keys_faults_and_calls(fake, face, clock):
    client, acme = face.of(fake, "acme", retry=ONCE), fake.organisation("acme")
    client.remember("bot", "x")
    fake.seed_agent("acme", "bob")
    fake.faults.add(Fault("refused", times=None))
    clock.advance(5)
    fake.reset()
    assert (len(fake.calls), len(fake.faults), clock.monotonic()) == (0, 0, 5)
    with pytest.raises(AuthenticationError):
        client.agents.list()
    assert fake.organisation_by_id(acme.org_id) is None
    again = face.of(fake, "acme", retry=ONCE)
    assert (again.memories.list().count, again.agents.list().count) == (0, 0)
    assert again.health().arc == {fake.organisation("acme").org_id: True}


def test_a_reset_can_be_taken_back_by_a_snapshot(fake, face):
    client = face.of(fake, retry=ONCE)
    client.remember("bot", "x")
    before = fake.snapshot()
    fake.reset()
    fake.restore(before)
    assert contents(client) == ["x"]


def test_a_reset_forgets_revoked_keys(clock):
    fake = FakeMemtrace(clock=clock, any_key=True)
    client = fake.client(retry=ONCE).with_options(api_key="own")
    client.agents.list()
    fake.revoke_key("own")
    fake.reset()
    assert client.agents.list().count == 0

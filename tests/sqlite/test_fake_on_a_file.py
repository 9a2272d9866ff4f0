"""The fake's controls on a file: snapshots, resets, keys and storage, and what another fake finds there."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing

import pytest

from memtrace import (
    AuthenticationError,
    ConfigurationError,
    ConflictError,
    Memtrace,
    NotFoundError,
    RetryPolicy,
    TransportError,
)
from memtrace_transports.memory import FakeMemtrace, Fault, ManualClock
from memtrace_transports.sqlite.maintenance import StoreFile
from tests.forked import in_child


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fake.db"


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def fake(path, clock):
    return FakeMemtrace(clock=clock, store=f"sqlite:///{path}")


def contents(client):
    return [memory.content for memory in client.memories.list(order="asc").memories]


def test_it_goes_back_and_forth_between_states(fake):
    client = fake.client()
    client.remember("bot", "one")
    one = fake.snapshot()
    client.remember("bot", "two")
    two = fake.snapshot()
    for snapshot, expected in ((one, ["one"]), (two, ["one", "two"]), (one, ["one"])):
        fake.restore(snapshot)
        assert contents(client) == expected
    client.remember("bot", "two")
    assert contents(client) == ["one", "two"]


def test_agents_sessions_organisations_and_keys_go_back(fake):
    client = fake.client()
    agent = client.agents.register(name="bob", config={"a": 1})
    session = client.sessions.create(agent_id=agent.id)
    before = fake.snapshot()
    client.sessions.close(session.id)
    client.agents.register(name="eve")
    client.sessions.create(agent_id=agent.id)
    late = fake.organisation("late")
    key = fake.add_key("default")
    fake.restore(before)
    assert (client.sessions.get(session.id).status, client.sessions.list().count) == ("active", 1)
    assert [each.name for each in client.agents.list().agents] == ["bob"]
    with pytest.raises(NotFoundError):
        client.agents.get("eve")
    for gone in (late.api_key, key):
        with pytest.raises(AuthenticationError):
            client.with_options(api_key=gone).agents.list()


def test_what_is_on_its_way_goes_back_too(fake, clock):
    org = fake.organisation("late", visibility="server")
    client = fake.client(org)
    client.remember("bot", "on its way")
    before = fake.snapshot()
    clock.advance(5)
    assert contents(client) == ["on its way"]
    fake.restore(before)
    assert contents(client) == []
    clock.advance(5)
    assert contents(client) == ["on its way"]


def test_a_snapshot_of_another_fake_is_refused(fake, tmp_path):
    other = FakeMemtrace(store=str(tmp_path / "other.db"))
    with pytest.raises(ValueError, match="another"):
        fake.restore(other.snapshot())
    with pytest.raises(ValueError, match="another store"):
        fake._backing.store.restore(other._backing.store.snapshot())
    with pytest.raises(ValueError, match="another store"):
        fake._backing.store.restore(object())


def test_a_reset_empties_the_file(fake, path):
    client = fake.client()
    client.remember(
        "bot",
        "one",
    )
    fake.reset()
    with StoreFile(str(path)) as store:
        assert (store.info().memories, store.info().organisations, store.check()) == (0, (), [])
    again = fake.client()
    again.remember("bot", "one")
    assert contents(again) == ["one"]


def test_another_fake_finds_what_one_has_stored(fake, path):
    client = fake.client("acme")
    agent = client.agents.register(name="bob")
    session = client.sessions.create(agent_id=agent.id, metadata={"a": 1})
    client.remember("bot", "kept")
    client.sessions.close(session.id)
    other = FakeMemtrace(store=str(path))
    found = other.client("acme")
    assert contents(found) == ["kept"]
    assert found.agents.get("bob").id == agent.id
    kept = found.sessions.get(session.id)
    assert (kept.status, kept.metadata, kept.closed_at is not None) == ("closed", {"a": 1}, True)
    assert [each.id for each in found.sessions.list(agent_id=agent.id).sessions] == [session.id]


def test_a_key_that_is_revoked_is_refused_and_may_come_back(fake):
    org, _ = fake.organisation("acme"), fake.organisation("of another key")
    second = fake.add_key("acme")
    fake.revoke_key(org.api_key)
    client = fake.client("acme")
    assert contents(client.with_options(api_key=second)) == []
    with pytest.raises(AuthenticationError):
        client.with_options(api_key=org.api_key).memories.list()
    fake.organisation("acme", api_key=org.api_key)
    assert contents(client.with_options(api_key=org.api_key)) == []


def test_an_agent_is_deleted_unless_it_had_a_session(fake):
    client = fake.client()
    idle, busy = (client.agents.register(name=name) for name in ("idle", "busy"))
    client.sessions.create(agent_id=busy.id)
    with pytest.raises(ConflictError):
        client.agents.register(name="busy")
    client.agents.delete(idle.id)
    with pytest.raises(NotFoundError):
        client.agents.delete(idle.id)
    with pytest.raises(ConflictError):
        client.agents.delete(busy.id)
    assert [each.name for each in client.agents.list().agents] == ["busy"]


def test_a_call_that_the_file_refuses_is_an_error_of_ours_and_leaves_nothing(fake, path):
    client = fake.client()
    client.remember("bot", "before")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("ALTER TABLE memories RENAME TO hidden")
        with pytest.raises((TransportError, ConfigurationError)) as caught:
            client.remember("bot", "planted")
        assert str(path) in str(caught.value)
        assert "planted" not in str(caught.value)
        other.execute("ALTER TABLE hidden RENAME TO memories")
    assert contents(client) == ["before"]


def test_a_fault_may_use_the_fake_and_what_it_raises_takes_back_what_it_did(fake):
    client = fake.client(retry=RetryPolicy(max_attempts=1))
    client.remember("bot", "before")

    def seeds(call):
        fake.seed("default", [{"agent_id": "bot", "content": f"beside {call.operation}", "age_s": 60}])
        if call.operation == "memories.list":
            raise ZeroDivisionError("planted")
        return False

    fault = Fault("refused", when=seeds)
    fake.faults.add(fault)
    client.remember("bot", "after")
    with pytest.raises(ZeroDivisionError):
        client.memories.list()
    fake.faults.clear()
    assert sorted(contents(client)) == ["after", "before", "beside memories.add"]


def test_a_fork_leaves_the_fake_to_both_processes(fake, path):
    client = fake.client()
    client.remember("bot", "before")

    def child():
        client.remember("bot", "of the child")
        return len(contents(client))

    assert in_child(child) == 2
    client.remember("bot", "after")
    assert contents(client) == ["before", "of the child", "after"]


def test_a_fork_does_not_wait_for_a_call_that_does_not_end(fake, monkeypatch):
    monkeypatch.setattr(fake._backing, "_fork_patience", 0)
    client = fake.client()
    client.remember("bot", "before")
    held, let_go = threading.Event(), threading.Event()

    def hold():
        with fake._lock:
            held.set()
            let_go.wait(30)

    holding = threading.Thread(target=hold)
    holding.start()
    held.wait(30)
    assert in_child(lambda: 7) == 7
    let_go.set()
    holding.join()
    assert contents(client) == ["before"]


def test_who_has_the_file_open_sees_no_organisation_in_the_place_of_one_that_a_reset_took(fake, path):
    with Memtrace(path, "key-of-a") as first, Memtrace(path, "key-of-b") as second:
        first.remember("bot", "of a")
        other_fake = FakeMemtrace(store=f"sqlite:///{path}", any_key=True)
        other = other_fake.client()
        other.remember("bot", "of the other fake")
        fake.reset()
        second.remember("bot", "of b")
        assert contents(first) == []
        first.remember("bot", "of a again")
        assert (contents(first), contents(second)) == (["of a again"], ["of b"])
        assert other_fake.client().memories.list().memories == []


def test_a_fork_after_the_file_has_gone_is_no_fault_of_the_fork(fake, path):
    client = fake.client()
    client.remember("bot", "before")
    path.unlink()
    assert in_child(lambda: 7) == 7
    with pytest.raises(ConfigurationError, match="does not exist"):
        client.remember("bot", "after")
    assert not path.exists()

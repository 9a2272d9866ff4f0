"""Keys of organisations, and agents and sessions under chosen ids."""

from __future__ import annotations

import re
import time
from threading import Thread

import pytest

from memtrace import AuthenticationError, Memtrace
from memtrace_transports.memory import FakeMemtrace
from tests.fake.caller import API, Caller


def test_an_organisation_may_have_several_keys(fake, face):
    client = face.of(fake, "acme")
    key = fake.add_key("acme")
    assert re.fullmatch("mtk_[A-Za-z0-9_=-]{44}", key)
    client.remember("bot", "x")
    assert client.with_options(api_key=key).recall("bot").count == 1


def test_a_chosen_key_makes_an_organisation_or_is_one_more(fake, face):
    acme = fake.organisation("acme", api_key="chosen")
    assert acme.api_key == "chosen"
    fake.organisation("acme", api_key="second")
    assert fake.organisation("acme", api_key="chosen") == acme
    client = face.of(fake, "acme")
    client.remember("bot", "x")
    assert client.with_options(api_key="second").recall("bot").count == 1


def test_a_key_of_somebody_else_is_refused_and_nothing_changes(fake):
    fake.organisation("acme", api_key="chosen")
    fake.organisation("globex")
    for name in ("globex", "new"):
        with pytest.raises(ValueError, match="this key is taken"):
            fake.organisation(name, api_key="chosen", storage="down")
    assert fake.client("globex").ready()
    assert repr(fake) == "<FakeMemtrace, 2 organisations>"


@pytest.mark.parametrize("key", ["", "two words", "tab\t", "\u00e9", "line\n"])
def test_a_key_that_no_header_carries_is_refused(fake, key):
    with pytest.raises(ValueError, match="printable ASCII"):
        fake.organisation("acme", api_key=key)


def test_a_revoked_key_is_refused_and_the_others_work(fake, face):
    client, first = face.of(fake), fake.organisation().api_key
    second = fake.add_key("default")
    client.remember("bot", "x")
    fake.revoke_key(first)
    with pytest.raises(AuthenticationError, match="invalid API key"):
        client.recall("bot")
    assert client.with_options(api_key=second).recall("bot").count == 1


def test_new_clients_get_the_oldest_key_that_is_left(fake, face):
    fake.organisation("another")
    held = fake.organisation()
    second, third = fake.add_key(held), fake.add_key(held)
    fake.revoke_key(third)
    assert fake.organisation() == held
    fake.revoke_key(held.api_key)
    assert fake.organisation().api_key == second
    assert face.of(fake).agents.list().count == 0
    assert face.of(fake, held).agents.list().count == 0
    fake.revoke_key(second)
    with pytest.raises(AuthenticationError):
        face.of(fake).agents.list()


def test_a_key_that_nobody_has_cannot_be_revoked(fake):
    key = fake.organisation().api_key
    fake.revoke_key(key)
    for each in (key, "unknown"):
        with pytest.raises(ValueError, match="no organisation has this key") as caught:
            fake.revoke_key(each)
        assert each not in str(caught.value)


def test_a_revoked_key_makes_no_organisation_where_any_other_does(clock):
    fake = FakeMemtrace(clock=clock, any_key=True)
    client = fake.client().with_options(api_key="own")
    client.remember("bot", "x")
    fake.revoke_key("own")
    with pytest.raises(AuthenticationError):
        client.recall("bot")
    assert client.with_options(api_key="other").recall("bot").count == 0


def test_a_revoked_key_can_be_given_again(clock):
    fake = FakeMemtrace(clock=clock, any_key=True)
    for name in ("one", "two", "one"):
        fake.organisation(name, api_key="key")
        Caller(fake, fake.organisation(name)).send("GET", API + "/agents", headers={"x-api-key": "key"})
        assert fake.calls[-1].org == name
        fake.revoke_key("key")


def test_an_organisation_without_a_name_is_found_by_its_id(fake):
    made = fake.new_organisation(storage="down", visibility="server")
    assert made.name == made.org_id
    assert fake.organisation(made.name) == made
    assert not fake.client(made.name).ready()
    assert fake.new_organisation() != made
    assert fake.organisation_by_id(made.org_id) == made
    assert fake.organisation_by_id("org_unknown") is None


def test_storage_can_be_set_with_the_organisation(fake):
    fake.organisation("acme", storage="down")
    assert not fake.client("acme").ready()
    fake.organisation("acme")
    assert not fake.client("acme").ready()
    fake.organisation("acme", storage="up")
    assert fake.client("acme").ready()


def test_memory_urls_have_a_fake_of_their_own_that_takes_any_key(face):
    one, two = (face.client("memory://", "any key") for _ in range(2))
    one.memories.list(limit=5)
    one.remember("bot", "x")
    assert (one.recall("bot").count, two.recall("bot").count) == (1, 0)
    assert one.with_options(api_key="other").recall("bot").count == 0


def test_a_key_may_be_revoked_while_others_call():
    fake = FakeMemtrace()
    client, key = fake.client(), fake.organisation().api_key
    refused = []

    def call() -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                client.agents.list()
            except AuthenticationError:
                refused.append(True)
                return

    threads = [Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    fake.revoke_key(key)
    for thread in threads:
        thread.join()
    assert refused == [True] * 4
    statuses = [call.status for call in fake.calls]
    assert sorted(statuses) == statuses


# chosen ids


def test_a_seeded_session_is_there(fake, face):
    client = face.of(fake)
    agent = fake.seed_agent("default", "bob", id="agent_of_the_test")
    chosen = fake.seed_session("default", agent, id="sess_of_the_test", metadata={"a": [1]})
    closed = fake.seed_session(fake.organisation(), agent, status="closed")
    assert chosen == "sess_of_the_test"
    assert re.fullmatch("sess_[0-9a-f]{24}", closed)
    session = client.sessions.get(chosen)
    assert (session.agent_id, session.status, session.metadata, session.closed_at) == (
        agent,
        "active",
        {"a": [1]},
        None,
    )
    assert session.created_at == session.updated_at
    found = client.sessions.get(closed)
    assert (found.status, found.metadata, found.closed_at) == ("closed", None, found.created_at)
    assert [each.id for each in client.sessions.list(agent_id=agent).sessions] == [closed, chosen]
    assert client.agents.stats(agent).active_sessions == 1


def test_nothing_of_a_seeded_session_or_agent_is_shared_with_the_caller(fake):
    metadata = {"a": [1]}
    agent = fake.seed_agent("default", "bob", config=metadata)
    session = fake.seed_session("default", agent, metadata=metadata)
    metadata["a"].append(2)
    client = fake.client()
    assert client.agents.get(agent).config == {"a": [1]}
    assert client.sessions.get(session).metadata == {"a": [1]}


@pytest.mark.parametrize(
    ("agent", "settings", "message"),
    [
        ("nobody", {}, "there is no agent with the id 'nobody'"),
        ("bob", {}, "there is no agent with the id 'bob'"),
        ("bob_1", {"id": "taken"}, "there is a session with the id 'taken' already"),
        ("bob_1", {"id": "a/b"}, "invalid ID format"),
        ("bob_1", {"status": ""}, "status is required"),
        ("bob_1", {"metadata": {"a": float("nan")}}, "invalid character"),
    ],
)
def test_a_session_that_could_not_be_is_refused(fake, agent, settings, message):
    fake.seed_agent("default", "bob", id="bob_1")
    fake.seed_session("default", "bob_1", id="taken")
    with pytest.raises(ValueError, match=message):
        fake.seed_session("default", agent, **settings)
    assert fake.client().sessions.list().count == 1


def test_an_agents_id_that_no_memory_could_have_is_refused(fake):
    with pytest.raises(ValueError, match="invalid ID format"):
        fake.seed_agent("default", "bob", id="a b")
    assert fake.client().agents.list().count == 0


def test_a_chosen_id_is_free_in_another_organisation(fake):
    for org in ("acme", "globex"):
        assert fake.seed_agent(org, "bob", id="bob_1") == "bob_1"
        assert fake.seed_session(org, "bob_1", id="sess_1") == "sess_1"


def test_a_client_of_ones_own_reaches_the_fake_by_its_key(fake):
    from memtrace_transports import MemoryTransport

    client = Memtrace("memory://", fake.organisation("acme", api_key="chosen").api_key, transport=MemoryTransport(fake))
    client.remember("bot", "x")
    assert fake.client("acme").recall("bot", since="2020-01-01").count == 1

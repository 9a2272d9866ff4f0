"""Registering and deleting an agent when the answer is lost."""

import json

import pytest

from memtrace import APIConnectionError, ConflictError, NotFoundError
from memtrace_transports.memory import Fault
from tests.faces import json_response
from tests.retry.test_repeats import Scripted, broken, refused

LOST = Fault("reset", on="agents.register", applied=True)
CONFIG = {"model": "m", "limits": [2**60, 1.5, True, None, {"deep": 2}]}


@pytest.mark.parametrize("name", ["support-bot", "with space", "a/b", "é", ".", "..", "a?b#c"])
@pytest.mark.parametrize("more", [{}, {"description": "helps", "config": CONFIG}], ids=["bare", "described"])
def test_an_agent_whose_registration_lost_its_answer_is_found(fake, client, name, more):
    fake.faults.add(LOST)
    agent = client.agents.register(name=name, **more)
    assert agent.name == name
    assert [each.id for each in client.agents.list().agents] == [agent.id]
    assert fake.clock.monotonic() == 0.25


@pytest.mark.parametrize("theirs", [{}, {"description": "other"}, {"config": {"a": 1}}])
def test_an_agent_of_that_name_that_was_there_before_is_a_conflict(fake, client, theirs):
    client.agents.register(name="bot", **theirs)
    fake.clock.advance(60)
    fake.faults.add(Fault("reset", on="agents.register"))
    with pytest.raises(ConflictError) as caught:
        client.agents.register(name="bot")
    assert (caught.value.attempts, caught.value.maybe_applied) == (2, False)


@pytest.mark.parametrize("theirs", [{"description": "other"}, {"config": {"a": 1}}])
def test_an_agent_that_somebody_else_registers_meanwhile_is_a_conflict(fake, client, theirs):
    fake.faults.add(
        Fault(
            "reset",
            when=lambda call: call.operation == "agents.register" and fake.seed_agent("default", "bot", **theirs),
        )
    )
    with pytest.raises(ConflictError) as caught:
        client.agents.register(name="bot")
    assert not caught.value.maybe_applied


def test_get_or_register_gives_the_agent_whichever_attempt_made_it(fake, client):
    fake.faults.add(LOST)
    agent = client.agents.get_or_register(name="bot")
    assert client.agents.get_or_register(name="bot").id == agent.id


TAKEN = json_response(409, '{"error": "agent \'bot\' already exists in this organization"}')


def test_a_name_that_is_anothers_id_is_looked_up_in_the_list(face):
    other = {"id": "bot", "org_id": "o", "name": "other", "created_at": "2027-01-15T08:16:40Z"}
    ours = {**other, "id": "agent_1", "name": "bot"}
    listed = json_response(200, json.dumps({"agents": [other, ours], "count": 2}))
    scripted = Scripted(face, broken(), TAKEN, json_response(200, json.dumps(other)), listed)
    assert scripted.client.agents.register(name="bot").id == "agent_1"


@pytest.mark.parametrize(
    "answers",
    [
        [json_response(404, '{"error": "agent not found"}')],
        [json_response(200, "{}"), json_response(200, '{"agents": []}')],
    ],
)
def test_an_agent_that_is_gone_again_is_the_conflict_that_it_was(face, answers):
    scripted = Scripted(face, broken(), TAKEN, *answers)
    with pytest.raises(ConflictError) as caught:
        scripted.client.agents.register(name="bot")
    assert not caught.value.maybe_applied


@pytest.mark.parametrize("created", ["2027-01-15T08:16:39Z", "2027-01-15T08:16:40.5Z", "2027-01-15T08:16:41Z"])
def test_an_agent_is_ours_by_its_second(face, created):
    ours = {"id": "agent_1", "org_id": "o", "name": "bot", "created_at": created}
    scripted = Scripted(face, broken(), TAKEN, json_response(200, json.dumps(ours)))
    assert scripted.client.agents.register(name="bot").id == "agent_1"


@pytest.mark.parametrize("created", ["2027-01-15T08:16:37Z", "", "soon"])
def test_an_agent_of_another_time_is_not_ours(face, created):
    theirs = {"id": "agent_1", "org_id": "o", "name": "bot", "created_at": created}
    scripted = Scripted(face, broken(), TAKEN, json_response(200, json.dumps(theirs)))
    with pytest.raises(ConflictError):
        scripted.client.agents.register(name="bot")


def test_a_conflict_after_attempts_that_surely_failed_is_not_looked_into(face):
    scripted = Scripted(face, refused(), TAKEN)
    with pytest.raises(ConflictError):
        scripted.client.agents.register(name="bot")
    assert scripted.sent == ["POST", "POST"]


# ---- deleting


def test_an_agent_whose_deletion_lost_its_answer_is_deleted(fake, client):
    agent = client.agents.register(name="bot")
    fake.faults.add(Fault("reset", on="agents.delete", applied=True))
    assert client.agents.delete(agent.id) is None
    assert client.agents.list().count == 0


def test_an_agent_that_was_not_there_is_not_found(fake, client):
    with pytest.raises(NotFoundError):
        client.agents.delete("agent_x")
    fake.faults.add(Fault("refused", on="agents.delete"))
    with pytest.raises(NotFoundError):
        client.agents.delete("agent_x")


def test_an_agent_that_sessions_hold_is_a_conflict_however_often_it_is_asked(fake, client):
    agent = client.agents.register(name="bot")
    client.sessions.create(agent_id=agent.id)
    fake.faults.add(Fault("reset", on="agents.delete", applied=True))
    with pytest.raises(ConflictError) as caught:
        client.agents.delete(agent.id)
    assert (caught.value.code, caught.value.attempts) == ("agent_in_use", 2)


def test_a_deletion_of_which_nothing_is_heard_may_have_happened(fake, client):
    agent = client.agents.register(name="bot")
    fake.faults.add(Fault("reset", on="agents.delete", times=3))
    with pytest.raises(APIConnectionError) as caught:
        client.agents.delete(agent.id)
    assert (caught.value.attempts, caught.value.maybe_applied, caught.value.retryable) == (3, True, True)

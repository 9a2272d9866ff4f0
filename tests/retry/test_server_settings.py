"""A server whose check for duplicates is off, or shorter, or whose writes wait longer: what was lost is found, and stored once."""

from collections import Counter
from random import Random

import pytest

from memtrace import AddMemoryRequest, MemtraceError, RetryPolicy, operations
from memtrace_transports.memory import FakeMemtrace, Fault, ManualClock
from tests.faces import json_response
from tests.retry.test_batches import items, meanwhile, told
from tests.retry.test_histories import AFTER, BEFORE, World, forms
from tests.retry.test_memories import WAYS, contents

OFF = {"dedup_enabled": False}
SERVERS = [
    pytest.param({}, id="as it is"),
    pytest.param(OFF, id="no check"),
    pytest.param({"dedup_window_hours": 0}, id="no window", marks=pytest.mark.slow),
    pytest.param({**OFF, "write_flush_interval_ms": 30_000, "write_batch_size": 5_000}, id="no check, late"),
]
FAILURES = [name for name in (*BEFORE, *AFTER) if not name.startswith("interrupted")]


@pytest.fixture
def off(fake):
    """The fake, with its check for duplicates off."""
    fake.configure(**OFF)
    return fake


def network(seed):
    """Of each five requests one fails, in any way."""
    chance = Random(seed)
    return [chance.choice(FAILURES) if chance.random() < 0.2 else "works" for _ in range(5_000)]


def contents_to_write():
    return [f"content {number}" for number in range(600)]


def singles(client):
    def add(content):
        try:
            return client.memories.add(agent_id="a", content=content)
        except MemtraceError as error:
            return error

    return {content: add(content) for content in contents_to_write()}


async def async_singles(client):
    async def add(content):
        try:
            return await client.memories.add(agent_id="a", content=content)
        except MemtraceError as error:
            return error

    return {content: await add(content) for content in contents_to_write()}


def batches(client):
    requests = [AddMemoryRequest(agent_id="a", content=content) for content in contents_to_write()]
    return client.memories.add_many(requests, chunk_size=7, on_failure="continue")


@pytest.mark.slow
@forms
@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("dedup", ["server", "per_call"])
@pytest.mark.parametrize(("kind", "verify"), [("add", "wait"), ("add_many", "read")])
def test_of_six_hundred_writes_of_which_a_fifth_fails_none_is_lost_and_none_is_there_twice(
    form, server, dedup, kind, verify
):
    policy = RetryPolicy(max_attempts=5, verify_before_retry=verify, jitter=lambda: 1.0)
    world = World(form, network(f"{kind} {dedup}"), server, retry=policy, dedup=dedup)
    if kind == "add":
        said = world.do(singles if form == "sync" else async_singles)
    else:
        outcomes = world.do(batches)
        said = {content: each.error or each.memory for content, each in zip(contents_to_write(), outcomes, strict=True)}
    stored = world.stored()
    assert [content for content, count in stored.items() if count > 1] == []
    for content, result in said.items():
        if isinstance(result, MemtraceError):
            assert result.maybe_applied or stored[content] == 0
        else:
            assert (result.content, stored[content]) == (content, 1)
    assert sum(isinstance(result, MemtraceError) for result in said.values()) < 60


@pytest.mark.parametrize("fault", WAYS, ids=lambda fault: fault.describe())
@pytest.mark.parametrize(
    "settings", [{"dedup": "server"}, {"dedup": "per_call"}], ids=["server's key", "key of the call"]
)
def test_a_memory_whose_answer_is_lost_is_stored_once_without_the_servers_check(off, client, fault, settings):
    off.faults.add(fault)
    memory = client.with_options(**settings).memories.add(
        agent_id="assistant", content="User likes tea", tags=["a"], metadata={"n": 1}
    )
    assert (memory.content, memory.tags, memory.metadata) == ("User likes tea", ["a"], {"n": 1})
    assert contents(off) == ["User likes tea"]


@pytest.mark.parametrize("applied", [True, False])
def test_a_batch_whose_answer_is_lost_is_stored_once_without_the_servers_check(off, client, applied):
    off.faults.add(Fault("reset", on="memories.add_many", applied=applied))
    result = client.memories.add_many(items("same", "other", "same"))
    assert told(result) == [("stored", "same"), ("stored", "other"), ("stored", "same")]
    assert contents(off) == ["same", "other", "same"]


def test_a_buffer_whose_answer_is_lost_stores_once_without_the_servers_check(off):
    off.faults.add(Fault("reset", on="memories.add_many", applied=True))
    with off.client(dedup="server").memories.buffered() as buffer:
        futures = [buffer.add(item) for item in items("one", "two")]
        buffer.flush()
    assert [future.result().memory.content for future in futures] == ["one", "two"]
    assert contents(off) == ["one", "two"]


def test_of_a_batch_that_was_stored_in_part_only_the_rest_is_sent_again(off, client):
    off.faults.add(Fault("reset", on="memories.add_many"))
    meanwhile(off, lambda other: other.memories.add_many(items("two", "same")))
    result = client.memories.add_many(items("one", "two", "same", "same"))
    assert told(result) == [("stored", text) for text in ("one", "two", "same", "same")]
    assert Counter(contents(off)) == {"one": 1, "two": 1, "same": 2}


def test_of_a_raw_batch_that_was_stored_in_part_the_rest_is_named(off, client):
    off.faults.add(Fault("reset", on="memories.add_many"))
    meanwhile(off, lambda other: other.remember("assistant", "two"))
    added = client.send(operations.add_memories(items("one", "two", "three"))).parsed
    assert ([memory.content for memory in added.memories], added.places, added.unsent) == (["two"], [1], [0, 2])


@pytest.mark.parametrize(
    "fault",
    [
        Fault("reset", on="memories.list", times=None),
        Fault("status", on="memories.list", status=503, times=None),
        Fault("reset", on="memories.list", nth=2, times=None),
        Fault("garbled", on="memories.list", nth=2, times=None),
        Fault("status", on="memories.list", nth=2, status=401),
    ],
    ids=lambda fault: fault.describe(),
)
@pytest.mark.parametrize("applied", [True, False])
def test_where_it_cannot_be_looked_for_nothing_is_repeated_and_the_outcome_is_unknown(off, client, fault, applied):
    off.faults.add(Fault("reset", on="memories.add", applied=applied), fault)
    with pytest.raises(MemtraceError) as caught:
        client.remember("assistant", "User likes tea")
    assert caught.value.maybe_applied
    assert caught.value.request.operation == "memories.add"
    assert len(off.calls.filter("memories.add")) == 1
    off.faults.clear()
    assert contents(off) == ["User likes tea"] * applied


def test_equal_memories_of_before_are_not_taken_for_what_was_lost(off, client):
    client.remember("assistant", "again")
    off.clock.advance(60)
    off.faults.add(WAYS[1])
    client.remember("assistant", "again")
    assert contents(off) == ["again", "again"]


def test_a_server_that_names_items_to_be_sent_again_without_storing_any_is_not_asked_for_ever(face):
    answer = json_response(201, '{"memories": [], "count": 0, "unsent": [0, 1, 7, -1]}')
    client, transport = face.scripted(answer)
    assert client.memories.add_many(items("one", "two")).duplicates == [0, 1]
    assert len(transport.requests) == 1


# ---- equal memories, one after the other ----------------------------------------------------------------------------


@pytest.mark.parametrize("dedup_enabled", [False, True], ids=["check off", "check on"])
@pytest.mark.parametrize("chunk_size", [1, 2, 6])
def test_a_row_that_another_write_of_the_client_was_answered_with_is_not_the_lost_ones(face, dedup_enabled, chunk_size):
    fake = FakeMemtrace(clock=ManualClock(), visibility="server", dedup_enabled=dedup_enabled)
    calls = []

    def is_the_third(call):
        if call.method == "POST":
            calls.append(call)
        return len(calls) == 3 and call.method == "POST"

    fake.faults.add(Fault("reset", on="memories.*", when=is_the_third))
    requests = [AddMemoryRequest(agent_id="bot", content="tick")] * 6
    outcomes = face.of(fake).memories.add_many(requests, chunk_size=chunk_size).outcomes
    fake.flush()
    stored = face.of(fake).memories.list(agent_id="bot").count
    assert [outcome.status for outcome in outcomes].count("stored") == stored
    if not dedup_enabled:
        assert stored == 6


def test_the_row_of_the_call_before_is_not_taken_for_a_lost_one(face):
    fake = FakeMemtrace(clock=ManualClock(), dedup_enabled=False)
    client = face.of(fake)
    client.remember("bot", "tick")
    fake.faults.add(Fault("reset", on="memories.add"))
    client.remember("bot", "tick")
    assert client.recall("bot").count == 2

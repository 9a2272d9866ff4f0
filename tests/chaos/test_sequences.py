"""Any sequence of faults, over all requests of a call: what is told of it is true, and nothing is there twice."""

from __future__ import annotations

import os
from random import Random

import pytest

from memtrace import AddMemoryRequest, MemtraceError, RetryPolicy
from memtrace.transport import TransportError
from tests.chaos.test_breaking import World, answering, garbling
from tests.sampling import is_whole

SEQUENCES = int(os.environ.get("SEQUENCES", "100" if is_whole() else "25"))


def breaking(cause, *, maybe_sent, applied=False):
    def step(handle, request):
        if applied:
            handle(request)
        raise TransportError("broken by the test", cause=cause, maybe_sent=maybe_sent)

    return step


STORAGE_FAILED = b'{"error":"failed to query memories: failed to query Arc: dial tcp: connect: connection refused"}'
STEPS = (
    None,
    breaking("connect", maybe_sent=False),
    breaking("reset", maybe_sent=True),
    breaking("reset", maybe_sent=True, applied=True),
    breaking("timeout", maybe_sent=True, applied=True),
    garbling,
    answering(502),
    answering(502, applied=True, date="Thu, 01 Jan 2026 09:00:00 GMT"),
    answering(503),
    answering(504, applied=True),
    answering(429, retry_after="1"),
    answering(429, retry_after="600"),
)
ON_READS = (*STEPS, answering(500, body=STORAGE_FAILED))


def steps(chance):
    """One step for each of the first requests, whatever they are; what storage says goes to reads alone."""

    def chosen(handle, request):
        step = chance.choice(ON_READS if request.method == "GET" else STEPS) if chance.random() < 0.6 else None
        return handle(request) if step is None else step(handle, request)

    return dict.fromkeys(range(1, 40), chosen)


def requests(chance):
    contents = [chance.choice("abc") for _ in range(chance.randint(1, 4))]
    keys = [chance.choice((None, None, "k1", "k2", "back\\slash")) for _ in contents]
    return [
        AddMemoryRequest(agent_id="bot", content=text, dedup_key=key) for text, key in zip(contents, keys, strict=True)
    ]


def settings(chance):
    return {
        "retry": RetryPolicy(
            max_attempts=chance.choice((1, 2, 3, 5)), verify_before_retry=chance.choice(("wait", "read"))
        ),
        "dedup": chance.choice(("server", "per_call")),
        "deadline": chance.choice((None, None, 1.0, 3.0, 8.0)),
        "skew": chance.choice((0.0, -3600.0, 3600.0)),
    }


@pytest.mark.parametrize("seed", range(4))
def test_one_memory(seed):
    for number in range(SEQUENCES):
        chance = Random(f"{seed} {number}")
        world = World(steps(chance), **settings(chance))
        (request,) = requests(chance)[:1]
        try:
            world.client.memories.add(request)
        except MemtraceError as error:
            allowed = (0, 1) if error.maybe_applied else (0,)
        else:
            allowed = (1,)
        assert len(world.texts()) in allowed, (seed, number)


@pytest.mark.parametrize("seed", range(4))
def test_a_batch(seed):
    for number in range(SEQUENCES):
        chance = Random(f"{seed} {number} batch")
        world = World(steps(chance), **settings(chance))
        batch = requests(chance)
        result = world.client.memories.add_many(batch)
        statuses = [outcome.status for outcome in result]
        texts = world.texts()
        # Where the look at what a first attempt stored fails, its items are told to be there, and not by whom.
        there = [
            each.content for each, status in zip(batch, statuses, strict=True) if status in ("stored", "duplicate")
        ]
        if "unknown" in statuses:
            assert texts in ([], sorted(each.content for each in batch)), (seed, number)
        else:
            assert texts == sorted(there), (seed, number)


@pytest.mark.parametrize("seed", range(4))
def test_an_agent(seed):
    for number in range(SEQUENCES):
        chance = Random(f"{seed} {number} agent")
        world = World(steps(chance), **settings(chance))
        try:
            world.client.agents.register(name="bot")
        except MemtraceError as error:
            allowed = (0, 1) if error.maybe_applied else (0,)
        else:
            allowed = (1,)
        assert len(world.fake.client().agents.list().agents) in allowed, (seed, number)


@pytest.mark.parametrize("seed", range(4))
def test_a_session(seed):
    for number in range(SEQUENCES):
        chance = Random(f"{seed} {number} session")
        world = World(steps(chance), **settings(chance))
        agent_id = world.fake.seed_agent("default", "bot")
        try:
            world.client.sessions.create(agent_id=agent_id)
        except MemtraceError as error:
            allowed = (0, 1) if error.maybe_applied else (0,)
        else:
            allowed = (1,)
        assert len(world.fake.client().sessions.list().sessions) in allowed, (seed, number)

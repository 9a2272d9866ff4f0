"""Waiting until a memory can be read, by the delays of the real server."""

from __future__ import annotations

import json

import pytest

from memtrace import (
    AddMemoryRequest,
    ConflictError,
    DeadlineExceededError,
    InvalidRequestError,
    Memory,
    ServerError,
    TransportError,
)
from memtrace_transports import FakeMemtrace, ManualClock
from tests.conftest import StoppedClock
from tests.dealing import by_face
from tests.faces import ONCE, json_response
from tests.responses import ROW

NOTHING = '{"memories":[],"count":0,"has_more":false}'


@pytest.fixture
def fake():
    return FakeMemtrace(clock=ManualClock(), visibility="server")


def rows(*changes):
    made = [{**json.loads(ROW), **change} for change in changes]
    return json_response(200, json.dumps({"memories": made, "count": len(made), "has_more": False}))


def test_a_memory_is_given_back_once_it_can_be_read(face, fake):
    client = face.of(fake)
    written = client.memories.add(agent_id="a", content="c", tags=["t"], session_id="s")
    assert client.memories.list().count == 0
    before = fake.clock.monotonic()
    read = client.memories.wait_until_visible(written)
    assert (read.content, read.tags, read.time) == ("c", ["t"], written.time)
    assert fake.clock.monotonic() - before == pytest.approx(0.15)


def test_what_add_stores_with_wait_can_be_read_when_it_returns(face, fake):
    client = face.of(fake)
    for number in range(3):
        read = client.memories.add(wait=True, agent_id="a", content=f"fact {number}")
        assert client.memories.list(limit=1).memories == [read]
    read = client.memories.add(AddMemoryRequest(agent_id="a", content="last"), wait=True, wait_timeout=1)
    assert client.memories.list().count == 4
    assert fake.clock.monotonic() < 1


def test_the_right_one_is_found_among_those_of_its_moment(face):
    client, transport = face.scripted(
        lambda _: rows(
            {"content": "other", "dedup_key": "k"},
            {"content": "c", "dedup_key": "other"},
            {"content": "c", "dedup_key": "k", "tags": ["right"]},
        )
    )
    for key, tags in (("k", ["right"]), (None, None)):
        memory = Memory(**{**json.loads(ROW), "dedup_key": key, "session_id": "s"})
        assert client.memories.wait_until_visible(memory).tags == tags
    target = transport.last.target
    assert target.startswith(
        "/api/v1/memories?agent_id=a&session_id=s&event_type=general&since=2025-12-31T23%3A59%3A59.999999Z"
    )
    assert "until=2026-01-01T00%3A00%3A00.000002Z&limit=1000" in target


def test_reads_come_015_s_apart_until_the_time_is_over(face):
    clock = StoppedClock()
    client, transport = face.scripted(lambda _: json_response(200, NOTHING), clock=clock)
    with pytest.raises(DeadlineExceededError, match=r"within 0.4 s, in 4 reads") as caught:
        client.memories.wait_until_visible(Memory(**json.loads(ROW)), timeout=0.4)
    assert clock.sleeps == pytest.approx([0.15, 0.15, 0.1])
    error = caught.value
    assert (error.code, error.attempts, len(transport.requests)) == ("visibility_timeout", 4, 4)
    assert error.elapsed == pytest.approx(0.4)
    assert error.retryable
    assert not error.maybe_applied
    assert "client.ready()" in error.hint


def test_the_time_a_read_takes_counts(face):
    clock = StoppedClock()

    def slow(request):
        clock.now += 3
        return json_response(200, NOTHING)

    client, transport = face.scripted(slow, clock=clock)
    with pytest.raises(DeadlineExceededError):
        client.memories.wait_until_visible(Memory(**json.loads(ROW)))
    assert len(transport.requests) == 2
    client.memories.list()
    with pytest.raises(DeadlineExceededError, match="in 1 reads"):
        client.memories.wait_until_visible(Memory(**json.loads(ROW)), timeout=0)


@pytest.mark.parametrize(("timeout", "left"), [(4, 4), (0.1, 0.2), (0, 0.2)])
def test_a_read_has_what_is_left_of_the_time(face, timeout, left):
    clock = StoppedClock()

    def too_slow(request):
        clock.now += request.timeout
        raise TransportError("no response in time", cause="timeout", maybe_sent=True)

    client, transport = face.scripted(too_slow, clock=clock)
    with pytest.raises(DeadlineExceededError, match=rf"within {timeout} s, in 1 reads") as caught:
        client.memories.wait_until_visible(Memory(**json.loads(ROW)), timeout=timeout)
    assert transport.last.timeout == pytest.approx(left)
    assert caught.value.code == "visibility_timeout"
    assert caught.value.elapsed == pytest.approx(left)


def test_the_deadline_of_a_call_bounds_a_read_where_it_is_sooner(face):
    clock = StoppedClock()

    def too_slow(request):
        clock.now += request.timeout
        raise TransportError("no response in time", cause="timeout", maybe_sent=True)

    client, transport = face.scripted(too_slow, clock=clock, deadline=1.0)
    with pytest.raises(TransportError) as caught:
        client.memories.wait_until_visible(Memory(**json.loads(ROW)), timeout=4)
    assert transport.last.timeout == pytest.approx(1.0)
    assert caught.value.code != "visibility_timeout"


def test_storage_that_is_down_is_told_at_once(face, fake):
    client = face.of(fake, retry=ONCE)
    written = client.memories.add(agent_id="a", content="c")
    fake.set_storage("default", "down")
    with pytest.raises(ServerError, match="failed to query"):
        client.memories.wait_until_visible(written)
    assert len(fake.calls) == 2


def test_what_fails_after_the_write_says_that_the_memory_was_taken(face, fake):
    client = face.of(fake, retry=ONCE)
    fake.set_storage("default", "down")
    with pytest.raises(ServerError) as caught:
        client.memories.add(wait=True, agent_id="a", content="c")
    assert caught.value.maybe_applied
    assert not caught.value.retryable
    assert "call wait_until_visible again" in caught.value.hint
    for last in (json_response(200, NOTHING), TransportError("gone", cause="connect", maybe_sent=False)):
        client, _ = face.scripted(json_response(201, ROW), last, retry=ONCE)
        with pytest.raises(TransportError) as caught:
            client.memories.add(wait=True, agent_id="a", content="c", wait_timeout=0)
        assert caught.value.maybe_applied
        assert not caught.value.retryable


def test_a_write_that_fails_is_not_waited_for(face, fake):
    client = face.of(fake, dedup="server")
    client.memories.add(wait=True, agent_id="a", content="c")
    with pytest.raises(ConflictError) as caught:
        client.memories.add(wait=True, agent_id="a", content="c")
    assert not caught.value.maybe_applied
    with pytest.raises(InvalidRequestError, match="content"):
        client.memories.add(wait=True, agent_id="a", content="")


@by_face("seconds", [-1, float("nan"), float("inf"), None, "5"])
def test_what_is_no_number_of_seconds_is_refused_before_anything_is_sent(face, seconds):
    client, transport = face.scripted()
    with pytest.raises(InvalidRequestError, match="timeout must be a number of seconds"):
        client.memories.wait_until_visible(Memory(**json.loads(ROW)), timeout=seconds)
    with pytest.raises(InvalidRequestError, match="wait_timeout must be a number of seconds"):
        client.memories.add(wait=True, agent_id="a", content="c", wait_timeout=seconds)
    with pytest.raises(InvalidRequestError, match="wait_timeout must be a number of seconds"):
        client.memories.add(agent_id="a", content="c", wait_timeout=seconds)
    assert not transport.requests


def test_how_long_to_wait_is_no_field_of_a_memory():
    assert "wait_timeout" not in AddMemoryRequest.model_fields

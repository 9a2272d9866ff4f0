"""Failures that the same request would meet again: a read is made once, and a write is looked for."""

from __future__ import annotations

import asyncio
import pickle

import pytest

from memtrace import AsyncMemtrace, ListOptions, Memtrace, TransportError, TransportOptions
from memtrace_transports import FakeMemtrace
from memtrace_transports.memory import ManualClock
from memtrace_transports.memory.server import LiveServer
from tests.transports.kinds import on_every_kind


class Failing:
    """Passes each request to a fake, and loses the first responses in the same way."""

    def __init__(self, fake, error, times=None):
        self.fake, self.error, self.left, self.sent = fake, error, times, 0

    def send(self, request):
        self.sent += 1
        response = self.fake.handle(request) if self.error.maybe_sent else None
        if self.left != 0 and request.operation != "verify":
            self.left = None if self.left is None else self.left - 1
            raise pickle.loads(pickle.dumps(self.error))
        return response or self.fake.handle(request)

    def close(self):
        pass


def client_of(error, times=None):
    fake = FakeMemtrace(clock=ManualClock())
    transport = Failing(fake, error, times)
    key = fake.organisation("default").api_key
    return fake, transport, Memtrace("http://server.test", key, transport=transport, clock=fake.clock)


TOO_LONG = TransportError("too long", permanent=True, code="response_too_long")
UNWRITABLE = TransportError("cannot be written", maybe_sent=False, permanent=True)
BROKEN = TransportError("broken", cause="reset")


@pytest.mark.parametrize(("error", "attempts"), [(TOO_LONG, 1), (UNWRITABLE, 1), (BROKEN, 3)])
def test_a_read_that_would_fail_again_is_made_once(error, attempts):
    _, transport, client = client_of(error)
    with pytest.raises(TransportError) as caught:
        client.memories.list()
    assert (transport.sent, caught.value.attempts) == (attempts, attempts)
    assert caught.value.retryable is (error is BROKEN)
    assert caught.value.permanent is error.permanent


def test_a_write_that_was_not_sent_is_not_made_again():
    _, transport, client = client_of(UNWRITABLE)
    with pytest.raises(TransportError) as caught:
        client.remember("bot", "a memory")
    assert (transport.sent, caught.value.maybe_applied, caught.value.retryable) == (1, False, False)


def test_a_write_whose_response_was_too_long_is_looked_for_since_the_next_response_is_another():
    fake, _, client = client_of(TOO_LONG, times=1)
    memory = client.remember("bot", "a memory")
    fake.flush()
    assert [row.content for row in fake.client().memories.list().memories] == [memory.content]


def test_a_session_whose_response_was_too_long_may_be_there():
    fake, transport, client = client_of(TOO_LONG, times=1)
    agent = fake.client().agents.register(name="bot")
    with pytest.raises(TransportError) as caught:
        client.sessions.create(agent_id=agent.id)
    assert (transport.sent, caught.value.maybe_applied, caught.value.retryable) == (1, True, False)


def contents(kind, server, fake, **given):
    key, options = fake.organisation("default").api_key, TransportOptions(max_response_bytes=64 * 1024)
    if not kind.asynchronous:
        with Memtrace(server.url, key, transport=kind.name, transport_options=options) as client:
            return [memory.content[:2] for memory in client.memories.iter(**given)]

    async def main():
        async with AsyncMemtrace(server.url, key, transport=kind.name, transport_options=options) as client:
            return [memory.content[:2] async for memory in client.memories.iter(**given)]

    return asyncio.run(main())


@pytest.mark.slow
@pytest.mark.network
@on_every_kind
def test_an_iteration_over_memories_that_no_page_holds_goes_on(kind):
    fake = FakeMemtrace()
    rows = [{"agent_id": "bot", "content": f"{number:02}" + "x" * 8_000, "age_s": 90 - number} for number in range(90)]
    fake.seed("default", rows)
    with LiveServer(fake) as server:
        assert contents(kind, server, fake, order="asc") == [f"{number:02}" for number in range(90)]
        limits = [call.query["limit"] for call in fake.calls]
        assert limits[:7] == ["1000", "500", "250", "125", "62", "31", "15"]  # each once
        assert set(limits[7:]) == {"7"}
        fake.calls.clear()
        assert len(contents(kind, server, fake, page_size=5)) == 90
        assert {call.query["limit"] for call in fake.calls} == {"5"}


def test_options_alone_are_taken_as_before():
    fake = FakeMemtrace()
    fake.client().remember("bot", "a memory")
    assert [memory.content for memory in fake.client().memories.iter(ListOptions(), page_size=1)] == ["a memory"]

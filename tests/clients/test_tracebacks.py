"""What a traceback of a failed call shows: the way to the call, the error and its one cause, on each transport."""

from __future__ import annotations

import asyncio
import traceback

import pytest

from memtrace import (
    AddMemoryRequest,
    APIConnectionError,
    AsyncMemtrace,
    Memtrace,
    MemtraceError,
    RetryPolicy,
    TransportError,
)
from memtrace.testing import FakeMemtrace, Fault
from memtrace.testing._scripted_server import refusing_address
from tests.transports.kinds import KINDS

ONCE = RetryPolicy(max_attempts=1)
LONGEST = 25


def printed(error):
    return "".join(traceback.format_exception(error))


async def remembered(url, **settings):
    async with AsyncMemtrace(url, "key", retry=ONCE, **settings) as client:
        try:
            await client.remember("bot", "text")
        except APIConnectionError as error:
            return error


def remember(url, **settings):
    with Memtrace(url, "key", retry=ONCE, **settings) as client:
        try:
            client.remember("bot", "text")
        except APIConnectionError as error:
            return error


@pytest.mark.network
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_refused_connection_takes_25_lines_and_names_its_cause_once(kind):
    with refusing_address() as url:
        error = (
            asyncio.run(remembered(url, transport=kind.name))
            if kind.asynchronous
            else remember(url, transport=kind.name)
        )
    text = printed(error)
    assert len(text.splitlines()) <= LONGEST, text
    assert text.count("direct cause") + text.count("During handling") == 1
    assert isinstance(error.__cause__, Exception)
    links = [error.__cause__, error.__cause__.__context__]
    assert any(isinstance(link, OSError) and not isinstance(link, APIConnectionError) for link in links), links


@pytest.mark.network
@pytest.mark.parametrize(
    "store",
    [
        lambda client, requests: client.add_memories(requests),
        lambda client, requests: client.memories.add_many(requests).raise_for_failures(),
    ],
    ids=["add_memories", "add_many"],
)
def test_a_refused_connection_of_a_batch_takes_25_lines_too(store):
    with (
        refusing_address() as url,
        Memtrace(url, "key", retry=ONCE) as client,
        pytest.raises(MemtraceError) as caught,
    ):
        store(client, [AddMemoryRequest(agent_id="bot", content="text")])
    assert len(printed(caught.value).splitlines()) <= LONGEST, printed(caught.value)


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_a_failure_of_the_fake_takes_25_lines(asynchronous):
    fake = FakeMemtrace()
    fake.faults.add(Fault("refused"))
    client = fake.async_client("acme", retry=ONCE) if asynchronous else fake.client("acme", retry=ONCE)
    with pytest.raises(APIConnectionError) as caught:
        asyncio.run(client.health()) if asynchronous else client.health()
    assert len(printed(caught.value).splitlines()) <= LONGEST + 9 * asynchronous  # asyncio.run has frames of its own


def test_frames_of_somebody_elses_code_are_kept():
    class Theirs:
        def send(self, request):
            raise KeyError("theirs")

        def close(self):
            """Nothing is open."""

    def middleware(request, call_next):
        return (yield from call_next(request))

    with pytest.raises(TransportError) as caught:
        Memtrace("http://server.test", "key", transport=Theirs(), retry=ONCE, middleware=[middleware]).health()
    cause = printed(caught.value.__cause__)
    assert "in middleware\n" in cause
    assert "in send\n    raise KeyError" in cause
    assert "_flow" not in printed(caught.value)

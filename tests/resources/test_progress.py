"""Functions that are told how far something is: an async client awaits what they give, a blocking one refuses to."""

from __future__ import annotations

import asyncio

import pytest

from memtrace import AddMemoryRequest, AsyncMemtrace, InvalidRequestError
from memtrace_transports import FakeMemtrace
from tests.dealing import by_face
from tests.faces import json_response
from tests.responses import MEMORIES


def requests(count):
    return [AddMemoryRequest(agent_id="a", content=f"tea {n}") for n in range(count)]


CALLS = {
    "index_sync": lambda client, progress: client.memories.index_sync(progress=progress),
    "add_many": lambda client, progress: client.memories.add_many(requests(5), chunk_size=2, progress=progress),
    "add_iter": lambda client, progress: list(client.memories.add_iter(requests(5), chunk_size=2, progress=progress)),
}
by_call = by_face("call", CALLS.values(), ids=list(CALLS))


class Awaited:
    """An async function, and an object that is one, which note what they were told once they go on."""

    def __init__(self):
        self.told = []

    async def listen(self, state):
        await asyncio.sleep(0)
        self.told.append(state)

    async def __call__(self, state):
        await self.listen(state)


@by_call
def test_an_async_function_is_awaited_by_an_async_client_and_refused_by_a_blocking_one(face, call):
    awaited, plain = Awaited(), []

    def pass_on(state):
        return awaited.listen(state)

    for progress in (awaited, awaited.listen, pass_on):
        client = face.of(FakeMemtrace())
        if face.kind == "async":
            call(client, progress)
            continue
        with pytest.raises(InvalidRequestError, match="progress must be a function that need not be awaited") as caught:
            call(client, progress)
        assert caught.value.field == "progress"
    call(face.of(FakeMemtrace()), plain.append)
    assert plain
    assert awaited.told == (3 * plain if face.kind == "async" else [])


class Promise:
    """Something to be awaited that is no coroutine, as a future is."""

    def __await__(self):
        yield from ()


def test_a_blocking_client_refuses_whatever_can_be_awaited():
    with pytest.raises(InvalidRequestError, match="need not be awaited"):
        FakeMemtrace().client().memories.index_sync(progress=lambda _: Promise())


@by_call
def test_what_cannot_be_told_is_refused_before_anything_is_sent(face, call):
    client, transport = face.scripted(json_response(200, MEMORIES))
    for progress in (5, "told", *([Awaited()] if face.kind == "sync" else [])):
        with pytest.raises(InvalidRequestError, match="progress must be a function") as caught:
            call(client, progress)
        assert caught.value.field == "progress"
    assert not transport.requests


@by_call
def test_what_it_raises_comes_out(face, call):
    async def stop(state):
        raise LookupError("enough")

    def stop_at_once(state):
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        call(face.of(FakeMemtrace()), stop if face.kind == "async" else stop_at_once)


def test_it_is_awaited_on_trio_too():
    trio = pytest.importorskip("trio")
    told = []

    async def listen(state):
        await trio.sleep(0)
        told.append(state)

    async def main():
        async with AsyncMemtrace("memory://", "key") as client:
            await client.memories.add_many(requests(3), progress=listen)
            await client.memories.index_sync(progress=listen)

    trio.run(main)
    assert [state.done for state in told[:1]] == [3]
    assert told[-1].memories == 3

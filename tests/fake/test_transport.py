"""The transports over a fake, and clients made by one."""

from __future__ import annotations

import asyncio

import pytest

from memtrace.exceptions import ClientClosedError, TransportError
from memtrace.transport import AsyncTransport, Headers, Request, Transport
from memtrace_transports.memory import AsyncMemoryTransport, FakeMemtrace, MemoryTransport

KEYED = Headers({"x-api-key": "anyone"})
AGENTS = Request("GET", "memory://", "/api/v1/agents", KEYED)
HUGE = Request("POST", "memory://", "/api/v1/memories", KEYED, b"x" * (4 * 1024 * 1024 + 1))


def test_they_are_transports_of_the_sdk() -> None:
    assert isinstance(MemoryTransport(), Transport)
    assert isinstance(AsyncMemoryTransport(), AsyncTransport)


def test_a_request_is_answered_until_the_transport_is_closed() -> None:
    transport = MemoryTransport()
    assert transport.send(AGENTS).body == b'{"agents":[],"count":0}'
    with pytest.raises(TransportError):
        transport.send(HUGE)
    transport.close()
    transport.close()
    with pytest.raises(ClientClosedError):
        transport.send(AGENTS)


def test_an_asynchronous_request_is_answered_until_the_transport_is_closed() -> None:
    async def use() -> None:
        transport = AsyncMemoryTransport()
        assert (await transport.send(AGENTS)).body == b'{"agents":[],"count":0}'
        with pytest.raises(TransportError):
            await transport.send(HUGE)
        await transport.close()
        await transport.close()
        with pytest.raises(ClientClosedError):
            await transport.send(AGENTS)

    asyncio.run(use())


def test_a_fake_outlives_the_transports_to_it(fake: FakeMemtrace) -> None:
    key = fake.organisation().api_key
    request = Request("GET", "memory://", "/api/v1/agents", Headers({"x-api-key": key}))
    fake.seed_agent("default", "bob")
    first = MemoryTransport(fake)
    first.close()
    assert b"bob" in MemoryTransport(fake).send(request).body


def test_their_reprs_name_the_fake(fake: FakeMemtrace) -> None:
    assert repr(MemoryTransport(fake)) == f"MemoryTransport({fake!r})"
    assert repr(AsyncMemoryTransport(fake)) == f"AsyncMemoryTransport({fake!r})"


def test_a_client_of_the_fake_has_the_key_of_its_organisation(fake: FakeMemtrace) -> None:
    acme = fake.organisation("acme")
    with fake.client(acme, timeout=1.0) as client:
        client.remember("bot", "likes tea")
        assert client.list_agents().count == 0


def test_an_asynchronous_client_of_the_fake_has_the_key_of_its_organisation(fake: FakeMemtrace) -> None:
    async def use() -> int:
        async with fake.async_client("acme") as client:
            return (await client.list_agents()).count

    fake.seed_agent("acme", "bob")
    assert asyncio.run(use()) == 1

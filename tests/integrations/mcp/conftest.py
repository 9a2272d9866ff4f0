from __future__ import annotations

import asyncio

import pytest

from memtrace.integrations.tools import AsyncMemoryTools
from memtrace_transports import FakeMemtrace, ManualClock
from tests.lazily import Lazily

mcp = Lazily("mcp")
ours = Lazily("memtrace.integrations.mcp")


@pytest.fixture
def fake():
    return FakeMemtrace(clock=ManualClock())


@pytest.fixture(params=["auto", "legacy"])
def era(request):
    """Of the protocol: the newest that both sides know, and the one with a handshake."""
    return request.param


@pytest.fixture
def ask_one(fake, era):
    """Connect to the server of one agent, and do something with the connection."""

    def run(work, *, handler=None, **settings):
        async def main():
            async with fake.async_client() as client:
                tools = AsyncMemoryTools(client, **{"agent_id": "assistant", **settings})
                async with mcp.Client(ours.memory_server(tools), mode=era, message_handler=handler) as model:
                    return await work(model)

        return asyncio.run(main())

    return run


@pytest.fixture
def ask_all(fake, era):
    """Connect to the server with Memtrace's own tools, and do something with the connection."""

    def run(work, *, handler=None, client=None, **settings):
        async def main():
            async with client or fake.async_client() as used:
                server = ours.memtrace_server(used, **settings)
                async with mcp.Client(server, mode=era, message_handler=handler) as model:
                    return await work(model)

        return asyncio.run(main())

    return run

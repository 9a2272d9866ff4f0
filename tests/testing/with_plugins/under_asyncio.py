"""The fixtures under pytest-asyncio; `nox -s plugins` runs it."""

from __future__ import annotations

import pytest
import pytest_asyncio

from memtrace import AsyncMemtrace

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def written(async_memtrace_client):
    return await async_memtrace_client.remember("bot", "likes tea")


@pytest.mark.parametrize("turn", range(2))
async def test_each_test_has_a_fake_of_its_own_on_its_own_loop(async_memtrace_client, memtrace_client, turn):
    assert (await async_memtrace_client.recall("bot")).count == 0
    await async_memtrace_client.remember("bot", "likes tea")
    assert memtrace_client.recall("bot").count == 1


async def test_an_async_fixture_and_its_test_share_the_client(written, async_memtrace_client):
    assert (await async_memtrace_client.recall("bot")).memories == [written]


async def test_a_client_over_a_socket_reaches_the_same_fake(memtrace_server, memtrace_fake, memtrace_client):
    async with AsyncMemtrace(memtrace_server, memtrace_fake.organisation().api_key) as client:
        await client.remember("bot", "likes tea")
    assert memtrace_client.recall("bot").count == 1

"""The fixtures under anyio's plugin, on asyncio and on trio; `nox -s plugins` runs it."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


@pytest.fixture
async def written(async_memtrace_client):
    return await async_memtrace_client.remember("bot", "likes tea")


async def test_each_test_has_a_fake_of_its_own_on_each_loop(async_memtrace_client, memtrace_client):
    assert (await async_memtrace_client.recall("bot")).count == 0
    await async_memtrace_client.remember("bot", "likes tea")
    assert memtrace_client.recall("bot").count == 1


async def test_an_async_fixture_and_its_test_share_the_client(written, async_memtrace_client):
    assert (await async_memtrace_client.recall("bot")).memories == [written]

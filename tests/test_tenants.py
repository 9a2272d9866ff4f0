"""Many tenants of one family on one pool: under load no key is ever sent for another."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from memtrace import AsyncMemtrace, Memtrace
from memtrace_transports.memory import FakeMemtrace, ManualClock
from memtrace_transports.memory.server import LiveServer
from tests.sampling import is_whole

pytestmark = pytest.mark.network
TENANTS = 1000 if is_whole() else 100


@pytest.fixture
def fake():
    return FakeMemtrace(clock=ManualClock(), any_key=True)


def key_of(number):
    return f"mtk_tenant_{number}"


def seen_by(fake, number):
    """What the organisation of this key has, past every client under test."""
    return [memory.content for memory in fake.client().with_options(api_key=key_of(number)).memories.list().memories]


def test_threads_that_share_a_pool_keep_their_keys(fake):
    with LiveServer(fake) as server, Memtrace(server.url, "mtk_first") as first:
        tenants = [first.with_options(api_key=key_of(number)) for number in range(TENANTS)]
        before = threading.active_count()

        def work(number):
            tenants[number].remember("bot", f"of {number}")
            return [memory.content for memory in tenants[number].recall("bot").memories]

        with ThreadPoolExecutor(16) as threads:
            assert list(threads.map(work, range(TENANTS))) == [[f"of {number}"] for number in range(TENANTS)]
        assert threading.active_count() <= before
        for tenant in tenants:
            tenant.close()
    assert all(seen_by(fake, number) == [f"of {number}"] for number in range(TENANTS))


def test_tasks_that_share_a_pool_keep_their_keys(fake):
    async def main(url):
        async with AsyncMemtrace(url, "mtk_first", transport="aiohttp") as first:

            async def work(number):
                tenant = first.with_options(api_key=key_of(number))
                await tenant.remember("bot", f"of {number}")
                return [memory.content for memory in (await tenant.recall("bot")).memories]

            return await asyncio.gather(*(work(number) for number in range(TENANTS)))

    with LiveServer(fake) as server:
        assert asyncio.run(main(server.url)) == [[f"of {number}"] for number in range(TENANTS)]
    assert all(seen_by(fake, number) == [f"of {number}"] for number in range(TENANTS))

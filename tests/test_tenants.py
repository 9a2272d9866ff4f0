"""Many tenants of one family on one pool: under load no key is ever sent for another."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from memtrace import AsyncMemtrace, Memtrace
from memtrace_transports.memory import FakeMemtrace, ManualClock
from memtrace_transports.memory.server import LiveServer
from tests.sampling import is_whole
from tests.transports.kinds import KINDS
from tests.transports.scripted import Answer, ScriptedServer, Verbatim

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


@pytest.mark.slow
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


# ---- a server that sends more than was asked for

MEMORIES = b'{"memories": [], "count": 0, "has_more": false}'
FOREIGN = b'{"memories": [{"id": "of-another"}], "count": 1, "has_more": false}'


def whole(body):
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


SURPLUS = [
    pytest.param(Verbatim((whole(MEMORIES) + whole(FOREIGN),)), id="with the answer"),
    pytest.param(Verbatim((whole(MEMORIES),), late=whole(FOREIGN)), id="later"),
]


@pytest.mark.parametrize("transport", sorted({kind.name for kind in KINDS if not kind.asynchronous}))
@pytest.mark.parametrize("step", SURPLUS)
def test_a_second_tenant_never_gets_what_came_behind_the_answer_of_the_first(transport, step):
    with (
        ScriptedServer(step, Answer(200, MEMORIES)) as server,
        Memtrace(server.url, "mtk_1", transport=transport) as first,
    ):
        assert first.recall("bot").memories == []
        if step.late:
            server.send_late()
        assert first.with_options(api_key="mtk_2").recall("bot").memories == []


@pytest.mark.parametrize("transport", sorted({kind.name for kind in KINDS if kind.asynchronous}))
@pytest.mark.parametrize("step", SURPLUS)
def test_a_second_tenant_of_tasks_never_gets_what_came_behind_the_answer_of_the_first(transport, step):
    async def main(server):
        async with AsyncMemtrace(server.url, "mtk_1", transport=transport) as first:
            assert (await first.recall("bot")).memories == []
            if step.late:
                server.send_late()
            assert (await first.with_options(api_key="mtk_2").recall("bot")).memories == []

    with ScriptedServer(step, Answer(200, MEMORIES)) as server:
        asyncio.run(main(server))

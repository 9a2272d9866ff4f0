"""Async clients are lent to one task at a time, within bounds, on asyncio and on trio."""

from __future__ import annotations

import asyncio

import anyio
import anyio.lowlevel
import pytest

from memtrace.exceptions import ClientClosedError
from memtrace_transports._pool.async_client_pool import AsyncClientPool, SharedClient
from memtrace_transports.memory import ManualClock


class Client:
    closed = False

    async def aclose(self):
        await anyio.lowlevel.checkpoint()
        self.closed = True


@pytest.fixture(params=["asyncio", "trio"])
def run(request):
    return lambda main: anyio.run(main, backend=request.param)


def pool(*, max_size=3, kept=2, expiry=30.0, clock=None, make=Client):
    return AsyncClientPool(
        Client(), make, max_size=max_size, max_idle=kept, expiry=expiry, now=(clock or ManualClock()).monotonic
    )


async def given_back(lent, count):
    """So many that were lent at once, given back in their order."""
    clients = [await lent.acquire(None) for _ in range(count)]
    for client in clients:
        await lent.release(client)
    return clients


def test_the_one_that_was_given_back_last_is_lent_first(run):
    async def main():
        lent = pool()
        one, two = await given_back(lent, 2)
        assert one is not two
        assert [await lent.acquire(None), await lent.acquire(None)] == [two, one]

    run(main)


def test_one_that_is_no_longer_usable_is_closed_and_never_lent_again(run):
    async def main():
        lent = pool(max_size=1)
        spent = await lent.acquire(None)
        await lent.release(spent, usable=False)
        assert spent.closed
        assert await lent.acquire(0.01) is not spent

    run(main)


@pytest.mark.parametrize("make", [lambda: pool(max_size=1), lambda: SharedClient(Client(), max_size=1)])
def test_no_more_are_lent_at_once_than_there_may_be(run, make):
    async def main():
        lent = make()
        client = await lent.acquire(None)
        assert await lent.acquire(0.01) is None
        got = []

        async def wait():
            got.append(await lent.acquire(10))

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            assert got == []
            await lent.release(client)
        assert got == [client]

    run(main)


def test_one_that_cannot_be_made_takes_no_place(run):
    def fail():
        raise OSError("no certificates")

    async def main():
        lent = pool(max_size=2, make=fail)
        await lent.acquire(None)
        for _ in range(3):
            with pytest.raises(OSError, match="no certificates"):
                await lent.acquire(0.01)

    run(main)


def test_no_more_wait_than_are_kept(run):
    async def main():
        one, two = await given_back(pool(kept=1), 2)
        assert (one.closed, two.closed) == (True, False)
        (one,) = await given_back(pool(kept=0), 1)
        assert one.closed

    run(main)


def test_one_that_has_waited_too_long_is_closed_by_the_next_that_is_given_back(run):
    async def main():
        clock = ManualClock()
        lent = pool(expiry=30.0, clock=clock)
        one, two = await given_back(lent, 2)
        clock.advance(31)
        assert await lent.acquire(None) is two
        await lent.release(two)
        assert (one.closed, two.closed) == (True, False)

    run(main)


def test_one_is_closed_whole_though_the_task_that_gives_it_back_is_cancelled(run):
    async def main():
        lent = pool(kept=0)
        client = await lent.acquire(None)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await lent.release(client)
        assert client.closed

    run(main)


def test_a_task_that_is_cancelled_while_it_closes_one_leaves_the_others_to_the_next():
    async def main():
        clock = ManualClock()
        lent = pool(kept=3, expiry=30.0, clock=clock)
        one, two, three = await given_back(lent, 3)
        clock.advance(31)
        task = asyncio.create_task(given_back(lent, 1))
        await asyncio.sleep(0)
        task.cancel()  # the task itself, which no scope keeps off
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (one.closed, two.closed, three.closed) == (False, False, False)
        await given_back(lent, 1)
        assert (two.closed, three.closed) == (True, False)

    asyncio.run(main())


def test_closing_closes_all_and_nothing_is_lent_after_it(run):
    async def main():
        lent = pool(max_size=2)
        one, two = [await lent.acquire(None) for _ in range(2)]
        await lent.release(one)
        await lent.close()
        assert (one.closed, two.closed) == (True, True)
        await lent.release(two)
        for _ in range(3):
            with pytest.raises(ClientClosedError):
                await lent.acquire(0.01)

    run(main)


def test_one_for_all_is_lent_to_all_and_closed_once_for_all(run):
    async def main():
        client = Client()
        lent = SharedClient(client)
        assert [await lent.acquire(None) for _ in range(200)] == [client] * 200
        await lent.release(client)
        await lent.close()
        assert client.closed

    run(main)

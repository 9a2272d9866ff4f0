"""Clients made at the first use: how often, for whom, and what happens to them in a fork, another loop and at the end."""

import asyncio
import os
import threading
import weakref

import pytest
import trio

from memtrace.exceptions import ClientClosedError
from memtrace_transports._pool.lazy_clients import LazyClient, PerLoopClients
from tests.garbage import collected


class Client:
    """A client of either form, which says what was done with it."""

    def __init__(self, *, asynchronous=False):
        self.done = []
        self.close = self._close_awaiting if asynchronous else self._close

    def _close(self):
        self.done.append("closed")

    async def _close_awaiting(self):
        self.done.append("closed")

    def discard(self):
        self.done.append("forgotten")


class Maker:
    """Makes clients, and keeps a list of them."""

    def __init__(self, *, asynchronous=False):
        self.made = []
        self.asynchronous = asynchronous
        self.may_end = threading.Event()
        self.begun = threading.Event()
        self.may_end.set()

    def __call__(self):
        self.begun.set()
        assert self.may_end.wait(10)
        client = Client(asynchronous=self.asynchronous)
        self.made.append(client)
        return client


def on_threads(count, function):
    threads = [threading.Thread(target=function) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def looping(prepare, finish=lambda prepared: prepared, given=None):
    return PerLoopClients(given, prepare, finish)


# ---- one for all threads


def test_threads_that_begin_together_get_one_client():
    maker, barrier, got = Maker(), threading.Barrier(16), []
    clients = LazyClient(None, maker)

    def use():
        barrier.wait()
        got.append(clients.get())

    on_threads(16, use)
    assert len(maker.made) == 1
    assert got == maker.made * 16


def test_threads_of_a_forked_child_get_one_client_that_is_not_the_parents(monkeypatch):
    maker, barrier, got = Maker(), threading.Barrier(16), []
    clients = LazyClient(None, maker)
    parents = clients.get()

    def use():
        barrier.wait()
        got.append(clients.get())

    for child in (-1, -2):  # and of a child of the child
        monkeypatch.setattr(os, "getpid", lambda child=child: child)
        on_threads(16, use)
    assert len(maker.made) == 3
    assert got == [maker.made[1]] * 16 + [maker.made[2]] * 16
    assert parents.done == []


def test_a_child_keeps_what_it_inherited_and_does_not_close_it(monkeypatch):
    with collected():
        clients = LazyClient(None, Maker())
        parents = weakref.ref(clients.get())
        clients._make.made.clear()
        monkeypatch.setattr(os, "getpid", lambda: -1)
        childs = clients.get()
        clients.close()
    assert parents() is not None
    assert (parents().done, childs.done) == ([], ["closed"])


def test_closing_in_a_child_that_made_nothing_closes_nothing(monkeypatch):
    clients = LazyClient(None, Maker())
    parents = clients.get()
    with monkeypatch.context() as patched:
        patched.setattr(os, "getpid", lambda: -1)
        clients.close()
    assert parents.done == []
    clients.close()
    assert parents.done == ["closed"]


def test_a_client_that_is_made_while_it_closes_is_closed():
    maker = Maker()
    maker.may_end.clear()
    clients = LazyClient(None, maker)
    using, closing = threading.Thread(target=clients.get), threading.Thread(target=clients.close)
    using.start()
    assert maker.begun.wait(10)
    closing.start()
    while not clients.closed:
        pass
    maker.may_end.set()
    using.join()
    closing.join()
    assert [client.done for client in maker.made] == [["closed"]]


@pytest.mark.parametrize("given", [None, Client()], ids=["ours", "theirs"])
def test_nothing_is_given_after_the_end_and_what_was_handed_over_stays_open(given):
    maker = Maker()
    clients = LazyClient(given, maker)
    clients.close()
    clients.close()
    with pytest.raises(ClientClosedError, match="this transport is closed"):
        clients.get()
    assert maker.made == []
    assert given is None or given.done == []


# ---- one for each event loop


@pytest.mark.parametrize("run", [asyncio.run, lambda coroutine: trio.run(lambda: coroutine)], ids=["asyncio", "trio"])
def test_each_event_loop_gets_its_own_made_in_a_thread_and_finished_on_the_loop(run):
    threads = []

    def prepare():
        threads.append(threading.current_thread())
        return Client(asynchronous=True)

    def finish(client):
        threads.append(threading.current_thread())
        return client

    clients = looping(prepare, finish)

    async def main():
        first, again = await clients.get(), await clients.get()
        assert first is again
        return first

    one, other = run(main()), run(main())
    assert one is not other
    assert [thread is threading.main_thread() for thread in threads] == [False, True, False, True]


def test_asyncio_closes_the_channel_of_a_loop_as_it_ends():
    clients = looping(Maker(asynchronous=True))

    async def main():
        channel = await clients.get()
        assert channel.done == []
        return channel

    for _ in range(2):
        assert asyncio.run(main()).done == ["closed"]


def test_a_loop_that_is_closed_without_its_generators_is_told_to_its_channel_when_another_begins():
    clients, kept = looping(Maker(asynchronous=True)), []

    async def main():
        kept.append(asyncio.get_running_loop())  # as connections keep it
        return await clients.get()

    loop = asyncio.new_event_loop()
    first = loop.run_until_complete(main())
    loop.close()
    asyncio.run(main())
    assert first.done == ["forgotten"]


def test_a_loop_that_ended_before_its_channel_was_made_is_let_go_of():
    maker, kept = Maker(asynchronous=True), []
    clients = looping(maker)

    async def cancelled():
        kept.append(asyncio.get_running_loop())
        maker.may_end.clear()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(clients.get(), 0.01)
        maker.may_end.set()

    asyncio.run(cancelled())
    asyncio.run(clients.close())
    assert len(clients._holding.get().made) == 0


def test_what_is_prepared_for_a_task_that_was_cancelled_serves_the_next_one():
    maker = Maker(asynchronous=True)
    clients = looping(maker)

    async def main():
        maker.may_end.clear()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(clients.get(), 0.01)
        maker.may_end.set()
        return await clients.get()

    assert asyncio.run(main()) is maker.made[0]
    assert len(maker.made) == 1


def test_nothing_is_finished_for_a_transport_that_was_closed_meanwhile():
    maker, finished = Maker(asynchronous=True), []
    maker.may_end.clear()
    clients = looping(maker, finished.append)

    async def main():
        using = asyncio.ensure_future(clients.get())
        while not maker.begun.is_set():  # noqa: ASYNC110  # it is set in a thread
            await asyncio.sleep(0.001)
        await clients.close()
        maker.may_end.set()
        with pytest.raises(ClientClosedError):
            await using
        with pytest.raises(ClientClosedError):
            await clients.get()

    asyncio.run(main())
    assert finished == []


def test_a_channel_of_another_loop_that_runs_is_closed_there_and_nowhere_else():
    clients, here = looping(Maker(asynchronous=True)), []

    async def main():
        channel = await clients.get()
        there = threading.Thread(target=lambda: here.append(asyncio.run(elsewhere())))
        there.start()
        there.join()
        assert (channel.done, here[0].done) == ([], ["closed"])
        await clients.close()
        assert channel.done == ["closed"]

    async def elsewhere():
        channel = await clients.get()
        await clients.close()
        return channel

    asyncio.run(main())


def test_closing_on_a_loop_goes_on_when_its_task_is_cancelled_by_a_scope():
    class Slow(Client):
        async def _close_awaiting(self):
            await trio.lowlevel.checkpoint()
            await super()._close_awaiting()

    clients = looping(lambda: Slow(asynchronous=True))

    async def main():
        channel = await clients.get()
        with trio.CancelScope() as scope:
            scope.cancel()
            await clients.close()
        return channel.done

    assert trio.run(main) == ["closed"]


def test_a_child_closes_no_channel_of_its_parents(monkeypatch):
    clients = looping(Maker(asynchronous=True))

    async def main():
        parents = await clients.get()
        monkeypatch.setattr(os, "getpid", lambda: -1)
        childs = await clients.get()
        assert childs is not parents
        await clients.close()
        return parents.done, childs.done

    assert asyncio.run(main()) == ([], ["closed"])


def test_a_channel_of_the_users_is_given_on_every_loop_until_the_end_and_stays_open():
    given = Client(asynchronous=True)
    clients = looping(None, given=given)

    async def main():
        return await clients.get()

    assert asyncio.run(main()) is trio.run(main) is given
    asyncio.run(clients.close())
    with pytest.raises(ClientClosedError):
        asyncio.run(main())
    assert given.done == []

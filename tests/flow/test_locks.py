"""The lock effect: threads or tasks queue, and a call that ends frees what it held."""

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from contextlib import suppress

import pytest
import trio

from memtrace._flow.drivers import drive, drive_async
from memtrace._flow.effects import call, lock, sleep
from memtrace._support.locks import HeldLock, Locks
from memtrace.transport import CallContext
from tests.conftest import AsyncScript, Script, StoppedClock
from tests.dealing import by_driver
from tests.garbage import collecting


def run_sync(flow, locks):
    return drive(flow, Script(), locks, CallContext(StoppedClock()))


async def run_async(flow, locks):
    return await drive_async(flow, AsyncScript(), locks, CallContext())


def holding(name="token"):
    with (yield from lock(name)):
        yield from sleep(0)
    return "done"


def held_at_the_end():
    yield from lock("token")
    return "done"


def held_at_an_error():
    yield from lock("token")
    raise LookupError


def assert_free(runner):
    assert not runner.locks.thread_lock("token").locked()  # to wait for it would hang
    assert runner.run(holding()) == "done"


@by_driver("first", [holding, held_at_the_end, held_at_an_error], ids=lambda flow: flow.__name__)
def test_a_lock_is_free_for_the_next_call_however_the_first_ended(runner, first):
    with suppress(LookupError):
        runner.run(first())
    assert_free(runner)


def test_a_lock_is_free_after_a_cancellation(runner):
    class Interrupted(BaseException):
        pass

    def interrupted():
        yield from lock("token")
        yield from call(fail)

    def fail():
        raise Interrupted

    with pytest.raises(Interrupted):
        runner.run(interrupted())
    assert_free(runner)


def test_locks_of_different_names_are_independent(runner):
    def both():
        with (yield from lock("a")), (yield from lock("b")):
            return (yield from sleep(0))

    assert runner.run(both()) is None


def test_a_lock_can_be_released_early_and_a_second_release_does_nothing(runner):
    def flow():
        held = yield from lock("token")
        held.release()
        held.release()
        again = yield from lock("token")
        return isinstance(again, HeldLock)

    assert runner.run(flow()) is True


def test_threads_queue_for_a_lock():
    locks, inside, most = Locks(), [], []

    def flow():
        with (yield from lock("token")):
            inside.append(1)
            most.append(len(inside))
            yield from call(threading.Event().wait, 0.001)
            inside.pop()

    threads = [threading.Thread(target=run_sync, args=(flow(), locks)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8


def test_tasks_queue_for_a_lock_across_a_wait_without_blocking_the_loop():
    async def main(locks, pause):
        inside, most = [], []

        def flow():
            with (yield from lock("token")):
                inside.append(1)
                most.append(len(inside))
                yield from sleep(0.001)
                inside.pop()

        await pause([lambda: run_async(flow(), locks)] * 8)
        return most

    async def with_asyncio(makers):
        await asyncio.gather(*(make() for make in makers))

    async def with_trio(makers):
        async with trio.open_nursery() as nursery:
            for make in makers:
                nursery.start_soon(make)

    locks = Locks()
    assert asyncio.run(main(locks, with_asyncio)) == [1] * 8
    assert asyncio.run(main(locks, with_asyncio)) == [1] * 8
    assert trio.run(main, locks, with_trio) == [1] * 8


def test_a_task_cancelled_in_the_queue_leaves_the_lock_to_others():
    async def main():
        locks = Locks()
        entered, leave = asyncio.Event(), asyncio.Event()

        def long():
            with (yield from lock("token")):
                entered.set()
                yield from call(leave.wait)

        first = asyncio.create_task(run_async(long(), locks))
        await entered.wait()
        second = asyncio.create_task(run_async(holding(), locks))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        leave.set()
        await first
        assert await asyncio.wait_for(run_async(holding(), locks), 1) == "done"

    asyncio.run(main())


def test_a_lock_held_on_one_loop_does_not_stop_another_loop():
    locks = Locks()

    async def inner():
        return await run_async(holding(), locks)

    async def outer():
        def flow():
            with (yield from lock("token")):
                return (yield from call(lambda: asyncio.run(inner())))

        return await run_async(flow(), locks)

    assert asyncio.run(outer()) == "done"


@pytest.mark.parametrize("library", ["asyncio", "trio"])
def test_a_loop_that_is_gone_takes_its_locks_with_it(library):
    locks, loops = Locks(), []

    async def main():
        loops.append(
            weakref.ref(asyncio.get_running_loop() if library == "asyncio" else trio.lowlevel.current_root_task())
        )
        if library == "asyncio":
            await asyncio.gather(*(run_async(holding(), locks) for _ in range(3)))
        else:
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(run_async, holding(), locks)

    with collecting() as collect:
        for _ in range(3):
            asyncio.run(main()) if library == "asyncio" else trio.run(main)
        collect()
    assert sum(loop() is not None for loop in loops) <= 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_does_not_wait_for_a_thread_of_its_parent():
    script = """
        import os, threading
        from memtrace._support.locks import Locks
        locks = Locks()
        locks.thread_lock("token").acquire()
        locks._tables.get().guard.acquire()
        child = os.fork()
        if child == 0:
            fine = locks.thread_lock("token").acquire(timeout=1)
            os._exit(0 if fine else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout == "0\n", done.stderr


def test_locks_are_new_in_another_process(monkeypatch):
    locks = Locks()
    parents = locks.thread_lock("token")
    assert locks.thread_lock("token") is parents
    monkeypatch.setattr(os, "getpid", lambda: -1)
    childs = locks.thread_lock("token")
    assert childs is not parents
    assert locks.thread_lock("token") is childs

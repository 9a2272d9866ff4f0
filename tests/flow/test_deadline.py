"""The bound of a whole call: attempts, waits, locks and called functions end with it."""

from __future__ import annotations

import asyncio
import threading
import time

import anyio
import pytest

from memtrace import APITimeoutError, AsyncMemtrace, ConfigurationError, DeadlineExceededError, Memtrace
from memtrace._flow.drivers import drive, drive_async
from memtrace._flow.effects import call, lock, sleep
from memtrace._support.locks import Locks
from memtrace.transport import CallContext, Response, TransportError
from tests.conftest import Script


def test_an_attempt_has_no_more_time_than_the_call_has_left(runner):
    runner.context.deadline = runner.clock.now + 5

    def waits_first(request, call_next):
        yield from sleep(3)
        return (yield from call_next(request))

    runner.call(waits_first, 200, timeout=30.0)
    assert runner.requests[0].timeout == 2
    runner.context.deadline = runner.clock.now + 5
    runner.call(waits_first, 200, timeout=1.0)
    assert runner.requests[0].timeout == 1


def test_no_attempt_begins_after_the_deadline(runner):
    runner.context.deadline = runner.clock.now - 1
    with pytest.raises(DeadlineExceededError, match="before an attempt could begin") as caught:
        runner.call([], 200)
    assert not runner.requests
    assert caught.value.maybe_sent is False


def test_a_wait_that_would_end_after_the_deadline_does_not_begin(runner):
    runner.context.deadline = runner.clock.now + 1

    def flow():
        yield from sleep(2)

    with pytest.raises(DeadlineExceededError, match="before a wait of 2 s could end"):
        runner.run(flow())
    assert runner.clock.sleeps == []


def test_a_middleware_may_react_to_the_deadline(runner):
    runner.context.deadline = runner.clock.now + 1

    def patient(request, call_next):
        try:
            yield from sleep(2)
        except DeadlineExceededError:
            return Response(299)
        return (yield from call_next(request))

    assert runner.call(patient).status == 299


def real_context(seconds):
    context = CallContext()
    context.deadline = context.started + seconds
    return context


def takes_lock():
    with (yield from lock("one")):
        return "held"


def test_waiting_for_a_threads_lock_ends_with_the_deadline():
    locks = Locks()
    with locks.thread_lock("one"), pytest.raises(DeadlineExceededError, match="while it waited for a lock"):
        drive(takes_lock(), Script(), locks, real_context(0.05))
    assert drive(takes_lock(), Script(), locks, real_context(60)) == "held"


@pytest.mark.parametrize("library", ["asyncio", "trio"])
def test_waiting_for_a_tasks_lock_ends_with_the_deadline(library):
    async def main():
        locks, begun, may_end = Locks(), anyio.Event(), anyio.Event()

        async def hold():
            await locks.task_lock("one").acquire()
            begun.set()
            await may_end.wait()
            locks.task_lock("one").release()

        async with anyio.create_task_group() as group:
            group.start_soon(hold)
            await begun.wait()
            with pytest.raises(DeadlineExceededError, match="while it waited"):
                await drive_async(takes_lock(), Script(), locks, real_context(0.05))
            may_end.set()
        return await drive_async(takes_lock(), Script(), locks, real_context(60))

    assert anyio.run(main, backend=library) == "held"


@pytest.mark.parametrize("library", ["asyncio", "trio"])
def test_an_async_function_that_is_called_ends_with_the_deadline(library):
    async def endless():
        await anyio.sleep(60)

    def flow():
        yield from call(endless)

    async def main():
        with pytest.raises(DeadlineExceededError):
            await drive_async(flow(), Script(), Locks(), real_context(0.05))

    anyio.run(main, backend=library)


def test_a_lock_that_comes_with_the_cancellation_is_given_back():
    async def main():
        locks = Locks()
        held = locks.task_lock("one")
        await held.acquire()
        task = asyncio.create_task(drive_async(takes_lock(), Script(), locks, real_context(60)))
        await asyncio.sleep(0.01)
        held.release()
        await asyncio.sleep(0)  # the lock is taken by now, and the driver has not heard of it
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert not held.locked()

    asyncio.run(main())


def test_a_cancelled_wait_within_a_deadline_is_a_cancellation():
    async def main():
        async def endless():
            await asyncio.sleep(60)

        def flow():
            yield from call(endless)

        task = asyncio.create_task(drive_async(flow(), Script(), Locks(), real_context(60)))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


@pytest.mark.parametrize(("deadline", "kind"), [(0.5, DeadlineExceededError), (50, APITimeoutError)])
def test_a_time_out_at_the_deadline_is_called_by_its_name(clock, deadline, kind):
    def late(request):
        clock.now += request.timeout
        raise TransportError("no answer", cause="timeout")

    client = Memtrace("http://server", "key", timeout=3, deadline=deadline, clock=clock, transport=Script(late))
    with pytest.raises(kind) as caught:
        client.remember("a", "b")
    assert type(caught.value) is kind
    assert caught.value.maybe_applied
    assert caught.value.argument == ("deadline" if kind is DeadlineExceededError else "timeout")
    assert f"raise the {caught.value.argument}" in caught.value.hint
    assert f"(argument: {caught.value.argument}" in str(caught.value)


@pytest.mark.parametrize("client", [Memtrace, AsyncMemtrace])
def test_a_deadline_is_seconds_above_0(client):
    for wrong in (0, -1, "3", True):
        with pytest.raises(ConfigurationError, match="deadline must be a number of seconds above 0"):
            client("memory://", "key", deadline=wrong)
        with pytest.raises(ConfigurationError, match="deadline must be"):
            client("memory://", "key").with_options(deadline=wrong)


def test_a_deadline_is_for_each_call_anew():
    client = Memtrace("memory://", "key", deadline=30)
    client.remember("a", "one")
    client.with_options(deadline=None).remember("a", "two")
    assert client.with_options(deadline=5).recall("a").count == 2


def test_the_deadline_holds_in_real_time():
    started = time.monotonic()
    stalled = threading.Event()

    class Stalling:
        def send(self, request):
            stalled.wait(request.timeout)
            raise TransportError("no answer", cause="timeout")

        def close(self):
            pass

    with pytest.raises(DeadlineExceededError):
        Memtrace("http://server", "key", deadline=0.1, transport=Stalling()).remember("a", "b")
    assert time.monotonic() - started < 30

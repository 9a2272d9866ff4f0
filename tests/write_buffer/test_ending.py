"""How a buffer ends: by its block, by a bound, by an interruption, or never."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest

from memtrace import (
    AsyncMemtrace,
    BufferCounts,
    BufferDrainError,
    ClientClosedError,
    ConfigurationError,
)
from memtrace._runtime.write_buffer.thread_worker import _Waiters
from memtrace_transports import FakeMemtrace
from memtrace_transports.memory import Fault
from tests.sampling import is_whole, seed
from tests.write_buffer.faces import ONCE, PATIENCE, SyncFace, contents, memory, once, passing
from tests.write_buffer.interruptions import Interrupted, Interruption


def warnings_of(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_the_end_of_the_block_sends_what_waits_and_says_nothing(face, fake, caplog):
    buffer = face.client(fake).memories.buffered(flush_interval=60)
    assert face.enter(buffer) is buffer
    face.call(buffer.add, **memory(1))
    assert face.leave(buffer) is None
    assert contents(fake) == ["memory 1"]
    assert buffer.unsent == []
    assert warnings_of(caplog) == []


def test_a_second_close_does_nothing_and_nothing_more_is_accepted(face, fake):
    buffer = face.client(fake).memories.buffered()
    face.call(buffer.add, **memory(1))
    face.call(buffer.close)
    face.call(buffer.close)
    with pytest.raises(ClientClosedError, match="write buffer is closed") as caught:
        face.call(buffer.add, **memory(2))
    assert caught.value.code == "buffer_closed"
    assert buffer.counts == BufferCounts(accepted=1, stored=1)


def test_a_buffer_that_was_never_used_starts_nothing(face, fake):
    threads = threading.active_count()
    buffer = face.client(fake).memories.buffered()
    face.enter(buffer)
    assert threading.active_count() == threads
    face.leave(buffer)
    assert buffer.counts == BufferCounts()


def test_losses_are_logged_at_the_end_without_contents(face, fake, caplog):
    fake.faults.add(Fault("refused"))
    buffer = face.client(fake, retry=ONCE).memories.buffered()
    face.call(buffer.add, **memory(1))
    face.call(buffer.close)
    face.call(buffer.close)
    lost = [text for text in warnings_of(caplog) if "write buffer" in text]
    assert lost == ["a write buffer was closed, and not all is stored: of 1 memories 1 failed"]


def drain_timeout(face, fake, **settings):
    """A buffer with one memory under way and two that wait."""
    buffer = face.client(fake, **settings).memories.buffered(max_items=1, drain_timeout=30)
    face.gate.shut()
    futures = [face.call(buffer.add, **memory(number)) for number in range(3)]
    face.gate.await_arrival()
    return buffer, futures


def test_what_cannot_be_sent_in_time_comes_back(face, fake):
    buffer, futures = drain_timeout(face, fake, dedup="per_call")
    with passing(fake.clock), pytest.raises(BufferDrainError, match="2 memories unsent and 1 under way") as caught:
        face.leave(buffer)
    error = caught.value
    assert [request.content for request in error.unsent] == ["memory 1", "memory 2"]
    assert all(request.dedup_key for request in error.unsent)
    assert buffer.unsent == error.unsent
    assert error.maybe_applied
    assert error.counts == buffer.counts == BufferCounts(accepted=3, failed=2, unknown=1)
    assert [face.outcome(future).status for future in futures] == ["unknown", "failed", "failed"]
    assert [face.outcome(future).error.code for future in futures] == ["drain_timeout", "skipped", "skipped"]
    again = pickle.loads(pickle.dumps(error))
    assert (again.unsent, again.counts) == (error.unsent, error.counts)
    face.gate.open.set()
    face.call(buffer.close)  # waits for the thread, which has its answer now
    assert buffer.counts == BufferCounts(accepted=3, failed=2, unknown=1)


def test_an_error_of_the_block_goes_out_and_the_rest_is_logged(face, fake, caplog):
    buffer, _ = drain_timeout(face, fake)
    with passing(fake.clock):
        assert face.leave(buffer, KeyError("of the block")) is None
    (text,) = [text for text in warnings_of(caplog) if "write buffer" in text]
    assert text.startswith("the write buffer was closed with 2 memories unsent and 1 under way: of 3 memories")
    assert len(buffer.unsent) == 2


def test_a_client_that_is_closed_first_fails_what_is_left(face, fake):
    client = face.client(fake)
    buffer = client.memories.buffered(flush_interval=60)
    future = face.call(buffer.add, **memory(1))
    face.call(client.close)
    face.call(buffer.close)
    outcome = face.outcome(future)
    assert (outcome.status, outcome.error.code) == ("failed", "client_closed")


def test_a_buffer_of_a_copy_outlives_the_original_and_closes_neither(face, fake):
    client = face.client(fake)
    copy = client.with_options(timeout=5)
    buffer = copy.memories.buffered(flush_interval=60)
    face.call(buffer.add, **memory(1))
    face.call(client.close)
    face.call(buffer.close)
    assert buffer.counts.stored == 1
    assert face.call(copy.ready)


def test_two_that_close_at_once_both_wait(face, fake):
    buffer = face.client(fake).memories.buffered(max_items=1)
    face.gate.shut()
    face.call(buffer.add, **memory(1))
    face.gate.await_arrival()
    first = threading.Thread(target=face.call, args=[buffer.close])
    first.start()
    threading.Timer(0.05, face.gate.open.set).start()
    face.call(buffer.close)
    first.join()
    assert buffer.counts.stored == 1


@pytest.mark.usefixtures("collecting_is_quick")
def test_a_buffer_that_is_lost_warns_sends_what_waits_and_ends(face, fake):
    buffer = face.client(fake).memories.buffered(max_items=10, flush_interval=60)
    future = face.call(buffer.add, **memory(1))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del buffer
        gc.collect()
    assert [str(warning.message) for warning in caught if warning.category is ResourceWarning] == [
        "a write buffer was not closed: of 1 memories 1 pending"
    ]
    assert face.outcome(future).status == "stored"


@pytest.mark.usefixtures("collecting_is_quick")
def test_a_buffer_that_is_lost_while_its_lock_is_taken_does_not_wait_for_that(fake):
    buffer = fake.client().memories.buffered()
    future = buffer.add(**memory(1))
    buffer.flush()
    worker = buffer._worker
    with worker.guard:
        del buffer
        gc.collect()
    assert future.result(0).status == "stored"
    assert worker.state.closing
    worker.close()
    worker._worker.join(PATIENCE)
    assert not worker._worker.is_alive()


@pytest.mark.usefixtures("collecting_is_quick")
def test_a_buffer_that_is_lost_when_all_is_sent_ends_without_a_word(face, fake):
    buffer = face.client(fake).memories.buffered()
    future = face.call(buffer.add, **memory(1))
    face.call(buffer.flush)
    assert face.outcome(future).status == "stored"
    del buffer
    gc.collect()


@pytest.mark.usefixtures("collecting_is_quick")
def test_a_buffer_that_could_not_be_made_is_lost_without_a_word(face, fake):
    with pytest.raises(ConfigurationError):
        face.client(fake).memories.buffered(on_result=5)
    gc.collect()


# ---- threads


def test_a_second_close_after_a_late_listener_tells_each_once():
    fake, heard, held = FakeMemtrace(), [], threading.Event()
    entered = threading.Event()

    def listen(outcome):
        heard.append(outcome.index)
        entered.set()
        held.wait(PATIENCE)

    buffer = fake.client().memories.buffered(max_items=3, on_result=listen, drain_timeout=0.05)
    for number in range(3):
        buffer.add(**memory(number))
    assert entered.wait(PATIENCE)
    threading.Timer(0.2, held.set).start()
    buffer.close()  # all is known, the listener alone is late
    assert sorted(heard) == [0, 1, 2]
    assert buffer.counts.stored == 3


class Stop(BaseException):
    pass


@pytest.mark.parametrize("where", ["on_result", "callback", "middleware"])
def test_nothing_that_a_users_function_raises_ends_the_thread(where, caplog):
    stops = [Stop()]

    def stop(*_):
        if stops:
            raise stops.pop()

    registered = threading.Event()

    def middleware(request, call_next):
        assert registered.wait(PATIENCE)  # a callback of a future that is done runs at once, and here
        if where == "middleware":
            stop()
        return (yield from call_next(request))

    client = FakeMemtrace().client(middleware=[middleware])
    with client.memories.buffered(max_items=1, on_result=stop if where == "on_result" else None) as buffer:
        first = buffer.add(**memory(0))
        if where == "callback":
            first.add_done_callback(stop)
        registered.set()
        buffer.flush()
        second = buffer.add(**memory(1))
    assert second.result(0).status == "stored"
    assert first.result(0).status == ("unknown" if where == "middleware" else "stored")


def join(buffer):
    worker = buffer._worker._worker
    if worker is not None and worker.is_alive():
        worker.join(PATIENCE)


def test_an_interruption_of_the_end_goes_out_and_every_outcome_is_known(caplog):
    face, fake = SyncFace(), FakeMemtrace()
    buffer = face.client(fake).memories.buffered(max_items=1)
    face.gate.shut()
    futures = [buffer.add(**memory(number)) for number in range(3)]
    face.gate.await_arrival()

    def interrupt(*_):
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(Interrupted), buffer:
            once(lambda: buffer._worker.state.closing, lambda: os.kill(os.getpid(), signal.SIGALRM))
    finally:
        signal.signal(signal.SIGALRM, before)
    assert [future.result(0).status for future in futures] == ["unknown", "failed", "failed"]
    assert warnings_of(caplog) == [
        "a write buffer was closed, and not all is stored: of 3 memories 2 failed, 1 unknown"
    ]
    face.end()
    buffer.close()
    join(buffer)


def test_a_call_that_was_interrupted_half_way_can_be_made_again():
    room = _Waiters()
    turns = [room.enter(), room.enter()]
    turns[0].release()  # and no further
    room.call()
    assert [turn.acquire(timeout=0) for turn in turns] == [True, True]
    room.call()


class HalfStarted(threading.Thread):
    """One whose start is interrupted while a lock is held that the thread needs to begin."""

    def start(self):
        self._started._cond.acquire()
        self._started.wait = self._interrupt
        super().start()

    def _interrupt(self):
        while self.ident is None:
            time.sleep(0.001)
        raise Interrupted

    def go_on(self):
        self._started._cond.release()
        assert threading.Event.wait(self._started, PATIENCE)


def test_a_thread_whose_start_was_interrupted_is_replaced(monkeypatch):
    buffer = FakeMemtrace().client().memories.buffered()
    with monkeypatch.context() as patched:
        patched.setattr(threading, "Thread", HalfStarted)
        with pytest.raises(Interrupted):
            buffer.add(**memory(0))
    first = buffer._worker._worker
    future = buffer.add(**memory(1))
    assert buffer.flush(PATIENCE)
    assert future.result(0).status == "stored"
    first.go_on()  # two threads take turns
    buffer.add(**memory(2))
    buffer.close()
    first.join(PATIENCE)
    assert not first.is_alive()
    assert buffer.counts.stored == 2


@pytest.mark.slow
def test_an_interruption_at_any_moment_leaves_no_lock_held_and_no_outcome_open():
    """In a process of its own: a thread that is interrupted where it starts another can leave that one waiting for ever."""
    step = 1 if is_whole() else 16
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("interruptions.py"), str(seed() % step), str(step)],
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_thread_that_is_interrupted_while_it_asks_a_future_leaves_it_to_others():
    with FakeMemtrace().client() as client, client.memories.buffered() as buffer:
        future = buffer.add(**memory(1))
    for moment in itertools.count():
        interruption = Interruption(moment)
        with contextlib.suppress(Interrupted), interruption:
            future.done()
        another = threading.Thread(target=future.done, daemon=True)
        another.start()
        another.join(PATIENCE)
        assert not another.is_alive()
        if not interruption.came:
            break
    assert moment > 0


def test_the_interpreter_ends_without_waiting_and_tells_of_what_was_not_closed():
    code = (
        "from memtrace import Memtrace\n"
        "buffer = Memtrace('memory://', 'k').memories.buffered(flush_interval=3600)\n"
        "buffer.add(agent_id='a1', content='secret')\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert "ResourceWarning: a write buffer was not closed: of 1 memories 1 pending" in done.stderr
    assert "secret" not in done.stderr


# ---- tasks


def run(main):
    return asyncio.run(main())


class Slow:
    """Never answers, and notes that it was cancelled."""

    def __init__(self):
        self.stubborn = False
        self.begun = asyncio.Event()
        self.cancelled = 0

    async def send(self, request):
        self.begun.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            self.cancelled += 1
            if self.stubborn:
                await asyncio.sleep(0.05)
            raise

    async def close(self):
        pass


def slow_buffer(**settings):
    transport = Slow()
    client = AsyncMemtrace("http://server.test", "k", transport=transport)
    return transport, client.memories.buffered(max_items=1, **settings)


def test_a_request_that_is_given_up_is_broken_off():
    async def main():
        transport, buffer = slow_buffer(drain_timeout=0.05)
        future = await buffer.add(**memory(1))
        await transport.begun.wait()
        with pytest.raises(BufferDrainError):
            await buffer.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return transport.cancelled, (await future).status

    assert run(main) == (1, "unknown")


def test_a_cancelled_block_still_sends_what_it_accepted():
    fake = FakeMemtrace()

    async def main():
        async with fake.async_client() as client:
            entered = asyncio.Event()

            async def work():
                async with client.memories.buffered(flush_interval=60) as buffer:
                    await buffer.add(**memory(1))
                    entered.set()
                    await asyncio.sleep(3600)

            task = asyncio.create_task(work())
            await entered.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main)
    assert contents(fake) == ["memory 1"]


@pytest.mark.parametrize("cancellations", [1, 2])
def test_cancelling_the_end_itself_ends_the_worker(cancellations, caplog):
    async def main():
        transport, buffer = slow_buffer()
        transport.stubborn = True
        futures = [await buffer.add(**memory(number)) for number in range(2)]
        await transport.begun.wait()
        closing = asyncio.create_task(buffer.close())
        for _ in range(cancellations):
            await asyncio.sleep(0.01)
            closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        while asyncio.all_tasks() != {asyncio.current_task()}:  # noqa: ASYNC110  # its worker is told to no one
            await asyncio.sleep(0.001)
        assert transport.cancelled == 1
        return [future.result().status for future in futures]

    assert run(main) == ["unknown", "failed"]
    assert warnings_of(caplog) == [
        "a write buffer was closed, and not all is stored: of 2 memories 1 failed, 1 unknown"
    ]


def test_the_end_of_the_event_loop_decides_everything_and_is_logged(caplog):
    kept = []

    async def main():
        transport, buffer = slow_buffer()
        kept.append(buffer)
        kept.extend([await buffer.add(**memory(number)) for number in range(2)])
        await transport.begun.wait()

    run(main)
    buffer, *futures = kept
    assert [future.result().status for future in futures] == ["unknown", "failed"]
    assert [request.content for request in buffer.unsent] == ["memory 1"]
    assert len(warnings_of(caplog)) == 1


@pytest.mark.usefixtures("collecting_is_quick")
def test_a_buffer_whose_event_loop_has_ended_is_lost_without_a_word():
    async def main():
        buffer = FakeMemtrace().async_client().memories.buffered()
        await buffer.__aenter__()
        return buffer

    buffer = run(main)
    del buffer
    gc.collect()


def test_a_loop_that_only_adds_lets_the_task_begin():
    async def main():
        async with (
            FakeMemtrace()
            .async_client()
            .memories.buffered(max_items=10, max_pending=40, on_full="drop_oldest") as buffer
        ):
            for number in range(200):
                await buffer.add(**memory(number))
        return buffer.counts

    assert run(main).dropped == 0


def test_what_the_first_caller_has_in_its_variables_is_not_the_tasks():
    import contextvars

    variable, seen = contextvars.ContextVar("variable", default="none"), []

    def look(request, call_next):
        seen.append(variable.get())
        return (yield from call_next(request))

    async def main():
        variable.set("the first caller's")
        async with FakeMemtrace().async_client(middleware=[look]).memories.buffered() as buffer:
            await buffer.add(**memory(1))

    run(main)
    assert seen == ["none"]


def test_a_buffer_belongs_to_one_event_loop():
    async def use(buffer):
        await buffer.add(**memory(1))
        await buffer.close()

    buffer = FakeMemtrace().async_client().memories.buffered()
    asyncio.run(use(buffer))
    with pytest.raises(RuntimeError, match="another event loop"):
        asyncio.run(use(buffer))


def test_under_trio_it_says_what_to_do():
    import trio

    async def main():
        async with FakeMemtrace().async_client().memories.buffered():
            pass

    with pytest.raises(ConfigurationError, match="runs on asyncio") as caught:
        trio.run(main)
    assert "add_many" in caught.value.hint

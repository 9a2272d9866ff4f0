"""How a process ends: each way that Python lets us see sends what waits in a buffer that nobody has closed, or says what is lost."""

from __future__ import annotations

import asyncio
import atexit
import gc
import multiprocessing.util
import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest

from memtrace import BufferCounts, Memtrace
from memtrace._support import process_end
from memtrace_transports import FakeMemtrace
from memtrace_transports.memory import Fault, ManualClock
from memtrace_transports.memory.server import LiveServer
from tests.forked import in_child
from tests.sampling import sample
from tests.write_buffer.ends import COUNT
from tests.write_buffer.faces import ONCE, PATIENCE, SyncFace, contents, memory

PROGRAM = Path(__file__).with_name("ends.py")
LOST = "a write buffer was never closed, and not all is stored: of 20 memories"
IN_CHILDREN = ["os.fork", "fork", "spawn", "forkserver", "executor", "late_thread"]
ON_EXIT = ["return", "sys.exit", "error", "SIGTERM", "late_adds", "first_adds"]
HOOKS = ["hook_before", "hook_after", "write_first", "write_later"]
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def ended(way, buffer="sync", transport="httpx"):
    """How many memories are stored once the program has ended so, and what it wrote to stderr."""
    fake = FakeMemtrace()
    with LiveServer(fake) as server:
        key = fake.organisation("default").api_key
        done = subprocess.run(
            [sys.executable, PROGRAM, way, buffer, transport, server.url, key],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    return len(contents(fake)), done.stderr


@pytest.mark.slow
@needs_fork
@pytest.mark.network
@pytest.mark.parametrize("way", sample(["SIGTERM", "late_adds", "first_adds", "fork", "late_thread"], 2))
def test_a_buffer_that_nobody_closed_is_sent_when_its_process_ends(way):
    stored, said = ended(way)
    assert stored == COUNT, said
    assert "never closed" not in said


@pytest.mark.slow
@needs_fork
@pytest.mark.network
def test_a_child_sends_nothing_of_its_parents_buffer():
    stored, said = ended("fork_after_use")
    assert stored == COUNT, said  # both have the same 20, and a key of the server's own finds the second ones
    assert "never closed" not in said


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize("transport", sample(["httpx", "requests"], 1))
def test_an_exit_hook_that_closes_the_buffer_was_registered_before_the_first_call(transport):
    stored, said = ended("hook_before", transport=transport)
    assert stored == COUNT, said


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize(
    ("way", "buffer", "transport"),
    sample([("write_later", "sync", "requests"), ("write_first", "async", "aiohttp")], 1),
)
def test_an_exit_hook_writes(way, buffer, transport):
    stored, said = ended(way, buffer, transport)
    assert stored == COUNT, said


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize("loop", sample(["stopped", "in_thread"], 1))
def test_an_async_buffer_is_sent_when_its_process_ends(loop):
    stored, said = ended("return", loop)
    assert stored == COUNT, said
    assert "never closed" not in said


@pytest.mark.network
@pytest.mark.parametrize(("loop", "lost"), sample([("closed", "20 pending"), ("ended", "20 failed")], 1))
def test_an_async_buffer_whose_event_loop_has_ended_says_what_is_lost(loop, lost):
    stored, said = ended("return", loop)
    assert (stored, said.count(f"RuntimeWarning: {LOST} {lost}")) == (0, 1), said


BLOCKING_ALONE = {"late_adds", "first_adds", "hook_before", "hook_after"}


@needs_fork
@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize(
    ("buffer", "transport"),
    [
        ("sync", "httpx"),
        ("sync", "httpx2"),
        ("sync", "requests"),
        ("stopped", "httpx"),
        ("stopped", "httpx2"),
        ("stopped", "aiohttp"),
    ],
)
@pytest.mark.parametrize("way", [*ON_EXIT, *IN_CHILDREN, *HOOKS])
def test_every_way_to_end_on_every_transport(way, buffer, transport):
    if buffer != "sync" and way in BLOCKING_ALONE:
        pytest.skip("the program's hook uses the blocking client")
    stored, said = ended(way, buffer, transport)
    assert stored == COUNT, said


# ---- what the hook does, seen from inside


class Finishing:
    def __init__(self, *raised):
        self.raised = raised
        self.waited = []

    def finish(self, *, wait):
        self.waited.append(wait)
        for error in self.raised:
            raise error


@pytest.fixture
def end(monkeypatch):
    """The end of this process, as if it were another one's."""
    ending = process_end._ProcessEnd()
    ending.hooked = True
    monkeypatch.setattr(process_end._ends, "get", lambda: ending)
    return ending


def test_an_interruption_at_the_end_lets_nobody_wait_any_more_and_goes_out(end):
    owners = [Finishing(KeyboardInterrupt()) for _ in range(3)]
    for owner in owners:
        process_end.finish_at_end(owner)
    with pytest.raises(KeyboardInterrupt):
        process_end._finish_all()
    assert sorted(owner.waited for owner in owners) == [[False], [False], [True]]
    assert process_end.has_begun()


def test_what_is_finished_is_not_finished_again(end):
    owner = Finishing()
    process_end.finish_at_end(owner)
    process_end.finish_at_end(owner)
    process_end.is_finished(owner)
    process_end.is_finished(owner)
    process_end._finish_all()
    assert owner.waited == []


@pytest.mark.parametrize("is_child", [False, True])
def test_a_child_of_multiprocessing_has_a_finalizer_too(end, monkeypatch, is_child):
    hooks, finalizers = [], []
    monkeypatch.setattr(atexit, "register", hooks.append)
    monkeypatch.setattr(multiprocessing.process, "parent_process", lambda: object() if is_child else None)
    monkeypatch.setattr("multiprocessing.util.Finalize", lambda *given, **_: finalizers.append(given))
    end.hooked = False
    process_end.finish_at_end(Finishing())
    process_end.finish_at_end(Finishing())
    assert len(hooks) == 1
    assert len(finalizers) == is_child
    assert not process_end.has_begun()


def test_without_multiprocessing_there_is_an_exit_hook_alone(end, monkeypatch):
    hooks = []
    monkeypatch.setattr(atexit, "register", hooks.append)
    monkeypatch.delitem(sys.modules, "multiprocessing.process", raising=False)
    end.hooked = False
    process_end.finish_at_end(Finishing())
    assert len(hooks) == 1


def said_at(action):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        action()
    return [(warning.category, str(warning.message)) for warning in caught]


def test_the_end_of_the_process_sends_what_waits(face, fake, end):
    buffer = face.client(fake).memories.buffered(flush_interval=60)
    future = face.call(buffer.add, **memory(1))
    said = said_at(process_end._finish_all)
    assert face.outcome(future).status == "stored"
    assert said == [(ResourceWarning, "a write buffer was not closed: of 1 memories 1 pending")]
    late = face.call(buffer.add, **memory(2))
    assert late.done()
    assert face.outcome(late).status == "stored"
    assert said_at(process_end._finish_all) == []
    face.call(buffer.close)
    assert end.unfinished == set()


def test_what_the_end_of_the_process_could_not_send_is_said_without_contents(face, fake, end, caplog):
    fake.faults.add(Fault("refused", times=None))
    buffer = face.client(fake, retry=ONCE).memories.buffered(flush_interval=60)
    face.call(buffer.add, **memory(1))
    text = "a write buffer was never closed, and not all is stored: of 1 memories 1 failed"
    assert said_at(process_end._finish_all)[1:] == [(RuntimeWarning, text)]
    assert text in caplog.messages
    face.call(buffer.close)


def test_the_end_of_the_process_waits_no_longer_than_the_bound(end):
    face, fake = SyncFace(), FakeMemtrace(clock=ManualClock())  # whose time nobody moves
    buffer = face.client(fake).memories.buffered(max_items=1, drain_timeout=0.05)
    face.gate.shut()
    for number in range(2):
        buffer.add(**memory(number))
    face.gate.await_arrival()
    text = "a write buffer was never closed, and not all is stored: of 2 memories 1 failed, 1 unknown"
    assert (RuntimeWarning, text) in said_at(process_end._finish_all)
    face.end()
    buffer.close()


def test_an_add_in_on_result_at_the_end_of_the_process_does_not_wait_for_itself(face, fake, end):
    end.has_begun = True
    late = []

    def add_one_more(outcome):
        if outcome.index == 0 and face.kind == "sync":
            late.append(buffer.add(**memory("more")))

    buffer = face.client(fake).memories.buffered(on_result=add_one_more)
    first = face.call(buffer.add, **memory(1))
    assert face.outcome(first).status == "stored"
    face.call(buffer.close)
    assert [future.result(0).status for future in late] == (["stored"] if face.kind == "sync" else [])


@pytest.mark.usefixtures("collecting_is_quick")
def test_a_buffer_that_is_lost_says_what_it_could_not_send(face, fake, caplog):
    fake.faults.add(Fault("refused", times=None))
    buffer = face.client(fake, retry=ONCE).memories.buffered(flush_interval=60)
    future = face.call(buffer.add, **memory(1))
    worker = buffer._worker
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        del buffer
        gc.collect()
        assert face.outcome(future).status == "failed"
        if face.kind == "sync":
            worker._worker.join(PATIENCE)
        else:
            face.call(asyncio.wait, [worker._worker])
    assert "a write buffer was never closed, and not all is stored: of 1 memories 1 failed" in caplog.messages


@pytest.mark.usefixtures("collecting_is_quick")
def test_a_buffer_whose_closed_loop_never_sent_says_what_is_lost(caplog):
    loop = asyncio.new_event_loop()

    async def add():
        buffer = FakeMemtrace().async_client().memories.buffered(flush_interval=60)
        await buffer.add(**memory(1))
        return buffer

    buffer = loop.run_until_complete(add())
    task = buffer._worker._worker
    loop.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        del buffer
        gc.collect()
    assert "a write buffer was never closed, and not all is stored: of 1 memories 1 pending" in caplog.messages
    task._log_destroy_pending = False


@pytest.mark.slow
def test_a_released_buffer_whose_loop_ends_says_what_is_lost(caplog):
    async def main():
        buffer = FakeMemtrace().async_client().memories.buffered(flush_interval=60)
        await buffer.add(**memory(1))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            del buffer
            gc.collect()

    asyncio.run(main())
    assert "a write buffer was never closed, and not all is stored: of 1 memories 1 failed" in caplog.messages


@needs_fork
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_childs_end_leaves_its_parents_buffer_alone():
    fake = FakeMemtrace()
    buffer = fake.client().memories.buffered(flush_interval=60)
    buffer.add(**memory(1))

    def child():
        process_end._finish_all()
        return len(contents(fake))

    assert in_child(child) == 0
    assert buffer.counts == BufferCounts(accepted=1, pending=1)
    buffer.close()


def test_threads_that_add_at_once_share_one_hook(end, monkeypatch):
    hooks = []
    monkeypatch.setattr(atexit, "register", hooks.append)
    end.hooked = False
    with Memtrace("memory://", "any key") as client, client.memories.buffered() as buffer:
        threads = [threading.Thread(target=buffer.add, kwargs=memory(number)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(hooks) == 1
    assert end.unfinished == set()


@pytest.mark.parametrize("kind", ["blocking", "awaiting"])
def test_a_buffer_that_is_being_closed_at_the_end_is_finished_without_another_warning(kind, recwarn):
    fake = FakeMemtrace(clock=ManualClock())
    if kind == "blocking":
        buffer = fake.client().memories.buffered()
        buffer.add(**memory(1))
    else:
        loop = asyncio.new_event_loop()
        buffer = fake.async_client().memories.buffered()
        loop.run_until_complete(buffer.add(**memory(1)))
    buffer._worker.state.closing = True
    buffer._worker.finish(wait=True)
    assert contents(fake) == ["memory 1"]
    assert [str(warning.message) for warning in recwarn if "never closed" in str(warning.message)] == []
    if kind == "awaiting":
        loop.close()

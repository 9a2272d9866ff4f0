"""What a forked child does with its parent's buffer."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from memtrace import ClientClosedError
from memtrace_transports import FakeMemtrace
from tests.buffer.faces import PATIENCE, SyncFace, contents, memory

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


def in_child(function):
    """What the function returns in a forked child, a small number."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            signal.alarm(20)
            code = function()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_child_begins_empty_and_never_sends_what_its_parent_accepted():
    face, fake = SyncFace(), FakeMemtrace()
    buffer = face.client(fake).memories.buffered(max_items=2, flush_interval=3600)
    face.gate.shut()
    for number in range(3):
        buffer.add(**memory(number))
    face.gate.await_arrival()
    buffer._worker.guard.acquire()  # as another thread may, at the moment of the fork

    def child():
        face.gate.open.set()
        assert buffer.counts.accepted == 0
        future = buffer.add(**memory("of the child"))
        with buffer:
            pass
        assert future.result(0).status == "stored"
        assert buffer.counts.stored == 1
        stored = contents(fake)
        assert "memory of the child" in stored
        return sum(text in stored for text in ("memory 1", "memory 2"))

    assert in_child(child) == 0
    buffer._worker.guard.release()
    face.end()
    buffer.close()
    assert contents(fake) == ["memory 0", "memory 1", "memory 2"]


def test_all_threads_of_a_child_share_its_buffer():
    buffer = FakeMemtrace().client().memories.buffered()
    parents = buffer._worker
    parents.pid = -1  # as if this were a child
    childs = buffer._of_this_process()
    assert childs is not parents
    buffer._worker = parents  # another thread that looked at the same moment
    assert buffer._of_this_process() is childs


def test_a_buffer_that_its_parent_closed_is_closed():
    buffer = FakeMemtrace().client().memories.buffered()
    buffer.close()

    def child():
        with pytest.raises(ClientClosedError):
            buffer.add(**memory(1))
        return 0

    assert in_child(child) == 0


def test_a_worker_that_finds_itself_in_a_child_sends_no_more(face, fake):
    buffer = face.client(fake).memories.buffered(flush_interval=60)
    face.call(buffer.add, **memory(1))
    worker = buffer._worker
    time.sleep(0.05)  # it waits now
    worker.pid = -1
    fake.clock.advance(60)
    deadline = time.monotonic() + PATIENCE
    worker = worker._worker
    while (worker.is_alive() if face.kind == "sync" else not worker.done()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert contents(fake) == []
    assert buffer.counts.accepted == 0


def test_the_child_of_an_event_loop_begins_empty():
    async def main():
        async with FakeMemtrace().async_client().memories.buffered(flush_interval=60) as buffer:
            await buffer.add(**memory(1))
            parents = buffer._worker
            parents.pid = -1  # as if this were a child
            assert buffer.counts.accepted == 0
            await buffer.add(**memory(2))
            await buffer.close()
            assert buffer.counts.stored == 1
            await asyncio.wait([parents._worker])
            assert parents.state.counts.pending == 1

    asyncio.run(main())

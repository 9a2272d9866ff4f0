"""What a forked child does with its parent's buffer."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
import warnings

import pytest

from memtrace import ClientClosedError
from memtrace_transports import FakeMemtrace
from tests.forked import in_child
from tests.write_buffer.faces import PATIENCE, SyncFace, contents, memory

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


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


@pytest.mark.slow
def test_all_threads_of_a_child_share_its_buffer():
    buffer = FakeMemtrace().client().memories.buffered()
    buffer.add(**memory("of the parent")).result(PATIENCE)

    def child():
        def add():
            barrier.wait(PATIENCE)
            buffer.add(**memory("of the child"))

        barrier = threading.Barrier(8)
        threads = [threading.Thread(target=add) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        buffer.close()
        return buffer.counts.accepted

    assert in_child(child) == 8
    buffer.close()


@pytest.mark.parametrize("generations", [1, 2])
def test_a_buffer_that_an_ancestor_closed_is_closed(generations):
    buffer = FakeMemtrace().client().memories.buffered()

    def closed():
        with pytest.raises(ClientClosedError):
            buffer.add(**memory(1))
        return 0

    def child():
        buffer.close()
        return in_child(closed)

    if generations == 2:
        assert in_child(child) == 0
    buffer.close()
    assert in_child(closed) == 0


@pytest.mark.slow
def test_a_child_that_never_used_a_buffer_lets_go_of_it_in_silence():
    buffer = [FakeMemtrace().client().memories.buffered(flush_interval=60)]
    buffer[0].add(**memory(1))

    def child():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            buffer.clear()
            gc.collect()
        return len(caught)

    assert in_child(child) == 0
    buffer[0].close()


def test_a_worker_that_finds_itself_in_a_child_sends_no_more(face, fake, monkeypatch):
    buffer = face.client(fake).memories.buffered(flush_interval=60)
    face.call(buffer.add, **memory(1))
    worker = buffer._worker
    time.sleep(0.05)  # it waits now
    monkeypatch.setattr(os, "getpid", lambda: -1)
    fake.clock.advance(60)
    deadline = time.monotonic() + PATIENCE
    worker = worker._worker
    while (worker.is_alive() if face.kind == "sync" else not worker.done()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert contents(fake) == []
    assert buffer.counts.accepted == 0


def test_the_child_of_an_event_loop_begins_empty(monkeypatch):
    async def main():
        async with FakeMemtrace().async_client().memories.buffered(flush_interval=60) as buffer:
            await buffer.add(**memory(1))
            parents = buffer._worker
            monkeypatch.setattr(os, "getpid", lambda: -1)  # as if this were a child
            assert buffer.counts.accepted == 0
            await buffer.add(**memory(2))
            await buffer.close()
            assert buffer.counts.stored == 1
            await asyncio.wait([parents._worker])
            assert parents.state.counts.pending == 1

    asyncio.run(main())

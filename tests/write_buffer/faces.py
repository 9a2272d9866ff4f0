"""Both buffers under one blocking face: the async one lives on an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import contextmanager

from memtrace import AsyncMemtrace, Memtrace, RetryPolicy
from memtrace_transports import AsyncMemoryTransport, MemoryTransport

PATIENCE = 60


class Gate:
    """Holds requests back while it is shut, and counts those that came to it."""

    def __init__(self):
        self.open = threading.Event()
        self.open.set()
        self.arrived = threading.Semaphore(0)

    def shut(self):
        self.open.clear()

    def await_arrival(self):
        assert self.arrived.acquire(timeout=PATIENCE)


class GatedTransport(MemoryTransport):
    gate: Gate

    def send(self, request):
        self.gate.arrived.release()
        assert self.gate.open.wait(PATIENCE)
        return super().send(request)


class AsyncGatedTransport(AsyncMemoryTransport):
    gate: Gate

    async def send(self, request):
        self.gate.arrived.release()
        while not self.gate.open.is_set():  # noqa: ASYNC110  # set by another thread
            await asyncio.sleep(0.001)
        return await super().send(request)


class SyncFace:
    kind = "sync"

    def __init__(self):
        self.gate = Gate()

    def client(self, fake, **settings):
        transport = GatedTransport(fake)
        transport.gate = self.gate
        key = fake.organisation("default").api_key
        return Memtrace("memory://", key, transport=transport, clock=fake.clock, **settings)

    def call(self, function, *arguments, **keywords):
        """Run a method of a buffer to its end."""
        return function(*arguments, **keywords)

    def enter(self, buffer):
        return buffer.__enter__()

    def leave(self, buffer, error=None):
        return buffer.__exit__(type(error), error, None)

    def outcome(self, future):
        return future.result(PATIENCE)

    def counts(self, buffer):
        """The counts, read where the buffer lives."""
        return buffer.counts

    def end(self):
        self.gate.open.set()


class AsyncFace(SyncFace):
    kind = "async"

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="loop of the test")
        self._thread.start()

    def client(self, fake, **settings):
        transport = AsyncGatedTransport(fake)
        transport.gate = self.gate
        key = fake.organisation("default").api_key
        return AsyncMemtrace("memory://", key, transport=transport, clock=fake.clock, **settings)

    def call(self, function, *arguments, **keywords):
        async def run():
            return await function(*arguments, **keywords)

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(PATIENCE)

    def enter(self, buffer):
        return self.call(buffer.__aenter__)

    def leave(self, buffer, error=None):
        return self.call(buffer.__aexit__, type(error), error, None)

    def outcome(self, future):
        async def run():
            return await asyncio.wait_for(asyncio.shield(future), PATIENCE)

        return self.call(run)

    def counts(self, buffer):
        async def read():
            return buffer.counts

        return self.call(read)

    def end(self):
        async def left():
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            return (await asyncio.wait(tasks, timeout=PATIENCE / 2))[1] if tasks else set()

        super().end()
        tasks = self.call(left)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
        assert tasks == set()


def once(condition, action):
    """Do `action`, on another thread, as soon as `condition` holds."""

    def wait():
        end = time.monotonic() + PATIENCE
        while not condition() and time.monotonic() < end:
            time.sleep(0.001)
        action()

    threading.Thread(target=wait, daemon=True).start()


@contextmanager
def passing(clock):
    """Let the time of a clock pass, a second of it at a time, while the block lasts."""
    ended = threading.Event()

    def advance():
        while not ended.wait(0.001):
            clock.advance(1)

    thread = threading.Thread(target=advance)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


ONCE = RetryPolicy(max_attempts=1)


def memory(number, **fields):
    return {"agent_id": "assistant", "content": f"memory {number}", **fields}


def contents(fake):
    """What the fake has stored, oldest first."""
    fake.flush()
    rows = fake.client().memories.list(limit=1000, order="asc").memories
    return [row.content for row in rows]


def total(counts):
    return counts.stored + counts.duplicate + counts.failed + counts.dropped + counts.unknown + counts.pending

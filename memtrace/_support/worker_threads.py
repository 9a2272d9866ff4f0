"""One thread that does blocking work for an event loop, asyncio's or trio's, call by call."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from memtrace._support.event_loops import running_under_trio

T = TypeVar("T")

_Job = tuple[Callable[[], Any], "Future[Any]"]


class WorkerThread:
    """Runs calls in its own thread, one after the other. The thread starts at the first call."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        weakref.finalize(self, self._jobs.put, None)

    async def run(self, call: Callable[[], T]) -> T:
        """What `call` gives, or raises. A call that is cancelled before its turn is left out, else it goes on unheard."""
        self._start()
        future: Future[T] = Future()
        self._jobs.put((call, future))
        if running_under_trio():
            return await _trio_result(future)
        import asyncio

        return await asyncio.wrap_future(future)

    def stop(self, last: Callable[[], object] | None = None) -> None:
        """End the thread after what it was given until now, and after `last`, unless it has never begun."""
        if last is not None:
            self._jobs.put((last, Future()))
        self._jobs.put(None)

    def _start(self) -> None:
        with self._guard:
            if self._thread is None:
                self._thread = threading.Thread(target=_work, args=(self._jobs,), name=self._name, daemon=True)
                self._thread.start()


async def _trio_result(future: Future[T]) -> T:
    import trio

    token = trio.lowlevel.current_trio_token()
    done = trio.Event()
    future.add_done_callback(lambda _: token.run_sync_soon(done.set))
    try:
        await done.wait()
    except trio.Cancelled:
        future.cancel()
        raise
    return future.result()


def _work(jobs: queue.SimpleQueue[_Job | None]) -> None:
    while (job := jobs.get()) is not None:
        call, future = job
        if not future.set_running_or_notify_cancel():
            continue
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001  # whoever waits for it gets it
            future.set_exception(error)
        else:
            future.set_result(result)
        del job, call, future

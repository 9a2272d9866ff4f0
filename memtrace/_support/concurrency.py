"""Several calls at once: in threads, or in tasks of asyncio or trio. None of them is left running."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextvars import copy_context
from threading import Lock, Thread
from typing import TypeVar

from memtrace._support.event_loops import running_under_trio

T = TypeVar("T")


def run_concurrently(calls: Sequence[Callable[[], T]]) -> list[T | Exception]:
    """The result or error of each of `calls`, in their order. The first runs in this thread, each other in its own.

    Where no more threads can be had, the rest runs in this one. Returns when the last has ended. An interrupt is raised then
    too, since a blocking call cannot be stopped from outside; nothing more is begun after it, and a second one is raised at once.
    """
    if len(calls) < 2:
        return [_result_or_error(call) for call in calls]
    results: dict[int, T | Exception] = {}
    stops: list[BaseException] = []

    def run(place: int) -> None:
        if not stops:
            results[place] = _result_or_error(calls[place])

    def run_in_thread(place: int) -> None:
        try:
            run(place)
        except BaseException as stop:  # noqa: BLE001  # raised when all have ended
            stops.append(stop)

    threads: list[_CallThread] = []
    try:
        for place in _start(threads, len(calls), run_in_thread):
            run(place)
        _wait_for(threads)
    except BaseException as stop:  # noqa: BLE001  # raised when all have ended
        stops.insert(0, stop)
        _wait_for(threads)
    if stops:
        raise stops[0]
    return [results[place] for place in range(len(calls))]


def _start(threads: list[_CallThread], count: int, work: Callable[[int], None]) -> list[int]:
    """Start the threads that do `work` from place 1 on, and note them; gives the places that are left for this one."""
    for place in range(1, count):
        thread = _CallThread(work, place)
        threads.append(thread)  # first: its start may be interrupted
        try:
            thread.start()
        except RuntimeError:
            # No more can be had. An executor would have queued the call, and told nobody what became of it.
            threads.pop()
            return [0, *range(place, count)]
    return [0]


def _wait_for(threads: list[_CallThread]) -> None:
    for thread in threads:
        if thread.is_due:
            thread.wait()


class _CallThread(Thread):
    """A thread that can be waited for again after an interrupt; a daemon, so that a second one also ends the interpreter at once."""

    # a `join` that was interrupted takes its thread for stopped: https://github.com/python/cpython/issues/90882

    def __init__(self, work: Callable[[int], None], place: int) -> None:
        super().__init__(
            target=copy_context().run, args=(self._do, work, place), name=f"memtrace-batch-{place}", daemon=True
        )
        self._end = Lock()
        self._end.acquire()  # released at the end of the work
        self._has_ended = False
        #: Whether the work has begun or surely will; where the start was interrupted it finds nothing to do.
        self.is_due: bool = False

    def start(self) -> None:
        """Start it."""
        super().start()
        self.is_due = True

    def _do(self, work: Callable[[int], None], place: int) -> None:
        self.is_due = True
        try:
            work(place)
        finally:
            self._has_ended = True
            self._end.release()

    def wait(self) -> None:
        """Wait until its work has ended."""
        if not self._has_ended:
            self._end.acquire()
        self.join()


def _result_or_error(call: Callable[[], T]) -> T | Exception:
    try:
        return call()
    except Exception as error:  # noqa: BLE001  # the caller has to have the others' results first
        return error


async def run_concurrently_async(calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T | Exception]:
    """The result or error of each of `calls`, in order. Each runs in its own task. A cancellation cancels all."""
    if len(calls) < 2:
        return [await _awaited(call) for call in calls]
    if running_under_trio():
        return await _in_nursery(calls)
    import asyncio

    tasks = [asyncio.ensure_future(_awaited(call)) for call in calls]
    try:
        await asyncio.wait(tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return [task.result() for task in tasks]


async def _awaited(call: Callable[[], Awaitable[T]]) -> T | Exception:
    try:
        return await call()
    except Exception as error:  # noqa: BLE001  # as above
        return error


async def _in_nursery(calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T | Exception]:
    import trio

    results: dict[int, T | Exception] = {}

    async def note(place: int, call: Callable[[], Awaitable[T]]) -> None:
        results[place] = await _awaited(call)

    async with trio.open_nursery() as nursery:
        for place, call in enumerate(calls):
            nursery.start_soon(note, place, call)
    return [results[place] for place in range(len(calls))]

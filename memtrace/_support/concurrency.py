"""Several calls at once: in threads, or in tasks of asyncio or trio. None of them is left running."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextvars import copy_context
from threading import Thread
from typing import TypeVar

from memtrace._support.event_loops import running_under_trio

T = TypeVar("T")


def run_concurrently(calls: Sequence[Callable[[], T]]) -> list[T | Exception]:
    """What each of `calls` gave or raised, in their order: the first in this thread, the others each in one of its own.

    Where no more threads can be had, the rest runs in this one. Returns when the last has ended. So does an interrupt come out,
    since a blocking call cannot be stopped from outside.
    """
    if len(calls) < 2:
        return [_result_or_error(call) for call in calls]
    results: dict[int, T | Exception] = {}
    stops: list[BaseException] = []

    def note(place: int) -> None:
        try:
            if not stops:  # after an interrupt nothing more is begun
                results[place] = _result_or_error(calls[place])
        except BaseException as stop:  # noqa: BLE001  # raised when all have ended
            stops.append(stop)

    threads, here = _started(len(calls), note)
    try:
        for place in here:
            note(place)
    finally:
        for thread in threads:
            thread.join()
    if stops:
        raise stops[0]
    return [results[place] for place in range(len(calls))]


def _started(count: int, work: Callable[[int], None]) -> tuple[list[Thread], list[int]]:
    """The threads that do `work` from place 1 on, and the places that are left for this one."""
    threads: list[Thread] = []
    for place in range(1, count):
        thread = Thread(target=copy_context().run, args=(work, place), name=f"memtrace-batch-{place}")
        try:
            thread.start()
        except RuntimeError:
            # No more can be had. An executor would have queued the call, and told nobody what became of it.
            return threads, [0, *range(place, count)]
        threads.append(thread)
    return threads, [0]


def _result_or_error(call: Callable[[], T]) -> T | Exception:
    try:
        return call()
    except Exception as error:  # noqa: BLE001  # the caller has to have the others' results first
        return error


async def run_concurrently_async(calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T | Exception]:
    """What each of `calls` gave or raised, in their order, each in a task of its own. A cancellation cancels them all."""
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

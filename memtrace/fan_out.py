"""Several calls at once: in threads, or in tasks of asyncio or trio. None of them is left running."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextvars import copy_context
from typing import TypeVar

from memtrace.event_loops import running_under_trio

__all__ = ["run_all", "run_all_async"]

T = TypeVar("T")


def run_all(calls: Sequence[Callable[[], T]]) -> list[T | Exception]:
    """What each of `calls` gave or raised, in their order. One call runs in this thread, several each in one of its own.

    Returns when the last has ended. So does an interrupt come out, since a blocking call cannot be stopped from outside.
    """
    if len(calls) < 2:
        return [_given(call) for call in calls]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(calls), thread_name_prefix="memtrace-batch") as threads:
        futures = [threads.submit(copy_context().run, _given, call) for call in calls]
        return [future.result() for future in futures]


def _given(call: Callable[[], T]) -> T | Exception:
    try:
        return call()
    except Exception as error:  # noqa: BLE001  # the caller has to have the others' results first
        return error


async def run_all_async(calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T | Exception]:
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

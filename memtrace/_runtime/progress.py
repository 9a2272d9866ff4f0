"""Telling a user's function how far something is: `Memtrace` calls it, `AsyncMemtrace` also awaits what it gives."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable, iscoroutine
from typing import TypeVar

from memtrace._support.callables import is_async_callable
from memtrace.exceptions import InvalidRequestError
from memtrace.operations._validation import invalid

T = TypeVar("T")


def check_progress(progress: object) -> None:
    """Refuse what is no blocking function."""
    _check_callable(progress)
    if is_async_callable(progress):
        raise _awaitable()


def check_progress_async(progress: object) -> None:
    """Refuse what is no function, blocking or async."""
    _check_callable(progress)


def tell(progress: Callable[[T], object], state: T) -> None:
    """Call it. Raises `InvalidRequestError` where it gives something to be awaited, which nobody here would do."""
    result = progress(state)
    if isawaitable(result):
        if iscoroutine(result):
            result.close()
        raise _awaitable()


async def tell_async(progress: Callable[[T], object], state: T) -> None:
    """Call it, and await what it gives where that can be awaited."""
    result = progress(state)
    if isawaitable(result):
        await result


def _check_callable(progress: object) -> None:
    if progress is not None and not callable(progress):
        raise invalid("progress", "a function of one argument", "it is called with the progress")


def _awaitable() -> InvalidRequestError:
    return invalid("progress", "a function that need not be awaited", "only AsyncMemtrace awaits one")

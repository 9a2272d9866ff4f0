"""Call a user's `progress` function. `AsyncMemtrace` also awaits its result."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable, iscoroutine
from typing import TypeVar

from memtrace._support.callables import is_async_callable
from memtrace.exceptions import InvalidRequestError
from memtrace.operations._validation import invalid

T = TypeVar("T")


def check_progress(progress: object) -> None:
    """Refuse a `progress` that is not a blocking function."""
    _check_callable(progress)
    if is_async_callable(progress):
        raise _awaitable()


def check_progress_async(progress: object) -> None:
    """Refuse a `progress` that is not a function, blocking or async."""
    _check_callable(progress)


def tell(progress: Callable[[T], object], state: T) -> None:
    """Call it. Raises `InvalidRequestError` if it returns an awaitable, which a blocking client cannot await."""
    result = progress(state)
    if isawaitable(result):
        if iscoroutine(result):
            result.close()
        raise _awaitable()


async def tell_async(progress: Callable[[T], object], state: T) -> None:
    """Call it, and await its result if it is awaitable."""
    result = progress(state)
    if isawaitable(result):
        await result


def _check_callable(progress: object) -> None:
    if progress is not None and not callable(progress):
        raise invalid("progress", "a function of one argument", "it is called with the progress")


def _awaitable() -> InvalidRequestError:
    return invalid("progress", "a function that need not be awaited", "only AsyncMemtrace awaits one")

"""Functions that a user gives."""

from __future__ import annotations

from inspect import iscoroutinefunction


def is_async_callable(value: object) -> bool:
    """Whether calling it gives something to be awaited: an async function, or an object with an async ``__call__``.

    >>> async def give() -> None: ...
    >>> is_async_callable(give), is_async_callable(print)
    (True, False)
    """
    return iscoroutinefunction(value) or (not isinstance(value, type) and iscoroutinefunction(type(value).__call__))

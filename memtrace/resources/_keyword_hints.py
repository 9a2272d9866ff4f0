"""Errors for a keyword that a method does not have: they name the near one, or what does it here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, TypeVar, cast

from memtrace._support.peer_names import argument_names, unexpected_keyword

MethodT = TypeVar("MethodT", bound=Callable[..., Any])

Check = Callable[[tuple[object, ...], Mapping[str, object]], None]
"""What looks at the arguments of a call before that, and raises `TypeError`."""


def hinting_keywords(method: MethodT, check: Check | None = None) -> MethodT:
    """`method`, whose `TypeError` for a keyword that it does not have says what to use. One that takes any has its own check."""
    names = argument_names(method)
    known = frozenset(names)

    def refuse(args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
        if check is not None:
            check(args, kwargs)
        for name in kwargs:
            if name not in known:
                raise unexpected_keyword(name, names)

    if iscoroutinefunction(method):

        @wraps(method)
        async def awaited(*args: object, **kwargs: object) -> object:
            refuse(args, kwargs)
            return await method(*args, **kwargs)

        return cast("MethodT", awaited)

    @wraps(method)
    def called(*args: object, **kwargs: object) -> object:
        refuse(args, kwargs)
        return method(*args, **kwargs)

    return cast("MethodT", called)

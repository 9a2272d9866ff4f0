"""The end of a command that serves: SIGINT and SIGTERM."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def on_termination(tell: Callable[[], object]) -> Iterator[None]:
    """Call `tell` when SIGINT or SIGTERM comes, in place of what they did before; that is put back."""

    def told(number: int, frame: FrameType | None) -> None:
        tell()

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, told) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)

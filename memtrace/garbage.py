"""Parsing a large answer without the garbage collector, which would look at each new object several times meanwhile."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

__all__ = ["LARGE", "uncollected"]

T = TypeVar("T")

LARGE = 64 * 1024
"""Bytes of an answer from which on it matters: about 200 rows."""


def uncollected(parse: Callable[[], T]) -> T:
    """What `parse` returns; no garbage is collected meanwhile, as from Python 3.12 on where one call of C makes it all.

    A row of an iteration takes a tenth to a fifth less time so (benchmarks/reading.py, on Python 3.11). An application that
    has switched the collector off finds it off.
    """
    # Whoever finds it off leaves it: of several threads at once the one that switched it off switches it on.
    pausing = gc.isenabled()
    try:
        if pausing:
            gc.disable()
        return parse()
    finally:
        if pausing:
            gc.enable()

"""Garbage collection that takes no longer the more tests, frameworks and modules a run has loaded."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def collecting() -> Iterator[Callable[[], int]]:
    """Gives `gc.collect`, which looks only at what was made since the block began."""
    gc.freeze()
    try:
        yield gc.collect
    finally:
        gc.unfreeze()


@contextmanager
def collected() -> Iterator[None]:
    """A block whose garbage is collected at its end, and no other."""
    with collecting() as collect:
        yield
        collect()

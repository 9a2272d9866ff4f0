"""What a test leaves to the garbage collector."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

__all__ = ["collected"]


@contextlib.contextmanager
def collected() -> Iterator[None]:
    """A block whose garbage is collected at its end, and no other: to look at all that was ever imported takes half a second."""
    gc.freeze()
    try:
        yield
        gc.collect()
    finally:
        gc.unfreeze()

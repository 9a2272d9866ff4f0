"""How far an index is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """What an index has of an agent's memories, or of all."""

    #: How many memories.
    memories: int
    #: How many of them have a vector of the client's embedder; 0 without one.
    vectors: int
    #: The time that the server gave the newest of them; None where there is none.
    latest: datetime | None


IndexProgress = Callable[[IndexStatus], object]
"""What is told how far an `index_sync` is. What it raises ends it.

`AsyncMemtrace` awaits what it gives, where that can be awaited, so it may be async; for `Memtrace` it may not.
"""

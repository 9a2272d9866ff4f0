"""How far an index is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """The state of a search index: of one agent's memories, or of all."""

    #: How many memories.
    memories: int
    #: How many of them have a vector of the client's embedder; 0 without one.
    vectors: int
    #: The server's time of the newest of them; None if there is none.
    latest: datetime | None


IndexProgress = Callable[[IndexStatus], object]
"""Called with the progress of an `index_sync`. An exception of it ends the update.

It may be async with `AsyncMemtrace`, which awaits its result. `Memtrace` refuses an async one.
"""

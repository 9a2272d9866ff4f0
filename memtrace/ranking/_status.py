"""The status of an index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """The state of a search index: of one agent's memories, or of all."""

    #: The number of memories.
    memories: int
    #: The number of those with a vector of the client's embedder; 0 without an embedder.
    vectors: int
    #: The latest server time; None if there are no memories.
    latest: datetime | None


IndexProgress = Callable[[IndexStatus], object]
"""Called with the progress of an `index_sync`. An exception of it ends the update.

It may be async with `AsyncMemtrace`, which awaits its result. `Memtrace` refuses an async one.
"""

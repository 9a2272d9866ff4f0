"""Where a fake keeps its data: in memory, or in the file of a durable store."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

from memtrace_transports._engine.organisations import Visibility
from memtrace_transports._engine.settings import ServerSettings
from memtrace_transports._engine.stamps import Stamps
from memtrace_transports._engine.store.directory import MemoryDirectory
from memtrace_transports._engine.store.protocol import SnapshotDirectory, SnapshotStore
from memtrace_transports._engine.store.store import MemoryStore

if TYPE_CHECKING:
    from memtrace._support.forks import Lock


class Backing(Protocol):
    """A store and a directory that belong together."""

    @property
    def store(self) -> SnapshotStore:
        """The memories."""
        ...

    @property
    def directory(self) -> SnapshotDirectory:
        """The organisations."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """A block of calls of the two whose effects are kept together."""
        ...

    def clear(self) -> None:
        """Forget everything."""
        ...


class MemoryBacking:
    """A store and a directory in memory. After `clear` they are others, so that snapshots of the old ones stay valid."""

    def __init__(self) -> None:
        self.clear()

    def transaction(self) -> AbstractContextManager[None]:
        """Nothing can come between: the caller holds the lock of the fake."""
        return nullcontext()

    def clear(self) -> None:
        """Begin with empty ones."""
        self.store: SnapshotStore = MemoryStore()
        self.directory: SnapshotDirectory = MemoryDirectory()


def open_backing(
    store: str | os.PathLike[str] | None,
    stamps: Stamps,
    visibility: Visibility,
    settings: ServerSettings,
    lock: Lock,
) -> Backing:
    """The backing in the file that `store` names, in memory where it is None. Its owner holds `lock` around every call."""
    if store is None:
        return MemoryBacking()
    from memtrace_transports.sqlite._snapshots import FileBacking

    return FileBacking(store, stamps, visibility, settings, lock)

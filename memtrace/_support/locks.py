"""Named locks that threads, or the tasks of one event loop, queue for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from memtrace._support.event_loops import is_closed, new_lock, running_loop
from memtrace._support.forks import PerProcess

if TYPE_CHECKING:
    import asyncio

    import trio
    from typing_extensions import Self


class HeldLock:
    """A lock that this flow has acquired, until its ``with`` block ends or `release` is called."""

    __slots__ = ("_release",)

    def __init__(self, release: Callable[[], None]) -> None:
        self._release: Callable[[], None] | None = release

    def release(self) -> None:
        """Release the lock. A second call does nothing."""
        release, self._release = self._release, None
        if release is not None:
            release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


class _Tables:
    """The locks of one process by name, and the lock that guards them."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.by_thread: dict[str, threading.Lock] = {}
        self.by_loop: WeakKeyDictionary[object, dict[str, asyncio.Lock | trio.Lock]] = WeakKeyDictionary()


class Locks:
    """The named locks of the clients that share a transport: one set for threads, one for each event loop. A forked child has free ones."""

    def __init__(self) -> None:
        self._tables: PerProcess[_Tables] = PerProcess(lambda _: _Tables())

    def thread_lock(self, name: str) -> threading.Lock:
        """The lock `name` for threads."""
        tables = self._tables.get()
        with tables.guard:
            return tables.by_thread.setdefault(name, threading.Lock())

    def task_lock(self, name: str) -> asyncio.Lock | trio.Lock:
        """The lock `name` for tasks of the running event loop."""
        tables, loop = self._tables.get(), running_loop()
        with tables.guard:
            if loop not in tables.by_loop:
                for ended in [other for other in tables.by_loop if is_closed(other)]:
                    del tables.by_loop[ended]
                tables.by_loop[loop] = {}
            locks = tables.by_loop[loop]
            if name not in locks:
                locks[name] = new_lock()
            return locks[name]

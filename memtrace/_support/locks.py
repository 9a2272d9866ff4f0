"""Named locks that threads, or the tasks of one event loop, queue for."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from memtrace._support.event_loops import is_closed, new_lock, running_loop

if TYPE_CHECKING:
    import asyncio

    import trio
    from typing_extensions import Self

__all__ = ["HeldLock", "Locks"]


class HeldLock:
    """A lock that this flow holds, until its ``with`` block ends or `release` is called."""

    __slots__ = ("_release",)

    def __init__(self, release: Callable[[], None]) -> None:
        self._release: Callable[[], None] | None = release

    def release(self) -> None:
        """Let the next one in; a second call does nothing."""
        release, self._release = self._release, None
        if release is not None:
            release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


class Locks:
    """The named locks of one family of clients: one set for threads, one for each event loop."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._guard = threading.Lock()
        self._by_thread: dict[str, threading.Lock] = {}
        self._by_loop: WeakKeyDictionary[object, dict[str, asyncio.Lock | trio.Lock]] = WeakKeyDictionary()
        self._pid = os.getpid()  # last: another thread of a forked child that sees it finds all new

    def thread_lock(self, name: str) -> threading.Lock:
        """The lock `name` for threads; a forked child begins with free ones."""
        self._begin_after_fork()
        with self._guard:
            return self._by_thread.setdefault(name, threading.Lock())

    def _begin_after_fork(self) -> None:
        if self._pid != os.getpid():  # a thread of the parent may have held a lock, and is not here to free it
            self._begin()

    def task_lock(self, name: str) -> asyncio.Lock | trio.Lock:
        """The lock `name` for tasks of the running event loop."""
        self._begin_after_fork()
        loop = running_loop()
        with self._guard:
            if loop not in self._by_loop:
                for ended in [other for other in self._by_loop if is_closed(other)]:
                    del self._by_loop[ended]
                self._by_loop[loop] = {}
            locks = self._by_loop[loop]
            if name not in locks:
                locks[name] = new_lock()
            return locks[name]

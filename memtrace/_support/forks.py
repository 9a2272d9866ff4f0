"""Fork safety: a child must not share connections, threads, or locks that none of its threads releases.

`os.fork` copies the memory and a single thread. So a child inherits sockets that its parent keeps using, and locks that another
thread of the parent may have held. The child creates each value of a `PerProcess` anew. The inherited value stays in
memory, unused and never closed: closing it could end the parent's connections and TLS sessions.

Two things identify a process, since neither is enough:

- Its process ID. Some servers fork in C without running Python's hooks. uWSGI 2.0 does by default; it runs the hooks of the child
  only with ``--py-call-osafterfork`` or ``--py-call-uwsgi-fork-hooks`` (`uwsgi_python_post_fork` in its python_plugin.c).
- A hook of `os.register_at_fork`, for a child that has the process ID of an ancestor: of one that has ended, or of the first
  process of another PID namespace. The hook runs after `os.fork` and `os.forkpty`, so under gunicorn, Celery and the ``fork`` start
  method of multiprocessing.

What a child cannot even leave alone is closed before the fork: SQLite keeps in memory which locks it holds of a file, whatever
connection asks, and a child would take its parent's for its own.

No Python code runs between `vfork` or `posix_spawn` and the new program. Windows has no fork and no hooks. There is one hook for
the module and none for each value, so nothing is kept alive by it.
"""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import ExitStack
from typing import Generic, Protocol, TypeVar
from weakref import WeakSet

T = TypeVar("T")


class Lock(Protocol):
    """A lock of `threading`."""

    def acquire(self, blocking: bool = ..., timeout: float = ...) -> bool:  # noqa: FBT001  # as `threading` has it
        """Take it."""
        ...

    def release(self) -> None:
        """Release it."""
        ...


_uses = {os.getpid(): 1}
"""How often each process ID was used, by this process and its ancestors."""


def current_process() -> tuple[int, int]:
    """The identity of this process among its ancestors: its ID, and how often that was used.

    A counter of forks alone would change again when the hook runs after others that already use the SDK.
    """
    process_id = os.getpid()
    return process_id, _uses.get(process_id, 1)


def _note_child() -> None:
    process_id = os.getpid()
    _uses[process_id] = _uses.get(process_id, 0) + 1
    _allow_all()


class ClosedBeforeForks(ABC):
    """A resource that is closed before a fork, since a child could not use it, and reopens at its next use.

    Args:
        lock: Held during every use, and during a fork.
        patience: Seconds that a fork waits for a use to end. Then the fork happens anyway.
    """

    def __init__(self, lock: Lock, patience: float = 5.0) -> None:
        self._held_for_forks = lock
        self._fork_patience = patience

    def close_before_fork(self) -> bool:
        """Close it, and prevent it from being opened; False if it is still in use after the wait."""
        if not self._held_for_forks.acquire(timeout=self._fork_patience):
            return False
        self._close_for_fork()
        return True

    def allow_after_fork(self) -> None:
        """Allow it to be opened again, in the parent and in the child. Raises nothing, since other objects follow."""
        try:
            self._open_after_fork()
        finally:
            self._held_for_forks.release()

    @abstractmethod
    def _close_for_fork(self) -> None:
        """Close it, with the lock held."""

    def _open_after_fork(self) -> None:  # noqa: B027  # most are opened where they are used next
        """Open it again, with the lock held."""


_closed_before_forks: WeakSet[ClosedBeforeForks] = WeakSet()
_forking = threading.local()
"""`.closed` has the objects that this thread has closed for a fork"""


def close_before_forks(owner: ClosedBeforeForks) -> None:
    """Close `owner` before each fork, as long as it is alive."""
    _closed_before_forks.add(owner)


def _close_all() -> None:
    _forking.closed = [owner for owner in list(_closed_before_forks) if owner.close_before_fork()]


def _allow_all() -> None:
    closed, _forking.closed = getattr(_forking, "closed", []), []
    with ExitStack() as allowing:  # which goes on after one that fails
        for owner in closed:
            allowing.callback(owner.allow_after_fork)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_close_all, after_in_parent=_allow_all, after_in_child=_note_child)


class PerProcess(Generic[T]):
    """One value per process, created at first use and shared by all threads.

    Takes no lock, since a child could inherit it held.

    Args:
        make: Makes the value, from that of the nearest ancestor that has one, else from None. Must have no side effects: of
            two threads that ask first, each may call it, and one result is dropped.

    Example:
        >>> import threading
        >>> guard = PerProcess(lambda inherited: threading.Lock())
        >>> with guard.get():
        ...     pass
    """

    def __init__(self, make: Callable[[T | None], T]) -> None:
        self._make = make
        self._values: dict[tuple[int, int], T] = {}  # in the order of the forks

    def get(self) -> T:
        """The value of this process."""
        process_id = os.getpid()
        # The same as `current_process`, inlined: each request runs it.
        process = (process_id, _uses.get(process_id, 1))
        if process not in self._values:
            inherited = list(self._values.values())
            self._values.setdefault(process, self._make(inherited[-1] if inherited else None))
        return self._values[process]

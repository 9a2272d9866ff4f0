"""A lock among processes that the death of its holder frees: no process ID is written that could be another's later."""

from __future__ import annotations

import os
import sys
import threading

from memtrace._support.forks import PerProcess

if sys.platform == "win32":  # pragma: no cover - Windows alone has it
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        # of this process alone: a forked child would keep one of flock after the death of its parent
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class _Held:
    """The files that this process holds: the system asks nobody who holds it already."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.descriptors: dict[str, int] = {}


_held: PerProcess[_Held] = PerProcess(lambda _: _Held())


class ProcessLock:
    """A lock on an empty file, created with mode 0600 and never deleted. One holder at a time, in any process."""

    def __init__(self, path: str) -> None:
        self._path = os.path.realpath(path)

    def acquire(self) -> bool:
        """Whether it is free, and this holder's from now on. Raises `OSError` where the file cannot be made."""
        held = _held.get()
        with held.guard:
            if self._path in held.descriptors:  # to open and close the file would free it
                return False
            descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
            try:
                _lock(descriptor)
            except OSError:
                os.close(descriptor)
                return False
            held.descriptors[self._path] = descriptor
            return True

    def release(self) -> None:
        """Free it; only its holder calls this, and a second call does nothing."""
        held = _held.get()
        with held.guard:
            descriptor = held.descriptors.pop(self._path, None)
            if descriptor is not None:
                os.close(descriptor)

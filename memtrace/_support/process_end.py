"""Exit hooks: they finish the work that the program has left unfinished at the end of this process.

Exit hooks run when the program returns, calls `sys.exit` or raises, also in a child of `os.fork` that ends so. Before
Python 3.13 a child that multiprocessing has forked ends with `os._exit` and runs only the finalizers of `multiprocessing.util`
(https://github.com/python/cpython/issues/83856). Nothing runs at `os._exit`, and at a signal that nobody handles.
"""

from __future__ import annotations

import atexit
import sys
import threading
from typing import Protocol

from memtrace._support.forks import PerProcess


class Unfinished(Protocol):
    """Objects with unfinished work."""

    def finish(self, *, wait: bool) -> None:
        """Do what is left, within a bound; without `wait` at once, so that it is only said what is lost."""


class _ProcessEnd:
    """What one process finishes at its end. Only single steps of the interpreter on it, so that it needs no lock."""

    def __init__(self) -> None:
        self.hooked = False
        self.has_begun = False
        self.unfinished: set[Unfinished] = set()


_ends: PerProcess[_ProcessEnd] = PerProcess(lambda _: _ProcessEnd())


def finish_at_end(owner: Unfinished) -> None:
    """Have `owner` finish when this process ends; a second call does nothing."""
    end = _ends.get()
    end.unfinished.add(owner)
    if not end.hooked:
        end.hooked = True
        _hook(end)


def is_finished(owner: Unfinished) -> None:
    """Let go of `owner`, which has nothing left to do."""
    _ends.get().unfinished.discard(owner)


def has_begun() -> bool:
    """Whether the hook of this process has run. Work that is unfinished from now on is never finished."""
    return _ends.get().has_begun


def _hook(end: _ProcessEnd) -> None:
    atexit.register(_finish_all)
    end.has_begun = not threading.main_thread().is_alive()  # in an exit hook: one that is registered now does not run
    processes = sys.modules.get("multiprocessing.process")  # a child of multiprocessing has it
    if processes is not None and processes.parent_process() is not None:
        from multiprocessing.util import Finalize, is_exiting

        Finalize(
            None, _finish_all, exitpriority=0
        )  # before the queues of multiprocessing, to which a callback may write
        end.has_begun = end.has_begun or is_exiting()  # its finalizers ran, and its threads go on


def _finish_all() -> None:
    end = _ends.get()
    end.has_begun = True
    interruption: BaseException | None = None
    for owner in tuple(end.unfinished):
        try:
            owner.finish(wait=interruption is None)
        except BaseException as error:  # noqa: BLE001  # the others say what they lose
            interruption = error
    if interruption is not None:
        raise interruption

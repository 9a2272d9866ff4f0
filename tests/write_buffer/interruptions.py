"""Interrupts the use of a buffer at each moment at which a signal could; fails when a lock stays held or an outcome open.

CPython runs the handlers of signals where a function of Python begins and after a function of C has returned. A profiler is called
at the same moments, and raises here what a handler would: at the one of the first argument's number, then always as many later as
the second says, to the last.
"""

from __future__ import annotations

import gc
import sys
import threading
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path

import memtrace._runtime.write_buffer
from memtrace import BufferDrainError, BufferFullError
from memtrace_transports import FakeMemtrace

PATIENCE = 60
BUFFER = str(Path(memtrace._runtime.write_buffer.__file__).parent)
OF_THE_LIBRARY = {threading.__file__, sys.modules[Future.__module__].__file__}


class Interrupted(BaseException):
    pass


class Interruption:
    """Raises at one moment of the thread that enters it, counted from 0."""

    def __init__(self, moment):
        self.left = moment
        self.came = False
        self._profiler = self._look  # the interpreter lets go of it while it raises

    def __enter__(self):
        sys.setprofile(self._profiler)

    def __exit__(self, *_):
        sys.setprofile(None)

    def _look(self, frame, event, _):
        where = frame.f_code.co_filename
        if event in {"call", "c_return"} and (where in OF_THE_LIBRARY or where.startswith(BUFFER)):
            self.left -= 1
            if self.left == -1:
                self.came = True
                raise Interrupted


class Use:
    """One buffer, used until it is closed; its requests wait until `gate` is released."""

    def __init__(self, moment, release, **settings):
        self.interruption = Interruption(moment)
        self.release = release
        self.gate = threading.Lock()
        self.heard, self.futures = [], []
        client = FakeMemtrace().client(middleware=[self._wait_at_the_gate])
        self.buffer = client.memories.buffered(max_items=3, flush_interval=60, on_result=self.heard.append, **settings)

    def _wait_at_the_gate(self, request, call_next):
        with self.gate:
            pass
        return (yield from call_next(request))

    def run(self):
        """Use it; gives whether the interruption came."""
        if self.release != "at once":
            self.gate.acquire()
        try:
            with self.interruption, self.buffer:
                try:
                    for number in range(10):
                        self.futures.append(self.buffer.add(agent_id="a1", content=f"memory {number}"))
                finally:
                    if self.release == "before the end":
                        self.gate.release()
        except (Interrupted, BufferDrainError, BufferFullError):
            pass
        except RuntimeError as error:
            if not isinstance(error.__context__, Interrupted):  # what threading.Condition makes of it
                raise
        if self.gate.locked():
            self.gate.release()
        return self.interruption.came

    def check(self):
        with suppress(BufferDrainError):  # where the end was interrupted before it began
            self.buffer.close()
        worker = self.buffer._worker
        if worker._worker is not None and worker._worker.is_alive():
            worker._worker.join(PATIENCE)
            assert not worker._worker.is_alive()
        assert not worker.guard.locked()
        self.check_futures()
        counts = self.buffer.counts
        assert counts.pending == 0
        assert counts.accepted - len(self.futures) in {0, 1}, "one whose future nobody was given, at most"
        indexes = [outcome.index for outcome in self.heard]
        assert len(set(indexes)) == len(indexes)

    def check_futures(self):
        """All are done; asked by another thread, since a lock that this one holds would let this one in."""
        done = []
        another = threading.Thread(target=lambda: done.extend(map(Future.done, self.futures)), daemon=True)
        another.start()
        another.join(PATIENCE)
        assert not another.is_alive(), "a future's lock is held"
        assert all(done)


USES = {
    "all is sent": partial(Use, release="at once", max_pending=6, on_full="block"),
    "oldest ones are dropped": partial(Use, release="before the end", max_pending=3, on_full="drop_oldest"),
    "it is given up": partial(Use, release="after the end", max_pending=20, drain_timeout=0.0),
}


def main(first, step):
    gc.disable()  # what ends another buffer is no part of the use that is interrupted
    gc.freeze()
    for name, make in USES.items():
        for moment in count(first, step):
            use = make(moment)
            came = use.run()
            try:
                use.check()
            except Exception as error:
                raise AssertionError(f"{name}, interrupted at moment {moment}: {error}") from error
            if not came:
                break
            gc.collect()
        assert moment > 100, (name, moment)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

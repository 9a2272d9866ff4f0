"""The write buffer of one process for threads: the queue, and the thread that sends it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from operator import attrgetter
from typing import TYPE_CHECKING, cast

from memtrace._runtime.workflows.batches import send_requests
from memtrace._runtime.write_buffer import reporting
from memtrace._runtime.write_buffer.limits import BufferLimits, seconds_until
from memtrace._runtime.write_buffer.state import BufferedItem, BufferState
from memtrace._support import process_end
from memtrace._support.forks import current_process
from memtrace._support.threads import is_refused_thread
from memtrace.clock import SystemClock
from memtrace.exceptions import MemtraceError, no_thread
from memtrace.outcomes import BufferCounts, OnResult, Outcome

if TYPE_CHECKING:
    from memtrace._runtime.dispatch import Dispatcher
    from memtrace._runtime.write_buffer.spool_delivery import Delivery, Outbox
    from memtrace.models import AddMemoryRequest

_LOOK = 1.0
"""Seconds after which an idle buffer looks for memories that other processes have left in its spool."""

_NAP = 0.05
"""Seconds between checks whether another sending process has ended."""

_GRACE = 5.0
"""Seconds for an idle thread to end."""

_Chunk = tuple[BufferedItem[Future[Outcome]], ...]


class _Waiters:
    """Threads that wait for a change. Guarded by its owner's lock, which nobody holds while waiting.

    A `threading.Condition` would take that lock again at the end of waiting, which an interruption can prevent.
    """

    def __init__(self) -> None:
        self._waiters: set[threading.Lock] = set()

    def enter(self) -> threading.Lock:
        """A lock that is released when `call` is called."""
        waiter = threading.Lock()
        waiter.acquire()  # `call` releases it
        self._waiters.add(waiter)
        return waiter

    def leave(self, waiter: threading.Lock) -> None:
        """Stop waiting."""
        self._waiters.discard(waiter)

    def call(self) -> None:
        """Wake all waiting threads to check again."""
        while self._waiters:
            waiter = next(iter(self._waiters))
            if waiter.locked():  # an interrupt may have come between these lines, so start again
                waiter.release()
            self._waiters.discard(waiter)


class _Condition(threading.Condition):
    """A condition whose lock is not left held by an interrupt while it is acquired or released.

    The methods of `threading.Condition` are Python functions. An interrupt can come between the lock and the ``with``
    block. Here a block calls the lock's own methods, which are in C and cannot be interrupted.
    """

    if not TYPE_CHECKING:  # pragma: no branch - type checkers alone leave it out
        __enter__ = property(attrgetter("_lock.__enter__"))
        __exit__ = property(attrgetter("_lock.__exit__"))


class _Future(Future[Outcome]):
    """The future that `add` returns: an interrupt of one thread that uses it never blocks other threads."""

    def __init__(self) -> None:
        super().__init__()
        self._condition = _Condition()


class ThreadWorker:
    """One process's part of a `WriteBuffer`: a queue, and a daemon thread that starts with the first memory.

    `guard` is held for the state only, and not during sends, waits or callbacks. Only the clock's own lock is acquired
    while it is held. The worker of a forked child starts empty, and closed if the `inherited` one is closed.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        limits: BufferLimits,
        on_result: OnResult | None,
        inherited: ThreadWorker | None = None,
        *,
        open_spool: Callable[[], Outbox] | None = None,
    ) -> None:
        self._process = current_process()
        self._outbox = None if open_spool is None else open_spool()
        self.guard: threading.Lock = threading.Lock()
        self.state: BufferState[Future[Outcome]] = BufferState(
            limits, None if self._outbox is None else self._outbox.spool.path
        )
        self.state.closing = inherited is not None and inherited.state.closing
        self._dispatcher = dispatcher
        self._clock = dispatcher.settings.clock
        self._limits = limits
        self._on_result = on_result
        self._work, self._room, self._progress = _Waiters(), _Waiters(), _Waiters()
        self._worker: threading.Thread | None = None
        self._spooling = threading.Lock()
        self._own = threading.local()  # `.busy` is set in a thread that would wait for itself
        self._is_released = False

    # ---- methods for callers

    def entered(self) -> ThreadWorker:
        """This worker, for any thread. With a spool it starts to send the spooled memories."""
        if self._outbox is not None and self._worker is None:
            with self.guard:
                if not self.state.closing:
                    self._start()
        return self

    @property
    def counts(self) -> BufferCounts:
        """The counts of this moment."""
        with self.guard:
            return self.state.counts

    def put(self, request: AddMemoryRequest, size: int) -> Future[Outcome]:
        """Accept a memory, waiting for room. Raises `ClientClosedError`, and `BufferFullError` as set by the limits."""
        policy, began = self._limits.on_full, self._clock.monotonic()
        until = None if self._limits.max_block is None else began + self._limits.max_block
        while True:
            item = self._put_at_once(request, size)
            if item is not None:
                self._report_each(self.state.next_dropped, Exception)
                if process_end.has_begun() and not self._is_busy():
                    self.finish(wait=True)
                return item.future
            if policy == "raise" or self._is_busy() or not self._wait(self._room, self._may_put, until):
                raise reporting.buffer_full(self._limits.max_pending)

    def _put_at_once(self, request: AddMemoryRequest, size: int) -> BufferedItem[Future[Outcome]] | None:
        """Accept a memory; None if there is no room. With a spool it is in the spool before it is in the queue."""
        if self._outbox is None:
            with self.guard:
                return self._accept(request, size) if self._has_room() else None
        with self._spooling:  # numbers rise in the order of the queue, and closing waits for this
            with self.guard:
                if not self._has_room():
                    return None
                self._start()
            spooled = self._outbox.add(request)
            with self.guard:
                return self._accept(request, size, spooled)

    def _has_room(self) -> bool:
        if self.state.closing:
            raise reporting.buffer_closed()
        return not self.state.is_full or self._limits.on_full == "drop_oldest"

    def flush(self, timeout: float | None) -> bool:
        """Whether the outcomes of all memories accepted before this call are known within `timeout` seconds."""
        self._refuse_busy("flush")
        until = None if timeout is None else self._clock.monotonic() + timeout
        with self.guard:
            newest = self.state.request_flush()
            self._work.call()
        return self._wait(self._progress, lambda: self.state.is_known(newest), until)

    def close(self) -> None:
        """Send the queue within the timeout, and end the thread. Raises `BufferDrainError` with the unsent memories."""
        self._refuse_busy("close")
        try:
            self._close()
        finally:
            process_end.is_finished(self)

    def _close(self) -> None:
        until = self._clock.monotonic() + self._limits.drain_timeout
        first = not self.state.closing
        try:
            with self._spooling, self.guard:
                self.state.request_flush()
                self.state.closing = True
                for waiting in (self._work, self._room, self._progress):
                    waiting.call()
            self._report_each(self.state.next_dropped, Exception)
            drained = self._wait(self._progress, lambda: self.state.is_settled, until)
        except BaseException:
            self._give_up()
            reporting.log_end(self.state.counts, self.state.kept, self.state.spool)
            raise
        if not drained:
            unsent, unknown = self._give_up()
            if unsent or unknown:
                raise reporting.drain_error(unsent, unknown, self.state.counts)
        elif self._worker is not None and self._worker.is_alive():
            self._worker.join(_GRACE)  # it has nothing left to do
        if first:
            reporting.log_end(self.state.counts, self.state.kept, self.state.spool)

    def release(self) -> None:
        """Let the thread send the queue and end. Takes no lock that may be held: garbage collection calls it."""
        self._is_released = self.state.closing = True
        if self.guard.acquire(blocking=False):
            try:
                self._work.call()
            finally:
                self.guard.release()

    def finish(self, *, wait: bool) -> None:
        """Send the queue within the timeout, at process exit with an unclosed buffer. Logs lost memories."""
        if not self.state.closing:
            reporting.warn_open(self.counts)
        self._clock = SystemClock()  # nobody advances a test's clock any more
        drained = False
        try:
            drained = wait and self.flush(self._limits.drain_timeout)
        finally:
            if not drained:
                self._give_up()
            reporting.say_never_closed(self.counts, self.state.kept + self.state.pending, self.state.spool)

    # ---- parts of these methods

    def _start(self) -> None:
        """Start the sending thread if there is none. Called with `guard` held."""
        if self._worker is not None and self._worker.is_alive():  # else start was interrupted
            return
        self._worker = threading.Thread(target=self._send_all, name="memtrace write buffer", daemon=True)
        self.state.has_backlog = self._outbox is not None
        process_end.finish_at_end(self)
        try:
            self._worker.start()
        except RuntimeError as error:
            if not is_refused_thread(error):
                raise
            self.state.has_backlog = False
            raise no_thread("the write buffer has not taken this memory") from error

    def _accept(self, request: AddMemoryRequest, size: int, spooled: int = 0) -> BufferedItem[Future[Outcome]]:
        self._start()
        future = _Future()
        future.set_running_or_notify_cancel()  # an accepted memory is sent and cannot be cancelled
        if self.state.changes_due(size):
            self._work.call()  # before it is accepted, so that no interrupt comes between
        item = self.state.accept(request, size, self._clock.monotonic(), future, spooled=spooled)
        if self.state.pending > self._limits.max_pending:
            self.state.drop()
        return item

    def _may_put(self) -> bool:
        return self.state.closing or not self.state.is_full

    def _wait(self, waiters: _Waiters, ready: Callable[[], bool], until: float | None) -> bool:
        while True:
            with self.guard:
                if ready():
                    return True
                if until is not None and self._clock.monotonic() >= until:
                    return False
                waiter = waiters.enter()
            self._sleep_until_called(waiters, waiter, until)

    def _sleep_until_called(
        self, waiters: _Waiters, waiter: threading.Lock, until: float | None, at_most: float | None = None
    ) -> None:
        """Wait until this time of the clock, but no longer than `at_most` real seconds."""
        left = seconds_until(self._clock, until)
        if at_most is not None:
            left = at_most if left is None else min(left, at_most)
        waiter.acquire(timeout=-1 if left is None else left)  # nobody releases it again
        with self.guard:
            waiters.leave(waiter)

    def _give_up(self) -> tuple[tuple[AddMemoryRequest, ...], int]:
        """Decide and report pending memories: the unsent, and the number in flight; none if a spool keeps them."""
        is_kept = self._outbox is not None and self._outbox.spool.is_in_place()
        with self.guard:
            before, unknown = len(self.state.unsent), 0 if is_kept else self.state.in_flight
            self.state.give_up(is_kept=is_kept)
            unsent = self.state.unsent[before:]
        self._report(Exception)
        return unsent, unknown

    def _is_busy(self) -> bool:
        return getattr(self._own, "busy", False)

    def _refuse_busy(self, name: str) -> None:
        if self._is_busy():
            raise RuntimeError(
                f"{name}() inside of on_result, a future's callback or a middleware would wait for itself"
            )

    # ---- the thread

    def _send_all(self) -> None:
        self._own.busy = True
        while (chunk := self._next_chunk()) is not None:
            if self._outbox is None:
                outcomes = self._send(chunk)
                with self.guard:
                    self.state.record_outcomes(chunk, outcomes)
                    self._room.call()
            else:
                self._deliver(chunk, self._outbox)
            self._report(BaseException)
        if self._outbox is not None:
            self._outbox.spool.close()
        if self._is_released:
            process_end.is_finished(self)
            reporting.say_never_closed(self.counts, self.state.kept + self.state.pending, self.state.spool)

    def _next_chunk(self) -> _Chunk | None:
        """Wait for the next batch, with a spool's backlog; None at the end, or in a child that on_result has forked."""
        while self._process == current_process():
            with self.guard:
                due = self.state.due_at()
                if due is None and self.state.closing:
                    break
                if due is not None and self._clock.monotonic() >= due:
                    return self.state.take()
                waiter = self._work.enter()
            self._sleep_until_called(self._work, waiter, due, None if self._outbox is None else _LOOK)
            if self._outbox is not None and due is None:
                self._look_for_backlog(self._outbox)
        return None

    def _look_for_backlog(self, outbox: Outbox) -> None:
        with suppress(MemtraceError):  # raises for the caller of add
            found = outbox.spool.has_others()
            with self.guard:
                self.state.has_backlog = self.state.has_backlog or found

    def _deliver(self, chunk: _Chunk, outbox: Outbox) -> None:
        """Send what the spool has, up to the end of a chunk."""
        delivery = self._delivery(chunk, outbox)
        with self.guard:
            seconds = self.state.record_delivery(chunk, delivery, self._clock.monotonic())
            self._room.call()
            waiter = self._work.enter() if delivery.is_busy and not self.state.is_settled else None
        if delivery.error is not None:
            reporting.log_unsent(outbox.spool.path, delivery.error, seconds)
            if self._is_released:
                self._give_up()  # nobody waits for it, and the next process that opens the spool sends it
        if waiter is not None:
            self._sleep_until_called(self._work, waiter, None, _NAP)

    def _delivery(self, chunk: _Chunk, outbox: Outbox) -> Delivery:
        try:
            return self._dispatcher.run(outbox.deliver([item.spooled for item in chunk]))
        except BaseException as error:  # noqa: BLE001  # as below
            return outbox.aborted(error)

    def _send(self, chunk: _Chunk) -> list[Outcome]:
        try:
            return self._dispatcher.run(send_requests([item.request for item in chunk]))
        except BaseException as error:  # noqa: BLE001  # the thread goes on, whatever a middleware raises
            return [reporting.aborted(error)] * len(chunk)

    # ---- reporting

    def _report(self, swallowed: type[BaseException]) -> None:
        """Report decided memories, in order."""
        self._report_each(self.state.next_dropped, swallowed)
        self._report_each(self.state.next_decided, swallowed)
        with self.guard:
            self._progress.call()

    def _report_each(
        self, following: Callable[[], BufferedItem[Future[Outcome]] | None], swallowed: type[BaseException]
    ) -> None:
        """Remove each after it is reported, so that an interrupt loses none. Its future is set once."""
        while True:
            with self.guard:
                item = following()
            if item is None:
                break
            self._report_one(item, swallowed)
            with self.guard:
                self.state.acknowledge(item)

    def _report_one(self, item: BufferedItem[Future[Outcome]], swallowed: type[BaseException]) -> None:
        outcome = cast("Outcome", item.outcome)
        before, self._own.busy = self._is_busy(), True
        try:
            item.future.set_result(outcome)
        except InvalidStateError:
            return  # another thread reports it
        except swallowed as error:  # from a callback; the future logs ordinary exceptions
            reporting.log_raised("a future's callback", error, outcome)
        else:
            reporting.report(self._on_result, outcome, swallowed)
        finally:
            self._own.busy = before

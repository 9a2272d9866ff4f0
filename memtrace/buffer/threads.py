"""The write buffer of one process for threads: what waits, and the thread that sends it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from operator import attrgetter
from typing import TYPE_CHECKING, cast

from memtrace.batch import Outcome
from memtrace.buffer.ledger import Item, Ledger
from memtrace.buffer.limits import BufferLimits, patience
from memtrace.buffer.telling import OnResult, broken_off, closed, drain_error, full, log_losses, log_raised, report
from memtrace.procedures.batches import send_requests

if TYPE_CHECKING:
    from memtrace.dispatch import Dispatcher
    from memtrace.models import AddMemoryRequest

__all__ = ["Outbox"]

_GRACE = 5.0
"""Seconds for a thread that has nothing left to do to end."""

_Chunk = tuple[Item[Future[Outcome]], ...]


class _WaitingRoom:
    """Threads that wait for a change. Guarded by its owner's lock, which nobody holds while waiting.

    A `threading.Condition` would take that lock again at the end of waiting, which an interruption can prevent.
    """

    def __init__(self) -> None:
        self._turns: set[threading.Lock] = set()

    def enter(self) -> threading.Lock:
        """A lock that can be taken once `call` was called."""
        turn = threading.Lock()
        turn.acquire()  # whoever calls releases it
        self._turns.add(turn)
        return turn

    def leave(self, turn: threading.Lock) -> None:
        """Wait no longer."""
        self._turns.discard(turn)

    def call(self) -> None:
        """Let all that wait look again."""
        while self._turns:
            turn = next(iter(self._turns))
            if turn.locked():  # an interruption may have come between these lines, and they begin anew
                turn.release()
            self._turns.discard(turn)


class _Condition(threading.Condition):
    """One whose lock stays free when an interruption comes while it is taken or released.

    The methods of `threading.Condition` are functions of Python, which can be interrupted between the lock and the ``with`` block;
    here a block calls those of the lock, which are in C and cannot.
    """

    if not TYPE_CHECKING:  # pragma: no branch - type checkers alone leave it out
        __enter__ = property(attrgetter("_lock.__enter__"))
        __exit__ = property(attrgetter("_lock.__exit__"))


class _Future(Future[Outcome]):
    """What `add` gives: no interruption of a thread that uses it keeps the other threads from using it."""

    def __init__(self) -> None:
        super().__init__()
        self._condition = _Condition()


class Outbox:
    """One process's part of a `WriteBuffer`: a queue, and a daemon thread that begins with the first memory.

    `guard` is held for the books alone: not while something is sent, awaited or told, and nothing but the clock's own lock is
    taken while it is held.
    """

    def __init__(
        self, dispatcher: Dispatcher, limits: BufferLimits, on_result: OnResult | None, *, closing: bool = False
    ) -> None:
        self.pid: int = os.getpid()
        self.guard: threading.Lock = threading.Lock()
        self.ledger: Ledger[Future[Outcome]] = Ledger(limits)
        self.ledger.closing = closing
        self._dispatcher = dispatcher
        self._clock = dispatcher.settings.clock
        self._limits = limits
        self._on_result = on_result
        self._work, self._room, self._news = _WaitingRoom(), _WaitingRoom(), _WaitingRoom()
        self._worker: threading.Thread | None = None
        self._own = threading.local()  # `.busy` in a thread that would wait for itself

    def for_child(self) -> Outbox:
        """An empty one for a forked child, closed where this one is."""
        return Outbox(self._dispatcher, self._limits, self._on_result, closing=self.ledger.closing)

    # ---- what callers do

    def put(self, request: AddMemoryRequest, size: int) -> Future[Outcome]:
        """Accept a memory when there is room. Raises `ClientClosedError`, and `BufferFullError` as the limits say."""
        policy, began = self._limits.when_full, self._clock.monotonic()
        until = None if self._limits.max_block is None else began + self._limits.max_block
        while True:
            with self.guard:
                if self.ledger.closing:
                    raise closed()
                item = None if self.ledger.is_full and policy != "drop_oldest" else self._accept(request, size)
            if item is not None:
                self._tell_each(self.ledger.next_displaced, Exception)
                return item.future
            if policy == "raise" or self._is_busy() or not self._wait(self._room, self._may_put, until):
                raise full(self._limits.max_pending)

    def flush(self, timeout: float | None) -> bool:
        """Whether all that was accepted before this call is known within `timeout` seconds."""
        self._refuse_busy("flush")
        until = None if timeout is None else self._clock.monotonic() + timeout
        with self.guard:
            newest = self.ledger.hurry()
            self._work.call()
        return self._wait(self._news, lambda: self.ledger.is_known(newest), until)

    def close(self) -> None:
        """Send what waits, within the bound, and end the thread. Raises `BufferDrainError` for what is left."""
        self._refuse_busy("close")
        until = self._clock.monotonic() + self._limits.drain_timeout
        first = not self.ledger.closing
        try:
            with self.guard:
                self.ledger.closing = True
                for waiting in (self._work, self._room, self._news):
                    waiting.call()
            self._tell_each(self.ledger.next_displaced, Exception)
            drained = self._wait(self._news, lambda: self.ledger.is_settled, until)
        except BaseException:
            self._give_up()
            log_losses(self.ledger.counts)
            raise
        if not drained:
            unsent, unknown = self._give_up()
            if unsent or unknown:
                raise drain_error(unsent, unknown, self.ledger.counts)
        elif self._worker is not None and self._worker.is_alive():
            self._worker.join(_GRACE)  # it has nothing left to do
        if first:
            log_losses(self.ledger.counts)

    def let_go(self) -> None:
        """Have the thread send what waits and end. Takes no lock that may be held: it runs while garbage is collected."""
        self.ledger.closing = True
        if self.guard.acquire(blocking=False):
            try:
                self._work.call()
            finally:
                self.guard.release()

    # ---- their parts

    def _accept(self, request: AddMemoryRequest, size: int) -> Item[Future[Outcome]]:
        if self._worker is None or self._worker.ident is None:  # None where its start was interrupted; two take turns
            self._worker = threading.Thread(target=self._send_all, name="memtrace write buffer", daemon=True)
            self._worker.start()
        future = _Future()
        future.set_running_or_notify_cancel()  # what is accepted is sent: there is no cancelling
        if self.ledger.changes_due(size):
            self._work.call()  # before it is accepted, so that no interruption comes between
        item = self.ledger.accept(request, size, self._clock.monotonic(), future)
        if self.ledger.pending > self._limits.max_pending:
            self.ledger.displace()
        return item

    def _may_put(self) -> bool:
        return self.ledger.closing or not self.ledger.is_full

    def _wait(self, room: _WaitingRoom, ready: Callable[[], bool], until: float | None) -> bool:
        while True:
            with self.guard:
                if ready():
                    return True
                if until is not None and self._clock.monotonic() >= until:
                    return False
                turn = room.enter()
            self._doze(room, turn, until)

    def _doze(self, room: _WaitingRoom, turn: threading.Lock, until: float | None) -> None:
        left = patience(self._clock, until)
        turn.acquire(timeout=-1 if left is None else left)  # nobody releases it again
        with self.guard:
            room.leave(turn)

    def _give_up(self) -> tuple[tuple[AddMemoryRequest, ...], int]:
        """Decide and tell what is pending: what was not sent, and how many are under way."""
        with self.guard:
            before, unknown = len(self.ledger.unsent), self.ledger.under_way
            self.ledger.give_up()
            unsent = self.ledger.unsent[before:]
        self._tell(Exception)
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
        while chunk := self._next_chunk():
            outcomes = self._send(chunk)
            with self.guard:
                self.ledger.settle(chunk, outcomes)
                self._room.call()
            self._tell(BaseException)

    def _next_chunk(self) -> _Chunk:
        """What is to be sent, once it is time; nothing at the end, or in a child that on_result has forked."""
        while self.pid == os.getpid():
            with self.guard:
                due = self.ledger.due_at()
                if due is None and self.ledger.closing:
                    break
                if due is not None and self._clock.monotonic() >= due:
                    return self.ledger.take()
                turn = self._work.enter()
            self._doze(self._work, turn, due)
        return ()

    def _send(self, chunk: _Chunk) -> list[Outcome]:
        try:
            return self._dispatcher.run(send_requests([item.request for item in chunk]))
        except BaseException as error:  # noqa: BLE001  # the thread goes on, whatever a middleware raises
            return [broken_off(error)] * len(chunk)

    # ---- telling

    def _tell(self, harmless: type[BaseException]) -> None:
        """Tell what is decided, in order."""
        self._tell_each(self.ledger.next_displaced, harmless)
        self._tell_each(self.ledger.next_decided, harmless)
        with self.guard:
            self._news.call()

    def _tell_each(self, following: Callable[[], Item[Future[Outcome]] | None], harmless: type[BaseException]) -> None:
        """Strike out each after it was told, so that an interruption loses none; its future is set once."""
        while True:
            with self.guard:
                item = following()
            if item is None:
                break
            self._tell_one(item, harmless)
            with self.guard:
                self.ledger.told(item)

    def _tell_one(self, item: Item[Future[Outcome]], harmless: type[BaseException]) -> None:
        outcome = cast("Outcome", item.outcome)
        before, self._own.busy = self._is_busy(), True
        try:
            item.future.set_result(outcome)
        except InvalidStateError:
            return  # another thread tells it
        except harmless as error:  # of a callback; ordinary ones are logged by the future
            log_raised("a future's callback", error, outcome)
        else:
            report(self._on_result, outcome, harmless)
        finally:
            self._own.busy = before

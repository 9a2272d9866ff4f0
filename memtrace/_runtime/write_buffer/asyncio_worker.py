"""The write buffer of one event loop: what waits, and the task that sends it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
from asyncio import Future
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, cast

from memtrace._runtime.workflows.batches import send_requests
from memtrace._runtime.write_buffer import reporting
from memtrace._runtime.write_buffer.limits import BufferLimits, seconds_until
from memtrace._runtime.write_buffer.state import BufferedItem, BufferState
from memtrace._support import process_end
from memtrace._support.event_loops import running_under_trio, shielded
from memtrace._support.forks import current_process
from memtrace.exceptions import ConfigurationError, MemtraceError
from memtrace.outcomes import BufferCounts, OnResult, Outcome

if TYPE_CHECKING:
    from memtrace._runtime.dispatch import AsyncDispatcher
    from memtrace._runtime.write_buffer.spool_delivery import Outbox
    from memtrace.models import AddMemoryRequest

_LOOK = 1.0
"""Seconds after which an idle buffer looks for what other processes have left in its spool."""

_NAP = 0.05
"""Seconds until it is looked again whether another process that sends has ended."""

_GRACE = 5.0
"""Seconds for a task that has nothing left to do, or was cancelled, to end."""

_Chunk = tuple[BufferedItem[Future[Outcome]], ...]


class _Waiters:
    """Tasks that wait for a change."""

    def __init__(self) -> None:
        self._waiters: set[Future[None]] = set()

    async def wait(self, seconds: float | None) -> None:
        """Wait until `call` is called, for so many real seconds at most; None is without bound."""
        waiter: Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await asyncio.wait((waiter,), timeout=seconds)
        finally:
            self._waiters.discard(waiter)

    def call(self) -> None:
        """Let all that wait look again."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)


class AsyncioWorker:
    """One event loop's part of an `AsyncWriteBuffer`: a queue, and a task that begins with the first memory.

    The worker of a forked child starts empty, and closed if the `inherited` one is closed.
    """

    def __init__(
        self,
        dispatcher: AsyncDispatcher,
        limits: BufferLimits,
        on_result: OnResult | None,
        inherited: AsyncioWorker | None = None,
        *,
        open_spool: Callable[[], Outbox] | None = None,
    ) -> None:
        self._process = current_process()
        self._outbox = None if open_spool is None else open_spool()
        self.state: BufferState[Future[Outcome]] = BufferState(
            limits, None if self._outbox is None else self._outbox.spool.path
        )
        self.state.closing = inherited is not None and inherited.state.closing
        self.loop: asyncio.AbstractEventLoop | None = None
        self._dispatcher = dispatcher
        self._clock = dispatcher.settings.clock
        self._limits = limits
        self._on_result = on_result
        self._work, self._room, self._progress = _Waiters(), _Waiters(), _Waiters()
        self._worker: asyncio.Task[None] | None = None
        self._spooling = asyncio.Lock()
        self._is_released = False

    # ---- what callers do

    def entered(self) -> AsyncioWorker:
        """It, for the running event loop. Raises `ConfigurationError` under trio, and `RuntimeError` on another loop than before."""
        if running_under_trio():
            raise ConfigurationError(
                "a write buffer of AsyncMemtrace runs on asyncio, and no event loop of asyncio is running here",
                hint="under trio use memories.add_many, or a buffer of Memtrace with on_full='raise'",
            )
        loop = asyncio.get_running_loop()
        if self.loop not in (None, loop):
            raise RuntimeError("this write buffer belongs to another event loop; make one for each")
        self.loop = loop
        if self._outbox is not None and not self.state.closing:
            self._start(loop)  # what is in the spool is sent
        return self

    @property
    def counts(self) -> BufferCounts:
        """The counts of this moment."""
        return self.state.counts

    async def put(self, request: AddMemoryRequest, size: int) -> Future[Outcome]:
        """Accept a memory when there is room. Raises `ClientClosedError`, and `BufferFullError` as the limits say."""
        policy, began = self._limits.on_full, self._clock.monotonic()
        until = None if self._limits.max_block is None else began + self._limits.max_block
        if self.state.has_chunk and not self.state.closing:
            await asyncio.sleep(0)  # a loop that only adds would never let the task begin
        while True:
            item = await self._put_at_once(request, size)
            if item is not None:
                if process_end.has_begun() and not self._is_busy():
                    await self.flush(self._limits.drain_timeout)
                    reporting.say_never_closed(
                        self.state.counts, self.state.kept + self.state.pending, self.state.spool
                    )
                return item.future
            if policy == "raise" or self._is_busy() or not await self._wait(self._room, self._may_put, until):
                raise reporting.buffer_full(self._limits.max_pending)

    async def _put_at_once(self, request: AddMemoryRequest, size: int) -> BufferedItem[Future[Outcome]] | None:
        """Accept a memory; None where there is no room. One that is in a spool is in it before it is in the queue."""
        if self._outbox is None:
            return self._accept(request, size) if self._has_room() else None
        async with self._spooling:  # numbers rise in the order of the queue, and closing waits for this
            if not self._has_room():
                return None
            spooled = await self._outbox.spool.thread.run(partial(self._outbox.add, request))
            return self._accept(request, size, spooled)

    def _has_room(self) -> bool:
        if self.state.closing:
            raise reporting.buffer_closed()
        return not self.state.is_full or self._limits.on_full == "drop_oldest"

    async def flush(self, timeout: float | None) -> bool:
        """Whether all that was accepted before this call is known within `timeout` seconds."""
        self._refuse_busy("flush")
        until = None if timeout is None else self._clock.monotonic() + timeout
        newest = self.state.request_flush()
        self._work.call()
        return await self._wait(self._progress, lambda: self.state.is_known(newest), until)

    async def close(self) -> None:
        """Send what waits, within the bound, and end the task. Raises `BufferDrainError` for what is left."""
        self._refuse_busy("close")
        try:
            await self._close()
        finally:
            process_end.is_finished(self)

    async def _close(self) -> None:
        until = self._clock.monotonic() + self._limits.drain_timeout
        first = not self.state.closing
        drained = False
        try:
            with shielded():  # also when the block was cancelled, what it accepted is sent
                async with self._spooling:
                    self.state.request_flush()
                    self.state.closing = True
                for waiting in (self._work, self._room, self._progress):
                    waiting.call()
                drained = await self._wait(self._progress, lambda: self.state.is_settled, until)
        except BaseException:
            self._give_up()
            reporting.log_end(self.state.counts, self.state.kept, self.state.spool)
            raise
        else:
            unsent, unknown = ((), 0) if drained else self._give_up()
        finally:
            await self._end(cancel=not drained)
        if unsent or unknown:
            raise reporting.drain_error(unsent, unknown, self.state.counts)
        if first:
            reporting.log_end(self.state.counts, self.state.kept, self.state.spool)

    def release(self) -> None:
        """Have the task send what waits and end; it may be called on any thread, while garbage is collected."""
        self._is_released = self.state.closing = True
        if self.loop is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._work.call)
        else:
            self._note_end()

    def finish(self, *, wait: bool) -> None:
        """Have what waits sent, within the bound, since the process ends and nobody has closed the buffer; what is lost is said."""
        loop, bound = self.loop, self._limits.drain_timeout
        if not self.state.closing:
            reporting.warn_open(self.state.counts)
        if wait and loop is not None and not (loop.is_closed() or self.state.is_settled):
            if loop.is_running():  # in another thread
                drained = asyncio.run_coroutine_threadsafe(self.flush(None), loop)
                concurrent.futures.wait([drained], bound)
            else:
                loop.run_until_complete(asyncio.wait([loop.create_task(self.flush(None))], timeout=bound))
        reporting.say_never_closed(self.state.counts, self.state.kept + self.state.pending, self.state.spool)

    # ---- their parts

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have a task that sends."""
        if self._worker is None:
            self.state.has_backlog = self._outbox is not None
            process_end.finish_at_end(self)
            # Run in an empty context: the first caller's context variables don't belong to every memory.
            self._worker = contextvars.Context().run(loop.create_task, self._send_all(), name="memtrace write buffer")

    def _accept(self, request: AddMemoryRequest, size: int, spooled: int = 0) -> BufferedItem[Future[Outcome]]:
        loop = asyncio.get_running_loop()
        self._start(loop)
        if self.state.changes_due(size):
            self._work.call()
        item = self.state.accept(request, size, self._clock.monotonic(), loop.create_future(), spooled=spooled)
        if self.state.pending > self._limits.max_pending:
            self.state.drop()
            self._report_each(self.state.next_dropped)
        return item

    def _may_put(self) -> bool:
        return self.state.closing or not self.state.is_full

    async def _wait(self, waiters: _Waiters, ready: Callable[[], bool], until: float | None) -> bool:
        while not ready():
            if until is not None and self._clock.monotonic() >= until:
                return False
            await waiters.wait(seconds_until(self._clock, until))
        return True

    def _give_up(self) -> tuple[tuple[AddMemoryRequest, ...], int]:
        """Decide and report pending memories: the unsent, and the number in flight; none if a spool keeps them."""
        is_kept = self._outbox is not None and self._outbox.spool.is_in_place()
        before, unknown = len(self.state.unsent), 0 if is_kept else self.state.in_flight
        self.state.give_up(is_kept=is_kept)
        unsent = self.state.unsent[before:]
        self._report()
        return unsent, unknown

    async def _end(self, *, cancel: bool) -> None:
        """Wait until the task has ended; a request that was given up is broken off."""
        worker = self._worker
        if worker is not None and not worker.done():
            if cancel:
                worker.cancel()
            with shielded():
                await asyncio.wait((worker,), timeout=_GRACE)

    def _is_busy(self) -> bool:
        return self._worker is not None and asyncio.current_task() is self._worker

    def _refuse_busy(self, name: str) -> None:
        if self._is_busy():
            raise RuntimeError(
                f"{name}() inside of on_result, a future's callback or a middleware would wait for itself"
            )

    # ---- the task

    async def _send_all(self) -> None:
        try:
            while (chunk := await self._next_chunk()) is not None:
                if self._outbox is None:
                    self.state.record_outcomes(chunk, await self._send(chunk))
                else:
                    await self._deliver(chunk, self._outbox)
                self._room.call()
                self._report()
        except BaseException:  # cancelled by `close`, or with its event loop
            expected, self.state.closing = self.state.closing and not self._is_released, True
            self._give_up()
            self._room.call()
            if not expected:
                self._note_end()
            raise
        finally:
            if self._outbox is not None:
                self._outbox.spool.thread.stop(self._outbox.spool.close)
        if self._is_released:
            self._note_end()

    def _note_end(self) -> None:
        """Nobody has closed the buffer, and it ends here."""
        process_end.is_finished(self)
        reporting.say_never_closed(self.state.counts, self.state.kept + self.state.pending, self.state.spool)

    async def _next_chunk(self) -> _Chunk | None:
        """Wait for the next batch to send, with a spool's backlog; None at the end, or in a forked child."""
        while self._process == current_process():
            due = self.state.due_at()
            if due is None and self.state.closing:
                break
            if due is not None and self._clock.monotonic() >= due:
                return self.state.take()
            seconds = seconds_until(self._clock, due)
            if self._outbox is None:
                await self._work.wait(seconds)
            else:
                await self._work.wait(_LOOK if seconds is None else min(seconds, _LOOK))
                if due is None:
                    await self._look_for_backlog(self._outbox)
        return None

    async def _look_for_backlog(self, outbox: Outbox) -> None:
        with suppress(MemtraceError):  # raises for the caller of add
            found = await outbox.spool.thread.run(outbox.spool.has_others)
            self.state.has_backlog = self.state.has_backlog or found

    async def _deliver(self, chunk: _Chunk, outbox: Outbox) -> None:
        """Send what the spool has, up to the end of a chunk."""
        try:
            delivery = await self._dispatcher.run(outbox.deliver([item.spooled for item in chunk]))
        except Exception as error:  # noqa: BLE001  # as below
            delivery = outbox.aborted(error)
        seconds = self.state.record_delivery(chunk, delivery, self._clock.monotonic())
        if delivery.error is not None:
            reporting.log_unsent(outbox.spool.path, delivery.error, seconds)
            if self._is_released:
                self._give_up()  # nobody waits for it, and the next process that opens the spool sends it
        if delivery.is_busy and not self.state.is_settled:
            await self._work.wait(_NAP)

    async def _send(self, chunk: _Chunk) -> list[Outcome]:
        try:
            return await self._dispatcher.run(send_requests([item.request for item in chunk]))
        except Exception as error:  # noqa: BLE001  # the task goes on, whatever a middleware raises
            return [reporting.aborted(error)] * len(chunk)

    # ---- telling

    def _report(self) -> None:
        """Tell what is decided, in order."""
        self._report_each(self.state.next_decided)
        self._progress.call()

    def _report_each(self, following: Callable[[], BufferedItem[Future[Outcome]] | None]) -> None:
        while item := following():
            self.state.acknowledge(item)
            self._report_one(item)

    def _report_one(self, item: BufferedItem[Future[Outcome]]) -> None:
        outcome = cast("Outcome", item.outcome)
        if not item.future.done():  # who awaited it may have been cancelled
            item.future.set_result(outcome)
        reporting.report(self._on_result, outcome)

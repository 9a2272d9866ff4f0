"""The two drivers: they run a flow and perform its effects, blocking or awaiting."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

from memtrace._flow.composition import WRITE_HINT, PendingNext
from memtrace._flow.effects import CallEffect, LockEffect, SendEffect, SleepEffect, deadline_passed, foreign_failure
from memtrace._support.error_text import qualified_name
from memtrace._support.event_loops import running_under_trio
from memtrace._support.locks import HeldLock, Locks
from memtrace._support.threads import is_refused_thread
from memtrace.exceptions import MiddlewareError, no_thread
from memtrace.transport import AsyncTransport, CallContext, Effect, Flow, Transport

T = TypeVar("T")
A = TypeVar("A")


def drive(flow: Flow[T], transport: Transport, locks: Locks, context: CallContext) -> T:
    """Run `flow` to its end, blocking; returns what it returns and raises what it raises."""
    run = _FlowRunner(flow)
    try:
        effect = run.resume(None)
        while effect is not _DONE:
            try:
                if isinstance(effect, SendEffect):
                    result: object = transport.send(effect.request)
                elif isinstance(effect, SleepEffect):
                    _check_wait(effect.seconds, context)
                    context.clock.sleep(effect.seconds)
                    result = None
                elif isinstance(effect, CallEffect):
                    result = _call_blocking(effect)
                else:
                    taken = locks.thread_lock(_lock_name(effect))
                    _take(taken, context)
                    result = run.hold(taken.release)
            except StopIteration as error:  # which a generator cannot raise unchanged
                effect = run.throw(foreign_failure(error, effect.request) if isinstance(effect, SendEffect) else error)
            except BaseException as error:  # noqa: BLE001  # the flow decides, `_FlowRunner.throw` lets none vanish
                effect = run.throw(error)
            else:
                effect = run.resume(result)
        return run.value
    finally:
        run.close()


async def drive_async(flow: Flow[T], transport: AsyncTransport, locks: Locks, context: CallContext) -> T:
    """Run `flow` to its end, awaiting; returns what it returns and raises what it raises."""
    run = _FlowRunner(flow)
    try:
        effect = run.resume(None)
        while effect is not _DONE:
            try:
                if isinstance(effect, SendEffect):
                    result: object = await transport.send(effect.request)
                elif isinstance(effect, SleepEffect):
                    _check_wait(effect.seconds, context)
                    await context.clock.async_sleep(effect.seconds)
                    result = None
                elif isinstance(effect, CallEffect):
                    result = await _before_deadline(_call_awaiting(effect), context)
                else:
                    taken = locks.task_lock(_lock_name(effect))
                    await _before_deadline(taken.acquire(), context, undo=taken.release)
                    result = run.hold(taken.release)
            except BaseException as error:  # noqa: BLE001  # the flow decides, `_FlowRunner.throw` lets none vanish
                effect = run.throw(error)
            else:
                effect = run.resume(result)
        return run.value
    finally:
        run.close()


def _check_wait(seconds: float, context: CallContext) -> None:
    """Raise for a wait that could only end after the deadline."""
    remaining = context.remaining()
    if remaining is not None and seconds >= remaining:
        raise deadline_passed(f"before a wait of {seconds:.3g} s could end")


def _take(taken: threading.Lock, context: CallContext) -> None:
    remaining = context.remaining()
    if not taken.acquire(timeout=-1 if remaining is None else max(remaining, 0)):
        raise deadline_passed("while it waited for a lock")


async def _before_deadline(waiting: Awaitable[A], context: CallContext, undo: Callable[[], None] | None = None) -> A:
    """The result of `waiting`, unless the deadline passes first. `undo` reverts a result that nobody will receive."""
    remaining = context.remaining()
    if remaining is None:
        return await waiting
    if running_under_trio():
        import trio

        with trio.move_on_after(max(remaining, 0)):
            return await waiting
        raise deadline_passed("while it waited")
    import asyncio

    task = asyncio.ensure_future(waiting)
    try:
        await asyncio.wait((task,), timeout=max(remaining, 0))
    except asyncio.CancelledError:
        if not task.cancel() and undo is not None:
            undo()
        raise
    if task.done():
        return task.result()
    task.cancel()
    raise deadline_passed("while it waited")


_DONE = Effect()  # not None: a bare `yield` yields that


class _FlowRunner(Generic[T]):
    """One running flow: resumes it, re-raises interrupts that it swallows, and cleans up."""

    __slots__ = ("_flow", "_held", "value")

    value: T

    def __init__(self, flow: Flow[T]) -> None:
        self._flow = flow
        self._held: list[HeldLock] = []

    def resume(self, result: object) -> Effect:
        """The next effect, or `_DONE` when the flow has returned and `value` is set."""
        try:
            return self._flow.send(result)
        except StopIteration as stop:
            self.value = stop.value
            return _DONE

    def throw(self, error: BaseException) -> Effect:
        """Throw `error` into the flow. An interrupt, a cancellation or another non-`Exception` is always re-raised."""
        if isinstance(error, Exception):
            try:
                return self._flow.throw(error)
            except StopIteration as stop:
                self.value = stop.value
                return _DONE
        try:
            self._flow.throw(error)
        except Exception as raised:  # noqa: BLE001  # whatever it is, the cancellation goes first
            raise error from (None if isinstance(raised, StopIteration) else raised)
        raise error

    def hold(self, release: Callable[[], None]) -> HeldLock:
        held = HeldLock(release)
        self._held.append(held)
        return held

    def close(self) -> None:
        """End the flow at its current step, in the context that it began in, and release its locks.

        An unfinished flow is closed because of another error. That error is raised, not one from closing.
        """
        try:
            with suppress(Exception):
                self._flow.close()
        finally:
            for held in self._held:
                held.release()


def _lock_name(effect: Effect) -> str:
    if isinstance(effect, LockEffect):
        return effect.name
    if isinstance(effect, PendingNext):
        raise MiddlewareError(f"{effect.owner} wrote 'yield' where 'yield from' is required. {WRITE_HINT}")
    raise MiddlewareError(
        f"a middleware yielded {type(effect).__name__}. Yield only through call_next, sleep, call and lock, always with 'yield from'"
    )


def _call_blocking(effect: CallEffect) -> object:
    result = _call_guarded(effect)
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        name = qualified_name(effect.function)
        raise MiddlewareError(
            f"call({name}) is async, and this client is not: give the middleware a blocking function, or use AsyncMemtrace"
        )
    return result


async def _call_awaiting(effect: CallEffect) -> object:
    if inspect.iscoroutinefunction(effect.function):
        return await effect.function(*effect.arguments)
    try:
        if running_under_trio():
            import trio

            result, failure = await trio.to_thread.run_sync(_call_boxed, effect)
        else:
            import asyncio

            result, failure = await asyncio.to_thread(_call_boxed, effect)
    except RuntimeError as error:
        if not is_refused_thread(error):
            raise
        raise no_thread(f"call({qualified_name(effect.function)}) was not made") from error
    if failure is not None:
        raise failure
    return await result if inspect.isawaitable(result) else result


def _call_boxed(effect: CallEffect) -> tuple[object, Exception | None]:
    """Run in a thread. Boxed: trio rejects a coroutine, which a lambda may return, and errors of the call."""
    try:
        return _call_guarded(effect), None
    except Exception as error:  # noqa: BLE001  # raised again where the box is opened
        return None, error


def _call_guarded(effect: CallEffect) -> object:
    try:
        return effect.function(*effect.arguments)
    except StopIteration as error:  # a generator cannot raise it: PEP 479
        raise RuntimeError(f"call({qualified_name(effect.function)}) raised StopIteration") from error

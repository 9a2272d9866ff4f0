"""`sleep` and `call`: what each driver does when a flow asks for them."""

import asyncio
import contextvars
import functools
import threading
import time

import anyio.lowlevel
import pytest

from memtrace._flow.drivers import drive_async
from memtrace._flow.effects import call, sleep
from memtrace._support.locks import Locks
from memtrace.clock import SystemClock
from memtrace.exceptions import MiddlewareError
from memtrace.transport import CallContext
from tests.conftest import AsyncScript
from tests.dealing import by_driver

variable = contextvars.ContextVar("variable", default="unset")


def test_sleep_goes_by_the_calls_clock(runner):
    def flow():
        yield from sleep(0.25)
        yield from sleep(3)

    assert runner.run(flow()) is None
    assert runner.clock.sleeps == [0.25, 3]


def test_sleep_passes_real_time_with_the_systems_clock(runner):
    runner.context = CallContext(SystemClock())

    def flow():
        started = time.monotonic()
        yield from sleep(0.02)
        yield from sleep(0)
        yield from sleep(-1)
        return time.monotonic() - started

    assert 0.015 < runner.run(flow()) < 30


def test_call_gives_what_the_function_returns(runner):
    def flow():
        return (yield from call(divmod, 17, 5))

    assert runner.run(flow()) == (3, 2)


def test_an_error_of_a_called_function_is_thrown_in(runner):
    def fail():
        raise LookupError("theirs")

    def flow():
        try:
            yield from call(fail)
        except LookupError as error:
            return str(error)

    assert runner.run(flow()) == "theirs"


def stops():
    raise StopIteration(7)


async def stops_async():
    raise StopIteration(7)


def test_a_stop_iteration_of_a_called_function_is_wrapped(runner):
    def flow():
        yield from call(stops)

    with pytest.raises(RuntimeError, match=r"call\(stops\) raised StopIteration") as caught:
        runner.run(flow())
    assert isinstance(caught.value.__cause__, StopIteration)


def test_next_of_an_exhausted_iterator_does_not_end_the_flow(runner):
    def flow():
        try:
            yield from call(next, iter(()))
        except RuntimeError:
            return "told"

    assert runner.run(flow()) == "told"


def test_a_blocking_function_stays_in_the_callers_thread_of_a_sync_client_and_leaves_the_loops(runner):
    def flow():
        return (yield from call(threading.get_ident))

    assert (runner.run(flow()) != threading.get_ident()) is runner.is_async


def test_a_blocking_function_sees_the_callers_context_variables(runner):
    def flow():
        token = variable.set("set by the flow")
        try:
            return (yield from call(variable.get))
        finally:
            variable.reset(token)

    assert runner.run(flow()) == "set by the flow"
    assert variable.get() == "unset"


async def fetch(word):
    await anyio.lowlevel.checkpoint()
    return word.upper()


class Fetcher:
    async def __call__(self, word):
        return await fetch(word)

    async def fetch(self, word):
        return await fetch(word)


@by_driver(
    "function",
    [fetch, functools.partial(fetch), Fetcher(), Fetcher().fetch, lambda word: fetch(word)],  # noqa: PLW0108 - it is no async function itself
    ids=["function", "partial", "object", "method", "lambda"],
)
def test_an_async_function_is_awaited_there_and_refused_here(runner, function):
    def flow():
        return (yield from call(function, "token"))

    if runner.is_async:
        assert runner.run(flow()) == "TOKEN"
    else:
        with pytest.raises(MiddlewareError, match=r"call\(.*\) is async, and this client is not: .* AsyncMemtrace"):
            runner.run(flow())


def test_the_refusal_of_an_async_function_can_be_handled(runner):
    def flow():
        try:
            return (yield from call(fetch, "token"))
        except MiddlewareError:
            return "refused"

    assert runner.run(flow()) == ("TOKEN" if runner.is_async else "refused")


def test_an_awaitable_that_is_no_coroutine_is_refused_as_well():
    class Awaitable:
        def __await__(self):
            raise AssertionError("nobody awaits it")

    from tests.conftest import Runner

    def flow():
        yield from call(Awaitable)

    with pytest.raises(MiddlewareError, match=r"call\(.*Awaitable\) is async"):
        Runner("sync").run(flow())


def test_a_stop_iteration_of_an_async_function_is_no_end_either(runner):
    def flow():
        try:
            yield from call(stops_async)
        except (RuntimeError, MiddlewareError) as error:
            return type(error)

    assert runner.run(flow()) is (RuntimeError if runner.is_async else MiddlewareError)


def test_the_event_loop_goes_on_while_a_blocking_function_runs():
    async def main():
        entered, leave = threading.Event(), threading.Event()

        def block():
            entered.set()
            return leave.wait(5)

        def flow():
            return (yield from call(block))

        task = asyncio.create_task(drive_async(flow(), AsyncScript(), Locks(), CallContext()))
        while not entered.is_set():  # noqa: ASYNC110 - it is set in a thread
            await asyncio.sleep(0.001)
        leave.set()
        return await task

    assert asyncio.run(main()) is True

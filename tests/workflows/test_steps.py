"""How workflows and streams run: what they are handed, when they stand still, and how they end."""

from __future__ import annotations

import asyncio
import inspect
from itertools import islice

import pytest
import trio

from memtrace import AsyncMemtrace, Memtrace, NotFoundError, TransportError
from memtrace._runtime.workflows import emit_all, pause, run_operation
from memtrace.operations import Operation
from tests.conftest import AsyncScript, Script, StoppedClock
from tests.faces import ONCE
from tests.garbage import collecting


class Runs:
    """Runs workflows and streams on one kind of dispatcher, over one script."""

    def __init__(self, form):
        self.form = form
        self.clock = StoppedClock()

    def dispatcher(self, *steps):
        client, transport = (Memtrace, Script) if self.form == "sync" else (AsyncMemtrace, AsyncScript)
        self.transport = transport(*steps)
        return client("http://server", "key", transport=self.transport, clock=self.clock, retry=ONCE)._dispatcher

    def run(self, workflow, *steps):
        result = self.dispatcher(*steps).run(workflow)
        return result if self.form == "sync" else self._awaited(result)

    def taken(self, stream, count, *steps):
        """The first items of a stream, which is closed then."""
        items = self.dispatcher(*steps).stream(stream)
        if self.form == "sync":
            found = list(islice(items, count))
            items.close()
            return found
        return self._awaited(self._take(items, count))

    @staticmethod
    async def _take(items, count):
        found = []
        if count:
            async for item in items:
                found.append(item)
                if len(found) == count:
                    break
        await items.aclose()
        return found

    def _awaited(self, coroutine):
        async def main():
            return await coroutine

        return asyncio.run(main()) if self.form == "asyncio" else trio.run(main)


@pytest.fixture(params=["sync", "asyncio", "trio"])
def runs(request):
    return Runs(request.param)


def operation(parse=lambda response: response):
    return Operation("things.get", "GET", "/x", parse, "read")


# ---- workflows


def test_a_workflow_gets_each_result_and_returns_its_own(runs):
    def workflow():
        first = yield from run_operation(operation(lambda response: 1))
        second = yield from run_operation(operation(lambda response: 2))
        return first, second

    assert runs.run(workflow()) == (1, 2)
    assert len(runs.transport.requests) == 2


def test_a_workflow_that_asks_for_nothing_returns_at_once(runs):
    def workflow():
        return 7
        yield

    assert runs.run(workflow()) == 7


def test_a_pause_is_slept_by_the_clients_clock(runs):
    def workflow():
        assert (yield from pause(0.15)) is None
        return (yield from run_operation(operation(lambda response: "after")))

    assert runs.run(workflow()) == "after"
    assert runs.clock.sleeps == [0.15]


def test_a_workflow_may_handle_a_failure(runs):
    def workflow():
        try:
            yield from run_operation(operation())
        except TransportError as error:
            cause = error.cause
        return (yield from run_operation(operation(lambda response: cause)))

    assert runs.run(workflow(), TransportError("gone", cause="reset")) == "reset"


def test_a_workflow_may_return_after_a_failure(runs):
    def workflow():
        try:
            yield from run_operation(operation())
        except NotFoundError:
            return "nothing"

    assert runs.run(workflow(), 404) == "nothing"


def test_a_failure_that_a_workflow_leaves_comes_out(runs):
    def workflow():
        yield from run_operation(operation())

    with pytest.raises(NotFoundError):
        runs.run(workflow(), 404)


def test_a_failure_that_is_none_of_the_sdk_can_be_cleaned_up_after(runs):
    left = []

    def workflow():
        try:
            yield from run_operation(operation())
        except AssertionError:  # which comes out of a transport as it is
            left.append("cleaned up")
            raise

    with pytest.raises(AssertionError):
        runs.run(workflow(), AssertionError())
    assert left == ["cleaned up"]


class Interrupt(BaseException):
    """Stands for a KeyboardInterrupt or a cancellation."""


@pytest.mark.parametrize("how", ["run", "stream"])
def test_what_is_no_exception_closes_the_workflow_and_goes_through(runs, how):
    left = []

    def workflow():
        try:
            yield from run_operation(operation())
        except Exception:  # noqa: BLE001
            left.append("swallowed")
        finally:
            left.append("closed")
            raise RuntimeError("and its closing fails")

    with pytest.raises(Interrupt):
        runs.run(workflow(), Interrupt()) if how == "run" else runs.taken(workflow(), 1, Interrupt())
    assert left == ["closed"]


# ---- streams


def numbers(closed):
    try:
        for number in range(3):
            found = yield from run_operation(operation(lambda response, number=number: number * 10))
            assert (yield from emit_all([found])) is None
            yield from pause(number)
    finally:
        closed.append(True)


def test_a_stream_emits_its_items_in_turn_and_ends(runs):
    closed = []
    assert runs.taken(numbers(closed), 9) == [0, 10, 20]
    assert closed == [True]
    assert runs.clock.sleeps == [0, 1, 2]


def test_a_stream_does_nothing_before_it_is_asked_and_no_more_than_it_is_asked_for(runs):
    closed = []
    assert runs.taken(numbers(closed), 0) == []
    assert runs.transport.requests == []
    assert runs.taken(numbers(closed), 2) == [0, 10]
    assert len(runs.transport.requests) == 2
    assert runs.clock.sleeps == [0]


def test_closing_a_streams_iterator_closes_the_stream(runs):
    closed = []
    assert runs.taken(numbers(closed), 1) == [0]
    assert closed == [True]


def test_a_failure_in_a_stream_comes_out_after_what_was_emitted(runs):
    closed = []
    with pytest.raises(NotFoundError):
        runs.taken(numbers(closed), 9, 200, 404)
    assert closed == [True]


def test_a_streams_failure_is_its_own_to_handle(runs):
    def stream():
        try:
            yield from run_operation(operation())
        except NotFoundError:
            yield from emit_all(["instead"])

    assert runs.taken(stream(), 9, 404) == ["instead"]


def test_a_task_that_is_cancelled_within_a_stream_closes_it():
    closed = []

    async def main():
        async def hangs(request):
            await asyncio.sleep(60)

        transport = AsyncScript()
        transport.send = hangs
        client = AsyncMemtrace("http://server", "key", transport=transport)
        items = client._dispatcher.stream(numbers(closed))
        task = asyncio.ensure_future(anext(items))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(StopAsyncIteration):
            await anext(items)

    asyncio.run(main())
    assert closed == [True]


def test_a_sync_iterator_that_is_left_behind_closes_its_stream():
    closed = []
    with collecting() as collect:
        items = Runs("sync").dispatcher().stream(numbers(closed))
        assert next(items) == 0
        del items
        collect()
    assert closed == [True]


def test_streams_are_generators_and_no_coroutines():
    assert inspect.isgenerator(Runs("sync").dispatcher().stream(numbers([])))
    assert inspect.isasyncgen(Runs("asyncio").dispatcher().stream(numbers([])))

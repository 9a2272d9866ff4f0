"""What the two drivers hold, whatever a flow does: one body for both, and the real event loops where cancelling is the point."""

# ruff: noqa: BLE001  # to catch everything is what these middleware do wrong
import asyncio
import traceback

import pytest
import trio

from memtrace._flow.composition import compose
from memtrace._flow.drivers import drive, drive_async
from memtrace._flow.effects import call, lock, sleep
from memtrace._support.locks import Locks
from memtrace.exceptions import MiddlewareError, TransportError
from memtrace.transport import CallContext, Effect, Request, Response
from tests.conftest import AsyncScript, Runner, Script, StoppedClock
from tests.dealing import by_driver
from tests.garbage import collecting
from tests.sampling import crossed


class Interrupted(BaseException):
    """Stands for a cancellation, which is no Exception."""


def lost(text="gone", *, maybe_sent=True):
    return TransportError(text, cause="reset", maybe_sent=maybe_sent)


# ---- the same trace in both clients


def retrying(request, call_next):
    for wait in (1, 2):
        try:
            response = yield from call_next(request.with_header("x-attempt", str(wait)))
        except TransportError:
            yield from sleep(wait)
            continue
        if response.status != 503:
            return response
        yield from sleep(wait)
    return (yield from call_next(request))


def test_a_retrying_middleware_makes_the_same_trace_in_both_clients(runner):
    response = runner.call(retrying, lost(), 503, 201)
    assert response.status == 201
    assert [request.headers.get("x-attempt") for request in runner.requests] == ["1", "2", None]
    assert runner.clock.sleeps == [1, 2]
    assert runner.context.attempt == 3


def test_a_middleware_that_answers_by_itself_sends_nothing(runner):
    kept = {"/api/v1/memories": Response(200, body=b"kept")}

    def cache(request, call_next):
        if request.target in kept:
            return kept[request.target]
        response = yield from call_next(request)
        kept[request.target] = response
        return response

    assert runner.call(cache).body == b"kept"
    assert runner.requests == []
    assert runner.call(cache, Response(200, body=b"new"), target="/other").body == b"new"
    assert runner.call(cache, target="/other").body == b"new"
    assert runner.context.attempt == 1


def test_a_middleware_adds_a_header_and_another_takes_the_time(runner):
    took = []

    class Timer:
        def __call__(self, request, call_next):
            started = request.context.clock.monotonic()
            response = yield from call_next(request)
            took.append(request.context.clock.monotonic() - started)
            return response

    def trace(request, call_next):
        return (yield from call_next(request.with_header("x-trace", "7")))

    def slow(request):
        runner.clock.now += 1.5
        return Response(200)

    assert runner.call([Timer(), trace], slow).status == 200
    assert took == [1.5]
    assert runner.requests[0].headers["x-trace"] == "7"


def test_middleware_run_from_the_outermost_to_the_transport_and_back(runner):
    order = []

    def named(name):
        def middleware(request, call_next):
            order.append(f"{name} in")
            response = yield from call_next(request)
            order.append(f"{name} out")
            return response

        return middleware

    runner.call([named("a"), named("b")], lambda request: order.append("sent") or Response(200))
    assert order == ["a in", "b in", "sent", "b out", "a out"]


def test_a_flow_returns_what_it_computed(runner):
    def flow():
        yield from sleep(0)
        return 42

    assert runner.run(flow()) == 42


def test_a_flow_that_asks_for_nothing_returns_at_once(runner):
    def flow():
        return 42
        yield

    assert runner.run(flow()) == 42


def test_an_error_that_a_flow_raises_comes_out(runner):
    def middleware(request, call_next):
        yield from call_next(request)
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        runner.call(middleware)


def test_a_failure_of_the_transport_comes_out_where_nobody_handles_it(runner):
    error = lost()
    with pytest.raises(TransportError) as caught:
        runner.call([], error)
    assert caught.value is error


def test_an_unexpected_error_of_a_transport_is_thrown_in_too(runner):
    seen = []

    def middleware(request, call_next):
        try:
            return (yield from call_next(request))
        except ZeroDivisionError as error:
            seen.append(error)
            return Response(500)

    assert runner.call(middleware, ZeroDivisionError("bug")).status == 500
    assert len(seen) == 1


# ---- the context of a call


@by_driver(
    ("idempotency", "step", "maybe_applied"),
    [
        ("non_idempotent", lost(), True),
        ("keyed", lost(), True),
        ("idempotent", lost(), True),
        ("read", lost(), False),
        ("non_idempotent", lost(maybe_sent=False), False),
        ("non_idempotent", 502, True),
        ("non_idempotent", 504, True),
        ("read", 502, False),
        ("non_idempotent", 503, False),
        ("non_idempotent", 501, False),
        ("non_idempotent", 520, True),
        ("non_idempotent", 201, True),
        ("read", 201, False),
    ],
)
def test_the_context_knows_whether_something_may_have_been_applied(runner, idempotency, step, maybe_applied):
    runner.context.idempotency = idempotency

    def quiet(request, call_next):
        try:
            return (yield from call_next(request))
        except TransportError:
            return Response(0)

    runner.call(quiet, step)
    assert runner.context.maybe_applied is maybe_applied
    assert runner.context.attempt == 1


def test_a_transport_that_returns_no_response_is_told_what_is_due(runner):
    with pytest.raises(TypeError, match="returned dict, not a memtrace.transport.Response"):
        runner.call(retrying, lambda request: {"status": 200})


def test_what_may_have_been_applied_stays_so_after_a_later_success(runner):
    runner.call(retrying, lost(), 200)
    assert runner.context.maybe_applied is True
    assert runner.context.attempt == 2


def test_the_context_keeps_the_newest_failure(runner):
    first, second = lost("first"), lost("second")
    runner.call(retrying, first, second, 200)
    assert runner.context.last_cause is second


def test_a_hundred_failed_attempts_keep_every_traceback_short(runner):
    lengths = []

    def stubborn(request, call_next):
        for _ in range(100):
            try:
                return (yield from call_next(request))
            except TransportError as error:
                lengths.append(len(traceback.extract_tb(error.__traceback__)))
        return (yield from call_next(request))

    def fail(request):
        raise lost()

    with pytest.raises(TransportError) as caught:
        runner.call(stubborn, *[fail] * 101)
    assert len(lengths) == 100
    assert len(set(lengths)) == 1
    assert lengths[0] < 15
    assert len(traceback.extract_tb(caught.value.__traceback__)) < 30
    assert runner.context.attempt == 101


# ---- what is no Exception always comes out again


def swallows(request, call_next):
    try:
        return (yield from call_next(request))
    except BaseException:
        return Response(299)


def returns_in_finally(request, call_next):
    try:
        yield from call_next(request)
    finally:
        return Response(299)  # noqa: B012 - the trap itself


def sends_again(request, call_next):
    try:
        return (yield from call_next(request))
    except BaseException:
        return (yield from call_next(request))


def waits_first(request, call_next):
    try:
        return (yield from call_next(request))
    finally:
        yield from sleep(1)


def raises_another(request, call_next):
    try:
        return (yield from call_next(request))
    except BaseException as error:
        raise ValueError("mine") from error


def ignores_its_end(request, call_next):
    try:
        return (yield from call_next(request))
    except BaseException:
        try:
            yield from sleep(1)
        except BaseException:
            yield from sleep(1)


def breaks_while_it_is_closed(request, call_next):
    try:
        return (yield from call_next(request))
    except BaseException:
        try:
            yield from sleep(1)
        finally:
            raise ValueError("while closing")


NO_EXCEPTIONS = [KeyboardInterrupt(), SystemExit(3), Interrupted()]
ANYTHING = [
    swallows,
    returns_in_finally,
    sends_again,
    waits_first,
    raises_another,
    ignores_its_end,
    breaks_while_it_is_closed,
]


@pytest.mark.parametrize(
    ("driver_without_loop", "error", "middleware"),
    crossed(["sync", "by hand"], NO_EXCEPTIONS, ANYTHING),
    indirect=["driver_without_loop"],
    ids=lambda value: getattr(value, "__name__", None) or repr(value),
)
def test_what_is_no_exception_comes_out_whatever_a_middleware_does(driver_without_loop, error, middleware):
    with pytest.raises(type(error)) as caught:
        driver_without_loop.call(middleware, error)
    assert caught.value is error
    assert len(driver_without_loop.requests) == 1
    assert driver_without_loop.clock.sleeps == []


class _HandRun(Runner):
    """Steps the coroutine by hand: event loops have their own ways with KeyboardInterrupt and GeneratorExit."""

    def run(self, flow, *steps):
        if self.driver == "sync":
            return super().run(flow, *steps)
        self.transport = AsyncScript(*steps)
        coroutine = drive_async(flow, self.transport, self.locks, self.context)
        try:
            coroutine.send(None)
        except StopIteration as stop:
            return stop.value
        raise AssertionError("it waited for something")


@pytest.fixture(params=["sync", "by hand"])
def driver_without_loop(request):
    return _HandRun(request.param)


def test_a_cancelled_flow_ends_what_it_began(runner):
    order = []

    def outer(request, call_next):
        try:
            return (yield from call_next(request))
        finally:
            order.append("outer")

    def inner(request, call_next):
        try:
            return (yield from call_next(request))
        except Interrupted:
            order.append("seen")
            raise
        finally:
            order.append("inner")

    with pytest.raises(Interrupted):
        runner.call([outer, inner], Interrupted())
    assert order == ["seen", "inner", "outer"]


def test_what_a_middleware_raises_over_a_cancellation_stays_visible_as_its_cause(driver_without_loop):
    with pytest.raises(Interrupted) as caught:
        driver_without_loop.call(raises_another, Interrupted())
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_second_interrupt_out_of_a_flow_wins_over_the_first(driver_without_loop):
    def middleware(request, call_next):
        try:
            return (yield from call_next(request))
        except BaseException:
            raise KeyboardInterrupt from None

    with pytest.raises(KeyboardInterrupt):
        driver_without_loop.call(middleware, Interrupted())


def test_an_interrupt_while_sleeping_comes_out(runner):
    def interrupt(seconds):
        raise Interrupted

    runner.clock.sleep = interrupt
    with pytest.raises(Interrupted):
        runner.call(retrying, 503)


async def stuck(request):
    await asyncio.Event().wait()


class Stuck(AsyncScript):
    async def send(self, request):
        self.requests.append(request)
        await stuck(request)


def sending(request, call_next):
    return (yield from call_next(request))


def sleeping(request, call_next):
    yield from sleep(100)


def calling(request, call_next):
    yield from call(stuck, request)


def queueing(request, call_next):
    yield from lock("taken")
    yield from lock("taken")


@pytest.mark.parametrize("waiting", [sending, sleeping, calling, queueing], ids=lambda waiting: waiting.__name__)
def test_a_task_is_cancelled_whatever_it_waits_for(waiting):
    ended = []

    def noting(request, call_next):
        try:
            return (yield from call_next(request))
        except BaseException as error:
            ended.append(type(error))
            return Response(200)

    async def main():
        context = CallContext()
        request = Request("GET", "http://server", "/", context=context)
        task = asyncio.create_task(drive_async(compose([noting, waiting])(request), Stuck(), Locks(), context))
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    asyncio.run(main())
    assert ended == [asyncio.CancelledError]


def test_a_trio_scope_cancels_a_call_that_a_middleware_tries_to_save():
    class Stuck(AsyncScript):
        async def send(self, request):
            self.requests.append(request)
            await trio.sleep_forever()

    async def main():
        context = CallContext()
        transport = Stuck()
        flow = compose([sends_again, swallows])(Request("GET", "http://server", "/", context=context))
        with trio.CancelScope() as scope:
            scope.deadline = trio.current_time() + 0.02
            await drive_async(flow, transport, Locks(), context)
        assert scope.cancelled_caught
        assert len(transport.requests) == 1

    trio.run(main)


def test_a_timeout_around_a_call_becomes_a_timeout_and_no_answer():
    async def main():
        context = CallContext()
        flow = compose([swallows])(Request("GET", "http://server", "/", context=context))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(drive_async(flow, Stuck(), Locks(), context), 0.02)

    asyncio.run(main())


def test_a_coroutine_that_is_closed_half_way_closes_its_flow():
    ended = []

    class Stuck(AsyncScript):
        async def send(self, request):
            await asyncio.sleep(0)

    def middleware(request, call_next):
        try:
            return (yield from call_next(request))
        finally:
            ended.append("closed")

    context = CallContext(StoppedClock())
    coroutine = drive_async(
        compose([middleware])(Request("GET", "http://server", "/", context=context)), Stuck(), Locks(), context
    )
    coroutine.send(None)
    coroutine.close()
    assert ended == ["closed"]


def test_a_coroutine_that_is_never_awaited_leaves_nothing_but_pythons_own_warning():
    context = CallContext(StoppedClock())
    with collecting() as collect, pytest.warns(RuntimeWarning, match="never awaited"):  # noqa: PT031 - it takes all
        request = Request("GET", "http://s", "/", context=context)
        coroutine = drive_async(compose([])(request), Script(), Locks(), context)
        del coroutine
        collect()


def test_an_interrupt_inside_the_driver_itself_closes_the_flow():
    ended = []

    class Rude:
        """An effect whose kind cannot even be asked for."""

        @property
        def __class__(self):
            raise Interrupted

    def flow():
        try:
            yield Rude()
        finally:
            ended.append("closed")

    with pytest.raises(Interrupted):
        drive(flow(), Script(), Locks(), CallContext())
    assert ended == ["closed"]


# ---- effects that are none


@by_driver("thing", [None, 5, "text", Effect(), object])
def test_yielding_anything_by_hand_says_what_to_write(runner, thing):
    def middleware(request, call_next):
        yield thing
        return Response(200)

    with pytest.raises(MiddlewareError, match="always with 'yield from'"):
        runner.call(middleware)

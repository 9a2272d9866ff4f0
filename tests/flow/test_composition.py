"""What is said to those who write a middleware wrongly, and what `compose` checks."""

import functools
import inspect

import pytest

from memtrace._flow.composition import compose
from memtrace._flow.effects import call, sleep
from memtrace.exceptions import MiddlewareError, TransportError
from memtrace.transport import Flow, Response
from tests.dealing import by_driver

WRITE = r"Write: response = yield from call_next\(request\)"


def passes(request, call_next):
    return (yield from call_next(request))


def test_without_middleware_the_transport_answers(runner):
    assert runner.call([], 204).status == 204


def test_middleware_come_from_any_iterable_once(runner):
    handler = compose(iter([passes, passes]))
    for status in (200, 201):
        assert runner.run(handler(runner.request()), status).status == status


class Passes:
    def __call__(self, request, call_next):
        return passes(request, call_next)

    def run(self, request, call_next):
        return (yield from call_next(request))


@by_driver(
    "middleware",
    [passes, functools.partial(passes), Passes(), Passes().run],
    ids=["function", "partial", "object", "bound method"],
)
def test_anything_that_gives_a_generator_is_a_middleware(runner, middleware):
    assert runner.call(middleware, 200).status == 200


def forgets_to_run(request, call_next):
    call_next(request)
    return Response(200)
    yield


def test_a_forgotten_yield_from_is_told(runner):
    with pytest.raises(MiddlewareError, match=f"forgets_to_run called call_next.request. but did not run it. {WRITE}"):
        runner.call(forgets_to_run)
    assert runner.requests == []


def runs_one_of_two(request, call_next):
    first, second = call_next(request), call_next(request)
    yield from first
    return (yield from second)


def test_two_results_at_hand_at_the_same_time_are_refused(runner):
    with pytest.raises(MiddlewareError, match="twice and ran only one of them"):
        runner.call(runs_one_of_two)


def uses_one_result_twice(request, call_next):
    sending = call_next(request)
    yield from sending
    return (yield from sending)


def test_one_result_is_good_for_one_sending(runner):
    with pytest.raises(MiddlewareError, match=f"uses_one_result_twice used one result .* twice.*{WRITE}"):
        runner.call(uses_one_result_twice)
    assert len(runner.requests) == 1


def test_one_result_is_good_for_one_sending_also_after_another_was_made(runner):
    def middleware(request, call_next):
        first = call_next(request)
        yield from first
        call_next(request)
        yield from first

    with pytest.raises(MiddlewareError, match="used one result"):
        runner.call(middleware)


def test_call_next_kept_beyond_its_run_is_refused(runner):
    kept = []

    def keeps(request, call_next):
        kept.append(call_next)
        return (yield from call_next(request))

    runner.call(keeps)
    with pytest.raises(MiddlewareError, match=r"keeps kept call_next and used it after it had returned"):
        kept[0](runner.request())


def test_a_result_of_call_next_kept_beyond_its_run_is_refused(runner):
    kept = []

    def keeps(request, call_next):
        kept.append(call_next(request))
        raise TransportError("enough")
        yield

    def later(request, call_next):
        try:
            return (yield from call_next(request))
        except TransportError:
            return (yield from kept[0])

    with pytest.raises(MiddlewareError, match="keeps used one result"):
        runner.call([later, keeps])


def test_a_middleware_that_raised_has_its_call_next_refused_too(runner):
    kept = []

    def keeps(request, call_next):
        kept.append(call_next)
        yield from call_next(request)
        raise LookupError

    with pytest.raises(LookupError):
        runner.call(keeps)
    with pytest.raises(MiddlewareError, match="after it had returned"):
        kept[0](runner.request())


def yields_without_from(request, call_next):
    return (yield call_next(request))


def test_yield_without_from_is_told(runner):
    with pytest.raises(
        MiddlewareError, match=f"yields_without_from wrote 'yield' where 'yield from' is required. {WRITE}"
    ):
        runner.call(yields_without_from)


def test_yielding_an_effect_without_from_is_told(runner):
    def middleware(request, call_next):
        yield sleep(1)
        return Response(200)

    with pytest.raises(MiddlewareError, match="yielded generator. Yield only through .* always with 'yield from'"):
        runner.call(middleware)


async def is_async(request, call_next):
    return await call_next(request)


async def is_async_generator(request, call_next):
    yield call_next(request)


def is_plain(request, call_next):
    return call_next(request)


def answers_plainly(request, call_next):
    return Response(200)


def gives_nothing(request, call_next):
    pass


@by_driver(
    ("middleware", "told"),
    [
        (is_async, rf"is_async is an async function.*Use def, not async def. {WRITE}"),
        (is_async_generator, rf"is_async_generator is an async generator.*Use def, not async def. {WRITE}"),
        (is_plain, rf"is_plain returned call_next\(request\) itself. {WRITE}; return response"),
        (answers_plainly, rf"answers_plainly is not a generator function: it returned Response. {WRITE}"),
        (gives_nothing, rf"gives_nothing is not a generator function: it returned NoneType. {WRITE}"),
    ],
    ids=lambda given: getattr(given, "__name__", ""),
)
def test_what_is_no_generator_function_is_told_what_to_write(runner, middleware, told):
    with pytest.raises(MiddlewareError, match=told):
        runner.call(middleware)
    assert runner.requests == []


def test_call_next_awaited_is_told(runner):
    def middleware(request, call_next):
        async def helper():
            return await call_next(request)

        coroutine = helper()
        try:
            coroutine.send(None)
        finally:
            coroutine.close()
        return Response(200)
        yield

    with pytest.raises(MiddlewareError, match=rf"call_next\(request\) cannot be awaited. {WRITE}"):
        runner.call(middleware)


def ends_without_return(request, call_next):
    yield from call_next(request)


def returns_a_number(request, call_next):
    yield from call_next(request)
    return 200


def returns_a_flow(request, call_next):
    yield from call_next(request)
    return sleep(1)


def returns_call_next(request, call_next):
    yield from sleep(0)
    return call_next(request)


@by_driver(
    ("middleware", "told"),
    [
        (ends_without_return, "ends_without_return returned NoneType, not a Response. End it with: return response"),
        (returns_a_number, "returns_a_number returned int, not a Response"),
        (returns_a_flow, rf"returns_a_flow returned a flow that nobody ran. {WRITE}"),
        (returns_call_next, rf"returns_call_next returned a flow that nobody ran. {WRITE}"),
    ],
    ids=lambda given: getattr(given, "__name__", ""),
)
def test_what_is_returned_must_be_a_response(runner, middleware, told):
    with pytest.raises(MiddlewareError, match=told):
        runner.call(middleware)


@by_driver("thing", [None, "request", Response(200)])
def test_call_next_takes_a_request_only(runner, thing):
    def middleware(request, call_next):
        return (yield from call_next(thing))

    with pytest.raises(MiddlewareError, match=f"gave call_next a {type(thing).__name__}, not a Request"):
        runner.call(middleware)


def test_a_mistake_is_seen_by_the_middleware_around_it(runner):
    seen = []

    def outer(request, call_next):
        try:
            return (yield from call_next(request))
        except MiddlewareError as error:
            seen.append(error.message)
            raise

    with pytest.raises(MiddlewareError):
        runner.call([outer, gives_nothing])
    assert len(seen) == 1


def test_an_object_is_named_by_its_class_in_messages(runner):
    class Wrong:
        def __call__(self, request, call_next):
            return None

    with pytest.raises(MiddlewareError, match=r"Wrong is not a generator function"):
        runner.call(Wrong())


def test_helpers_that_are_flows_compose(runner):
    def twice(request, call_next) -> Flow[list]:
        answers = []
        for _ in range(2):
            response = yield from call_next(request)
            answers.append(response.status)
            yield from sleep(1)
        return answers

    def middleware(request, call_next):
        statuses = yield from twice(request, call_next)
        total = yield from call(sum, statuses)
        return Response(total)

    assert runner.call(middleware, 200, 201).status == 401


def test_a_call_closes_what_it_does_not_run(runner):
    """An async function given as middleware leaves no "never awaited" warning behind; warnings are errors here."""
    with pytest.raises(MiddlewareError):
        runner.call(is_async)
    assert inspect.iscoroutinefunction(is_async)

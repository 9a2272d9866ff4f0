"""Each broken middleware fails the contract, and only by the tests of the rule that it breaks."""

from __future__ import annotations

import functools
import logging
import random
import threading
import time
import uuid
from dataclasses import replace

import pytest

from memtrace.middleware import call, sleep
from memtrace.testing import MiddlewareContract, RankerContract, TransportContract
from memtrace.transport import Response, TransportError
from tests.contracts import noticing
from tests.sampling import sample

BROKEN = {}

noticed_by = functools.partial(noticing.noticed_by, table=BROKEN)


@noticed_by("what_ends_a_program", "a_cancelled_task")
class ForgetsToGiveItsSlotBack:
    def __init__(self):
        self.taken = set()

    def __call__(self, request, call_next):
        if self.taken:
            raise TransportError("too many at once", cause="connect", maybe_sent=False)
        response = None
        try:
            response = yield from call_next(request)
        except Exception as error:
            raise error from None
        finally:
            if response is None:
                self.taken.add(request)
        return response


@noticed_by("one_instance_serves_threads", "one_instance_serves_tasks", "a_call_that_succeeds")
class KeepsTheRequestInItself:
    def __call__(self, request, call_next):
        self.request = request
        response = yield from call_next(request)
        return Response(response.status, response.headers, self.request.target.encode())


@noticed_by("no_error_and_no_log")
class LogsHeaders:
    def __call__(self, request, call_next):
        logging.getLogger("broken").debug("%s", request.headers.multi_items)
        return (yield from call_next(request))


@noticed_by("no_error_and_no_log")
class ShowsBodiesInErrors:
    def __call__(self, request, call_next):
        try:
            return (yield from call_next(request))
        except TransportError as error:
            raise TransportError(f"{error} {request.body}", cause=error.cause, maybe_sent=error.maybe_sent) from None


async def wait():
    """Only an event loop can run it."""


@noticed_by(
    "it_does_the_same", "an_answer_comes_through", "what_ends", "one_instance_serves_threads", "a_call_that_succeeds"
)
class NeedsAnEventLoop:
    def __call__(self, request, call_next):
        yield from call(wait)
        return (yield from call_next(request))


@noticed_by("it_does_the_same")
class RollsUnseededDice:
    def __call__(self, request, call_next):
        response = yield from call_next(request)
        if response.status == 503:
            yield from sleep(random.SystemRandom().random())
        return response


@noticed_by("a_call_ends_with_a_response")
class RaisesErrorsOfItsOwn:
    def __call__(self, request, call_next):
        response = yield from call_next(request)
        if response.status == 429:
            raise LookupError("too many")
        return response


@noticed_by("an_answer_comes_through", "a_failure_stays_a_failure")
class TurnsFailuresIntoSuccesses:
    def __call__(self, request, call_next):
        response = yield from call_next(request)
        return Response(200) if response.status == 404 else response


@noticed_by("a_failure_stays_a_failure")
class SwallowsFailures:
    def __call__(self, request, call_next):
        try:
            return (yield from call_next(request))
        except TransportError as error:
            if not error.maybe_sent:
                raise
            return Response(200, body=b"{}")


@noticed_by("a_write_that_may_have_been_stored")
class RepeatsWrites:
    def __call__(self, request, call_next):
        try:
            return (yield from call_next(request))
        except TransportError:
            return (yield from call_next(request))


@noticed_by("a_call_that_succeeds_is_sent_once")
class SendsTwice:
    def __call__(self, request, call_next):
        response = yield from call_next(request)
        if response.status == 200:
            response = yield from call_next(request)
        return response


@noticed_by("a_call_that_succeeds_is_sent_once")
class DropsBodies:
    def __call__(self, request, call_next):
        return (yield from call_next(replace(request, body=None)))


@noticed_by("it_does_not_sleep_on_the_event_loop")
class SleepsOnTheLoop:
    def __call__(self, request, call_next):
        time.sleep(0.001)
        return (yield from call_next(request))


@noticed_by("no_error_and_no_log")
class PrintsHeaders:
    def __call__(self, request, call_next):
        print(request.headers.multi_items)  # noqa: T201 - the fault
        return (yield from call_next(request))


@noticed_by("one_instance_serves_tasks")
class HoldsALockAcrossAYield:
    def __init__(self):
        self.guard = threading.Lock()

    def __call__(self, request, call_next):
        with self.guard:
            return (yield from call_next(request))


@noticed_by("it_does_the_same")
class NumbersItsRequestsAnew:
    def __call__(self, request, call_next):
        return (yield from call_next(request.with_header("x-request-id", str(uuid.uuid4()))))


def rest():
    time.sleep(0)


class SleepsInAThread:
    """Not broken: under the async client a function that is called this way has a thread of its own."""

    def __call__(self, request, call_next):
        yield from call(rest)
        return (yield from call_next(request))


MODULE = """
import pytest
from memtrace.testing import MiddlewareContract
from memtrace.testing import _middleware_contract as middleware_contract
from tests.contracts import test_broken_middleware as broken

class TestIt(MiddlewareContract):
    {flags}

    @pytest.fixture
    def create(self):
        return broken.{name}
"""


IMPATIENT = """
    @pytest.fixture(autouse=True)
    def _what_hangs_is_not_waited_for_long(self, request, monkeypatch):
        if request.function.__name__ == "test_one_instance_serves_tasks_at_once":
            monkeypatch.setattr(middleware_contract, "_LONGEST", 0.5)
"""


def failures(pytester, broken, flags=""):
    return noticing.failures(pytester, MODULE.format(name=broken.__name__, flags=flags))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("broken", "flag"),
    [
        (NumbersItsRequestsAnew, 'volatile_headers = frozenset({"x-request-id"})'),
        (DropsBodies, "changes_bodies = True"),
    ],
)
def test_what_a_middleware_means_to_do_may_be_said(pytester, broken, flag):
    assert failures(pytester, broken, flag) == set()


@pytest.mark.slow
@pytest.mark.parametrize("broken", sample(BROKEN, 2), ids=lambda broken: broken.__name__)
def test_a_broken_middleware_is_caught(pytester, broken):
    flags = IMPATIENT if broken is HoldsALockAcrossAYield else ""
    assert noticing.astray(failures(pytester, broken, flags), BROKEN[broken]) == ([], [])


def test_a_middleware_may_sleep_in_a_thread(pytester):
    source = MODULE.format(name="SleepsInAThread", flags="")
    assert noticing.failures(pytester, source, "-k", "event_loop") == set()


def test_one_that_answers_by_itself_may_say_so(pytester):
    pytester.makepyfile("""
        import pytest
        from memtrace.testing import MiddlewareContract
        from memtrace.transport import Response

        def answer(request, call_next):
            return Response(404 if "agents" not in request.target else 200, body=request.target.encode())
            yield

        class TestIt(MiddlewareContract):
            answers_itself = True

            @pytest.fixture
            def create(self):
                return lambda: answer
    """)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-W", "ignore", "-q", "-k", "ends")
    assert result.ret == pytest.ExitCode.OK
    assert result.parseoutcomes()["skipped"] == 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("made", "text"),
    sample(
        [
            ("broken.LogsHeaders()", "missing 2 required positional arguments"),
            ("lambda: 3", "it made int"),
        ],
        1,
    ),
)
def test_a_fixture_that_makes_no_middleware_is_told_what_is_due(pytester, made, text):
    pytester.makepyfile(MODULE.format(name="LogsHeaders", flags="").replace("broken.LogsHeaders", made))
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-W", "ignore", "-q", "-k", "comes_through")
    result.stdout.fnmatch_lines([f"*Failed: the fixture create gives a function*{text}*"])


def test_a_contract_without_a_network_can_be_subclassed_further():
    first = type("First", (TransportContract,), {"network": False})
    second = type("Second", (first,), {})
    assert second.test_no_status_raises is None
    assert callable(second.test_a_second_close_does_nothing)


@pytest.mark.parametrize(
    ("contract", "name"), [(MiddlewareContract, "create"), (RankerContract, "create"), (TransportContract, "spec")]
)
def test_a_fixture_without_its_decorator_is_told(contract, name):
    with pytest.raises(TypeError, match=f"Mine.{name} needs the decorator @pytest.fixture"):
        type("Mine", (contract,), {name: lambda self: None})


@pytest.mark.parametrize(
    ("contract", "fixture"),
    sample(
        [
            ("TransportContract", "spec"),
            ("AsyncTransportContract", "spec"),
            ("MiddlewareContract", "create"),
            ("RankerContract", "create"),
        ],
        1,
    ),
)
def test_a_subclass_without_its_fixture_is_told_which(pytester, contract, fixture):
    pytester.makepyfile(f"from memtrace.testing import {contract}\nclass TestIt({contract}): pass")
    result = pytester.runpytest_inprocess(
        "-p", "no:cacheprovider", "-W", "ignore", "-q", "-k", "answer or closes or no_candidates"
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"*NotImplementedError: TestIt needs a fixture `{fixture}`*"])

"""Each broken middleware fails the contract, and only by the tests of the rule that it breaks."""

from __future__ import annotations

import logging
import random

import pytest

from memtrace.middleware import call, sleep
from memtrace.transport import Response, TransportError

BROKEN = {}


def noticed_by(*tests):
    """Put a broken middleware into the table, with the tests that fail for it."""

    def note(broken):
        BROKEN[broken] = tests
        return broken

    return note


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


@noticed_by("one_instance_serves_threads", "one_instance_serves_tasks")
class KeepsTheRequestInItself:
    def __call__(self, request, call_next):
        self.request = request
        response = yield from call_next(request)
        return Response(response.status, response.headers, self.request.target.encode())


@noticed_by("no_error_and_no_log")
class LogsHeaders:
    def __call__(self, request, call_next):
        logging.getLogger("broken").debug("%s", request.headers.pairs)
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


@noticed_by("it_does_the_same", "an_answer_comes_through", "what_ends", "one_instance_serves_threads")
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


@noticed_by("an_answer_comes_through")
class TurnsFailuresIntoSuccesses:
    def __call__(self, request, call_next):
        response = yield from call_next(request)
        return Response(200) if response.status == 404 else response


MODULE = """
import pytest
from memtrace.testing import MiddlewareContract
from tests.contracts import test_broken_middleware as broken

class TestIt(MiddlewareContract):
    @pytest.fixture
    def create(self):
        return broken.{name}
"""


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_middleware_is_caught(pytester, broken):
    pytester.makepyfile(MODULE.format(name=broken.__name__))
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-W", "ignore", "--tb=no", "-q")
    reports = [*result.reprec.getreports("pytest_runtest_logreport")]
    failed = {report.nodeid.rpartition("::")[2].partition("[")[0] for report in reports if report.failed}
    expected = BROKEN[broken]
    assert sorted(name for name in failed if not name.startswith(tuple(f"test_{rule}" for rule in expected))) == []
    assert sorted(rule for rule in expected if not any(name.startswith(f"test_{rule}") for name in failed)) == []
    assert any(report.passed and report.when == "call" for report in reports)


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
    result.assert_outcomes(passed=72, skipped=5)


@pytest.mark.parametrize(
    ("contract", "fixture"),
    [("TransportContract", "spec"), ("AsyncTransportContract", "spec"), ("MiddlewareContract", "create")],
)
def test_a_subclass_without_its_fixture_is_told_which(pytester, contract, fixture):
    pytester.makepyfile(f"from memtrace.testing import {contract}\nclass TestIt({contract}): pass")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-W", "ignore", "-q", "-k", "answer or closes")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"*NotImplementedError: TestIt needs a fixture `{fixture}`*"])

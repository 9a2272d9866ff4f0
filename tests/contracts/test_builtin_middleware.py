"""The built-in middleware keeps the public contract, and so does one with everything that a flow can ask for."""

import pytest

from memtrace.middleware import ApiKeyAuth, call, lock, log_attempts, raise_errors, sleep
from memtrace.testing import MiddlewareContract
from memtrace.transport import TransportError


class TestErrors(MiddlewareContract):
    @pytest.fixture
    def create(self):
        return lambda: raise_errors


class TestAuth(MiddlewareContract):
    @pytest.fixture
    def create(self):
        return lambda: ApiKeyAuth("some key")


class TestLogging(MiddlewareContract):
    @pytest.fixture
    def create(self):
        return lambda: log_attempts


def every_effect(request, call_next):
    """Sends again, waits, calls and queues."""
    with (yield from lock("turn")):
        yield from call(len, "a function that may block")
    try:
        response = yield from call_next(request)
    except TransportError as error:
        if error.maybe_sent:
            raise
        yield from sleep(0.25)
        response = yield from call_next(request)
    return response


class TestEveryEffect(MiddlewareContract):
    @pytest.fixture
    def create(self):
        return lambda: every_effect

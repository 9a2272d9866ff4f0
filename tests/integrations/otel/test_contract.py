"""Both keep the public contract of a middleware, with the SDK at work and without it.

A default run draws one of the four; `pytest --whole` runs them all.
"""

from typing import ClassVar

import pytest

from memtrace.integrations.opentelemetry import OpenTelemetryAttempts, OpenTelemetryCalls
from memtrace.testing import MiddlewareContract
from tests.sampling import sample

pytestmark = pytest.mark.framework

DRAWN = sample(["calls", "attempts", "calls without an SDK", "attempts without an SDK"], 1)


class TestCalls(MiddlewareContract):
    __test__ = "calls" in DRAWN
    volatile_headers: ClassVar = frozenset({"traceparent"})

    @pytest.fixture
    def create(self, collected):
        return lambda: OpenTelemetryCalls(**collected.providers)


class TestAttempts(MiddlewareContract):
    __test__ = "attempts" in DRAWN
    volatile_headers: ClassVar = frozenset({"traceparent"})

    @pytest.fixture
    def create(self, collected):
        return lambda: OpenTelemetryAttempts(**collected.providers)


class TestCallsWithoutAnSdk(MiddlewareContract):
    __test__ = "calls without an SDK" in DRAWN

    @pytest.fixture
    def create(self):
        return OpenTelemetryCalls


class TestAttemptsWithoutAnSdk(MiddlewareContract):
    __test__ = "attempts without an SDK" in DRAWN

    @pytest.fixture
    def create(self):
        return OpenTelemetryAttempts

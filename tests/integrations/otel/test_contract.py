"""Both keep the public contract of a middleware, with the SDK at work and without it."""

from typing import ClassVar

import pytest

from memtrace.integrations.opentelemetry import OpenTelemetryAttempts, OpenTelemetryCalls
from memtrace.testing import MiddlewareContract


class TestCalls(MiddlewareContract):
    volatile_headers: ClassVar = frozenset({"traceparent"})

    @pytest.fixture
    def create(self, collected):
        return lambda: OpenTelemetryCalls(**collected.providers)


class TestAttempts(MiddlewareContract):
    volatile_headers: ClassVar = frozenset({"traceparent"})

    @pytest.fixture
    def create(self, collected):
        return lambda: OpenTelemetryAttempts(**collected.providers)


class TestCallsWithoutAnSdk(MiddlewareContract):
    @pytest.fixture
    def create(self):
        return OpenTelemetryCalls


class TestAttemptsWithoutAnSdk(MiddlewareContract):
    @pytest.fixture
    def create(self):
        return OpenTelemetryAttempts

"""The real OpenTelemetry SDK, whose spans and metrics stay in memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from memtrace.integrations.opentelemetry import OpenTelemetryAttempts, OpenTelemetryCalls
from memtrace.middleware import after, before
from tests.contracts.drawing import draw, each_situation


def pytest_collection_modifyitems(config, items):
    draw(config, items, Path(__file__).parent / "test_contract.py", each_situation)


def traceparent(span):
    """The header by which a server finds this span."""
    ids = span.get_span_context()
    return f"00-{ids.trace_id:032x}-{ids.span_id:016x}-{ids.trace_flags:02x}"


class Collected:
    """What one pair of providers got."""

    def __init__(self):
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.meters = MeterProvider([self._reader])

    @property
    def providers(self):
        return {"tracer_provider": self.tracers, "meter_provider": self.meters}

    @property
    def calls(self):
        """The middleware of calls, in its place."""
        return before("errors", OpenTelemetryCalls(**self.providers))

    @property
    def attempts(self):
        """The middleware of attempts, in its place."""
        return after("log", OpenTelemetryAttempts(**self.providers))

    @property
    def spans(self):
        """The ended ones, in the order of their ends."""
        return self._exporter.get_finished_spans()

    def points(self, name):
        """The data points of one metric."""
        data = self._reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    def metrics(self):
        """Every metric by name."""
        data = self._reader.get_metrics_data()
        return {
            metric.name: metric
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@pytest.fixture
def collected():
    made = Collected()
    yield made
    made.tracers.shutdown()
    made.meters.shutdown()

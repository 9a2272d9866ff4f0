"""Spans and metrics for OpenTelemetry. Needs the extra ``opentelemetry``, which brings its API; the SDK is your application's."""

from memtrace.integrations.opentelemetry._attempts import OpenTelemetryAttempts
from memtrace.integrations.opentelemetry._buffers import watch_buffer
from memtrace.integrations.opentelemetry._calls import OpenTelemetryCalls

__all__ = ["OpenTelemetryAttempts", "OpenTelemetryCalls", "watch_buffer"]

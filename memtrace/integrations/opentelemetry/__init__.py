"""Spans and metrics for OpenTelemetry. Needs the extra ``opentelemetry``, which brings its API; the SDK is your application's."""

from memtrace.integrations.opentelemetry.attempts import OpenTelemetryAttempts
from memtrace.integrations.opentelemetry.buffers import watch_buffer
from memtrace.integrations.opentelemetry.calls import OpenTelemetryCalls

__all__ = ["OpenTelemetryAttempts", "OpenTelemetryCalls", "watch_buffer"]

"""A span and a duration for each request that goes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memtrace._flow.composition import CallNext
from memtrace._support.lazy_modules import LazyModule
from memtrace.middleware._placement import Position
from memtrace.plugins import MiddlewareSpec, hookimpl
from memtrace.transport import Flow, Request, Response

if TYPE_CHECKING:
    from opentelemetry import metrics, trace
else:
    metrics, trace = LazyModule("opentelemetry.metrics"), LazyModule("opentelemetry.trace")


class OpenTelemetryAttempts:
    """Trace attempts: one span of kind CLIENT for each request, by OpenTelemetry's HTTP conventions.

    Its duration is recorded in ``http.client.request.duration``, and its context is propagated
    (``traceparent``). ``url.full`` contains no query values, and no part of a path that could be a
    content. The installed name is ``"opentelemetry-attempts"``, placed after ``log``, last before
    the transport. Leave it out if the HTTP library itself is instrumented, or there are two spans
    for each request.

    Args:
        tracer_provider: Creates the spans. Default: the global provider.
        meter_provider: Records the metrics. Default: the global provider.

    Example:
        >>> from memtrace import Memtrace
        >>> client = Memtrace("memory://", "any key", middleware=["opentelemetry", "opentelemetry-attempts"])
    """

    def __init__(
        self,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        from memtrace.integrations.opentelemetry._spans import AttemptSpans

        self._signals = AttemptSpans(tracer_provider, meter_provider)

    def __call__(self, request: Request, call_next: CallNext) -> Flow[Response]:
        """Have the attempt made in its span."""
        return (yield from self._signals.observed(request, call_next))


@hookimpl
def memtrace_middleware() -> MiddlewareSpec:
    """The middleware ``opentelemetry-attempts``."""
    return MiddlewareSpec(
        create=OpenTelemetryAttempts,
        position=Position("after", "log"),
        requires=("opentelemetry.trace",),
        extra="opentelemetry",
    )

"""A span and a duration for each call of the SDK's user, with all its attempts and waits."""

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


class OpenTelemetryCalls:
    """Trace calls: one span of kind INTERNAL for each call, its duration, and its number of retries.

    The span is the current one while the call runs, and its context is propagated
    (``traceparent``). Its attributes are the operation, the server, the number of attempts and,
    after a failure, ``error.type``. They never contain a key, a content or an error's message. The
    installed name is ``"opentelemetry"``, placed before ``errors``, so that it sees what the caller
    gets.

    Args:
        tracer_provider: Creates the spans. Default: the global provider.
        meter_provider: Records the metrics. Default: the global provider.

    Example:
        >>> from memtrace import Memtrace
        >>> client = Memtrace("memory://", "any key", middleware=["opentelemetry"])
    """

    def __init__(
        self,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        from memtrace.integrations.opentelemetry._spans import CallSpans

        self._signals = CallSpans(tracer_provider, meter_provider)

    def __call__(self, request: Request, call_next: CallNext) -> Flow[Response]:
        """Have the call done in its span."""
        return (yield from self._signals.observed(request, call_next))


@hookimpl
def memtrace_middleware() -> MiddlewareSpec:
    """The middleware ``opentelemetry``."""
    return MiddlewareSpec(
        create=OpenTelemetryCalls,
        position=Position("before", "errors"),
        requires=("opentelemetry.trace",),
        extra="opentelemetry",
    )

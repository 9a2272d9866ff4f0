"""A span and a duration for each call of the SDK's user, with all its attempts and waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memtrace._flow.composition import CallNext
from memtrace.middleware._placement import Position
from memtrace.plugins import MiddlewareSpec, hookimpl
from memtrace.transport import Flow, Request, Response

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider


class OpenTelemetryCalls:
    """A middleware of calls: one span of kind INTERNAL for each, its duration, and how often it was repeated.

    The span is the current one while the call runs, and its context is sent along (``traceparent``). It says which
    operation, which server, how many attempts and, for a failure, ``error.type``: never a key, a content, or an error's text.
    Without providers the global ones are used. By name it is ``"opentelemetry"`` and stands before ``errors``, so that it
    sees what the caller gets.

    >>> from memtrace import Memtrace
    >>> client = Memtrace("memory://", "any key", middleware=["opentelemetry"])
    """

    def __init__(
        self, *, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
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

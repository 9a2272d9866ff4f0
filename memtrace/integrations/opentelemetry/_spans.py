"""Spans and measurements of calls and attempts: what they are called, what they say, when they begin and end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

from opentelemetry import context, propagate, trace
from opentelemetry.metrics import Meter, MeterProvider, get_meter
from opentelemetry.trace import Span, SpanKind, StatusCode, TracerProvider
from opentelemetry.util.types import AttributeValue

from memtrace._flow.composition import CallNext
from memtrace._version import __version__
from memtrace.exceptions import MemtraceError, ResponseDecodeError, TransportError
from memtrace.integrations.opentelemetry._attributes import route_of, server_of, shown_url
from memtrace.middleware._errors import is_failure
from memtrace.transport import Flow, Request, Response
from memtrace.transport._header_rules import is_header

SCOPE: Final = "memtrace"
"""The instrumentation scope of every span and metric."""

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.29.0"
"""The conventions by which attributes are named; all of those used are stable."""

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)

Attributes = dict[str, AttributeValue]


class _SpanSource(ABC):
    """One span and one duration for each passing of a request."""

    kind: SpanKind

    def __init__(self, tracer_provider: TracerProvider | None) -> None:
        self._tracer = trace.get_tracer(SCOPE, __version__, tracer_provider, SCHEMA_URL)

    def observed(self, request: Request, call_next: CallNext) -> Flow[Response]:
        """Send `request` on in its own span, and record how it ended."""
        clock = request.context.clock
        began = clock.monotonic()
        common = self.common(request)
        span = self._tracer.start_span(self.name(request), None, self.kind, {**common, **self.details(request)})
        token = context.attach(trace.set_span_in_context(span))
        ending: Attributes = {}
        try:
            response = yield from call_next(_with_context_of(request))
        except BaseException as error:
            ending = _failed(error)
            _tell_doubt(span, error)
            raise
        else:
            ending = self.answered(response, request)
            return response
        finally:
            context.detach(token)
            span.set_attributes({**ending, **self.results(request)})
            if "error.type" in ending:
                span.set_status(StatusCode.ERROR)  # without a description: error.type says it, and texts are kept out
            span.end()
            self.measure(request, clock.monotonic() - began, common, ending)

    @abstractmethod
    def name(self, request: Request) -> str:
        """What the span is called: one of few."""

    @abstractmethod
    def common(self, request: Request) -> Attributes:
        """What both the span and the metrics say of this request."""

    def details(self, request: Request) -> Attributes:
        """What the span alone says, at its beginning."""
        return {}

    def answered(self, response: Response, request: Request) -> Attributes:
        """Attributes of a response on both kinds of span."""
        said: Attributes = {"http.response.status_code": response.status}
        if is_failure(response, request):
            said["error.type"] = str(response.status)
        return said

    def results(self, request: Request) -> Attributes:
        """What the span alone says, at its end."""
        return {}

    @abstractmethod
    def measure(self, request: Request, seconds: float, common: Attributes, ending: Attributes) -> None:
        """Add to the metrics, at the end."""


class CallSpans(_SpanSource):
    """Those of a call, whatever it takes."""

    kind: SpanKind = SpanKind.INTERNAL

    def __init__(self, tracer_provider: TracerProvider | None, meter_provider: MeterProvider | None) -> None:
        super().__init__(tracer_provider)
        meter = meter_of(meter_provider)
        self._duration = meter.create_histogram(
            "memtrace.client.operation.duration",
            "s",
            "Duration of calls, with all their attempts and waits.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._retries = meter.create_counter(
            "memtrace.client.retries", "{retry}", "How many times a request was retried."
        )

    def name(self, request: Request) -> str:
        """As in ``memtrace memories.add``."""
        return f"memtrace {request.operation or request.method}"

    def common(self, request: Request) -> Attributes:
        """The operation and the server."""
        return {"memtrace.operation": request.operation or request.method, **_server(request)}

    def answered(self, response: Response, request: Request) -> Attributes:
        """A response that cannot be read is a failure, which the client raises once all middleware is done."""
        said = super().answered(response, request)
        if "error.type" not in said:
            try:
                request.context.read(response)
            except ResponseDecodeError as error:
                said["error.type"] = error.code
        return said

    def results(self, request: Request) -> Attributes:
        """How many attempts it took."""
        return {"memtrace.attempts": request.context.attempt}

    def measure(self, request: Request, seconds: float, common: Attributes, ending: Attributes) -> None:
        """The duration, and the attempts after the first."""
        self._duration.record(seconds, {**common, **ending})
        if request.context.attempt > 1:
            self._retries.add(request.context.attempt - 1, common)


class AttemptSpans(_SpanSource):
    """Those of one request, by the conventions for clients of HTTP."""

    kind: SpanKind = SpanKind.CLIENT

    def __init__(self, tracer_provider: TracerProvider | None, meter_provider: MeterProvider | None) -> None:
        super().__init__(tracer_provider)
        self._duration = meter_of(meter_provider).create_histogram(
            "http.client.request.duration",
            "s",
            "Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )

    def name(self, request: Request) -> str:
        """As in ``GET /api/v1/agents/{agent_id}``."""
        route = route_of(request.path)
        return request.method if route is None else f"{request.method} {route}"

    def common(self, request: Request) -> Attributes:
        """The method and the server."""
        return {"http.request.method": request.method, **_server(request)}

    def details(self, request: Request) -> Attributes:
        """The address, without contents, and how often it was sent before."""
        said: Attributes = {"url.full": shown_url(request.origin, request.target)}
        route = route_of(request.path)
        if route is not None:
            said["url.template"] = route
        if request.context.attempt > 0:
            said["http.request.resend_count"] = request.context.attempt
        return said

    def measure(self, request: Request, seconds: float, common: Attributes, ending: Attributes) -> None:
        """The duration."""
        self._duration.record(seconds, {**common, **ending})


def meter_of(provider: MeterProvider | None) -> Meter:
    """Where metrics are made."""
    return get_meter(SCOPE, __version__, provider, SCHEMA_URL)


def _server(request: Request) -> Attributes:
    host, port = server_of(request.origin)
    return {"server.address": host} if port is None else {"server.address": host, "server.port": port}


def _with_context_of(request: Request) -> Request:
    """The request with the headers by which the server finds this span. What could not be sent is left out."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    for name, value in carrier.items():
        if is_header(name, value):
            request = request.with_header(name, value)
    return request


def _failed(error: BaseException) -> Attributes:
    said: Attributes = {"error.type": _kind(error)}
    if isinstance(error, MemtraceError) and error.status_code:
        said["http.response.status_code"] = error.status_code
    return said


def _kind(error: BaseException) -> str:
    """One of few: the cause of a failed attempt, the slug of an error, else the class."""
    if type(error) is TransportError:
        return error.cause
    if isinstance(error, MemtraceError):
        return error.code
    module = type(error).__module__
    return type(error).__qualname__ if module == "builtins" else f"{module}.{type(error).__qualname__}"


def _tell_doubt(span: Span, error: BaseException) -> None:
    if isinstance(error, MemtraceError) and error.maybe_applied:
        span.set_attribute("memtrace.maybe_applied", True)  # noqa: FBT003  # an attribute's value

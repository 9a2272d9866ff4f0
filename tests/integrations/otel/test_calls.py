"""One span a call, with what it took and how it ended; its duration and its retries."""

import logging

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.trace import SpanKind, StatusCode

from memtrace import ConflictError, MemtraceError, NotFoundError, ResponseDecodeError, RetryPolicy
from memtrace.integrations.opentelemetry import OpenTelemetryCalls
from memtrace.transport import Response, TransportError
from memtrace_transports import FakeMemtrace, ManualClock
from memtrace_transports.memory import Fault
from tests.faces import json_response
from tests.integrations.otel.conftest import traceparent

pytestmark = pytest.mark.framework

EMPTY = json_response(200, '{"agents": [], "count": 0}')
ROW = json_response(
    201,
    '{"time":"2026-03-02T09:00:00Z","org_id":"o","agent_id":"a","memory_type":"episodic","event_type":"general","content":"c"}',
)


@pytest.fixture
def fake():
    return FakeMemtrace(clock=ManualClock())


def test_a_call_is_one_internal_span_that_says_operation_server_and_attempts(face, collected):
    client, _ = face.scripted(EMPTY, middleware=[collected.calls])
    client.agents.list()
    (span,) = collected.spans
    assert (span.name, span.kind, span.status.status_code) == (
        "memtrace agents.list",
        SpanKind.INTERNAL,
        StatusCode.UNSET,
    )
    assert dict(span.attributes) == {
        "memtrace.operation": "agents.list",
        "server.address": "server.test",
        "server.port": 80,
        "http.response.status_code": 200,
        "memtrace.attempts": 1,
    }
    assert span.instrumentation_scope.name == "memtrace"


def test_its_context_is_sent_along_and_it_is_a_child_of_the_current_span(face, collected):
    client, transport = face.scripted(EMPTY, middleware=[collected.calls])
    with collected.tracers.get_tracer("application").start_as_current_span("turn") as turn:
        client.agents.list()
    call, _ = collected.spans
    assert call.parent.span_id == turn.get_span_context().span_id
    assert transport.last.headers["traceparent"] == traceparent(call)


def test_it_is_the_current_span_while_the_call_runs_and_not_after_it(face, collected):
    current = []

    def look(request, call_next):
        current.append(trace.get_current_span().get_span_context().span_id)
        return (yield from call_next(request))

    def answer(request):
        current.append(trace.get_current_span().get_span_context().span_id)
        return EMPTY

    client, _ = face.scripted(answer, middleware=[collected.calls, look])
    client.agents.list()
    (span,) = collected.spans
    assert current == [span.get_span_context().span_id] * 2
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_an_error_is_told_by_its_slug_and_not_by_its_text(face, collected, fake):
    client = face.of(fake, middleware=[collected.calls])
    with pytest.raises(NotFoundError):
        client.agents.get("planted-name")
    client.remember("assistant", "once")
    with pytest.raises(ConflictError):
        client.remember("assistant", "once")
    missing, _, duplicate = collected.spans
    assert (missing.attributes["error.type"], missing.attributes["http.response.status_code"]) == ("not_found", 404)
    assert (duplicate.attributes["error.type"], duplicate.attributes["http.response.status_code"]) == (
        "duplicate_memory",
        409,
    )
    for span in (missing, duplicate):
        assert (span.status.status_code, span.status.description, span.events) == (StatusCode.ERROR, None, ())


def test_a_status_that_the_call_accepts_is_no_error(face, collected):
    client, _ = face.scripted(json_response(503, '{"status": "not ready"}'), middleware=[collected.calls])
    assert client.ready() is False
    (span,) = collected.spans
    assert (span.attributes["http.response.status_code"], span.status.status_code) == (503, StatusCode.UNSET)


def test_inside_of_errors_an_answer_of_300_and_above_is_a_failure_by_its_status(face, collected):
    middleware = OpenTelemetryCalls(**collected.providers)
    client, _ = face.scripted(Response(302), middleware=[middleware])
    with pytest.raises(MemtraceError):
        client.agents.list()
    (span,) = collected.spans
    assert (span.attributes["error.type"], span.status.status_code) == ("302", StatusCode.ERROR)


def test_an_answer_that_cannot_be_read_is_a_failure(face, collected):
    client, _ = face.scripted(json_response(200, "[]"), middleware=[collected.calls], retry=RetryPolicy(max_attempts=1))
    with pytest.raises(ResponseDecodeError):
        client.agents.list()
    (span,) = collected.spans
    assert span.attributes["error.type"] == "response_decode"


def test_a_write_whose_outcome_is_unknown_says_so(face, collected):
    lost = TransportError("gone", cause="reset", maybe_sent=True)
    client, _ = face.scripted(lost, middleware=[collected.calls], retry=RetryPolicy(max_attempts=1))
    with pytest.raises(TransportError):
        client.remember("assistant", "once")
    (span,) = collected.spans
    assert span.attributes["memtrace.maybe_applied"] is True
    assert span.attributes["error.type"] == "connection_failed"


def test_an_error_that_is_not_the_sdks_is_told_by_its_class(face, collected):
    class AcmeError(Exception):
        pass

    raised = [ZeroDivisionError("planted"), AcmeError("planted")]

    def broken(request, call_next):
        yield from call_next(request)
        raise raised.pop(0)

    client, _ = face.scripted(EMPTY, EMPTY, middleware=[collected.calls, broken])
    for kind in (ZeroDivisionError, AcmeError):
        with pytest.raises(kind):
            client.agents.list()
    assert [span.attributes["error.type"] for span in collected.spans] == [
        "ZeroDivisionError",
        f"{__name__}.{AcmeError.__qualname__}",
    ]
    assert all(span.events == () for span in collected.spans)


def test_retries_are_counted_and_the_duration_has_the_waits_in_it(face, collected, fake):
    fake.faults.add(Fault("reset", on="memories.add"))
    client = face.of(fake, middleware=[collected.calls])
    client.remember("assistant", "once")
    client.remember("assistant", "twice")
    (retries,) = collected.points("memtrace.client.retries")
    assert (retries.value, dict(retries.attributes)) == (
        1,
        {"memtrace.operation": "memories.add", "server.address": "memory"},
    )
    (duration,) = collected.points("memtrace.client.operation.duration")
    assert (duration.count, round(duration.sum, 6), round(duration.max, 6)) == (2, 1.5, 1.5)
    assert dict(duration.attributes) == {
        "memtrace.operation": "memories.add",
        "server.address": "memory",
        "http.response.status_code": 201,
    }
    assert [span.attributes["memtrace.attempts"] for span in collected.spans] == [2, 1]


def test_a_failed_calls_duration_has_its_kind(face, collected, fake):
    client = face.of(fake, middleware=[collected.calls])
    with pytest.raises(NotFoundError):
        client.agents.get("nobody")
    (duration,) = collected.points("memtrace.client.operation.duration")
    assert duration.attributes["error.type"] == "not_found"


def test_a_propagators_field_that_cannot_be_sent_is_left_out_and_the_call_is_made(face, collected, monkeypatch):
    def inject(carrier):
        carrier.update({"tracestate": "a=1", "x-broken": "a\nb", "bad name": "1"})

    monkeypatch.setattr("opentelemetry.propagate.inject", inject)
    client, transport = face.scripted(EMPTY, middleware=[collected.calls])
    client.agents.list()
    assert transport.last.headers["tracestate"] == "a=1"
    assert {"x-broken", "bad name"} & set(transport.last.headers) == set()


def test_baggage_is_sent_as_the_applications_propagators_have_it(face, collected):
    client, transport = face.scripted(EMPTY, middleware=[collected.calls])
    token = context.attach(baggage.set_baggage("tenant", "acme"))
    try:
        client.agents.list()
    finally:
        context.detach(token)
    assert transport.last.headers["baggage"] == "tenant=acme"


def test_without_an_sdk_nothing_is_sent_and_the_call_is_made(face):
    client, transport = face.scripted(EMPTY, middleware=["opentelemetry", "opentelemetry-attempts"])
    client.agents.list()
    assert "traceparent" not in transport.last.headers


def test_nothing_is_logged_when_spans_end(face, collected, caplog):
    caplog.set_level(logging.WARNING)
    client, _ = face.scripted(EMPTY, ROW, ZeroDivisionError(), middleware=[collected.calls, collected.attempts])
    client.agents.list()
    client.remember("a", "c")
    with pytest.raises(TransportError):
        client.agents.list()
    assert [record for record in caplog.records if record.name.startswith("opentelemetry")] == []

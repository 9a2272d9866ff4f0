"""One span a request, by the conventions for HTTP clients."""

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from memtrace import RetryPolicy
from memtrace.transport import TransportError
from memtrace_transports import FakeMemtrace, ManualClock
from memtrace_transports.memory import Fault
from tests.dealing import by_face
from tests.faces import json_response
from tests.integrations.otel.conftest import traceparent

pytestmark = pytest.mark.framework

EMPTY = json_response(200, '{"agents": [], "count": 0}')
BUSY = json_response(503, '{"error": "busy"}')


def test_a_request_is_one_client_span_with_what_the_conventions_ask_for(face, collected):
    client, transport = face.scripted(
        json_response(404, '{"error": "agent not found"}'), middleware=[collected.attempts]
    )
    with pytest.raises(Exception, match="agent not found"):
        client.agents.get("support-bot")
    (span,) = collected.spans
    assert (span.name, span.kind) == ("GET /api/v1/agents/{agent_id}", SpanKind.CLIENT)
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "server.address": "server.test",
        "server.port": 80,
        "url.full": "http://server.test/api/v1/agents/support-bot",
        "url.template": "/api/v1/agents/{agent_id}",
        "http.response.status_code": 404,
        "error.type": "404",
    }
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
    assert transport.last.headers["traceparent"] == traceparent(span)


def test_each_attempt_has_a_span_under_the_calls_with_the_number_of_its_resending(face, collected):
    fake = FakeMemtrace(clock=ManualClock())
    fake.faults.add(Fault("reset", on="memories.add"))
    client = face.of(fake, middleware=[collected.calls, collected.attempts])
    client.remember("assistant", "once")
    *attempts, call = collected.spans
    assert {span.parent.span_id for span in attempts} == {call.get_span_context().span_id}
    told = [
        (
            span.attributes["http.request.method"],
            span.attributes.get("http.request.resend_count"),
            span.attributes.get("error.type"),
        )
        for span in attempts
    ]
    assert told == [("POST", None, "reset"), ("GET", None, None), ("GET", None, None), ("POST", 1, None)]


def test_each_attempt_sends_the_context_of_its_own_span(face, collected):
    client, transport = face.scripted(
        BUSY, EMPTY, middleware=[collected.calls, collected.attempts], clock=ManualClock()
    )
    client.agents.list()
    sent = [request.headers.get_all("traceparent") for request in transport.requests]
    assert sent == [[traceparent(span)] for span in collected.spans[:2]]


@by_face("cause", ["connect", "timeout", "reset", "protocol"])
def test_an_attempt_without_an_answer_is_told_by_its_cause(face, collected, cause):
    error = TransportError("planted", cause=cause, maybe_sent=False)
    client, _ = face.scripted(error, middleware=[collected.attempts], retry=RetryPolicy(max_attempts=1))
    with pytest.raises(TransportError):
        client.agents.list()
    (span,) = collected.spans
    assert span.attributes["error.type"] == cause
    assert "http.response.status_code" not in span.attributes


def test_the_duration_is_the_conventions_metric_with_their_buckets(face, collected):
    clock = ManualClock()

    def slow(request):
        clock.advance(0.2)
        return EMPTY

    client, _ = face.scripted(slow, middleware=[collected.attempts], clock=clock)
    client.agents.list()
    metric = collected.metrics()["http.client.request.duration"]
    (point,) = metric.data.data_points
    assert (metric.unit, point.count, round(point.sum, 6)) == ("s", 1, 0.2)
    assert dict(point.attributes) == {
        "http.request.method": "GET",
        "server.address": "server.test",
        "server.port": 80,
        "http.response.status_code": 200,
    }
    assert list(point.explicit_bounds) == [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]


def test_no_key_and_no_content_is_in_a_span_or_a_metric(face, collected):
    fake = FakeMemtrace(clock=ManualClock())
    fake.faults.add(Fault("reset", on="memories.add"))
    client = face.of(fake, middleware=[collected.calls, collected.attempts])
    key = fake.organisation("planted-organisation", api_key="mtk_planted_key").api_key
    client = client.with_options(api_key=key)
    client.memories.add(
        agent_id="assistant",
        content="planted content",
        tags=["planted-tag"],
        metadata={"planted": "metadata"},
        dedup_key="planted key",
    )
    client.memories.list(tags=["planted-tag"])
    client.memories.filter(content_contains="planted content")
    told = "".join(span.to_json() for span in collected.spans) + repr(collected.metrics())
    assert "planted" not in told
    assert len(collected.spans) > 5


def test_a_route_that_is_not_known_has_no_template_and_a_name_without_it(runner, collected):
    runner.call(collected.attempts.middleware, 200, method="GET", target="/api/v1/unknown/what/was/said")
    (span,) = collected.spans
    assert span.name == "GET"
    assert "url.template" not in span.attributes
    assert span.attributes["url.full"] == "http://server/api/v1/unknown/REDACTED"

"""What is made again, what is not, and after what waits; on scripted answers and a clock that stands still."""

import copy
import json
import pickle

import pytest

from memtrace import (
    APIConnectionError,
    DeadlineExceededError,
    MemtraceError,
    NoArcInstanceError,
    RateLimitError,
    ResponseDecodeError,
    RetryPolicy,
    ServerError,
    TransportError,
)
from memtrace.transport import Headers, Response
from tests.conftest import StoppedClock
from tests.faces import json_response
from tests.retry.conftest import EXACT

AGENTS = json_response(200, '{"agents": [], "count": 0}')
SESSION = json_response(
    201,
    '{"id": "sess_1", "org_id": "o", "agent_id": "a", "status": "active",'
    ' "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}',
)
DOWN = json_response(500, '{"error": "failed to query memories: failed to query Arc: dial tcp: connection refused"}')
ENGINE = json_response(500, '{"error": "failed to query memories: Arc query failed (status 500): Out of Memory"}')
TIME = json_response(
    500,
    '{"error": "failed to query memories: Arc query failed (status 500): Conversion Error: invalid timestamp field format"}',
)
MEMORIES = json_response(200, '{"memories": [], "count": 0, "has_more": false}')


def refused():
    return TransportError("refused", cause="connect", maybe_sent=False)


def broken():
    return TransportError("broken", cause="reset", maybe_sent=True)


def saying(status, **headers):
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, Headers(fields), b'{"error": "wait"}')


class Scripted:
    """A client over a script, with its clock and what was sent."""

    def __init__(self, face, *steps, retry=EXACT, dedup="server", **settings):
        self.clock = StoppedClock()
        self.client, self.transport = face.scripted(*steps, clock=self.clock, retry=retry, dedup=dedup, **settings)

    @property
    def sent(self):
        return [request.method for request in self.transport.requests]


@pytest.mark.parametrize("failure", [refused, lambda: saying(429), lambda: saying(503)], ids=["refused", "429", "503"])
def test_what_surely_was_not_applied_is_repeated_for_every_call(face, failure):
    scripted = Scripted(face, failure(), failure(), AGENTS)
    assert scripted.client.agents.list().count == 0
    assert scripted.clock.sleeps == [0.25, 0.5]
    scripted = Scripted(face, failure(), failure(), SESSION)
    assert scripted.client.sessions.create(agent_id="a").id == "sess_1"
    assert scripted.sent == ["POST"] * 3


def test_an_organisation_without_storage_is_not_asked_again(face):
    answer = json_response(503, '{"error": "no arc instance configured for this org"}')
    scripted = Scripted(face, answer)
    with pytest.raises(NoArcInstanceError) as caught:
        scripted.client.memories.list()
    assert caught.value.attempts == 1
    assert scripted.clock.sleeps == []


LOST = [broken, lambda: saying(502), lambda: saying(504), lambda: json_response(200, "<html>")]


@pytest.mark.parametrize("failure", LOST, ids=["reset", "502", "504", "unreadable"])
def test_what_may_have_been_applied_is_repeated_for_reads_and_updates(face, failure):
    scripted = Scripted(face, failure(), AGENTS)
    assert scripted.client.agents.list().count == 0
    scripted = Scripted(face, failure(), SESSION)
    assert scripted.client.sessions.close("sess_1").id == "sess_1"
    assert scripted.sent == ["PUT", "PUT"]


@pytest.mark.parametrize("failure", LOST, ids=["reset", "502", "504", "unreadable"])
def test_a_session_that_may_have_been_created_is_not_created_again(face, failure):
    scripted = Scripted(face, failure())
    with pytest.raises(MemtraceError) as caught:
        scripted.client.sessions.create(agent_id="a")
    error = caught.value
    assert (error.maybe_applied, error.retryable, error.attempts, error.last_cause) == (True, False, 1, None)
    assert "sessions.list(agent_id=...)" in error.hint
    assert scripted.clock.sleeps == []


@pytest.mark.parametrize("failure", [DOWN, ENGINE], ids=["unreachable", "engine"])
def test_a_read_is_repeated_after_a_failure_of_the_storage(face, failure):
    scripted = Scripted(face, failure, failure, MEMORIES)
    assert scripted.client.memories.list().count == 0
    scripted = Scripted(face, failure)
    with pytest.raises(ServerError) as caught:
        scripted.client.sessions.close("sess_1")
    assert (caught.value.attempts, caught.value.maybe_applied) == (1, True)


@pytest.mark.parametrize("answer", [TIME, json_response(500, '{"error": "boom"}'), saying(500)])
def test_no_other_500_is_repeated(face, answer):
    scripted = Scripted(face, answer)
    with pytest.raises(MemtraceError) as caught:
        scripted.client.memories.list()
    assert caught.value.attempts == 1


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 405, 409, 413, 418, 501, 505])
def test_other_statuses_are_never_repeated(face, status):
    scripted = Scripted(face, saying(status))
    with pytest.raises(MemtraceError) as caught:
        scripted.client.agents.list()
    assert caught.value.attempts == 1
    assert scripted.clock.sleeps == []


def test_the_last_attempts_failure_comes_out_and_tells_of_the_one_before(face):
    scripted = Scripted(face, saying(429), broken(), saying(503))
    with pytest.raises(ServerError) as caught:
        scripted.client.agents.list()
    error = caught.value
    assert (error.status_code, error.attempts, error.elapsed, error.maybe_applied) == (503, 3, 0.75, False)
    assert isinstance(error.last_cause, APIConnectionError)
    assert (error.last_cause.message, error.last_cause.attempts) == ("broken", 2)
    assert "broken [agents.list: GET /api/v1/agents, 2 attempts" in str(error.last_cause)
    assert "3 attempts, 0.750 s" in str(error)


@pytest.mark.parametrize("failure", [broken, lambda: saying(503)], ids=["reset", "503"])
def test_an_error_after_many_attempts_pickles_and_copies_like_any_other(face, failure):
    scripted = Scripted(face, *[failure() for _ in range(1000)], retry=RetryPolicy(max_attempts=1000))
    with pytest.raises(MemtraceError) as caught:
        scripted.client.agents.list()
    for twin in (pickle.loads(pickle.dumps(caught.value)), copy.deepcopy(caught.value)):
        assert (twin.attempts, twin.last_cause.attempts, twin.last_cause.last_cause) == (1000, 999, None)


def test_one_attempt_means_one(face):
    scripted = Scripted(face, refused(), retry=RetryPolicy(max_attempts=1))
    with pytest.raises(APIConnectionError) as caught:
        scripted.client.agents.list()
    assert (caught.value.attempts, caught.value.last_cause) == (1, None)


def test_a_copy_repeats_as_it_is_told_and_its_original_as_before(face):
    scripted = Scripted(face, refused(), refused(), refused(), AGENTS)
    with pytest.raises(APIConnectionError) as caught:
        scripted.client.with_options(retry=RetryPolicy(max_attempts=2)).agents.list()
    assert caught.value.attempts == 2
    assert scripted.client.agents.list().count == 0


# ---- Retry-After


@pytest.mark.parametrize(
    ("headers", "waited"),
    [
        ({"retry_after": "7"}, 7),
        ({"retry_after": " 30 "}, 30),
        ({"retry_after": "0"}, 0.25),
        ({"retry_after": "-5"}, 0.25),
        ({"retry_after": "1.5"}, 0.25),
        ({"retry_after": "soon"}, 0.25),
        ({"retry_after": "²"}, 0.25),
        ({"retry_after": "Thu, 01 Jan 2026 00:00:09 GMT", "date": "Thu, 01 Jan 2026 00:00:00 GMT"}, 9),
        ({"retry_after": "Thu, 01 Jan 2026 00:00:00 GMT", "date": "Thu, 01 Jan 2026 00:00:09 GMT"}, 0.25),
        ({"retry_after": "Fri, 15 Jan 2027 08:16:50 GMT"}, 10),
        ({"retry_after": "Fri, 15 Jan 2027 08:16:50 GMT", "date": "yesterday"}, 10),
    ],
)
def test_the_server_may_ask_for_a_longer_wait(face, headers, waited):
    scripted = Scripted(face, saying(429, **headers), AGENTS)
    scripted.client.agents.list()
    assert scripted.clock.sleeps == [waited]


@pytest.mark.parametrize("text", ["31", "86400000000", "Fri, 15 Jan 2027 09:16:50 GMT"])
def test_a_wait_over_the_policys_bound_ends_the_call(face, text):
    scripted = Scripted(face, saying(429, retry_after=text))
    with pytest.raises(RateLimitError) as caught:
        scripted.client.agents.list()
    assert (caught.value.attempts, scripted.clock.sleeps) == (1, [])


# ---- deadlines


def test_nothing_waits_past_the_deadline(face):
    scripted = Scripted(face, saying(429, retry_after="5"), deadline=5.0)
    with pytest.raises(RateLimitError):
        scripted.client.agents.list()
    assert scripted.clock.sleeps == []
    scripted = Scripted(face, saying(429, retry_after="4"), AGENTS, deadline=5.0)
    assert scripted.client.agents.list().count == 0


def test_a_deadline_that_passes_during_an_attempt_ends_the_call(face):
    def late(request):
        scripted.clock.now += 10
        raise TransportError("late", cause="timeout", maybe_sent=True)

    scripted = Scripted(face, saying(429), late, deadline=5.0)
    with pytest.raises(DeadlineExceededError) as caught:
        scripted.client.agents.list()
    assert (caught.value.attempts, caught.value.last_cause.status_code) == (2, 429)


# ---- beside other middleware


def test_a_middleware_of_a_call_sees_one_call_and_one_of_an_attempt_each_attempt(face):
    seen = []

    def of(name):
        def middleware(request, call_next):
            seen.append(name)
            return (yield from call_next(request))

        return middleware

    scripted = Scripted(face, refused(), AGENTS, middleware=[of("call")], attempt_middleware=[of("attempt")])
    scripted.client.agents.list()
    assert seen == ["call", "attempt", "attempt"]


def test_an_answer_that_no_operation_reads_is_not_judged(face):
    def answered(request, call_next):
        return Response(200, body=AGENTS.body)
        yield

    scripted = Scripted(face, attempt_middleware=[answered])
    assert scripted.client.agents.list().count == 0
    assert scripted.sent == []


def test_an_answer_is_read_once_however_often_it_is_looked_at(face, monkeypatch):
    from memtrace.models import AgentList
    from memtrace.operations import _endpoints

    count = []
    reader = _endpoints._make_parser(AgentList)
    monkeypatch.setitem(_endpoints._PARSERS, AgentList, lambda response: count.append(1) or reader(response))
    Scripted(face, AGENTS).client.agents.list()
    assert len(count) == 1


def test_an_unreadable_answer_that_stays_so_says_so_after_the_last_attempt(face):
    scripted = Scripted(face, *[json_response(200, "<html>")] * 3)
    with pytest.raises(ResponseDecodeError) as caught:
        scripted.client.agents.list()
    assert (caught.value.attempts, caught.value.maybe_applied, caught.value.retryable) == (3, False, True)
    assert isinstance(caught.value.last_cause, ResponseDecodeError)


def test_keys_and_contents_are_in_no_error_of_a_repeated_write(face):
    garbled = json_response(201, json.dumps({"content": "planted"}))
    scripted = Scripted(face, *[garbled] * 20)
    with pytest.raises(MemtraceError) as caught:
        scripted.client.remember("assistant", "planted")
    error = caught.value
    while error is not None:
        assert "planted" not in f"{error} {error!r}"
        assert "mtk_key" not in f"{error} {error!r}"
        error = error.last_cause

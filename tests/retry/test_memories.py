"""A memory whose answer is lost is stored once, and the call says which: the fake has the real server's delays."""

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from memtrace import AddMemoryRequest, APIConnectionError, ConflictError, MemtraceError, RetryPolicy
from memtrace.exceptions import ResponseDecodeError
from memtrace.operations._sent_memories import server_dedup_key
from memtrace.transport import Headers, Response
from memtrace_transports import AsyncMemoryTransport, FakeMemtrace, ManualClock, MemoryTransport
from memtrace_transports.memory import Fault
from tests.conftest import StoppedClock
from tests.faces import json_response
from tests.retry.conftest import EXACT
from tests.retry.test_repeats import DOWN, Scripted, broken, refused, saying

WAYS = [
    Fault("reset", on="memories.add", applied=True),
    Fault("reset", on="memories.add"),
    Fault("status", on="memories.add", status=502, applied=True),
    Fault("status", on="memories.add", status=502),
    Fault("status", on="memories.add", status=504, applied=True),
    Fault("truncated", on="memories.add"),
    Fault("garbled", on="memories.add"),
]


def contents(fake):
    """What is stored, oldest first."""
    fake.flush()
    return [memory.content for memory in fake.client().memories.list(order="asc", limit=1000).memories]


@pytest.mark.parametrize("fault", WAYS, ids=lambda fault: fault.describe())
@pytest.mark.parametrize(
    "settings", [{"dedup": "server"}, {"dedup": "per_call"}], ids=["server's key", "key of the call"]
)
def test_whatever_is_lost_the_memory_is_stored_once_and_given(face, fake, client, fault, settings):
    client.remember("assistant", "before")
    fake.faults.add(fault)
    memory = client.with_options(**settings).memories.add(
        agent_id="assistant", content="User likes tea", tags=["a", "b"], metadata={"n": 1}
    )
    assert (memory.content, memory.tags, memory.metadata) == ("User likes tea", ["a", "b"], {"n": 1})
    assert contents(fake) == ["before", "User likes tea"]
    fake.faults.assert_all_used()


def test_between_the_attempts_the_first_can_be_seen(fake, client):
    fake.faults.add(WAYS[0])
    client.remember("assistant", "User likes tea")
    assert [call.operation for call in fake.calls] == ["memories.add", "memories.list", "memories.list"]
    assert fake.clock.monotonic() == 1.5
    assert dict(fake.calls[1].query) == {"since": "1m", "limit": "1"}
    fake.calls.clear()
    fake.faults.add(WAYS[1])
    client.remember("assistant", "User likes cake")
    assert [call.operation for call in fake.calls] == ["memories.add", "memories.list", "memories.list", "memories.add"]
    assert fake.clock.monotonic() == 3.0


def test_with_one_process_the_first_wait_may_be_left_out(fake, client):
    fake.faults.add(WAYS[0])
    client.with_options(retry=RetryPolicy(verify_before_retry="read")).remember("assistant", "User likes tea")
    assert fake.clock.monotonic() == 0.25
    assert contents(fake) == ["User likes tea"]


def test_what_was_stored_before_the_call_is_a_conflict_and_nothing_of_this_call_is_left(fake, client):
    client.remember("assistant", "User likes tea")
    fake.clock.advance(60)
    fake.faults.add(WAYS[1])
    with pytest.raises(ConflictError) as caught:
        client.remember("assistant", "User likes tea")
    error = caught.value
    assert (error.code, error.attempts, error.maybe_applied) == ("duplicate_memory", 2, False)
    assert error.last_cause.cause == "reset"
    assert contents(fake) == ["User likes tea"]


def test_a_caller_s_key_is_looked_up_like_the_servers_and_unlike_one_of_the_call(fake, client):
    client.memories.add(agent_id="assistant", content="old", dedup_key="k1")
    fake.clock.advance(60)
    for settings in ({"dedup": "server"}, {"dedup": "per_call"}):
        fake.faults.add(WAYS[1])
        with pytest.raises(ConflictError):
            client.with_options(**settings).memories.add(agent_id="assistant", content="new", dedup_key="k1")
        fake.clock.advance(5)
    fake.faults.add(WAYS[0])
    memory = client.memories.add(agent_id="assistant", content="new", dedup_key="k2")
    assert (memory.content, memory.dedup_key) == ("new", "k2")


def test_long_contents_that_begin_alike_are_told_apart(fake, client):
    begin = "x" * 200
    client.remember("assistant", begin + "one")
    fake.faults.add(WAYS[1])
    with pytest.raises(ConflictError) as caught:
        client.remember("assistant", begin + "two")
    assert not caught.value.maybe_applied


@pytest.mark.parametrize("key", ["back\\slash", "nul\0"])
def test_a_key_that_the_server_never_matches_is_not_repeated(fake, client, key):
    fake.faults.add(Fault("refused", on="memories.add"), Fault("reset", on="memories.add", nth=2, applied=True))
    with pytest.raises(APIConnectionError) as caught:
        client.memories.add(agent_id="assistant", content="c", dedup_key=key)
    assert (caught.value.attempts, caught.value.maybe_applied) == (2, True)


def test_unique_keys_keep_equal_contents_apart_and_a_callers_key_wins(fake, client):
    unique = client.with_options(dedup="per_call")
    keys = {unique.remember("assistant", "again").dedup_key for _ in range(3)}
    assert len(keys) == 3
    assert contents(fake) == ["again"] * 3
    assert unique.memories.add(agent_id="assistant", content="c", dedup_key="mine").dedup_key == "mine"
    result = unique.memories.add_many([AddMemoryRequest(agent_id="assistant", content="again")] * 2)
    assert len({memory.dedup_key for memory in result.stored} | keys) == 5


def test_a_request_of_the_callers_is_not_changed_by_a_key_of_the_call(client):
    request = AddMemoryRequest(agent_id="assistant", content="c")
    client.with_options(dedup="per_call").memories.add(request)
    assert request.dedup_key is None


# ---- when it cannot be known


def test_storage_that_is_down_means_no_repeat_and_an_unknown_outcome(fake, client):
    fake.faults.add(WAYS[0])
    fake.set_storage("default", "down")
    with pytest.raises(APIConnectionError) as caught:
        client.remember("assistant", "User likes tea")
    error = caught.value
    assert (error.attempts, error.maybe_applied, error.retryable) == (1, True, False)
    assert "memories.list(agent_id=...)" in error.hint
    assert fake.calls.filter("memories.add", status_code=0)
    assert len(fake.calls.filter("memories.add")) == 1
    assert len(fake.calls.filter("memories.list")) == 3


def test_storage_that_comes_back_during_the_reads_lets_the_write_be_repeated(fake, client):
    fake.faults.add(Fault("reset", on="memories.add", applied=True), Fault("storage_down", nth=2, seconds=1.4))
    client.with_options(retry=RetryPolicy(max_attempts=9, jitter=lambda: 1.0)).remember("assistant", "User likes tea")
    assert contents(fake) == ["User likes tea"]


def test_a_second_uncertain_attempt_verifies_again(fake, client):
    fake.faults.add(Fault("reset", on="memories.add", times=2))
    client.remember("assistant", "User likes tea")
    assert fake.clock.monotonic() == 3.0
    assert contents(fake) == ["User likes tea"]


def test_after_verifying_an_attempt_that_surely_failed_only_waits(fake, client):
    fake.faults.add(Fault("reset", on="memories.add"), Fault("status", on="memories.add", nth=2, status=503))
    client.remember("assistant", "User likes tea")
    assert fake.clock.monotonic() == 2.0
    assert contents(fake) == ["User likes tea"]


def hiding_the_first_answer_by(way):
    """An attempt middleware that gives away, or raises, this in place of the first answer."""

    def hide(request, call_next):
        response = yield from call_next(request)
        if request.operation != "memories.add" or request.context.attempt > 1:
            return response
        if isinstance(way, Exception):
            raise way
        return way

    return hide


@pytest.mark.parametrize(
    "settings", [{"dedup": "server"}, {"dedup": "per_call"}], ids=["server's key", "key of the call"]
)
@pytest.mark.parametrize("way", [saying(503), saying(429), refused()], ids=["503", "429", "refused"])
def test_an_attempt_middleware_that_hides_an_answer_does_not_have_the_memory_stored_twice(fake, client, way, settings):
    hiding = client.with_options(attempt_middleware=[hiding_the_first_answer_by(way)], **settings)
    assert hiding.remember("assistant", "User likes tea").content == "User likes tea"
    assert contents(fake) == ["User likes tea"]


@pytest.mark.parametrize("where", ["middleware", "attempt_middleware"])
def test_a_memory_that_a_middleware_changes_is_known_by_what_was_sent(fake, client, where):
    def reverse(request, call_next):
        if request.operation == "memories.add":
            body = json.loads(request.body)
            request = replace(request, body=json.dumps({**body, "content": body["content"][::-1]}).encode())
        return (yield from call_next(request))

    fake.faults.add(WAYS[0])
    assert client.with_options(**{where: [reverse]}).remember("assistant", "tea").content == "aet"
    fake.clock.advance(60)
    fake.faults.add(WAYS[1])
    with pytest.raises(ConflictError) as caught:
        client.with_options(**{where: [reverse]}).remember("assistant", "tea")
    assert not caught.value.maybe_applied
    assert contents(fake) == ["aet"]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"content": "other"}'], ids=["none", "a list", "not whole"])
def test_where_no_memory_was_sent_the_one_that_was_given_is_looked_for(face, body):
    def other(request, call_next):
        return (yield from call_next(replace(request, body=body) if request.method == "POST" else request))

    key = server_dedup_key(AddMemoryRequest(agent_id="a", content="c"))
    found = json_response(200, json.dumps({"memories": [row("2026-01-01T00:00:00Z", dedup_key=key)]}))
    scripted = Scripted(face, broken(), NOTHING, NOTHING, CONFLICT, found, attempt_middleware=[other])
    assert scripted.client.remember("a", "c").dedup_key == key


def test_a_session_whose_answer_an_attempt_middleware_hides_is_not_opened_twice(fake, client):
    def hide(request, call_next):
        yield from call_next(request)
        return saying(503)

    agent = client.agents.register(name="assistant")
    with pytest.raises(MemtraceError) as caught:
        client.with_options(attempt_middleware=[hide]).sessions.create(agent_id=agent.id)
    assert (caught.value.attempts, caught.value.maybe_applied) == (1, True)
    assert fake.client().sessions.list().count == 1


def test_a_deadline_without_time_to_verify_leaves_the_outcome_unknown_at_once(fake, client):
    fake.faults.add(WAYS[0])
    with pytest.raises(APIConnectionError) as caught:
        client.with_options(deadline=1.5).remember("assistant", "User likes tea")
    assert caught.value.maybe_applied
    assert fake.clock.monotonic() == 0


def test_a_refused_key_after_an_uncertain_attempt_leaves_the_outcome_unknown(face):
    scripted = Scripted(face, broken(), NOTHING, NOTHING, saying(401))
    with pytest.raises(MemtraceError) as caught:
        scripted.client.remember("assistant", "c")
    assert (caught.value.status_code, caught.value.maybe_applied, caught.value.attempts) == (401, True, 2)


def dated(response, text="Thu, 01 Jan 2026 00:00:00 GMT"):
    return Response(response.status, Headers({"date": text}), response.body)


CONFLICT = json_response(409, '{"error": "duplicate memory"}')
UNDATED = json_response(200, '{"memories": []}')
NOTHING = dated(UNDATED)


def test_a_conflict_that_cannot_be_looked_up_says_that_it_may_be_stored(face):
    scripted = Scripted(face, broken(), NOTHING, NOTHING, CONFLICT, *[DOWN] * 3)
    with pytest.raises(MemtraceError) as caught:
        scripted.client.remember("assistant", "c")
    error = caught.value
    assert (error.maybe_applied, error.attempts, error.request.operation) == (True, 2, "memories.add")
    assert "an earlier attempt may have stored it, and looking for it failed" in error.hint
    scripted = Scripted(face, broken(), NOTHING, NOTHING, CONFLICT, *[refused() for _ in range(3)])
    with pytest.raises(APIConnectionError) as caught:
        scripted.client.remember("assistant", "c")
    assert caught.value.maybe_applied


def test_a_key_of_the_call_that_conflicts_is_stored_even_where_its_row_is_not_found(face):
    scripted = Scripted(face, broken(), NOTHING, NOTHING, CONFLICT, NOTHING, dedup="per_call")
    with pytest.raises(ResponseDecodeError, match="the memory is stored") as caught:
        scripted.client.remember("assistant", "c")
    assert caught.value.maybe_applied


@pytest.mark.parametrize("body", ["[]", "{}", '{"memories": 5}', '{"memories": [5]}', "<html>", "[" * 100_000])
def test_a_verifying_read_has_to_be_readable(face, body):
    scripted = Scripted(face, broken(), *[json_response(200, body)] * 3)
    with pytest.raises(APIConnectionError):
        scripted.client.remember("assistant", "c")
    assert scripted.sent == ["POST", "GET", "GET", "GET"]


# ---- the server's clock


def row(time, **fields):
    found = {"time": time, "org_id": "o", "agent_id": "assistant", "memory_type": "episodic", "event_type": "general"}
    return {**found, "content": "c", "dedup_key": "k", **fields}


def test_rows_are_looked_for_from_the_calls_beginning_by_the_servers_clock(face):
    date = "Thu, 01 Jan 2026 00:00:10 GMT"
    rows = json_response(200, json.dumps({"memories": [row("2026-01-01T00:00:08.7Z")]}))
    scripted = Scripted(face, broken(), UNDATED, UNDATED, dated(CONFLICT, date), dated(rows, date))
    memory = scripted.client.memories.add(agent_id="assistant", content="c", dedup_key="k")
    assert memory.time == datetime(2026, 1, 1, 0, 0, 8, 700_000, tzinfo=timezone.utc)
    assert "since=2026-01-01T00:00:08.499999Z&order=asc" in scripted.transport.last.target.replace("%3A", ":")


BEGAN = datetime.fromtimestamp(StoppedClock().wall(), timezone.utc)


@pytest.mark.parametrize("date", ["", "yesterday"])
def test_without_a_date_rows_are_looked_for_by_a_span_of_the_servers_own_time(face, date):
    rows = json_response(200, json.dumps({"memories": [row(BEGAN.isoformat().replace("+00:00", "Z"))]}))
    scripted = Scripted(face, broken(), UNDATED, dated(rows, date))
    assert scripted.client.memories.add(agent_id="assistant", content="c", dedup_key="k").time == BEGAN
    assert scripted.sent == ["POST", "GET", "GET"]
    assert "since=2m&order=desc&" in scripted.transport.last.target


def test_without_a_date_an_equal_row_of_before_leaves_the_outcome_unknown(face):
    old = (BEGAN - timedelta(seconds=30)).isoformat().replace("+00:00", "Z")
    rows = json_response(200, json.dumps({"memories": [row(old)]}))
    scripted = Scripted(face, broken(), UNDATED, rows)
    with pytest.raises(APIConnectionError) as caught:
        scripted.client.memories.add(agent_id="assistant", content="c", dedup_key="k")
    assert (caught.value.maybe_applied, scripted.sent) == (True, ["POST", "GET", "GET"])


def test_a_search_among_many_rows_goes_on_to_the_end(face, fake, client):
    fake.faults.add(WAYS[0])
    writer = fake.client()

    def busy(call):
        if call.operation == "memories.list":
            writer.memories.add_many(
                AddMemoryRequest(agent_id="assistant", content=f"{len(fake.calls)} {n}") for n in range(1200)
            )
        return False

    fake.faults.add(Fault("refused", when=busy))
    assert client.remember("assistant", "User likes tea").content == "User likes tea"
    assert contents(fake)[0] == "User likes tea"


def test_a_server_whose_clock_is_an_hour_off_is_understood(face):
    server_clock = ManualClock(1_767_225_600.0 + 3600)

    class Together(ManualClock):
        def sleep(self, seconds):
            super().sleep(seconds)
            server_clock.advance(seconds)

        async def async_sleep(self, seconds):
            self.sleep(seconds)

    clock = Together()
    fake = FakeMemtrace(clock=server_clock, visibility="server")
    fake.client().remember("assistant", "old")
    server_clock.advance(5)
    transport = MemoryTransport(fake) if face.kind == "sync" else AsyncMemoryTransport(fake)
    client = face.client(
        "memory://", fake.organisation().api_key, transport=transport, clock=clock, retry=EXACT, dedup="server"
    )
    fake.faults.add(WAYS[0])
    assert client.remember("assistant", "new").content == "new"
    fake.faults.add(WAYS[1])
    with pytest.raises(ConflictError):
        client.remember("assistant", "old")


def test_every_way_of_writing_one_memory_takes_the_clients_keys(face, fake):
    client = face.of(fake, dedup="per_call")
    agent = client.agents.register(name="bot")
    with client.sessions.open(agent_id=agent.id) as session:
        for _ in range(2):
            client.remember("a", "same")
            client.decide("a", "same", "why")
            client.add_memory(AddMemoryRequest(agent_id="a", content="same"))
            client.memories.add(wait=True, agent_id="a", content="same")
            client.add_memories([AddMemoryRequest(agent_id="a", content="same")])
            session.remember("same")
            session.decide("same", "why")
    assert contents(fake) == ["same"] * 14


def test_each_read_that_fails_before_a_repeat_begins_the_verification_anew(fake, client):
    fake.faults.add(
        Fault("reset", on="memories.add", applied=True),
        Fault("status", on="memories.list", status=503, times=2, headers={"Retry-After": "4"}),
    )
    client.remember("assistant", "User likes tea")
    assert fake.clock.monotonic() == 3 * 1.25 + 2 * 4 + 0.25
    fake.faults.add(Fault("reset", on="memories.add", applied=True), Fault("refused", on="memories.list", times=2))
    began = fake.clock.monotonic()
    client.with_options(retry=RetryPolicy(verify_before_retry="read", jitter=lambda: 1.0)).remember(
        "assistant", "User likes cake"
    )
    assert fake.clock.monotonic() == began + 0.25 + 0.5 + 0.25
    assert contents(fake) == ["User likes tea", "User likes cake"]


def test_a_verifying_read_that_may_not_be_repeated_in_time_ends_the_call(fake, client):
    fake.faults.add(
        Fault("reset", on="memories.add", applied=True),
        Fault("status", on="memories.list", status=429, headers={"Retry-After": "3600"}),
    )
    with pytest.raises(APIConnectionError) as caught:
        client.remember("assistant", "User likes tea")
    assert (caught.value.maybe_applied, fake.clock.monotonic()) == (True, 1.25)


def test_a_server_that_gives_the_same_rows_for_ever_is_not_asked_for_ever(face):
    full = json_response(200, json.dumps({"memories": [row("2026-01-01T00:00:08.7Z")] * 1000}))
    scripted = Scripted(face, broken(), NOTHING, full, full)
    with pytest.raises(APIConnectionError) as caught:
        scripted.client.memories.add(agent_id="assistant", content="c", dedup_key="other")
    assert caught.value.maybe_applied
    scripted = Scripted(face, broken(), NOTHING, NOTHING, CONFLICT, full, full)
    with pytest.raises(ResponseDecodeError, match="the same rows again and again") as caught:
        scripted.client.memories.add(agent_id="assistant", content="c", dedup_key="other")
    assert caught.value.maybe_applied

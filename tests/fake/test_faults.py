"""The fault plan: what a user of a client meets, and what the server has stored by then."""

from __future__ import annotations

import time
from fnmatch import fnmatchcase

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from memtrace import (
    APIConnectionError,
    APITimeoutError,
    MemtraceError,
    NoArcInstanceError,
    RateLimitError,
    ResponseDecodeError,
    ServerError,
    TransportError,
)
from memtrace.transport import Headers, Request
from memtrace_transports.memory import FakeMemtrace, Fault, LoggedCall, MemoryTransport
from tests.faces import ONCE
from tests.fake.caller import API, Caller


def stored(fake: FakeMemtrace, org="default") -> list[str]:
    """What has been stored, whatever the plan still holds."""
    fake.faults.clear()
    fake.flush()
    return [memory.content for memory in fake.client(org, retry=ONCE).memories.list(order="asc").memories]


def failure(call) -> MemtraceError:
    with pytest.raises(MemtraceError) as caught:
        call()
    return caught.value


# which calls


def test_the_nth_call_of_an_operation_is_hit_and_no_other(fake, face):
    client = face.of(fake, retry=ONCE)
    fake.faults.add(Fault("reset", on="memories.add", nth=2))
    client.agents.list()
    client.remember("bot", "one")
    with pytest.raises(APIConnectionError):
        client.remember("bot", "two")
    client.remember("bot", "three")
    fake.faults.assert_all_used()
    assert stored(fake) == ["one", "three"]


def test_several_calls_in_a_row_are_hit_or_all_that_follow(fake):
    client = fake.client(retry=ONCE)
    fake.faults.add(
        Fault("refused", on="agents.list", times=2), Fault("refused", on="sessions.list", nth=2, times=None)
    )
    for _ in range(2):
        with pytest.raises(APIConnectionError):
            client.agents.list()
    assert client.agents.list().count == 0
    assert client.sessions.list().count == 0
    for _ in range(5):
        with pytest.raises(APIConnectionError):
            client.sessions.list()
    fake.faults.assert_all_used()


@pytest.mark.parametrize("on", ["agents.*", "*.list", "GET /api/v1/agents", "* /api/*", None])
def test_a_fault_is_for_operations_or_for_methods_and_paths(fake, on):
    client = fake.client(retry=ONCE)
    fake.faults.add(Fault("refused", on=on))
    with pytest.raises(APIConnectionError):
        client.agents.list()


@pytest.mark.parametrize("on", ["sessions.*", "POST /api/v1/agents", "memories.list"])
def test_other_calls_are_left_alone(fake, on):
    fake.faults.add(Fault("refused", on=on))
    assert fake.client(retry=ONCE).agents.list().count == 0
    assert fake.faults.unused() == [Fault("refused", on=on)]


@pytest.mark.parametrize(
    "on",
    [
        *("* *", "GET /*", "* /api/*", "*T /health", "HEAD /ready", "GET /api/v1/agents/bot-7/stats", "G?T *"),
        *("GET /api/v1/memories/*", "GET /api/v1/memories/some text", "PUT /api/v1/sessions/*", "GET /API/v1/Agents/"),
        *(
            "POST /api/v1/[ms]*",
            "DELETE /api/v1/agents/[!a]*",
            "* */memories",
            "GET /api/v1/*/*/memories",
            "GET /api/v1/agents/[",
        ),
    ],
)
def test_a_path_that_some_route_can_have_is_taken(on):
    assert Fault("refused", on=on).on == on


@pytest.mark.parametrize(
    ("on", "told"),
    [
        ("GET /api/v1/agent", r"did you mean 'GET /api/v1/agents'\?"),
        ("get /api/v1/agents", r"did you mean 'GET /api/v1/agents'\?"),
        ("POST /v1/memories", r"did you mean 'POST /api/v1/memories'\?"),
        ("GET api/v1/memories", "did you mean 'GET /api/v1/memories'"),
        ("PATCH /api/v1/sessions/*", "did you mean '[A-Z]+ /api/v1/sessions/"),
        ("GET /api/v1/agents/*/stat", "did you mean 'GET /api/v1/agents/\\*/stats'"),
        ("GET /api/v1/agents//stats", "did you mean"),
        ("POST /api/v1/agents/*/memories", "did you mean"),
        ("* /nowhere", 'is not a route of the server. What has no route is "unknown"'),
        ("GET /api/v1/memories?limit=5", "a path has no query"),
        ("GET ", "is not a route of the server"),
    ],
)
def test_a_path_that_no_route_can_have_is_refused_with_the_nearest(on, told):
    with pytest.raises(ValueError, match=told):
        Fault("refused", on=on)


ROUTES = ("/health", "/api/v1/memories", "/api/v1/agents/b-7", "/api/v1/sessions/[a]/memories", "/API/v1/agents/")


@given(st.data(), st.sampled_from(ROUTES), st.sampled_from(["GET", "HEAD"]))
def test_a_pattern_that_a_served_call_has_is_never_refused(data, path, method):
    call = f"{method} {path}"
    ways = [st.sampled_from([char] * 4 + ["?", "*", f"[{char}]", "[!~]", f"*{char}"]) for char in path]
    pattern = f"{method} {''.join(data.draw(st.tuples(*ways)))}"
    assume(fnmatchcase(call, pattern))  # a bracket that nothing closes is one
    Fault("refused", on=pattern)


def test_a_fault_is_for_one_organisation_by_name_by_id_or_itself(fake, face):
    acme = fake.organisation("acme")
    for org in ("acme", acme.org_id, acme):
        fake.faults.add(Fault("refused", org=org))
        assert face.of(fake, "globex", retry=ONCE).agents.list().count == 0
        with pytest.raises(APIConnectionError):
            face.of(fake, "acme", retry=ONCE).agents.list()
        fake.faults.assert_all_used()


def test_a_function_of_the_call_chooses(fake, face):
    client = face.of(fake, retry=ONCE)
    fake.faults.add(Fault("refused", on="memories.add", when=lambda call: call.arguments["agent_id"] == "a2"))
    client.remember("a1", "x")
    with pytest.raises(APIConnectionError):
        client.remember("a2", "x")
    assert stored(fake) == ["x"]


def test_what_such_a_function_raises_comes_out_of_the_call_and_no_fault_counts_it(fake, face):
    client = face.of(fake, retry=ONCE)
    fake.faults.add(Fault("refused", nth=2), Fault("reset", when=lambda call: call.arguments["missing"]))
    with pytest.raises(KeyError, match="missing"):
        client.agents.list()
    assert [str(call) for call in fake.calls] == ["agents.list: GET /api/v1/agents -> no response"]
    fake.faults.clear()
    assert client.agents.list().count == 0


def test_a_fault_before_one_whose_function_raises_does_not_count_the_call(fake):
    client, willing = fake.client(retry=ONCE), []
    fake.faults.add(Fault("refused"), Fault("reset", nth=9, when=lambda call: willing[0]))
    with pytest.raises(IndexError):
        client.agents.list()
    willing.append(True)
    with pytest.raises(APIConnectionError):
        client.agents.list()


def test_such_a_function_may_use_the_fake_and_its_plan(fake):
    def is_first(call: LoggedCall) -> bool:
        fake.faults.clear()
        return call.org_id == fake.organisation("acme").org_id and not fake.calls and fake.snapshot() is not None

    client = fake.client("acme", retry=ONCE)
    fake.faults.add(Fault("refused", when=is_first))
    with pytest.raises(APIConnectionError):
        client.agents.list()
    assert client.agents.list().count == 0


def test_of_faults_that_are_due_the_first_hits_and_the_others_stay_due_for_the_next_call(fake):
    client = fake.client(retry=ONCE)
    fake.faults.add(Fault("refused"), Fault("status", status=500), Fault("status", status=429, nth=2))
    assert isinstance(failure(client.agents.list), APIConnectionError)
    assert isinstance(failure(client.agents.list), ServerError)
    assert isinstance(failure(client.agents.list), RateLimitError)
    assert client.agents.list().count == 0
    fake.faults.assert_all_used()


def test_a_fault_that_waits_for_another_hits_as_many_calls_as_it_should(fake):
    client = fake.client(retry=ONCE)
    fake.faults.add(Fault("refused", nth=2, times=2), Fault("status", status=429, times=3))
    kinds = [type(failure(client.agents.list)) for _ in range(5)]
    first, second = APIConnectionError, RateLimitError
    assert kinds == [second, first, first, second, second]
    assert client.agents.list().count == 0
    fake.faults.assert_all_used()


def test_a_fault_without_an_end_keeps_those_after_it_from_hitting(fake):
    client = fake.client(retry=ONCE)
    fake.faults.add(Fault("refused", times=None), Fault("status", status=429))
    for _ in range(3):
        assert isinstance(failure(client.agents.list), APIConnectionError)
    assert fake.faults.unused() == [Fault("status", status=429)]


def test_a_fault_that_waits_hits_only_what_it_matches(fake):
    client = fake.client(retry=ONCE)
    fake.faults.add(Fault("refused"), Fault("status", status=429, on="agents.list"))
    assert isinstance(failure(client.agents.list), APIConnectionError)
    assert client.sessions.list().count == 0
    assert isinstance(failure(client.agents.list), RateLimitError)


def test_calls_without_a_route_or_a_key_are_hit_as_well(fake):
    caller = Caller(fake, fake.organisation())
    fake.faults.add(Fault("status", on="unknown", status=418, times=2), Fault("status", on="health", status=599))
    assert caller.send("GET", "/nothing").status == 418
    assert caller.send("POST", "/health").status == 418
    assert caller.send("GET", "/health", headers={}).status == 599
    fake.faults.assert_all_used()


# what goes wrong


def test_a_status_has_its_body_and_headers(fake, face):
    fake.faults.add(Fault("status", status=429, body=b'{"error":"slow down"}', headers={"Retry-After": "2"}))
    client = face.of(fake, retry=ONCE)
    error = failure(lambda: client.remember("bot", "x"))
    assert isinstance(error, RateLimitError)
    assert (error.message, error.maybe_applied, error.retryable) == ("slow down", False, True)
    assert stored(fake) == []


def test_a_status_is_answered_in_the_place_of_what_was_done(fake, face):
    fake.faults.add(Fault("status", status=500, applied=True))
    client = face.of(fake, retry=ONCE)
    error = failure(lambda: client.remember("bot", "x"))
    assert isinstance(error, ServerError)
    assert error.maybe_applied
    assert stored(fake) == ["x"]


def test_a_status_has_a_date_and_its_headers_and_no_body_for_head(fake):
    caller = Caller(fake, fake.organisation())
    fake.faults.add(Fault("status", times=2))
    get, head = (caller.send(method, API + "/agents") for method in ("GET", "HEAD"))
    assert (get.status, get.error, get.headers["date"]) == (503, "service unavailable", "Thu, 01 Jan 2026 00:00:00 GMT")
    assert (head.status, head.text, head.headers["content-type"]) == (503, "", "application/json")


def test_a_refused_connection_has_stored_nothing_and_the_client_knows(fake, face):
    fake.faults.add(Fault("refused"))
    client = face.of(fake, retry=ONCE)
    error = failure(lambda: client.remember("bot", "x"))
    assert isinstance(error, APIConnectionError)
    assert (error.cause, error.maybe_applied, error.retryable) == ("connect", False, True)
    assert stored(fake) == []


@pytest.mark.parametrize("applied", [False, True])
def test_after_a_reset_the_client_does_not_know_whether_it_was_stored(fake, face, applied):
    fake.faults.add(Fault("reset", applied=applied))
    client = face.of(fake, retry=ONCE)
    error = failure(lambda: client.remember("bot", "x"))
    assert isinstance(error, APIConnectionError)
    assert (error.cause, error.maybe_applied, error.retryable) == ("reset", True, False)
    assert stored(fake) == ["x"] * applied


def test_a_truncated_answer_is_an_error_that_says_so_and_the_write_is_stored(fake, face):
    fake.faults.add(Fault("truncated"))
    client = face.of(fake, retry=ONCE)
    error = failure(lambda: client.remember("bot", "x"))
    assert isinstance(error, TransportError)
    assert (error.cause, error.maybe_applied) == ("protocol", True)
    assert "the response was cut short" in str(error)
    assert stored(fake) == ["x"]


def test_a_garbled_answer_is_an_error_that_says_so_and_the_write_is_stored(fake, face):
    fake.faults.add(Fault("garbled"))
    client = face.of(fake, retry=ONCE)
    error = failure(lambda: client.remember("bot", "x"))
    assert isinstance(error, ResponseDecodeError)
    assert (error.status_code, error.maybe_applied) == (201, True)
    assert "json_invalid" in str(error)
    assert stored(fake) == ["x"]


def test_a_garbled_answer_that_should_have_no_body_is_an_error_too(fake, face):
    client = face.of(fake, retry=ONCE)
    agent = fake.seed_agent("default", "bob")
    fake.faults.add(Fault("garbled"))
    error = failure(lambda: client.agents.delete(agent))
    assert (type(error), error.cause, error.maybe_applied) == (TransportError, "protocol", True)
    assert client.agents.list().count == 0


@pytest.mark.parametrize("kind", ["delay", "slow_body"])
def test_a_late_answer_takes_its_time_by_the_fakes_clock_and_nobody_waits(fake, face, clock, kind):
    fake.faults.add(Fault(kind, seconds=25))
    client, started = face.of(fake, retry=ONCE), time.monotonic()
    client.remember("bot", "x")
    assert time.monotonic() - started < 20
    assert clock.monotonic() == 25


@pytest.mark.parametrize("kind", ["delay", "slow_body"])
def test_an_answer_later_than_the_timeout_is_a_timeout_and_the_write_is_stored(fake, face, clock, kind):
    fake.faults.add(Fault(kind, seconds=31))
    client, started = face.of(fake, retry=ONCE), time.monotonic()
    error = failure(lambda: client.remember("bot", "x"))
    assert isinstance(error, APITimeoutError)
    assert (error.maybe_applied, error.retryable) == (True, False)
    assert clock.monotonic() == 30
    assert time.monotonic() - started < 20
    assert stored(fake) == ["x"]


def test_a_delay_does_not_hold_up_others(face):
    fake = FakeMemtrace()
    other = fake.client(retry=ONCE)
    seen = []

    class WhileWaiting:
        def monotonic(self) -> float:
            return 0.0

        def wall(self) -> float:
            return 0.0

        def sleep(self, seconds: float) -> None:
            fake.faults.clear()
            seen.append((seconds, [memory.content for memory in other.recall("bot", since="2020-01-01").memories]))

        async def async_sleep(self, seconds: float) -> None:
            self.sleep(seconds)

    fake._clock = WhileWaiting()
    fake.faults.add(Fault("delay", seconds=1.5))
    face.of(fake, retry=ONCE).remember("bot", "x")
    assert seen == [(1.5, ["x"])]


@pytest.mark.parametrize("kind", ["delay", "slow_body"])
def test_a_delay_is_real_under_a_real_clock(face, kind):
    fake = FakeMemtrace()
    fake.faults.add(Fault(kind, seconds=0.05))
    client, started = face.of(fake, retry=ONCE), time.monotonic()
    client.agents.list()
    assert time.monotonic() - started >= 0.05


def test_a_connection_that_the_server_cuts_by_itself_stays_cut(fake):
    fake.faults.add(Fault("delay", seconds=5))
    key = Headers({"x-api-key": fake.organisation().api_key})
    with pytest.raises(TransportError, match="closed the connection"):
        MemoryTransport(fake).send(Request("POST", "memory://", API + "/memories", key, b"x" * (4 * 1024 * 1024 + 1)))


# storage


def test_storage_goes_down_comes_back_by_the_clock_and_what_waited_arrives(fake, face, clock):
    client = face.of(fake, retry=ONCE)
    client.remember("bot", "before")
    fake.faults.add(Fault("storage_down", on="memories.add", seconds=10))
    client.remember("bot", "while")
    clock.advance(9.9)
    assert isinstance(failure(lambda: client.recall("bot")), ServerError)
    assert not client.ready()
    clock.advance(0.1)
    assert client.ready()
    assert [memory.content for memory in client.recall("bot").memories] == ["while", "before"]
    fake.faults.assert_all_used()


def test_what_waited_arrives_as_late_as_on_the_server(fake, clock):
    caller = Caller(fake, fake.organisation("late", visibility="server"))
    fake.faults.add(Fault("storage_down", seconds=10))
    caller.add("x")
    clock.advance(10)
    assert caller.contents() == []
    clock.advance(0.1)
    assert caller.contents() == ["x"]


def test_settling_after_the_time_is_over_shows_what_waited(fake, clock):
    caller = Caller(fake, fake.organisation("late", visibility="server"))
    fake.faults.add(Fault("storage_down", seconds=10))
    caller.add("x")
    clock.advance(10)
    fake.flush()
    assert caller.contents() == ["x"]


def test_of_two_times_without_storage_the_one_that_ends_later_counts(fake, clock):
    client = fake.client(retry=ONCE)
    fake.faults.add(Fault("storage_down", seconds=10), Fault("storage_down", nth=2, seconds=1))
    for _ in range(2):
        with pytest.raises(ServerError):
            client.memories.list()
    clock.advance(5)
    with pytest.raises(ServerError):
        client.memories.list()
    clock.advance(5)
    assert client.memories.list().count == 0


def test_storage_that_is_missing_or_taken_down_by_hand_does_not_come_back(fake, clock):
    fake.set_storage("default", "none")
    fake.set_storage("acme", "down")
    fake.faults.add(*[Fault("storage_down", org=org, seconds=1) for org in ("default", "acme")])
    for org, kind in (("default", NoArcInstanceError), ("acme", ServerError)):
        client = fake.client(org, retry=ONCE)
        for _ in range(2):
            with pytest.raises(kind):
                client.memories.list()
            clock.advance(2)
    fake.faults.assert_all_used()


def test_storage_that_is_brought_up_by_hand_stays_up(fake, clock):
    client = fake.client(retry=ONCE)
    fake.faults.add(Fault("storage_down", seconds=10))
    with pytest.raises(ServerError):
        client.memories.list()
    fake.set_storage("default", "up")
    assert client.memories.list().count == 0
    fake.set_storage("default", "down")
    clock.advance(20)
    assert not client.ready()


def test_storage_of_the_other_organisations_stays_up(fake):
    fake.faults.add(Fault("storage_down", org="acme", seconds=10))
    with pytest.raises(ServerError):
        fake.client("acme", retry=ONCE).memories.list()
    assert fake.client("globex", retry=ONCE).memories.list().count == 0


def test_only_a_call_of_an_organisation_takes_storage_down(fake):
    caller = Caller(fake, fake.organisation())
    fake.faults.add(Fault("storage_down", seconds=10))
    assert caller.send("GET", "/health", headers={}).status == 200
    assert caller.send("GET", API + "/memories", headers={"x-api-key": "nobody's"}).status == 401
    assert len(fake.faults.unused()) == 1
    assert caller.get("/memories").status == 500


# a fake that takes any key


def test_the_first_call_of_any_key_can_be_hit(clock):
    fake = FakeMemtrace(clock=clock, any_key=True)
    caller = Caller(fake, fake.organisation())
    fake.faults.add(Fault("storage_down", seconds=10), Fault("reset", nth=2, when=lambda call: call.org_id is not None))
    new = {"x-api-key": "new"}
    assert caller.send("GET", API + "/memories", headers=new).status == 500
    with pytest.raises(TransportError):
        caller.send("GET", API + "/memories", headers=new)
    fake.faults.assert_all_used()
    assert caller.get("/memories").status == 200
    assert len({call.org_id for call in fake.calls}) == 2


# the plan


def test_faults_that_were_not_used_up_are_told_with_what_they_hit(fake):
    fake.client(retry=ONCE)
    fake.faults.add(
        Fault("reset", on="memories.add", nth=2, applied=True),
        Fault("status", status=429, org="acme", times=3),
        Fault("refused", org=fake.organisation("globex"), nth=4, times=None),
    )
    fake.faults.add(Fault("refused"))
    with pytest.raises(APIConnectionError):
        fake.client(retry=ONCE).remember("bot", "x")
    with pytest.raises(RateLimitError):
        fake.client("acme", retry=ONCE).agents.list()
    with pytest.raises(AssertionError) as caught:
        fake.faults.assert_all_used()
    assert str(caught.value).splitlines() == [
        "faults that were not used up:",
        "  reset after it was applied, on memories.add, call 2: hit 0 of 1 matching calls",
        "  status 429, on any call, of acme, calls 1 to 3: hit 1 of 1 matching calls",
        "  refused, on any call, of globex, calls 4 and all that follow: hit 0 of 0 matching calls",
    ]


def test_a_plan_has_a_length_and_can_be_forgotten(fake):
    fake.faults.add(Fault("refused", times=None), Fault("reset"))
    assert (len(fake.faults), repr(fake.faults)) == (2, "<FaultPlan, 2 faults>")
    fake.faults.clear()
    assert fake.client(retry=ONCE).agents.list().count == 0
    fake.faults.assert_all_used()


def test_calls_before_a_fault_was_added_do_not_count(fake):
    client = fake.client(retry=ONCE)
    client.agents.list()
    fake.faults.add(Fault("refused", nth=2))
    client.agents.list()
    with pytest.raises(APIConnectionError):
        client.agents.list()


def test_one_fault_may_stand_in_several_plans_and_places(fake, clock):
    fault, other = Fault("refused"), FakeMemtrace(clock=clock)
    fake.faults.add(fault, fault)
    other.faults.add(fault)
    for each in (fake, other, fake):
        each.client(retry=ONCE)
    with pytest.raises(APIConnectionError):
        other.client(retry=ONCE).agents.list()
    with pytest.raises(AssertionError):
        fake.faults.assert_all_used()


def test_a_fault_takes_nothing_by_reference_and_can_be_compared_and_hashed(fake):
    headers = {"Retry-After": "2"}
    fault = Fault("status", headers=headers)
    headers["Retry-After"] = "3"
    assert fault.headers == {"Retry-After": "2"}
    assert {fault: 1}[Fault("status", headers={"Retry-After": "2"})] == 1
    with pytest.raises(TypeError):
        fault.headers["x"] = "y"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "explode"}, "kind must be one of status, delay,"),
        ({"kind": "reset", "on": "memories.ad"}, r"'memories\.ad' is not an operation; did you mean 'memories\.add'\?"),
        ({"kind": "reset", "on": "sessions.close"}, r"did you mean 'sessions\.update'\?"),
        ({"kind": "reset", "on": "xyz*"}, r"'xyz\*' is not an operation\. There are memories\.add,"),
        ({"kind": "reset", "nth": 0}, "counted from 1"),
        ({"kind": "reset", "times": 0}, "counted from 1"),
        ({"kind": "refused", "applied": True}, "applied is for status and reset"),
        ({"kind": "delay"}, "seconds is for delay, slow_body, storage_down, and needed there"),
        ({"kind": "reset", "seconds": 1}, "seconds is for"),
        ({"kind": "delay", "seconds": -1}, "0 to 10 years"),
        ({"kind": "delay", "seconds": float("nan")}, "0 to 10 years"),
        ({"kind": "status", "status": 199}, "from 200 to 599"),
        ({"kind": "status", "body": "text"}, "body must be bytes"),
        ({"kind": "reset", "status": 500}, "status, body and headers are for a status"),
        ({"kind": "reset", "headers": {}}, "status, body and headers are for a status"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Fault(**settings)

"""The log of calls: what is written down, how it is chosen from, and what a failed assertion shows."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from memtrace import AddMemoryRequest, MemtraceError, TransportError
from memtrace.transport import Headers, Request
from memtrace_transports._engine.routes.request import read_query
from memtrace_transports.memory import CallLog, FakeMemtrace, Fault, LoggedCall
from memtrace_transports.memory._controls import call_log
from tests.faces import ONCE
from tests.fake.caller import API, Caller


def told(log: CallLog, *args, **kwargs) -> list[str]:
    with pytest.raises(AssertionError) as caught:
        log.assert_called(*args, **kwargs)
    return [line.strip() for line in str(caught.value).splitlines()]


def made(body: bytes | None = None, path: str = API + "/memories", **query: str) -> LoggedCall:
    return LoggedCall(
        "memories.add",
        method="POST",
        path=path,
        at=0.0,
        org="o",
        org_id="o",
        variable=None,
        query=query,
        body=body,
    )


# what is written down


def test_every_method_of_a_client_is_logged_by_its_operation(fake, face):
    client = face.of(fake)
    agent = client.agents.register(name="bot").id
    session = client.sessions.create(agent_id=agent).id
    client.remember("bot", "x")
    client.decide("bot", "y", "z")
    client.memories.add_many([AddMemoryRequest(agent_id="bot", content="v")])
    client.recall("bot")
    client.memories.filter(content_contains="x")
    client.agents.list()
    client.agents.get(agent)
    client.agents.memories("bot")
    client.agents.stats("bot")
    client.agents.get_or_register(name="bot")
    client.sessions.list()
    client.sessions.get(session)
    client.sessions.memories(session)
    client.sessions.context(session)
    client.sessions.update(session, metadata={"a": 1})
    client.sessions.close(session)
    client.health()
    client.ready()
    with pytest.raises(MemtraceError):
        client.agents.delete(agent)
    assert [call.operation for call in fake.calls] == [
        *("agents.register", "sessions.create", "memories.add", "memories.add", "memories.add_many"),
        *("memories.list", "memories.filter", "agents.list", "agents.get", "agents.memories", "agents.stats"),
        *("agents.register", "agents.get", "sessions.list", "sessions.get", "sessions.memories", "sessions.context"),
        *("sessions.update", "sessions.update", "health", "ready", "agents.delete"),
    ]
    assert {call.operation for call in fake.calls} <= set(call_log.OPERATIONS)


def test_a_call_has_its_time_organisation_path_and_status(fake, clock):
    clock.advance(5)
    fake.client("acme").remember("bot", "x")
    (call,) = fake.calls
    assert (call.method, call.path, call.status, call.fault) == ("POST", API + "/memories", 201, None)
    assert (call.org, call.org_id) == ("acme", fake.organisation("acme").org_id)
    assert call.at == clock.wall()
    assert str(call) == "memories.add: POST /api/v1/memories -> 201"
    assert "likes" not in repr(call)


def test_a_call_of_nobody_or_of_no_route_is_logged_too(fake):
    caller = Caller(fake, fake.organisation())
    caller.send("GET", API + "/agents", headers={"x-api-key": "wrong"})
    caller.send("GET", API + "/nothing?x=1")
    caller.send("POST", "/health")
    caller.get("/memories/some%20text")
    assert [(call.operation, call.org, call.status) for call in fake.calls] == [
        ("agents.list", None, 401),
        ("unknown", "default", 404),
        ("unknown", None, 405),
        ("memories.find", "default", 404),
    ]
    assert fake.calls[-1].arguments == {"text": "some text"}


def test_the_organisation_that_a_key_has_just_made_is_logged():
    fake = FakeMemtrace(any_key=True)
    Caller(fake, fake.organisation()).send("GET", API + "/agents", headers={"x-api-key": "new"})
    (call,) = fake.calls
    assert fake.organisation_by_id(call.org_id).api_key == "new"


def test_no_key_is_in_the_log(fake):
    fake.client("acme").agents.list()
    assert fake.organisation("acme").api_key not in f"{fake.calls[0]!r}{fake.calls[0]}{fake.calls!r}"


def test_what_went_wrong_by_plan_is_in_the_log(fake, face):
    client = face.of(fake, retry=ONCE)
    kinds = ("refused", "reset", "truncated", "status", "garbled")
    fake.faults.add(*[Fault(kind, nth=n) for n, kind in enumerate(kinds, 1)], Fault("delay", nth=6, seconds=99))
    for _ in range(6):
        with pytest.raises(MemtraceError):
            client.agents.list()
    assert [(call.fault, call.status) for call in fake.calls] == [
        *(("refused", 0), ("reset", 0), ("truncated", 0), ("status", 503), ("garbled", 200), ("delay", 200)),
    ]
    assert str(fake.calls[0]) == "agents.list: GET /api/v1/agents -> no response (refused)"


def test_a_connection_that_the_server_cut_has_no_status(fake):
    key = Headers({"x-api-key": fake.organisation().api_key})
    exchange = fake.exchange(Request("POST", "", API + "/memories", key, b"x" * (4 * 1024 * 1024 + 1)))
    assert exchange.failure.cause == "reset"
    assert [(call.operation, call.status, call.body) for call in fake.calls] == [("memories.add", 0, None)]


def test_a_batch_that_is_too_large_is_logged_as_one(fake):
    api = Caller(fake, fake.organisation())
    large = [{"agent_id": "bot", "content": "x" * 2_000_000} for _ in range(3)]
    for path in ("/memories", "/search"):
        with pytest.raises(TransportError):
            api.post(path, {"memories": large})
    assert [(call.operation, call.body) for call in fake.calls] == [
        ("memories.add_many", None),
        ("memories.filter", None),
    ]


BATCH = b'{"agent_id":"a","content":"x"}'


@pytest.mark.parametrize(
    ("body", "content_type", "operation", "status"),
    [
        (b'{"memories":[%s]}' % BATCH, "application/json", "memories.add_many", 201),
        (b'{"agent_id":"a","memories":[%s]}' % BATCH, "application/json", "memories.add_many", 201),
        (b' {"Memorie\xc5\xbf" : [%s]}' % BATCH, "application/vnd.x+json", "memories.add_many", 201),
        (b'{"\\u006demor\\u0069es":[%s]}' % BATCH, "application/json", "memories.add_many", 201),
        (b'{"memories":[{}]}', "application/json", "memories.add_many", 500),
        (b'{"memories":[null,{"tags":["t"]}]}', "application/json", "memories.add_many", 500),
        (b'{"memories":[]}', "application/json", "memories.add", 400),
        (b'{"memories":[],"agent_id":"a","content":"x"}', "application/json", "memories.add", 201),
        (b'{"memories":[1],"agent_id":"a","content":"x"}', "application/json", "memories.add", 201),
        (b'{"memories":[{"content":1}],"agent_id":"a","content":"x"}', "application/json", "memories.add", 201),
        (b'{"memories":[{}],"memories":null,"agent_id":"a","content":"x"}', "application/json", "memories.add", 201),
        (b'{"metadata":{"memories":[{}]},"agent_id":"a","content":"x"}', "application/json", "memories.add", 201),
        (b'{"agent_id":"a","content":"{\\"memories\\":[{}]}"}', "application/json", "memories.add", 201),
        (b'{"memories":[%s]} x' % BATCH, "application/json", "memories.add", 400),
        (b'{"memories":[%s' % BATCH, "application/json", "memories.add", 400),
        (b'[{"memories":[%s]}]' % BATCH, "application/json", "memories.add", 400),
        (b'{"memories":[%s]}' % BATCH, "text/plain", "memories.add", 400),
        (b'{"memories":[%s]}' % BATCH, "application/x-www-form-urlencoded", "memories.add", 400),
        (b"", "application/json", "memories.add", 400),
        (None, "application/json", "memories.add", 400),
    ],
)
def test_a_batch_is_what_the_server_reads_as_one(fake, body, content_type, operation, status):
    answer = Caller(fake, fake.organisation()).raw("POST", "/memories", body, content_type)
    assert (fake.calls[0].operation, answer.status) == (operation, status)
    assert answer.status >= 400 or ("memories" in answer.json) == (operation == "memories.add_many")


def test_a_fault_can_be_for_batches_alone(fake):
    api = Caller(fake, fake.organisation())
    fake.faults.add(Fault("status", on="memories.add_many"))
    assert api.add("x").status == 201
    assert api.post("/memories", {"agent_id": "a", "memories": [{"agent_id": "a", "content": "y"}]}).status == 503


def test_the_largest_body_that_the_server_takes_is_kept(fake):
    api = Caller(fake, fake.organisation())
    api.add("x" * (4 * 1024 * 1024 - 50))
    fake.calls.assert_called("memories.add", agent_id="bot")


# arguments


def test_arguments_are_fields_parameters_and_ids(fake, face):
    client = face.of(fake)
    client.memories.add(agent_id="bot", content="x", tags=["a", "b"], importance=0.5)
    client.memories.list(agent_id="bot", limit=20, tags=["a", "b"], tags_match="substring")
    client.agents.stats("bot")
    session = client.sessions.create(agent_id=client.agents.register(name="a b").id).id
    client.sessions.close(session)
    log = fake.calls
    log.assert_called("memories.add", agent_id="bot", tags=["a", "b"], importance=0.5)
    log.assert_called("memories.add", tags=("a", "b"))
    log.assert_called("memories.list", limit=20, tags=["a", "b"])
    log.assert_called("memories.list", limit="20", tags=("a", "b"), agent_id="bot")
    log.assert_called("agents.stats", agent_id="bot")
    log.assert_called("sessions.update", session_id=session, status="closed", times=1)
    log.assert_not_called("memories.list", limit=True)
    log.assert_not_called("memories.list", limit=2)
    log.assert_not_called("memories.add", session_id=None)


@pytest.mark.parametrize("body", [None, b"", b"{", b"[1]", b"[" * 100_000, b"\xff"])
def test_a_body_that_is_no_object_has_no_arguments(body):
    assert made(body).arguments == {}


# headers


def test_the_headers_that_were_sent_are_logged_without_the_key(fake, face):
    client = face.of(fake, headers={"X-Run": "nightly", "Cookie": "who=acme"})
    client.remember("bot", "x")
    (call,) = fake.calls
    assert {name: call.headers[name] for name in ("x-run", "cookie", "x-api-key", "content-type")} == {
        "x-run": "nightly",
        "cookie": "***",
        "x-api-key": "***",
        "content-type": "application/json",
    }
    assert fake.organisation().api_key not in str(call.headers)


def test_a_call_is_found_by_its_headers_in_any_case_of_their_names(fake):
    for run in ("nightly", "daily"):
        fake.client(headers={"X-Run": run}).agents.list()
    fake.client().agents.list()
    log = fake.calls
    assert [len(log.filter(headers=headers)) for headers in ({"x-run": "nightly"}, {"X-RUN": "daily"}, {}, None)] == [
        *(1, 1, 3, 3),
    ]
    log.assert_called("agents.list", headers={"X-Run": "daily"}, times=1)
    log.assert_not_called("agents.list", headers={"X-Run": "weekly"})
    assert told(log, "agents.list", headers={"X-Run": "weekly"}) == [
        "expected at least 1 call to agents.list(headers={'X-Run': 'weekly'}), got 0",
        "nearest: agents.list: GET /api/v1/agents -> 200, with header X-Run='nightly'",
        "next: agents.list: GET /api/v1/agents -> 200, with header X-Run='daily'",
        "next: agents.list: GET /api/v1/agents -> 200, with no header X-Run",
        "all calls: agents.list (3)",
    ]


@pytest.mark.parametrize("name", ["X-API-Key", "authorization", "Proxy-Authorization", "cookie"])
def test_a_secret_is_refused_so_that_no_assertion_holds_for_want_of_it(fake, name):
    for use in (fake.calls.filter, fake.calls.assert_called, fake.calls.assert_not_called):
        with pytest.raises(ValueError, match=f"the log keeps no value of {name}; org= finds"):
            use("agents.list", headers={name: "a key"})


# choosing


def test_a_log_is_a_sequence(fake):
    client = fake.client()
    for name in "abc":
        client.remember("bot", name)
    assert len(fake.calls) == 3
    assert fake.calls[0].arguments["content"] == "a"
    assert [call.arguments["content"] for call in fake.calls[1:]] == ["b", "c"]
    assert isinstance(fake.calls[1:], CallLog)
    assert repr(fake.calls) == "<CallLog, 3 calls>"
    assert fake.calls[-1] in fake.calls
    fake.calls.clear()
    assert list(fake.calls) == []


def test_a_filter_chooses_by_operation_organisation_status_and_arguments(fake):
    acme, globex = fake.client("acme"), fake.client("globex")
    acme.remember("a1", "x")
    globex.remember("a1", "x")
    acme.remember("a2", "x")
    with pytest.raises(MemtraceError):
        acme.remember("a1", "x")
    acme.agents.list()
    log, acme_id = fake.calls, fake.organisation("acme").org_id
    assert [len(log.filter(*names)) for names in ((), ("memories.*",), ("agents.list",), ("sessions.*",))] == [
        5,
        4,
        1,
        0,
    ]
    assert [len(log.filter(org=org)) for org in ("acme", acme_id, "globex", "nobody")] == [4, 4, 1, 0]
    assert [call.arguments["agent_id"] for call in log.filter(status_code=409)] == ["a1"]
    assert len(log.filter("memories.add", org="acme", agent_id="a1")) == 2
    assert len(log.filter(org="acme").filter(status_code=201)) == 2


def test_an_assertion_may_be_about_one_organisation(fake):
    fake.client("acme").remember("bot", "x")
    fake.client("globex").agents.list()
    fake.calls.assert_called("memories.add", org="acme")
    fake.calls.assert_not_called("memories.add", org="globex")
    assert told(fake.calls, "memories.add", org="globex") == [
        "expected at least 1 call to memories.add() by globex, got 0",
        "all calls: agents.list (1)",
    ]


@pytest.mark.parametrize("name", ["memories.ad", "memories.recall", "*.lists", ""])
def test_an_operation_that_no_call_can_be_is_refused_so_that_no_assertion_holds_for_a_slip(fake, name):
    for use in (fake.calls.filter, fake.calls.assert_called, fake.calls.assert_not_called):
        with pytest.raises(ValueError, match="is not an operation"):
            use(name)


def test_methods_without_a_route_of_their_own_are_told_what_they_send(fake):
    for method, operation in (("memories.recall", "memories.list"), ("agents.get_or_register", "agents.register")):
        with pytest.raises(ValueError, match=f"did you mean '{operation}'"):
            fake.calls.filter(method)


# what a failed assertion shows


def test_the_near_misses_are_shown_with_what_they_have_otherwise_the_nearest_first(fake):
    client = fake.client()
    client.agents.list()
    client.memories.add(agent_id="a2", content="x", event_type="note")
    client.memories.add(agent_id="a1", content="y" * 500, event_type="note")
    assert told(fake.calls, "memories.add", agent_id="a1", event_type="error", session_id="s1") == [
        "expected at least 1 call to memories.add(agent_id='a1', event_type='error', session_id='s1'), got 0",
        "nearest: memories.add: POST /api/v1/memories -> 201, with event_type='note', no session_id",
        "next: memories.add: POST /api/v1/memories -> 201, with agent_id='a2', event_type='note', no session_id",
        "all calls: memories.add (2), agents.list (1)",
    ]
    (_, *near, _) = told(fake.calls, "memories.add", content="z")
    assert [len(line) < 300 for line in near] == [True, True]
    assert near[1].endswith("yyy…")


def test_without_a_near_miss_it_is_shown_what_was_called_instead(fake):
    client = fake.client()
    for _ in range(2):
        client.agents.list()
    client.sessions.list()
    assert told(fake.calls, "memories.add", agent_id="a1") == [
        "expected at least 1 call to memories.add(agent_id='a1'), got 0",
        "all calls: agents.list (2), sessions.list (1)",
    ]
    assert told(FakeMemtrace().calls, "memories.add") == [
        "expected at least 1 call to memories.add(), got 0",
        "all calls: none",
    ]


def test_a_wrong_number_of_calls_is_told(fake):
    client = fake.client(retry=ONCE)
    fake.faults.add(Fault("reset", nth=2))
    client.agents.list()
    with pytest.raises(MemtraceError):
        client.agents.list()
    fake.calls.assert_called("agents.list", times=2)
    assert told(fake.calls, "agents.list", times=1) == [
        "expected 1 call to agents.list(), got 2",
        "nearest: agents.list: GET /api/v1/agents -> 200",
        "next: agents.list: GET /api/v1/agents -> no response (reset)",
        "all calls: agents.list (2)",
    ]
    with pytest.raises(AssertionError, match=r"expected 0 calls to agents\.list\(\), got 2"):
        fake.calls.assert_not_called("agents.list")


def test_no_more_than_five_near_misses_are_shown(fake):
    client = fake.client()
    for number in range(9):
        client.remember("bot", f"{number}")
    assert len(told(fake.calls, "memories.add", agent_id="a1")) == 7


# bounds


def test_the_newest_10000_calls_are_kept(fake):
    log = CallLog()
    for number in range(10_003):
        log.add(made(str(number).encode()))
    assert (len(log), log[0].body, log[-1].body) == (10_000, b"3", b"10002")


@pytest.mark.parametrize("large", ["body", "path", "query", "header"])
def test_large_calls_are_kept_up_to_32_mebibytes(large):
    log, size = CallLog([made()]), 5 * 1024 * 1024
    for _ in range(20):
        call = {
            "body": lambda: made(b"x" * size),
            "path": lambda: made(path="x" * size),
            "query": lambda: made(q="x" * size),
            "header": lambda: replace(made(), headers={"x-long": "x" * size}),
        }
        log.add(call[large]())
    assert len(log) == 6
    log.clear()
    log.add(made(b"x" * (33 * 1024 * 1024)))
    assert len(log) == 1
    log.add(made(b"small"))
    assert [call.body for call in log] == [b"small"]


@pytest.mark.slow
def test_calls_of_very_many_tiny_parameters_are_kept_up_to_32_mebibytes():
    log, query = CallLog(), "&".join(f"{number:x}" for number in range(50_000))
    tracemalloc.start()
    for _ in range(8):
        log.add(made(path="/", **read_query(query)))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 16 * 1024 * 1024 < held < 33 * 1024 * 1024
    assert len(log) < 8


def test_a_call_of_many_tiny_parameters_takes_no_more_than_it_counts():
    log, query = CallLog(), "&".join(f"{number:x}" for number in range(5_000))
    tracemalloc.start()
    log.add(made(path="/", **read_query(query)))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    (call,) = log
    assert call.size / 2 < held < call.size * 1.05


def test_the_log_of_small_calls_takes_no_more_than_it_counts(fake):
    api = Caller(fake, fake.organisation())
    for number in range(500):
        api.get(f"/memories?agent_id=a{number}&limit=5")
    tracemalloc.start()
    fake.calls.clear()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(500):
        api.get(f"/memories?agent_id=a{number}&limit=5")
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert held < sum(call.size for call in fake.calls) * 1.2


@pytest.mark.slow
def test_reading_arguments_makes_a_log_no_larger():
    body = b'{"a":[%s{}]}' % (b"{}," * 20_000)
    log = CallLog([made(body) for _ in range(10)])
    tracemalloc.start()
    log.assert_called("memories.add", a=[{}] * 20_001)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < len(body)


def test_reading_and_forgetting_while_others_write_loses_no_count():
    log = CallLog()

    def use(number: int) -> None:
        for _ in range(200):
            log.add(made(b"xx"))
            assert all(call.body == b"xx" for call in log)
            if number == 0:
                log.clear()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(8)))
    log.clear()
    assert (len(log), log._bytes) == (0, 0)


def test_the_caller_of_the_fake_cannot_change_what_is_answered_by_way_of_the_log(fake):
    def change(call: LoggedCall) -> bool:
        call.query["agent_id"] = "a2"
        return False

    fake.seed("default", [{"agent_id": agent, "content": agent, "age_s": 1} for agent in ("a1", "a2")])
    fake.faults.add(Fault("refused", when=change))
    assert [memory.content for memory in fake.client().memories.list(agent_id="a1").memories] == ["a1"]

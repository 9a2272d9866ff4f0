"""Memories, agents and sessions as resources: models or keywords, what is sent, and what comes of it."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta, timezone

import pytest

from memtrace import (
    AddMemoryRequest,
    ConflictError,
    CreateSessionRequest,
    InvalidRequestError,
    ListOptions,
    MemtraceError,
    NotFoundError,
    RegisterAgentRequest,
    SearchQuery,
    ServerError,
    TransportError,
    UpdateSessionRequest,
)
from memtrace.operations._sent_memories import server_dedup_key
from memtrace_transports import FakeMemtrace, ManualClock
from tests.conftest import StoppedClock
from tests.dealing import by_face
from tests.faces import ONCE, json_response
from tests.responses import AGENT, MEMORIES, ROW, SESSION


@pytest.fixture
def fake():
    return FakeMemtrace(clock=ManualClock())


# ---- a model or keywords


def test_a_model_and_keywords_send_the_same(face):
    for method, model, fields, answer in (
        ("memories.add", AddMemoryRequest, {"agent_id": "a", "content": "c", "tags": ["t"]}, ROW),
        ("memories.list", ListOptions, {"agent_id": "a", "limit": 3}, MEMORIES),
        ("memories.filter", SearchQuery, {"content_contains": "x"}, '{"results":[],"count":0,"query_time_ms":0}'),
        ("agents.register", RegisterAgentRequest, {"name": "n"}, AGENT),
        ("sessions.create", CreateSessionRequest, {"agent_id": "a"}, SESSION),
    ):
        client, transport = face.scripted(lambda _, answer=answer: json_response(200, answer), dedup="server")
        resource, name = method.split(".")
        call = getattr(getattr(client, resource), name)
        call(model(**fields))
        call(**fields)
        first, second = transport.requests
        assert (first.target, first.body) == (second.target, second.body)
        assert first.operation == method


def test_an_update_takes_a_model_or_keywords(face):
    client, transport = face.scripted(lambda _: json_response(200, SESSION))
    client.sessions.update("s", UpdateSessionRequest(status="paused"))
    client.sessions.update("s", status="paused")
    client.sessions.update("s", metadata={})
    assert [request.body for request in transport.requests] == [
        b'{"status":"paused"}',
        b'{"status":"paused"}',
        b'{"metadata":{}}',
    ]


def test_a_misspelt_keyword_is_an_error_that_names_the_near_one(face):
    client, transport = face.scripted(json_response(201, ROW))
    with pytest.raises(TypeError, match="unexpected keyword argument 'contnet'. Did you mean 'content'"):
        client.memories.add(agent_id="a", contnet="c")
    with pytest.raises(
        TypeError, match=r"unexpected keyword argument 'zzz'\. The keywords are agent_id, .*, wait_timeout$"
    ):
        client.memories.add(agent_id="a", zzz="c")
    assert not transport.requests


def test_a_model_and_keywords_at_once_are_an_error(face):
    client, _ = face.scripted(json_response(200, MEMORIES))
    with pytest.raises(TypeError, match="not both"):
        client.memories.list(ListOptions(), limit=3)


def test_another_type_than_the_model_is_an_error(face):
    client, _ = face.scripted(json_response(200, MEMORIES))
    with pytest.raises(TypeError, match="expected AddMemoryRequest or its fields as keywords, not dict"):
        client.memories.add({"agent_id": "a", "content": "c"})


def test_a_text_in_place_of_the_model_is_told_the_fields(face):
    client, transport = face.scripted(json_response(200, MEMORIES))
    with pytest.raises(TypeError, match=r"not str; the fields are .*content_contains"):
        client.memories.filter("dark mode")
    assert not transport.requests


@by_face("name", ["agent_id", "session_id"])
def test_an_empty_id_is_no_filter_for_everyones_memories(face, name):
    client, transport = face.scripted(json_response(200, MEMORIES))
    for call in (client.memories.list, client.memories.iter, client.memories.filter):
        with pytest.raises(InvalidRequestError, match="would not filter") as caught:
            call(**{name: ""})
        assert caught.value.field == name
    assert not transport.requests
    client.memories.list(ListOptions(agent_id=""))
    assert len(transport.requests) == 1


def test_a_bad_keyword_value_names_field_and_rule_without_the_value(face):
    client, transport = face.scripted(json_response(201, ROW))
    with pytest.raises(InvalidRequestError) as caught:
        client.memories.add(agent_id="a", content="planted secret", importance=3)
    assert caught.value.field == "importance"
    assert "at most 1" in caught.value.rule
    assert "planted secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert not transport.requests


def test_the_three_words_refuse_bad_values_as_the_long_form_does(face):
    client, transport = face.scripted(json_response(201, ROW))
    for call, field in (
        (lambda: client.remember("a", None), "content"),
        (lambda: client.decide("a", 3, "r"), "decision"),
        (lambda: client.decide("a", "", "r"), "decision"),
        (lambda: client.memories.decide("a", ["x"], "r"), "decision"),
        (lambda: client.recall("a", since=object()), "since"),
    ):
        with pytest.raises(InvalidRequestError) as caught:
            call()
        assert caught.value.field.startswith(field)
    assert not transport.requests


# ---- options that an endpoint ignores


@by_face(
    ("options", "target"),
    [
        ({}, "/agents/a/memories"),
        (
            {"memory_type": "decision", "limit": 5, "order": "asc"},
            "/agents/a/memories?memory_type=decision&limit=5&order=asc",
        ),
        ({"tags": ["ui"], "tags_match": "substring"}, "/memories?agent_id=a&tags=ui&since=24h"),
        ({"until": "1h", "since": "2d"}, "/memories?agent_id=a&since=2d&until=1h"),
        ({"tags": "", "until": "", "session_id": "", "offset": 0}, "/agents/a/memories?offset=0"),
        ({"offset": 3}, "/memories?agent_id=a&since=24h&offset=3"),
        ({"offset": 0}, "/agents/a/memories?offset=0"),
        ({"session_id": "s"}, "/memories?agent_id=a&session_id=s&since=24h"),
    ],
)
def test_options_that_an_agents_route_ignores_work_all_the_same(face, options, target):
    client, transport = face.scripted(json_response(200, MEMORIES))
    client.agents.memories("a", **options)
    assert transport.last.target == "/api/v1" + target


@by_face(
    ("options", "target"),
    [
        ({}, "/sessions/s/memories"),
        ({"memory_type": "decision", "since": "2d"}, "/sessions/s/memories?memory_type=decision&since=2d"),
        ({"event_type": "error"}, "/memories?session_id=s&event_type=error"),
        ({"tags": "ui,nav", "tags_match": "substring"}, "/memories?session_id=s&tags=ui%2Cnav"),
        ({"tags": "ui,nav"}, "/memories?session_id=s&tags=ui%2Cnav&limit=1000"),
        ({"agent_id": "a", "offset": 2}, "/memories?agent_id=a&session_id=s&offset=2"),
    ],
)
def test_options_that_a_sessions_route_ignores_work_all_the_same(face, options, target):
    client, transport = face.scripted(json_response(200, MEMORIES))
    client.sessions.memories("s", **options)
    assert transport.last.target == "/api/v1" + target


def test_the_three_words_are_the_resources_too(face, fake):
    client = face.of(fake)
    assert client.memories.remember("a", "seen").memory_type == "episodic"
    assert client.memories.decide("a", "done", "because").metadata == {"reasoning": "because"}
    assert [m.content for m in client.memories.recall("a").memories] == ["done", "seen"]


def test_ids_in_a_query_are_any_text_that_can_be_written(face):
    client, transport = face.scripted(json_response(200, '{"sessions":[],"count":0}'))
    client.sessions.list("é&=")
    assert transport.last.target == "/api/v1/sessions?agent_id=%C3%A9%26%3D"
    with pytest.raises(InvalidRequestError, match="agent_id must be whole Unicode"):
        client.sessions.list("\ud800")


def test_recall_refuses_an_empty_agent_instead_of_reading_everyones_memories(face):
    client, transport = face.scripted(json_response(200, MEMORIES))
    with pytest.raises(InvalidRequestError, match="agent_id"):
        client.memories.recall("")
    assert not transport.requests


# ---- on the fake


def test_times_of_every_form_bound_what_is_read(face, fake):
    client = face.of(fake)
    client.remember("a", "old")
    fake.clock.advance(3600)
    middle = datetime.fromtimestamp(fake.clock.wall(), timezone.utc)
    fake.clock.advance(3600)
    client.remember("a", "new")
    for since in (timedelta(minutes=90), timedelta(minutes=90, seconds=30), "90m", middle, middle.isoformat()):
        assert [m.content for m in client.recall("a", since).memories] == ["new"]
        assert [m.content for m in client.memories.list(agent_id="a", until=since).memories] == ["old"]
        assert [m.content for m in client.memories.filter(agent_id="a", since=since).results] == ["new"]


def test_get_or_register_registers_once(face, fake):
    client = face.of(fake)
    for name in ("plain", "with space", "a/b", "é", "..", "?"):
        first = client.agents.get_or_register(name=name, description="first")
        again = client.agents.get_or_register(name=name, description="second")
        assert again.id == first.id
        assert again.description == "first"
    assert client.agents.list().count == 6


def test_get_or_register_does_not_take_an_agents_id_for_a_name(face, fake):
    client = face.of(fake)
    other = client.agents.register(name="other")
    named_like_it = client.agents.register(name=other.id)
    assert client.agents.get_or_register(name=other.id).id == named_like_it.id


def test_a_name_that_is_taken_is_told_how_to_get_its_agent(face, fake):
    client = face.of(fake)
    client.agents.register(name="assistant")
    with pytest.raises(ConflictError) as caught:
        client.agents.register(name="assistant")
    assert caught.value.hint == "client.agents.get_or_register(name=...) returns the existing one"


@by_face(
    ("name", "status", "answer"),
    [("x", 404, '{"error":"agent not found"}'), ("not in a path", 200, '{"agents":[],"count":0}')],
)
def test_get_or_register_tells_the_conflict_when_the_agent_is_gone_again(face, name, status, answer):
    taken = json_response(409, '{"error":"agent \'x\' already exists in this organization"}')
    client, transport = face.scripted(taken, json_response(status, answer))
    with pytest.raises(ConflictError, match="already exists"):
        client.agents.get_or_register(name=name)
    assert len(transport.requests) == 2


def test_an_agent_that_sessions_hold_is_a_conflict_and_not_missing(face, fake):
    client = face.of(fake)
    agent = client.agents.register(name="busy")
    client.sessions.create(agent_id=agent.id)
    with pytest.raises(ConflictError, match=f"sessions hold the agent '{agent.id}'") as caught:
        client.agents.delete(agent.id)
    assert caught.value.status_code == 404
    with pytest.raises(NotFoundError):
        client.agents.delete("agent_unknown")


def test_a_session_of_an_unknown_agent_names_the_field_and_the_cure(face, fake):
    client = face.of(fake)
    with pytest.raises(InvalidRequestError, match="no agent has the id 'nobody'") as caught:
        client.sessions.create(agent_id="nobody")
    assert "get_or_register" in caught.value.hint
    assert caught.value.field == "agent_id"
    with pytest.raises(NotFoundError) as caught:
        client.sessions.close("sess_unknown")
    assert caught.value.status_code == 400


def test_a_session_lives_as_long_as_its_block(face, fake):
    client = face.of(fake)
    agent = client.agents.register(name="bot")
    opened = client.sessions.open(agent_id=agent.id, metadata={"ticket": 1})
    with pytest.raises(RuntimeError, match="not open yet"):
        _ = opened.id
    assert "not open" in repr(opened)
    with opened as session:
        assert session.session.status == "active"
        assert session.agent_id == agent.id
        session.remember("it began", tags=["t"], importance=0.5, metadata={"n": 1})
        session.decide("go on", "it works")
        fake.clock.advance(1)
        session.remember("an error", event_type="error")
        assert [m.content for m in session.recall().memories] == ["an error", "go on", "it began"]
        assert session.recall(limit=1).memories[0].session_id == session.id
        assert session.recall(ListOptions(tags="t")).count == 1
        text = session.context(since=timedelta(minutes=5)).context
        assert "Decisions Made (1)" in text
        assert session.id in repr(session)
    assert session.session.status == "closed"
    assert client.sessions.get(session.id).closed_at is not None


def test_an_error_in_a_sessions_block_closes_it_and_comes_out(face, fake):
    client = face.of(fake)
    agent = client.agents.register(name="bot")
    with pytest.raises(LookupError), client.sessions.open(CreateSessionRequest(agent_id=agent.id)) as session:
        raise LookupError
    assert client.sessions.get(session.id).status == "closed"


def test_a_failure_to_close_is_raised_but_never_hides_the_blocks_own_error(face, caplog):
    script = [json_response(201, SESSION), json_response(500, '{"error":"boom"}')]
    client, _ = face.scripted(*script)
    with pytest.raises(ServerError, match="boom"), client.sessions.open(agent_id="a"):
        pass
    client, _ = face.scripted(*script)
    with caplog.at_level(logging.WARNING, "memtrace"), pytest.raises(LookupError), client.sessions.open(agent_id="a"):
        raise LookupError
    assert "could not be closed" in caplog.text


def test_the_id_that_a_server_gave_is_escaped_in_the_warning(face, caplog):
    opened = SESSION.replace('"id":"s"', '"id":' + json.dumps("sess_1\n\x1b[31mforged" + "x" * 5000))
    client, _ = face.scripted(json_response(201, opened), json_response(500, '{"error":"boom"}'))
    with caplog.at_level(logging.WARNING, "memtrace"), pytest.raises(LookupError), client.sessions.open(agent_id="a"):
        raise LookupError
    (told,) = [record.getMessage() for record in caplog.records if "could not be closed" in record.getMessage()]
    assert told.startswith(r"session sess_1\n\x1b[31mforged")
    assert told.isprintable()
    assert len(told) < 2000


def test_an_opened_session_keeps_its_own_ids(face, fake):
    client = face.of(fake)
    agent = client.agents.register(name="bot")
    with client.sessions.open(agent_id=agent.id) as session:
        for name in ("agent_id", "session_id"):
            with pytest.raises(TypeError, match=f"'{name}': it is the open session's own"):
                session.remember("x", **{name: "elsewhere"})
        with pytest.raises(TypeError, match="'session_id'"):
            session.recall(session_id="other")
        with pytest.raises(RuntimeError, match="opened before"):
            session.__enter__()
    assert client.memories.list().count == 0


@by_face("own", [LookupError, KeyboardInterrupt])
def test_whatever_fails_in_closing_a_session_the_blocks_own_error_comes_out(face, own):
    def broken(request, call_next):
        if request.operation == "sessions.close":
            raise OSError("not of the SDK")
        return (yield from call_next(request))

    client, _ = face.scripted(json_response(201, SESSION), middleware=[broken])
    with pytest.raises(own), client.sessions.open(agent_id="a"):
        raise own


# ---- batches


def test_a_batch_is_sent_in_chunks_with_one_outcome_an_item(face, fake):
    client = face.of(fake, dedup="server")
    client.remember("a", "item 7")
    items = [AddMemoryRequest(agent_id="a", content=f"item {n}") for n in range(250)]
    result = client.memories.add_many(iter(items))
    assert len(result) == 250
    assert result.duplicates == [7]
    assert result.ok
    result.raise_for_failures()
    assert [outcome.index for outcome in result] == list(range(250))
    assert all(outcome.memory.content == f"item {outcome.index}" for outcome in result if outcome.status == "stored")
    assert len(result.stored) == 249


def test_a_batch_sends_at_most_100_items_and_4_mib_a_request(face):
    def echo(request):
        rows = [{**json.loads(ROW), **item} for item in json.loads(request.body)["memories"]]
        return json_response(201, json.dumps({"memories": rows, "count": len(rows)}))

    client, transport = face.scripted(echo)
    assert client.memories.add_many(AddMemoryRequest(agent_id="a", content=str(n)) for n in range(201)).ok
    assert [len(json.loads(request.body)["memories"]) for request in transport.requests] == [100, 100, 1]
    transport.requests.clear()
    assert client.memories.add_many(AddMemoryRequest(agent_id="a", content=f"{n}" * 1_500_000) for n in range(5)).ok
    assert [len(json.loads(request.body)["memories"]) for request in transport.requests] == [2, 2, 1]
    assert max(len(request.body) for request in transport.requests) <= 4 * 1024 * 1024


def test_an_empty_batch_sends_nothing(face):
    client, transport = face.scripted()
    assert client.add_memories([]) == []
    assert len(client.memories.add_many([])) == 0
    assert not transport.requests


def test_an_item_that_is_no_request_is_refused_by_its_place(face, fake):
    items = [AddMemoryRequest(agent_id="a", content="x"), {"agent_id": "a", "content": "x"}]
    client, transport = face.scripted()
    with pytest.raises(InvalidRequestError, match=r"memories\[1\] must be an AddMemoryRequest: dict was given"):
        client.add_memories(items)
    assert not transport.requests
    assert face.of(fake).memories.add_many(items).failed == [1]


def test_any_iterable_can_be_stored(face, fake):
    client = face.of(fake)
    assert len(client.add_memories(AddMemoryRequest(agent_id="a", content=str(n)) for n in range(150))) == 150
    assert len(client.add_memories(iter([AddMemoryRequest(agent_id="a", content="one")]))) == 1


def test_a_batch_takes_items_as_it_goes(face):
    taken = []

    def items():
        for n in range(250):
            taken.append(n)
            yield AddMemoryRequest(agent_id="a", content=str(n))

    def answer(request):
        assert len(taken) <= 100 * len(transport.requests) + 1
        return json_response(201, json.dumps({"memories": [json.loads(ROW)] * 100, "count": 100}))

    client, transport = face.scripted(answer)
    client.memories.add_many(items())
    assert len(taken) == 250


def test_an_item_that_fits_alone_but_not_in_its_frame_is_refused(face):
    client, transport = face.scripted(json_response(201, ROW), dedup="server")
    for spare, fits in ((15, True), (14, False)):
        frame = len('{"agent_id":"a","memory_type":"episodic","event_type":"general","content":""}')
        item = AddMemoryRequest(agent_id="a", content="x" * (4 * 1024 * 1024 - frame - spare))
        transport.script[:] = [json_response(201, json.dumps({"memories": [json.loads(ROW)], "count": 1}))]
        outcome = client.memories.add_many([item]).outcomes[0]
        assert outcome.status == ("stored" if fits else "failed")
        if not fits:
            assert outcome.error.code == "payload_too_large"
    assert len(transport.last.body) == 4 * 1024 * 1024


def test_an_invalid_item_is_failed_by_index_and_the_others_are_stored(face, fake):
    client = face.of(fake)
    items = [AddMemoryRequest(agent_id=name, content="x") for name in ("a", "not good", "b")]
    items.append(AddMemoryRequest(agent_id="c", content="y" * 5_000_000))
    result = client.memories.add_many(items)
    assert [outcome.status for outcome in result] == ["stored", "failed", "stored", "failed"]
    assert result.failed == [1, 3]
    assert result.outcomes[1].error.field == "memories[1].agent_id"
    assert result.outcomes[3].error.argument == "memories[3]"
    assert "(argument: memories[3]; docs: " in str(result.outcomes[3].error)
    with pytest.raises(MemtraceError, match="of 4 memories 2 stored, 2 failed") as caught:
        result.raise_for_failures()
    assert caught.value.result is result


def test_the_flat_form_refuses_an_invalid_item_before_anything_is_sent(face):
    client, transport = face.scripted()
    with pytest.raises(InvalidRequestError) as caught:
        client.add_memories([AddMemoryRequest(agent_id="a", content="x"), AddMemoryRequest(agent_id="a", content="")])
    assert caught.value.field == "memories[1].content"
    assert not transport.requests


def test_a_request_that_surely_did_not_arrive_fails_its_items_and_stops_the_rest(face):
    first = {"memories": [json.loads(ROW)] * 100, "count": 100}
    refused = TransportError("refused", cause="connect", maybe_sent=False)
    client, transport = face.scripted(json_response(201, json.dumps(first)), refused, retry=ONCE)
    result = client.memories.add_many(AddMemoryRequest(agent_id="a", content=str(n)) for n in range(250))
    assert len(transport.requests) == 2
    assert [outcome.status for outcome in result] == ["stored"] * 100 + ["failed"] * 150
    assert result.outcomes[100].error.code == "connection_failed"
    assert result.outcomes[200].error.code == "skipped"
    assert result.outcomes[200].error.retryable


def test_a_request_that_may_have_arrived_leaves_its_items_unknown(face):
    client, _ = face.scripted(TransportError("reset", cause="reset", maybe_sent=True), retry=ONCE)
    result = client.memories.add_many(AddMemoryRequest(agent_id="a", content=str(n)) for n in range(3))
    assert result.unknown == [0, 1, 2]
    assert not result.ok


HALF = json_response(500, '{"error":"failed to create memory 2: disk is full"}')


def test_of_a_batch_that_the_server_stored_in_half_each_outcome_is_found_out(face):
    requests = [AddMemoryRequest(agent_id="a", content=str(n)) for n in range(4)]
    nothing = json_response(200, '{"memories": []}')
    row = {**json.loads(ROW), "content": "1", "dedup_key": server_dedup_key(requests[1])}
    found = json_response(200, json.dumps({"memories": [row]}))
    clock = StoppedClock()
    client, transport = face.scripted(HALF, nothing, found, clock=clock, dedup="server")
    result = client.memories.add_many(requests)
    assert [outcome.status for outcome in result] == ["duplicate", "stored", "failed", "failed"]
    assert result.outcomes[1].memory.content == "1"
    assert result.outcomes[2].error.message == "failed to create memory 2: disk is full"
    assert clock.sleeps == [1.25, 0.25]
    assert [request.method for request in transport.requests] == ["POST", "GET", "GET"]


def test_of_a_batch_stored_in_half_nothing_is_claimed_when_the_server_cannot_be_asked(face):
    requests = [AddMemoryRequest(agent_id="a", content=str(n)) for n in range(4)]
    gone = json_response(401, '{"error":"invalid API key"}')
    client, _ = face.scripted(HALF, gone, clock=StoppedClock())
    result = client.memories.add_many(requests)
    assert [outcome.status for outcome in result] == ["unknown", "unknown", "failed", "failed"]
    assert [outcome.error.maybe_applied for outcome in result] == [True, True, False, False]


def test_the_flat_form_raises_the_servers_error_when_nothing_was_stored(face):
    items = [AddMemoryRequest(agent_id="a", content=str(n)) for n in range(150)]
    client, _ = face.scripted(json_response(401, '{"error":"invalid API key"}'))
    with pytest.raises(MemtraceError, match="invalid API key") as caught:
        client.add_memories(items)
    assert caught.value.status_code == 401
    rows = {"memories": [json.loads(ROW)] * 100, "count": 100}
    client, _ = face.scripted(json_response(201, json.dumps(rows)), json_response(503, '{"error":"down"}'), retry=ONCE)
    with pytest.raises(MemtraceError, match="100 stored, 50 failed") as caught:
        client.add_memories(items)
    assert caught.value.code == "batch"
    assert len(caught.value.result.stored) == 100


def test_rows_that_were_not_sent_make_a_batchs_outcome_unknown(face):
    rows = {"memories": [{**json.loads(ROW), "dedup_key": "other"}], "count": 1}
    client, _ = face.scripted(json_response(201, json.dumps(rows)))
    result = client.memories.add_many(AddMemoryRequest(agent_id="a", content=str(n)) for n in range(2))
    assert result.unknown == [0, 1]


def test_duplicates_are_found_by_the_callers_key_and_by_the_servers(face, fake):
    client = face.of(fake, dedup="server")
    long = "é" * 150
    client.memories.add(agent_id="a", content="kept", dedup_key="k1")
    client.memories.add(agent_id="a", content=long)
    result = client.memories.add_many(
        [
            AddMemoryRequest(agent_id="a", content="other", dedup_key="k1"),
            AddMemoryRequest(agent_id="a", content=long + "more"),
            AddMemoryRequest(agent_id="a", content="new", event_type=""),
            AddMemoryRequest(agent_id="a", content="twice"),
            AddMemoryRequest(agent_id="a", content="twice"),
        ]
    )
    assert [outcome.status for outcome in result] == ["duplicate", "duplicate", "stored", "stored", "stored"]


@by_face(("tags", "sent"), [("ui, nav", ["ui", "nav"]), (["ui"], ["ui"]), ("", [])])
def test_a_search_takes_tags_as_a_list_does(face, tags, sent):
    client, transport = face.scripted(json_response(200, '{"results": [], "count": 0, "query_time_ms": 1}'))
    client.memories.filter(tags=tags)
    assert json.loads(transport.last.body)["tags"] == sent
    with pytest.raises(InvalidRequestError, match=r"tags\[1\] must be letters"):
        client.memories.filter(tags="ui,no space")
    with pytest.raises(InvalidRequestError, match=r"^tags\[1\] must be a string, not int"):
        client.memories.filter(tags=["a", 5])

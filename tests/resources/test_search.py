"""Finding what is relevant, on any server: hits, filters, what is read for them, and what is noticed."""

from __future__ import annotations

import logging
import sqlite3
from datetime import date, datetime, timedelta, timezone

import pytest

from memtrace import (
    AddMemoryRequest,
    ClientClosedError,
    ConfigurationError,
    InvalidRequestError,
    ResponseDecodeError,
    SearchHits,
    SearchQuery,
)
from memtrace.middleware import replace
from memtrace_transports import FakeMemtrace, ManualClock
from tests.faces import json_response
from tests.responses import MEMORIES

WORDS = ["User prefers tea without sugar", "User moved to Lisbon", "The cat is called Miso", "Rain is expected"]


@pytest.fixture
def fake():
    return FakeMemtrace(clock=ManualClock(), strict=True)


def filled(client, *contents, agent="a", **fields):
    client.memories.add_many(
        AddMemoryRequest(agent_id=agent, content=content, session_id=f"s{n}", **fields)
        for n, content in enumerate(contents)
    )
    return client


def found(client, query, **fields):
    return [hit.memory.content for hit in client.memories.search(query, **fields)]


def reads(fake):
    return [call.operation for call in fake.calls if call.operation != "memories.add_many"]


# ---- hits


def test_the_most_relevant_come_first(face, fake):
    client = filled(face.of(fake), *WORDS)
    hits = client.memories.search("where did the user move: Lisbon?", agent_id="a")
    assert isinstance(hits, SearchHits)
    assert hits[0].memory.content == "User moved to Lisbon"
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert hits.memories == [hit.memory for hit in hits]
    assert len(hits) == 2
    assert hits
    assert not client.memories.search("nothing of that", agent_id="a")
    assert "Lisbon" not in repr(hits)


def test_without_agent_and_session_it_searches_the_organisation_and_no_other(face, fake):
    filled(face.of(fake, "other"), "tea of another organisation")
    client = filled(face.of(fake), "tea of one agent")
    filled(client, "tea of the next agent", agent="b")
    assert sorted(found(client, "tea")) == ["tea of one agent", "tea of the next agent"]
    assert found(client, "tea", agent_id="b") == ["tea of the next agent"]
    assert found(client, "tea", session_id="s0", agent_id="a") == ["tea of one agent"]
    assert found(client, "tea", session_id="none") == []
    assert found(client, "tea", agent_id="none") == []


def test_filters_narrow_it(face, fake):
    client = face.of(fake)
    client.memories.add(agent_id="a", content="tea", tags=["hot", "drinks"], importance=0.9, memory_type="decision")
    client.memories.add(agent_id="a", content="more tea", event_type="note", session_id="s")
    old = datetime(2020, 1, 1, tzinfo=timezone.utc)
    client.memories.add(agent_id="a", content="old tea", occurred_at=old, session_id="t")
    assert found(client, "tea", tags=["hot"]) == ["tea"]
    assert found(client, "tea", tags="hot,drinks") == ["tea"]
    assert found(client, "tea", memory_types=["decision", "entity"]) == ["tea"]
    assert found(client, "tea", memory_types=iter(["decision", "entity"])) == ["tea"]
    assert found(client, "tea", event_types=["note"]) == ["more tea"]
    assert found(client, "tea", min_importance=0.5) == ["tea"]
    assert found(client, "tea", until=old + timedelta(days=1)) == ["old tea"]
    assert found(client, "tea", until="2020-01-02") == ["old tea"]
    assert set(found(client, "tea", since="24h")) == {"tea", "more tea"}
    assert len(found(client, "tea", limit=1)) == 1


def test_equal_contents_are_one_hit_with_their_count(face, fake):
    client = face.of(fake)
    for n in range(3):
        client.memories.add(agent_id="a", content="tea", dedup_key=f"k{n}")
    (hit,) = client.memories.search("tea")
    assert hit.count == 3
    assert hit.memory.dedup_key == "k2"


# ---- bad input


@pytest.mark.parametrize(
    "query", ['"tea', "tea*", "NEAR(tea, 3)", "-tea", "content: tea", "(tea) AND NOT", "tea\0", "^tea", "{tea}"]
)
def test_operators_are_words_like_others(face, fake, query):
    assert found(filled(face.of(fake), "tea"), query, agent_id="a") == ["tea"]


def test_a_query_of_any_kind_has_an_answer(face, fake):
    client = filled(face.of(fake), *WORDS)
    for query in (
        "the",
        "what is it?",
        "\U0001f375\U0001f375",
        '"',
        "*",
        "'; DROP TABLE",
        "\0",
        "\ud800",
        "tea " * 25_000,
    ):
        assert isinstance(client.memories.search(query), SearchHits)
    assert found(client, "tea " * 25_000)[0] == WORDS[0]


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("query", {"query": ""}),
        ("query", {"query": " \n"}),
        ("query", {"query": None}),
        ("query", {"query": 5}),
        ("limit", {"limit": 0}),
        ("limit", {"limit": 1.5}),
        ("agent_id", {"agent_id": ""}),
        ("agent_id", {"agent_id": "a b"}),
        ("session_id", {"session_id": ""}),
        ("since", {"since": "yesterday"}),
        ("until", {"until": datetime(2020, 1, 1)}),
        ("tags[0]", {"tags": ["a b"]}),
        ("tags", {"tags": [5]}),
        ("memory_types[0]", {"memory_types": ["a b"]}),
        ("event_types[0]", {"event_types": "note,error"}),
        ("tags", {"tags": 5}),
        ("memory_types", {"memory_types": 5}),
        ("event_types", {"event_types": ["note", None]}),
        ("since", {"since": 5}),
        ("until", {"until": date(2020, 1, 1)}),
        ("min_importance", {"min_importance": -1}),
        ("min_importance", {"min_importance": float("nan")}),
        ("min_importance", {"min_importance": float("inf")}),
        ("min_importance", {"min_importance": 10**400}),
        ("min_importance", {"min_importance": "x"}),
        ("tags_match", {"tags_match": "whole"}),
    ],
)
def test_bad_arguments_are_refused_with_the_field_before_anything_is_sent(face, field, arguments):
    client, transport = face.scripted(json_response(200, MEMORIES))
    with pytest.raises(InvalidRequestError) as caught:
        client.memories.search(**{"query": "tea", **arguments})
    assert caught.value.field == field
    assert not transport.requests


@pytest.mark.parametrize(
    "former",
    [
        lambda search: search(content_contains="tea"),
        lambda search: search(SearchQuery(content_contains="tea")),
        lambda search: search(query=SearchQuery()),
        lambda search: search(),
        lambda search: search(agent_id="a", min_importance=0.5),
        lambda search: search("tea", order="asc"),
        lambda search: search("tea", content_contains="tea"),
    ],
)
def test_what_was_the_server_s_filter_is_told_the_new_name(face, former):
    client, transport = face.scripted(json_response(200, MEMORIES))
    with pytest.raises(TypeError, match=r"memories\.filter"):
        former(client.memories.search)
    assert not transport.requests


# ---- what is read


@pytest.mark.slow
def test_a_further_query_sends_one_request_and_sees_what_is_new(face, fake):
    client = filled(face.of(fake), *(f"tea number {n}" for n in range(2500)))
    assert len(found(client, "tea", agent_id="a")) == 10
    assert len(reads(fake)) == 3
    fake.clock.advance(60)
    assert len(found(client, "tea", agent_id="a")) == 10
    client.memories.add(agent_id="a", content="the newest tea of all")
    fake.calls.clear()
    assert found(client, "newest", agent_id="a")[0] == "the newest tea of all"
    assert len(reads(fake)) == 1


@pytest.mark.slow
def test_an_agent_s_search_reads_its_own_memories(face, fake):
    client = filled(face.of(fake), "tea")
    filled(client, *(f"tea number {n}" for n in range(1500)), agent="b")
    fake.calls.clear()
    assert found(client, "tea", agent_id="a") == ["tea"]
    assert len(reads(fake)) == 1
    assert client.memories.index_status().memories == 1
    assert len(found(client, "tea", limit=2000)) == 1501
    fake.clock.advance(60)
    found(client, "tea")
    fake.calls.clear()
    assert found(client, "tea", session_id="s3", agent_id="b") == ["tea number 3"]
    assert len(reads(fake)) == 1, "all of the organisation is there already"


def test_a_memory_that_becomes_visible_late_is_found(face):
    fake = FakeMemtrace(clock=ManualClock(), visibility="server")
    client = face.of(fake)
    client.memories.add(agent_id="a", content="first tea")
    fake.flush()
    assert found(client, "tea", agent_id="a") == ["first tea"]
    client.memories.add(agent_id="a", content="late tea")
    fake.clock.advance(0.5)
    assert found(client, "tea", agent_id="a") == ["first tea"]
    fake.flush()
    assert sorted(found(client, "tea", agent_id="a")) == ["first tea", "late tea"]


def test_a_row_older_than_the_newest_that_was_seen_is_found_within_the_margin(face):
    rows = [row(0, "early tea"), row(12, "newest tea")]
    client, _ = face.scripted(lambda _: listed(*rows))
    assert len(found(client, "tea")) == 2
    rows.insert(1, row(10, "late tea"))
    assert len(found(client, "tea")) == 3


def row(second, content, org="o"):
    at = (datetime(2026, 5, 4, tzinfo=timezone.utc) + timedelta(seconds=second)).isoformat()
    return (
        f'{{"time":"{at}","org_id":"{org}","agent_id":"a","session_id":"s{second}","memory_type":"episodic",'
        f'"event_type":"general","content":"{content}"}}'
    )


def listed(*rows):
    return json_response(200, f'{{"memories":[{",".join(rows)}],"count":{len(rows)},"has_more":false}}')


def test_a_server_that_lost_its_data_is_noticed(face, fake):
    client = face.of(fake)
    empty = fake.snapshot()
    filled(client, *WORDS)
    assert found(client, "Lisbon", agent_id="a")
    snapshot = fake.snapshot()
    filled(client, "Miso moved to Lisbon too", agent="b")
    assert found(client, "Miso moved")[0] == "Miso moved to Lisbon too"
    fake.restore(snapshot)
    assert "Miso moved to Lisbon too" not in found(client, "Miso moved")
    fake.restore(empty)
    assert found(client, "Lisbon", agent_id="a") == found(client, "Lisbon") == []
    filled(client, "tea in Lisbon")
    assert found(client, "Lisbon", agent_id="a") == ["tea in Lisbon"]


def test_a_middleware_that_sends_another_tenant_s_key_finds_that_tenant_s_memories(face, fake):
    keys = {name: filled(face.of(fake, name), f"tea of {name}")._dispatcher.settings.api_key for name in ("x", "y")}
    chosen = {}

    def auth(request, call_next):
        return (yield from call_next(request.with_header("x-api-key", keys[chosen["name"]])))

    client = face.of(fake, "x").with_options(middleware=[replace("auth", auth)])
    for name in ("x", "y", "x", "x", "y"):
        for owner in ({}, {"agent_id": "a"}, {"session_id": "s0"}, {"agent_id": "none"}, {"session_id": "none"}):
            chosen["name"] = name
            expected = [] if "none" in owner.values() else [f"tea of {name}"]
            assert found(client, "tea", **owner) == expected


def test_a_server_that_answers_for_several_at_once_is_an_error_and_no_endless_loop(face):
    first = listed(*(row(second, "tea", org="one") for second in range(1000)))
    client, _ = face.scripted(
        lambda request: listed(row(1000, "tea", org="two")) if "since" in request.target else first
    )
    with pytest.raises(ResponseDecodeError, match="gives other memories each time"):
        client.memories.search("tea")


def test_a_planted_second_tenant_changes_no_score(face, fake, tmp_path):
    ours, theirs = (face.of(fake, name, search_index=tmp_path / "index") for name in ("ours", "theirs"))
    filled(ours, *WORDS)
    before = [(hit.memory.content, hit.score) for hit in ours.memories.search("tea Lisbon")]
    filled(theirs, *(f"tea and Lisbon number {n}" for n in range(200)))
    assert len(found(theirs, "Lisbon", limit=500)) == 200
    assert [(hit.memory.content, hit.score) for hit in ours.memories.search("tea Lisbon")] == before


# ---- recall


def test_recall_with_a_query_gives_the_most_relevant_of_all_times(face):
    fake = FakeMemtrace(clock=ManualClock())
    client = filled(face.of(fake), *WORDS)
    fake.clock.advance(7 * 24 * 3600)
    client.remember("a", "tea is ready")
    for recall in (client.recall, client.memories.recall):
        assert [each.content for each in recall("a").memories] == ["tea is ready"]
        relevant = recall("a", query="sugar in tea")
        assert [each.content for each in relevant.memories] == [WORDS[0], "tea is ready"]
        assert (relevant.count, relevant.has_more) == (2, False)
        assert [each.content for each in recall("a", "24h", query="tea").memories] == ["tea is ready"]
        first = recall("a", query="tea", limit=1)
        assert (first.count, first.has_more) == (1, True)
        assert recall("a", since="30d", limit=2).count == 2
        with pytest.raises(InvalidRequestError) as caught:
            recall("", query="tea")
        assert caught.value.field == "agent_id"


# ---- the index


def test_the_index_can_be_built_ahead_and_tells_how_far_it_is(face, fake):
    client = filled(face.of(fake), *(f"tea number {n}" for n in range(1200)))
    assert client.memories.index_status("a").memories == 0
    told = []
    status = client.memories.index_sync("a", progress=told.append)
    assert status.memories == 1200
    assert [each.memories for each in told] == [999, 1200, 1200]
    assert status == client.memories.index_status("a")
    assert status.latest == client.memories.list(agent_id="a", limit=1).memories[0].time
    assert client.memories.index_status("b").memories == 0
    assert client.memories.index_sync().memories == 1200


def test_a_progress_that_is_no_function_is_refused_before_anything_is_read(face):
    client, transport = face.scripted(json_response(200, MEMORIES))
    with pytest.raises(InvalidRequestError, match="progress must be a function") as caught:
        client.memories.index_sync(progress=5)
    assert caught.value.field == "progress"
    assert not transport.requests


@pytest.mark.slow
def test_a_file_keeps_the_index_between_runs(face, fake, tmp_path):
    path = tmp_path / "folder" / "index"
    with face.of(fake, search_index=path) as client:
        filled(client, *(f"tea number {n}" for n in range(1200)))
        client.memories.search("tea")
        fake.clock.advance(60)
        first = [(hit.memory.content, hit.score) for hit in client.memories.search("tea 17")]
    fake.calls.clear()
    with face.of(fake, search_index=str(path)) as client:
        assert [(hit.memory.content, hit.score) for hit in client.memories.search("tea 17")] == first
    assert len(reads(fake)) == 1


def test_a_file_keeps_no_key(face, fake, tmp_path):
    with face.of(fake, search_index=tmp_path / "index") as client:
        found(filled(client, "tea"), "tea")
        key = client._dispatcher.settings.api_key
    assert all(str.encode(key) not in each.read_bytes() for each in tmp_path.iterdir())


def test_copies_share_the_index_and_another_key_has_its_own(face, fake):
    client = filled(face.of(fake), *WORDS)
    other = filled(face.of(fake, "other"), "tea of another organisation")
    found(client, "tea")
    fake.calls.clear()
    copy = client.with_options(timeout=3)
    assert found(copy, "tea") == found(client, "tea")
    assert len(reads(fake)) == 2
    tenant = client.with_options(api_key=other._dispatcher.settings.api_key)
    assert found(tenant, "tea") == ["tea of another organisation"]
    client.close()
    assert found(copy, "tea")
    with pytest.raises(ClientClosedError):
        client.memories.search("tea")
    copy.close()
    tenant.close()


def test_a_damaged_file_is_made_anew_and_the_log_says_so_once(face, fake, tmp_path, caplog):
    path = tmp_path / "index"
    with face.of(fake, search_index=path) as client:
        assert found(filled(client, *WORDS), "Lisbon") == ["User moved to Lisbon"]
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 20_000)
    with face.of(fake, search_index=path) as client, caplog.at_level(logging.WARNING):
        assert found(client, "Lisbon") == ["User moved to Lisbon"]
        assert found(client, "Lisbon") == ["User moved to Lisbon"]
    assert [record.getMessage() for record in caplog.records] == ["the search index is damaged and is rebuilt"]


def test_damage_that_shows_when_it_is_used_is_mended(face, fake, tmp_path, caplog):
    path = tmp_path / "index"
    with face.of(fake, search_index=path) as client:
        assert found(filled(client, *WORDS), "Lisbon") == ["User moved to Lisbon"]
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM recall1_text_data")
    connection.close()
    with face.of(fake, search_index=path) as client, caplog.at_level(logging.WARNING):
        assert found(client, "Lisbon") == ["User moved to Lisbon"]
        assert found(client, "Lisbon") == ["User moved to Lisbon"]
    assert [record.getMessage() for record in caplog.records] == ["the search index is damaged and is rebuilt"]


@pytest.mark.parametrize(
    "row_damage",
    [
        "UPDATE recall1_docs SET memory = x'7b22'",
        "UPDATE recall1_docs SET memory = x'7b7d'",
        "UPDATE recall1_docs SET memory = x'ff' || memory",
        "UPDATE recall1_docs SET memory = NULL",
        "UPDATE recall1_docs SET time = 4000000000000000000",
        "UPDATE recall1_blocks SET length = 'long'",
        "UPDATE recall1_vectors SET vector = x'00'",
        "UPDATE recall1_notes SET value = '[1, 2' WHERE name = 'seen'",
        "UPDATE recall1_notes SET value = '{}' WHERE name = 'seen'",
        "UPDATE recall1_notes SET value = '[1, 2, 3, 4, 5, 6, 7]' WHERE name = 'seen'",
        "UPDATE recall1_notes SET value = 'null' WHERE name = 'seen'",
        """UPDATE recall1_notes SET value = '["noon", "a", "s", "d", "o", 1.0, "noon"]' WHERE name = 'seen'""",
    ],
)
def test_a_row_that_cannot_be_read_is_damage_too(tmp_path, row_damage, caplog):
    path, fake = tmp_path / "index", FakeMemtrace()
    settings = {"search_index": path, "embedder": lambda texts: [[1.0, 2.0] for _ in texts]}
    with fake.client(**settings) as client:
        assert found(filled(client, *WORDS), "Lisbon")[0] == "User moved to Lisbon"
    with sqlite3.connect(path) as connection:
        assert connection.execute(row_damage).rowcount > 0
    connection.close()
    with fake.client(**settings) as client, caplog.at_level(logging.WARNING):
        client.memories.index_status()  # reads rows too
        for _ in range(2):
            assert found(client, "Lisbon")[0] == "User moved to Lisbon"
            assert client.memories.index_status().memories == 4
            assert client.memories.prompt_context("Lisbon", agent_id="a", recent=2).memories
    assert [record.getMessage() for record in caplog.records] == ["the search index is damaged and is rebuilt"]


@pytest.mark.parametrize("path", ["", "a\0b", 5, b"index"])
def test_what_is_no_path_is_refused_when_the_client_is_made(face, path):
    with pytest.raises(ConfigurationError, match="search_index must be the path") as caught:
        face.client("memory://", "key", search_index=path)
    assert caught.value.argument == "search_index"


def test_another_program_s_database_is_refused_and_left_alone(face, fake, tmp_path):
    path = tmp_path / "theirs"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (value)")
    connection.close()
    before = path.read_bytes()
    with face.of(fake, search_index=path) as client:
        with pytest.raises(ConfigurationError, match="another program") as caught:
            client.memories.search("tea")
        assert caught.value.argument == "search_index"
    assert path.read_bytes() == before

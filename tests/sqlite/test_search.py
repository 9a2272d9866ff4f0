"""Searching a store in a file: its index is in the file, as durable as the memories, and knows what is forgotten."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from memtrace import AddMemoryRequest, APITimeoutError, AuthenticationError, ConfigurationError, Memtrace, RetryPolicy
from memtrace.ranking import _tables
from memtrace.transport import IndexedTransport
from memtrace_transports import AsyncSqliteTransport, FakeMemtrace, ManualClock, SqliteTransport
from memtrace_transports.sqlite._schema import VERSION
from memtrace_transports.sqlite.maintenance import StoreFile
from tests.dealing import by_face

WORDS = ["User prefers tea without sugar", "User moved to Lisbon", "The cat is called Miso"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "agent.db"


def filled(client, *contents, agent="a"):
    client.memories.add_many(
        AddMemoryRequest(agent_id=agent, content=content, session_id=f"{agent}_{n}")
        for n, content in enumerate(contents)
    )
    return client


def found(client, query, **fields):
    return [hit.memory.content for hit in client.memories.search(query, **fields)]


def test_both_transports_offer_an_index(path):
    assert isinstance(SqliteTransport(str(path)), IndexedTransport)
    assert isinstance(AsyncSqliteTransport(str(path)), IndexedTransport)


def test_a_query_of_any_kind_has_an_answer(face, path):
    with face.client(path) as client:
        filled(client, *WORDS)
        for query in ("the", "\U0001f375", '"', "NEAR(", "\0", "\ud800", "tea " * 25_000):
            client.memories.search(query)
            client.memories.prompt_context(query)
        assert found(client, "tea \ud800")[0] == WORDS[0]


def test_one_request_answers_a_search_and_a_hit_is_the_memory_that_is_read(face, path):
    sent = []

    def note(request, call_next):
        sent.append((request.operation, request.method, request.path))
        return (yield from call_next(request))

    with face.client(path, middleware=[note]) as client:
        client.memories.add(
            agent_id="a", content="tea", tags=["hot"], importance=0.5, metadata={"k": [1.5, {"deep": "tin"}]}
        )
        filled(client, *WORDS)
        del sent[:]
        hits = client.memories.search("tea tin", agent_id="a")
        assert sent == [("memories.search", "POST", "/index/search")]
        assert hits[0].memory == client.memories.list(agent_id="a", order="asc", limit=1).memories[0]
        assert hits[0].memory.model_dump(exclude_unset=True)["metadata"] == {"k": [1.5, {"deep": "tin"}]}


def test_it_finds_what_an_index_of_the_client_finds_with_the_same_scores(face, path, tmp_path):
    with face.client(path) as client, face.client(path, search_index=tmp_path / "index") as other:
        filled(client, *WORDS, "tea " * 5, "more tea in Lisbon")
        for query in ("tea", "where in Lisbon does the user live?", "Miso"):
            assert list(client.memories.search(query)) == list(other.memories.search(query))
        assert client.memories.index_status("a") == other.memories.index_status("a")
        assert client.recall("a", query="Miso").memories[0].content == "The cat is called Miso"
        assert "called Miso" in client.memories.prompt_context("the cat", agent_id="a").text


def test_the_index_is_in_the_file_and_what_was_answered_is_found_after_a_kill(path):
    script = f"""
import os, signal
from memtrace import Memtrace
client = Memtrace("sqlite:///{path}")
client.remember("a", "black tea")
client.memories.search("tea")
client.remember("a", "green tea")
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    with Memtrace(path) as client:
        assert sorted(found(client, "tea", agent_id="a")) == ["black tea", "green tea"]
    with StoreFile(str(path)) as store:
        assert store.check() == []


@pytest.mark.slow
def test_another_process_s_memories_are_found(face, path):
    with face.client(path) as client:
        client.remember("a", "black tea")
        assert found(client, "tea") == ["black tea"]
        script = f"from memtrace import Memtrace; Memtrace('sqlite:///{path}').remember('a', 'green tea')"
        subprocess.run([sys.executable, "-c", script], check=True)
        assert sorted(found(client, "tea")) == ["black tea", "green tea"]


def test_a_batch_that_is_refused_in_the_middle_is_in_the_index_as_in_the_store(face, path):
    with face.client(path) as client:
        client.remember("a", "first tea")
        with StoreFile(str(path)) as store:
            assert store.check() == []
        client.memories.add_many(
            [AddMemoryRequest(agent_id="a", content="second tea"), AddMemoryRequest(agent_id="a", content="first tea")]
        )
        assert sorted(found(client, "tea")) == ["first tea", "second tea"]


def test_organisations_are_apart_and_change_no_score(face, path):
    with face.client(path, "key_of_one") as one, face.client(path, "key_of_two") as two:
        filled(one, *WORDS)
        before = [(hit.memory.content, hit.score) for hit in one.memories.search("tea Lisbon")]
        assert found(two, "tea") == []
        filled(two, *(f"tea and Lisbon number {n}" for n in range(200)))
        assert [(hit.memory.content, hit.score) for hit in one.memories.search("tea Lisbon")] == before
        assert len(found(two, "tea", limit=500)) == 200


def test_a_key_that_never_wrote_finds_nothing_and_makes_nothing(face, path):
    with face.client(path) as client:
        assert found(client, "tea") == []
        assert client.memories.index_status().memories == 0
    with StoreFile(str(path)) as store:
        assert store.info().organisations == ()


def test_a_key_that_is_not_issued_is_refused(path):
    client = Memtrace(path, "nobody", transport=SqliteTransport(str(path), any_key=False))
    with client, pytest.raises(AuthenticationError):
        client.memories.search("tea")


def test_what_is_forgotten_is_not_found_and_its_words_are_nowhere(path):
    with Memtrace(path) as client:
        filled(client, "unforgettable secret", "tea with unforgettable sugar", agent="planted_agent")
        filled(client, "tea that is kept")
        assert len(found(client, "tea")) == 2
        with StoreFile(str(path)) as store:
            assert store.forget("planted_agent").memories == 2
            assert store.check() == []
        assert found(client, "tea unforgettable secret") == ["tea that is kept"]
        assert client.memories.index_status().memories == 1
        remember = client.remember("planted_agent", "tea of a new life")
        assert found(client, "tea", agent_id="planted_agent") == [remember.content]
    with StoreFile(str(path)) as store:
        store.forget("planted_agent")
    files = b"".join(each.read_bytes() for each in path.parent.iterdir())
    for word in (b"unforget", b"secret", b"planted_agent", b"sugar"):
        assert word not in files, word
    assert b"kept" in files


def test_an_index_of_another_version_is_made_anew_from_what_is_stored(path, monkeypatch, caplog):
    with Memtrace(path) as client:
        filled(client, *WORDS)
    monkeypatch.setattr(_tables, "VERSION", 99)
    with Memtrace(path) as client:
        assert found(client, "Lisbon") == ["User moved to Lisbon"]
        assert found(client, "Lisbon") == ["User moved to Lisbon"]
    assert [record.getMessage() for record in caplog.records] == [
        "the search index is another version's and is rebuilt"
    ]
    with StoreFile(str(path)) as store:
        assert store.check() == []


def test_vectors_are_kept_in_the_file(face, path):
    texts = []

    def embed(given):
        texts.extend(given)
        return [[1.0, 0.1] if "car" in text or "vehicle" in text else [0.1, 1.0] for text in given]

    for _ in range(2):
        with face.client(path, embedder=embed) as client:
            client.remember("a", "the car broke down")
            client.remember("a", "rain is expected")
            assert found(client, "vehicle", agent_id="a")[0] == "the car broke down"
            assert client.memories.index_status("a").vectors == 2
            with face.client(path) as plain:
                assert found(plain, "vehicle", agent_id="a") == []
            break
    with face.client(path, embedder=embed) as client:
        assert found(client, "vehicle", agent_id="a")[0] == "the car broke down"
    assert sorted(texts) == ["rain is expected", "the car broke down", "vehicle", "vehicle"]


def test_a_file_of_its_own_is_used_where_it_is_named(face, path, tmp_path):
    with face.client(path, search_index=tmp_path / "index") as client:
        filled(client, *WORDS)
        assert found(client, "Lisbon") == ["User moved to Lisbon"]
        assert (tmp_path / "index").exists()


@by_face("body", [b"no JSON", b"[]", b'{"limit": "many"}', b'{"query": " "}'])
def test_what_is_no_query_is_an_error_of_the_server(face, path, body):
    with face.client(path) as client:
        client.remember("a", "tea")
        with pytest.raises(Exception, match="invalid search of the index") as caught:
            client.request("POST", "/index/search", content=body, operation="memories.search")
        assert caught.value.status_code == 400
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # nothing of it is left open
        assert found(client, "tea") == ["tea"]


def test_the_path_is_unknown_to_everything_but_a_search(face, path):
    with face.client(path) as client, pytest.raises(Exception, match="Cannot POST /index/search"):
        client.request("POST", "/index/search", json={"query": "tea"})


def test_a_search_that_has_to_write_waits_for_others_until_the_timeout(path):
    with Memtrace(path, timeout=0.3, retry=RetryPolicy(max_attempts=1)) as client:
        client.remember("a", "tea")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(APITimeoutError, match="was locked by another process"):
                client.memories.search("tea")
            other.execute("ROLLBACK")
        assert found(client, "tea") == ["tea"]
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert found(client, "tea") == ["tea"], "nothing waits to be indexed: it only reads"
            other.execute("ROLLBACK")


def test_an_index_that_has_what_is_not_stored_is_damage(path):
    with Memtrace(path, retry=RetryPolicy(max_attempts=1)) as client:
        client.remember("a", "tea")
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("DELETE FROM memories")
        with pytest.raises(Exception, match="is damaged"):
            client.memories.search("tea")


def test_a_fake_on_a_file_is_searched_and_goes_back(path):
    fake = FakeMemtrace(clock=ManualClock(), store=str(path))
    client = fake.client()
    empty = fake.snapshot()
    filled(client, *WORDS)
    assert found(client, "Lisbon") == ["User moved to Lisbon"]
    fake.restore(empty)
    filled(client, "tea in Lisbon")
    assert found(client, "Lisbon") == ["tea in Lisbon"]
    fake.reset()
    assert FakeMemtrace(store=str(path)).client().memories.search("tea").memories == []


def test_a_search_waits_for_who_locks_the_file_for_a_moment(path, monkeypatch):
    transport = SqliteTransport(str(path))
    with closing(transport), Memtrace("memory://", transport=transport) as client:
        filled(client, *WORDS)
        opened = transport._process.get().opened
        searched, locked = opened._searched, [sqlite3.OperationalError("database is locked")]

        def locked_once(*given):
            if locked:
                raise locked.pop()
            return searched(*given)

        monkeypatch.setattr(opened, "_searched", locked_once)
        assert client.memories.search("tea")[0].memory.content == WORDS[0]


def test_a_search_leaves_a_file_alone_that_a_newer_release_took_over(path):
    with Memtrace(path) as client:
        filled(client, *WORDS)
        with closing(sqlite3.connect(path, isolation_level=None)) as newer:
            newer.execute(f"PRAGMA user_version = {VERSION + 1}")
        with pytest.raises(ConfigurationError, match="was written by a newer memtrace-sdk"):
            client.memories.search("tea")

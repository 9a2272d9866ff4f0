"""An index that is rebuilt: compared with all that the server has, while searches go on."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from memtrace import InvalidRequestError, Memtrace, ResponseDecodeError
from memtrace.ranking import TextIndex, open_index_file
from memtrace_transports import FakeMemtrace, ManualClock
from memtrace_transports.sqlite.maintenance import StoreFile
from tests.dealing import by_face
from tests.faces import json_response
from tests.resources.test_embedders import Embedder, two_numbers, upside_down
from tests.responses import MEMORIES


def found(client, query, **fields):
    return [hit.memory.content for hit in client.memories.search(query, **fields)]


@by_face("owner", [{}, {"agent_id": "a"}])
def test_what_became_visible_late_is_found_after_a_rebuild(face, owner, tmp_path):
    fake = FakeMemtrace(clock=ManualClock())
    fake.seed("default", [{"agent_id": "a", "content": "early tea", "age_s": 900}])
    with face.of(fake, search_index=tmp_path / "index") as client:
        client.remember("a", "newest tea")
        assert len(found(client, "tea", **owner)) == 2
        fake.clock.advance(60)
        fake.seed("default", [{"agent_id": "a", "content": "late tea", "age_s": 90}])
        assert len(found(client, "tea", **owner)) == 2
        assert client.memories.index_sync(**owner).memories == 2
        assert client.memories.index_sync(**owner, rebuild=True).memories == 3
        assert sorted(found(client, "tea", **owner)) == ["early tea", "late tea", "newest tea"]
        fake.calls.clear()
        found(client, "tea", **owner)
        assert len(fake.calls) == 1, "reading goes on from where it was"


def test_what_the_server_has_no_longer_is_taken_out(face, tmp_path):
    path = tmp_path / "agent.db"
    with face.client(path, search_index=tmp_path / "index") as client:
        for agent in ("a", "b"):
            client.remember(agent, f"black tea of {agent}")
        client.remember("b", "the newest tea")
        assert len(found(client, "tea")) == 3
        assert len(found(client, "tea", agent_id="b")) == 2
        with StoreFile(str(path)) as store:
            store.forget("a")
        assert "black tea of a" in found(client, "tea"), "the index does not know"
        assert client.memories.index_sync(rebuild=True).memories == 2
        assert sorted(found(client, "tea")) == ["black tea of b", "the newest tea"]
        with StoreFile(str(path)) as store:
            store.forget("b")
        assert client.memories.index_sync("b", rebuild=True).memories == 0
        assert client.memories.index_status().memories == 0
        assert found(client, "tea") == []
        client.remember("a", "green tea")
        assert found(client, "tea") == ["green tea"]


def test_only_the_agent_s_memories_are_read_again(face, tmp_path):
    fake = FakeMemtrace(clock=ManualClock())
    client = face.of(fake, search_index=tmp_path / "index")
    fake.seed("default", [{"agent_id": agent, "content": f"tea of {agent}", "age_s": 9} for agent in "abc"])
    fake.seed("default", [{"agent_id": "a", "content": f"tea {n}", "age_s": 9000 - n} for n in range(2500)])
    assert client.memories.index_sync().memories == 2503
    fake.calls.clear()
    told = []
    assert client.memories.index_sync("b", rebuild=True, progress=told.append).memories == 1
    assert len(fake.calls) == 2
    assert [status.memories for status in told] == [1, 1, 1]
    assert client.memories.index_status().memories == 2503
    assert client.memories.index_sync("a", rebuild=True).memories == 2501
    client.close()


def test_vectors_stay_and_those_of_other_embedders_are_removed(face, tmp_path):
    fake, path, embedder = FakeMemtrace(), tmp_path / "index", Embedder()
    for other in (upside_down, two_numbers):
        with face.of(fake, embedder=other, search_index=path) as client:
            client.remember("a", f"a feline slept, {other.__name__}")
            client.memories.index_sync()
    with face.of(fake, embedder=embedder, search_index=path) as client:
        assert client.memories.index_sync().vectors == 2
        assert client.memories.index_sync(rebuild=True).vectors == 2
        assert client.memories.index_sync(rebuild=True).vectors == 2
    assert len(embedder.texts) == 2, "each memory once"
    for other in (upside_down, two_numbers):
        with face.of(fake, embedder=other, search_index=path) as client:
            assert client.memories.index_status().vectors == 0


@pytest.mark.slow
def test_an_index_that_is_cleared_while_it_is_rebuilt_is_read_anew(tmp_path):
    fake, path, cleared = FakeMemtrace(), tmp_path / "index", []
    fake.seed("default", [{"agent_id": "a", "content": f"tea {n}", "age_s": 9000 - n} for n in range(2500)])
    client = fake.client(search_index=path)
    client.memories.index_sync("a")

    def clear(times):
        def told(status):
            if len(cleared) < times:
                cleared.append(status)
                connection = open_index_file(path)
                for (scope,) in connection.execute("SELECT scope FROM recall_scopes").fetchall():
                    TextIndex(connection, scope).clear()
                connection.close()

        return told

    assert client.memories.index_sync("a", rebuild=True, progress=clear(1)).memories == 2500
    assert cleared
    with pytest.raises(ResponseDecodeError, match="gives other memories each time"):
        client.memories.index_sync("a", rebuild=True, progress=clear(1000))
    client.close()


def test_an_index_that_is_cleared_after_the_last_page_is_read_anew(tmp_path):
    fake, path = FakeMemtrace(), tmp_path / "index"
    fake.client().remember("a", "tea")
    client = fake.client(search_index=path)
    client.memories.index_sync("a")
    local, sweeps = client._dispatcher.searching._local, []
    sweep = local.sweep

    def cleared_before(owner, *rest):
        if not sweeps:
            local.clear(owner)
        sweeps.append(sweep(owner, *rest))
        return sweeps[-1]

    local.sweep = cleared_before
    assert client.memories.index_sync("a", rebuild=True).memories == 1
    assert sweeps == [False, True]
    client.close()


def test_a_store_in_a_file_makes_its_index_anew_where_it_is_not_right(face, tmp_path):
    path, embedder = tmp_path / "agent.db", Embedder()
    with face.client(path, embedder=embedder) as client:
        client.remember("a", "a feline slept")
        client.remember("b", "green tea")
        assert client.memories.index_sync(rebuild=True).vectors == 2
        assert len(embedder.texts) == 2
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("DELETE FROM recall1_docs WHERE agent_id = 'a'")
    with face.client(path) as client:
        assert client.memories.index_sync().memories == 1
        assert client.memories.index_sync("a", rebuild=True).memories == 1
        assert found(client, "feline") == ["a feline slept"]
    with StoreFile(str(path)) as store:
        assert store.check() == []


def test_a_store_in_a_file_forgets_vectors_of_other_embedders(face, tmp_path):
    path = tmp_path / "agent.db"
    for embedder, expected in ((upside_down, 1), (Embedder(), 1), (upside_down, 0)):
        with face.client(path, embedder=embedder) as client:
            if not client.memories.index_status().memories:
                client.remember("a", "a feline slept")
            if expected:
                assert client.memories.index_sync(rebuild=True).vectors == 1
            assert client.memories.index_status().vectors == expected


def test_a_store_without_a_memory_is_rebuilt_in_no_time(tmp_path):
    with Memtrace(tmp_path / "agent.db") as client:
        assert client.memories.index_sync(rebuild=True).memories == 0


@by_face("rebuild", [None, 1, "yes"])
def test_what_is_neither_true_nor_false_is_refused(face, rebuild):
    client, transport = face.scripted(json_response(200, MEMORIES))
    with pytest.raises(InvalidRequestError, match="rebuild must be True or False") as caught:
        client.memories.index_sync(rebuild=rebuild)
    assert caught.value.field == "rebuild"
    assert not transport.requests

"""A file that an earlier release wrote is opened, read and written by this one."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest

from memtrace import ConfigurationError, ConflictError, Memtrace
from memtrace._support.sqlite_files import FileFormat
from memtrace_transports.sqlite import _opening
from memtrace_transports.sqlite._schema import APPLICATION_ID, MIGRATIONS, VERSION
from memtrace_transports.sqlite.maintenance import StoreFile
from tests.sqlite import version2
from tests.sqlite.test_addresses import contents
from tests.sqlite.version1 import KEY, PATH


@pytest.fixture
def path(tmp_path):
    return shutil.copy(PATH, tmp_path / "agent.db")


def test_a_file_of_version_1_is_read(path):
    with Memtrace(path) as client:
        bought, prefers = client.memories.list(agent_id="assistant").memories
        assert (prefers.content, prefers.time.isoformat()) == ("User prefers dark mode", "2026-01-01T00:00:00+00:00")
        assert bought.model_dump(exclude={"time", "org_id"}) == {
            "agent_id": "assistant",
            "session_id": "chat_1",
            "memory_type": "decision",
            "event_type": "decision",
            "content": "Bought tea \U0001f375",
            "metadata": {"photo": {"caption": "a green tin"}, "price": 4.5},
            "tags": ["shop", "tea"],
            "dedup_key": "order-1",
            "importance": 0.5,
            "parent_id": "order-0",
        }
        assert client.memories.list(session_id="chat_1", tags="tea").count == 1
    with Memtrace(path, KEY) as client:
        (agent,), (session,) = client.agents.list().agents, client.sessions.list().sessions
        assert (agent.name, agent.description, agent.config) == ("bob", "registered", {"a": 1})
        assert (session.agent_id, session.status, session.metadata) == (agent.id, "closed", {"b": 2})
        assert [memory.content for memory in client.memories.iter()] == ["Belongs to another key"]


def test_a_file_of_version_1_is_searched(path):
    with Memtrace(path) as client:
        assert [hit.memory.content for hit in client.memories.search("dark")] == ["User prefers dark mode"]
        assert [hit.memory.content for hit in client.memories.search("green tin")] == ["Bought tea \U0001f375"]
        assert client.memories.index_status().memories == 2
    with StoreFile(str(path)) as store:
        assert store.check() == []
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT 1 FROM sqlite_master WHERE name LIKE 'text_of%'").fetchone() is None


def test_a_file_of_version_2_gets_the_index_of_this_version(tmp_path, caplog):
    path = shutil.copy(version2.PATH, tmp_path / "agent.db")
    with Memtrace(path) as client:
        assert client.memories.search("cats")[0].memory.content == "The cat is called Miso"
        client.remember("assistant", "The cat is asleep")
        assert client.memories.index_status().memories == 3
    assert [record.getMessage() for record in caplog.records] == [
        "the search index is another version's and is rebuilt"
    ]
    with StoreFile(str(path)) as store:
        assert store.check() == []


def test_a_file_of_version_1_is_written(path):
    with Memtrace(path) as client:
        client.remember("assistant", "of a later release")
        with pytest.raises(ConflictError):
            client.remember("assistant", "of a later release")
        assert contents(client)[0] == "of a later release"
    with Memtrace(path, KEY) as client:
        session = client.sessions.create(agent_id=client.agents.get("bob").id)
        assert client.sessions.list().sessions[0].id == session.id
    with StoreFile(str(path)) as store:
        info = store.info()
        assert (info.schema_version, info.memories, store.check()) == (VERSION, 4, [])


def test_an_upgrade_that_fails_leaves_the_file_as_it_was(path, monkeypatch):
    def broken(connection):
        connection.execute("CREATE TABLE halfway (a)")
        raise sqlite3.OperationalError("no such column: planted")

    monkeypatch.setattr(_opening, "_FORMAT", FileFormat(APPLICATION_ID, [*MIGRATIONS, broken]))
    with Memtrace(path) as client, pytest.raises(Exception, match="cannot be used: no such column"):
        client.recall("assistant")
    monkeypatch.undo()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'halfway'").fetchone() is None


@pytest.mark.parametrize("call", ["recall", "remember"])
def test_an_open_client_leaves_a_file_alone_that_a_newer_release_took_over(path, call):
    with Memtrace(path) as client:
        client.remember("assistant", "before")
        with closing(sqlite3.connect(path, isolation_level=None)) as newer:
            newer.execute(f"PRAGMA user_version = {VERSION + 1}")
        with pytest.raises(ConfigurationError, match="was written by a newer memtrace-sdk") as caught:
            client.recall("assistant") if call == "recall" else client.remember("assistant", "after")
        assert not caught.value.maybe_applied
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM memories WHERE content = 'after'").fetchone() == (0,)

"""The care of a store's file: counts, checks, copies, keys, and forgetting for good."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone

import pytest

from memtrace import (
    AddMemoryRequest,
    APITimeoutError,
    AuthenticationError,
    ConfigurationError,
    Memtrace,
    TransportError,
)
from memtrace_transports.sqlite.maintenance import StoreFile
from tests.sqlite.test_addresses import contents


@pytest.fixture
def path(tmp_path):
    return tmp_path / "agent.db"


@pytest.fixture
def filled(path):
    with Memtrace(path) as client:
        agent = client.agents.register(name="assistant")
        session = client.sessions.create(agent_id=agent.id)
        client.memories.add(agent_id=agent.id, session_id=session.id, content="planted secret of Ines")
        client.memories.add(agent_id="other", content="kept")
    return agent.id


def in_any_file(path, text):
    return any(text in file.read_bytes() for file in path.parent.iterdir())


def test_what_a_file_holds_is_counted(path, filled):
    with StoreFile(str(path)) as store:
        info = store.info()
    assert (info.path, info.schema_version) == (str(path), 1)
    assert (info.memories, info.agents, info.sessions, info.keys) == (2, 1, 1, 1)
    assert [(each.name, each.memories) for each in info.organisations] == [("default", 2)]
    assert info.oldest < info.newest <= datetime.now(timezone.utc)
    assert info.file_bytes >= 4096
    assert info.free_bytes == 0


def test_an_empty_file_has_no_times(path):
    with StoreFile(f"sqlite:///{path}", create=True) as store:
        info = store.info()
    assert (info.oldest, info.newest, info.memories, info.organisations) == (None, None, 0, ())


def test_a_missing_file_is_not_made(path):
    with pytest.raises(ConfigurationError, match="does not exist"):
        StoreFile(str(path))
    assert not path.exists()


def test_a_whole_file_has_no_problems(path, filled):
    with StoreFile(str(path), timeout=None) as store:
        assert store.check() == []


def test_each_kind_of_damage_is_told(path, filled):
    connection = sqlite3.connect(path)
    connection.execute("UPDATE agents SET org = 77")
    connection.execute("DELETE FROM memories WHERE content = 'kept'")
    connection.commit()
    connection.close()
    with StoreFile(str(path)) as store:
        problems = store.check()
    assert "refers to a row of organisations that is not there" in problems[0]
    assert "has 2 of 1 memories" in problems[1]


def test_a_file_that_cannot_be_read_through_is_told(path, filled):
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 10)
    with StoreFile(str(path)) as store:
        assert store.check() != []


def test_a_file_whose_structure_is_gone_is_told(path, filled):
    with StoreFile(str(path)) as store:
        store._connection.execute("DROP TABLE agents")
        store._connection.execute("DROP TABLE sessions")
        store._connection.execute("ALTER TABLE organisations RENAME TO others")
        assert store.check() == ["no such table: organisations"]
        with pytest.raises(ConfigurationError, match="cannot be used: no such table"):
            store.info()


# ---- copies ---------------------------------------------------------------------------------------------------------


def test_a_backup_is_a_whole_store_that_only_its_owner_reads(path, filled, tmp_path):
    copy = tmp_path / "copy.db"
    with Memtrace(path) as client, StoreFile(str(path)) as store:
        assert store.backup(copy) == copy.stat().st_size
        client.remember("other", "later")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with Memtrace(copy) as client:
        assert contents(client, "other") == ["kept"]


def test_a_backup_replaces_nothing(path, filled, tmp_path):
    copy = tmp_path / "copy.db"
    copy.write_text("mine")
    with StoreFile(str(path)) as store, pytest.raises(ConfigurationError, match="cannot be made: File exists"):
        store.backup(copy)
    assert copy.read_text() == "mine"


def test_a_backup_that_fails_leaves_nothing(path, filled, tmp_path):
    copy = tmp_path / "copy.db"
    with StoreFile(str(path)) as store:
        store._connection.execute("BEGIN")  # within which no copy can be made
        with pytest.raises(ConfigurationError, match="cannot be used: cannot VACUUM"):
            store.backup(copy)
    assert not copy.exists()


def test_compacting_gives_free_pages_back(path):
    with Memtrace(path) as client:
        for number in range(100):
            client.remember("assistant", f"{number} {'x' * 3000}")
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM memories")
    connection.commit()
    connection.close()
    with StoreFile(str(path)) as store:
        before, after = store.compact()
        assert after < before / 3
        assert store.info().free_bytes == 0
        assert store.info().file_bytes == after


def test_compacting_waits_for_a_reader(path, filled):
    with sqlite3.connect(path, isolation_level=None, check_same_thread=False) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM memories").fetchone()
        with Memtrace(path) as client:
            client.remember("assistant", "while somebody reads")
            timer = threading.Timer(0.3, reader.execute, ["ROLLBACK"])
            timer.start()
            with StoreFile(str(path)) as store:
                store.compact()
            timer.join()
    reader.close()
    with StoreFile(str(path)) as store:
        assert (store.check(), store.info().memories) == ([], 3)


def test_compacting_waits_for_nobody_longer_than_its_timeout(path, filled):
    with StoreFile(str(path), timeout=0.1) as store:
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM memories").fetchone()
        with Memtrace(path) as client:
            client.remember("other", "later")  # which the reader does not see, and so holds back in the log
        with pytest.raises(TransportError, match="was locked by another process"):
            store.compact()
        reader.close()
        store.compact()


# ---- forgetting -----------------------------------------------------------------------------------------------------


def test_forgetting_leaves_no_byte_of_it_in_any_file(path, filled):
    with StoreFile(str(path)) as store:
        assert in_any_file(path, b"planted secret of Ines")
        report = store.forgettable(filled)
        assert (report.memories, report.sessions, report.registered) == (1, 1, 1)
        assert store.forget(filled) == report
        for word in (b"planted", b"plant", b"Ines", b"ine", filled.encode()):
            assert not in_any_file(path, word), word
        assert store.check() == []
    with Memtrace(path) as client:
        assert contents(client, "other") == ["kept"]
        assert client.agents.list().agents == []
        assert client.sessions.list().sessions == []


def test_only_what_is_older_goes_where_a_time_is_given(path, clock):
    with Memtrace(path, clock=clock) as client:
        client.remember("assistant", "old")
        boundary = datetime.fromtimestamp(clock.wall() + 1, timezone.utc)
        clock.now += 10
        client.agents.register(name="assistant")
        client.remember("assistant", "new")
    with StoreFile(str(path)) as store:
        report = store.forget("assistant", before=boundary.replace(tzinfo=None))
        assert (report.memories, report.sessions, report.registered) == (1, 0, 0)
        assert store.forget("assistant", before=boundary + timedelta(seconds=5)).memories == 0
    with Memtrace(path, clock=clock) as client:
        assert contents(client) == ["new"]


def test_thousands_are_forgotten_in_several_transactions(path, transport_to):
    transport = transport_to(str(path))
    with Memtrace("memory://", transport=transport) as client:
        requests = (AddMemoryRequest(agent_id="assistant", content=f"number {number}") for number in range(1500))
        client.memories.add_many(requests).raise_for_failures()
    transport.close()
    with StoreFile(str(path)) as store:
        assert store.forget("assistant").memories == 1500
        assert store.info().memories == 0


@pytest.mark.parametrize("before", ["", "2026-01-01", 0])
def test_a_bound_that_is_no_time_removes_nothing(path, filled, before):
    with StoreFile(str(path)) as store:
        with pytest.raises(ConfigurationError, match="before must be a datetime"):
            store.forget(filled, before=before)
        assert store.info().memories == 2


def test_an_organisation_that_is_not_there_is_told(path, filled):
    with StoreFile(str(path)) as store, pytest.raises(ConfigurationError, match="has no organisation 'acme'"):
        store.forget("assistant", organisation="acme")


def test_a_deletion_that_cannot_begin_takes_nothing(path, filled):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with StoreFile(str(path), timeout=0.1) as store:
        with pytest.raises(TransportError, match="was locked"):
            store.forget(filled)
        assert store.info().memories == 2
    other.close()


# ---- keys -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def issued(transport_to):
    """Makes clients that need an issued key."""
    return lambda path, key: Memtrace("memory://", key, transport=transport_to(str(path), any_key=False))


def test_a_key_is_shown_once_and_opens_its_own_organisation(path, issued):
    with StoreFile(str(path), create=True) as store:
        one, two = store.create_key("one"), store.create_key("two")
        assert one.startswith("mtk_")
        assert len(one) == 48
        assert not in_any_file(path, one.encode())
    issued(path, one).remember("assistant", "of one")
    assert contents(issued(path, one)) == ["of one"]
    assert contents(issued(path, two)) == []


def test_a_key_may_open_the_organisation_of_clients_without_one(path, filled, issued):
    with StoreFile(str(path)) as store:
        key = store.create_key("phone", organisation="default")
    assert contents(issued(path, key), "other") == ["kept"]


def test_keys_are_listed_and_revoked_by_name(path, issued):
    with StoreFile(str(path), create=True) as store:
        key = store.create_key("acme")
        (listed,) = store.keys()
        assert (listed.name, listed.organisation, listed.revoked) == ("acme", "acme", None)
        with pytest.raises(ConfigurationError, match="there is a key 'acme' already"):
            store.create_key("acme")
        issued(path, key).remember("assistant", "x")
        store.revoke_key("acme")
        with pytest.raises(AuthenticationError):
            issued(path, key).recall("assistant")
        with pytest.raises(ConfigurationError, match="no key 'acme' is in use"):
            store.revoke_key("acme")
        again = store.create_key("acme")
        assert contents(issued(path, again)) == ["x"]
        assert [key.revoked is None for key in list(store.keys())] == [False, True]
    with Memtrace(path, key) as client, pytest.raises(AuthenticationError):  # also where any other key is let in
        client.recall("assistant")


def test_a_key_needs_a_name(path):
    with StoreFile(str(path), create=True) as store, pytest.raises(ConfigurationError, match="needs a name"):
        store.create_key("")


def test_another_process_that_serves_the_file_hears_of_a_revoked_key_at_once(path, issued):
    with StoreFile(str(path), create=True) as store:
        key = store.create_key("acme")
        client = issued(path, key)
        client.remember("assistant", "x")
        code = (
            f"from memtrace_transports.sqlite.maintenance import StoreFile\nStoreFile({str(path)!r}).revoke_key('acme')"
        )
        subprocess.run([sys.executable, "-c", code], check=True)
        with pytest.raises(AuthenticationError):
            client.recall("assistant")


def test_a_store_that_is_locked_is_told_by_its_path(path, filled):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with StoreFile(str(path), timeout=0.05) as store, pytest.raises(TransportError, match=str(path)) as caught:
        store.create_key("acme")
    assert not isinstance(caught.value, APITimeoutError)  # which is what comes out of a client's call
    other.close()

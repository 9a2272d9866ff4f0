"""The care of a store's file: counts, checks, copies, keys, and forgetting for good."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtrace import (
    AddMemoryRequest,
    APITimeoutError,
    AuthenticationError,
    ConfigurationError,
    Memtrace,
    TransportError,
)
from memtrace_transports.sqlite import _text_index, maintenance
from memtrace_transports.sqlite._checking import find_problems
from memtrace_transports.sqlite._index import TextIndexes
from memtrace_transports.sqlite.maintenance import StoreFile, check_store
from tests.forked import in_child
from tests.sampling import sample
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
    assert (info.path, info.schema_version) == (str(path), 2)
    assert (info.memories, info.agents, info.sessions, info.keys) == (2, 1, 1, 0)
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
    assert problems[1].endswith("has memories that are not stored: 1")


def test_an_index_that_is_not_that_of_its_rows_is_told(path, filled):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        change = (
            "UPDATE sqlite_master SET sql = replace(sql, '(org, time)', '(org, id)') WHERE name = 'memories_by_time'"
        )
        connection.execute(change)
    with StoreFile(path) as store:
        assert any("memories_by_time" in problem for problem in store.check())


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
        connection = store._connection
        connection.execute("DROP TABLE keys")
        connection.execute("CREATE TABLE keys (org INTEGER REFERENCES organisations (id))")
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("INSERT INTO keys VALUES (1)")
        problems = store.check()
        assert problems[0] == "the organisations cannot be read: no such table: organisations"
        assert (
            "refers to a row of organisations that is not there" in problems[-1]
        )  # the rest is looked at all the same
        with pytest.raises(ConfigurationError, match="cannot be used: no such table"):
            store.info()


BROKEN_INDEXES = {
    "its pages hold something else": "UPDATE recall1_text_data SET block = randomblob(length(block)) WHERE id > 10",
    "a page is gone": "DELETE FROM recall1_text_data WHERE id = (SELECT max(id) FROM recall1_text_data)",
    "the way to its pages is gone": "DELETE FROM recall1_text_idx",
    "its list of segments is gone": "UPDATE recall1_text_data SET block = x'00' WHERE id = 10",
    "it knows nothing of a memory": "DELETE FROM recall1_docs WHERE key = 3",
    "it knows a memory twice": (
        "INSERT INTO recall1_docs SELECT place + 1, key + 1000, sequence, at, time, agent_id, session_id, memory_type, event_type,"
        " importance, tags, fingerprint, memory FROM recall1_docs WHERE place = (SELECT max(place) FROM recall1_docs)"
    ),
    "another memory stands for one": "UPDATE recall1_docs SET key = key + 1000 WHERE key = 3",
}


def broken(path, statement):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute(statement)
    other.close()


@pytest.fixture
def many(path):
    """300 memories of each of two agents, planted in content and metadata."""
    with Memtrace(path) as client:
        for agent in ("planter", "neighbour"):
            client.memories.add_many(
                AddMemoryRequest(agent_id=agent, content=f"{agent} seed{n}", metadata={"note": f"{agent} hidden{n}"})
                for n in range(300)
            ).raise_for_failures()
        assert client.memories.search("seed299").memories[0].content in ("planter seed299", "neighbour seed299")


@pytest.mark.parametrize("statement", BROKEN_INDEXES.values(), ids=BROKEN_INDEXES)
def test_a_text_index_that_is_damaged_is_told_and_made_anew(path, many, statement):
    broken(path, statement)
    with StoreFile(path) as store:
        problems = store.check()
        assert problems
        assert all(problem.startswith("the text index of org_") for problem in problems)
        store.compact()
        assert store.check() == []
    with Memtrace(path) as client:
        assert {hit.memory.agent_id for hit in client.memories.search("seed299 hidden7")} == {"planter", "neighbour"}


@pytest.mark.parametrize("kind", sample(BROKEN_INDEXES, 3))
def test_an_agent_is_forgotten_whatever_befell_the_text_index(path, many, kind):
    broken(path, BROKEN_INDEXES[kind])
    with StoreFile(path) as store:
        assert store.forget("planter").memories == 300
        assert store.check() == []
    for word in (b"planter", b"planterseed", b"seed299planter"):
        assert not in_any_file(path, word), word
    with Memtrace(path) as client:
        assert len(list(client.memories.iter(agent_id="neighbour"))) == 300


def test_a_file_in_which_others_write_all_the_time_is_checked_by_reading_it(path, many):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with StoreFile(path, timeout=0.05) as store:
        assert store.check() == []
    other.close()


@pytest.mark.parametrize("kind", sample(BROKEN_INDEXES, 3))
def test_a_file_that_nobody_may_write_is_checked_by_reading_it(path, many, kind):
    for problem in (False, True):
        if problem:
            broken(path, BROKEN_INDEXES[kind])
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)
        with closing(connection):
            assert bool(find_problems(connection, TextIndexes(connection), 0)) is problem


def test_an_index_that_is_not_there_is_told(path, many):
    broken(path, "DROP TABLE recall1_text")
    with StoreFile(path) as store:
        assert "no such table: recall1_text" in store.check()[0]


def test_a_file_that_another_process_has_for_itself_is_locked_and_not_damaged(path, many):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
    with StoreFile(path, timeout=0.05) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        store._connection.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TransportError, match="was locked by another process"):
            store.check()


def test_a_file_that_cannot_be_opened_any_more_has_a_problem(path, many):
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\xff" * 3996 + whole[4096:])
    assert check_store(path) == ["the file cannot be opened: database disk image is malformed"]
    path.write_bytes(b"\0" * 4096 + whole[4096:])
    assert check_store(f"sqlite:///{path}") == ["the file cannot be opened: file is not a database"]
    path.write_bytes(whole)
    assert check_store(path) == []
    with pytest.raises(ConfigurationError, match="does not exist"):
        check_store(path.with_name("typo.db"))
    with sqlite3.connect(path.with_name("theirs.db")) as other:
        other.execute("CREATE TABLE theirs (a)")
    other.close()
    with pytest.raises(ConfigurationError, match="of another program"):
        check_store(path.with_name("theirs.db"))


WORDS = st.text(st.sampled_from("ab \n\"'*éß漢\u0301\u200d1"), min_size=1, max_size=12).filter(str.strip)


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from("pqr"), st.lists(WORDS, min_size=1, max_size=4), st.booleans()), max_size=8))
@settings(deadline=None)
def test_no_file_is_called_damaged_that_is_whole(steps):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "agent.db"
        with Memtrace(path, dedup="per_call") as client, StoreFile(path, create=True) as store:
            for agent, texts, is_forgotten in steps:
                for text in texts:
                    client.memories.add(agent_id=agent, content=text, metadata={"note": text})
                if is_forgotten:
                    assert store.forget(agent).memories
                assert store.check() == []


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
        again = store.forget("assistant", before=boundary + timedelta(seconds=5))
        assert (again.memories, again.known, again.is_empty) == (0, True, True)
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


def test_an_agent_is_found_by_its_name_where_no_id_is_such(path, filled):
    with StoreFile(path) as store:
        report = store.forgettable("assistant")
        assert (report.agent_id, report.known, report.namesake) == (filled, True, None)
        assert store.forget("assistant") == report
        assert store.info().memories == 1


def test_an_id_counts_before_a_name_and_the_namesake_is_told(path, filled):
    with Memtrace(path) as client:
        client.remember("assistant", "of the id")
    with StoreFile(path) as store:
        report = store.forget("assistant")
        assert (report.agent_id, report.memories, report.registered) == ("assistant", 1, 0)
        assert report.namesake == filled
        assert store.forgettable(filled).memories == 1


@pytest.mark.parametrize("agent", ["nobody", "Assistant", ""])
def test_nothing_is_known_of_who_was_never_there(path, filled, agent):
    with StoreFile(path) as store:
        report = store.forget(agent)
        assert (report.known, report.is_empty, report.unfinished) == (False, True, False)


def test_a_reader_that_holds_back_the_erasing_is_told_as_that_and_a_further_call_ends_it(path, many):
    with Memtrace(path) as client:
        client.agents.register(name="planter")
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM memories").fetchone()
    with StoreFile(path, timeout=0.05) as store:
        with pytest.raises(TransportError) as caught:
            store.forget("planter")
        assert "memories of planter are removed from the store" in caught.value.message
        assert "not yet erased from the bytes of its file: it was locked by another process" in caught.value.message
        assert "nothing of this call" not in caught.value.message
        assert caught.value.hint == "close what reads or writes the file; then run it again, which erases them"
        assert caught.value.maybe_sent
    assert in_any_file(path, b"planter seed7")
    reader.close()
    with StoreFile(path) as store:
        report = store.forget("planter")
        assert (report.memories, report.known, report.unfinished) == (0, True, True)
        assert store.forgettable("planter").unfinished is False
        assert store.check() == []
    assert not in_any_file(path, b"seed7 planter")
    assert not in_any_file(path, b"planter seed")
    assert not in_any_file(path, b"planterseed")


def test_compacting_erases_as_well_what_a_call_could_not(path, many):
    with StoreFile(path, timeout=0.05) as store:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store, "compact", lambda: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                store.forget("planter")
        assert store.forgettable("planter").unfinished
        store.compact()
        report = store.forgettable("planter")
        assert (report.known, report.unfinished) == (False, False)
    for word in (b"planter seed", b"hidden7 planter", b"planter"):
        assert not in_any_file(path, word), word


def test_a_disk_without_room_to_erase_is_told_with_what_to_do(path, many):
    with StoreFile(path) as store:
        with pytest.MonkeyPatch.context() as patch:
            full = sqlite3.OperationalError("database or disk is full")
            patch.setattr(store, "_end_log", raising(full))
            with pytest.raises(
                TransportError, match="not yet erased from the bytes of its file: it cannot be written"
            ) as caught:
                store.forget("planter")
        assert caught.value.hint == "make room and call again; then run it again, which erases them"


def raising(error):
    def fail(*args):
        raise error

    return fail


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
        assert (listed.name, listed.organisation, listed.revoked_at) == ("acme", "acme", None)
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
        assert [key.revoked_at is None for key in list(store.keys())] == [False, True]
    with Memtrace(path, key) as client, pytest.raises(AuthenticationError):  # also where any other key is let in
        client.recall("assistant")


@pytest.mark.parametrize("name", ["", " ", "\t\n"])
def test_a_key_needs_a_name(path, name):
    with StoreFile(str(path), create=True) as store, pytest.raises(ConfigurationError, match="needs a name"):
        store.create_key(name)


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


def test_a_file_that_is_looked_after_is_there_for_both_processes_of_a_fork(path):
    with Memtrace(path) as client:
        client.remember("assistant", "before")
    closed = StoreFile(path)
    closed.close()
    with StoreFile(path) as store:
        assert in_child(lambda: store.info().memories) == 1
        assert (store.info().memories, store.check()) == (1, [])


def test_a_fork_waits_no_longer_than_it_must_for_the_care_of_a_file(path, monkeypatch):
    monkeypatch.setattr(maintenance, "_PATIENCE", 0)
    with StoreFile(path, create=True) as store:
        held, let_go = threading.Event(), threading.Event()

        def hold():
            with store._lock:
                held.set()
                let_go.wait(30)

        holding = threading.Thread(target=hold)
        holding.start()
        held.wait(30)
        assert in_child(lambda: 7) == 7
        let_go.set()
        holding.join()
        assert store.info().memories == 0


def test_a_fork_after_the_file_has_gone_leaves_what_looks_after_it_closed(path):
    with StoreFile(path, create=True) as store:
        path.unlink()
        assert in_child(lambda: 7) == 7
        with pytest.raises(ConfigurationError, match="was closed"):
            store.info()


def test_what_is_closed_says_so(path):
    store = StoreFile(path, create=True)
    store.close()
    store.close()
    with pytest.raises(ConfigurationError, match=r"agent.db was closed"):
        store.check()


def test_an_index_that_the_next_search_makes_anew_is_no_damage(path, many):
    broken(path, "UPDATE recall_scopes SET version = 0")
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)) as connection:
        assert find_problems(connection, TextIndexes(connection), 0) == []
        broken(path, "DROP TABLE recall_scopes")
        assert find_problems(connection, TextIndexes(connection), 0) == []


def test_what_is_no_lock_is_told_of_an_index(path, many, monkeypatch):
    def fails(connection, until):
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(_text_index, "begin", fails)
    with StoreFile(path) as store:
        assert "disk I/O error" in store.check()[0]

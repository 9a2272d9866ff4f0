"""An index as a whole: adding, removing, transactions, tenants, several processes."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from datetime import timedelta

import pytest

from memtrace.exceptions import ConfigurationError
from memtrace.ranking import MemoryFilter, MemorySearch, TextIndex, _index, _scope, _tables
from memtrace.ranking import _batch as batch_module
from tests.ranking.memories import START, apart, found, index_of, memory


def test_a_memory_is_added_once():
    index = index_of()
    row = memory("User prefers tea")
    assert index.add(row) is True
    assert index.add(row) is False
    assert index.add_many([row, memory("Another", 1), memory("Another", 1)]) == 1
    assert len(index) == 2
    assert found(index, "tea") == ["User prefers tea", "Another"]


def test_the_newest_is_the_server_s_time():
    index = index_of()
    assert index.newest() is None
    index.add(memory("x", 5, metadata={"occurred_at": "2020-01-01T00:00:00Z"}))
    index.add(memory("y", 3, agent_id="b"))
    assert index.newest() == START + timedelta(minutes=5)
    assert index.newest("b") == START + timedelta(minutes=3)
    assert index.newest("c") is None


def test_notes_are_kept():
    index = index_of()
    assert index.note("server") is None
    index.set_note("server", "one")
    index.set_note("server", "two")
    assert index.note("server") == "two"


def test_what_is_removed_is_found_no_more_and_counts_no_more():
    gone, rest = memory("Zebras zebras zebras eat grass", 0, session_id="s"), apart("grass is green", "lions sleep")
    index = index_of(gone, *rest)
    MemorySearch(index).search("zebras")
    assert index.remove(gone) is True
    assert index.remove(gone) is False
    assert found(index, "zebras") == []
    assert found(index, "grass") == ["grass is green"]
    never = index_of(*rest)
    assert len(index) == len(never) == 2
    assert [*index.scope().lengths.values()] == [*never.scope().lengths.values()]
    assert [*index.words_with("ras"), *index.words_with("ebr")] == ["grass"]


def test_after_compacting_a_removed_word_is_nowhere_in_the_file(tmp_path):
    path = tmp_path / "index"
    connection = sqlite3.connect(path)
    gone = memory("xylophonesecret")
    index = index_of(gone, memory("tea", 1), connection=connection)
    index.remove(gone)
    index.compact()
    connection.execute("VACUUM")
    connection.close()
    assert b"xylophonesecret" not in path.read_bytes()


def test_a_cleared_index_is_empty_and_can_be_filled():
    index = index_of(*apart("tea", "coffee"))
    index.clear()
    assert len(index) == 0
    assert found(index, "tea") == []
    index.add(memory("green tea"))
    assert found(index, "tea") == ["green tea"]


def test_many_waiting_memories_are_taken_in(monkeypatch):
    monkeypatch.setattr(_index, "_MOST_WAITING", 3)
    connection = sqlite3.connect(":memory:")
    index = index_of(connection=connection)
    for n in range(7):
        index.add(memory(f"tea number {n}", n))
    assert connection.execute("SELECT count(*) FROM recall1_waiting").fetchone() == (1,)
    assert len(found(index, "tea")) == 7


def test_memories_in_any_order_are_all_found():
    rows = apart(*(f"tea from {place}" for place in ("Assam", "Ceylon", "Darjeeling")))
    index = index_of(*reversed(rows))
    assert sorted(found(index, "tea")) == sorted(row.content for row in rows)


def test_a_session_of_any_length_is_one_group(monkeypatch):
    rows = [memory(f"tea {n}", n, session_id="s") for n in range(8)]
    small = index_of(*rows)
    monkeypatch.setattr(batch_module, "POSITIONS", 3)
    index = index_of(*rows[:5])
    index.add_many(rows[5:])
    for owner in ({"session_id": "s"}, {"agent_id": "a"}, {}):
        assert len(index.scope(**owner).lengths) == 1
        hits = [MemorySearch(each).search("tea 3", MemoryFilter(**owner)) for each in (index, small)]
        assert [(hit.memory, hit.score, hit.previous, hit.next) for hit in hits[0]] == [
            (hit.memory, hit.score, hit.previous, hit.next) for hit in hits[1]
        ]
        assert len(hits[0]) == 8


def test_without_sessions_half_an_hour_ends_a_group():
    index = index_of(memory("a", 0), memory("b", 30), memory("c", 61), memory("d", 62, agent_id="b"))
    assert sorted(index.scope("a").lengths.values()) == [5, 10]
    assert len(index.scope().lengths) == 3


# ---- transactions


def test_an_index_within_a_host_s_transaction_goes_with_it():
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE rows (key INTEGER PRIMARY KEY, content TEXT)")
    index = TextIndex(connection, keep=False)
    kept = {}

    def store(row):
        key = connection.execute("INSERT INTO rows(content) VALUES (?)", (row.content,)).lastrowid
        kept[key] = row
        index.add(row, key)

    with connection:
        store(memory("black tea"))
    store(memory("green tea", 1))
    connection.rollback()
    search = MemorySearch(index, load=lambda keys: [kept[key] for key in keys])
    assert [hit.memory.content for hit in search.search("tea")] == ["black tea"]
    assert connection.execute("SELECT memory FROM recall1_docs").fetchall() == [(None,)]
    connection.execute("INSERT INTO rows(content) VALUES ('x')")  # a search within a transaction leaves it open
    assert search.search("tea").memories == [memory("black tea")]
    assert connection.in_transaction


def test_an_error_in_the_middle_changes_nothing():
    index = index_of(memory("tea"))
    with pytest.raises(ValueError, match="shorter"):
        index.add_many([memory("coffee", 1), memory("milk", 2)], [1])
    assert len(index) == 1
    assert found(index, "coffee") == []


def test_keys_and_memories_must_be_as_many():
    with pytest.raises(ValueError, match="zip"):
        index_of().add_many([], [1])


def test_two_connections_use_one_file(tmp_path):
    path = tmp_path / "index"
    one, two = (TextIndex(sqlite3.connect(path)) for _ in range(2))
    one.add(memory("black tea", 0, session_id="s"))
    two.add(memory("green tea", 1, session_id="s"))
    one.add(memory("white tea", 2, session_id="s"))
    for index in (one, two):
        assert sorted(found(index, "tea")) == ["black tea", "green tea", "white tea"]
        assert len(index.scope(session_id="s").lengths) == 1
    assert two.add(memory("black tea", 0, session_id="s")) is False


@pytest.mark.slow
def test_a_process_killed_while_it_writes_leaves_what_was_committed(tmp_path):
    path = tmp_path / "index"
    script = f"""
import os, signal, sqlite3
from memtrace.ranking import TextIndex
from tests.ranking.memories import memory
index = TextIndex(sqlite3.connect({str(path)!r}))
index.add_many([memory(f"tea {{n}}", n) for n in range(2000)])
def rows():
    for n in range(2000, 9000):
        if n == 2500:
            os.kill(os.getpid(), signal.SIGKILL)
        yield memory(f"tea {{n}}", n)
index.add_many(rows())
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode < 0
    index = TextIndex(sqlite3.connect(path))
    assert len(index) == 2000
    assert index.add_many([memory(f"tea {n}", n) for n in range(2100)]) == 100
    assert len(found(index, "tea", limit=5000)) == 2100


# ---- tenants


def test_another_scope_changes_no_score_and_is_never_found():
    connection = sqlite3.connect(":memory:")
    mine = index_of(*apart("black tea", "green tea and coffee", "milk"), connection=connection, scope="mine")
    before = [(hit.memory, hit.score) for hit in MemorySearch(mine).search("tea coffee")]
    index_of(*apart(*(f"tea {n} coffee" for n in range(50))), connection=connection, scope="theirs")
    assert [(hit.memory, hit.score) for hit in MemorySearch(mine).search("tea coffee")] == before
    again = index_of(connection=connection, scope="mine")
    assert [(hit.memory, hit.score) for hit in MemorySearch(again).search("tea coffee")] == before


def test_another_agent_of_the_same_bucket_changes_no_score(monkeypatch):
    for module in (batch_module, _scope):
        monkeypatch.setattr(module, "blocks_of", lambda agent_id: (7 << 24, (8 << 24) - 1))
    rows = apart("black tea", "green tea and coffee", "milk", "sleepwalking")
    others = [memory(text, 99 + n, agent_id="b") for n, text in enumerate(("tea tea", "coffee", "a sleepwalker"))]
    for query in ("tea coffee", "sleepwalk"):
        alone, shared = (
            [(hit.memory, hit.score) for hit in MemorySearch(index).search(query, MemoryFilter(agent_id="a"))]
            for index in (index_of(*rows), index_of(*rows, *others))
        )
        assert alone == shared
        assert alone


# ---- a Python without FTS5


class _WithoutFTS5(sqlite3.Connection):
    problem = "no such module: fts5"

    def execute(self, sql, *values):
        if "fts5" in sql:
            raise sqlite3.OperationalError(self.problem)
        return super().execute(sql, *values)


def test_a_python_without_fts5_is_named():
    with pytest.raises(ConfigurationError, match="built without FTS5"):
        TextIndex(sqlite3.connect(":memory:", factory=_WithoutFTS5))


def test_another_problem_of_the_database_comes_through(monkeypatch):
    monkeypatch.setattr(_WithoutFTS5, "problem", "disk I/O error")
    with pytest.raises(sqlite3.OperationalError, match="disk"):
        TextIndex(sqlite3.connect(":memory:", factory=_WithoutFTS5))


def test_statements_that_differ_by_a_list_do_not_pile_up(monkeypatch):
    monkeypatch.setattr(_tables, "_MOST_STATEMENTS", 2)
    assert found(index_of(*apart("tea", "milk")), "tea") == ["tea"]


def test_a_part_of_a_word_is_found_beside_another_agent_of_the_same_bucket():
    """``a`` and ``b317`` share a bucket."""
    german = "Die Geschwindigkeitsbegrenzung wurde aufgehoben"
    index = index_of(memory(german, 0), memory("Tee am Morgen", 1), memory(german, 2, agent_id="b317"))
    assert found(index, "Geschwindigkeit", limit=1, agent_id="a") == [german]
    assert found(index_of(memory("Tee", 0), memory(german, 1, agent_id="b317")), "Geschwindigkeit", agent_id="a") == []

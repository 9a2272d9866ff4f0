"""An index in a file of its own: damaged, another version's, another program's, shared by processes."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from memtrace.exceptions import ConfigurationError, InvalidRequestError
from memtrace.ranking import TextIndex, _tables, answer_query, open_index_file
from memtrace.ranking._file import reading_rows
from memtrace.transport import IndexQuery
from tests.ranking.memories import apart, found, memory
from tests.ranking.version1 import PATH


@pytest.fixture
def path(tmp_path):
    return tmp_path / "index"


def filled(path, *contents):
    connection = open_index_file(path)
    index = TextIndex(connection)
    index.add_many(apart(*contents))
    connection.close()


def test_a_file_keeps_the_index_between_runs(path, caplog):
    filled(path, "black tea", "milk")
    assert found(TextIndex(open_index_file(path)), "tea") == ["black tea"]
    assert not caplog.records


@pytest.mark.parametrize("damage", ["garbage", "cut", "header", "pages"])
def test_a_damaged_file_is_made_anew_and_the_log_says_so_once(path, damage, caplog):
    filled(path, *(f"tea number {n} of many" for n in range(500)))
    whole = path.read_bytes()
    path.write_bytes(
        {
            "garbage": b"no database at all" * 500,
            "cut": whole[: len(whole) // 2],
            "header": b"x" * 100 + whole[100:],
            "pages": whole[:4096] + b"\xff" * (len(whole) - 4096),
        }[damage]
    )
    with caplog.at_level(logging.WARNING):
        index = TextIndex(open_index_file(path))
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("the search index is damaged and is rebuilt")
    kept = path.with_name("index.damaged")
    assert kept.exists() is (damage in {"garbage", "header"}), "what may be another program's file is not deleted"
    assert len(index) == 0
    index.add(memory("green tea"))
    assert found(index, "tea") == ["green tea"]


def test_an_index_of_another_version_is_made_anew_in_its_file(path, monkeypatch, caplog):
    filled(path, "black tea")
    TextIndex(open_index_file(path), "other").add(memory("other tea"))
    monkeypatch.setattr(_tables, "VERSION", 99)
    with caplog.at_level(logging.WARNING):
        index = TextIndex(open_index_file(path))
        assert len(TextIndex(open_index_file(path))) == len(index) == 0
    assert [record.getMessage() for record in caplog.records] == [
        "the search index is another version's and is rebuilt"
    ]
    index.add(memory("green tea"))
    assert found(index, "tea") == ["green tea"]
    monkeypatch.undo()
    assert found(TextIndex(open_index_file(path), "other"), "tea") == ["other tea"]


def test_an_index_that_the_first_version_wrote_is_made_anew(path, caplog):
    shutil.copy(PATH, path)
    with caplog.at_level(logging.WARNING):
        index = TextIndex(open_index_file(path), "someone")
    assert [record.getMessage() for record in caplog.records] == [
        "the search index is another version's and is rebuilt"
    ]
    assert (len(index), index.note("seen")) == (0, None), "all of it is read again"
    index.add(memory("green tea"))
    assert found(index, "tea") == ["green tea"]
    with closing(sqlite3.connect(path)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables.isdisjoint({"recall1_groups", "recall1_members"})


def test_a_file_of_a_newer_release_is_kept_aside_and_made_anew(path, caplog):
    filled(path, "black tea")
    for content in ("black tea", "green tea"):  # the second time there is one aside already
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            connection = open_index_file(path)
            index = TextIndex(connection)
            open_index_file(path).close()
        assert [record.getMessage() for record in caplog.records] == [
            "the search index is another version's and is rebuilt; the old file is kept beside it as .newer"
        ]
        assert len(index) == 0
        index.add(memory("green tea"))
        assert found(index, "tea") == ["green tea"]
        connection.close()
        kept = sqlite3.connect(path.with_name("index.newer"))
        assert kept.execute("PRAGMA user_version").fetchone() == (99,)
        assert found(TextIndex(kept), "tea") == [content]
        kept.close()


def test_another_program_s_database_is_left_alone(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (value)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="is the database of another program") as caught:
        open_index_file(path)
    assert caught.value.argument == "search_index"
    assert path.read_bytes() == before


def test_a_path_at_which_no_file_can_be_is_named(path):
    path.write_text("a file", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="cannot be reached|something else is in its place") as caught:
        open_index_file(path / "index")
    assert caught.value.argument == "search_index"
    with pytest.raises(ConfigurationError, match="is a folder"):
        open_index_file(path.parent)


def test_a_file_that_another_process_holds_is_waited_for_and_named(path):
    open_index_file(path).close()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA locking_mode=EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(ConfigurationError, match="was locked by another process"):
        open_index_file(path, timeout=0.2)
    holder.close()
    open_index_file(path).close()


@pytest.mark.slow
def test_two_processes_fill_one_file(path):
    script = f"""
import sys
from memtrace.ranking import TextIndex, open_index_file
from tests.ranking.memories import memory
index = TextIndex(open_index_file({str(path)!r}, timeout=60))
for n in range(int(sys.argv[1]), 400, 2):
    index.add(memory(f"tea {{n}}", n, session_id="s"))
"""
    open_index_file(path).close()
    both = [subprocess.Popen([sys.executable, "-c", script, start]) for start in "01"]
    assert [process.wait() for process in both] == [0, 0]
    index = TextIndex(open_index_file(path))
    assert len(index) == 400
    assert len(found(index, "tea", limit=1000)) == 400


def test_bad_input_is_no_damage_of_the_index():
    index = TextIndex(sqlite3.connect(":memory:"))
    with pytest.raises(InvalidRequestError, match="query"), reading_rows():
        answer_query(index, IndexQuery(query=" "))


def test_a_row_that_cannot_be_read_is_damage_and_its_content_is_not_told():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    index = TextIndex(connection)
    index.add(memory("secret tea"))
    connection.execute("UPDATE recall1_docs SET memory = CAST(x'22' || memory AS BLOB)")
    with pytest.raises(sqlite3.DatabaseError, match="malformed") as caught, reading_rows():
        answer_query(index, IndexQuery(query="tea"))
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__

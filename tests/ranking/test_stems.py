"""Stems of words: those that SQLite's own tokenizer has."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtrace.ranking._stems import _STEP_2, _STEP_3, _STEP_4, stem

ENDINGS = [*_STEP_2, *_STEP_3, *_STEP_4, "s", "ed", "ing", "eed", "sses", "ies", "e", "y", "ll", "at", "bl", "iz"]
made = st.builds(
    lambda start, *endings: start + "".join(endings),
    st.text("abeilostyz1", min_size=1, max_size=5),
    *[st.sampled_from(["", *ENDINGS])] * 3,
)


@pytest.fixture(scope="module")
def sqlites():
    """What SQLite makes of words, each by itself."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE text USING fts5 (word, tokenize='porter ascii')")
    connection.execute("CREATE VIRTUAL TABLE terms USING fts5vocab (text, instance)")

    def stems(words):
        connection.execute("DELETE FROM text")
        connection.executemany("INSERT INTO text(rowid, word) VALUES (?, ?)", enumerate(words))
        return [term for term, _ in connection.execute("SELECT term, doc FROM terms ORDER BY doc")]

    yield stems
    connection.close()


@pytest.mark.slow
@given(st.lists(made, min_size=40, max_size=80))
def test_they_are_those_of_sqlite(sqlites, words):
    assert [stem(word) for word in words] == sqlites(words)


def test_each_ending_by_itself_is_as_in_sqlite(sqlites):
    words = [
        start + first + last for start in ("", "rel", "abil", "st") for first in ENDINGS for last in ("", *ENDINGS)
    ]
    assert [stem(word) for word in words] == sqlites(words)


@pytest.mark.parametrize("word", ["go", "x" * 65 + "ing", "größen", "ходить", "東京"])
def test_other_words_are_their_own(word):
    assert stem(word) == word

"""Which words a text has."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtrace.ranking._words import LONGEST_WORD, memory_text, query_words, words
from tests.ranking.memories import memory


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, World! it's 42", ["hello", "world", "it", "s", "42"]),
        ("snake_case a\x00b", ["snake", "case", "a", "b"]),
        ("Café NAÏVE Straße", ["cafe", "naive", "strasse"]),
        ("canción über x²", ["cancion", "uber", "x2"]),
        ("東京都", ["東京", "京都", "都"]),
        ("Python入門 v3", ["python", "入門", "門", "v3"]),
        ("データ", ["デー", "ータ", "タ"]),
        ("한국어", ["한국", "국어", "어"]),
        ("हिन्दी", ["हनद"]),
        ("🎉 ✨ \ud800", []),
        ("x" * 100, ["x" * LONGEST_WORD]),
        ("ü" + "x" * 100, ["u" + "x" * (LONGEST_WORD - 1)]),
    ],
)
def test_a_text_is_taken_apart(text, expected):
    assert words(text) == expected


@given(st.text())
def test_words_have_nothing_in_them_that_an_index_would_read_otherwise(text):
    for word in words(text) + query_words(text):
        assert 0 < len(word) <= LONGEST_WORD
        assert word.isalnum()
        word.encode()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("What did Anna say about the guitar? Guitar!", ["anna", "guitar"]),
        ("what did they do", ["what", "did", "they", "do"]),
        ("東京都", ["東京", "京都"]),
        ("猫", ["猫"]),
        ("¿?", []),
    ],
)
def test_a_query_asks_for_its_words_once_and_without_stop_words(query, expected):
    assert query_words(query) == expected


def test_a_memory_is_found_by_event_tags_date_content_and_texts_of_its_metadata():
    metadata = {
        "speaker": "Ann",
        "id": "D1:5",
        "at": "2026-05-04T10:00:00Z",
        "n": 3,
        "more": [{"caption": "a red bike"}],
    }
    text = memory_text(memory("Hello", event_type="chat_turn", tags=["diet"], metadata=metadata))
    assert text.split("\n") == ["chat_turn", "diet", "Monday 4 May 2026", "Hello", "Ann", "a red bike"]
    assert memory_text(memory("Hello")) == "\nMonday 4 May 2026\nHello"


def test_the_date_is_when_it_occurred():
    row = memory("Hello", metadata={"occurred_at": "2023-01-02T03:04:05+01:00"})
    assert row.occurred_at == datetime(2023, 1, 2, 2, 4, 5, tzinfo=timezone.utc)
    assert "2 January 2023" in memory_text(row)
    assert "occurred" not in memory_text(row)


@pytest.mark.parametrize("said", [None, 5, "yesterday", "2023-01-02T03:04:05", ""])
def test_what_is_no_point_in_time_leaves_the_server_s(said):
    row = memory("Hello", metadata={"occurred_at": said})
    assert row.occurred_at == row.time


def test_z_is_a_zone():
    assert memory("x", metadata={"occurred_at": "2023-01-02T03:04:05Z"}).occurred_at.year == 2023

"""Vectors from a function that the user gives."""

from __future__ import annotations

import logging
import sqlite3

import pytest

from memtrace.ranking import MemoryFilter, MemorySearch, TextIndex
from tests.ranking.memories import apart, index_of, memory

MEANINGS = {"car": 0, "automobile": 0, "vehicle": 0, "cat": 1, "feline": 1, "rain": 2, "weather": 2}


def embed(texts):
    """One direction for each meaning, and one for no known one."""
    vectors = []
    for text in texts:
        vector = [0.0] * 4
        for word in text.lower().split():
            vector[MEANINGS.get(word, 3)] += 1.0
        vectors.append(vector)
    return vectors


ROWS = apart("my automobile broke down", "a feline slept", "weather is bad", "something else")


def hits(search, query, **fields):
    return [row.content for row in search.search(query, MemoryFilter(**fields)).memories]


def test_a_memory_without_a_word_of_the_query_is_found_by_its_meaning():
    search = MemorySearch(index_of(*ROWS), embedder=embed)
    assert search.embed() == 4
    assert search.embed() == 0
    assert hits(search, "vehicle")[0] == "my automobile broke down"
    assert hits(search, "cat", agent_id="a")[0] == "a feline slept"
    assert hits(MemorySearch(index_of(*ROWS)), "vehicle") == []


def test_words_and_vectors_are_joined():
    search = MemorySearch(index_of(*ROWS, *apart("vehicle papers")), embedder=embed)
    search.embed()
    assert hits(search, "vehicle")[:2] == ["vehicle papers", "my automobile broke down"]


def test_what_is_alike_counts_more_in_a_session_where_more_is_alike():
    first = [
        memory(content, n, session_id="a") for n, content in enumerate(("car", "rain", "cat", "weather", "automobile"))
    ]
    second = [memory(content, 100 + n, session_id="b") for n, content in enumerate(("car car", "rain rain", "cat cat"))]
    search = MemorySearch(index_of(*first, *second), embedder=embed)
    search.embed()
    assert hits(search, "vehicle")[:3] == ["automobile", "car", "car car"]


@pytest.mark.parametrize(
    ("metadata", "given"),
    [
        (None, "a feline slept"),
        ({"speaker": "Ines", "occurred_at": "2023-05-08T13:56:00Z", "turn": 3}, "Ines: a feline slept"),
        (
            {"caption": "a photo of a cat on a sofa", "speaker": "Ines"},
            "Ines: a feline slept [a photo of a cat on a sofa]",
        ),
        ({"who": {"speaker": "Ines", "role": "owner"}}, "Ines, owner: a feline slept"),
    ],
)
def test_a_vector_is_made_of_the_content_with_the_names_and_texts_of_its_metadata(metadata, given):
    asked = []

    def noting(texts):
        asked.extend(texts)
        return embed(texts)

    MemorySearch(index_of(memory("a feline slept", 0, metadata=metadata)), embedder=noting).embed()
    assert asked == [given]


def test_filters_hold_for_vectors_too():
    rows = [*ROWS, memory("vehicle", 50, agent_id="b", session_id="z", importance=0.9)]
    search = MemorySearch(index_of(*rows), embedder=embed)
    search.embed()
    assert hits(search, "car", agent_id="b") == ["vehicle"]
    assert hits(search, "car", min_importance=0.5) == ["vehicle"]
    assert hits(search, "car", session_id="z") == ["vehicle"]


def test_vectors_are_made_in_batches_and_kept_in_the_file(tmp_path):
    sizes = []

    def counting(texts):
        sizes.append(len(texts))
        return embed(texts)

    path = tmp_path / "index"
    index = TextIndex(sqlite3.connect(path))
    index.add_many(memory(f"cat {n}", n) for n in range(150))
    assert MemorySearch(index, embedder=counting).embed() == 150
    assert sizes == [64, 64, 22]
    again = MemorySearch(TextIndex(sqlite3.connect(path)), embedder=counting)
    assert again.embed() == 0
    assert len(hits(again, "feline")) == 10


def test_a_memory_that_is_removed_has_no_vector_any_more():
    index = index_of(*ROWS)
    search = MemorySearch(index, embedder=embed)
    search.embed()
    index.remove(ROWS[0])
    assert "my automobile broke down" not in hits(search, "vehicle")
    assert len([*index.signs(index.scope())]) == len([*index.vectors(range(1 << 20, 1 << 20))]) + 3


def test_without_an_embedder_nothing_is_made():
    assert MemorySearch(index_of(*ROWS)).embed() == 0


def test_a_host_s_memories_are_embedded_too():
    index = TextIndex(sqlite3.connect(":memory:"), keep=False)
    index.add_many(ROWS, range(4))
    search = MemorySearch(index, embedder=embed, load=lambda keys: [ROWS[key] for key in keys])
    assert search.embed() == 4
    assert hits(search, "vehicle")[0] == "my automobile broke down"


def fail(texts):
    raise RuntimeError("no model")


@pytest.mark.parametrize(
    ("embedder", "cause"),
    [
        (fail, "failed with RuntimeError"),
        (lambda texts: [[float("nan"), 1.0] for _ in texts], "gave a number that is not finite (NaN or infinity)"),
        (lambda texts: [[1.0, float("-inf")] for _ in texts], "gave a number that is not finite (NaN or infinity)"),
        (lambda texts: [], "gave 0 vectors for 4 strings"),
        (lambda texts: [[1.0]], "gave 1 vector for 4 strings"),
        (lambda texts: [[] for _ in texts], "gave a vector without numbers"),
        (lambda texts: [[1.0] * (n + 1) for n, _ in enumerate(texts)], "gave vectors of several lengths"),
    ],
)
def test_an_embedder_that_fails_warns_once_with_the_cause_and_words_alone_rank(embedder, cause, caplog):
    search = MemorySearch(index_of(*ROWS), embedder=embedder)
    with caplog.at_level(logging.WARNING):
        assert search.embed() == 0
        assert hits(search, "weather") == ["weather is bad"]
        assert hits(search, "weather") == ["weather is bad"]
        assert search.embed() == 0
    (record,) = caplog.records
    assert record.getMessage() == f"the embedder {cause}: memories are ranked by their words alone"


def test_an_embedder_that_fails_at_a_query_leaves_words(caplog):
    search = MemorySearch(index_of(*ROWS), embedder=fail)
    assert hits(search, "weather") == ["weather is bad"]
    assert "RuntimeError" in caplog.text
    assert "no model" not in caplog.text


def test_vectors_of_several_lengths_are_no_vectors():
    search = MemorySearch(index_of(*ROWS), embedder=lambda texts: [[1.0] * (n + 1) for n, _ in enumerate(texts)])
    assert search.embed() == 0


def test_another_model_s_vectors_are_made_anew():
    index = index_of(*ROWS)
    assert MemorySearch(index, embedder=lambda texts: [[1.0, 2.0] for _ in texts]).embed() == 4
    search = MemorySearch(index, embedder=embed)
    assert hits(search, "vehicle") == []
    assert search.embed() == 4
    assert hits(search, "vehicle")[0] == "my automobile broke down"


def test_a_query_vector_of_another_length_forgets_no_vectors(caplog):
    index = index_of(*ROWS)
    MemorySearch(index, embedder=embed).embed()
    hits = MemorySearch(index).search("weather", vector=[1.0, 2.0])
    assert [row.content for row in hits.memories] == ["weather is bad"], "words alone rank"
    assert index.counts(MemoryFilter())[1] == 4
    assert not caplog.records


def test_vectors_of_another_model_are_replaced_with_one_warning(caplog):
    index = index_of(*ROWS)
    MemorySearch(index, embedder=lambda texts: [[1.0, 2.0] for _ in texts]).embed()
    search = MemorySearch(index, embedder=embed)
    with caplog.at_level(logging.WARNING):
        search.search("vehicle")
        assert (search.embed(), search.embed()) == (4, 0)
    (record,) = caplog.records
    assert record.getMessage().startswith("the vectors of another model in the search index are recomputed")


def test_two_models_that_replace_each_other_s_vectors_at_once_come_to_an_end():
    index = index_of(*(memory(f"cat {n}", n) for n in range(150)))
    other = MemorySearch(index, embedder=lambda texts: [[1.0, 2.0] for _ in texts])
    calls = []

    def disturbed(texts):
        calls.append(len(texts))
        assert len(calls) < 20, "it goes on for ever"
        other.search("cat")
        other.embed()
        return embed(texts)

    search = MemorySearch(index, embedder=disturbed)
    search.search("cat")
    assert search.embed() > 0


def unknown_is_zero(texts):
    """As an embedder does that has no word of a text."""
    return [[*vector[:3], 0.0] for vector in embed(texts)]


def test_a_zero_vector_is_kept_and_is_like_nothing(caplog):
    index = index_of(*ROWS)
    search = MemorySearch(index, embedder=unknown_is_zero)
    assert (search.embed(), search.embed()) == (4, 0)
    assert index.counts(MemoryFilter())[1] == 4
    assert hits(search, "vehicle")[0] == "my automobile broke down"
    assert "something else" not in hits(search, "vehicle"), "it is near nothing"
    assert hits(search, "else") == ["something else"], "a query without a direction leaves words"
    assert hits(search, "nothing") == []
    assert not caplog.records


@pytest.mark.parametrize("tiny", [1e-300, 5e-324, -1e-200])
def test_a_vector_too_small_to_have_a_direction_is_zero(tiny, caplog):
    search = MemorySearch(index_of(*ROWS), embedder=lambda texts: [[tiny, tiny] for _ in texts])
    assert search.embed() == 4
    assert hits(search, "weather") == ["weather is bad"]
    assert hits(search, "vehicle") == []
    assert not caplog.records


@pytest.mark.parametrize("size", [1e-149, 1e-30, 1e39, 1e307])
def test_the_size_of_a_vector_does_not_matter(size):
    search = MemorySearch(index_of(*ROWS), embedder=lambda texts: [[size * n for n in v] for v in embed(texts)])
    search.embed()
    assert hits(search, "vehicle")[0] == "my automobile broke down"

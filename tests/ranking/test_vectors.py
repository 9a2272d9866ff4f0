"""Vectors in an index: what is near a query, by the vectors of one model."""

from __future__ import annotations

import sqlite3
from functools import partial

import pytest

from memtrace.exceptions import InvalidRequestError
from memtrace.ranking import MemoryFilter, MemorySearch, TextIndex, answer_query
from memtrace.ranking._vectors import CheckedEmbedder, model_name
from memtrace.transport import IndexQuery, PlacedVector
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


def embed_all(index, embedder=embed, model="words", load=None):
    """Make the vectors that are missing, as a client does; gives how many were made."""
    made, dimensions = 0, len(embedder(["?"])[0])
    while missing := answer_query(index, IndexQuery(model=model, dimensions=dimensions, missing=64), load).missing:
        made += len(missing)
        vectors = embedder([each.text for each in missing])
        kept = [PlacedVector(place=each.place, vector=vector) for each, vector in zip(missing, vectors, strict=True)]
        answer_query(index, IndexQuery(model=model, vectors=kept), load)
    return made


def hits(index, query, embedder=embed, model="words", load=None, **fields):
    """The contents that a search by words and vectors gives."""
    search, vector = MemorySearch(index, load=load), embedder([query])[0]
    return [row.content for row in search.search(query, MemoryFilter(**fields), vector=vector, model=model).memories]


def counted(index, **asked):
    return answer_query(index, IndexQuery(counted=True, **asked)).vectors


@pytest.fixture
def index():
    index = index_of(*ROWS)
    embed_all(index)
    return index


def test_a_memory_without_a_word_of_the_query_is_found_by_its_meaning(index):
    assert embed_all(index) == 0
    assert hits(index, "vehicle")[0] == "my automobile broke down"
    assert hits(index, "cat", agent_id="a")[0] == "a feline slept"
    assert hits(index_of(*ROWS), "vehicle") == []


def test_words_and_vectors_are_joined():
    index = index_of(*ROWS, *apart("vehicle papers"))
    embed_all(index)
    assert hits(index, "vehicle")[:2] == ["vehicle papers", "my automobile broke down"]


def test_what_is_alike_counts_more_in_a_session_where_more_is_alike():
    first = [
        memory(content, n, session_id="a") for n, content in enumerate(("car", "rain", "cat", "weather", "automobile"))
    ]
    second = [memory(content, 100 + n, session_id="b") for n, content in enumerate(("car car", "rain rain", "cat cat"))]
    index = index_of(*first, *second)
    embed_all(index)
    assert hits(index, "vehicle")[:3] == ["automobile", "car", "car car"]


def test_what_is_alike_counts_in_a_whole_run_whichever_part_of_it_was_added_first():
    """Memories without a session, ten minutes apart, of which the middle comes last: two blocks are one run."""
    contents = ("automobile", "rain", "cat", "weather", "feline", "car")
    run = [memory(content, 10 * n) for n, content in enumerate(contents)]
    alone = [memory("car car", 100_000), memory("rain rain", 100_001), memory("cat cat", 100_002)]
    orders = [*run, *alone], [run[0], *alone, run[5], *run[1:5]]
    indexes = [index_of(*order) for order in orders]
    for index in indexes:
        embed_all(index)
    assert hits(indexes[0], "vehicle") == hits(indexes[1], "vehicle")
    assert hits(indexes[0], "vehicle")[:3] == ["car", "automobile", "car car"]


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
    index = index_of(memory("a feline slept", 0, metadata=metadata))
    (missing,) = answer_query(index, IndexQuery(model="words", missing=64)).missing
    assert missing.text == given


def test_filters_hold_for_vectors_too():
    index = index_of(*ROWS, memory("vehicle", 50, agent_id="b", session_id="z", importance=0.9))
    embed_all(index)
    assert hits(index, "car", agent_id="b") == ["vehicle"]
    assert hits(index, "car", min_importance=0.5) == ["vehicle"]
    assert hits(index, "car", session_id="z") == ["vehicle"]


def test_vectors_are_kept_in_the_file(tmp_path):
    path = tmp_path / "index"
    index = TextIndex(sqlite3.connect(path))
    index.add_many(memory(f"cat {n}", n) for n in range(150))
    assert embed_all(index) == 150
    again = TextIndex(sqlite3.connect(path))
    assert embed_all(again) == 0
    assert len(hits(again, "feline")) == 10


def test_a_memory_that_is_removed_has_no_vector_any_more(index):
    index.remove(ROWS[0])
    assert "my automobile broke down" not in hits(index, "vehicle")
    assert counted(index, model="words") == 3
    kept = index._tables.run("SELECT count(*) FROM {vectors}").fetchone()
    assert kept == (3,)


def test_a_host_s_memories_are_embedded_too():
    index = TextIndex(sqlite3.connect(":memory:"), keep=False)
    index.add_many(ROWS, range(4))
    load = lambda keys: [ROWS[key] for key in keys]  # noqa: E731
    assert embed_all(index, load=load) == 4
    assert hits(index, "vehicle", load=load)[0] == "my automobile broke down"


# ---- two models


def two_numbers(texts):
    return [[1.0, 2.0] for _ in texts]


def upside_down(texts):
    """Another model with vectors of the same length."""
    return [vector[::-1] for vector in embed(texts)]


@pytest.mark.parametrize("other", [two_numbers, upside_down])
def test_two_models_have_vectors_beside_each_other(index, other):
    before = hits(index, "vehicle")
    assert embed_all(index, other, "other") == 4
    assert (counted(index, model="words"), counted(index, model="other"), counted(index)) == (4, 4, 0)
    assert hits(index, "vehicle") == before
    assert embed_all(index) == embed_all(index, other, "other") == 0


@pytest.mark.parametrize("vector", [[1.0, 2.0], [1.0, 0.0, 0.0, 0.0]])
def test_vectors_of_another_model_are_never_compared(index, vector):
    search = MemorySearch(index)
    assert len(search.search("nothing", vector=vector, model="words")) == (4 if len(vector) == 4 else 0)
    for model in ("other", None):
        found = search.search("weather", vector=vector, model=model)
        assert [row.content for row in found.memories] == ["weather is bad"], "words alone rank"
        assert not search.search("nothing", vector=vector, model=model)


def test_a_model_of_one_name_has_vectors_of_each_length(index):
    assert embed_all(index, two_numbers) == 4
    assert (counted(index, model="words", dimensions=4), counted(index, model="words", dimensions=2)) == (4, 4)
    assert counted(index, model="words", dimensions=3) == 0
    assert counted(index, model="words") == 4
    assert hits(index, "vehicle")[0] == "my automobile broke down"


def test_a_rebuild_removes_the_vectors_of_other_models_from_an_agent(index):
    other = memory("another vehicle", 9, agent_id="b")
    index.add(other)
    embed_all(index, two_numbers, "other")
    answer_query(index, IndexQuery(agent_id="a", model="words", rebuild=True))
    assert (counted(index, model="words"), counted(index, model="other")) == (4, 1)
    answer_query(index, IndexQuery(rebuild=True))
    assert counted(index, model="other") == 1, "a client without an embedder has no others"
    answer_query(index, IndexQuery(model="new", rebuild=True))
    assert counted(index, model="words") == counted(index, model="other") == 0


def test_vectors_of_no_model_are_refused(index):
    with pytest.raises(InvalidRequestError, match="model must be the name") as caught:
        answer_query(index, IndexQuery(vectors=[PlacedVector(place=1, vector=[1.0])]))
    assert caught.value.field == "model"


class Named:
    def __init__(self, **said):
        vars(self).update(said)

    def __call__(self, texts):
        return embed(texts)

    def encode(self, texts):
        return embed(texts)


@pytest.mark.parametrize(
    ("embedder", "name"),
    [
        (embed, "tests.ranking.test_vectors.embed"),
        (Named(), "tests.ranking.test_vectors.Named"),
        (Named().encode, "tests.ranking.test_vectors.Named.encode"),
        (Named(model="small"), "small"),
        (Named(name="small"), "small"),
        (Named(model="small", name="large"), "small"),
        (Named(model=object(), name=""), "tests.ranking.test_vectors.Named"),
        (Named(model="small").encode, "small"),
        (Named(model="half \ud800"), "half \N{REPLACEMENT CHARACTER}"),
        (partial(embed), "tests.ranking.test_vectors.embed"),
        (partial(embed, model="small"), "small"),
        (partial(embed, model=5), "tests.ranking.test_vectors.embed"),
        (partial(Named(name="inner")), "inner"),
    ],
)
def test_a_model_has_the_name_that_its_function_gives_or_has(embedder, name):
    assert model_name(embedder) == name


def test_one_that_has_failed_is_not_called_again(caplog):
    calls = []
    embedder = CheckedEmbedder(calls.append)
    assert (embedder.vectors(["tea"]), embedder.vectors(["tea"])) == (None, None)
    assert calls == [["tea"]]
    assert len(caplog.records) == 1


# ---- vectors of any kind


def unknown_is_zero(texts):
    """As an embedder does that has no word of a text."""
    return [[*vector[:3], 0.0] for vector in embed(texts)]


def test_a_zero_vector_is_kept_and_is_like_nothing():
    index = index_of(*ROWS)
    assert (embed_all(index, unknown_is_zero), embed_all(index, unknown_is_zero)) == (4, 0)
    assert counted(index, model="words") == 4
    assert hits(index, "vehicle", unknown_is_zero)[0] == "my automobile broke down"
    assert "something else" not in hits(index, "vehicle", unknown_is_zero), "it is near nothing"
    assert hits(index, "else", unknown_is_zero) == ["something else"], "a query without a direction leaves words"
    assert hits(index, "nothing", unknown_is_zero) == []


@pytest.mark.parametrize("tiny", [1e-300, 5e-324, -1e-200])
def test_a_vector_too_small_to_have_a_direction_is_zero(tiny):
    index, embedder = index_of(*ROWS), lambda texts: [[tiny, tiny] for _ in texts]
    assert embed_all(index, embedder) == 4
    assert hits(index, "weather", embedder) == ["weather is bad"]
    assert hits(index, "vehicle", embedder) == []


@pytest.mark.parametrize("size", [1e-149, 1e-30, 1e39, 1e307])
def test_the_size_of_a_vector_does_not_matter(size):
    index, embedder = index_of(*ROWS), lambda texts: [[size * n for n in v] for v in embed(texts)]
    embed_all(index, embedder)
    assert hits(index, "vehicle", embedder)[0] == "my automobile broke down"

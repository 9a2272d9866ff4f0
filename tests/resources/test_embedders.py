"""Searches with vectors from a function of the user's."""

from __future__ import annotations

import logging
import threading

import pytest

from memtrace import AddMemoryRequest, ConfigurationError
from memtrace.transport import IndexAnswer, IndexQuery, PlacedText
from memtrace_transports import FakeMemtrace
from tests.dealing import by_face
from tests.faces import json_response

WORDS = ["my automobile broke down", "a feline slept", "weather is bad", "something else"]
MEANINGS = {"automobile": 0, "vehicle": 0, "feline": 1, "cat": 1, "weather": 2, "rain": 2}


class Embedder:
    """One direction for each meaning; notes what it was given."""

    def __init__(self):
        self.given = []
        self.threads = set()

    def __call__(self, texts):
        self.given.append(texts)
        self.threads.add(threading.current_thread())
        return [self.vector(text) for text in texts]

    def vector(self, text):
        vector = [0.0] * 4
        for word in text.split():
            vector[MEANINGS.get(word, 3)] += 1.0
        return vector

    @property
    def texts(self):
        return [text for texts in self.given for text in texts]


def filled(client, *contents):
    client.memories.add_many(
        AddMemoryRequest(agent_id="a", content=content, session_id=f"s{n}") for n, content in enumerate(contents)
    )
    return client


def found(client, query, **fields):
    return [hit.memory.content for hit in client.memories.search(query, **fields)]


def test_what_has_no_word_of_the_query_is_found_by_its_meaning(face):
    embedder = Embedder()
    client = filled(face.of(FakeMemtrace(), embedder=embedder), *WORDS)
    assert found(client, "vehicle", agent_id="a")[0] == "my automobile broke down"
    assert found(client, "cat")[0] == "a feline slept"
    assert sorted(embedder.texts) == sorted([*WORDS, "vehicle", "cat"]), "each memory once"
    assert client.memories.index_status("a").vectors == 4
    assert found(filled(face.of(FakeMemtrace()), *WORDS), "vehicle") == []


def test_it_is_called_in_batches_and_in_a_thread_by_an_async_client(face):
    embedder = Embedder()
    client = filled(face.of(FakeMemtrace(), embedder=embedder), *(f"cat number {n}" for n in range(150)))
    told = []
    assert client.memories.index_sync("a", progress=told.append).vectors == 150
    assert [len(texts) for texts in embedder.given] == [64, 64, 22]
    assert [status.vectors for status in told] == [0, 64, 128, 150, 150]
    assert (threading.main_thread() in embedder.threads) is (face.kind == "sync")


def test_vectors_are_kept_in_the_file(face, tmp_path):
    fake, embedder = FakeMemtrace(), Embedder()
    for _ in range(2):
        with face.of(fake, embedder=embedder, search_index=tmp_path / "index") as client:
            if not embedder.given:
                filled(client, *WORDS)
            assert found(client, "vehicle")[0] == "my automobile broke down"
    assert sorted(embedder.texts) == sorted([*WORDS, "vehicle", "vehicle"])


def test_only_the_memories_that_are_asked_for_get_vectors(face):
    embedder = Embedder()
    client = filled(face.of(FakeMemtrace(), embedder=embedder), *WORDS)
    client.memories.add(agent_id="b", content="another cat")
    assert found(client, "feline", agent_id="b") == ["another cat"]
    assert embedder.texts == ["feline", "another cat"]


def test_copies_share_it_and_a_failure_is_told_once(face, caplog):
    def fail(texts):
        raise RuntimeError("no model")

    client = filled(face.of(FakeMemtrace(), embedder=fail), *WORDS)
    with caplog.at_level(logging.WARNING):
        for each in (client, client, client.with_options(timeout=3)):
            assert found(each, "weather") == ["weather is bad"]
            assert each.memories.prompt_context("weather").memories[0].content == "weather is bad"
    (record,) = caplog.records
    assert record.getMessage() == "the embedder failed with RuntimeError: memories are ranked by their words alone"


def test_one_that_fails_in_the_middle_leaves_words_to_rank(face, caplog):
    class Failing(Embedder):
        def __call__(self, texts):
            if len(self.given) == 2:
                raise RuntimeError
            return super().__call__(texts)

    client = filled(face.of(FakeMemtrace(), embedder=Failing()), *(f"cat number {n}" for n in range(150)))
    with caplog.at_level(logging.WARNING):
        assert found(client, "cat 17", agent_id="a")[0] == "cat number 17"
    assert len(caplog.records) == 1


def growing(calls):
    def embed(texts):
        calls.append(len(texts))
        assert len(calls) < 20, "it goes on for ever"
        return [[1.0] * (len(calls) + 1) for _ in texts]

    return embed


def other_for_queries(calls):
    def embed(texts):
        calls.append(len(texts))
        return [[1.0] * (3 if text == "Cat" else 2) for text in texts]

    return embed


@pytest.mark.slow
@by_face("making", [growing, other_for_queries])
def test_vectors_of_changing_lengths_are_a_failure_that_is_told_once(face, making, caplog):
    calls = []
    client = filled(face.of(FakeMemtrace(), embedder=making(calls)), *(f"cat number {n}" for n in range(150)))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert found(client, "cat 17", agent_id="a")[0] == "cat number 17"
            assert found(client, "Cat", agent_id="a")
    assert len(calls) <= 5, "it is not called again"
    (record,) = caplog.records
    assert record.getMessage() == (
        "the embedder gave vectors of another length than before: memories are ranked by their words alone"
    )


def test_an_embedder_whose_queries_have_another_length_leaves_the_vectors_of_the_file(face, tmp_path, caplog):
    fake, path, calls = FakeMemtrace(), tmp_path / "index", []
    with face.of(fake, embedder=other_for_queries([]), search_index=path) as client:
        filled(client, "cat", "dog").memories.index_sync()
    with (
        caplog.at_level(logging.WARNING),
        face.of(fake, embedder=other_for_queries([]), search_index=path) as client,
    ):
        assert client.memories.index_status().vectors == 2
        found(client, "Cat")
    with face.of(fake, embedder=other_for_queries(calls), search_index=path) as client:
        assert client.memories.index_sync().vectors == 2
        assert found(client, "cat")[0] == "cat"
    assert "another length than before" in caplog.text
    assert calls == [1], "of the query alone"


def upside_down(texts):
    """Another model, whose vectors have the same length."""
    return [Embedder().vector(text)[::-1] for text in texts]


def two_numbers(texts):
    return [[1.0, 2.0] for _ in texts]


@by_face("other", [upside_down, two_numbers])
def test_two_clients_with_models_of_their_own_share_a_file(face, other, tmp_path, caplog):
    fake, path, embedder, texts = FakeMemtrace(), tmp_path / "index", Embedder(), []

    def noting(given):
        texts.extend(given)
        return other(given)

    with (
        caplog.at_level(logging.WARNING),
        face.of(fake, embedder=noting, search_index=path) as first,
        face.of(fake, embedder=embedder, search_index=path) as second,
    ):
        filled(first, *WORDS)
        found(first, "cat")
        assert found(second, "vehicle")[0] == "my automobile broke down"
        found(first, "cat")
        assert found(second, "vehicle")[0] == "my automobile broke down"
        assert first.memories.index_status().vectors == second.memories.index_status().vectors == 4
        with face.of(fake, search_index=path) as plain:
            assert plain.memories.index_status().vectors == 0
    assert not caplog.records
    assert sorted(texts) == sorted([*WORDS, "cat", "cat"]), "each memory once"
    assert sorted(embedder.texts) == sorted([*WORDS, "vehicle", "vehicle"]), "each memory once"


def test_another_model_embeds_only_what_is_asked_for(face, tmp_path):
    fake, path, embedder = FakeMemtrace(), tmp_path / "index", Embedder()
    with face.of(fake, embedder=upside_down, search_index=path) as client:
        filled(client, *WORDS).memories.index_sync()
        client.memories.add(agent_id="b", content="another cat")
    with face.of(fake, embedder=embedder, search_index=path) as client:
        assert found(client, "feline", agent_id="b") == ["another cat"]
    assert embedder.texts == ["feline", "another cat"]


def test_a_model_that_says_its_name_is_another_one_with_another_name(face, tmp_path):
    fake, path = FakeMemtrace(), tmp_path / "index"
    for model, expected in (("small", 4), ("small", 0), ("large", 4)):
        embedder = Embedder()
        embedder.model = model
        with face.of(fake, embedder=embedder, search_index=path) as client:
            if not client.memories.index_status().memories:
                filled(client, *WORDS)
            assert client.memories.index_sync().vectors == 4
        assert len(embedder.texts) == expected


def test_a_model_that_gives_longer_vectors_than_before_makes_them_anew(face, tmp_path):
    fake, path = FakeMemtrace(), tmp_path / "index"
    for size, expected in ((2, 4), (3, 4), (3, 0)):
        calls = []

        def embed(texts, calls=calls, size=size):
            calls.extend(texts)
            return [[1.0] * size for _ in texts]

        with face.of(fake, embedder=embed, search_index=path) as client:
            if not client.memories.index_status().memories:
                filled(client, *WORDS)
            found(client, "cat")
            assert client.memories.index_status().vectors == 4
        assert len(calls) == 1 + expected


CAUSES = [
    (lambda texts: 1 / 0, "failed with ZeroDivisionError"),
    (lambda texts: [[float("nan"), 1.0] for _ in texts], "gave a number that is not finite (NaN or infinity)"),
    (lambda texts: [[1.0, float("-inf")] for _ in texts], "gave a number that is not finite (NaN or infinity)"),
    (lambda texts: [], "gave 0 vectors for 4 strings"),
    (lambda texts: [[1.0]], "gave 1 vector for 4 strings"),
    (lambda texts: [[] for _ in texts], "gave a vector without numbers"),
    (lambda texts: [[1.0] * (n + 1) for n, _ in enumerate(texts)], "gave vectors of several lengths"),
]


@by_face("case", CAUSES)
def test_what_an_embedder_does_wrong_is_told_once_with_the_cause_and_words_alone_rank(face, case, caplog):
    embedder, cause = case
    client = filled(face.of(FakeMemtrace(), embedder=embedder), *WORDS)
    with caplog.at_level(logging.WARNING):
        assert client.memories.index_sync().vectors == 0
        assert found(client, "weather") == ["weather is bad"]
        assert found(client, "weather") == ["weather is bad"]
        assert client.memories.index_sync().vectors == 0
    (record,) = caplog.records
    assert record.getMessage() == f"the embedder {cause}: memories are ranked by their words alone"


def test_an_index_elsewhere_that_keeps_no_vectors_is_not_asked_for_ever(face):
    """Of a transport that somebody else wrote."""
    embedder, missing = Embedder(), IndexAnswer(missing=[PlacedText(place=7, text="cat")]).model_dump_json()
    client, transport = face.scripted(lambda _: json_response(200, missing), embedder=embedder)
    transport.search_path = "/index/search"
    assert not client.memories.search("feline")
    assert embedder.texts == ["feline", "cat"]
    first, kept, last = (IndexQuery.model_validate_json(request.body) for request in transport.requests)
    name = "tests.resources.test_embedders.Embedder"
    assert [each.model for each in (first, kept, last)] == [name] * 3
    assert (first.dimensions, kept.dimensions, first.missing, len(kept.vectors)) == (4, 4, 64, 1)


class AsyncEmbedder:
    async def __call__(self, texts):
        return [[1.0] for _ in texts]


async def embed(texts):
    return [[1.0] for _ in texts]


@by_face("embedder", [5, "model", embed, AsyncEmbedder()])
def test_what_is_no_embedder_is_refused_when_the_client_is_made(face, embedder):
    with pytest.raises(ConfigurationError, match="embedder must be a blocking function") as caught:
        face.client("memory://", "key", embedder=embedder)
    assert caught.value.argument == "embedder"


def test_a_text_without_a_known_word_does_not_switch_the_embedder_off(face, caplog):
    def embed(texts):
        return [[*Embedder().vector(text)[:3], 0.0] for text in texts]

    client = filled(face.of(FakeMemtrace(), embedder=embed), *WORDS)
    assert found(client, "unheard-of") == []
    assert found(client, "vehicle")[0] == "my automobile broke down"
    assert client.memories.index_status().vectors == 4
    assert not caplog.records

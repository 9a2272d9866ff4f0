"""Another order of what a search found, by name or by an object."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from memtrace import AddMemoryRequest, ConfigurationError, SearchHit
from memtrace.plugins import RankerSpec, hookimpl, ranker_registry
from memtrace.ranking import LexicalRanker, Ranker
from memtrace_transports import FakeMemtrace
from tests.dealing import by_face


class Shortest:
    """The shortest first; notes what it was given."""

    def __init__(self):
        self.given = []
        self.threads = []

    def rank(self, query, candidates):
        self.given.append((query, len(candidates)))
        self.threads.append(threading.current_thread())
        return sorted(candidates, key=lambda hit: len(hit.memory.content))


def filled(client, count=30):
    client.memories.add_many(
        AddMemoryRequest(agent_id="a", content=f"tea {'and more ' * n}of {n}", session_id=f"s{n}")
        for n in reversed(range(count))
    )
    return client


def found(client, **fields):
    return [hit.memory.content for hit in client.memories.search("tea", agent_id="a", **fields)]


def test_a_ranker_orders_what_was_found_and_the_limit_is_kept(face):
    ranker = Shortest()
    client = filled(face.of(FakeMemtrace(), ranker=ranker))
    assert found(client, limit=2) == ["tea of 0", "tea and more of 1"]
    assert ranker.given == [("tea", 30)], "it chooses among more than are asked for"
    assert client.recall("a", query="tea", limit=1).memories[0].content == "tea of 0"
    assert "tea of 0" in client.memories.prompt_context("tea", agent_id="a", max_tokens=120).text


def test_an_async_client_ranks_in_a_thread(face):
    ranker = Shortest()
    found(filled(face.of(FakeMemtrace(), ranker=ranker), 2))
    is_main = ranker.threads[0] is threading.main_thread()
    assert is_main is (face.kind == "sync")


def test_those_behind_the_candidates_stay_behind(face, monkeypatch):
    class Plugin:
        @hookimpl
        def memtrace_ranker(self):
            return RankerSpec(create=Shortest, candidates=2)

    monkeypatch.setitem(ranker_registry._specs, "shortest", Plugin().memtrace_ranker())
    client = filled(face.of(FakeMemtrace(), ranker="shortest"), 4)
    plain = filled(face.of(FakeMemtrace()), 4)
    by_words = found(plain)
    assert found(client) == [*sorted(by_words[:2], key=len), *by_words[2:]]


def test_scores_are_the_rankers_and_what_it_leaves_out_is_no_hit(face):
    class First:
        def rank(self, query, candidates):
            best = replace(candidates[0], score=7.0)
            return [best, best]

    (hit,) = filled(face.of(FakeMemtrace(), ranker=First())).memories.search("tea")
    assert hit.score == 7.0


@by_face(
    "given", [lambda hits: ["text"], lambda hits: [SearchHit(hits[0].memory.model_copy(), 1.0)], lambda hits: [None]]
)
def test_what_is_no_candidate_raises(face, given):
    class Wrong:
        def rank(self, query, candidates):
            return given(candidates)

    client = filled(face.of(FakeMemtrace(), ranker=Wrong()), 2)
    with pytest.raises(TypeError, match=r"Wrong\.rank must give the candidates"):
        client.memories.search("tea")


def test_what_a_ranker_raises_comes_out(face):
    class Failing:
        def rank(self, query, candidates):
            raise ValueError("no model")

    client = filled(face.of(FakeMemtrace(), ranker=Failing()), 2)
    with pytest.raises(ValueError, match="no model"):
        client.memories.search("tea")


def test_lexical_is_the_order_of_the_index(face):
    assert isinstance(LexicalRanker(), Ranker)
    by_name, by_object = (filled(face.of(FakeMemtrace(), ranker=each)) for each in ("lexical", LexicalRanker()))
    assert found(by_name) == found(by_object) == found(filled(face.of(FakeMemtrace())))
    assert ranker_registry.get("lexical").create().rank("tea", [1, 2]) == [1, 2]


async def rank(query, candidates):
    return candidates


@by_face(
    "ranker",
    [None, 5, Shortest, object(), type("Async", (), {"rank": staticmethod(rank)})()],
)
def test_what_is_no_ranker_is_refused_when_the_client_is_made(face, ranker):
    with pytest.raises(ConfigurationError, match="has no blocking rank") as caught:
        face.client("memory://", "key", ranker=ranker)
    assert caught.value.argument == "ranker"


def test_an_unknown_name_is_told_the_near_one(face):
    with pytest.raises(ConfigurationError, match="no ranker is named 'lexcal'. Did you mean 'lexical'") as caught:
        face.client("memory://", "key", ranker="lexcal")
    assert caught.value.argument == "ranker"


@by_face("create", [lambda: 1 / 0, object])
def test_a_ranker_that_cannot_be_made_is_told_when_the_client_is_made(face, monkeypatch, create):
    monkeypatch.setitem(ranker_registry._specs, "broken", RankerSpec(create=create))
    with pytest.raises(ConfigurationError, match="ranker 'broken' cannot be (made|used)") as caught:
        face.client("memory://", "key", ranker="broken")
    assert caught.value.argument == "ranker"


def test_ctrl_c_while_a_ranker_is_made_comes_out(face, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setitem(ranker_registry._specs, "broken", RankerSpec(create=interrupted))
    with pytest.raises(KeyboardInterrupt):
        face.client("memory://", "key", ranker="broken")


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"create": 5}, "create must be a function that makes a ranker"),
        ({"create": Shortest, "candidates": 0}, "candidates must be a whole number, 1 or more"),
        ({"create": Shortest, "candidates": 2.5}, "candidates must be a whole number, 1 or more"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(fields, rule):
    with pytest.raises(ConfigurationError, match=rule):
        RankerSpec(**fields)

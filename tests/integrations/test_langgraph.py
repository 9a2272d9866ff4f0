"""The store for LangGraph, against its base class, its store in memory, its graphs, and the fake.

LangGraph publishes no contract for stores (langgraph-checkpoint-conformance is about checkpointers): its store in memory is the
model that ours is compared with.
"""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("langgraph.store.base", reason="the package langgraph-checkpoint is not installed")

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from langchain_core.embeddings import Embeddings
from langgraph.store.base import (
    BaseStore,
    GetOp,
    InvalidNamespaceError,
    Item,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchItem,
    SearchOp,
)
from langgraph.store.memory import InMemoryStore

from memtrace import (
    BatchError,
    ConfigurationError,
    InvalidRequestError,
    Memtrace,
    PayloadTooLargeError,
    ResponseDecodeError,
)
from memtrace.integrations._dual_client import DualClient
from memtrace.integrations.langgraph import MemtraceStore
from memtrace_transports.memory import FakeMemtrace, Fault, ManualClock
from memtrace_transports.sqlite.maintenance import StoreFile
from tests.dealing import by_visibility
from tests.faces import ONCE
from tests.integrations.values import JSON, TEXTS, VISIBILITIES, fake_of, run

pytestmark = pytest.mark.framework

USER = ("users", "42")


def store_of(fake, **settings):
    return MemtraceStore(fake.client(), fake.async_client(), **{"agent_id": "assistant", **settings})


def keys(items):
    return [item.key for item in items]


# ---- items


def test_an_item_is_put_read_changed_and_deleted(fake):
    store = store_of(fake)
    assert isinstance(store, BaseStore)
    assert store.get(USER, "prefs") is None
    store.put(USER, "prefs", {"theme": "dark"})
    first = store.get(USER, "prefs")
    assert (first.namespace, first.key, first.value) == (USER, "prefs", {"theme": "dark"})
    assert first.created_at == first.updated_at
    assert first.created_at.utcoffset() is not None
    store.put(USER, "prefs", {"theme": "light"})
    second = store.get(USER, "prefs")
    assert second.value == {"theme": "light"}
    assert first.created_at == second.created_at < second.updated_at
    store.delete(USER, "prefs")
    assert store.get(USER, "prefs") is None
    store.put(USER, "prefs", {})
    assert store.get(USER, "prefs").value == {}
    assert store.get(USER, "prefs").created_at > second.updated_at


def test_it_does_so_awaited(fake):
    async def program(store):
        await store.aput(USER, "prefs", {"theme": "dark"})
        await store.aput(USER, "gone", {})
        await store.adelete(USER, "gone")
        return await store.aget(USER, "prefs"), await store.asearch(("users",)), await store.alist_namespaces()

    item, found, namespaces = run(program, store_of(fake))
    assert isinstance(item, Item)
    assert [type(each) for each in found] == [SearchItem]
    assert (item.value, found[0].value, namespaces) == ({"theme": "dark"}, {"theme": "dark"}, [USER])
    assert found[0].score is None


@given(
    st.lists(TEXTS.filter(lambda text: text and "." not in text and "\0" not in text), min_size=1, max_size=3).map(
        tuple
    ),
    TEXTS,
    st.dictionaries(TEXTS, JSON, max_size=4),
    VISIBILITIES,
)
def test_any_namespace_key_and_value_come_back_as_they_are(namespace, key, value, visibility):
    store = store_of(fake_of(visibility))
    store.batch([PutOp(namespace, key, value)])
    (item,) = store.batch([GetOp(namespace, key)])
    assert (item.namespace, item.key) == (namespace, key)
    assert json.dumps(item.value) == json.dumps(value)
    assert store.batch([SearchOp(namespace[:1])])[0][0].value == value
    assert store.batch([ListNamespacesOp()]) == [[namespace]]


def test_a_value_that_was_given_is_not_shared(fake):
    store = store_of(fake)
    value = {"tags": ["a"]}
    store.put(USER, "prefs", value)
    value["tags"].append("b")
    store.get(USER, "prefs").value["tags"].append("c")
    assert store.get(USER, "prefs").value == {"tags": ["a"]}


def test_people_can_read_an_item(fake):
    store = store_of(fake)
    store.put(USER, "prefs", {"city": "Århus"})
    store.delete(USER, "prefs")
    deleted, put = fake.client().memories.list(agent_id="assistant").memories
    assert (put.content, put.event_type, put.memory_type) == (
        'users.42 "prefs": {"city": "Århus"}',
        "item_put",
        "entity",
    )
    assert (deleted.content, deleted.event_type) == ('users.42 "prefs": deleted', "item_deleted")
    assert put.tags[0] == "langgraph"


def test_what_is_not_there_is_not_deleted(fake):
    store = store_of(fake)
    store.delete(USER, "prefs")
    assert fake.client().memories.list().count == 0


def test_stores_of_two_agents_do_not_meet(fake):
    one, two = store_of(fake), store_of(fake, agent_id="other")
    one.put(USER, "prefs", {"a": 1})
    assert two.get(USER, "prefs") is None
    assert two.list_namespaces() == []


def test_labels_are_not_run_together(fake):
    store = store_of(fake)
    store.put(("a", "b"), "k", {"n": 1})
    store.put(("a b",), "k", {"n": 2})
    store.put(("ab",), "k", {"n": 3})
    assert [item.value["n"] for item in store.search(("a",))] == [1]
    assert store.get(("ab",), "k").value == {"n": 3}


def test_a_batch_reads_what_was_there_before_and_then_puts(fake):
    store = store_of(fake)
    store.put(USER, "a", {"n": 1})
    results = store.batch(
        [
            PutOp(USER, "a", {"n": 2}),
            GetOp(USER, "a"),
            PutOp(USER, "b", {"n": 3}),
            PutOp(USER, "b", {"n": 4}),
            PutOp(USER, "c", {"n": 5}),
            PutOp(USER, "c", None),
            SearchOp(("users",)),
            ListNamespacesOp(),
        ]
    )
    assert [type(result) for result in results] == [type(None), Item, *[type(None)] * 4, list, list]
    assert results[1].value == {"n": 1}
    assert keys(results[6]) == ["a"]
    assert {item.key: item.value["n"] for item in store.search(USER)} == {"a": 2, "b": 4}
    assert store.batch([]) == []


def test_more_puts_than_a_request_takes_are_stored(fake):
    store = store_of(fake)
    store.batch([PutOp(USER, f"k{n}", {"n": n}) for n in range(120)])
    assert len(store.search(USER, limit=1000)) == 120


# ---- search


def test_a_search_gives_what_was_put_last_first(fake):
    store = store_of(fake)
    for key in "abcd":
        store.put(USER, key, {})
    store.put(USER, "b", {"again": True})
    store.delete(USER, "c")
    assert keys(store.search(("users",))) == ["b", "d", "a"]
    assert keys(store.search(USER, limit=2)) == ["b", "d"]
    assert keys(store.search(USER, limit=2, offset=2)) == ["a"]
    assert store.search(USER, limit=0) == []
    assert store.search(("users", "4")) == []
    assert keys(store.search(())) == ["b", "d", "a"]


def test_a_search_goes_on_over_pages_of_old_versions(fake):
    store = store_of(fake)
    store.put(USER, "old", {"n": 0})
    store.batch([PutOp(USER, f"k{n}", {"n": n}) for n in range(60)])
    for round_ in range(2):
        store.batch([PutOp(USER, f"k{n}", {"n": n, "round": round_}) for n in range(60)])
    assert len(store.search(USER, limit=61)) == 61
    assert keys(store.search(USER, limit=10, filter={"n": 0})) == ["k0", "old"]


VALUES = {
    "a": {"n": 1, "color": "red", "nested": {"x": 1, "y": [1, 2]}, "flag": True},
    "b": {"n": 2.5, "color": "blue", "nested": {"x": 2}, "flag": False},
    "c": {"n": None, "list": [1, {"z": 1}]},
}


@by_visibility(
    ("wanted", "found"),
    [
        ({}, "abc"),
        (None, "abc"),
        ({"color": "red"}, "a"),
        ({"color": None}, "c"),
        ({"color": {"$eq": "blue"}}, "b"),
        ({"color": {"$ne": "blue"}}, "ac"),
        ({"n": {"$gt": 1}}, "b"),
        ({"n": {"$gte": 1}}, "ab"),
        ({"n": {"$lt": 2.5}}, "a"),
        ({"n": {"$lte": 2.5, "$ne": 1}}, "b"),
        ({"color": {"$gt": "blue"}}, "a"),
        ({"color": {"$gt": 1}}, ""),
        ({"flag": {"$gt": 0}}, ""),
        ({"nested": {"x": 1}}, "a"),
        ({"nested": {"x": {"$gte": 1}}}, "ab"),
        ({"nested": {"y": [1, 2]}}, "a"),
        ({"nested": {"y": [1]}}, ""),
        ({"list": (1, {"z": 1})}, "c"),
        ({"list": 1}, ""),
        ({"color": {"x": 1}}, ""),
        ({"n": 1, "color": "blue"}, ""),
    ],
)
def test_a_filter_chooses_by_values(fake, wanted, found):
    store = store_of(fake)
    store.batch([PutOp(USER, key, value) for key, value in VALUES.items()])
    assert sorted(keys(store.search(USER, filter=wanted))) == list(found)


# ---- search with a query


FACTS = {
    "drink": {"text": "drinks tea without sugar", "n": 1},
    "home": {"text": "lives in Lisbon since May", "n": 2},
    "cat": {"text": "has a cat called Miso", "n": 3},
}


def with_facts(fake, **settings):
    store = store_of(fake, **settings)
    store.batch([PutOp(USER, key, value) for key, value in FACTS.items()])
    return store


def test_a_query_gives_what_is_relevant_first_with_scores(fake):
    store = with_facts(fake)
    found = store.search(("users",), query="where does the user live, in Lisbon?")
    assert (keys(found)[0], found[0].value, found[0].namespace) == ("home", FACTS["home"], USER)
    assert found[0].created_at == found[0].updated_at == store.get(USER, "home").updated_at
    scores = [item.score for item in found]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] > 0
    assert found == run(lambda: store.asearch(("users",), query="where does the user live, in Lisbon?"))
    assert keys(store.search(USER, query="cat Miso", limit=1)) == ["cat"]
    assert store.search(USER, query="cat Miso", limit=0) == []


def test_a_query_pages_by_offset(fake):
    store = with_facts(fake)
    whole = store.search(USER, query="tea in Lisbon with a cat")
    pages = [store.search(USER, query="tea in Lisbon with a cat", limit=1, offset=n) for n in range(4)]
    assert len(whole) == 3
    assert [item for page in pages for item in page] == whole


def test_a_query_finds_each_item_as_it_is_now(fake):
    store = with_facts(fake)
    store.put(USER, "drink", {"text": "drinks coffee"})
    store.delete(USER, "cat")
    found = store.search(USER, query="tea, a cat called Miso")
    assert all(item.value["text"] in ("drinks coffee", FACTS["home"]["text"]) for item in found)
    assert store.search(USER, query="coffee")[0].value == {"text": "drinks coffee"}
    store.put(USER, "drink", FACTS["drink"])
    assert store.search(USER, query="tea")[0].value == FACTS["drink"]
    created, item = store.get(USER, "drink").created_at, store.search(USER, query="tea")[0]
    assert (item.created_at, item.updated_at > item.created_at) == (created, True)


def test_a_query_keeps_to_its_namespaces_and_its_filter(fake):
    store = with_facts(fake)
    for namespace in (("users", "43"), ("users", "4"), ("others",)):
        store.put(namespace, "drink", FACTS["drink"])
    assert [item.namespace for item in store.search(USER, query="tea")][:1] == [USER]
    assert {item.namespace for item in store.search(("users",), query="tea without sugar", limit=3)} == {
        USER,
        ("users", "43"),
        ("users", "4"),
    }
    assert {item.namespace for item in store.search((), query="tea without sugar", filter={"n": 1})} == {
        USER,
        ("users", "43"),
        ("users", "4"),
        ("others",),
    }
    assert keys(store.search(USER, query="tea in Lisbon", filter={"n": {"$gt": 1}}))[0] == "home"
    assert store.search(USER, query="tea", filter={"n": 9}) == []


def test_a_query_looks_behind_old_versions_and_what_a_filter_leaves_out(fake):
    store = store_of(fake)
    store.put(USER, "first", {"text": "tea", "kept": True})
    for round_ in range(3):
        store.batch([PutOp(USER, f"k{n}", {"text": f"tea tea tea {round_}"}) for n in range(40)])
    assert keys(store.search(USER, query="tea", filter={"kept": True})) == ["first"]
    assert len(store.search(USER, query="tea", limit=100)) == 41


def test_what_was_put_without_an_index_is_found_by_no_query(fake):
    store = with_facts(fake)
    store.put(USER, "secret", {"text": "tea at five"}, index=False)
    assert "secret" not in keys(store.search(USER, query="tea at five"))
    assert "secret" in keys(store.search(USER))
    store.put(USER, "secret", {"text": "tea at five"})
    assert keys(store.search(USER, query="tea at five"))[0] == "secret"


def test_a_memory_of_somebody_else_is_no_item_for_a_query(fake):
    store, client = with_facts(fake), fake.client()
    row = next(row for row in client.memories.list(agent_id="assistant").memories if "tea" in row.content)
    for n in range(4):
        client.memories.add(
            wait=True, agent_id="assistant", content=f"tea note {n}", tags=row.tags, memory_type="entity"
        )
    assert store.search(USER, query="tea")[0].value == FACTS["drink"]


def test_a_query_uses_the_clients_embedder_and_ranker_and_the_index_of_a_file(tmp_path):
    class Backwards:
        def rank(self, query, candidates):
            return candidates[::-1]

    def embed(texts):
        return [[1.0, 0.1] if "drink" in text or "beverage" in text else [0.1, 1.0] for text in texts]

    with (
        Memtrace(tmp_path / "agent.db", embedder=embed) as one,
        Memtrace(tmp_path / "agent.db", ranker=Backwards()) as two,
    ):
        store = MemtraceStore(one, agent_id="assistant")
        store.batch([PutOp(USER, key, value) for key, value in FACTS.items()])
        assert keys(store.search(USER, query="beverage"))[0] == "drink"
        straight = MemtraceStore(Memtrace(tmp_path / "agent.db"), agent_id="assistant")
        asked = {"query": "tea in Lisbon with a cat"}
        backwards = MemtraceStore(two, agent_id="assistant")
        assert keys(backwards.search(USER, **asked)) == keys(straight.search(USER, **asked))[::-1]


def test_what_is_forgotten_in_the_middle_of_a_search_is_not_found(tmp_path):
    class Forgetful:
        def rank(self, query, candidates):
            with StoreFile(f"sqlite:///{tmp_path / 'agent.db'}") as file:
                file.forget("assistant")
            return candidates

    with Memtrace(tmp_path / "agent.db", ranker=Forgetful()) as client:
        store = MemtraceStore(client, agent_id="assistant")
        store.put(USER, "drink", FACTS["drink"])
        assert store.search(USER, query="tea") == []


@pytest.mark.slow
def test_many_searches_with_a_query_see_every_change(fake):
    store, other = store_of(fake), store_of(fake)
    facts = {f"k{n}": {"text": f"tea number w{n}"} for n in range(130)}
    store.batch([PutOp(USER, key, value) for key, value in facts.items()])
    for n in range(130):  # first each item is looked up by itself, then all are known
        assert keys(store.search(USER, query=f"w{n}", limit=1)) == [f"k{n}"]
    other.put(USER, "k3", {"text": "coffee"})
    other.delete(USER, "k4")
    other.put(USER, "new", {"text": "tea number w500"})
    assert "k3" not in keys(store.search(USER, query="w3"))
    assert "k4" not in keys(store.search(USER, query="w4"))
    assert keys(store.search(USER, query="coffee", limit=1)) == ["k3"]
    assert keys(store.search(USER, query="w500", limit=1)) == ["new"]
    other.put(USER, "k3", facts["k3"])
    assert keys(store.search(USER, query="w3", limit=1)) == ["k3"]


@pytest.mark.slow
def test_a_search_after_very_many_changes_sees_them(fake):
    store, other = store_of(fake), store_of(fake)
    store.put(USER, "old", {"text": "tea with milk"})
    store.put(USER, "other", {"text": "tea with sugar"})
    assert sorted(keys(store.search(USER, query="tea milk"))) == ["old", "other"]
    other.put(USER, "old", {"text": "coffee"})
    other.batch([PutOp(USER, f"k{n}", {"n": n}) for n in range(1001)])
    values = {item.key: item.value for item in store.search(USER, query="tea with milk")}
    assert values["other"] == {"text": "tea with sugar"}
    assert values.get("old") in (None, {"text": "coffee"})  # as a neighbour of what has the words


def test_what_is_remembered_of_versions_is_limited(fake, monkeypatch):
    monkeypatch.setattr("memtrace.integrations.langgraph._known_versions._MOST", 2)
    store = with_facts(fake)
    for _ in range(3):
        assert len(store.search(USER, query="tea in Lisbon with a cat")) == 3


def test_a_further_search_with_a_query_is_one_request(fake):
    store = with_facts(fake)
    store.search(USER, query="tea")
    before = len(fake.calls)
    store.search(USER, query="Lisbon")
    assert [call.operation for call in fake.calls[before:]] == ["memories.list"]


# ---- search by vectors


class Letters:
    """A model: how often each letter is in a text. It notes what it was given."""

    def __init__(self):
        self.texts, self.queries = [], []

    def of(self, text):
        return [float(text.lower().count(letter)) for letter in "abcdefghijklmnopqrstuvwxyz"]

    def embed_documents(self, texts):
        self.texts += texts
        return [*map(self.of, texts)]

    def embed_query(self, text):
        self.queries.append(text)
        return self.of(text)


class LetterEmbeddings(Letters, Embeddings):
    """As LangChain's models are."""


def embedding(fake, *, fields=None, **settings):
    model = LetterEmbeddings()
    index = {"dims": 26, "embed": model, **({} if fields is None else {"fields": fields})}
    return store_of(fake, index=index, **settings), model


def test_an_index_ranks_by_vectors_and_gives_their_cosine(fake):
    store, model = embedding(fake, fields=["text"])
    assert store.index_config["dims"] == 26
    assert store.embeddings is model
    store.put(USER, "a", {"text": "aab", "note": "zzz"})
    store.put(USER, "b", {"text": "bb"})
    store.put(USER, "none", {"note": "aab"})
    assert model.texts == ["aab", "bb"]
    found = store.search(USER, query="a")
    assert [(item.key, item.score) for item in found] == [
        ("a", pytest.approx(2 / 5**0.5, abs=1e-3)),
        ("b", pytest.approx(0, abs=1e-3)),
        ("none", None),
    ]
    assert run(lambda: store.asearch(USER, query="a")) == found
    assert keys(store.search(USER, query="a", limit=1, offset=1)) == ["b"]
    assert keys(store.search(USER, query="a", limit=5, offset=2)) == ["none"]
    assert store.search(USER, query="a", limit=0) == []
    assert keys(store.search(USER, query="b", filter={"text": "aab"})) == ["a"]
    assert store.search(("others",), query="a") == []
    assert model.queries == [*"aaaaba"]


def test_an_index_embeds_the_whole_value_by_default_and_the_paths_of_a_put(fake):
    store, model = embedding(fake)
    run(lambda: store.aput(USER, "whole", {"b": "x", "a": ["y"]}))
    store.put(USER, "parts", {"title": "qq", "chunks": [{"text": "jj"}, {"text": "vv"}]}, index=["chunks[*].text", "$"])
    store.put(USER, "unindexed", {"text": "qq"}, index=False)
    store.put(USER, "all", {"text": "kk"}, index=[])
    assert model.texts[:3] == ['{"a": ["y"], "b": "x"}', "jj", "vv"]
    assert model.texts[-1] == '{"text": "kk"}'
    best = store.search(USER, query="v")
    assert (best[0].key, best[0].score) == ("parts", pytest.approx(1, abs=1e-3))
    assert (best[-1].key, best[-1].score) == ("unindexed", None)


def test_vectors_are_kept_with_the_items_and_no_restart_makes_them_again(fake):
    store, _ = embedding(fake)
    store.put(USER, "a", {"text": "tea"})
    again, model = embedding(fake)
    assert store.search(USER, query="tea") == again.search(USER, query="tea")
    assert model.texts == []
    (row,) = fake.client().memories.list(agent_id="assistant").memories
    assert row.content == 'users.42 "a": {"text": "tea"}'
    assert again.get(USER, "a").value == {"text": "tea"}


def test_vectors_see_changes_deletions_and_other_writers(fake):
    store, _ = embedding(fake, fields=["text"])
    other, _ = embedding(fake, fields=["text"])
    other.batch([PutOp(USER, key, {"text": key * 3}) for key in "abc"])
    assert keys(store.search(USER, query="a"))[0] == "a"
    other.put(USER, "a", {"text": "zzz"})
    other.delete(USER, "b")
    other.put(USER, "d", {"text": "ad"})
    assert keys(store.search(USER, query="a")) == ["d", "a", "c"]
    fake.clock.advance(60)
    assert keys(store.search(USER, query="a")) == ["d", "a", "c"]
    other.put(USER, "e", {"text": "aaaa"})
    assert keys(store.search(USER, query="a"))[0] == "e"


@pytest.mark.slow
def test_a_further_search_by_vectors_reads_only_what_is_newer(fake):
    store, _ = embedding(fake)
    store.batch([PutOp(USER, f"k{n}", {"n": n}) for n in range(1200)])
    assert len(store.search(USER, query="n", limit=1200)) == 1200
    fake.clock.advance(60)
    store.search(USER, query="n")
    before = len(fake.calls)
    store.search(USER, query="n")
    assert [call.operation for call in fake.calls[before:]] == ["memories.list"]


def test_a_value_that_a_search_by_vectors_gave_is_not_shared(fake):
    store, _ = embedding(fake)
    store.put(USER, "a", {"tags": ["x"]})
    store.search(USER, query="x")[0].value["tags"].append("y")
    assert store.search(USER, query="x")[0].value == {"tags": ["x"]}


def test_of_many_vectors_those_with_like_signs_are_compared(fake, monkeypatch):
    monkeypatch.setattr("memtrace.integrations.langgraph._vector_items._COMPARED", 3)
    store, _ = embedding(fake, fields=["text"])
    store.batch([PutOp(USER, letter, {"text": letter}) for letter in "abcdefg"])
    found = store.search(USER, query="c", limit=2)
    assert (found[0].key, len(found)) == ("c", 2)
    assert len(store.search(USER, query="c", limit=5)) == 5
    store.put(USER, "many", {"texts": ["c", "cc", "ccc", "cccc"]}, index=["texts[*]"])
    assert {*keys(store.search(USER, query="c", limit=3))} > {"c", "many"}


def test_a_text_without_a_direction_is_like_nothing(fake):
    store, _ = embedding(fake, fields=["text"])
    store.put(USER, "a", {"text": "123"})
    assert store.search(USER, query="a")[0].score == 0
    assert store.search(USER, query="7")[0].score == 0


def test_vectors_of_another_length_are_not_compared(fake):
    store, _ = embedding(fake)
    store.put(USER, "a", {"text": "tea"})
    other = store_of(fake, index={"embed": lambda texts: [[1.0, 2.0]] * len(texts)})
    other.put(USER, "b", {"text": "tea"})
    assert [(item.key, item.score) for item in other.search(USER, query="tea")] == [
        ("b", pytest.approx(1, abs=1e-3)),
        ("a", None),
    ]


def test_an_async_model_serves_awaited_calls(fake):
    async def embed(texts):
        return [[1.0, 0.0] if "tea" in text else [0.0, 1.0] for text in texts]

    async def program(store):
        await store.aput(USER, "drink", {"text": "tea"})
        await store.aput(USER, "home", {"text": "Oslo"})
        return await store.asearch(USER, query="tea"), await store.aget(USER, "home")

    store = store_of(fake, index={"dims": 2, "embed": embed})
    found, home = run(program, store)
    assert (keys(found), home.value) == (["drink", "home"], {"text": "Oslo"})
    with pytest.raises(ValueError, match="async"):
        store.put(USER, "k", {"text": "tea"})


@by_visibility(
    ("vectors", "said"),
    [
        ([], "gave 0 vectors for 1 texts"),
        ([[1.0]], "a vector that has not 2 numbers"),
        ([[1.0, float("nan")]], "a number that is not finite"),
    ],
)
def test_a_model_that_gives_no_vectors_is_told_and_nothing_stored(fake, vectors, said):
    store = store_of(fake, index={"dims": 2, "embed": lambda _: vectors})
    with pytest.raises(InvalidRequestError, match=said):
        store.put(USER, "a", {"text": "secret"})
    assert len(fake.calls) == 0


@by_visibility(
    ("index", "said"),
    [
        (5, r"index must be a dict with dims, embed, fields"),
        ({"embed": len, "distance_type": "l2"}, r"index\['distance_type'\] must be left out"),
        ({"dims": 3}, r"index\['embed'\] must be an embedding model"),
        ({"embed": len, "dims": 0}, r"index\['dims'\] must be a whole number"),
        ({"embed": len, "fields": "text"}, r"index\['fields'\] must be a list of paths"),
        ({"embed": len, "fields": [""]}, r"index\['fields'\] must be a list of paths"),
    ],
)
def test_an_index_that_makes_no_sense_is_refused(fake, index, said):
    with pytest.raises(InvalidRequestError, match=said):
        store_of(fake, index=index)


def test_what_is_forgotten_is_found_by_no_vector(tmp_path):
    with Memtrace(tmp_path / "agent.db") as client:
        store = MemtraceStore(client, agent_id="assistant", index={"embed": LetterEmbeddings()})
        store.put(USER, "a", {"text": "tea"})
        store.put(USER, "b", {"text": "coffee"})
        assert len(store.search(USER, query="tea")) == 2
        with StoreFile(f"sqlite:///{tmp_path / 'agent.db'}") as file:
            file.forget("assistant")
        assert store.search(USER, query="tea") == []
        store.put(USER, "c", {"text": "milk"})
        assert keys(store.search(USER, query="tea")) == ["c"]


def test_a_server_that_lost_its_data_is_read_again():
    store, _ = embedding(FakeMemtrace(clock=ManualClock()))
    store.put(USER, "a", {"text": "tea"})
    store.search(USER, query="tea")
    other, _ = embedding(FakeMemtrace(clock=ManualClock()))
    other.put(USER, "b", {"text": "coffee"})
    store._dual_client = other._dual_client  # the same address, another server behind it
    assert keys(store.search(USER, query="tea")) == ["b"]


def test_searches_by_vectors_at_once_agree(fake):
    store, _ = embedding(fake, fields=["text"])
    store.batch([PutOp(USER, letter, {"text": letter * 2}) for letter in "abcdefgh"])

    def search(letter):
        store.put(USER, letter.upper(), {"text": letter})
        return keys(store.search(USER, query=letter, limit=2))

    with ThreadPoolExecutor(4) as pool:
        found = [*pool.map(search, "abcdefgh")]
    assert [sorted(each) for each in found] == [[letter.upper(), letter] for letter in "abcdefgh"]


def test_a_search_that_another_one_overtakes_leaves_what_that_read(fake):
    store, _ = embedding(fake)
    store.put(USER, "a", {"text": "tea"})
    inner = []

    class Overtaken:
        """Another search of this store runs to its end before the answer of the first one is there."""

        def __call__(self, request, call_next):
            response = yield from call_next(request)
            if request.operation == "memories.list" and not inner:
                inner.append(None)
                store.put(USER, "b", {"text": "tea"})
                inner[0] = keys(store.search(USER, query="tea"))
            return response

    overtaken, _ = embedding(fake)
    overtaken._known = store._known
    overtaken._dual_client = DualClient(fake.client().with_options(middleware=[Overtaken()]), None, "MemtraceStore")
    assert keys(overtaken.search(USER, query="tea")) == inner[0] == ["b", "a"]
    assert keys(store.search(USER, query="tea")) == ["b", "a"]


@by_visibility("vectors", [["zz"], [5], ["abc"], ["abcdef"]])
def test_vectors_that_are_none_are_told(fake, vectors):
    fake.client().memories.add(
        wait=True,
        agent_id="assistant",
        content="secret",
        tags=["langgraph"],
        memory_type="entity",
        metadata={
            "record": "put",
            "item": '{"namespace": ["a"], "key": "k", "created_at": null, "value": {}}',
            "sequence": 1,
            "vectors": vectors,
        },
    )
    with pytest.raises(ResponseDecodeError, match="a record of langgraph holds no namespace, key and value"):
        store_of(fake).search(())


# ---- time to live


def test_an_item_expires_and_is_on_no_way_found(fake):
    store = store_of(fake, ttl={"refresh_on_read": False})
    store.put(USER, "short", {"text": "tea"}, ttl=1)
    store.put(("others",), "gone", {"text": "tea"}, ttl=1)
    store.put(USER, "long", {"text": "tea"}, ttl=3)
    store.put(USER, "always", {"text": "tea"})
    assert len(store.search((), query="tea")) == 4
    fake.clock.advance(61)
    assert store.get(USER, "short") is None
    assert sorted(keys(store.search(()))) == sorted(keys(store.search((), query="tea"))) == ["always", "long"]
    assert store.list_namespaces() == [USER]
    fake.clock.advance(120)
    assert keys(store.search(())) == ["always"]
    assert len(fake.client().memories.list(agent_id="assistant").memories) == 4


def test_a_read_renews_an_item_and_leaves_its_times(fake):
    store = store_of(fake)
    store.put(USER, "a", {"text": "tea"}, ttl=1)
    first = store.get(USER, "a")
    for read in (
        lambda: store.get(USER, "a"),
        lambda: store.search(USER)[0],
        lambda: store.search(USER, query="tea")[0],
        lambda: run(lambda: store.aget(USER, "a")),
    ):
        fake.clock.advance(50)
        item = read()
        assert (item.created_at, item.updated_at) == (first.created_at, first.updated_at)
    fake.clock.advance(61)
    assert store.get(USER, "a") is None
    assert store.search(USER, query="tea") == store.search(USER) == []


def test_a_read_that_is_not_to_renew_writes_nothing(fake):
    store = store_of(fake, ttl={"default_ttl": 1, "refresh_on_read": False, "omit_expired": True})
    store.put(USER, "a", {"text": "tea"})
    fake.clock.advance(50)
    assert store.get(USER, "a").value == {"text": "tea"}
    assert len(store.search(USER, query="tea")) == 1
    fake.clock.advance(11)
    assert store.get(USER, "a") is None
    store.put(USER, "b", {})
    fake.clock.advance(50)
    assert store.get(USER, "b", refresh_ttl=True).value == {}
    fake.clock.advance(50)
    assert store.get(USER, "b").value == {}


def test_a_read_shortly_after_another_writes_nothing(fake):
    store = store_of(fake, ttl={"default_ttl": 1})
    store.put(USER, "a", {})
    store.put(USER, "b", {}, ttl=None)
    fake.clock.advance(2)
    before = len(fake.calls)
    assert len(store.search(USER)) == 2
    assert [call.operation for call in fake.calls[before:]] == ["memories.list"]


def test_a_renewal_does_not_bring_back_what_was_put_before_it(fake):
    store, other = store_of(fake), store_of(fake)
    store.put(USER, "a", {"n": 1}, ttl=1)
    stored = store._known.items
    dispatcher = fake.client()._dispatcher
    clock = dispatcher.settings.clock
    read = dispatcher.run(stored.find((USER, "a"), clock))
    fake.clock.advance(30)
    other.put(USER, "a", {"n": 2}, ttl=1)
    dispatcher.run(stored.renew([read], clock))
    fake.flush()
    assert store.get(USER, "a", refresh_ttl=False).value == {"n": 2}
    assert store.search(USER, refresh_ttl=False)[0].value == {"n": 2}
    assert store.search(USER, query="n", refresh_ttl=False)[0].value == {"n": 2}
    fake.clock.advance(61)
    assert store.get(USER, "a") is None
    assert store.search(USER) == store.search(USER, query="n") == []


def test_an_item_that_was_renewed_often_is_found(fake):
    store = store_of(fake)
    store.put(USER, "a", {"n": 1}, ttl=1)
    for _ in range(8):
        fake.clock.advance(50)
        assert store.get(USER, "a").value == {"n": 1}
    assert store.search(USER, refresh_ttl=False)[0].value == {"n": 1}


def test_a_put_after_expiry_begins_anew(fake):
    store = store_of(fake)
    store.put(USER, "a", {"n": 1}, ttl=1)
    created = store.get(USER, "a").created_at
    fake.clock.advance(61)
    store.delete(USER, "a")
    store.put(USER, "a", {"n": 2})
    assert store.get(USER, "a").created_at > created
    assert [memory.event_type for memory in fake.client().memories.list(agent_id="assistant").memories] == [
        "item_put"
    ] * 2


def test_vectors_see_expiry_and_renewals(fake):
    store, _ = embedding(fake, ttl={"default_ttl": 1})
    store.put(USER, "a", {"text": "tea"})
    store.put(USER, "b", {"text": "tea"})
    assert len(store.search(USER, query="tea")) == 2
    fake.clock.advance(50)
    assert store.get(USER, "a").value == {"text": "tea"}
    fake.flush()
    fake.clock.advance(50)
    assert keys(store.search(USER, query="tea", refresh_ttl=False)) == ["a"]
    again, _ = embedding(fake)
    assert keys(again.search(USER, query="tea", refresh_ttl=False)) == ["a"]
    fake.clock.advance(50)
    assert store.search(USER, query="tea") == []


def test_people_can_read_that_an_item_was_renewed(fake):
    store = store_of(fake, ttl={"default_ttl": 10})
    store.put(USER, "a", {})
    fake.clock.advance(300)
    store.get(USER, "a")
    fake.flush()
    renewal = fake.client().memories.list(agent_id="assistant").memories[0]
    assert (renewal.event_type, renewal.memory_type) == ("item_renewed", "episodic")
    assert renewal.content == 'users.42 "a" was read, and is kept for 10 minutes more'


@by_visibility(
    ("ttl", "error", "said"),
    [
        (5, InvalidRequestError, "ttl must be a dict with default_ttl, refresh_on_read, omit_expired"),
        ({"sweep_interval_minutes": 5}, NotImplementedError, r"ttl\['sweep_interval_minutes'\] must be left out"),
        ({"omit_expired": False}, NotImplementedError, r"ttl\['omit_expired'\] must be True or left out"),
        ({"default": 5}, InvalidRequestError, r"ttl\['default'\] must be left out"),
        ({"default_ttl": -1}, InvalidRequestError, r"ttl\['default_ttl'\] must be a number of minutes above 0"),
        ({"refresh_on_read": "no"}, InvalidRequestError, r"ttl\['refresh_on_read'\] must be True or False"),
    ],
)
def test_a_time_to_live_that_makes_no_sense_is_refused(fake, ttl, error, said):
    with pytest.raises(error, match=said):
        store_of(fake, ttl=ttl)


# ---- namespaces


NAMESPACES = [("a", "b", "c"), ("a", "b", "d", "e"), ("a", "b", "d", "i"), ("a", "c", "f"), ("b", "a", "f"), ("x",)]


@by_visibility(
    ("asked", "found"),
    [
        ({}, NAMESPACES),
        ({"prefix": ("a", "b")}, NAMESPACES[:3]),
        ({"suffix": ("f",)}, NAMESPACES[3:5]),
        ({"prefix": ("a",), "suffix": ("f",)}, NAMESPACES[3:4]),
        ({"prefix": ("a", "*", "f")}, NAMESPACES[3:4]),
        ({"prefix": ("*", "a")}, NAMESPACES[4:5]),
        ({"suffix": ("*", "f")}, NAMESPACES[3:5]),
        ({"prefix": ("a", "b"), "max_depth": 3}, [("a", "b", "c"), ("a", "b", "d")]),
        ({"max_depth": 1}, [("a",), ("b",), ("x",)]),
        ({"max_depth": 0}, [()]),
        ({"limit": 2}, NAMESPACES[:2]),
        ({"offset": 4}, NAMESPACES[4:]),
        ({"prefix": ("nope",)}, []),
    ],
)
def test_namespaces_are_listed_by_beginning_end_and_depth(fake, asked, found):
    store, model = store_of(fake), InMemoryStore()
    for each in (store, model):
        each.batch([PutOp(namespace, "k", {}) for namespace in NAMESPACES])
    assert store.list_namespaces(**asked) == model.list_namespaces(**asked) == found


def test_a_namespace_without_items_is_none(fake):
    store = store_of(fake)
    store.put(USER, "a", {})
    store.put(("other",), "a", {})
    store.delete(USER, "a")
    assert store.list_namespaces() == [("other",)]


# ---- what it cannot do is refused


@by_visibility(
    ("op", "said"),
    [
        (PutOp(USER, "k", {}, index=["text"]), r"ops\[1\].index must be None or False"),
        (PutOp(USER, "k", {}, index=[]), r"ops\[1\].index must be None or False"),
    ],
)
def test_what_the_store_cannot_do_is_refused_before_anything_is_sent(fake, op, said):
    store = store_of(fake)
    with pytest.raises(NotImplementedError, match=said):
        store.batch([PutOp(USER, "good", {}), op])
    assert len(fake.calls) == 0


def test_a_put_may_leave_an_item_out_of_searches_with_a_query(fake):
    store = store_of(fake)
    store.put(USER, "k", {}, index=False, ttl=None)
    assert keys(store.search(USER, query="")) == keys(store.search(USER, query=" \n")) == ["k"]
    assert store.search(USER, query="k") == []


@by_visibility(
    ("op", "said"),
    [
        (PutOp(USER, "k", {"a": object()}), r"ops\[1\].value must be JSON"),
        (PutOp(USER, "k", {1: 2}), r"ops\[1\].value must be JSON"),
        (PutOp(USER, "k", [1]), r"ops\[1\].value must be a mapping"),
        (PutOp(USER, 7, {}), r"ops\[1\].key must be a string"),
        (PutOp(USER, "k", {}, index="text"), r"ops\[1\].index must be a list of paths"),
        (PutOp(USER, "k", {}, index=[1]), r"ops\[1\].index must be a list of paths"),
        (PutOp(USER, "k", {}, ttl=0), r"ops\[1\].ttl must be a number of minutes above 0"),
        (PutOp(USER, "k", {}, ttl=float("inf")), r"ops\[1\].ttl must be a number of minutes above 0"),
        (PutOp(USER, "k", {}, ttl="5"), r"ops\[1\].ttl must be a number of minutes, or None"),
        (PutOp(USER, "k", {}, ttl=True), r"ops\[1\].ttl must be a number of minutes, or None"),
        (PutOp(None, "k", {}), r"ops\[1\].namespace must be a tuple of strings"),
        (GetOp(("users", 42), "k"), r"ops\[1\].namespace must be a tuple of strings"),
        (SearchOp({"users"}), r"ops\[1\].namespace_prefix must be a tuple of strings"),
        (SearchOp(USER, filter=[1]), r"ops\[1\].filter must be a dict"),
        (SearchOp(USER, filter={"a": {"$in": [1]}}), r"ops\[1\].filter must be values, or operators"),
        (SearchOp(USER, filter={"a": {"b": {"$eq": 1, "c": 2}}}), r"ops\[1\].filter must be values, or operators"),
        (SearchOp(USER, query=5), r"ops\[1\].query must be a string that is not blank"),
        (SearchOp(USER, limit=-1), r"ops\[1\].limit must be a whole number of 0 or more"),
        (SearchOp(USER, limit=None), r"ops\[1\].limit must be a whole number of 0 or more"),
        (SearchOp(USER, offset=-1), r"ops\[1\].offset must be a whole number of 0 or more"),
        (ListNamespacesOp(limit=-1), r"ops\[1\].limit must be a whole number of 0 or more"),
        (ListNamespacesOp(max_depth=-1), r"ops\[1\].max_depth must be None, or a whole number of 0 or more"),
        (ListNamespacesOp((MatchCondition("infix", ("a",)),)), r"ops\[1\].match_conditions must be of type prefix"),
        (ListNamespacesOp((MatchCondition("prefix", (1,)),)), r"ops\[1\].match_conditions must be a tuple of strings"),
        ("get", r"ops\[1\] must be a GetOp"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_sent(fake, op, said):
    store = store_of(fake)
    with pytest.raises(InvalidRequestError, match=said):
        store.batch([PutOp(USER, "good", {}), op])
    assert len(fake.calls) == 0


def test_errors_are_those_that_langgraphs_own_stores_raise(fake):
    store = store_of(fake)
    with pytest.raises(InvalidNamespaceError):
        store.batch([GetOp((1,), "k")])
    with pytest.raises(TypeError):  # orjson's, in the stores on databases
        store.put(USER, "k", {"a": object()})
    with pytest.raises(ValueError, match="must be a GetOp"):
        store.batch(["get"])


def test_a_string_is_a_namespace_of_one_label(fake):
    store = store_of(fake)
    store.put("users", "k", {"n": 1})
    assert store.get(("users",), "k") == store.get("users", "k")
    assert store.get("users", "k").namespace == ("users",)
    assert keys(store.search("users")) == ["k"]
    assert store.batch([ListNamespacesOp((MatchCondition("prefix", "users"),))]) == [[("users",)]]
    store.delete("users", "k")
    assert store.search("users") == []


def test_an_item_that_is_too_large_is_refused_and_nothing_stored(fake):
    store = store_of(fake)
    with pytest.raises(PayloadTooLargeError, match=r"memories\[1\]"):
        store.batch([PutOp(USER, "a", {}), PutOp(USER, "b", {"text": "b" * 3_000_000})])
    assert store.search(USER) == []


def test_of_a_batch_that_broke_off_the_error_says_what_was_stored(fake):
    store = MemtraceStore(fake.client(retry=ONCE), agent_id="assistant")
    fake.faults.add(Fault("refused", on="memories.add_many", nth=2))
    with pytest.raises(BatchError) as caught:
        store.batch([PutOp(USER, f"k{n}", {}) for n in range(150)])
    assert len(caught.value.result.stored) == 100


@by_visibility("item", ["[]", '{"namespace": ["a"]}', '{"namespace": ["a"], "key": "k", "created_at": "soon"}'])
def test_a_record_that_is_no_item_is_told(fake, item):
    fake.client().memories.add(
        wait=True,
        agent_id="assistant",
        content="secret",
        tags=["langgraph"],
        metadata={"record": "put", "item": item, "sequence": 1},
    )
    with pytest.raises(ResponseDecodeError, match="a record of langgraph holds no namespace, key and value"):
        store_of(fake).search(())


def test_a_memory_of_somebody_else_with_the_same_tags_is_passed_over(fake):
    store, client = store_of(fake), fake.client()
    store.put(USER, "prefs", {"theme": "dark"})
    (row,) = client.memories.list(agent_id="assistant").memories
    client.memories.add(wait=True, agent_id="assistant", content="a note", tags=row.tags, memory_type="entity")
    assert store.get(USER, "prefs").value == {"theme": "dark"}
    assert keys(store.search(USER)) == ["prefs"]


def test_without_waiting_reads_see_a_put_later():
    fake = fake_of("server")
    store = store_of(fake, wait_timeout=None)
    store.put(USER, "a", {})
    assert store.get(USER, "a") is None
    fake.flush()
    assert store.get(USER, "a").value == {}


# ---- which client


def test_a_blocking_client_alone_serves_both_ways(fake):
    store = MemtraceStore(fake.client(), agent_id="assistant")
    run(lambda: store.aput(USER, "a", {"n": 1}))
    assert store.get(USER, "a") == run(lambda: store.aget(USER, "a"))


def test_an_async_client_alone_serves_awaited_calls(fake):
    store = MemtraceStore(async_client=fake.async_client(), agent_id="assistant")
    run(lambda: store.aput(USER, "a", {"n": 1}))
    assert run(lambda: store.aget(USER, "a")).value == {"n": 1}
    with pytest.raises(ConfigurationError, match="MemtraceStore has no blocking client"):
        store.get(USER, "a")


def test_settings_are_checked_when_a_store_is_made(fake):
    with pytest.raises(InvalidRequestError, match="agent_id must be a letter"):
        store_of(fake, agent_id="1")
    with pytest.raises(InvalidRequestError, match="wait_timeout"):
        store_of(fake, wait_timeout="5")
    with pytest.raises(ConfigurationError, match="MemtraceStore needs a client"):
        MemtraceStore(agent_id="assistant")


def test_puts_at_once_are_all_kept(fake):
    async def program(store):
        await asyncio.gather(*(store.aput(USER, f"k{n}", {"n": n}) for n in range(20)))
        return await store.asearch(USER, limit=50)

    assert sorted(item.value["n"] for item in run(program, store_of(fake))) == list(range(20))


# ---- beside the store in memory


LABELS = st.sampled_from(["a", "b", "*"])
PLACES = st.tuples(st.lists(LABELS, min_size=1, max_size=3).map(tuple), st.sampled_from(["k", "l"]))
NUMBERS = st.fixed_dictionaries({"n": st.integers(0, 3), "s": st.sampled_from(["x", "y"])})
FILTERS = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "n": st.integers(0, 3)
        | st.dictionaries(st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]), st.integers(0, 3), min_size=1),
        "s": st.sampled_from(["x", "z"]),
        "missing": st.none(),
    },
)


def plain(items):
    return sorted((item.namespace, item.key, json.dumps(item.value, sort_keys=True)) for item in items)


class Beside(RuleBasedStateMachine):
    """Our store gives what LangGraph's store in memory gives."""

    @initialize(visibility=VISIBILITIES)
    def start(self, visibility):
        self.ours, self.theirs = store_of(fake_of(visibility)), InMemoryStore()

    def both(self, *ops):
        return self.ours.batch(ops), self.theirs.batch(ops)

    @rule(puts=st.lists(st.tuples(PLACES, st.none() | NUMBERS), min_size=1, max_size=4))
    def put(self, puts):
        ours, theirs = self.both(*(PutOp(*place, value) for place, value in puts))
        assert ours == theirs

    @rule(place=PLACES)
    def get(self, place):
        (ours,), (theirs,) = self.both(GetOp(*place))
        assert plain([ours] if ours else []) == plain([theirs] if theirs else [])

    @rule(prefix=st.lists(LABELS, max_size=2).map(tuple), wanted=FILTERS)
    def search(self, prefix, wanted):
        (ours,), (theirs,) = self.both(SearchOp(prefix, filter=wanted, limit=100))
        assert plain(ours) == plain(theirs)
        (found,) = self.ours.batch([SearchOp(prefix, filter=wanted, limit=100, query="put")])  # a word of each record
        assert plain(found) == plain(theirs)
        pages = [
            self.ours.batch([SearchOp(prefix, filter=wanted, limit=2, offset=n)])[0] for n in range(0, len(ours), 2)
        ]
        assert [item for page in pages for item in page] == ours

    @rule(
        paths=st.lists(
            st.builds(MatchCondition, st.sampled_from(["prefix", "suffix"]), st.lists(LABELS, max_size=2).map(tuple)),
            max_size=2,
        ),
        depth=st.none() | st.integers(0, 3),
        limit=st.integers(0, 4),
        offset=st.integers(0, 2),
    )
    def list_namespaces(self, paths, depth, limit, offset):
        alive = InMemoryStore()  # theirs lists namespaces whose items are all deleted
        alive.batch([PutOp(item.namespace, item.key, item.value) for item in self.theirs.search((), limit=1000)])
        op = ListNamespacesOp(tuple(paths), depth, limit, offset)
        assert self.ours.batch([op]) == alive.batch([op])


TestBeside = Beside.TestCase
TestBeside.settings = settings(stateful_step_count=15)


# ---- in a graph


def test_nodes_of_a_graph_use_it(fake):
    graphs = pytest.importorskip("langgraph.graph", reason="the package langgraph is not installed")

    def remember(state: dict, *, store: BaseStore) -> dict:
        seen = store.get(USER, "count")
        store.put(USER, "count", {"n": (seen.value["n"] if seen else 0) + 1})
        return {"n": store.get(USER, "count").value["n"]}

    graph = graphs.StateGraph(dict)
    graph.add_node("remember", remember)
    graph.add_edge(graphs.START, "remember")
    compiled = graph.compile(store=store_of(fake))
    assert [compiled.invoke({})["n"] for _ in range(3)] == [1, 2, 3]
    assert run(lambda: compiled.ainvoke({}))["n"] == 4

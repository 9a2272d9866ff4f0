"""The same memories give the same hits, scores and neighbours: in whichever order they were added, and whatever else the index has."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from memtrace.ranking import MemoryFilter, MemorySearch, TextIndex, _lexical
from memtrace.ranking._vectors import keep_vectors
from tests.ranking.memories import START, apart, index_of, memory

#: Each example asks dozens of queries.
some = settings(max_examples=25, deadline=None)

WORDS = st.sampled_from(["tea", "milk", "teapots", "operations", "cooperate", "sleepwalking", "Yes.", "cat"])
QUERIES = ("milk and tea", "operations", "sleepwalk", "teapot yes")
OWNERS = ({}, {"agent_id": "a"}, {"agent_id": "b"}, {"session_id": "s"}, {"agent_id": "a", "session_id": "s"})


@st.composite
def stores(draw):
    """Up to a dozen memories of two agents, in sessions and without, some of which occurred at another time than they were stored."""
    rows = []
    for number, words in enumerate(draw(st.lists(st.lists(WORDS, min_size=1, max_size=3), min_size=1, max_size=12))):
        at = draw(st.none() | st.sampled_from([0, 10, 25, 40, 70, 70, 1000]))
        metadata = {} if at is None else {"occurred_at": (START + timedelta(minutes=at)).isoformat()}
        owner = {"agent_id": draw(st.sampled_from("ab")), "session_id": draw(st.sampled_from(["s", "t", None]))}
        rows.append(memory(" ".join(words), 7 * number, metadata=metadata, **owner))
    return rows


def vector(row):
    return [1.0 + len(row.content) % 5, 1.0 - len(row.content) % 3, 0.5 if "a" in row.content else -0.5]


def all_of(rows, **settings):
    """An index of rows, with a vector for each."""
    index = index_of(*rows, **settings)
    keep_vectors(index, "model", [(index.place_of(row), vector(row)) for row in rows])
    return index


def said(hits):
    return [(hit.memory, hit.score, hit.count, hit.previous, hit.next) for hit in hits]


def answers(index, owner):
    """Everything that an index says of an owner."""
    search, wanted = MemorySearch(index), MemoryFilter(**owner)
    found = [said(search.search(query, wanted, limit=limit)) for query in QUERIES for limit in (2, 50)]
    alike = [said(search.search(query, wanted, vector=[1.0, 0.5, 0.2], model="model")) for query in QUERIES]
    return [*found, *alike, said(search.newest(wanted, 2)), said(search.newest(wanted, 50))]


def of(rows, owner):
    return [row for row in rows if all(getattr(row, field) == value for field, value in owner.items())]


@pytest.mark.slow
@some
@given(stores(), st.randoms(use_true_random=False), st.integers(1, 12))
def test_the_order_of_adding_changes_nothing(rows, random, size):
    shuffled = random.sample(rows, len(rows))
    index = index_of()
    for start in range(0, len(shuffled), size):
        index.add_many(shuffled[start : start + size])
        MemorySearch(index).search("tea")
    keep_vectors(index, "model", [(index.place_of(row), vector(row)) for row in rows])
    in_order = all_of(sorted(rows, key=lambda row: (row.occurred_at, row.time)))
    for owner in OWNERS:
        assert answers(index, owner) == answers(in_order, owner)


@pytest.mark.slow
@some
@given(stores())
@example([memory("cooperate", 0), memory("cooperations", 7, agent_id="b")])
@example([memory("sleepwalking", 0), *(memory(f"{n}sleepwalk", n, agent_id="b") for n in range(1, 20))])
@example([memory("Which tea?", 0, session_id="s", agent_id="b"), memory("Assam.", 7, session_id="s")])
def test_what_else_the_index_has_changes_nothing(rows):
    whole = all_of(rows)
    for owner in ({"agent_id": "a"}, {"session_id": "s"}):
        alone = of(rows, owner)
        if alone:
            assert answers(whole, owner) == answers(all_of(alone), owner)


@pytest.mark.slow
@some
@given(stores(), st.integers(1, 12))
def test_nor_does_it_where_not_all_words_can_be_read(rows, most):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(_lexical, "_MOST_ROWS", most)
        test_what_else_the_index_has_changes_nothing.hypothesis.inner_test(rows)


@pytest.mark.slow
@some
@given(stores(), stores(), st.randoms(use_true_random=False))
def test_what_was_removed_changes_nothing(rows, others, random):
    others = [row.model_copy(update={"time": row.time + timedelta(seconds=1)}) for row in others]
    index = all_of(random.sample([*rows, *others], len(rows) + len(others)))
    for row in others:
        assert index.remove(row)
    for owner in OWNERS:
        assert answers(index, owner) == answers(all_of(rows), owner)


def in_order(rows):
    """Rows of one agent in the order in which they occurred and were stored."""
    return sorted(rows, key=lambda row: (row.occurred_at, row.time))


@given(stores())
def test_neighbours_follow_when_it_occurred(rows):
    hits = MemorySearch(index_of(*rows)).newest(MemoryFilter(), 50)
    found = {(hit.memory.time, hit.memory.content): hit for hit in hits}
    for session in ("s", "t"):
        pairs = [None, *in_order(row for row in rows if row.session_id == session), None]
        for before, row, after in zip(pairs, pairs[1:], pairs[2:], strict=False):
            hit = found[row.time, row.content]
            assert (hit.previous, hit.next) == tuple(each and (each.occurred_at, each.time) for each in (before, after))
    for agent in "ab":
        without = in_order(row for row in rows if row.session_id is None and row.agent_id == agent)
        for before, after in pairwise(without):
            assert found[before.time, before.content].next == (after.occurred_at, after.time)


def scored(index, query, **owner):
    return {hit.memory.content: hit.score for hit in MemorySearch(index).search(query, MemoryFilter(**owner), limit=50)}


def test_an_old_chat_that_is_stored_backwards_has_the_neighbours_of_the_chat():
    chat = [
        memory(text, 100 - n, session_id="s", metadata={"occurred_at": f"2020-01-01T0{n}:00:00Z"})
        for n, text in enumerate(["Hello.", "Which tea?", "Assam.", "Thanks.", "Bye.", "Later."])
    ]
    scores = scored(index_of(*chat, *apart("nothing")), "tea")
    assert scores["Which tea?"] > scores["Assam."] > scores["Hello."] > scores["Thanks."] > 0
    assert "Bye." not in scores or scores["Bye."] < scores["Thanks."]


@pytest.mark.parametrize(("gap", "is_near"), [(29, True), (30, True), (31, False)])
def test_without_a_session_half_an_hour_ends_a_run_wherever_it_begins(gap, is_near):
    for start in (0, 14, 15, 29):
        rows = [memory("Which tea?", start), memory("Assam.", start + gap), memory("Bye.", start + gap + 29)]
        for order in (rows, rows[::-1]):
            assert ("Assam." in scored(index_of(*order), "tea")) is is_near


def test_a_memory_that_comes_late_joins_two_runs_and_takes_them_apart_again_when_it_is_removed():
    first, last = memory("Which tea?", 0), memory("Assam.", 50)
    bridge = memory("Hm.", 25)
    index = index_of(first, last)
    assert "Assam." not in scored(index, "tea")
    index.add(bridge)
    assert "Assam." in scored(index, "tea")
    index.remove(bridge)
    assert "Assam." not in scored(index, "tea")


@pytest.mark.parametrize("is_hosted", [False, True])
def test_a_run_that_falls_apart_keeps_its_vectors(is_hosted):
    rows = [memory(f"tea {n}", 25 * n) for n in range(5)]
    index = TextIndex(sqlite3.connect(":memory:"), keep=not is_hosted)
    load = (lambda keys: [rows[key] for key in keys]) if is_hosted else None
    index.add_many(rows, range(5))
    keep_vectors(index, "model", [(index.place_of(row), vector(row)) for row in rows])
    kept = [vector for _, vector in index.vectors(map(index.place_of, rows), 1)]
    assert index.remove_many([rows[2], rows[2], memory("unknown")], load) == 1
    rest = [index.place_of(row) for row in rows if row != rows[2]]
    assert [dict(index.vectors([place], 1))[place] for place in rest] == [*kept[:2], *kept[3:]]
    assert len([*index.signs(index.scope(), 1)]) == len(index) == 4
    hits = MemorySearch(index, load=load).search("tea")
    expected = MemorySearch(index_of(*rows[:2], *rows[3:])).search("tea")
    assert said(hits) == said(expected)


@pytest.mark.parametrize("order", [1, -1])
def test_ties_are_settled_by_when_it_occurred_and_was_stored(order):
    day = {"occurred_at": "2020-01-01T00:00:00Z"}
    rows = [
        memory("tea one", 3, session_id="a", metadata=day),
        memory("tea two", 2, session_id="b", metadata=day),
        memory("tea ten", 1, session_id="c", metadata={"occurred_at": "2020-01-02T00:00:00Z"}),
        memory("tea six", 1, session_id="d", metadata=day),
        memory("tea six", 1, session_id="e", agent_id="b", metadata=day),
    ]
    hits = MemorySearch(index_of(*rows[::order])).search("tea")
    assert [hit.memory.content for hit in hits] == ["tea ten", "tea one", "tea two", "tea six", "tea six"]
    assert len({hit.score for hit in hits[1:]}) == 1
    again = MemorySearch(index_of(*rows[::-order])).search("tea")
    assert said(again) == said(hits)
    assert said(MemorySearch(index_of(*rows)).search("tea", limit=4)) == said(hits[:4])


def test_of_equally_near_vectors_the_youngest_are_looked_at(monkeypatch):
    rows = apart(*(f"number {n}" for n in range(400)))
    for order in (rows, rows[::-1]):
        index = index_of(*order)
        keep_vectors(index, "model", [(index.place_of(row), [1.0, 1.0]) for row in rows])
        hits = MemorySearch(index).search("nothing", vector=[1.0, 1.0], model="model", limit=10)
        assert [hit.memory for hit in hits] == rows[:-11:-1]

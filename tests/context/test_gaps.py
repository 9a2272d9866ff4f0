"""A gap is marked exactly where memories were left out that lie between, of the session of one of the two that are written."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtrace import AddMemoryRequest
from memtrace.context import build_context
from memtrace.ranking import MemoryFilter, MemorySearch, SearchHit, SearchHits
from memtrace.transport import Neighbour
from memtrace_transports import FakeMemtrace
from tests.context.memories import EPOCH, memory, patiently
from tests.ranking.memories import index_of

MARKS = {"markdown": r"^\.\.\.$", "xml": "^<omitted/>$", "messages": "^<omitted/>$"}
forms = st.sampled_from(list(MARKS))


@st.composite
def histories(draw):
    """Memories of two agents in two sessions and without one, some of which occurred at once."""
    rows = []
    for number in range(draw(st.integers(1, 14))):
        at = EPOCH + timedelta(minutes=draw(st.integers(0, 12)) * 11)
        owner = {"agent_id": draw(st.sampled_from("ab")), "session_id": draw(st.sampled_from(["s", "t", None]))}
        rows.append(memory(number, f"apple {number}", metadata={"occurred_at": at.isoformat()}, **owner))
    return rows


def session_of(row):
    return row.session_id or f"agent {row.agent_id}"


def in_order(rows):
    return sorted(rows, key=lambda row: (row.occurred_at, row.time))


def expected(rows, kept):
    """What a text has: each memory that is kept, and None for each gap."""
    numbered, lines = in_order(rows), []
    for last, row in pairwise([None, *in_order(kept)]):
        between = [] if last is None else numbered[numbered.index(last) + 1 : numbered.index(row)]
        if any(session_of(each) in {session_of(last), session_of(row)} for each in between):
            lines.append(None)
        lines.append(row.content)
    return lines


def written(context, form):
    found = re.finditer(f"(?P<gap>{MARKS[form]})|apple \\d+", context.text, re.MULTILINE)
    return [None if match["gap"] else match[0] for match in found]


def apples(text):
    """A memory is 1000 tokens, and nothing else is one."""
    return 1000 * text.count("apple ")


@patiently
@given(histories(), st.data(), forms)
def test_of_memories_that_are_ranked(rows, data, form):
    kept = data.draw(st.lists(st.sampled_from(rows), unique_by=lambda row: row.content))
    context = build_context(rows, rank=kept, max_tokens=500 + 1000 * len(kept), count_tokens=apples, format=form)
    assert context.memories == in_order(kept)
    assert written(context, form) == expected(rows, kept)


@patiently
@given(histories(), st.integers(1, 20), forms)
def test_of_memories_with_a_stable_beginning(rows, most, form):
    rows = [row.model_copy(update={"metadata": None}) for row in rows]
    context = build_context(rows, max_tokens=500 + 1000 * most, count_tokens=apples, format=form)
    assert written(context, form) == expected(rows, context.memories)


@patiently
@given(histories(), st.data(), st.sampled_from([{}, {"agent_id": "a"}, {"session_id": "s"}]))
def test_of_hits_whose_neighbours_the_index_knows(rows, data, owner):
    hits = MemorySearch(index_of(*rows)).newest(MemoryFilter(**owner), 50)
    kept = data.draw(st.lists(st.sampled_from(list(hits)), unique_by=lambda hit: hit.memory.content)) if hits else []
    context = build_context(SearchHits(kept), format="xml")
    assert written(context, "xml") == expected(hits.memories, SearchHits(kept).memories)


@pytest.mark.parametrize("owner", [{}, {"agent_id": "a"}, {"session_id": "s1"}])
@pytest.mark.parametrize("max_tokens", [250, 400, 4000])
def test_of_a_prompt_from_a_search(owner, max_tokens):
    client = FakeMemtrace().client()
    client.memories.add_many(
        AddMemoryRequest(
            agent_id="ab"[n % 5 == 0],
            session_id=f"s{n // 12 % 4}" if n % 7 else None,
            content=f"apple {n} of {'a tree' if n % 8 else 'Lisbon'}",
            occurred_at=EPOCH + timedelta(minutes=n * 31 % 400),
        )
        for n in range(90)
    ).raise_for_failures()
    rows = client.memories.list(limit=1000, **owner).memories
    context = client.memories.prompt_context("Lisbon", format="xml", max_tokens=max_tokens, **owner)
    assert 0 < len(context.memories) < len(rows)
    lines = [line and line.partition(" of ")[0] for line in expected(rows, context.memories)]
    assert written(context, "xml") == lines
    assert None in lines


def test_nothing_is_marked_between_two_whole_sessions():
    rows = [memory(n, f"apple {n}", session_id=f"s{n // 2}") for n in range(4)]
    hits = MemorySearch(index_of(*rows)).newest(MemoryFilter(), 50)
    assert written(build_context(hits), "markdown") == [row.content for row in rows]


def test_a_neighbour_of_an_index_elsewhere_is_taken_at_its_word():
    rows = [memory(n, f"apple {n}") for n in (0, 10, 20, 30)]
    at = [Neighbour(row.time, row.time) for row in rows]
    left_out = Neighbour(rows[1].time + timedelta(seconds=5), rows[1].time)
    hits = [
        SearchHit(rows[0], 1.0, next=at[1]),
        SearchHit(rows[1], 1.0, previous=at[0], next=left_out),
        SearchHit(rows[2], 1.0),
        SearchHit(rows[3], 1.0, previous=at[2]),
    ]
    assert written(build_context(SearchHits(hits)), "markdown") == ["apple 0", "apple 10", None, "apple 20", "apple 30"]

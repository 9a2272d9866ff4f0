"""What `explain` tells of each memory: whether it is in, and what decided."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtrace import Memtrace
from memtrace.context import build_context
from memtrace.ranking import SearchHit
from tests.context.memories import contents, history, memory, patiently


def reasons(context):
    return {verdict.memory.content.split()[0]: (verdict.included, verdict.reason) for verdict in context.verdicts}


def test_without_explain_there_are_none():
    assert build_context(history(("a", None))).verdicts == []


@pytest.mark.parametrize("stable", [True, False])
def test_all_fit(stable):
    context = build_context(history(("a", 0.1), ("b", None)), stable_prefix=stable, max_tokens=500, explain=True)
    assert reasons(context) == {"a": (True, "fits"), "b": (True, "fits")}
    assert all(verdict.tokens > 0 and verdict.score is None for verdict in context.verdicts)


def test_tokens_are_counted_without_a_budget_too():
    context = build_context(history(("a", None)), explain=True, count_tokens=lambda _: 7)
    assert [verdict.tokens for verdict in context.verdicts] == [7]


def test_a_trim_keeps_the_newest_by_recency_and_others_by_importance():
    rows = [("first", 0.9), *((f"m{number}", None) for number in range(10)), ("last", None)]
    rows = history(*((f"{name} {'word ' * 10}", importance) for name, importance in rows))
    context = build_context(rows, max_tokens=260, explain=True)
    told = reasons(context)
    assert context.revision == 1
    assert told["first"] == (True, "importance")
    assert told["m0"] == (False, "budget")
    assert (True, "recency") in told.values()
    assert told["last"] == (True, "fits")


def test_what_is_larger_than_the_budget_is_out_by_its_size():
    rows = history(("small", None), (f"large {'word ' * 500}", 1.0))
    for stable in (True, False):
        context = build_context(rows, max_tokens=100, stable_prefix=stable, explain=True)
        assert reasons(context)["large"] == (False, "size")
        assert reasons(context)["small"][0]


def test_filling_the_budget_tells_recency_from_importance():
    rows = history(*((f"m{number} {'word ' * 10}", number / 20) for number in range(12)))
    told = reasons(build_context(rows, max_tokens=200, stable_prefix=False, explain=True))
    assert told["m11"] == (True, "recency")
    assert {reason for _, reason in told.values()} == {"recency", "importance", "budget"}


def test_a_function_gives_the_score_and_recent_ones_come_first():
    rows = history(*((f"m{number} {'word ' * 10}", None) for number in range(6)))
    context = build_context(rows, rank=lambda each: -rows.index(each), recent=1, max_tokens=130, explain=True)
    assert [verdict.memory.content.split()[0] for verdict in context.verdicts] == ["m5", "m0", "m1", "m2", "m3", "m4"]
    assert [verdict.score for verdict in context.verdicts] == [-5, 0, -1, -2, -3, -4]
    assert [verdict.reason for verdict in context.verdicts][:2] == ["recency", "score"]
    assert context.verdicts[-1].reason == "budget"


def test_hits_bring_their_scores_and_plain_memories_none():
    rows = history(("a", None), ("b", None), ("c", None))
    context = build_context(rows, rank=[SearchHit(rows[1], 2.5), rows[0]], explain=True)
    told = [(verdict.memory.content, verdict.score, verdict.reason) for verdict in context.verdicts]
    assert told == [("b", 2.5, "score"), ("a", None, "score"), ("c", None, "score")]


@patiently
@given(
    rows=st.lists(st.tuples(contents | st.just("word " * 20), st.none() | st.sampled_from([0.1, 0.9])), max_size=15),
    budget=st.none() | st.integers(1, 400),
    way=st.sampled_from([{}, {"stable_prefix": False}, {"recent": 2}, {"rank": lambda each: len(each.content)}]),
)
def test_every_memory_has_one_verdict_and_the_included_ones_are_in_the_context(rows, budget, way):
    rows = history(*rows)
    plain = build_context(rows, max_tokens=budget, **way)
    context = build_context(rows, max_tokens=budget, explain=True, **way)
    assert (context.text, context.tokens, context.omitted) == (plain.text, plain.tokens, plain.omitted)
    assert sorted(map(id, (verdict.memory for verdict in context.verdicts))) == sorted(map(id, rows))
    included = [verdict for verdict in context.verdicts if verdict.included]
    assert sorted(map(id, (verdict.memory for verdict in included))) == sorted(map(id, context.memories))
    assert {verdict.reason for verdict in included} <= {"fits", "score", "importance", "recency"}
    assert {verdict.reason for verdict in context.verdicts if not verdict.included} <= {"budget", "size"}


def test_a_clients_prompt_has_them_with_the_scores_of_its_search():
    with Memtrace("memory://", "any key") as client:
        for text in ("User prefers tea", "User lives in Lisbon", "The build is green"):
            client.remember("assistant", text)
        hits = client.memories.search("tea in Lisbon", agent_id="assistant")
        asked = client.memories.prompt_context("tea in Lisbon", agent_id="assistant", recent=1, explain=True)
        assert asked.verdicts[0].memory.content == "The build is green"
        assert asked.verdicts[0].reason == "recency"
        scores = {hit.memory.content: hit.score for hit in hits}
        assert {each.memory.content: each.score for each in asked.verdicts} == scores
        assert {verdict.reason for verdict in asked.verdicts[1:]} == {"score"}
        every = client.memories.prompt_context(agent_id="assistant", explain=True)
        assert [verdict.reason for verdict in every.verdicts] == ["fits"] * 3


def test_it_is_json_for_programs_and_its_repr_has_no_content():
    (verdict,) = build_context([memory(content="secret")], explain=True).verdicts
    assert "secret" not in repr(verdict)
    told = verdict.to_json()
    assert told["memory"]["content"] == "secret"
    assert (told["included"], told["reason"], told["score"]) == (True, "fits", None)

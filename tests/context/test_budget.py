"""What a budget holds, and how long the beginning of a context stays as it is."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from memtrace import InvalidRequestError, MemoryList, SearchResult
from memtrace.context import MESSAGE_TOKENS, build_context, estimate_tokens
from memtrace.context._formats import Group, formatter_for
from memtrace.ranking import SearchHit, SearchHits
from tests.context.memories import contents, history, memories, memory, patiently

forms = st.sampled_from(["markdown", "xml", "messages"])
rows = st.lists(st.tuples(contents | st.just("word " * 20), st.none() | st.sampled_from([0.1, 0.5, 0.9])), max_size=20)
budgets = st.integers(1, 600)
#: For these a whole is no more than the sum of its parts.
plain_counters = st.sampled_from([estimate_tokens, len, lambda text: len(text.split()) + 2, lambda _: 7, lambda _: 0])
#: For these it may be anything.
odd_counters = st.sampled_from(
    [lambda text: len(text) ** 2 // 50, lambda text: len(text) % 17, lambda text: 3 * len(text) // 100]
)


def counted(context, form, count):
    if form == "messages":
        return sum(count(message["content"]) + MESSAGE_TOKENS for message in context.messages)
    return count(context.text) if context.text else 0


def costs(found, form, count):
    """What the heading costs, and each memory: the first one with what its group shares."""
    written = formatter_for(form, ["reasoning"], show_agents=False)
    if not found:
        return [count(written.heading) + MESSAGE_TOKENS if form == "messages" else count(written.heading + written.end)]
    first = found[0]
    group = Group(f"{first.time:%Y-%m-%d}", None, 0, first.memory_type, first.event_type, first.agent_id)
    parts = [written.heading, *(written.memory(row, group) for row in found)]
    each = [count(part) + MESSAGE_TOKENS if form == "messages" else count(part + written.end) for part in parts]
    each[1] += count(written.group(group) + written.end)
    return each


# ---- the budget


@patiently
@given(rows, forms, budgets, plain_counters | odd_counters)
def test_a_context_is_never_over_its_budget(given_rows, form, budget, count):
    found = history(*given_rows)
    context = build_context(found, format=form, max_tokens=budget, count_tokens=count)
    assert context.tokens == counted(context, form, count)
    assert context.tokens <= budget
    assert len(context.memories) + context.omitted == len(found)


@pytest.mark.parametrize("budget", [200, 1000, 1500])
def test_a_counter_for_which_a_whole_is_more_than_its_parts_is_kept_to(budget):
    found = history(*((f"{n} of several", None) for n in range(10)))
    context = build_context(found, max_tokens=budget, count_tokens=lambda text: len(text) ** 2 // 100)
    assert len(context.text) ** 2 // 100 == context.tokens <= budget
    assert context.omitted == 10 - len(context.memories) > 0
    assert context.memories == found[context.omitted :]
    assert bool(context.memories) is (budget > 200)


@patiently
@given(memories(), forms, budgets)
def test_what_is_in_a_context_is_whole_and_in_order(found, form, budget):
    context = build_context(found, format=form, max_tokens=budget)
    places = [found.index(row) for row in context.memories]
    assert places == sorted(set(places))
    if not context.omitted:
        again = build_context(context.memories, format=form)
        assert (context.text, context.messages, context.tokens) == (again.text, again.messages, again.tokens)


@patiently
@given(rows, forms)
def test_what_fits_is_all_there(given_rows, form):
    found = history(*given_rows)
    whole = build_context(found, format=form)
    assert whole.memories == found
    room = sum(costs(found, form, estimate_tokens))
    assert build_context(found, format=form, max_tokens=room).memories == found
    assert build_context(found, format=form, max_tokens=room).revision == 0


@patiently
@given(rows.filter(bool), forms, budgets)
def test_the_newest_memory_is_there_when_it_fits_at_all(given_rows, form, budget):
    found = history(*given_rows)
    heading, alone = costs(found[-1:], form, estimate_tokens)
    context = build_context(found, format=form, max_tokens=budget)
    assert (found[-1] in context.memories) is (heading + alone <= budget)


@pytest.mark.parametrize("form", ["markdown", "xml", "messages"])
@pytest.mark.parametrize(
    ("found", "budget"), [([], None), ([], 100), ([memory()], 1), ([memory(content="x" * 999)], 100)]
)
def test_a_context_without_a_memory_is_empty(form, found, budget):
    context = build_context(found, format=form, max_tokens=budget)
    assert (context.text, context.messages, context.tokens, context.memories) == ("", [], 0, [])
    assert (context.omitted, context.revision) == (len(found), 0)


def test_a_memory_that_is_too_large_leaves_the_others_as_they_are():
    small, large, last = memory(1, "small"), memory(2, "large " * 200), memory(3, "last")
    context = build_context([small, large, last], max_tokens=200)
    assert context.memories == [small, last]
    assert (context.omitted, context.revision) == (1, 0)


# ---- what stays


def named(context):
    return [row.content.split()[0] for row in context.memories]


def test_the_important_and_the_newest_stay():
    given_rows = [(f"{place} " + "x" * 100, 0.9 if place in (2, 5) else None) for place in range(20)]
    contexts = [build_context(history(*given_rows[:n]), max_tokens=600) for n in range(1, 21)]
    before, after = next(pair for pair in pairwise(contexts) if pair[1].revision)
    assert (before.revision, after.revision) == (0, 1)
    assert named(before) == [str(place) for place in range(len(before.memories))]
    kept = named(after)
    assert kept[:2] == ["2", "5"]
    newest = int(kept[-1])
    assert kept[2:] == [str(place) for place in range(newest - len(kept) + 3, newest + 1)]


@patiently
@given(st.lists(st.sampled_from([None, 0.2, 0.5, 0.9]), min_size=1, max_size=30), st.integers(10, 150))
@example([0.5, 0.2, 0.9, None, 0.9, 0.5, None, None], 45)
def test_of_equally_large_ones_the_least_important_go_first_and_the_newest_stay(importances, budget):
    found = history(*(("content", importance) for importance in importances))
    before = []
    for n in range(1, len(found) + 1):
        kept = build_context(
            found[:n], max_tokens=budget, count_tokens=lambda text: 10 * text.count("\ncontent\n")
        ).memories
        gone = [row for row in before if row not in kept]
        if gone:
            cleared = min(budget // 2, budget - 10)
            recent = cleared // 2 // 10
            assert kept[len(kept) - 1 - recent :] == found[n - 1 - recent : n]
            assert len(kept) == cleared // 10 + 1
            least = min((row.importance or 0 for row in kept[: len(kept) - 1 - recent]), default=1)
            assert all((row.importance or 0) <= least for row in gone)
        else:
            assert kept == [*before, found[n - 1]]
        before = kept


@patiently
@given(rows, forms, budgets, plain_counters)
@example([("x" * 90, None)] * 20, "markdown", 300, estimate_tokens)
def test_the_beginning_stays_while_memories_are_added(given_rows, form, budget, count):
    found = history(*given_rows)
    heading, *each = costs(found, form, count)
    contexts = [
        build_context(found[:n], format=form, max_tokens=budget, count_tokens=count) for n in range(len(found) + 1)
    ]
    added = 0
    for earlier, later, cost in zip(contexts, contexts[1:], each, strict=False):
        if cost <= budget - heading:
            added += cost
        if later.revision == earlier.revision:
            assert later.text.startswith(earlier.text)
            if form == "messages":
                assert later.messages[: len(earlier.messages)] == earlier.messages
        else:
            assert later.revision == earlier.revision + 1
            assert added > (budget - heading) / 2
            added = cost


def test_the_beginning_changes_seldom():
    found = history(*((f"Turn {n} of a conversation that goes on for long.", None) for n in range(1000)))
    generations = [build_context(found[:n], max_tokens=2000).revision for n in range(0, 1001, 100)]
    assert 15 <= generations[-1] <= 60
    assert generations == sorted(generations)


# ---- always the same


@patiently
@given(memories(), st.randoms(use_true_random=False), forms, budgets)
def test_the_same_memories_in_any_order_give_the_same(found, random, form, budget):
    rows = [row.model_copy(update={"time": found[place // 2].time}) for place, row in enumerate(found)]
    shuffled = list(rows)
    random.shuffle(shuffled)
    first, second = (build_context(given_rows, format=form, max_tokens=budget) for given_rows in (rows, shuffled))
    assert (first.text, first.messages, first.tokens) == (second.text, second.messages, second.tokens)


def test_a_generator_is_taken():
    assert build_context(row for row in [memory()]).memories == [memory()]


# ---- the estimate, and counters


@patiently
@given(rows.filter(bool), forms)
def test_a_counter_is_called_for_each_part_and_once_for_the_whole(given_rows, form):
    asked = []
    found = history(*given_rows)
    context = build_context(found, format=form, max_tokens=10**6, count_tokens=lambda text: asked.append(text) or 1)
    assert len(asked) == len(found) + (4 if form != "messages" else 4 + len(found))
    asked.clear()
    build_context(found, count_tokens=lambda text: asked.append(text) or 1)
    assert len(asked) == 1
    assert context.memories == found


async def awaited(text):
    return 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("max_tokens", value) for value in (0, -1, 1.5, True, "9")),
        *(("format", value) for value in ("html", None, "")),
        *(("count_tokens", value) for value in (None, 3, awaited)),
        *(("count_tokens", lambda _, value=value: value) for value in (-1, 1.0, True, None)),
        ("metadata_keys", "reasoning"),
    ],
)
def test_an_argument_out_of_bounds_is_refused(field, value):
    with pytest.raises(InvalidRequestError) as caught:
        build_context([memory(content="a secret")], **{"max_tokens": 100, field: value})
    assert caught.value.field == field
    assert "secret" not in str(caught.value)


def test_what_a_counter_raises_comes_out():
    def broken(text):
        raise LookupError("no vocabulary")

    with pytest.raises(LookupError, match="no vocabulary"):
        build_context([memory()], count_tokens=broken)


def test_a_contexts_repr_is_short_and_holds_no_content():
    assert repr(build_context([memory(content="a secret")])).startswith("PromptContext(tokens=")
    assert "secret" not in repr(build_context([memory(content="a secret")]))


# ---- an order of importance from outside


def filling(found, budget, **settings):
    return build_context(found, max_tokens=budget, **settings)


RANKED = [memory(n, f"memory number {n} " + "of several words " * (n % 4)) for n in range(200)]


@pytest.mark.parametrize("form", ["markdown", "xml", "messages"])
@pytest.mark.parametrize("budget", [300, 1000, 3000])
@pytest.mark.parametrize(
    "settings", [{"rank": lambda row: hash(row.content) % 97}, {"rank": RANKED[::3]}, {"stable_prefix": False}]
)
def test_a_budget_is_filled(form, budget, settings):
    context = filling(RANKED, budget, format=form, **settings)
    assert 0.9 * budget <= context.tokens <= budget
    assert context.memories == sorted(context.memories, key=lambda row: row.time)
    assert context.omitted == len(RANKED) - len(context.memories) > 0


def test_the_most_important_are_kept_whatever_gives_the_order():
    best = [RANKED[n] for n in (150, 3, 77)]
    hits = SearchHits(SearchHit(row, 1.0) for row in best)
    for rank in (best, iter(best), hits, lambda row: row in best):
        kept = filling(RANKED, 400, rank=rank).memories
        assert all(row in kept for row in best)
    assert filling(hits, 400).memories == sorted(best, key=lambda row: row.time)
    assert filling(hits, 400).memories == filling(hits, 400, rank=hits).memories


def test_what_a_rank_does_not_name_comes_after_it_the_newest_first():
    kept = filling(RANKED, 300, rank=RANKED[:1]).memories
    assert kept[0] == RANKED[0]
    assert kept[1:] == [row for row in RANKED if row in kept][1:]
    assert RANKED[-1] in kept


def test_the_recent_ones_are_always_there():
    kept = filling(RANKED, 400, rank=RANKED, recent=3).memories
    assert kept[-3:] == RANKED[-3:]
    assert kept[0] == RANKED[0]
    assert filling(RANKED, 400, recent=3).memories[-3:] == RANKED[-3:]


def test_without_a_rank_the_newest_and_the_most_important_fill_the_budget():
    important = RANKED[10].model_copy(update={"importance": 0.9})
    kept = filling([*RANKED[:10], important, *RANKED[11:]], 500, stable_prefix=False).memories
    assert kept[0] == important
    assert kept[-3:] == RANKED[-3:]


def test_without_a_budget_all_of_it_is_there():
    assert build_context(RANKED, rank=RANKED[:3]).memories == RANKED
    assert build_context(RANKED, stable_prefix=False).memories == RANKED


@patiently
@given(rows, forms, budgets, odd_counters)
def test_a_ranked_context_is_never_over_its_budget(given_rows, form, budget, count):
    found = history(*given_rows)
    context = build_context(found, format=form, max_tokens=budget, count_tokens=count, rank=found)
    assert context.tokens == counted(context, form, count) <= budget
    assert len(context.memories) + context.omitted == len(found)


def test_a_counter_for_which_a_whole_is_more_than_its_parts_keeps_the_most_important():
    found = history(*((f"{n} of several", None) for n in range(10)))
    context = build_context(found, max_tokens=1500, count_tokens=lambda text: len(text) ** 2 // 100, rank=found)
    assert len(context.text) ** 2 // 100 == context.tokens <= 1500
    assert context.memories == found[: len(context.memories)]
    assert 0 < len(context.memories) < 10


def test_a_whole_result_is_taken_as_its_memories():
    rows = RANKED[:3]
    for result in (
        MemoryList(memories=rows, count=3, has_more=False),
        SearchResult(results=rows, count=3, query_time_ms=1.0),
        SearchHits(SearchHit(row, 1.0) for row in rows),
    ):
        assert build_context(result).memories == rows


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("rank", {"rank": 5}),
        ("rank", {"rank": "x"}),
        ("rank", {"rank": [5]}),
        ("rank", {"rank": [*RANKED[:1], None]}),
        ("rank", {"rank": lambda row: "much"}),
        ("rank", {"rank": lambda row: float("nan")}),
        ("recent", {"recent": -1}),
        ("recent", {"recent": 1.5}),
        ("recent", {"recent": 10**30}),
        ("stable_prefix", {"stable_prefix": True, "rank": []}),
        ("stable_prefix", {"stable_prefix": True, "recent": 1}),
    ],
)
def test_a_rank_that_is_none_is_refused(field, settings):
    with pytest.raises(InvalidRequestError) as caught:
        build_context(RANKED[:2], **settings)
    assert caught.value.field == field

"""Reading every row once and in order, whatever the ties, the size of pages and the writers."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtrace import InvalidRequestError, ListOptions, ResponseDecodeError, SearchQuery, TransportError
from memtrace._runtime.workflows import listing as reading
from memtrace._runtime.workflows.listing import iter_memories, list_memories, search_memories
from tests.conftest import StoppedClock
from tests.garbage import collecting
from tests.sampling import is_whole
from tests.workflows.rows_server import Reader, counted, moment

forms = st.sampled_from(["sync", "async"])
orders = st.sampled_from(["asc", "desc", None])
#: Few moments for many rows, so that pages begin and end within one; the same row may come again.
times = st.lists(st.integers(0, 6), max_size=24)
page_sizes = st.integers(1, 5)


def rows_at(moments):
    return [(time, f"row {place}") for place, time in enumerate(moments)]


def in_order(rows, order):
    return sorted((row[0] for row in rows), reverse=order != "asc")


@given(forms, times, orders, page_sizes)
def test_every_row_comes_once_and_in_order(form, moments, order, page_size):
    rows = rows_at(moments)
    reader = Reader(form, rows)
    names = reader.names(iter_memories(ListOptions(order=order), reader.clock, page_size=page_size))
    assert counted(names) == counted(name for _, name in rows)
    at = {name: time for time, name in rows}
    assert [at[name] for name in names] == in_order(rows, order)
    assert reader.server.largest <= page_size


@given(forms, times, orders, page_sizes, st.lists(st.integers(0, 2), max_size=5))
def test_rows_that_are_written_meanwhile_move_nothing(form, moments, order, page_size, writes):
    """Newest first, what was there at the first page comes; oldest first, what was there at the last one."""
    left, there = list(writes), []

    def write(server):
        there.append({name for _, name, *_ in server.rows})
        newer = server.newest() + 1
        for n in range(left.pop() if left else 0):
            server.write(newer, f"new {newer} {n}")

    reader = Reader(form, rows_at(moments), write)
    names = reader.names(iter_memories(ListOptions(order=order), reader.clock, page_size=page_size))
    assert counted(names) == counted(there[-1 if order == "asc" else 0])
    at = {name: time for time, name, *_ in reader.server.rows}
    assert [at[name] for name in names] == sorted((at[name] for name in names), reverse=order != "asc")


@given(forms, times, orders, page_sizes, st.integers(1, 30), st.integers(0, 10))
def test_a_limit_and_an_offset_count_rows(form, moments, order, page_size, limit, offset):
    rows = rows_at(moments)
    reader = Reader(form, rows)
    options = ListOptions(order=order, limit=limit, offset=offset)
    names = reader.names(iter_memories(options, reader.clock, page_size=page_size))
    at = {name: time for time, name in rows}
    assert [at[name] for name in names] == in_order(rows, order)[offset : offset + limit]
    assert len(set(names)) == len(names)


@given(forms, times, orders, page_sizes, st.integers(-1, 7), st.integers(-1, 7))
def test_bounds_are_kept(form, moments, order, page_size, since, until):
    reader = Reader(form, rows_at(moments))
    options = ListOptions(since=moment(since), until=moment(until), order=order)
    names = reader.names(iter_memories(options, reader.clock, page_size=page_size))
    assert counted(names) == counted(name for time, name in rows_at(moments) if since < time < until)


tagged = st.lists(st.tuples(st.integers(0, 6), st.sampled_from(["ui", "gui", "ui.main", "x"])), max_size=24)


@given(forms, tagged, orders, page_sizes, st.integers(1, 30), st.integers(0, 4))
def test_exact_tags_give_as_many_rows_as_there_are_up_to_the_limit(form, rows, order, page_size, limit, offset):
    rows = [(time, place, tag) for place, (time, tag) in enumerate(rows)]
    wanted = in_order([row for row in rows if row[2] == "ui"], order)[offset : offset + limit]
    at = {str(name): time for time, name, _ in rows}
    reader = Reader(form, rows)
    options = ListOptions(tags=["ui"], tags_match="exact", order=order, limit=limit, offset=offset)
    assert [at[name] for name in reader.names(iter_memories(options, reader.clock, page_size=page_size))] == wanted
    answer = reader.run(list_memories(options, reader.clock, page_size=page_size))
    assert [at[memory.content] for memory in answer.memories] == wanted
    assert answer.count == len(wanted)
    more = len([row for row in rows if row[2] == "ui"]) > offset + limit
    assert answer.has_more or not more


@settings(max_examples=settings().max_examples if is_whole() else 10)
@given(forms, times, orders, page_sizes, st.integers(1001, 1030), st.integers(0, 10))
def test_a_list_over_several_pages_says_for_sure_whether_more_match(form, moments, order, page_size, limit, offset):
    rows = rows_at([*moments, *range(10, 1010)])
    reader = Reader(form, rows)
    options = ListOptions(order=order, limit=limit, offset=offset)
    answer = reader.run(list_memories(options, reader.clock, page_size=page_size * 100))
    at = {name: time for time, name in rows}
    assert [at[memory.content] for memory in answer.memories] == in_order(rows, order)[offset : offset + limit]
    assert answer.count == len(answer.memories)
    assert answer.has_more is (len(rows) > offset + limit)


@given(forms, st.lists(st.integers(0, 600), max_size=24), orders, st.integers(1, 20), st.booleans())
def test_a_search_reads_on_for_exact_tags(form, moments, order, limit, full):
    rows = [(time, place, "ui" if place % 3 else "gui") for place, time in enumerate(moments)]
    reader = Reader(form, rows)
    query = SearchQuery(tags=["ui"], tags_match="exact", order=order, limit=limit)
    page_size = 30 if full else 1 + max([moments.count(time) for time in moments], default=0)
    found = reader.run(search_memories(query, reader.clock, page_size=page_size))
    at = {str(name): time for time, name, _ in rows}
    assert [at[memory.content] for memory in found.results] == in_order([r for r in rows if r[2] == "ui"], order)[
        :limit
    ]
    assert found.count == len(found.results)
    assert found.query_time_ms == 2 * len(reader.server.asked)


# ---- what is asked for


@pytest.fixture(params=["sync", "async"])
def form(request):
    return request.param


def test_the_rows_of_a_pages_last_microsecond_are_left_to_the_next_page(form):
    reader = Reader(form, rows_at([1, 2, 3, 3, 4, 5]))
    assert len(reader.names(iter_memories(ListOptions(), reader.clock, page_size=3))) == 6
    assert [(page.get("until"), page.get("offset")) for page in reader.server.asked] == [
        (None, None),
        ("2026-01-01T00:00:00.000004Z", None),
        ("2026-01-01T00:00:00.000003Z", None),
    ]


def test_more_rows_of_one_microsecond_than_a_page_holds_are_read_by_offset_within_it(form):
    reader = Reader(form, rows_at([1, 3, 3, 3, 3, 3, 4]))
    assert len(reader.names(iter_memories(ListOptions(order="asc"), reader.clock, page_size=2))) == 7
    within = [page for page in reader.server.asked if "until" in page]
    assert {(page["since"], page["until"]) for page in within} == {
        ("2026-01-01T00:00:00.000002Z", "2026-01-01T00:00:00.000004Z")
    }
    assert [page.get("offset") for page in within] == [None, "2", "4"]
    assert reader.server.asked[-1]["since"] == "2026-01-01T00:00:00.000003Z"


def test_what_is_skipped_is_skipped_by_the_server_once(form):
    reader = Reader(form, rows_at(range(9)))
    assert len(reader.names(iter_memories(ListOptions(offset=5), reader.clock, page_size=3))) == 4
    assert [page.get("offset") for page in reader.server.asked] == ["5", None]


def test_a_small_limit_is_one_small_request(form):
    reader = Reader(form, rows_at(range(9)))
    assert reader.names(iter_memories(ListOptions(limit=3), reader.clock)) == ["row 8", "row 7", "row 6"]
    assert [page["limit"] for page in reader.server.asked] == ["3"]


def test_an_exactly_full_last_page_is_followed_by_one_more_question(form):
    reader = Reader(form, rows_at(range(3)))
    assert len(reader.names(iter_memories(ListOptions(), reader.clock, page_size=3))) == 3
    assert len(reader.server.asked) == 2


def test_a_relative_bound_stands_still_while_time_passes(form):
    clock = StoppedClock()

    def pass_time(server):
        clock.now += 3600

    reader = Reader(form, rows_at(range(9)), pass_time, clock=clock)
    stream = iter_memories(ListOptions(since="24h", until=timedelta(hours=1)), clock, page_size=3)
    clock.now += 3600
    reader.names(stream)
    asked = reader.server.asked
    assert {page["since"] for page in asked} == {"2027-01-14T08:16:40Z"}
    assert asked[0]["until"] == "2027-01-15T07:16:40Z"


def test_a_list_with_a_tags_option_that_says_nothing_is_one_request(form):
    for tags in (None, "", " , ", [], [""]):
        reader = Reader(form, rows_at(range(3)))
        answer = reader.run(list_memories(ListOptions(tags=tags, tags_match="exact", limit=2), reader.clock))
        assert (answer.count, len(reader.server.asked)) == (2, 1)


def test_how_tags_match_is_never_sent(form):
    reader = Reader(form)
    reader.run(list_memories(ListOptions(tags="ui", tags_match="exact"), reader.clock))
    reader.run(search_memories(SearchQuery(tags=["ui"], tags_match="exact"), reader.clock))
    reader.run(search_memories(SearchQuery(tags=["ui"]), reader.clock))
    assert not any("tags_match" in asked for asked in reader.server.asked)


def test_exact_tags_are_all_wanted_as_they_are(form):
    rows = [(1, "both", "ui", "nav"), (2, "parts", "gui", "nav"), (3, "one", "ui"), (4, "case", "UI", "nav")]
    reader = Reader(form, rows)
    for tags in ("ui,nav", " nav , ui ,", ["nav", "ui"]):
        answer = reader.run(list_memories(ListOptions(tags=tags, tags_match="exact"), reader.clock))
        assert [memory.content for memory in answer.memories] == ["both"]
        assert not answer.has_more


def test_a_list_of_exact_tags_says_that_rows_may_be_left_where_it_stopped(form):
    rows = [(time, time, "ui") for time in range(6)]
    for limit, has_more in ((5, True), (6, False), (7, False)):
        reader = Reader(form, rows)
        options = ListOptions(tags="ui", tags_match="exact", limit=limit)
        assert reader.run(list_memories(options, reader.clock)).has_more is has_more


def test_without_a_limit_exact_tags_keep_the_servers_default(form):
    rows = [(time, time, "ui") for time in range(200)]
    reader = Reader(form, rows)
    assert reader.run(list_memories(ListOptions(tags="ui", tags_match="exact"), reader.clock)).count == 100
    assert reader.run(search_memories(SearchQuery(tags=["ui"], tags_match="exact"), reader.clock)).count == 50


def test_a_search_of_more_than_1000_gives_them_all(form):
    reader = Reader(form, rows_at(range(2500)))
    found = reader.run(search_memories(SearchQuery(limit=2100), reader.clock))
    assert [memory.content for memory in found.results] == [f"row {n}" for n in range(2499, 399, -1)]
    assert [asked["limit"] for asked in reader.server.asked] == [1000, 1000, 102]
    assert found.query_time_ms == 6


def test_a_search_says_where_it_cannot_read_on(form):
    reader = Reader(form, rows_at([1, *[2] * 1001, 3]))
    with pytest.raises(InvalidRequestError, match="of one microsecond") as caught:
        reader.run(search_memories(SearchQuery(limit=2000), reader.clock))
    assert (caught.value.field, caught.value.code) == ("limit", "result_window_exceeded")
    assert "memories.iter" in caught.value.hint


@pytest.mark.parametrize(
    "answers",
    [[[3, 4]], [[5, 4], [5, 4]], [[5, 4], [6, 4]]],
    ids=["wrong order", "same page again", "beyond the bound"],
)
def test_a_server_that_does_not_keep_to_order_and_bounds_is_not_asked_for_ever(form, answers):
    reader = Reader(form)
    pages = iter(answers)
    reader.server._found = lambda asked: rows_at(next(pages))
    with pytest.raises(ResponseDecodeError, match="not in the order"):
        reader.names(iter_memories(ListOptions(), reader.clock, page_size=2))


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": -5}, "limit"),
        ({"offset": -1}, "offset"),
        ({"since": "1w"}, "since"),
        ({"agent_id": "a b"}, "agent_id"),
        ({"tags": "a b", "tags_match": "exact"}, "tags"),
    ],
)
def test_what_the_server_would_refuse_is_refused_when_the_reading_is_asked_for(options, field):
    clock = StoppedClock()
    for make in (iter_memories, list_memories) if "tags_match" not in options else (iter_memories,):
        with pytest.raises(InvalidRequestError) as caught:
            make(ListOptions(**options), clock)
        assert caught.value.field == field
    for make in (reading.iter_agent_memories, reading.iter_session_memories):
        with pytest.raises(InvalidRequestError, match="not empty"):
            make("", ListOptions(), clock)


def test_a_search_that_the_server_would_refuse_is_refused_over_several_pages_too(form):
    for fields in ({"limit": 0}, {"limit": 2000, "agent_id": "a b"}, {"limit": 2000, "since": "now"}):
        reader = Reader(form)
        with pytest.raises(InvalidRequestError):
            reader.run(search_memories(SearchQuery(**fields), reader.clock))
        assert reader.server.asked == []


# ---- memory


def test_no_more_than_a_page_is_held(form, monkeypatch):
    read = []

    class Noted(reading.Paginator):
        def next_page(self):
            rows = yield from super().next_page()
            read.extend(map(weakref.ref, rows))
            return rows

    def count(server):
        collect()
        held.append(sum(row() is not None for row in read))

    async def drop(items):
        async for _ in items:
            pass

    held = []
    monkeypatch.setattr(reading, "Paginator", Noted)
    reader = Reader(form, rows_at(range(100)), count)
    items = reader.client._dispatcher.stream(iter_memories(ListOptions(), reader.clock, page_size=10))
    with collecting() as collect:
        deque(items, maxlen=0) if form == "sync" else asyncio.run(drop(items))
    assert len(read) == 100
    assert max(held) <= 2  # the last row, and where it is held in turn


# ---- a second reading, and pages that are too long


@given(forms, times, orders, page_sizes, st.integers(0, 10), st.lists(st.integers(0, 2), max_size=5))
def test_what_an_offset_skips_is_counted_once_while_others_write(form, moments, order, page_size, offset, writes):
    left = list(writes)

    def write(server):
        newer = server.newest() + 1
        for n in range(left.pop() if left else 0):
            server.write(newer, f"new {newer} {n}")

    rows = rows_at(moments)
    reader = Reader(form, rows, write)
    options = ListOptions(order=order, offset=offset)
    names = reader.names(iter_memories(options, reader.clock, page_size=page_size))
    first = sorted(rows, key=lambda row: row[0], reverse=order != "asc")
    wanted = [name for _, name in first][offset:]
    if order == "asc" and offset < len(first):  # what was written meanwhile comes at the end
        names = names[: len(wanted)]
    assert order == "asc" or names == wanted
    assert order != "asc" or offset >= len(first) or names == wanted


def test_an_offset_into_rows_of_one_microsecond_goes_on_within_it(form):
    reader = Reader(form, rows_at([1, 3, 3, 3, 3, 3, 4]), lambda server: server.write(server.newest() + 1, "new"))
    options = ListOptions(offset=2)
    names = reader.names(iter_memories(options, reader.clock, page_size=2))
    assert names == ["row 2", "row 3", "row 4", "row 5", "row 0"]
    assert [(page.get("until"), page.get("offset")) for page in reader.server.asked[:3]] == [
        (None, "2"),
        ("2026-01-01T00:00:00.000004Z", None),  # bounded by the newest time of the first reading
        ("2026-01-01T00:00:00.000004Z", "2"),
    ]


def test_a_server_that_loses_the_row_where_an_offset_ended_is_not_believed(form):
    reader = Reader(form, rows_at([3, 3, 3]), lambda server: server.rows.clear())
    with pytest.raises(ResponseDecodeError, match="not in the order"):
        reader.names(iter_memories(ListOptions(offset=1), reader.clock, page_size=2))


def too_long_over(most):
    """What a server of rows does that gives no more than `most` of them in one response."""

    def refuse(server):
        if int(server.asked[-1]["limit"]) > most and len(server._found(server.asked[-1])) > most:
            raise TransportError("too long", permanent=True, code="response_too_long")

    return refuse


@given(forms, times, orders, st.integers(1, 40), st.integers(1, 5), st.integers(0, 10))
def test_a_page_that_is_too_long_shrinks_and_every_row_comes_once(form, moments, order, page_size, most, offset):
    rows = rows_at(moments)
    reader = Reader(form, rows, too_long_over(most))
    options = ListOptions(order=order, offset=offset)
    names = reader.names(iter_memories(options, reader.clock, page_size=page_size))
    assert names == [name for _, name in sorted(rows, key=lambda row: row[0], reverse=order != "asc")][offset:]


def test_a_page_that_is_too_long_is_asked_for_once_and_those_after_it_are_as_small(form):
    reader = Reader(form, rows_at(range(9)), too_long_over(3))
    assert len(reader.names(iter_memories(ListOptions(), reader.clock, page_size=8))) == 9
    assert [page["limit"] for page in reader.server.asked] == ["8", "4", *["2"] * 9]


def test_one_memory_that_is_too_long_is_an_error(form):
    reader = Reader(form, rows_at(range(9)), too_long_over(0))
    with pytest.raises(TransportError) as caught:
        reader.names(iter_memories(ListOptions(), reader.clock, page_size=4))
    assert caught.value.code == "response_too_long"
    assert [page["limit"] for page in reader.server.asked] == ["4", "2", "1"]


def test_another_failure_of_a_page_shrinks_nothing(form):
    def fail(server):
        raise TransportError("broken", permanent=True)

    reader = Reader(form, rows_at(range(9)), fail)
    with pytest.raises(TransportError, match="broken"):
        reader.names(iter_memories(ListOptions(), reader.clock, page_size=4))
    assert len(reader.server.asked) == 1


def test_a_search_whose_pages_are_too_long_shrinks_them_to_two(form):
    reader = Reader(form, rows_at(range(1100)), too_long_over(300))
    found = reader.run(search_memories(SearchQuery(limit=1050), reader.clock))
    assert [memory.content for memory in found.results] == [f"row {n}" for n in range(1099, 49, -1)]
    assert reader.server.asked[2]["limit"] == 250
    reader = Reader(form, rows_at(range(3)), too_long_over(1))
    with pytest.raises(TransportError):
        reader.run(search_memories(SearchQuery(limit=1050), reader.clock))
    assert reader.server.asked[-1]["limit"] == 2


@pytest.mark.parametrize("page_size", [0, 1001, -1, 2.5, "5", True])
def test_a_page_size_that_the_server_does_not_have_is_refused(page_size):
    client = Reader("sync").client
    for iterate in (
        client.memories.iter,
        lambda **given: client.agents.memories_iter("bot", **given),
        lambda **given: client.sessions.memories_iter("s1", **given),
    ):
        with pytest.raises(InvalidRequestError) as caught:
            iterate(page_size=page_size)
        assert caught.value.field == "page_size"


def test_a_page_size_is_what_each_request_asks_for():
    reader = Reader("sync", rows_at(range(5)))
    client = reader.client
    for iterate in (
        client.memories.iter,
        lambda **given: client.agents.memories_iter("a", since=moment(-1), **given),
        lambda **given: client.sessions.memories_iter("s1", **given),
    ):
        reader.server.asked.clear()
        assert len(list(iterate(page_size=2))) == 5
        assert {page["limit"] for page in reader.server.asked} == {"2"}

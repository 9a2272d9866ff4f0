"""Pages in order of time: each memory once, in either direction, also where many have one time."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtrace import AsyncMemtrace, InvalidRequestError
from memtrace.integrations._viewer._cards import card
from memtrace.integrations._viewer._page_query import PageQuery
from memtrace.integrations._viewer._selection import select
from memtrace.integrations._viewer._timeline import read_page
from tests.workflows.rows_server import AsyncRowsServer


def filled(groups):
    """A server with so many memories in each microsecond, which the fake cannot have."""
    server, number = AsyncRowsServer(), 0
    for time, size in enumerate(groups, 1):
        for _ in range(size):
            server.write(time, str(number), "even" if number % 2 == 0 else "odd")
            number += 1
    return server


def client_of(server):
    return AsyncMemtrace("http://server", "key", transport=server)


def pages(server, size, **query):
    """All pages forward, then the pages back from the last one."""

    async def main():
        async with client_of(server) as client:
            forward, start = [], {}
            while True:
                page = await read_page(client, PageQuery([*query.items(), *start.items()]), size=size)
                forward.append(page)
                if page.next is None:
                    break
                start = {"from": str(page.next)}
            back = [page]
            while back[-1].start is not None:
                query_back = PageQuery([*query.items(), ("to", str(back[-1].start))])
                back.append(await read_page(client, query_back, size=size))
            return forward, back[::-1]

    return asyncio.run(main())


def said(pages):
    return [int(memory.content) for page in pages for memory in page.memories]


GROUPS = st.lists(st.integers(1, 6), min_size=1, max_size=8)


@given(groups=GROUPS, size=st.integers(1, 5), order=st.sampled_from(["asc", "desc"]))
def test_every_memory_is_on_one_page_in_order(groups, size, order):
    forward, _ = pages(filled(groups), size, order=order)
    assert sorted(said(forward)) == [*range(sum(groups))]
    times = [memory.time for page in forward for memory in page.memories]
    assert times == sorted(times, reverse=order == "desc")
    assert all(len(page.memories) == size for page in forward[:-1])


@given(groups=GROUPS, order=st.sampled_from(["asc", "desc"]))
def test_the_way_back_leads_to_the_beginning_and_leaves_nothing_out(groups, order):
    forward, back = pages(filled(groups), 6, order=order)  # no moment has more than a page
    assert back[0].start is None
    assert set(said(back)) == set(said(forward))
    shown = [memory.content for page in back[:1] for memory in page.memories]
    assert shown == [memory.content for memory in forward[0].memories]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("groups", [[1, 9, 1], [9, 9]])
def test_a_moment_with_more_than_a_page_is_left_at_its_first_memory(groups, order):
    forward, back = pages(filled(groups), 4, order=order)
    assert len(said(forward)) == sum(groups)
    assert back[0].start is None
    assert said(back[:1]) == said(forward[:1])


def test_tags_are_whole_ones_on_every_page():
    forward, _ = pages(filled([4, 4, 4]), 2, tag="even")
    assert sorted(said(forward)) == [0, 2, 4, 6, 8, 10]


@pytest.mark.parametrize("name", ["from", "to"])
@pytest.mark.parametrize(
    "text",
    [
        "x",
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z~x",
        "~3",
        "24h",
        "24h~²",
        "2026-13-01T00:00:00Z~1",
        "9999-12-31T23:59:59.999999Z~0",
        "2026-01-01T00:00:00Z~ab",
    ],
)
def test_another_position_is_refused(name, text):
    async def main():
        async with client_of(filled([1])) as client:
            await read_page(client, PageQuery([(name, text)]))

    with pytest.raises(InvalidRequestError, match=rf"{name} must be a .* as a page's links have"):
        asyncio.run(main())


def test_a_page_is_one_request_wherever_it_is():
    server = filled([3] * 40)

    async def main():
        async with client_of(server) as client:
            page = await read_page(client, PageQuery(), size=10)
            for _ in range(8):
                server.asked.clear()
                page = await read_page(client, PageQuery([("from", str(page.next))]), size=10)
                assert len(server.asked) == 1

    asyncio.run(main())


def test_memories_of_one_microsecond_are_chosen_one_by_one():
    server = filled([2, 3, 2])

    async def main():
        async with client_of(server) as client:
            page = await read_page(client, PageQuery())
            return [(each.content, await select(client, card(each).address)) for each in page.memories]

    for content, selection in asyncio.run(main()):
        assert selection.card.memory.content == content
        around = [each.memory for each in [*selection.before, selection.card, *selection.after]]
        assert [each.time for each in around] == sorted(each.time for each in around)
        assert len({each.content for each in around}) == len(around) >= 4

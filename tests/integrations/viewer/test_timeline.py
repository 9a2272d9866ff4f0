"""Pages in order of time: each memory once, in either direction, also where many have one time."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtrace import InvalidRequestError
from memtrace.integrations._viewer._page_query import PageQuery
from memtrace.integrations._viewer._timeline import read_page
from memtrace_transports import FakeMemtrace, ManualClock


def filled(groups):
    """A fake with so many memories at each moment."""
    clock = ManualClock()
    fake = FakeMemtrace(clock=clock)
    fake.organisation("acme")
    with fake.client("acme") as client:
        number = 0
        for size in groups:
            for _ in range(size):
                tags = ["even"] if number % 2 == 0 else ["odd"]
                client.memories.add(agent_id="a", content=f"{number}", tags=tags)
                number += 1
            clock.advance(1)
    return fake


def pages(fake, size, **query):
    """All pages forward, then the pages back from the last one."""

    async def main():
        async with fake.async_client("acme") as client:
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
        async with filled([1]).async_client("acme") as client:
            await read_page(client, PageQuery([(name, text)]))

    with pytest.raises(InvalidRequestError, match=rf"{name} must be a .* as a page's links have"):
        asyncio.run(main())


def test_a_page_is_one_request_wherever_it_is():
    fake = filled([3] * 40)

    async def main():
        async with fake.async_client("acme") as client:
            page = await read_page(client, PageQuery(), size=10)
            for _ in range(8):
                fake.calls.clear()
                page = await read_page(client, PageQuery([("from", str(page.next))]), size=10)
                assert len(fake.calls) == 1

    asyncio.run(main())

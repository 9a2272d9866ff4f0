"""Memories in order of time, a page at a time: each page is found by time, so that a millionth one costs as much as the first."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from typing_extensions import Self

from memtrace.async_client import AsyncMemtrace
from memtrace.integrations._viewer._page_query import ListFilters, PageQuery, split_address
from memtrace.integrations._viewer._rendering import timestamp
from memtrace.models import Memory, Order
from memtrace.operations._time_bounds import beside
from memtrace.operations._validation import invalid

PAGE_SIZE: Final = 100
_MICROSECOND: Final = timedelta(microseconds=1)


class Position(NamedTuple):
    """Where a page begins: at the memories of one microsecond, some of which are passed over."""

    at: datetime
    passed: int = 0

    @classmethod
    def parse(cls, text: str, field: str) -> Self:
        """The position that a URL has. Raises `InvalidRequestError`."""
        at, passed = split_address(text, field)
        if not passed.isdecimal():
            raise invalid(field, "a position as a page's links have it", "nothing else is found again")
        return cls(at, int(passed))

    def __str__(self) -> str:
        return f"{timestamp(self.at)}~{self.passed}"


class TimelinePage(NamedTuple):
    """One page, and where others begin."""

    memories: list[Memory]
    #: Where this page begins; None for the first one.
    start: Position | None
    #: Where the next page begins; None for the last one.
    next: Position | None


async def read_page(client: AsyncMemtrace, query: PageQuery, *, size: int = PAGE_SIZE) -> TimelinePage:
    """The page that begins at the query's position, or that ends there.

    Raises `MemtraceError`: a filter breaks a rule, or a read failed.
    """
    reader = _Reader(client, query.list_filters(), oldest_first=query.order == "asc")
    start, end = query.one("from"), query.one("to")
    if end is not None:
        position = await reader.start_before(Position.parse(end, "to"), size)
    else:
        position = None if start is None else Position.parse(start, "from")
    rows = await reader.rows(position, size + 1)
    following = _position_after(rows[:size], position) if len(rows) > size else None
    return TimelinePage(rows[:size], position, following)


def _position_after(rows: list[Memory], start: Position | None) -> Position:
    last = rows[-1].time
    passed = sum(row.time == last for row in rows)
    if start is not None and start.at == last:
        passed += start.passed
    return Position(last, passed)


class _Reader:
    """Reads with one set of filters, in one order."""

    def __init__(self, client: AsyncMemtrace, filters: ListFilters, *, oldest_first: bool) -> None:
        self._client = client
        self._filters = filters
        self._oldest_first = oldest_first

    async def rows(self, start: Position | None, count: int) -> list[Memory]:
        """So many rows from a position on."""
        if start is None:
            return await self._read(self._filters, count)
        near = beside(start.at, -_MICROSECOND if self._oldest_first else _MICROSECOND)
        return await self._read(self._bounded(near, from_here_on=True), count, start.passed)

    async def start_before(self, end: Position, size: int) -> Position | None:
        """Where the page before a position begins; None for the beginning.

        It begins with all memories of a microsecond, so it may be shorter than `size`. Where more than a page has one time,
        it begins with the first of them.
        """
        if end.passed >= size:
            return Position(end.at, end.passed - size)
        missing = size - end.passed
        rows = await self._read(self._bounded(end.at, from_here_on=False), missing + 1, towards_beginning=True)
        if len(rows) <= missing:
            return None
        whole = [row for row in rows if row.time != rows[-1].time]
        if whole:
            return Position(whole[-1].time)
        return Position(end.at) if end.passed else Position(rows[-1].time)

    def _bounded(self, at: datetime, *, from_here_on: bool) -> ListFilters:
        """The filters, with a time that limits what follows it in the order, or what comes before it."""
        if self._oldest_first is from_here_on:
            return {**self._filters, "since": at}
        return {**self._filters, "until": at}

    async def _read(
        self, filters: ListFilters, count: int, passed: int = 0, *, towards_beginning: bool = False
    ) -> list[Memory]:
        order: Order = "asc" if self._oldest_first is not towards_beginning else "desc"
        found = self._client.memories.iter(  # an iteration asks for less where one response would be too long
            **filters, order=order, limit=count, offset=passed or None, page_size=count
        )
        return [memory async for memory in found]

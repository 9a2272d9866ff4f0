"""Reading rows page by page in order of time, each once, while others write.

Offsets shift when a newer row comes, so that a page is asked for by the time where the last one ended. Bounds of time are
exclusive and have microseconds, and rows have no id; so of a full page the rows of its last microsecond are left to the next
page, which begins with that microsecond. Only the rows of one microsecond, when they alone fill a page, are read by
offset: a window of the past, into which nobody writes any more.

A page whose response is longer than the transport accepts is asked for again with half as many rows, and so are those after it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from memtrace._runtime.workflows.steps import Workflow
from memtrace.exceptions import ResponseDecodeError, TransportError
from memtrace.models import Memory, TimeBound
from memtrace.operations._time_bounds import beside
from memtrace.operations._validation import MAX_LIMIT

PAGE_SIZE = MAX_LIMIT
"""Rows a request: the most that the server gives."""

_MICROSECOND = timedelta(microseconds=1)


class PageRequest(NamedTuple):
    """What one request asks for. The bounds are exclusive."""

    since: TimeBound | None
    until: TimeBound | None
    limit: int
    offset: int = 0


class Paginator:
    """A way over the rows between two bounds that do not move; `page` goes on until it has `ended`.

    `read` answers a `PageRequest` with its rows, in order. `skip` rows are passed over, and of those that `keep` holds (all without
    it) `at_most` are given (all without it). One page is held at a time.
    """

    def __init__(
        self,
        read: Callable[[PageRequest], Workflow[list[Memory]]],
        since: TimeBound | None,
        until: TimeBound | None,
        *,
        oldest_first: bool,
        skip: int = 0,
        keep: Callable[[Memory], bool] | None = None,
        at_most: int | None = None,
        page_size: int = PAGE_SIZE,
        smallest_page: int = 1,
    ) -> None:
        self._read = read
        self._near, self._far = (since, until) if oldest_first else (until, since)
        self._ahead = _MICROSECOND if oldest_first else -_MICROSECOND
        self._oldest_first = oldest_first
        self._keep = keep
        self._left = at_most
        self._page_size, self._smallest_page = page_size, smallest_page
        # The server can pass over rows only where it chooses them all.
        self._skip, self._offset = (0, skip) if keep is None else (skip, 0)
        self._mark: datetime | None = None
        self._within: datetime | None = None
        #: The first row that is given of those `_within`; those before it in the order were passed over by offset.
        self._resume_at: Memory | None = None
        self.has_more: bool = True

    @property
    def ended(self) -> bool:
        """Whether there are no more pages. `has_more` says whether there may be more rows."""
        return not self.has_more or self._left == 0

    def next_page(self) -> Workflow[list[Memory]]:
        """The next rows; there may be none before it has `ended`.

        Raises `ResponseDecodeError` for rows that are out of order, and what reading raises.
        """
        asked, rows = yield from self._read_page()
        if len(rows) < asked:
            self._leave_window()
        elif self._left is None or self._keep is not None or len(rows) < self._left:  # else these are enough
            rows = self._move_on(rows)
        return self._chosen(rows)

    def _read_page(self) -> Workflow[tuple[int, list[Memory]]]:
        """How many rows were asked for, and which came."""
        while True:
            asked = self._page_size
            if self._left is not None and self._keep is None:
                asked = min(asked, self._left)
            try:
                return asked, (yield from self._read(self._next(asked)))
            except TransportError as error:
                if error.code != "response_too_long" or asked <= self._smallest_page:
                    raise
            self._page_size = max(asked // 2, self._smallest_page)

    def _next(self, limit: int) -> PageRequest:
        near, far = self._near, self._far
        if self._within is not None:
            near, far = beside(self._within, -self._ahead), beside(self._within, self._ahead)
        since, until = (near, far) if self._oldest_first else (far, near)
        return PageRequest(since, until, limit, self._offset)

    def _move_on(self, rows: list[Memory]) -> list[Memory]:
        """Set where the page after a full one begins; gives the rows that are not read again there."""
        first, last = rows[0].time, rows[-1].time
        self._check_order(first, last)
        if self._within is not None:
            self._offset += len(rows)
            return rows
        if first != last:
            self._mark, self._near, self._offset = last, beside(last, -self._ahead), 0
            return _without_last(rows)
        # Rows of this microsecond were passed over, and from the newest row nobody can count them again.
        if self._offset:
            self._resume_at, self._offset = rows[0], 0
        self._mark = self._within = last
        return []

    def _leave_window(self) -> None:
        """After a page that is not full: the rows of one microsecond have ended, or all have."""
        if self._within is None:
            self.has_more = False
        elif self._resume_at is not None:
            raise _unordered()
        else:
            self._near, self._within, self._offset = self._within, None, 0

    def _check_order(self, first: datetime, last: datetime) -> None:
        """A server that did not keep to order and bounds would be asked for ever."""
        times = [first, last] if self._mark is None else [self._mark, first, last]
        if times != sorted(times, reverse=not self._oldest_first):
            raise _unordered()

    def _chosen(self, rows: list[Memory]) -> list[Memory]:
        if self._keep is not None:
            rows = [row for row in rows if self._keep(row)]
        if self._resume_at is not None:
            rows = self._resumed(rows)
        passed = min(self._skip, len(rows))
        self._skip -= passed
        rows = rows[passed:]
        if self._left is not None:
            self.has_more = self.has_more or len(rows) > self._left
            rows = rows[: self._left]
            self._left -= len(rows)
        return rows

    def _resumed(self, rows: list[Memory]) -> list[Memory]:
        for place, row in enumerate(rows):
            if row == self._resume_at:
                self._resume_at = None
                return rows[place:]
        return []


def _unordered() -> ResponseDecodeError:
    return ResponseDecodeError(
        "the server's rows are not in the order, or not between the times, that were asked for",
        hint="is something between the client and the server answering from a cache?",
    )


def _without_last(rows: list[Memory]) -> list[Memory]:
    """The rows before those of the last microsecond; to look at them all would take a tenth of an iteration."""
    last, end = rows[-1].time, len(rows)
    while rows[end - 1].time == last:
        end -= 1
    return rows[:end]

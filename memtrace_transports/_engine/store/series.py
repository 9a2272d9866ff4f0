"""Rows in order of time, in blocks: cheap to append to, to insert into, and to search for a string."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from operator import attrgetter

from memtrace_transports._engine.store.rows import Row

BLOCK_ROWS = 256

_BETWEEN = b"\xff"
_time = attrgetter("time")


class Series:
    """Rows of distinct times in order of time. A block has `block_rows` of them, up to twice as many after insertions."""

    __slots__ = ("_block_rows", "_blocks", "_count")

    def __init__(self, block_rows: int = BLOCK_ROWS) -> None:
        self._block_rows = block_rows
        self._blocks = [_Block([])]
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, row: Row) -> None:
        """Put `row` at its place in time."""
        self._count += 1
        last = self._blocks[-1]
        if last.rows and row.time < last.rows[-1].time:
            self._insert(row)
        elif len(last.rows) < self._block_rows:
            last.rows.append(row)
            last.text = None
        else:
            self._blocks.append(_Block([row]))

    def _insert(self, row: Row) -> None:
        index = self._block_index(row.time)
        block = self._blocks[index]
        insort(block.rows, row, key=_time)
        block.text = None
        if len(block.rows) > 2 * self._block_rows:
            self._blocks.insert(index + 1, _Block(block.rows[self._block_rows :]))
            del block.rows[self._block_rows :]

    def remove(self, time: int) -> None:
        """Take out the row of this time, which has to be here."""
        self._count -= 1
        index = self._block_index(time)
        block = self._blocks[index]
        del block.rows[bisect_left(block.rows, time, key=_time)]
        block.text = None
        if not block.rows and len(self._blocks) > 1:
            del self._blocks[index]

    def holds(self, time: int) -> bool:
        """Whether there is a row of exactly this time."""
        rows = self._blocks[self._block_index(time)].rows
        index = bisect_left(rows, time, key=_time)
        return index < len(rows) and rows[index].time == time

    def newest(self) -> int:
        """The time of the last row; 0 when there is none."""
        rows = self._blocks[-1].rows
        return rows[-1].time if rows else 0

    def runs(
        self, after: int | None, before: int | None, *, oldest_first: bool, needle: bytes = b""
    ) -> Iterator[Sequence[Row]]:
        """The rows strictly between two times (microseconds, None for no limit), in runs, from the end asked for.

        With a `needle`, a string from `encoded`, runs are left out in which no content contains it. The series must
        not change before the last run is taken.
        """
        first = 0 if after is None else self._block_index(after)
        last = len(self._blocks) - 1 if before is None else self._block_index(before)
        for index in range(first, last + 1) if oldest_first else range(last, first - 1, -1):
            block = self._blocks[index]
            if needle and needle not in block.searchable():
                continue
            start = bisect_right(block.rows, after, key=_time) if after is not None and index == first else 0
            end = bisect_left(block.rows, before, key=_time) if before is not None and index == last else None
            rows = block.rows[start:end]
            yield rows if oldest_first else rows[::-1]

    def _block_index(self, time: int) -> int:
        """The index of the block that holds `time`, or would."""
        return max(bisect_right(self._blocks, time, lo=1, key=_first_time) - 1, 0)


class _Block:
    """Some rows in order of time, and their contents in one piece once that was searched."""

    __slots__ = ("rows", "text")

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.text: bytes | None = None

    def searchable(self) -> bytes:
        """All contents, in a form in which no needle fits across two: no text encodes to the byte between them."""
        if self.text is None:
            self.text = _BETWEEN.join([encoded(row.content) for row in self.rows])
        return self.text


def encoded(text: str) -> bytes:
    """UTF-8 of `text`, of half a surrogate pair too: one text holds another exactly where its bytes hold the other's."""
    return text.encode("utf-8", "surrogatepass")


def _first_time(block: _Block) -> int:
    return block.rows[0].time

"""How many memories each day has, by type."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, get_args

from memtrace.async_client import AsyncMemtrace
from memtrace.integrations._viewer._page_query import PageQuery
from memtrace.models import MemoryType

COUNTED: Final = 10_000
"""Memories that are read at most: the server does not count by day."""
_PAGE_SIZE: Final = 1000
_DAYS: Final = 60
HEIGHT: Final = 120


@dataclass(frozen=True, slots=True)
class Segment:
    """The memories of one type in a bar, in the units of the chart."""

    kind: str
    count: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One day."""

    day: date
    count: int
    x: int
    segments: list[Segment]


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts of the newest memories that the filters choose."""

    counted: int
    #: Whether there are older ones, which were not read.
    is_cut: bool
    #: Memories of the days before those of the chart.
    earlier: int
    days: dict[date, Counter[str]]

    @property
    def bars(self) -> list[Bar]:
        """The chart: a bar for each day from the first to the last one."""
        if not self.days:
            return []
        first, most = min(self.days), max(map(Counter.total, self.days.values()))
        span = (max(self.days) - first).days + 1
        return [_bar(first + timedelta(days=n), n, self.days.get(first + timedelta(days=n)), most) for n in range(span)]


def _bar(day: date, number: int, counts: Counter[str] | None, most: int) -> Bar:
    segments: list[Segment] = []
    top = float(HEIGHT)
    for kind, count in sorted((counts or Counter()).items()):
        height = round(count / most * HEIGHT, 2)
        top = round(top - height, 2)
        segments.append(Segment(kind, count, top, height))
    return Bar(day, sum(each.count for each in segments), number * 10, segments)


async def count_by_day(client: AsyncMemtrace, query: PageQuery) -> Statistics:
    """Count the newest memories that the filters choose."""
    days: dict[date, Counter[str]] = {}
    counted = 0
    rows = client.memories.iter(**query.list_filters(), limit=COUNTED + 1, page_size=_PAGE_SIZE)
    async for memory in rows:
        counted += 1
        if counted <= COUNTED:
            kind = memory.memory_type if memory.memory_type in get_args(MemoryType) else "other"
            days.setdefault(memory.time.date(), Counter())[kind] += 1
    newest = max(days, default=date.min)
    shown = {day: counts for day, counts in days.items() if (newest - day).days < _DAYS}
    earlier = sum(counts.total() for day, counts in days.items() if day not in shown)
    return Statistics(min(counted, COUNTED), counted > COUNTED, earlier, shown)

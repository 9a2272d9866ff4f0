"""``memtrace-sdk tail``: memories as they come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from memtrace._cli.recent_rows import LATE, RecentMemories, line_of
from memtrace.client import Memtrace
from memtrace.clock import Clock
from memtrace.exceptions import MemtraceError
from memtrace.models import ListOptions, Memory
from memtrace.operations._time_bounds import beside


@dataclass(frozen=True, slots=True)
class Outage:
    """The server does not answer for now; it is asked again."""

    error: MemtraceError


def follow(
    client: Memtrace, wanted: ListOptions, *, lines: int, interval: float, clock: Clock
) -> Iterator[list[Memory] | Outage]:
    """The newest `lines` that `wanted` finds, then for ever what comes, asked for every `interval` seconds.

    A memory that can be read late comes late, and none comes twice. The first read raises what it raises; later ones give an
    `Outage`, once until they work again, where the same read can work later.
    """
    recent = RecentMemories()
    yield _first(client, wanted, recent, lines)
    is_out = False
    while True:
        clock.sleep(interval)
        try:
            come = _read(client, wanted.model_copy(update={"since": recent.since}), recent)
        except MemtraceError as error:
            if not error.retryable:
                raise
            if not is_out:
                yield Outage(error)
            is_out = True
        else:
            is_out = False
            yield come


def _first(client: Memtrace, wanted: ListOptions, recent: RecentMemories, lines: int) -> list[Memory]:
    newest = client.memories.list(wanted.model_copy(update={"limit": 1})).memories
    if not newest:
        return []
    start = beside(newest[0].time, -LATE)
    rows = _read(client, wanted.model_copy(update={"since": start}), recent)
    missing = lines - len(rows)
    if missing > 0:
        before = {"until": start + timedelta(microseconds=1), "limit": missing}
        rows = client.memories.list(wanted.model_copy(update=before)).memories[::-1] + rows
    return rows[len(rows) - min(lines, len(rows)) :]


def _read(client: Memtrace, wanted: ListOptions, recent: RecentMemories) -> list[Memory]:
    rows = list(client.memories.iter(wanted.model_copy(update={"order": "asc"})))  # all of them, or none is taken
    recent.begin()
    return [row for row in rows if recent.is_new(line_of(row), row.time)]

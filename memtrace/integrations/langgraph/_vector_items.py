"""The items of a store with their vectors, in memory, as LangGraph's own store in memory has them.

Vectors are stored with the items, so that no restart computes them again. Before each search what is newer is read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from memtrace._runtime.local_index import Mark
from memtrace._runtime.workflows.steps import Workflow
from memtrace.integrations._records import Order, Record, RecordCodec
from memtrace.integrations.langgraph._embedding import Vector, cosine, signs
from memtrace.integrations.langgraph._item_records import Place, Renewal, StoredItem, read_record
from memtrace.integrations.langgraph._items import now_of
from memtrace.models import Memory
from memtrace.operations._time_bounds import beside

if TYPE_CHECKING:
    from memtrace._runtime.workflows.searching import Searching

_COMPARED = 1000
"""Vectors that one search compares number by number: those whose signs are most like the query's."""


class _Newest(NamedTuple):
    """The newest put or deletion of a key."""

    order: Order
    item: StoredItem | None
    signs: Sequence[int] = ()


class VectorItems:
    """The items of one agent that were read. Any threads and tasks may use it at once."""

    def __init__(self, form: RecordCodec) -> None:
        self._form = form
        self._lock = threading.Lock()
        self._newest: dict[Place, _Newest] = {}
        #: When versions of items were renewed last.
        self._renewals: dict[str, datetime] = {}
        self._mark: Mark | None = None
        #: How many memories an index had; where it has fewer, some were forgotten.
        self._counted: int = 0

    # ---- reading on

    def refresh(self, searching: Searching) -> Workflow[None]:
        """Read what is newer; all of it where memories are gone that were there."""
        clock = searching.clock
        counted = (yield from searching.status(self._form.agent_id)).memories
        mark = self._begun(counted)
        began = clock.wall()
        is_whole, newest = yield from self._read(mark, searching)
        if not is_whole:
            mark = None
            self._clear()
            _, newest = yield from self._read(mark, searching)
        if newest is not None:
            is_same = mark is not None and mark.is_of(newest)
            after = mark.after_reading(began) if mark is not None and is_same else Mark.at(newest, clock.wall(), mark)
            with self._lock:
                if self._mark is mark:  # another search may have cleared everything, or read further
                    self._mark = after

    def _begun(self, counted: int) -> Mark | None:
        with self._lock:
            has_lost, self._counted = counted < self._counted, counted
            if not has_lost:
                return self._mark
        self._clear()
        return None

    def _clear(self) -> None:
        with self._lock:
            self._newest.clear()
            self._renewals.clear()
            self._mark = None

    def _read(self, mark: Mark | None, searching: Searching) -> Workflow[tuple[bool, Memory | None]]:
        """Take what is newer than a mark. Whether the mark's memory is still there, and the newest memory."""
        since = None if mark is None else beside(mark.settled, -timedelta(microseconds=1))
        moments = self._form.newest_first(searching.clock, since=since)
        is_whole, newest = mark is None, None
        while (records := (yield from moments.next())) is not None:
            self._take(records)
            for record in records:
                newest = newest or record.memory
                is_whole = is_whole or (mark is not None and mark.is_of(record.memory))
        return is_whole, newest

    def _take(self, records: Sequence[Record]) -> None:
        for record in records:
            read = read_record(record)
            with self._lock:
                if isinstance(read, Renewal):
                    self._renewals[read.version] = max(read.at, self._renewals.get(read.version, read.at))
                    continue
                known = self._newest.get(read.place)
                if known is None or known.order < record.order:
                    item = read if isinstance(read, StoredItem) else None
                    self._newest[read.place] = _Newest(record.order, item, [*map(signs, item.vectors)] if item else ())

    # ---- searching

    def best(
        self, query: Vector, most: int, is_wanted: Callable[[StoredItem], bool], searching: Searching
    ) -> list[tuple[StoredItem, float | None]]:
        """At most so many of the items that are wanted, the most similar first; those without a vector at the end."""
        now = now_of(searching.clock)
        items: list[tuple[StoredItem, Sequence[int]]] = []
        for _, item, its_signs in self._all():
            if item is not None and not item.has_expired(now) and is_wanted(item):
                items.append((item, its_signs))
        items.sort(key=lambda each: each[0].updated_at, reverse=True)
        scores = _scores(query, items, most)
        scored = sorted(scores, key=lambda i: (-scores[i], i))
        found: list[tuple[StoredItem, float | None]] = [(items[i][0], scores[i]) for i in scored[:most]]
        without = [item for item, _ in items if not _comparable(query, item)]
        found += [(item, None) for item in without[: most - len(found)]]
        return [(replace(item, value=deepcopy(item.value)), score) for item, score in found]

    def _all(self) -> list[_Newest]:
        with self._lock:
            return [
                each
                if each.item is None
                else each._replace(item=each.item.renewed(self._renewals.get(each.item.version)))
                for each in self._newest.values()
            ]


def _comparable(query: Vector, item: StoredItem) -> list[int]:
    """Which of an item's vectors have the query's length: those of another model cannot be compared."""
    return [n for n, vector in enumerate(item.vectors) if len(vector) == len(query)]


def _scores(query: Vector, items: Sequence[tuple[StoredItem, Sequence[int]]], most: int) -> dict[int, float]:
    """The likeness of each item's most similar vector, by the item's place in the list; of `most` items at least."""
    wanted = signs(query)
    places = [(i, n) for i, (item, _) in enumerate(items) for n in _comparable(query, item)]
    if len(places) > _COMPARED:
        places.sort(key=lambda place: (items[place[0]][1][place[1]] ^ wanted).bit_count())
    scores: dict[int, float] = {}
    for count, (i, n) in enumerate(places):
        if count >= _COMPARED and len(scores) >= most:
            break
        score = cosine(query, items[i][0].vectors[n])
        scores[i] = max(score, scores.get(i, score))
    return scores

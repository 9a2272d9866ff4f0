"""Which record of each item is the newest one in an index, as earlier searches found out."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import datetime, timedelta

from memtrace._runtime.local_index import Mark
from memtrace.integrations._records import Order, Record
from memtrace.integrations.langgraph._item_records import Place, read_record
from memtrace.operations._time_bounds import beside

_MICROSECOND = timedelta(microseconds=1)
_MOST = 100_000
"""Items that are remembered: some 30 MB."""
_MANY = 100
"""Items that are looked up one by one, before many are read: a program that searches a few times need not wait for that."""


class KnownVersions:
    """The newest record of items that searches asked for. Any threads and tasks may use it at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: dict[Place, Order] = {}
        #: The newest record that was read here, and up to when no newer one of a known item is missing.
        self._mark: Mark | None = None
        self._lookups: int = 0
        self._has_read_many: bool = False

    @property
    def since(self) -> datetime | None:
        """From when on there may be records that are not known here; None before any was read."""
        with self._lock:
            return None if self._mark is None else beside(self._mark.settled, -_MICROSECOND)

    @property
    def are_to_be_read(self) -> bool:
        """Whether reading the newest records at once pays, which it does once: many were looked up one by one."""
        with self._lock:
            return self._lookups > _MANY and not self._has_read_many

    def note(self, place: Place, newest: Record, began: float) -> None:
        """Keep what was looked up: that this is the newest record of a place."""
        with self._lock:
            self._lookups += 1
            self._keep(place, newest)
            self._saw(newest, began)

    def take(self, records: Iterable[Record], began: float, *, are_all: bool) -> None:
        """Keep newer records of known items, or the newest of all items.

        `began` is the time of the client's clock before they were read.
        """
        for record in records:
            place = read_record(record).place
            with self._lock:
                if are_all or place in self._orders:
                    self._keep(place, record)
                self._saw(record, began)
        with self._lock:
            self._has_read_many = self._has_read_many or are_all
            self._mark = None if self._mark is None else self._mark.after_reading(began)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._orders.clear()

    def _keep(self, place: Place, record: Record) -> None:
        if len(self._orders) >= _MOST and place not in self._orders:
            self._orders.clear()
        self._orders[place] = max(record.order, self._orders.get(place, record.order))

    def is_newest(self, place: Place, record: Record) -> bool:
        """Whether a record is known to be the newest of its place."""
        with self._lock:
            return self._orders.get(place) == record.order

    def _saw(self, record: Record, began: float) -> None:
        if self._mark is None or self._mark.time < record.memory.time:
            self._mark = Mark.at(record.memory, began, self._mark)

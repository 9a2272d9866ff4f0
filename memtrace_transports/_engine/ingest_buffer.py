"""Writes on their way: the server's write buffer, and the moment that storage needs to show them."""

from __future__ import annotations

from collections import deque

from memtrace_transports._engine.settings import ServerSettings
from memtrace_transports._engine.store.rows import Row
from memtrace_transports._engine.timestamps import MILLISECOND, SECOND

_CAPACITY = 10_000
_ARRIVAL = SECOND // 10


class IngestBuffer:
    """One organisation's writes that cannot be read yet. Times are microseconds of a clock that never goes back.

    A row waits here until as many are waiting as `settings` says (100), a read of its organisation flushes, or a tick comes, once
    a second by default; 0.1 s after that it has arrived. While storage is down nothing leaves, and beyond 10,000 rows the oldest
    are lost.
    """

    def __init__(self, epoch: int, settings: ServerSettings | None = None) -> None:
        """`epoch` is a time at which the server's ticker ticked."""
        self._epoch = epoch
        self._settings = settings or ServerSettings()
        self._waiting: deque[Row] = deque(maxlen=_CAPACITY)
        self._first_at = 0
        self._sent: deque[tuple[int, list[Row]]] = deque()

    def add(self, row: Row, now: int) -> None:
        """Let `row` wait."""
        if not self._waiting:
            self._first_at = now
        self._waiting.append(row)

    def is_full(self) -> bool:
        """Whether enough rows wait for the buffer to flush by itself."""
        return len(self._waiting) >= self._settings.write_batch_size

    def is_empty(self) -> bool:
        """Whether no row is here."""
        return not self._waiting and not self._sent

    def resume(self, now: int) -> None:
        """Storage can be reached again: what waits goes with the next tick."""
        self._first_at = now

    def flush(self, now: int) -> None:
        """Send what waits; it arrives 0.1 s later."""
        if self._waiting:
            self._sent.append((now + _ARRIVAL, list(self._waiting)))
            self._waiting.clear()

    def tick(self, now: int) -> None:
        """Flush as of the last tick, when one has passed since the first waiting row."""
        if self._waiting and self._next_tick() <= now:
            self.flush(self._next_tick())

    def arrived(self, now: int) -> list[Row]:
        """Take the rows that can be read from now on, oldest first."""
        rows: list[Row] = []
        while self._sent and self._sent[0][0] <= now:
            rows.extend(self._sent.popleft()[1])
        return rows

    def take_all(self) -> list[Row]:
        """Take every row, as if all had arrived."""
        rows = [row for _, sent in self._sent for row in sent]
        rows.extend(self._waiting)
        self._sent.clear()
        self._waiting.clear()
        return rows

    def settled_at(self) -> int | None:
        """When the last of the rows will have arrived, left to the ticker; None when there is none."""
        if self._waiting:
            return self._next_tick() + _ARRIVAL
        return self._sent[-1][0] if self._sent else None

    def times(self) -> frozenset[int]:
        """The times of the rows that are here."""
        return frozenset(row.time for rows in (self._waiting, *(sent for _, sent in self._sent)) for row in rows)

    def copy(self, later: int = 0) -> IngestBuffer:
        """Another one in the same state, whose ticker and whose rows are so many microseconds `later`."""
        other = IngestBuffer(self._epoch + later, self._settings)
        other._first_at = self._first_at + later
        other._waiting = self._waiting.copy()
        other._sent = deque((time + later, list(rows)) for time, rows in self._sent)
        return other

    def _next_tick(self) -> int:
        interval = self._settings.write_flush_interval_ms * MILLISECOND
        return self._first_at + interval - (self._first_at - self._epoch) % interval

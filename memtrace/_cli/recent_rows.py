"""Rows as they are in JSON lines, and the key that distinguishes two of them."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from memtrace.models import Memory
from memtrace.operations._time_bounds import beside

LATE = timedelta(seconds=10)
"""How long after its time a memory may appear: about a second after it was written, more where a server is slow."""


def line_of(memory: Memory) -> str:
    """A row as one line of JSON, with what the server gave and nothing else."""
    return memory.model_dump_json(exclude_unset=True)


class RecentMemories:
    """The rows of the last `LATE` before the newest one. They have no id: equal rows are counted.

    Whoever reads from `since` again, in a later pass, sees with `is_new` which of them came meanwhile.
    """

    def __init__(self) -> None:
        self.newest: datetime | None = None
        self._times: dict[str, datetime] = {}
        self._counts: Counter[str] = Counter()
        self._pass: Counter[str] = Counter()

    @property
    def since(self) -> datetime | None:
        """From where to read again; None while there is no row."""
        return None if self.newest is None else beside(self.newest, -LATE)

    def begin(self) -> None:
        """Begin a pass over what is newer than `since`, and forget what is older."""
        self._pass = Counter()
        self.forget_old()

    def forget_old(self) -> None:
        """Forget what is not newer than `since`: no later pass, and no row to come of this one, has it."""
        since = self.since
        for line in [line for line, time in self._times.items() if since is not None and time <= since]:
            del self._times[line], self._counts[line], self._pass[line]

    def is_new(self, line: str, time: datetime) -> bool:
        """Take one row of the pass; whether it is one more than were seen before."""
        self._pass[line] += 1
        if self._pass[line] <= self._counts[line]:
            return False
        self.note(line, time)
        return True

    def note(self, line: str, time: datetime) -> None:
        """Take one row that is there."""
        self._counts[line] += 1
        self._times[line] = time
        if self.newest is None or time > self.newest:
            self.newest = time

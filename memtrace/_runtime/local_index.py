"""The full-text index of a client and its copies: in memory, or in a file that processes share."""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import NamedTuple, TypeVar

from memtrace._support.forks import ClosedBeforeForks, PerProcess, close_before_forks
from memtrace._support.worker_threads import WorkerThread
from memtrace.exceptions import ClientClosedError
from memtrace.models import Memory
from memtrace.operations._time_bounds import beside
from memtrace.ranking import Embedder, MemoryFilter, TextIndex, answer_query, open_index_file
from memtrace.ranking._file import index_error, is_damage, reading_rows, remove_damaged_index, scope_name
from memtrace.ranking._vectors import CheckedEmbedder
from memtrace.transport import IndexAnswer, IndexQuery

T = TypeVar("T")

Owner = tuple[str, ...]
"""The owner of an index: base URL and API key. A file stores neither."""

_PATIENCE = 5.0
"""Seconds that an index waits for another process, and that a fork waits for a thread."""
_ORGANISATION = "organisation"
_SEEN = "seen"
_EPOCH = "epoch"
"""The names of notes in an index."""


class Target(NamedTuple):
    """The memories that an index reads and keeps up to date: one agent's, one session's, or the whole organisation's."""

    agent_id: str | None = None
    session_id: str | None = None

    @property
    def note(self) -> str:
        """The name of the note for the mark."""
        if self.session_id is not None:
            return f"{_SEEN} of session {self.session_id}"
        return _SEEN if self.agent_id is None else f"{_SEEN} of agent {self.agent_id}"

    @property
    def memory_filter(self) -> MemoryFilter:
        """The filter of its memories in an index."""
        return MemoryFilter(agent_id=self.agent_id, session_id=self.session_id)


class Mark(NamedTuple):
    """The newest indexed memory of a target, and the time up to which the index is complete."""

    time: datetime
    agent_id: str
    session_id: str | None
    #: The hash of its content.
    content: str
    org_id: str
    #: When it was first read, in seconds of the client's clock.
    seen: float
    #: The index has everything that the server stored until then. Later memories may still become visible.
    settled: datetime

    @classmethod
    def at(cls, memory: Memory, seen: float, before: Mark | None) -> Mark:
        """The mark with this memory as the newest one."""
        settled = beside(memory.time, -LATENESS)
        if before is not None:
            settled = max(settled, before.settled)
        return cls(memory.time, memory.agent_id, memory.session_id, _digest(memory), memory.org_id, seen, settled)

    @classmethod
    def read(cls, note: str) -> Mark:
        """Parse a mark."""
        time, agent_id, session_id, content, org_id, seen, settled = json.loads(note)
        return cls(
            datetime.fromisoformat(time),
            agent_id,
            session_id,
            content,
            org_id,
            seen,
            datetime.fromisoformat(settled),
        )

    def written(self) -> str:
        """This mark as a string."""
        time, *others, settled = self
        return json.dumps([time.isoformat(), *others, settled.isoformat()])

    def is_of(self, memory: Memory) -> bool:
        """Whether this memory is the newest one of the mark."""
        return self[:5] == (memory.time, memory.agent_id, memory.session_id, _digest(memory), memory.org_id)

    def after_reading(self, began: float) -> Mark:
        """The mark after reading everything that was visible at this time of the client's clock."""
        # the server's clock had reached `time` when the memory was first seen; both advanced equally since then
        passed = timedelta(seconds=max(0.0, began - self.seen))
        return self._replace(settled=max(self.settled, min(self.time, beside(self.time, passed - LATENESS))))


class Survey(NamedTuple):
    """The indexed memories of a target before a rebuild. Those that are read again are removed from it."""

    #: The epoch of the index. Places are valid until it is cleared.
    epoch: str
    places: set[int]


LATENESS = timedelta(seconds=10)
"""How much later than a newer memory a memory may become visible: a second with one server process."""


def _digest(memory: Memory) -> str:
    return blake2b(memory.content.encode(errors="surrogatepass"), digest_size=16).hexdigest()


class _Opened(ClosedBeforeForks):
    """One process's part of an index: a lock, and the tables once they are open. A fork waits while a file is open."""

    def __init__(self, *, in_file: bool) -> None:
        self.lock = threading.Lock()
        self.connection: sqlite3.Connection | None = None
        self.indexes: dict[Owner, TextIndex] = {}
        self.thread = WorkerThread("memtrace index")
        super().__init__(self.lock, _PATIENCE)
        if in_file:
            close_before_forks(self)

    def close(self) -> None:
        """Close the tables. The next use opens them again."""
        connection, self.connection = self.connection, None
        self.indexes.clear()
        if connection is not None:
            connection.close()

    def _close_for_fork(self) -> None:
        self.close()


class LocalIndex:
    """Indexes, one for each owner. Any threads and, with a `path`, any processes may use it at once.

    A forked child begins anew in memory, and opens the file for itself.
    """

    def __init__(self, path: str | None, embedder: Embedder | None = None) -> None:
        self._path = path
        self.embedder: CheckedEmbedder | None = None if embedder is None else CheckedEmbedder(embedder)
        self._process: PerProcess[_Opened] = PerProcess(lambda _: _Opened(in_file=path is not None))
        self._closed = False

    @property
    def thread(self) -> WorkerThread:
        """Runs blocking work for the async client."""
        return self._process.get().thread

    # ---- reading newer memories

    def begun(self, owner: Owner, targets: Sequence[Target]) -> tuple[Target, Mark | None]:
        """The first of the targets that was read, with its mark; if none was, the first target."""
        return self._use(owner, lambda index: _begun(index, targets))

    def take(
        self, owner: Owner, target: Target, rows: Sequence[Memory], before: Mark | None, seen: float
    ) -> Mark | None:
        """Add rows that follow the mark `before`, in one transaction with the new mark. Returns the new mark.

        None, and nothing is added, where the index has not what comes before them: another process cleared it, or they are
        another organisation's.
        """
        return self._use(owner, lambda index: _take(index, target, rows, before, seen))

    def settle(self, owner: Owner, target: Target, mark: Mark) -> None:
        """Store a mark that is settled further, if it is still the newest."""
        self._use(owner, lambda index: _settle(index, target, mark))

    def clear(self, owner: Owner) -> None:
        """Remove everything of an owner."""
        self._use(owner, TextIndex.clear)

    # ---- rebuilding

    def survey(self, owner: Owner, target: Target) -> Survey:
        """The indexed memories of a target."""
        return self._use(owner, lambda index: _survey(index, target))

    def note_seen(self, owner: Owner, survey: Survey, rows: Sequence[Memory]) -> bool:
        """Remove memories that were read again from a survey. Returns False if the index was cleared since."""
        return self._use(owner, lambda index: _note_seen(index, survey, rows))

    def sweep(self, owner: Owner, target: Target, survey: Survey, last: Memory | None, seen: float) -> bool:
        """Remove the memories left in a survey, and vectors of other embedders. Returns False if the index was cleared since.

        `last` is the newest memory that was read: where something was taken out, the server has lost it, and reading goes on from there.
        """
        return self._use(owner, lambda index: self._sweep(index, target, survey, last, seen))

    def _sweep(self, index: TextIndex, target: Target, survey: Survey, last: Memory | None, seen: float) -> bool:
        with index.writing():
            if index.note(_EPOCH) != survey.epoch:
                return False
            if survey.places:
                with reading_rows():
                    index.remove_at(survey.places)
                index.remove_notes(_SEEN)
                if last is not None:
                    index.set_note(target.note, Mark.at(last, seen, None).written())
            if self.embedder is not None:
                kept = index.model(self.embedder.model, self.embedder.dimensions)
                index.remove_vectors(target.memory_filter, kept)
        return True

    # ---- searching

    def answer(self, owner: Owner, query: IndexQuery, target: Target | None) -> IndexAnswer | None:
        """The index's response; None if it was cleared since the target was read."""
        return self._use(owner, lambda index: _answer(index, query, target))

    def close(self) -> None:
        """Close it for good; a second call does nothing."""
        process = self._process.get()
        with process.lock:
            self._closed = True
            process.close()
        process.thread.stop()

    # ---- the tables

    def _use(self, owner: Owner, use: Callable[[TextIndex], T]) -> T:
        """Use the index of an owner. A damaged file is recreated once."""
        damaged = ""
        with self._opened() as opened:
            while True:
                try:
                    return use(self._index(opened, owner))
                except sqlite3.DatabaseError as error:
                    opened.close()
                    if self._path is None or damaged or not is_damage(error):
                        raise index_error(error, self._path) from error
                    damaged = self._path
                remove_damaged_index(damaged)

    @contextmanager
    def _opened(self) -> Iterator[_Opened]:
        process = self._process.get()
        with process.lock:
            if self._closed:
                raise ClientClosedError
            yield process

    def _index(self, opened: _Opened, owner: Owner) -> TextIndex:
        if owner not in opened.indexes:
            connection = self._connection(opened)
            opened.indexes[owner] = TextIndex(connection, scope_name(connection, *owner))
        return opened.indexes[owner]

    def _connection(self, opened: _Opened) -> sqlite3.Connection:
        if opened.connection is None:
            if self._path is None:
                opened.connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            else:
                opened.connection = open_index_file(self._path, timeout=_PATIENCE)
        return opened.connection


def _answer(index: TextIndex, query: IndexQuery, target: Target | None) -> IndexAnswer | None:
    if target is not None and _mark_of(index, target) is None:
        return None
    with reading_rows():
        return answer_query(index, query)


def _begun(index: TextIndex, targets: Sequence[Target]) -> tuple[Target, Mark | None]:
    for target in targets:
        mark = _mark_of(index, target)
        if mark is not None:
            return target, mark
    return targets[0], None


def _mark_of(index: TextIndex, target: Target) -> Mark | None:
    note = index.note(target.note)
    with reading_rows():
        return None if note is None else Mark.read(note)


def _take(index: TextIndex, target: Target, rows: Sequence[Memory], before: Mark | None, seen: float) -> Mark | None:
    with index.writing():
        current = _mark_of(index, target)
        if before is not None and (current is None or current.time < before.time):
            return None
        if not _is_of_same_organisation(index, rows[-1]):
            return None
        index.add_many(rows)
        if current is None or rows[-1].time > current.time:
            current = Mark.at(rows[-1], seen, current)
            index.set_note(target.note, current.written())
    return current


def _settle(index: TextIndex, target: Target, mark: Mark) -> None:
    with index.writing():
        current = _mark_of(index, target)
        if current is not None and current[:5] == mark[:5] and current.settled < mark.settled:
            index.set_note(target.note, mark.written())


def _survey(index: TextIndex, target: Target) -> Survey:
    with index.writing():
        epoch = index.note(_EPOCH) or secrets.token_hex(8)
        index.set_note(_EPOCH, epoch)
        return Survey(epoch, index.places(target.memory_filter))


def _note_seen(index: TextIndex, survey: Survey, rows: Sequence[Memory]) -> bool:
    with index.writing():
        survey.places.difference_update(filter(None, map(index.place_of, rows)))
        return index.note(_EPOCH) == survey.epoch


def _is_of_same_organisation(index: TextIndex, row: Memory) -> bool:
    """Whether a row belongs to the same organisation. If a middleware sends another tenant's key, the index is cleared."""
    known = index.note(_ORGANISATION)
    if known == row.org_id:
        return True
    if known is not None:
        index.clear()
    index.set_note(_ORGANISATION, row.org_id)
    return known is None

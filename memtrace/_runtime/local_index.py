"""The text index that a client and its copies keep of what they read: in memory, or in a file that processes share."""

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
"""Whose memories an index has: an address and a key. A file keeps neither."""

_PATIENCE = 5.0
"""Seconds that an index waits for another process, and a fork for a thread that uses it."""
_ORGANISATION = "organisation"
_SEEN = "seen"
_EPOCH = "epoch"
"""The names of what is noted beside an index."""


class Target(NamedTuple):
    """The memories that an index reads and keeps up to date: one agent's, one session's, or the whole organisation's."""

    agent_id: str | None = None
    session_id: str | None = None

    @property
    def note(self) -> str:
        """The name under which an index keeps how far it was read."""
        if self.session_id is not None:
            return f"{_SEEN} of session {self.session_id}"
        return _SEEN if self.agent_id is None else f"{_SEEN} of agent {self.agent_id}"

    @property
    def memory_filter(self) -> MemoryFilter:
        """What of an index belongs to it."""
        return MemoryFilter(agent_id=self.agent_id, session_id=self.session_id)


class Mark(NamedTuple):
    """The newest memory of a target that is in an index, and up to when nothing is missing before it."""

    time: datetime
    agent_id: str
    session_id: str | None
    #: Of its content, which no note repeats.
    content: str
    org_id: str
    #: When it was first read, in seconds of the client's clock.
    seen: float
    #: Everything that the server took until then is in the index; later memories may yet become visible.
    settled: datetime

    @classmethod
    def at(cls, memory: Memory, seen: float, before: Mark | None) -> Mark:
        """That this memory is the newest one, after what there was before."""
        settled = beside(memory.time, -LATENESS)
        if before is not None:
            settled = max(settled, before.settled)
        return cls(memory.time, memory.agent_id, memory.session_id, _digest(memory), memory.org_id, seen, settled)

    @classmethod
    def read(cls, note: str) -> Mark:
        """The mark that was kept as this text."""
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
        """Whether this memory is the one that was the newest."""
        return self[:5] == (memory.time, memory.agent_id, memory.session_id, _digest(memory), memory.org_id)

    def after_reading(self, began: float) -> Mark:
        """This mark once all was read that could be seen at this time of the client's clock."""
        # the server's clock had reached `time` when the memory was first seen; since then both went on alike
        passed = timedelta(seconds=max(0.0, began - self.seen))
        return self._replace(settled=max(self.settled, min(self.time, beside(self.time, passed - LATENESS))))


class Survey(NamedTuple):
    """What an index has of a target before all of it is read again; what is seen then is taken out of it."""

    #: The state of the index in which places are what they were: until it is cleared.
    epoch: str
    places: set[int]


LATENESS = timedelta(seconds=10)
"""How much later than a memory that the server took after it a memory may become visible: a second with one server process."""


def _digest(memory: Memory) -> str:
    return blake2b(memory.content.encode(errors="surrogatepass"), digest_size=16).hexdigest()


class _Opened(ClosedBeforeForks):
    """What one process has of an index: a lock, and the tables once they were opened. No fork comes while a file is open."""

    def __init__(self, *, in_file: bool) -> None:
        self.lock = threading.Lock()
        self.connection: sqlite3.Connection | None = None
        self.indexes: dict[Owner, TextIndex] = {}
        self.thread = WorkerThread("memtrace index")
        super().__init__(self.lock, _PATIENCE)
        if in_file:
            close_before_forks(self)

    def close(self) -> None:
        """Close the tables; they are opened again where they are used next."""
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
        """Does what blocks for the async client."""
        return self._process.get().thread

    # ---- reading on

    def begun(self, owner: Owner, targets: Sequence[Target]) -> tuple[Target, Mark | None]:
        """The first of the targets that was read, and how far; where none was, the first."""
        return self._use(owner, lambda index: _begun(index, targets))

    def take(
        self, owner: Owner, target: Target, rows: Sequence[Memory], before: Mark | None, seen: float
    ) -> Mark | None:
        """Add rows that follow on what was read up to `before`, all in one transaction with the new mark, which it gives.

        None, and nothing is added, where the index has not what comes before them: another process cleared it, or they are
        another organisation's.
        """
        return self._use(owner, lambda index: _take(index, target, rows, before, seen))

    def settle(self, owner: Owner, target: Target, mark: Mark) -> None:
        """Keep a mark that is settled further, where it is still the newest."""
        self._use(owner, lambda index: _settle(index, target, mark))

    def clear(self, owner: Owner) -> None:
        """Forget everything of an owner."""
        self._use(owner, TextIndex.clear)

    # ---- reading all of it again

    def survey(self, owner: Owner, target: Target) -> Survey:
        """What there is of a target now."""
        return self._use(owner, lambda index: _survey(index, target))

    def note_seen(self, owner: Owner, survey: Survey, rows: Sequence[Memory]) -> bool:
        """Take out of a survey what was read again; False where the index was cleared since."""
        return self._use(owner, lambda index: _note_seen(index, survey, rows))

    def sweep(self, owner: Owner, target: Target, survey: Survey, last: Memory | None, seen: float) -> bool:
        """Take out of the index what is left in a survey, and what other embedders made; False where it was cleared since.

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
        """What the index gives; None where it was cleared since the target was read."""
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
        """Use the index of an owner. A file that turns out damaged is made anew, once."""
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
    """Whether a row belongs to what is there. A middleware may send another tenant's key: then the index begins anew."""
    known = index.note(_ORGANISATION)
    if known == row.org_id:
        return True
    if known is not None:
        index.clear()
    index.set_note(_ORGANISATION, row.org_id)
    return known is None

"""A text index of one organisation's memories: tables of an SQLite database, with FTS5 for which word stands where.

It takes any connection: to a file of its own, to ":memory:", or to the database in which a store keeps the memories themselves
(then it holds no copy of them, and is written within the store's transaction). Each scope has tables of its own, so no other
tenant's words count in its statistics.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from memtrace._support.timestamps import from_microseconds
from memtrace.models import Memory
from memtrace.ranking._batch import FIND, REPEATED, Batch, identity, index_text, unmarked
from memtrace.ranking._filters import MemoryFilter
from memtrace.ranking._places import (
    GROUP_BITS,
    LAST_ROW,
    LENGTH_BITS,
    bucket_bounds,
    group_bounds,
    group_of,
    group_of_row,
    row_of,
)
from memtrace.ranking._tables import Tables, slots
from memtrace.ranking._words import LONGEST_WORD, memory_text, words

#: So many wait in a plain table, to which adding is cheap, before FTS5 takes them together.
_MOST_WAITING = 1024
_VECTOR_LENGTH = "vector length"
SHORTEST_PART = 4
"""The shortest word that is looked for within others: shorter ones occur in too many by chance."""


class IndexedMemory(NamedTuple):
    """What an index says of a memory."""

    place: int
    #: What the host calls it, where a host keeps the memories.
    key: int | None
    #: When it occurred, in microseconds since 1970.
    at: int
    agent_id: str
    #: The same for equal contents of one agent.
    fingerprint: int


_COLUMNS = ", ".join(IndexedMemory._fields)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a query is about: an organisation, an agent's groups, or one session."""

    #: Rows of the full-text table, from and to.
    bounds: Sequence[tuple[int, int]]
    #: The groups with the number of words in each.
    lengths: dict[int, int]
    #: How many memories they have.
    count: int
    #: Whether other groups may stand within the bounds.
    is_mixed: bool = False


class TextIndex:
    """A full-text index of memories in SQLite.

    Only one thread at a time may use it. Another process may use the same file. `add` joins the
    transaction of the connection, or makes its own.

    Args:
        connection: The SQLite connection.
        scope: What distinguishes several indexes in one file.
        keep: Whether the index stores the memories themselves. False: the host stores them, and
            `key` names them.
    """

    def __init__(self, connection: sqlite3.Connection, scope: str = "", *, keep: bool = True) -> None:
        self._use(Tables.of(connection, scope), keep=keep)

    @classmethod
    def kept(cls, connection: sqlite3.Connection, scope: str) -> TextIndex | None:
        """Open the existing index of a host's memories, without writing.

        Args:
            connection: The SQLite connection.
            scope: What distinguishes several indexes in one file.

        Returns:
            The index, or None if there is none of this version.
        """
        tables = Tables.kept(connection, scope)
        if tables is None:
            return None
        index = cls.__new__(cls)
        index._use(tables, keep=False)  # noqa: SLF001  # of this class
        return index

    def _use(self, tables: Tables, *, keep: bool) -> None:
        self._tables = tables
        self._keep = keep
        self._waiting: int = self._tables.one("SELECT count(*) FROM {waiting}")

    # ---- writing

    def add(self, memory: Memory, key: int | None = None) -> bool:
        """Add a memory.

        Args:
            memory: The memory.
            key: The host's key of the memory, if the index does not keep memories.

        Returns:
            False if it is there already. Then nothing is changed.
        """
        return self.add_many([memory], [key]) == 1

    def add_many(self, memories: Iterable[Memory], keys: Iterable[int | None] | None = None) -> int:
        """Add memories, best oldest first. Those that are there already are skipped.

        A host adds each memory once: an index without `keep` looks up none.

        Args:
            memories: The memories.
            keys: The host's keys, one for each memory, if the index does not keep memories.

        Returns:
            How many were added.
        """
        with self._tables.transaction():
            batch = Batch(self._tables, keep=self._keep)
            given = [*memories]
            for memory, key in zip(given, [None] * len(given) if keys is None else keys, strict=True):
                batch.take(memory, key)
            added = batch.write()
            self._waiting += added
            if self._waiting >= _MOST_WAITING:
                self._take_in()
        return added

    def remove(self, memory: Memory) -> bool:
        """Remove a memory and its words.

        Args:
            memory: The memory.

        Returns:
            False if it is not there.
        """
        tables = self._tables
        with tables.transaction():
            self._take_in()
            place = self.place_of(memory)
            if place is None:
                return False
            found = words(memory_text(memory))
            text = index_text(found)
            row = row_of(place, len(found))
            tables.run("INSERT INTO {text}({text}, rowid, words) VALUES ('delete', ?, ?)", (row, text))
            for sql in ("DELETE FROM {docs}", "DELETE FROM {signs}", "DELETE FROM {vectors}"):
                tables.run(sql + " WHERE place=?", (place,))
            number = group_of(place) & (1 << GROUP_BITS) - 1
            tables.run("UPDATE {groups} SET docs=docs-1, length=length-? WHERE number=?", (len(found), number))
            tables.run_many("UPDATE {words} SET count=count-1 WHERE word=?", [(word,) for word in unmarked(text)])
        return True

    def compact(self) -> None:
        """Merge the index into one segment. Nothing of removed memories is left in it, and queries are fastest."""
        with self._tables.transaction():
            self._take_in()
            self._tables.run("DELETE FROM {words} WHERE count<=0")
            self._tables.run("DELETE FROM {groups} WHERE docs<=0")
            self._tables.run(
                "DELETE FROM {members} WHERE number NOT IN (SELECT number FROM {groups})"
                " OR agent_id NOT IN (SELECT agent_id FROM {docs})"
            )
            self._tables.run("INSERT INTO {text}({text}) VALUES ('optimize')")

    def check(self) -> None:
        """Let FTS5 look at what it wrote. Raises `sqlite3.DatabaseError` for what it finds."""
        with self._tables.transaction():
            self._tables.run("INSERT INTO {text}({text}) VALUES ('integrity-check')")

    def is_whole(self) -> bool:
        """Whether the words can be read, each of them, and none is lost. Raises `sqlite3.DatabaseError` where they cannot."""
        return self._tables.is_text_whole()

    @property
    def waits(self) -> bool:
        """Whether added memories are not searchable yet. The next search, or `take_in`, writes them."""
        return bool(self._tables.one("SELECT EXISTS (SELECT 1 FROM {waiting})"))

    def take_in(self) -> None:
        """Make added memories searchable."""
        with self._tables.transaction():
            self._take_in()

    def keys(self) -> Iterator[int]:
        """Iterate over the host's keys of all memories, in no order.

        Returns:
            An iterator of keys.
        """
        return (key for (key,) in self._tables.run("SELECT key FROM {docs}"))

    def drop(self) -> None:
        """Remove the index and its tables. It cannot be used any more."""
        with self._tables.transaction():
            self._tables.forget()

    def clear(self) -> None:
        """Remove all memories."""
        with self._tables.transaction():
            self._tables.drop()
            self._tables.create()
            self._waiting = 0

    def _take_in(self) -> None:
        """Bring what waits to where it is found."""
        rows = self._tables.run("SELECT row, words FROM {waiting} ORDER BY row").fetchall()  # FTS5 is quickest in order
        self._waiting = 0
        if not rows:
            return
        self._tables.run_many("INSERT INTO {text}(rowid, words) VALUES (?, ?)", rows)
        counts = Counter(" ".join([text for _, text in rows]).split(" "))
        self._tables.run_many(
            "INSERT INTO {words}(word, count) VALUES (?, ?) ON CONFLICT(word) DO UPDATE SET count=count+excluded.count",
            sorted(pair for pair in counts.items() if not pair[0].startswith(REPEATED)),
        )
        self._tables.run("DELETE FROM {waiting}")

    # ---- what is known about it

    def __len__(self) -> int:
        """How many memories it has."""
        return int(self._tables.one("SELECT coalesce(sum(docs), 0) FROM {groups}"))

    def newest(self, agent_id: str | None = None) -> datetime | None:
        """Get the latest server time of the memories: there may be more from there on.

        Args:
            agent_id: Only this agent's memories. Default: all.

        Returns:
            The time, or None if there are none.
        """
        if agent_id is None:
            latest = self._tables.one("SELECT max(time) FROM {docs}")
        else:
            latest = self._tables.one("SELECT max(time) FROM {docs} WHERE agent_id=?", (agent_id,))
        return None if latest is None else from_microseconds(latest)

    def counts(self, memory_filter: MemoryFilter) -> tuple[int, int, datetime | None]:
        """How many memories pass a filter, how many of these have a vector, and the latest time that the server gave one."""
        where, values = memory_filter.where()
        count, latest = self._tables.run(f"SELECT count(*), max(time) FROM {{docs}} WHERE {where}", values).fetchone()
        vectors = self._tables.one(f"SELECT count(*) FROM {{signs}} JOIN {{docs}} USING (place) WHERE {where}", values)
        return int(count), int(vectors), None if latest is None else from_microseconds(latest)

    def latest(self, memory_filter: MemoryFilter, most: int) -> list[IndexedMemory]:
        """Memories that pass a filter, those that occurred last first."""
        where, values = memory_filter.where()
        sql = f"SELECT {_COLUMNS} FROM {{docs}} WHERE {where} ORDER BY at DESC, place DESC LIMIT ?"
        return [IndexedMemory(*row) for row in self._tables.run(sql, (*values, most))]

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Everything that is written in it is kept together, or not at all."""
        with self._tables.transaction():
            yield

    def note(self, name: str) -> str | None:
        """Read a note that `set_note` has stored.

        Args:
            name: The note's name.

        Returns:
            The note, or None.
        """
        value = self._tables.one("SELECT value FROM {notes} WHERE name=?", (name,))
        return None if value is None else str(value)

    def set_note(self, name: str, value: str) -> None:
        """Store a short note in the index, such as how far reading came.

        Args:
            name: The note's name.
            value: The note.
        """
        with self._tables.transaction():
            self._tables.run("INSERT OR REPLACE INTO {notes}(name, value) VALUES (?, ?)", (name, value))

    def place_of(self, memory: Memory) -> int | None:
        """Where a memory stands; None when it is not there."""
        place = self._tables.one(FIND, identity(memory))
        return None if place is None else int(place)

    # ---- reading, for rankers

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Everything that is read in it is of one state of the index, in which nothing waits."""
        if self.waits:
            self.take_in()
        with self._tables.snapshot():
            yield

    def scope(self, agent_id: str | None = None, session_id: str | None = None) -> Scope:
        """The groups that a query is about. An agent's are those in which it has a memory."""
        source, values = "{groups} WHERE docs>0", list[str]()
        if session_id is not None:
            source, values = "{groups} WHERE docs>0 AND owner=?", ["s" + session_id]
        elif agent_id is not None:
            source, values = "{members} JOIN {groups} USING (number) WHERE docs>0 AND agent_id=?", [agent_id]
        lengths: dict[int, int] = dict(self._tables.run("SELECT id, length FROM " + source, values).fetchall())
        count = int(self._tables.one("SELECT coalesce(sum(docs), 0) FROM " + source, values))
        if session_id is not None:
            return Scope([group_bounds(group) for group in sorted(lengths)], lengths, count)
        if agent_id is not None:
            buckets = sorted({group >> GROUP_BITS for group in lengths})
            return Scope(
                [bucket_bounds(bucket) for bucket in buckets], lengths, count, self._are_mixed(buckets, lengths)
            )
        return Scope([(0, LAST_ROW)], lengths, count)

    def _are_mixed(self, buckets: Iterable[int], groups: Container[int]) -> bool:
        """Whether buckets have other groups too."""
        wanted = frozenset(buckets)
        every = self._tables.run("SELECT id FROM {groups} WHERE docs>0")
        return any(group >> GROUP_BITS in wanted and group not in groups for (group,) in every)

    def word_counts(self, asked: Sequence[str]) -> dict[str, int]:
        """In how many memories of the whole index each word stands, as it is written."""
        sql = f"SELECT word, count FROM {{words}} WHERE count>0 AND word IN ({slots(asked)})"
        return dict(self._tables.run(sql, asked).fetchall())

    def words_with(self, part: str, most: int) -> list[str]:
        """Words of the whole index that hold a part, or are the part without an ending: the shortest first."""
        found = self._tables.run(
            """SELECT word FROM {words}
            WHERE count>0 AND (instr(word, ?1) OR (instr(?1, word)=1 AND length(word) BETWEEN max(?3, length(?1)-3) AND ?2))
            ORDER BY length(word), word LIMIT ?4""",
            (part, LONGEST_WORD, SHORTEST_PART, most),
        )
        return [word for (word,) in found]

    def rows(self, match: str, scope: Scope) -> list[int]:
        """The rows of the full-text table that FTS5 finds in a scope, in order: place and length of each memory."""
        sql = "SELECT rowid FROM {text} WHERE {text} MATCH ? AND rowid BETWEEN ? AND ?"
        found = [row for first, last in scope.bounds for (row,) in self._tables.run(sql, (match, first, last))]
        return [row for row in found if group_of_row(row) in scope.lengths] if scope.is_mixed else found

    def places(self, memory_filter: MemoryFilter) -> set[int]:
        """Where everything stands that passes a filter."""
        where, values = memory_filter.where()
        return {place for (place,) in self._tables.run(f"SELECT place FROM {{docs}} WHERE {where}", values)}

    def memories(self, places: Iterable[int], memory_filter: MemoryFilter) -> list[IndexedMemory]:
        """What stands at places and passes a filter."""
        where, values = memory_filter.where(of_keys=True)
        found = self._tables.run_at(f"SELECT {_COLUMNS} FROM {{docs}} WHERE {where}", "place", places, values)
        return [IndexedMemory(*row) for row in found]

    def contents(self, places: Iterable[int]) -> dict[int, bytes]:
        """Get memories by their places, if the index keeps them.

        Args:
            places: The places.

        Returns:
            The memories as JSON, by place.
        """
        return dict(self._tables.run_at("SELECT place, memory FROM {docs} WHERE memory IS NOT NULL", "place", places))

    def repeated(self, prints: Iterable[int], memory_filter: MemoryFilter) -> dict[int, tuple[int, IndexedMemory]]:
        """Of contents that pass a filter more than once: how often, and the newest; by fingerprint."""
        where, values = memory_filter.where(of_keys=True)
        sql = f"SELECT {_COLUMNS} FROM {{docs}} WHERE {where}"
        found: dict[int, tuple[int, IndexedMemory]] = {}
        for row in self._tables.run_at(sql, "fingerprint", prints, values):
            memory = IndexedMemory(*row)
            count, newest = found.get(memory.fingerprint, (0, memory))
            found[memory.fingerprint] = count + 1, max(newest, memory, key=_age)
        return {fingerprint: pair for fingerprint, pair in found.items() if pair[0] > 1}

    # ---- vectors

    def has_vectors_of(self, length: int) -> bool:
        """Check whether the vectors have a length. Vectors of other lengths cannot be compared.

        Args:
            length: The length.

        Returns:
            Whether they have it.
        """
        return self.note(_VECTOR_LENGTH) == str(length)

    def expect_vectors(self, length: int) -> bool:
        """Forget all vectors if they have another length: they are another model's. Gives whether there were any."""
        if self.has_vectors_of(length):
            return False
        with self._tables.transaction():
            had = bool(self._tables.one("SELECT EXISTS (SELECT 1 FROM {signs})"))
            self._tables.run("DELETE FROM {signs}")
            self._tables.run("DELETE FROM {vectors}")
            self.set_note(_VECTOR_LENGTH, str(length))
        return had

    def without_vectors(self, most: int, memory_filter: MemoryFilter, length: int | None = None) -> list[IndexedMemory]:
        """Memories that pass a filter and have no vector yet, of this length where one is named; in order of places."""
        where, values = memory_filter.where()
        if length is None or self.has_vectors_of(length):
            where += " AND place NOT IN (SELECT place FROM {signs})"
        sql = f"SELECT {_COLUMNS} FROM {{docs}} WHERE {where} ORDER BY place LIMIT ?"
        return [IndexedMemory(*row) for row in self._tables.run(sql, (*values, most))]

    def set_vectors(self, rows: Sequence[tuple[int, bytes, bytes]]) -> None:
        """Keep the vectors of places: their signs, and all of them."""
        with self._tables.transaction():
            self._tables.run_many("INSERT OR REPLACE INTO {signs} VALUES (?, ?)", [row[:2] for row in rows])
            self._tables.run_many("INSERT OR REPLACE INTO {vectors} VALUES (?, ?)", [row[::2] for row in rows])

    def signs(self, scope: Scope) -> Iterator[tuple[int, bytes]]:
        """The signs of all vectors in a scope's bounds."""
        for first, last in scope.bounds:
            bounds = first >> LENGTH_BITS, last >> LENGTH_BITS
            found = self._tables.run("SELECT place, signs FROM {signs} WHERE place BETWEEN ? AND ?", bounds)
            yield from (row for row in found)  # as in `Tables.run_at`

    def vectors(self, places: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """The vectors of places, where there is one."""
        return self._tables.run_at("SELECT place, vector FROM {vectors} WHERE true", "place", places)


def _age(memory: IndexedMemory) -> tuple[int, int]:
    return memory.at, memory.place

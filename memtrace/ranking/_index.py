"""A full-text index of one organisation's memories: tables of an SQLite database, with FTS5 for the occurrences of words.

It takes any connection: to a separate file, to ":memory:", or to the database of a store. In a store it has no copy of the
memories, and is written within the store's transaction. Each scope has separate tables, so that other tenants' words do not affect
its statistics.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from memtrace._support.timestamps import from_microseconds
from memtrace.models import WIRE, Memory
from memtrace.ranking._batch import FIND, REPEATED, Batch, identity, index_text, stems_of, unmarked
from memtrace.ranking._filters import MemoryFilter
from memtrace.ranking._neighbours import Neighbours
from memtrace.ranking._places import LENGTH_BITS, RUN_GAP, block_of, block_of_row, places_of_block, row_of
from memtrace.ranking._scope import Scope, scope_of
from memtrace.ranking._tables import Tables, slots
from memtrace.ranking._words import LONGEST_WORD

#: How many memories wait in a plain table, which is cheap to write, before FTS5 takes them together.
_MOST_WAITING = 1024
SHORTEST_PART = 4
"""The shortest word that is looked for within others: shorter ones occur in too many by chance."""
LONGEST_ENDING = 3
"""The most letters that a word may have beyond another one with which it begins."""


class IndexedMemory(NamedTuple):
    """A row of the index."""

    place: int
    #: The host's key, if a host keeps the memories.
    key: int | None
    #: `occurred_at`, and the server's time, in microseconds since 1970.
    at: int
    time: int
    agent_id: str
    session_id: str | None
    #: The same for equal contents of one agent.
    fingerprint: int


MemoryLoader = Callable[[Sequence[int]], Iterable[Memory]]
"""Loads a host's memories by their keys, in the same order."""

_COLUMNS = ", ".join(IndexedMemory._fields)
_OF_MODELS = "WHERE model IN (SELECT number FROM {models}) AND place=?"
_MOVE_SIGNS = "UPDATE {signs} SET place=? " + _OF_MODELS
_MOVE_VECTORS = "UPDATE {vectors} SET place=? " + _OF_MODELS
_YOUNGEST_FIRST = "ORDER BY at DESC, time DESC, fingerprint DESC, ifnull(session_id, '') DESC"


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

    def remove(self, memory: Memory, load: MemoryLoader | None = None) -> bool:
        """Remove a memory and its words.

        Args:
            memory: The memory.
            load: Loads memories of a host by their keys, as in `remove_many`.

        Returns:
            False if it is not there.
        """
        return self.remove_many([memory], load) == 1

    def remove_many(self, memories: Iterable[Memory], load: MemoryLoader | None = None) -> int:
        """Remove memories and their words.

        Args:
            memories: The memories.
            load: Loads memories of a host by their keys, removed ones included. If a run of
                memories without a session falls apart, some are added again.

        Returns:
            How many were there.
        """
        with self._tables.transaction():
            self._take_in()
            found = {place: memory for memory in memories if (place := self.place_of(memory)) is not None}
            self._remove(found)
            for block in {block_of(place) for place in found}:
                self._part(block, load)
        return len(found)

    def remove_at(self, places: Iterable[int]) -> None:
        """Remove the memories at these places, if no host keeps them."""
        self.remove_many(_read(content) for content in self.contents(places).values())

    def _remove(self, found: Mapping[int, Memory]) -> None:
        """Remove the memories at these places."""
        tables, counts = self._tables, Counter[str]()
        for place, memory in found.items():
            stems = stems_of(memory)
            text = index_text(stems)
            row = row_of(place, len(stems))
            tables.run("INSERT INTO {text}({text}, rowid, words) VALUES ('delete', ?, ?)", (row, text))
            tables.run("DELETE FROM {docs} WHERE place=?", (place,))
            for table in ("{signs}", "{vectors}"):
                tables.run(f"DELETE FROM {table} {_OF_MODELS}", (place,))
            values = (len(stems), block_of(place))
            tables.run("UPDATE {blocks} SET docs=docs-1, length=length-? WHERE id=?", values)
            counts.update(unmarked(text))
        tables.run_many(
            "UPDATE {words} SET count=count-? WHERE word=?", [(count, word) for word, count in counts.items()]
        )
        for block in {block_of(place) for place in found}:
            bounds = places_of_block(block)
            first, last = tables.run(
                "SELECT min(at), max(at) FROM {docs} WHERE place BETWEEN ? AND ?", bounds
            ).fetchone()
            tables.run(
                "UPDATE {blocks} SET first=?, last=?, last_time=0, last_print=0, in_order=0 WHERE id=?",
                (first or 0, last or 0, block),
            )

    def _part(self, block: int, load: MemoryLoader | None) -> None:
        """Add the memories of a block again if they are more than one run now."""
        tables = self._tables
        rows = tables.run(
            "SELECT at, place, key FROM {docs} WHERE session_id IS NULL AND place BETWEEN ? AND ?",
            places_of_block(block),
        ).fetchall()
        if all(after[0] - before[0] <= RUN_GAP for before, after in pairwise(sorted(rows))):
            return
        kept = [self.contents([place])[place] for _, place, _ in rows] if load is None else []
        memories = map(_read, kept) if load is None else load([key for _, _, key in rows])
        found = {place: memory for (_, place, _), memory in zip(rows, memories, strict=True)}
        tables.run_many(_MOVE_SIGNS, moved := [(-place, place) for place in found])
        tables.run_many(_MOVE_VECTORS, moved)
        self._remove(found)
        batch = Batch(tables, keep=self._keep)
        places = [batch.take(memory, key) for memory, (_, _, key) in zip(found.values(), rows, strict=True)]
        self._waiting += batch.write()
        self._take_in()
        tables.run_many(_MOVE_SIGNS, moved := [(now, -before) for now, before in zip(places, found, strict=True)])
        tables.run_many(_MOVE_VECTORS, moved)

    def compact(self) -> None:
        """Merge the index into one segment. Nothing of removed memories is left in it, and queries are fastest."""
        with self._tables.transaction():
            self._take_in()
            self._tables.run("DELETE FROM {words} WHERE count<=0")
            self._tables.run("DELETE FROM {blocks} WHERE docs<=0")
            self._tables.run("INSERT INTO {text}({text}) VALUES ('optimize')")

    def check(self) -> None:
        """Run FTS5's integrity check. Raises `sqlite3.DatabaseError` if it fails."""
        with self._tables.transaction():
            self._tables.run("INSERT INTO {text}({text}) VALUES ('integrity-check')")

    def is_whole(self) -> bool:
        """Whether no word is lost. Raises `sqlite3.DatabaseError` if the words cannot be read."""
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
        """Move waiting memories into the full-text table."""
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

    # ---- status

    def __len__(self) -> int:
        """How many memories it has."""
        return int(self._tables.one("SELECT coalesce(sum(docs), 0) FROM {blocks}"))

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

    def counts(self, memory_filter: MemoryFilter, model: int | None = None) -> tuple[int, int, datetime | None]:
        """The number of memories that pass a filter, the number of these with a vector of a model, and their latest server time."""
        where, values = memory_filter.where()
        count, latest = self._tables.run(f"SELECT count(*), max(time) FROM {{docs}} WHERE {where}", values).fetchone()
        sql = f"SELECT count(*) FROM {{signs}} JOIN {{docs}} USING (place) WHERE model=? AND {where}"
        vectors = 0 if model is None else self._tables.one(sql, (model, *values))
        return int(count), int(vectors), None if latest is None else from_microseconds(latest)

    def latest(self, memory_filter: MemoryFilter, most: int) -> list[IndexedMemory]:
        """Memories that pass a filter, those that occurred last first."""
        where, values = memory_filter.where()
        sql = f"SELECT {_COLUMNS} FROM {{docs}} WHERE {where} {_YOUNGEST_FIRST} LIMIT ?"
        return [IndexedMemory(*row) for row in self._tables.run(sql, (*values, most))]

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write everything in the block, or nothing."""
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

    def remove_notes(self, beginning: str) -> None:
        """Remove the notes whose names have this prefix."""
        with self._tables.transaction():
            self._tables.run("DELETE FROM {notes} WHERE substr(name, 1, ?)=?", (len(beginning), beginning))

    def place_of(self, memory: Memory) -> int | None:
        """The place of a memory; None if it is not in the index."""
        place = self._tables.one(FIND, identity(memory))
        return None if place is None else int(place)

    # ---- reading, for rankers

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read one state of the index in the block. No memory is waiting then."""
        if self.waits:
            self.take_in()
        with self._tables.snapshot():
            yield

    def scope(self, agent_id: str | None = None, session_id: str | None = None) -> Scope:
        """The scope of a query: a session, or else an agent, or else all."""
        return scope_of(self._tables, agent_id, session_id)

    def neighbours(self, scope: Scope) -> Neighbours:
        """The neighbours of its memories."""
        return Neighbours(self._tables, scope)

    def word_counts(self, asked: Sequence[str]) -> dict[str, int]:
        """The number of memories in the whole index that have each word."""
        sql = f"SELECT word, count FROM {{words}} WHERE count>0 AND word IN ({slots(asked)})"
        return dict(self._tables.run(sql, asked).fetchall())

    def words_with(self, part: str) -> Iterator[str]:
        """Words of the whole index that contain a part, or are the part without an ending, shortest first."""
        found = self._tables.run(
            """SELECT word FROM {words}
            WHERE count>0 AND word!=?1 AND (instr(word, ?1) OR (instr(?1, word)=1 AND length(word) BETWEEN ?2 AND ?3))
            ORDER BY length(word), word""",
            (part, max(SHORTEST_PART, len(part) - LONGEST_ENDING), LONGEST_WORD),
        )
        return (word for (word,) in found)

    def rows(self, match: str, scope: Scope) -> list[int]:
        """The rows of the full-text table that FTS5 finds in a scope, in order: place and length of each memory."""
        sql = "SELECT rowid FROM {text} WHERE {text} MATCH ? AND rowid BETWEEN ? AND ?"
        found = [row for first, last in scope.bounds for (row,) in self._tables.run(sql, (match, first, last))]
        return [row for row in found if scope.has_block(block_of_row(row))] if scope.is_mixed else found

    def row_count(self, match: str, scope: Scope) -> int:
        """The number of rows that `rows` returns."""
        if scope.is_mixed:
            return len(self.rows(match, scope))
        sql = "SELECT count(*) FROM {text} WHERE {text} MATCH ? AND rowid BETWEEN ? AND ?"
        return sum(self._tables.one(sql, (match, first, last)) for first, last in scope.bounds)

    def places(self, memory_filter: MemoryFilter) -> set[int]:
        """The places of all memories that pass a filter."""
        where, values = memory_filter.where()
        return {place for (place,) in self._tables.run(f"SELECT place FROM {{docs}} WHERE {where}", values)}

    def memories(self, places: Iterable[int], memory_filter: MemoryFilter) -> list[IndexedMemory]:
        """The memories at these places that pass a filter."""
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
        """Contents that pass a filter more than once: their number and the newest, by fingerprint."""
        where, values = memory_filter.where(of_keys=True)
        sql = f"SELECT {_COLUMNS} FROM {{docs}} WHERE {where}"
        found: dict[int, tuple[int, IndexedMemory]] = {}
        for row in self._tables.run_at(sql, "fingerprint", prints, values):
            memory = IndexedMemory(*row)
            count, newest = found.get(memory.fingerprint, (0, memory))
            found[memory.fingerprint] = count + 1, max(newest, memory, key=age)
        return {fingerprint: pair for fingerprint, pair in found.items() if pair[0] > 1}

    # ---- vectors

    def model(self, name: str | None, dimensions: int | None = None) -> int | None:
        """The number of a model's vectors of this length, or of its newest length; None if there are none."""
        sql = "SELECT max(number) FROM {models} WHERE name=?1 AND dimensions=ifnull(?2, dimensions)"
        number = self._tables.one(sql, (name, dimensions))
        return None if number is None else int(number)

    def without_vectors(self, most: int, memory_filter: MemoryFilter, model: int | None) -> list[IndexedMemory]:
        """Memories that pass a filter and have no vector of a model yet, in order of places."""
        where, values = memory_filter.where()
        sql = f"""SELECT {_COLUMNS} FROM {{docs}} WHERE {where}
        AND place NOT IN (SELECT place FROM {{signs}} WHERE model=?) ORDER BY place LIMIT ?"""
        return [IndexedMemory(*row) for row in self._tables.run(sql, (*values, model, most))]

    def set_vectors(self, name: str, dimensions: int, rows: Sequence[tuple[int, bytes, bytes]]) -> None:
        """Store a model's vectors of places: the signs, and the whole vectors."""
        with self._tables.transaction():
            self._tables.run("INSERT OR IGNORE INTO {models}(name, dimensions) VALUES (?, ?)", (name, dimensions))
            model = self.model(name, dimensions)
            signs = [(model, place, sign) for place, sign, _ in rows]
            self._tables.run_many("INSERT OR REPLACE INTO {signs} VALUES (?, ?, ?)", signs)
            vectors = [(model, place, vector) for place, _, vector in rows]
            self._tables.run_many("INSERT OR REPLACE INTO {vectors} VALUES (?, ?, ?)", vectors)

    def remove_vectors(self, memory_filter: MemoryFilter, kept: int | None) -> None:
        """Remove the vectors of memories that pass a filter, except those of one model."""
        where, values = memory_filter.where()
        with self._tables.transaction():
            for table in ("{signs}", "{vectors}"):
                sql = (
                    f"DELETE FROM {table} WHERE model IS NOT ? AND place IN (SELECT place FROM {{docs}} WHERE {where})"
                )
                self._tables.run(sql, (kept, *values))

    def signs(self, scope: Scope, model: int) -> Iterator[tuple[int, bytes]]:
        """The signs of all vectors of a model in a scope's bounds."""
        for first, last in scope.bounds:
            bounds = model, first >> LENGTH_BITS, last >> LENGTH_BITS
            found = self._tables.run("SELECT place, signs FROM {signs} WHERE model=? AND place BETWEEN ? AND ?", bounds)
            yield from (row for row in found)  # as in `Tables.run_at`

    def vectors(self, places: Iterable[int], model: int) -> Iterator[tuple[int, bytes]]:
        """A model's vectors of places that have one."""
        return self._tables.run_at("SELECT place, vector FROM {vectors} WHERE model=?", "place", places, (model,))

    def youngest(self, places: Iterable[int], most: int) -> list[int]:
        """The places of the memories that occurred last."""
        rows = self.memories(places, MemoryFilter())
        return [row.place for row in sorted(rows, key=age, reverse=True)[:most]]


def _read(content: bytes) -> Memory:
    return Memory.model_validate_json(content, context=WIRE)


def age(memory: IndexedMemory) -> tuple[int, int, int, str]:
    """The sort key of memories, independent of the order of adding. Later memories have larger keys."""
    return memory.at, memory.time, memory.fingerprint, memory.session_id or ""

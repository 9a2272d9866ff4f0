"""Memories in a file: the store of the server's rules over SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Protocol, cast

from memtrace_transports._engine.store.rows import AgentCounts, Row, RowSelection
from memtrace_transports.sqlite._index import READ_COLUMNS, TextIndexes

_INSERT = (
    "INSERT INTO memories (id, org, time, agent_id, session_id, memory_type, event_type, content, metadata, tags, dedup_key,"
    " importance, parent_id) VALUES (?, ?, ?, ?, nullif(?, ''), ?, ?, ?, ?, ?, ?, ?, ?)"
)
_KEYS = 100
_STORED = "SELECT dedup_key, max(time) FROM memories WHERE org = ? AND dedup_key"
_STORED_ONE = f"{_STORED} = ? GROUP BY dedup_key"
_STORED_MANY = f"{_STORED} IN ({', '.join('?' * _KEYS)}) GROUP BY dedup_key"


_as_row = cast("Callable[[tuple[object, ...]], Row]", partial(tuple.__new__, Row))
"""`Row._make` without its count of the columns, which takes as long as the rest."""


class Numbers:
    """The rows of organisations by their ids: they never change while a file is in its place."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[str, int] = {}

    def use(self, connection: sqlite3.Connection) -> None:
        """Go on with another connection to the same file."""
        self._connection = connection

    def of(self, org_id: str) -> int:
        """The row of the organisation; 0, which no row has, where it is not stored."""
        number = self._known.get(org_id)
        if number is None:
            found = self._connection.execute("SELECT id FROM organisations WHERE org_id = ?", (org_id,)).fetchone()
            if found is None:
                return 0
            number = self._known[org_id] = int(found[0])
        return number

    def forget(self) -> None:
        """Know none any more: a transaction was taken back, and perhaps a new organisation with it."""
        self._known.clear()


class SqliteStore:
    """Arrived memories of all organisations, in the tables of `connection`. Its owner holds a lock around every call.

    A read walks the index of the agent, the session or the organisation from the end that was asked for, and stops when the
    page is full.
    """

    def __init__(self, connection: sqlite3.Connection, numbers: Numbers, indexes: TextIndexes) -> None:
        self._connection = connection
        self._numbers = numbers
        self._indexes = indexes

    def use(self, connection: sqlite3.Connection) -> None:
        """Go on with another connection to the same file."""
        self._connection = connection
        self._numbers.use(connection)

    def extend(self, org_id: str, rows: Iterable[Row]) -> None:
        """Keep `rows`, with their words in the text index; usually the newest, but a back-dated one takes its place in time."""
        org = self._numbers.of(org_id)
        (last,) = self._connection.execute("SELECT max(id) FROM memories").fetchone()
        numbered = list(zip(count((last or 0) + 1), rows))
        self._connection.executemany(_INSERT, [(number, org, *row) for number, row in numbered])
        self._indexes.add(org_id, numbered)

    def holds(self, org_id: str, time: int) -> bool:
        """Whether a row of this organisation has exactly this time."""
        query = "SELECT 1 FROM memories WHERE org = ? AND time = ?"
        return self._connection.execute(query, (self._numbers.of(org_id), time)).fetchone() is not None

    def newest(self, org_id: str) -> int:
        """The time of the newest row of this organisation, in microseconds; 0 when there is none."""
        query = "SELECT max(time) FROM memories WHERE org = ?"
        (time,) = self._connection.execute(query, (self._numbers.of(org_id),)).fetchone()
        return int(time or 0)

    def last_stored(self, org_id: str, dedup_keys: Sequence[str]) -> Mapping[str, int]:
        """The newest time at which a row with each of these keys was stored, in microseconds; keys of no row are left out."""
        org, execute = self._numbers.of(org_id), self._connection.execute
        if len(dedup_keys) == 1:
            return dict(execute(_STORED_ONE, (org, *dedup_keys)).fetchall())
        found: dict[str, int] = {}
        for start in range(0, len(dedup_keys), _KEYS):
            some = list(dedup_keys[start : start + _KEYS])
            some += some[:1] * (_KEYS - len(some))  # one statement for every number of them
            found.update(execute(_STORED_MANY, (org, *some)).fetchall())
        return found

    def select(self, org_id: str, selection: RowSelection) -> list[Row]:
        """The rows that `selection` asks for, from the end that it asks for."""
        conditions, values = _conditions(self._numbers.of(org_id), selection)
        order = "ASC" if selection.oldest_first else "DESC"
        query = f"SELECT {READ_COLUMNS} FROM memories WHERE {conditions} ORDER BY time {order} LIMIT ? OFFSET ?"  # noqa: S608
        rows = self._connection.execute(query, (*values, selection.limit, selection.offset))
        return list(map(_as_row, rows))

    def counts(self, org_id: str, agent_id: str, since: int) -> AgentCounts:
        """Statistics of one agent; recent is what is newer than `since`, in microseconds."""
        found = self._connection.execute(
            "SELECT memory_type, count(*), sum(time > ?), sum(time > ? AND event_type = 'error') FROM memories"
            " WHERE org = ? AND agent_id = ? GROUP BY memory_type",
            (since, since, self._numbers.of(org_id), agent_id),
        ).fetchall()
        by_type = {name: count for name, count, _, _ in found}
        return AgentCounts(sum(by_type.values()), sum(row[2] for row in found), sum(row[3] for row in found), by_type)


class _Add(Protocol):
    def __call__(self, condition: str, *given: object) -> None: ...


def _conditions(org: int, selection: RowSelection) -> tuple[str, list[object]]:
    """The WHERE clause of a selection and its values. Texts are compared as bytes, in which no NUL ends one."""
    parts, values = ["org = ?"], list[object]([org])

    def add(condition: str, *given: object) -> None:
        parts.append(condition)
        values.extend(given)

    if selection.session_id:
        add("session_id = ?", selection.session_id)
    if selection.agent_id:  # the index of a session is never longer than that of its agent
        add("+agent_id = ?" if selection.session_id else "agent_id = ?", selection.agent_id)
    if selection.after is not None:
        add("time > ?", _whole(selection.after))
    if selection.before is not None:
        add("time < ?", _whole(selection.before))
    _add_names(add, "memory_type", selection.memory_types)
    _add_names(add, "event_type", selection.event_types)
    for tag in selection.tags:
        add("instr(tags, ?)", tag)
    if selection.contains:
        add("instr(CAST(content AS BLOB), CAST(? AS BLOB))", selection.contains)
    if selection.min_importance is not None:
        add("importance >= ?", selection.min_importance)
    return " AND ".join(parts), values


def _add_names(add: _Add, column: str, names: Collection[str]) -> None:
    if names:
        add(f"{column} IN ({', '.join('?' * len(names))})", *names)


def _whole(time: int) -> int:
    """A bound that SQLite's integers hold, which reach 292,000 years from 1970."""
    return max(-(1 << 63), min(time, (1 << 63) - 1))

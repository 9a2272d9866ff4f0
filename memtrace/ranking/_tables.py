"""The tables of an index in an SQLite database, one set for each scope."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from memtrace.exceptions import ConfigurationError
from memtrace.ranking._words import VERSION

OTHER_VERSION = "the search index is another version's and is rebuilt"
"""The log message for it."""
_logger = logging.getLogger("memtrace.ranking")

#: The most keys of a statement, below the limit of the oldest SQLite.
_PORTION = 500

_CREATE = {
    "notes": "CREATE TABLE IF NOT EXISTS {notes} (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "docs": """CREATE TABLE IF NOT EXISTS {docs} (
        place INTEGER PRIMARY KEY, key INTEGER, sequence INTEGER NOT NULL, at INTEGER NOT NULL, time INTEGER NOT NULL,
        agent_id TEXT NOT NULL, session_id TEXT, memory_type TEXT NOT NULL, event_type TEXT NOT NULL,
        importance REAL NOT NULL, tags TEXT NOT NULL, fingerprint INTEGER NOT NULL, memory BLOB)""",
    "by_fingerprint": "CREATE INDEX IF NOT EXISTS {by_fingerprint} ON {docs} (fingerprint, time)",
    "by_time": "CREATE INDEX IF NOT EXISTS {by_time} ON {docs} (agent_id, time)",
    "by_sequence": "CREATE INDEX IF NOT EXISTS {by_sequence} ON {docs} (sequence, at, time, fingerprint)",
    "blocks": """CREATE TABLE IF NOT EXISTS {blocks} (
        id INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, agent_id TEXT NOT NULL, is_run INTEGER NOT NULL,
        taken INTEGER NOT NULL, docs INTEGER NOT NULL, length INTEGER NOT NULL, first INTEGER NOT NULL,
        last INTEGER NOT NULL, last_time INTEGER NOT NULL, last_print INTEGER NOT NULL, in_order INTEGER NOT NULL)""",
    "by_owner": "CREATE INDEX IF NOT EXISTS {by_owner} ON {blocks} (sequence, agent_id, first)",
    "words": "CREATE TABLE IF NOT EXISTS {words} (word TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID",
    "waiting": "CREATE TABLE IF NOT EXISTS {waiting} (row INTEGER PRIMARY KEY, words TEXT NOT NULL)",
    "models": """CREATE TABLE IF NOT EXISTS {models} (
        number INTEGER PRIMARY KEY, name TEXT NOT NULL, dimensions INTEGER NOT NULL, UNIQUE (name, dimensions))""",
    "signs": """CREATE TABLE IF NOT EXISTS {signs} (
        model INTEGER NOT NULL, place INTEGER NOT NULL, signs BLOB NOT NULL, PRIMARY KEY (model, place)) WITHOUT ROWID""",
    "vectors": """CREATE TABLE IF NOT EXISTS {vectors} (
        model INTEGER NOT NULL, place INTEGER NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (model, place))""",
    # words come as stems, in small letters and without accents: "ascii" takes every other character as a letter
    "text": """CREATE VIRTUAL TABLE IF NOT EXISTS {text} USING fts5 (
        words, content='', columnsize=0, detail=none, tokenize="ascii tokenchars '_'")""",
}


class Tables:
    """One scope's tables. In a statement ``{docs}`` is replaced by the table of that name."""

    def __init__(self, connection: sqlite3.Connection, number: int) -> None:
        self._connection = connection
        self._number = number
        self._sql = _Statements({name: f"recall{number}_{name}" for name in _CREATE})

    @classmethod
    def of(cls, connection: sqlite3.Connection, scope: str) -> Tables:
        """The tables of a scope. Missing tables are created, and those of another version are recreated."""
        known = cls.kept(connection, scope)
        if known is not None:
            return known
        with _transaction(connection):
            number, version = _entry_of(connection, scope)
            tables = cls(connection, number)
            if version not in {None, VERSION}:
                _logger.warning(OTHER_VERSION)
                _drop_all(connection, f"recall{number}_")
            tables.create()
            connection.execute("UPDATE recall_scopes SET version=? WHERE number=?", (VERSION, number))
        return tables

    @classmethod
    def kept(cls, connection: sqlite3.Connection, scope: str) -> Tables | None:
        """The existing tables of a scope, of this version; None if there are none. Writes nothing."""
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name='recall_scopes'").fetchone() is None:
            return None
        found = connection.execute(
            "SELECT number FROM recall_scopes WHERE scope=? AND version=?", (scope, VERSION)
        ).fetchone()
        return None if found is None else cls(connection, int(found[0]))

    def create(self) -> None:
        """Create missing tables."""
        try:
            for statement in _CREATE.values():
                self.run(statement)
        except sqlite3.OperationalError as error:
            if "fts5" not in str(error):
                raise
            raise ConfigurationError(
                "Python's sqlite3 was built without FTS5, which searching needs: use a Python with it"
            ) from error

    def drop(self) -> None:
        """Remove the tables, and everything in them."""
        for name in _CREATE:
            if not name.startswith("by_"):
                self.run(f"DROP TABLE IF EXISTS {{{name}}}")

    def forget(self) -> None:
        """Remove the tables and the scope itself."""
        self.drop()
        self._connection.execute("DELETE FROM recall_scopes WHERE number=?", (self._number,))

    def run(self, sql: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """Execute a statement."""
        return self._connection.execute(self._sql[sql], values)

    def run_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Execute a statement for each row."""
        self._connection.executemany(self._sql[sql], rows)

    def one(self, sql: str, values: Sequence[object] = ()) -> Any:
        """The first value of a statement's result; None without a row."""
        row = self.run(sql, values).fetchone()
        return None if row is None else row[0]

    def run_at(self, sql: str, column: str, keys: Iterable[int], values: Sequence[object] = ()) -> Iterator[Any]:
        """The rows of a statement for keys in a column, in order of the keys."""
        wanted = sorted(keys)
        for start in range(0, len(wanted), _PORTION):
            portion = wanted[start : start + _PORTION]
            found = self.run(f"{sql} AND {column} IN ({slots(portion)})", [*values, *portion])
            yield from (
                row for row in found
            )  # a cursor itself would be closed with this, which a closed connection refuses

    def is_text_whole(self) -> bool:
        """Whether FTS5's own tables are consistent. Raises `sqlite3.DatabaseError` if its words cannot be read."""
        # each segment of an index of FTS5 has its pages in one table, and the way to them in another
        lost = "SELECT EXISTS (SELECT id >> 37 FROM {text}_data WHERE id > 10 EXCEPT SELECT segid FROM {text}_idx)"
        if self.one(lost):
            return False
        self.run("CREATE VIRTUAL TABLE temp.{text}_words USING fts5vocab(main, {text}, row)")
        try:
            found: int = self.one("SELECT ifnull(sum(doc), 0) FROM temp.{text}_words")
        finally:
            self.run("DROP TABLE temp.{text}_words")
        expected: int = self.one("SELECT (SELECT count(*) FROM {docs}) - (SELECT count(*) FROM {waiting})")
        return found >= expected  # each memory has a word at least

    def transaction(self) -> AbstractContextManager[None]:
        """Write everything in the block or nothing, in the connection's transaction or a new one."""
        return _transaction(self._connection)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read one state of the database in the block."""
        connection = self._connection
        if connection.in_transaction:
            yield
            return
        connection.execute("BEGIN")
        try:
            yield
        finally:
            connection.rollback()


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


class _Statements(dict[str, str]):
    """SQL with the names of one scope's tables, cached for each statement."""

    def __init__(self, names: dict[str, str]) -> None:
        super().__init__()
        self._names = names

    def __missing__(self, sql: str) -> str:
        named = sql.format_map(self._names)
        if len(self) < _MOST_STATEMENTS:
            self[sql] = named
        return named


#: Statements with lists of keys differ in length, so the cache is limited.
_MOST_STATEMENTS = 200


def slots(values: Sequence[object]) -> str:
    """A placeholder for each value."""
    return ",".join("?" * len(values))


def _entry_of(connection: sqlite3.Connection, scope: str) -> tuple[int, int | None]:
    """The number of a scope's tables, and the version that created them; None for new tables."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS recall_scopes (number INTEGER PRIMARY KEY, scope TEXT UNIQUE, version INTEGER)"
    )
    connection.execute("INSERT OR IGNORE INTO recall_scopes(scope) VALUES (?)", (scope,))
    number, version = connection.execute("SELECT number, version FROM recall_scopes WHERE scope=?", (scope,)).fetchone()
    return int(number), version


def _drop_all(connection: sqlite3.Connection, prefix: str) -> None:
    """Remove the tables of another version, whatever they are called; those of FTS5 go with their virtual table."""
    sql = (
        "SELECT name FROM sqlite_master WHERE type='table' AND substr(name, 1, ?)=? ORDER BY sql LIKE '%VIRTUAL%' DESC"
    )
    for (name,) in connection.execute(sql, (len(prefix), prefix)).fetchall():
        connection.execute(f'DROP TABLE IF EXISTS "{name}"')

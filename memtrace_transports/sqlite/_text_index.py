"""The text index of an organisation as it is looked after: what is wrong with it, merging it, and making it anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from memtrace._support.sqlite_files import execute_waiting, fault_of
from memtrace_transports.sqlite._schema import create_text_index, text_table
from memtrace_transports.sqlite._search_text import search_text

_INDIFFERENT = frozenset({"locked", "read_only"})


def check_structure(connection: sqlite3.Connection, org: int, until: float) -> None:
    """Let FTS5 look at what it wrote. Raises `sqlite3.DatabaseError` for what it finds.

    It writes to do so: where nobody may write until the monotonic time `until`, `text_problems` reads the index all the same.
    """
    table = text_table(org)
    try:
        execute_waiting(connection, f"INSERT INTO {table} ({table}) VALUES ('integrity-check')", until)  # noqa: S608
    except sqlite3.OperationalError as error:
        if fault_of(error).name not in _INDIFFERENT:
            raise


def text_problems(connection: sqlite3.Connection, org: int, org_id: str) -> Iterator[str]:
    """What the index has and the organisation has not, and the other way round. Reads all of it, which may raise."""
    table = text_table(org)
    lacking = _one(
        connection,
        "SELECT count(*) FROM memories AS m WHERE org = ?"  # noqa: S608
        f" AND NOT EXISTS (SELECT 1 FROM {table}_docsize AS d WHERE d.id = m.id)",
        org,
    )
    if lacking:
        yield f"the text index of {org_id} lacks memories: {lacking}"
    strays = _one(
        connection,
        f"SELECT count(*) FROM {table}_docsize AS d"  # noqa: S608
        " WHERE NOT EXISTS (SELECT 1 FROM memories AS m WHERE m.id = d.id AND m.org = ?)",
        org,
    )
    if strays:
        yield f"the text index of {org_id} has memories that are not stored: {strays}"
    # each segment of an index of FTS5 has its pages in one table, and the way to them in another
    lost = _one(
        connection,
        f"SELECT count(*) FROM (SELECT id >> 37 FROM {table}_data WHERE id > 10 EXCEPT SELECT segid FROM {table}_idx)",  # noqa: S608
    )
    if lost or _words(connection, table) != _words_of_sizes(connection, table):
        yield f"the text index of {org_id} has other words than its memories"


def merge_text_index(connection: sqlite3.Connection, org: int) -> None:
    """Leave out the words of what was removed, which an index of FTS5 keeps until it is merged."""
    table = text_table(org)
    connection.execute(f"INSERT INTO {table} ({table}) VALUES ('optimize')")  # noqa: S608


def make_text_index_anew(connection: sqlite3.Connection, org: int) -> None:
    """Make the index of an organisation of what it remembers, within a transaction of the caller."""
    table = text_table(org)
    connection.execute(f"DROP TABLE IF EXISTS {table}")
    create_text_index(connection, org)
    stored = connection.execute("SELECT id, content, metadata FROM memories WHERE org = ? ORDER BY id", (org,))
    connection.executemany(
        f"INSERT INTO {table} (rowid, text) VALUES (?, ?)",  # noqa: S608
        ((number, search_text(content, metadata)) for number, content, metadata in stored),
    )


def _words(connection: sqlite3.Connection, table: str) -> int:
    """How many words the index has, by reading each."""
    connection.execute(f"CREATE VIRTUAL TABLE temp.{table}_words USING fts5vocab(main, {table}, row)")
    try:
        return _one(connection, f"SELECT ifnull(sum(cnt), 0) FROM temp.{table}_words")  # noqa: S608
    finally:
        connection.execute(f"DROP TABLE temp.{table}_words")


def _words_of_sizes(connection: sqlite3.Connection, table: str) -> int:
    """How many words the index says that its memories have."""
    return sum(_varint(size) for (size,) in connection.execute(f"SELECT sz FROM {table}_docsize"))  # noqa: S608


def _varint(data: bytes) -> int:
    r"""The number at the beginning of `data`, as SQLite writes it: seven bits a byte, the last one without the eighth.

    >>> _varint(b"\x05"), _varint(b"\x81\x00")
    (5, 128)
    """
    number = 0
    for byte in data:
        number = number << 7 | byte & 0x7F
    return number


def _one(connection: sqlite3.Connection, query: str, *values: object) -> int:
    (value,) = connection.execute(query, values).fetchone()
    return int(value)

"""Check and repair the full-text index of an organisation."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from memtrace._support.sqlite_files import begin, fault_of
from memtrace_transports.sqlite._index import TextIndexes

_INDIFFERENT = frozenset({"locked", "read_only"})


def check_structure(connection: sqlite3.Connection, indexes: TextIndexes, org_id: str, until: float) -> None:
    """Let FTS5 look at what it wrote. Raises `sqlite3.DatabaseError` for what it finds.

    It writes to do so: where nobody may write until the monotonic time `until`, `text_problems` reads the index all the same.
    """
    try:
        begin(connection, until)
        indexes.of(org_id).check()
    except sqlite3.OperationalError as error:
        if fault_of(error).name not in _INDIFFERENT:
            raise
    finally:
        if connection.in_transaction:
            connection.rollback()
            indexes.forget()


def text_problems(connection: sqlite3.Connection, indexes: TextIndexes, org_id: str) -> Iterator[str]:
    """What the index has and the organisation has not, and the other way round. Reads all of it, which may raise."""
    index = indexes.kept(org_id)
    if index is None:  # the next search makes it
        return
    query = "SELECT m.id FROM memories AS m JOIN organisations AS o ON o.id = m.org WHERE o.org_id = ?"
    stored = {number for (number,) in connection.execute(query, (org_id,))}
    indexed = set(index.keys())
    if stored - indexed:
        yield f"the text index of {org_id} lacks memories: {len(stored - indexed)}"
    if indexed - stored:
        yield f"the text index of {org_id} has memories that are not stored: {len(indexed - stored)}"
    if not index.is_whole():
        yield f"the text index of {org_id} has other words than its memories"


def mend_text(
    connection: sqlite3.Connection, indexes: TextIndexes, org_id: str, until: float, *, is_merged: bool = False
) -> None:
    """Make the text index of an organisation anew where it is damaged; before that merge it where that is asked for.

    Waits for other processes until the monotonic time `until`, and commits.
    """
    begin(connection, until)
    try:
        index = indexes.of(org_id)
        if is_merged:
            index.compact()
        index.check()
        is_whole = not any(text_problems(connection, indexes, org_id))
    except sqlite3.DatabaseError:
        connection.rollback()
        begin(connection, until)
        is_whole = False
    if not is_whole:
        indexes.make_anew(org_id)
    connection.execute("COMMIT")

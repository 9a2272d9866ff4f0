"""Checks of a store's file: its pages, its indexes, the references of its rows, and its text indexes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from memtrace._support.sqlite_files import is_locked
from memtrace_transports.sqlite._index import TextIndexes
from memtrace_transports.sqlite._text_index import check_structure, text_problems


def find_problems(connection: sqlite3.Connection, indexes: TextIndexes, until: float) -> list[str]:
    """A line for each thing that is wrong; what cannot be read is one, and the rest is looked at all the same.

    Waits for others who write until the monotonic time `until`. Raises `sqlite3.OperationalError` where the file is locked.
    """
    problems: list[str] = []
    organisations: list[str] = []
    with _noting(problems, "the organisations cannot be read"):
        organisations = [org_id for (org_id,) in connection.execute("SELECT org_id FROM organisations")]
    for org_id in organisations:
        with _noting(problems, f"the text index of {org_id} is damaged"):
            check_structure(connection, indexes, org_id, until)
    with _one_moment(connection):
        _add(problems, "the pages cannot be read through", _page_problems(connection))
        _add(problems, "the references cannot be read through", _reference_problems(connection))
        for org_id in organisations:
            _add(problems, f"the text index of {org_id} cannot be read", text_problems(connection, indexes, org_id))
    return problems


@contextmanager
def _noting(problems: list[str], what: str) -> Iterator[None]:
    """Make a line of what SQLite says, after those that are there already."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if is_locked(error):
            raise
        problems.append(f"{what}: {error}")


def _add(problems: list[str], what: str, found: Iterable[str]) -> None:
    with _noting(problems, what):
        for problem in found:
            problems.append(problem)  # noqa: PERF402  # those before an error count


@contextmanager
def _one_moment(connection: sqlite3.Connection) -> Iterator[None]:
    """Read what is stored at one moment, while others go on writing."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.rollback()


def _page_problems(connection: sqlite3.Connection) -> Iterator[str]:
    for (text,) in connection.execute("PRAGMA integrity_check"):
        if text != "ok":
            yield text


def _reference_problems(connection: sqlite3.Connection) -> Iterator[str]:
    for table, number, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield f"row {number} of {table} refers to a row of {parent} that is not there"

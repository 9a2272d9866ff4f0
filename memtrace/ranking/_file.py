"""A file of its own for an index, which several processes may use at once."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from os import PathLike, fspath
from pathlib import Path

from memtrace.exceptions import ConfigurationError

_APPLICATION = 0x4D54_5258  # "MTRX", in the header of the file
_logger = logging.getLogger("memtrace.ranking")


def open_index_file(path: str | PathLike[str], *, timeout: float = 5.0) -> sqlite3.Connection:
    """A connection to an index file, which is made if need be. A damaged one is made anew; the log says so.

    The connection may be used by another thread, one at a time. `timeout` is how many seconds it waits for another process that
    writes. Raises `ConfigurationError` for another program's database, which stays as it is, and what SQLite raises when the
    file cannot be opened.
    """
    file = Path(fspath(path))
    try:
        return _checked(file, timeout)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        _logger.warning("the search index is damaged and is made anew")
        for suffix in ("", "-wal", "-shm"):
            Path(f"{file}{suffix}").unlink(missing_ok=True)
        return _checked(file, timeout)


def _checked(file: Path, timeout: float) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=timeout, isolation_level=None, check_same_thread=False)
    try:
        _check(connection)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")  # what a power cut takes is read again
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    with closing(connection.execute("PRAGMA quick_check(1)")) as checked:
        if checked.fetchone()[0] != "ok":
            raise sqlite3.DatabaseError
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application == _APPLICATION:
        return
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables:
        raise ConfigurationError("the file for the search index is another program's database: give a path of its own")
    connection.execute(f"PRAGMA application_id={_APPLICATION}")

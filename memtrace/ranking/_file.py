"""A separate file for an index. Several processes may use it at once."""

from __future__ import annotations

import logging
import os
import re
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import blake2b
from os import PathLike, fspath
from pathlib import Path

from memtrace._support.sqlite_files import FileFormat, UnusableFileError, fault_of, open_file
from memtrace.exceptions import ConfigurationError, MemtraceError
from memtrace.ranking._tables import OTHER_VERSION


def _first(_: sqlite3.Connection) -> None:
    """Each scope creates its tables, and has its own version."""


_FORMAT = FileFormat(0x4D54_5258, (_first,))  # "MTRX", in the header of the file
_OFFSET = 68
"""The offset of the application ID in the header of an SQLite file."""
_SUFFIXES = ("", "-wal", "-shm")
_LOST = re.compile("no such table|no such column|vtable constructor failed")
"""SQLite's message if a table of the index is missing."""
_SAID = "the search index is damaged and is rebuilt"
_logger = logging.getLogger("memtrace.ranking")


def open_index_file(path: str | PathLike[str], *, timeout: float = 5.0) -> sqlite3.Connection:
    """Open an index file, created if it does not exist.

    A damaged file, and one of a newer release, is created anew. A log record reports it. The
    connection may be used by other threads, one at a time.

    Args:
        path: The file.
        timeout: Seconds to wait for another process that writes.

    Returns:
        The connection.

    Raises:
        ConfigurationError: The file is another program's database, which stays as it is, or the
            path cannot hold a file.
    """
    file = os.path.abspath(fspath(path))  # noqa: PTH100  # as it is written, with its links
    try:
        try:
            return _checked(file, timeout)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            _put_aside(file)
        except UnusableFileError as error:
            if error.fault.name != "newer":
                raise
            _keep_as(file, ".newer")
            _logger.warning("%s; the old file is kept beside it as .newer", OTHER_VERSION)
        return _checked(file, timeout)
    except UnusableFileError as error:
        raise _unusable(file, error.fault.problem, error.fault.hint) from error
    except sqlite3.Error as error:
        raise index_error(error, file) from error


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file must be recreated."""
    return fault_of(error).name in ("damaged", "no_database") or _LOST.search(str(error)) is not None


@contextmanager
def reading_rows() -> Iterator[None]:
    """Raise `sqlite3.DatabaseError`, as for other damage, if a row of an index is not as it was written.

    SQLite does not know what its values mean: a memory that is no JSON, a time that no calendar has, a note cut in half.
    """
    try:
        yield
    except MemtraceError:
        raise
    except (ValueError, LookupError, TypeError, ArithmeticError, AttributeError):
        # without its cause, which may hold the content of a memory
        raise sqlite3.DatabaseError("the search index is malformed: its rows cannot be read") from None


def index_error(error: sqlite3.Error, path: str | None) -> ConfigurationError:
    """The log message for a fault of an index."""
    fault = fault_of(error)
    return _unusable(path, fault.problem, fault.hint)


def remove_damaged_index(path: str) -> None:
    """Remove an index that turned out damaged, with its log. It is recreated when it is opened next."""
    _logger.warning(_SAID)
    _remove(path)


def scope_name(connection: sqlite3.Connection, *parts: str) -> str:
    """The scope of a base URL and an API key. The file stores neither."""
    connection.execute("CREATE TABLE IF NOT EXISTS recall_salt (id INTEGER PRIMARY KEY, salt BLOB NOT NULL)")
    connection.execute("INSERT OR IGNORE INTO recall_salt VALUES (1, ?)", (secrets.token_bytes(16),))
    (salt,) = connection.execute("SELECT salt FROM recall_salt").fetchone()
    return blake2b("\n".join(parts).encode(), key=salt, digest_size=16).hexdigest()


def _remove(path: str) -> None:
    for suffix in _SUFFIXES:
        Path(path + suffix).unlink(missing_ok=True)


def _checked(file: str, timeout: float) -> sqlite3.Connection:
    # what a power cut takes is read again
    connection = open_file(file, _FORMAT, time.monotonic() + timeout, synchronous="normal")
    try:
        _check(connection)
        connection.execute(f"PRAGMA busy_timeout = {round(1000 * timeout)}")
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    with closing(connection.execute("PRAGMA quick_check(1)")) as checked:
        if checked.fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("malformed")


def _put_aside(file: str) -> None:
    """Move the old file out of the way. A file that is not an index is kept under another name."""
    with Path(file).open("rb") as opened:
        is_ours = opened.read(_OFFSET + 4)[_OFFSET:] == _FORMAT.application_id.to_bytes(4, "big")
    if is_ours:
        remove_damaged_index(file)
        return
    _keep_as(file, ".damaged")
    _logger.warning("%s; the old file is kept beside it as .damaged", _SAID)


def _keep_as(file: str, ending: str) -> None:
    """Rename an index. An earlier file of that name is removed with its log."""
    for suffix in _SUFFIXES:
        Path(file + ending + suffix).unlink(missing_ok=True)
        if Path(file + suffix).exists():
            Path(file + suffix).replace(file + ending + suffix)


def _unusable(path: str | None, problem: str, hint: str) -> ConfigurationError:
    return ConfigurationError(f"the search index {path or 'in memory'} {problem}", argument="search_index", hint=hint)

"""Opening a store's file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from memtrace._support.sqlite_files import FileFormat, UnusableFileError, known_version, open_file
from memtrace._support.sqlite_urls import StoreLocation
from memtrace_transports.sqlite._errors import hint_for, store_error, unusable
from memtrace_transports.sqlite._schema import APPLICATION_ID, MIGRATIONS

_FORMAT = FileFormat(APPLICATION_ID, MIGRATIONS)


def open_store(location: StoreLocation, until: float, *, create: bool = True) -> sqlite3.Connection:
    """A connection to a store of this version, in autocommit mode; with `create` the file is made where it is missing.

    Waits for other processes until the monotonic time `until`. Raises `ConfigurationError` and `TransportError` with the path.
    """
    with _told(location.path):
        return open_file(location.path, _FORMAT, until, synchronous=location.durability, create=create)


def check_version(connection: sqlite3.Connection, location: StoreLocation) -> None:
    """Raise `ConfigurationError` where a newer release has taken over the file of an open connection."""
    with _told(location.path):
        known_version(connection, _FORMAT)


@contextmanager
def _told(path: str) -> Iterator[None]:
    try:
        yield
    except UnusableFileError as error:
        raise unusable(path, error.fault.problem, hint_for(error.fault)) from error.__cause__
    except sqlite3.Error as error:
        raise store_error(error, path) from error

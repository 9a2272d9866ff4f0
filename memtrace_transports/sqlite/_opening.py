"""Opening a store's file."""

from __future__ import annotations

import sqlite3

from memtrace._support.sqlite_files import FileFormat, UnusableFileError, open_file
from memtrace._support.sqlite_urls import StoreLocation
from memtrace_transports.sqlite._errors import hint_for, store_error, unusable
from memtrace_transports.sqlite._schema import APPLICATION_ID, MIGRATIONS

_FORMAT = FileFormat(APPLICATION_ID, MIGRATIONS)


def open_store(location: StoreLocation, until: float, *, create: bool = True) -> sqlite3.Connection:
    """A connection to a store of this version, in autocommit mode; with `create` the file is made where it is missing.

    Waits for other processes until the monotonic time `until`. Raises `ConfigurationError` and `TransportError` with the path.
    """
    path = location.path
    try:
        return open_file(path, _FORMAT, until, synchronous=location.durability, create=create)
    except UnusableFileError as error:
        raise unusable(path, error.fault.problem, hint_for(error.fault)) from error.__cause__
    except sqlite3.Error as error:
        raise store_error(error, path) from error

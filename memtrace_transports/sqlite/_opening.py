"""Opening a store's file: made where it is missing, checked, brought to this version, never harmed where it is another's."""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
import time
from pathlib import Path

from memtrace._support.sqlite_urls import StoreLocation
from memtrace_transports.sqlite._errors import store_error, unusable
from memtrace_transports.sqlite._schema import APPLICATION_ID, MIGRATIONS, VERSION

BUSY_SECONDS = 0.1
"""How long SQLite itself waits for a lock: short, so that Ctrl-C and a timeout are noticed in between."""

_STATEMENTS = 256
_MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ncpfs", "fuse.sshfs", "glusterfs", "fuse.glusterfs"}
)


def open_store(location: StoreLocation, until: float, *, create: bool = True) -> sqlite3.Connection:
    """A connection to a store of this version, in autocommit mode; with `create` the file is made where it is missing.

    Waits for other processes until the monotonic time `until`. Raises `ConfigurationError` and `TransportError` with the path.
    """
    path = location.path
    _check_place(path, create=create)
    try:
        connection = sqlite3.connect(
            f"{Path(path).as_uri()}?mode=rw",
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_STATEMENTS,
            uri=True,
        )
    except sqlite3.Error as error:
        raise store_error(error, path) from error
    try:
        _prepare_waiting(connection, location, until)
    except sqlite3.Error as error:
        connection.close()
        raise store_error(error, path) from error
    except BaseException:
        connection.close()
        raise
    return connection


def begin(connection: sqlite3.Connection, until: float) -> None:
    """Begin a transaction that writes, once no other process is in one. Raises sqlite3.OperationalError after `until`."""
    execute_waiting(connection, "BEGIN IMMEDIATE", until)


def execute_waiting(connection: sqlite3.Connection, statement: str, until: float) -> None:
    """Run a statement once no other process is in its way. Raises sqlite3.OperationalError after `until`."""
    while True:
        try:
            connection.execute(statement)
        except sqlite3.OperationalError as error:
            if not is_locked(error) or time.monotonic() >= until:
                raise
        else:
            return


def is_locked(error: sqlite3.Error) -> bool:
    """Whether another connection holds what this one needs."""
    return "is locked" in str(error)


# ---- the place ------------------------------------------------------------------------------------------------------


def _check_place(path: str, *, create: bool) -> None:
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        if not create:
            raise unusable(path, "does not exist", "check the path; a client that writes makes the file") from None
        _create(path)
        mode = Path(path).stat().st_mode
    except OSError as error:
        raise unusable(path, f"cannot be reached: {error.strerror}", "check the path and its permissions") from error
    if not stat.S_ISREG(mode):
        what = "is a folder" if stat.S_ISDIR(mode) else "is no regular file"
        raise unusable(path, what, "name a file, as in sqlite:///agent.db")
    if _file_system(path) in _NETWORK:
        raise unusable(
            path,
            "is on a network share, where SQLite's locks do not hold",
            "keep it on a local disk, and share it with: memtrace-sdk serve",
        )


def _create(path: str) -> None:
    """Make an empty file that only its owner may read. What SQLite makes beside it gets the same permissions."""
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        if not Path(path).is_file():  # a part of the folder's path is a file, or a link leads nowhere
            raise unusable(path, "cannot be made: something else stands in its place", "name another file") from None
    except OSError as error:
        raise unusable(path, f"cannot be made: {error.strerror}", "check the path and its permissions") from error


def _file_system(path: str) -> str:
    """The kind of file system that `path` is on; "" where nobody says so."""
    if path.startswith("\\\\"):
        return "cifs"
    if not sys.platform.startswith("linux"):
        return ""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    real, found, kind = os.path.realpath(path), "", ""
    for line in lines:
        before, _, after = line.partition(" - ")
        point = before.split(" ")[4].replace("\\040", " ")
        if len(point) >= len(found) and (real == point or real.startswith(point.rstrip("/") + "/")):
            found, kind = point, after.split(" ")[0]
    return kind


# ---- the file -------------------------------------------------------------------------------------------------------


def _prepare_waiting(connection: sqlite3.Connection, location: StoreLocation, until: float) -> None:
    """`_prepare`, once no other process is in its way."""
    while True:
        try:
            return _prepare(connection, location, until)
        except sqlite3.OperationalError as error:
            if not is_locked(error) or time.monotonic() >= until:
                raise
            time.sleep(BUSY_SECONDS / 10)  # where the journal's mode changes, SQLite does not wait by itself


def _prepare(connection: sqlite3.Connection, location: StoreLocation, until: float) -> None:
    _check_owner(connection, location.path)
    _use_write_ahead_log(connection, location.path)
    connection.execute(f"PRAGMA synchronous = {location.durability.upper()}")
    connection.execute("PRAGMA foreign_keys = ON")
    if _version(connection, location.path) < VERSION:
        _migrate(connection, location.path, until)


def _check_owner(connection: sqlite3.Connection, path: str) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID and connection.execute("SELECT 1 FROM sqlite_master").fetchone() is not None:
        raise unusable(path, "is the database of another program", "name another file; this one was not changed")
    _version(connection, path)


def _version(connection: sqlite3.Connection, path: str) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise unusable(
            path,
            f"was written by a newer memtrace-sdk: its schema has version {version}, this release knows {VERSION}",
            "upgrade memtrace-sdk; the file was not changed",
        )
    return int(version)


def _use_write_ahead_log(connection: sqlite3.Connection, path: str) -> None:
    """Readers and a writer do not wait for each other in this mode. The file remembers it."""
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise unusable(path, "is on a file system that cannot keep a write-ahead log", "keep it on a local disk")


def _migrate(connection: sqlite3.Connection, path: str, until: float) -> None:
    """Bring the file to this version in one transaction, once for all processes."""
    begin(connection, until)
    try:
        version = _version(connection, path)
        for migrate in MIGRATIONS[version:]:
            migrate(connection)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise

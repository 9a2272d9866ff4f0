"""A store in a file that can go back: for the fake, whose tests ask for it."""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import cast

from memtrace._support.forks import ClosedBeforeForks, Lock, close_before_forks
from memtrace._support.sqlite_files import begin, data_version
from memtrace.exceptions import MemtraceError
from memtrace_transports._engine.organisations import OrganisationState, Visibility
from memtrace_transports._engine.settings import ServerSettings
from memtrace_transports._engine.stamps import Stamps
from memtrace_transports._engine.store.snapshots import StoreSnapshot
from memtrace_transports.sqlite._directory import SqliteDirectory
from memtrace_transports.sqlite._errors import store_error
from memtrace_transports.sqlite._index import TextIndexes
from memtrace_transports.sqlite._opening import open_store
from memtrace_transports.sqlite._store import Numbers, SqliteStore
from memtrace_transports.sqlite._transport import read_location

_PATIENCE = 5.0
"""Seconds that a fake waits for other processes."""


class _Copy(StoreSnapshot):
    """All of a file, in memory."""

    __slots__ = ("__weakref__", "connection", "store")

    def __init__(self, store: object, connection: sqlite3.Connection) -> None:
        self.store = store
        self.connection = connection
        weakref.finalize(self, connection.close)  # a snapshot ends with its last reference


class CopiedStore(SqliteStore):
    """A `SnapshotStore` in a file: a snapshot is a copy of it."""

    def snapshot(self) -> StoreSnapshot:
        """What the file holds now, to come back to. Takes as long as a copy of it."""
        copy = _Copy(self, sqlite3.connect(":memory:", check_same_thread=False))
        self._connection.backup(copy.connection)
        return copy

    def restore(self, snapshot: StoreSnapshot) -> None:
        """Hold again what was held at `snapshot`, which stays valid. Raises ValueError for one of another store."""
        if not isinstance(snapshot, _Copy) or snapshot.store is not self:
            raise ValueError("this snapshot was taken of another store")
        snapshot.connection.backup(self._connection)
        self._numbers.forget()
        self._indexes.forget()


class CopiedDirectory(SqliteDirectory):
    """A `SnapshotDirectory` in a file, beside a `CopiedStore`: that one has the file, this one what only the process has."""

    def snapshot(self) -> object:
        """What organisations are in this process, to come back to."""
        return {org_id: org.copy() for org_id, org in self._states.items()}

    def restore(self, snapshot: object, later: int) -> None:
        """Restore the state at `snapshot`. Its pending events are postponed by `later` microseconds."""
        held = cast("dict[str, OrganisationState]", snapshot)
        self._states = {org_id: org.copy(later) for org_id, org in held.items()}


class FileBacking(ClosedBeforeForks):
    """A store and a directory in the file that `store` names. No fork comes while the file is open.

    Args:
        store: The address or path of the file.
        stamps: Gives times.
        visibility: Of new organisations.
        settings: Of the server that it plays.
        lock: What its owner holds around every call.

    Raises:
        ConfigurationError: No store can be there.
    """

    def __init__(
        self,
        store: str | os.PathLike[str],
        stamps: Stamps,
        visibility: Visibility,
        settings: ServerSettings,
        lock: Lock,
    ) -> None:
        self._location = read_location(store)
        super().__init__(lock, _PATIENCE)
        self._is_closed = False
        self.connection: sqlite3.Connection = self._open(create=True)
        numbers = Numbers(self.connection)
        indexes = TextIndexes(self.connection)
        self.directory: CopiedDirectory = CopiedDirectory(
            self.connection, numbers, indexes, stamps, visibility, settings
        )
        self.store: CopiedStore = CopiedStore(self.connection, numbers, indexes)
        close_before_forks(self)

    def _open(self, *, create: bool) -> sqlite3.Connection:
        connection = open_store(self._location, time.monotonic() + _PATIENCE, create=create)
        self._data_version = data_version(connection)
        weakref.finalize(self, connection.close)  # as a fake does, that nobody closes
        return connection

    def _close_for_fork(self) -> None:
        self.connection.close()
        self._is_closed = True

    def _open_after_fork(self) -> None:
        with suppress(MemtraceError):  # a file that is gone by then is an error of the next call
            self._open_again()

    def _open_again(self) -> None:
        self.connection = self._open(create=False)
        self._is_closed = False
        self.store.use(self.connection)
        self.directory.use(self.connection)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A block of calls of the two whose effects are kept together, or not at all."""
        if self._is_closed:
            self._open_again()
        if self.connection.in_transaction:  # within one already
            yield
            return
        try:
            begin(self.connection, time.monotonic() + _PATIENCE)
            version = data_version(self.connection)
            if version != self._data_version:
                self.directory.forget_file()
                self._data_version = version
            yield
            self.connection.execute("COMMIT")
        except BaseException as error:
            self.connection.rollback()
            if isinstance(error, sqlite3.Error):
                raise store_error(error, self._location.path) from error
            raise

    def clear(self) -> None:
        """Forget everything that the file holds."""
        with self.transaction():
            self.connection.execute(
                "INSERT OR REPLACE INTO settings SELECT 'last_organisation', max(id) FROM organisations HAVING max(id)"
            )
            for (org_id,) in self.connection.execute("SELECT org_id FROM organisations").fetchall():
                self.directory.indexes.drop(org_id)
            for table in ("memories", "sessions", "agents", "keys", "organisations"):
                self.connection.execute(f"DELETE FROM {table}")  # noqa: S608
        self.directory.forget()

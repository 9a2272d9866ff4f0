"""The file in which a write buffer keeps memories until the server has stored them. It outlives the process.

A memory is in the file before `add` returns. It is marked before it is sent, and removed once the server has it. A
marked memory left by a dead process may be stored or not: the buffer looks for it on the server before it retries.
"""

from __future__ import annotations

import hmac
import json
import math
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, NamedTuple

from memtrace._support.forks import ClosedBeforeForks, close_before_forks
from memtrace._support.process_locks import ProcessLock
from memtrace._support.sqlite_files import (
    Fault,
    FileFormat,
    UnusableFileError,
    begin,
    fault_of,
    identity,
    open_file,
)
from memtrace._support.sqlite_urls import location_of_path, location_of_plain_path
from memtrace._support.timestamps import from_microseconds, to_microseconds
from memtrace._support.urls import AddressError
from memtrace._support.worker_threads import WorkerThread
from memtrace.exceptions import APIConnectionError, APITimeoutError, ConfigurationError, MemtraceError
from memtrace.models import AddMemoryRequest
from memtrace.operations._sent_memories import CallKey

if TYPE_CHECKING:
    from memtrace._runtime.config import Settings
    from memtrace.outcomes import OnFull

_TABLES = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE memories (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    owner BLOB NOT NULL,
    body BLOB NOT NULL,
    is_unique INTEGER NOT NULL,
    added INTEGER NOT NULL,
    sent_since INTEGER
);
CREATE TABLE refused (number INTEGER PRIMARY KEY, body BLOB NOT NULL, added INTEGER NOT NULL, error TEXT NOT NULL);
"""


def _first(connection: sqlite3.Connection) -> None:
    for statement in _TABLES.split(";\n"):
        connection.execute(statement)
    connection.execute("INSERT INTO settings VALUES ('salt', ?)", (secrets.token_bytes(16),))


_FORMAT = FileFormat(0x4D454D53, (_first,))  # MEMS

_HINTS = {
    "full": "make room and add it again",
    "damaged": "move it away, so that a new one is made; sqlite3 FILE .recover saves what can be read of it",
    "missing": "check the path; a write buffer makes the file",
}


class SpooledMemory(NamedTuple):
    """A memory of the file that is to be sent: since when it may be on the server, None where nobody has sent it."""

    number: int
    request: AddMemoryRequest
    sent_since: datetime | None


class RefusedMemory(NamedTuple):
    """A memory that the server refused for good: as it was sent, and why, without what it holds."""

    number: int
    body: bytes
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolCounts:
    """How many memories of each kind a spool has."""

    waiting: int
    #: Sent, and nobody knows whether they are stored: by a process that does it now, or one that is gone.
    under_way: int
    #: Refused by the server for good, and kept apart.
    failed: int
    #: When the oldest was added that waits or is under way.
    oldest: datetime | None


def spool_path(spool: str | os.PathLike[str], on_full: OnFull = "block") -> str:
    """The absolute path of a spool. Raises `ConfigurationError`."""
    if on_full == "drop_oldest":
        raise ConfigurationError(
            "on_full='drop_oldest' does not go with a spool, which keeps all that it took", argument="on_full"
        )
    path: object = os.fspath(spool) if isinstance(spool, os.PathLike) else spool
    if not isinstance(path, str):
        raise ConfigurationError("the spool must be a string or a pathlib.Path", argument="spool")
    try:
        return (location_of_plain_path if isinstance(spool, str) else location_of_path)(path).path
    except AddressError as error:
        raise ConfigurationError(f"the spool is not a valid path: {error}", argument="spool") from None


class Spool(ClosedBeforeForks):
    """One process's way into a spool's file; for any of its threads. Opens at the first use, and again after a fork.

    Every method but `release_role` and `close` raises `ConfigurationError`, `APIConnectionError` and `APITimeoutError` with the
    path for what befalls the file, and then has done nothing.
    """

    def __init__(self, path: str, settings: Settings | None, *, create: bool = True, take_over: bool = False) -> None:
        self.path: str = path
        #: Does the work of this file for an event loop.
        self.thread: WorkerThread = WorkerThread("memtrace spool")
        self._settings = settings
        self._create = create
        self._take_over = take_over
        self._timeout = math.inf if settings is None or settings.timeout is None else settings.timeout
        self._owner = secrets.token_bytes(8)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._role = ProcessLock(f"{path}-sender")
        self._has_role = False
        super().__init__(self._lock)
        close_before_forks(self)

    # ---- adding

    def add(self, body: bytes, *, is_unique: bool) -> int:
        """Keep a memory; gives its number. It is on the disk when this returns."""
        with self._transaction() as connection:
            row = (self._owner, body, is_unique, to_microseconds(datetime.now(timezone.utc)))
            query = "INSERT INTO memories (owner, body, is_unique, added) VALUES (?, ?, ?, ?)"
            return int(connection.execute(query, row).lastrowid or 0)

    # ---- sending

    def take_role(self) -> bool:
        """Whether this process is the one that sends, from now on. It stays so until `release_role`, or the process's death."""
        with self._reading():  # a file that cannot be used has no sender
            pass
        try:
            self._has_role = self._role.acquire()
        except OSError as error:
            fault = Fault("unmade", f"has no room for its lock beside it: {error.strerror}", "check its folder")
            raise _spool_error(fault, self.path) from error
        return self._has_role

    def release_role(self) -> None:
        """Let another process send."""
        if self._has_role:
            self._has_role = False
            self._role.release()

    def newest(self) -> int:
        """The number of the memory that was added last, 0 where there is none."""
        with self._reading() as connection:
            return int(connection.execute("SELECT ifnull(max(number), 0) FROM memories").fetchone()[0])

    def has_others(self) -> bool:
        """Whether there is something to be sent that this process has not added."""
        with self._reading() as connection:
            query = "SELECT 1 FROM memories WHERE owner != ? LIMIT 1"
            return connection.execute(query, (self._owner,)).fetchone() is not None

    def take(
        self, up_to: int, own_up_to: int, limits: tuple[int, int], server_time: datetime
    ) -> Sequence[SpooledMemory]:
        """Mark what is to be sent next as sent at `server_time` or later, and give it: all of it new, or all of it marked before.

        Args:
            up_to: The highest number.
            own_up_to: The highest number among what this process added.
            limits: How many memories at most, and how many bytes.
            server_time: The earliest moment, by the server's clock, at which they are sent.
        """
        with self._transaction() as connection:
            query = (
                "SELECT number, body, is_unique, sent_since FROM memories"
                " WHERE number <= ? AND (owner != ? OR number <= ?) ORDER BY number LIMIT ?"
            )
            rows = connection.execute(query, (up_to, self._owner, own_up_to, limits[0])).fetchall()
            chosen = list(_of_one_kind(rows, limits[1]))
            marks = [
                (to_microseconds(server_time), number) for number, _, _, sent_since in chosen if sent_since is None
            ]
            connection.executemany("UPDATE memories SET sent_since = ? WHERE number = ?", marks)
        return [
            SpooledMemory(
                number, _request(body, is_unique=is_unique), None if since is None else from_microseconds(since)
            )
            for number, body, is_unique, since in chosen
        ]

    def note(self, stored: Iterable[int], unsent: Iterable[int], refused: Mapping[int, str]) -> None:
        """Take out what the server has, take the mark off what surely was not stored, and put apart what it refused, with why."""
        with self._transaction() as connection:
            connection.executemany(
                "UPDATE memories SET sent_since = NULL WHERE number = ?", ((each,) for each in unsent)
            )
            connection.executemany(
                "INSERT INTO refused SELECT number, body, added, ? FROM memories WHERE number = ?",
                ((error, number) for number, error in refused.items()),
            )
            gone = ((number,) for number in (*stored, *refused))
            connection.executemany("DELETE FROM memories WHERE number = ?", gone)

    def settled(self, numbers: Iterable[int]) -> dict[int, str | None]:
        """Those of `numbers` that wait no more, each with why the server refused it; None where it is stored."""
        found: dict[int, str | None] = {}
        with self._reading() as connection:
            for number in numbers:
                query = "SELECT 1 FROM memories WHERE number = ?"
                if connection.execute(query, (number,)).fetchone() is None:
                    error = connection.execute("SELECT error FROM refused WHERE number = ?", (number,)).fetchone()
                    found[number] = None if error is None else error[0]
        return found

    # ---- looking

    def counts(self) -> SpoolCounts:
        """Count what there is."""
        with self._reading() as connection:
            total, under_way, oldest = connection.execute(
                "SELECT count(*), count(sent_since), min(added) FROM memories"
            ).fetchone()
            (failed,) = connection.execute("SELECT count(*) FROM refused").fetchone()
        return SpoolCounts(
            waiting=total - under_way,
            under_way=under_way,
            failed=failed,
            oldest=None if oldest is None else from_microseconds(oldest),
        )

    def refused(self) -> list[RefusedMemory]:
        """What the server refused, oldest first."""
        with self._reading() as connection:
            rows = connection.execute("SELECT number, body, error FROM refused ORDER BY number").fetchall()
        return [RefusedMemory(*row) for row in rows]

    def drop(self, numbers: Iterable[int]) -> None:
        """Remove the rejected memories."""
        with self._transaction() as connection:
            connection.executemany("DELETE FROM refused WHERE number = ?", ((number,) for number in numbers))

    # ---- the file

    def is_in_place(self) -> bool:
        """Whether what was added is in the file at this path; False once that was deleted or replaced."""
        return self._identity is None or identity(self.path) == self._identity

    def close(self) -> None:
        """Close the file, and let another process send; a further use opens it again."""
        self.release_role()
        with self._lock:
            self._close_for_fork()

    def _close_for_fork(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._told():
            yield self._connected(time.monotonic() + self._timeout)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        until = time.monotonic() + self._timeout
        with self._lock, self._told():
            connection = self._connected(until)
            begin(connection, until)
            with connection:  # commits, or takes back what was begun
                yield connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except UnusableFileError as error:
            raise _spool_error(error.fault, self.path) from error.__cause__
        except sqlite3.Error as error:
            fault = fault_of(error, self.path)
            raise _spool_error(fault._replace(problem=f"{fault.problem}; nothing was taken"), self.path) from error

    def _connected(self, until: float) -> sqlite3.Connection:
        if not self.is_in_place():
            problem = "was deleted or replaced while it was in use; nothing was taken"
            raise UnusableFileError("gone", problem, "put it back, or make a new write buffer")
        if self._connection is not None:
            return self._connection
        connection = open_file(self.path, _FORMAT, until, synchronous="full", create=self._create)
        try:
            connection.execute("PRAGMA secure_delete = ON")  # what was sent leaves no trace in the free pages
            if self._settings is not None:
                _check_server(connection, self._settings, until, take_over=self._take_over)
        except BaseException:
            connection.close()
            raise
        self._connection, self._identity = connection, identity(self.path)
        return connection


def _check_server(connection: sqlite3.Connection, settings: Settings, until: float, *, take_over: bool) -> None:
    """Refuse a spool of another server or organisation; a new one, and one to be taken over, is this client's from now on."""
    (salt,) = connection.execute("SELECT value FROM settings WHERE name = 'salt'").fetchone()
    given = {"base_url": str(settings.base_url), "api_key": settings.api_key}
    hashes = {name: hmac.digest(salt, f"{name}:{value}".encode(), "sha256") for name, value in given.items()}
    begin(connection, until)
    with connection:
        if take_over:
            connection.execute("DELETE FROM settings WHERE name != 'salt'")
        connection.executemany("INSERT OR IGNORE INTO settings VALUES (?, ?)", hashes.items())
        kept = dict(connection.execute("SELECT name, value FROM settings WHERE name != 'salt'").fetchall())
    for name, noun in (("base_url", "server, by its base URL"), ("api_key", "organisation, by its API key")):
        if not hmac.compare_digest(kept[name], hashes[name]):
            problem = f"belongs to another {noun}"
            hint = (
                "use the client that it was made with, or take it over with: memtrace-sdk spool send FILE --take-over"
            )
            raise UnusableFileError("other_server", problem, hint)


def _spool_error(fault: Fault, path: str) -> MemtraceError:
    text, hint = f"the spool {path} {fault.problem}", _HINTS.get(fault.name, fault.hint)
    if fault.cause is None:
        return ConfigurationError(text, argument="spool", hint=hint)
    kind = APITimeoutError if fault.cause == "timeout" else APIConnectionError
    error = kind(text, cause=fault.cause, maybe_sent=False, hint=hint)
    error.retryable = True
    return error


def _of_one_kind(
    rows: Sequence[tuple[int, bytes, int, int | None]], most_bytes: int
) -> Iterator[tuple[int, bytes, int, int | None]]:
    """The first rows that fit into one request, until one is marked and another is not."""
    size = 0
    for row in rows:
        size += len(row[1]) + bool(size)  # and a comma
        is_other = (row[3] is None) != (rows[0][3] is None)
        if is_other or (size > most_bytes and row is not rows[0]):
            return
        yield row


def _request(body: bytes, *, is_unique: int) -> AddMemoryRequest:
    """A memory as it was given: it broke no rule then."""
    request = AddMemoryRequest.model_construct(**json.loads(body))
    return request.model_copy(update={"dedup_key": CallKey(request.dedup_key)}) if is_unique else request

"""The care of a store's file: what it holds, whether it is whole, backups, keys, and forgetting for good."""

from __future__ import annotations

import math
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from random import SystemRandom
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from memtrace._support.forks import ClosedBeforeForks, close_before_forks
from memtrace._support.sqlite_files import begin, execute_waiting, fault_of
from memtrace._support.sqlite_urls import DEFAULT_KEY
from memtrace._support.timestamps import from_microseconds, to_microseconds
from memtrace.clock import SystemClock
from memtrace.exceptions import ConfigurationError, MemtraceError, TransportError
from memtrace_transports._engine.organisations import OrganisationState
from memtrace_transports._engine.rules.ids import RandomIdentifiers
from memtrace_transports._engine.stamps import Stamps
from memtrace_transports._engine.store.rows import Row
from memtrace_transports.sqlite._checking import find_problems
from memtrace_transports.sqlite._directory import SqliteDirectory, StoredKey
from memtrace_transports.sqlite._errors import store_error, unusable
from memtrace_transports.sqlite._index import READ_COLUMNS, TextIndexes
from memtrace_transports.sqlite._opening import open_store
from memtrace_transports.sqlite._schema import VERSION
from memtrace_transports.sqlite._store import Numbers
from memtrace_transports.sqlite._text_index import mend_text
from memtrace_transports.sqlite._transport import read_location

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ForgetReport", "OrganisationInfo", "StoreFile", "StoreInfo", "StoredKey", "check_store"]

_COMMITTED_ROWS = 1000
_PATIENCE = 60.0
"""Seconds that a fork waits for a call that is under way."""


class OrganisationInfo(NamedTuple):
    """Counts of one organisation in a store file."""

    name: str
    org_id: str
    memories: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreInfo:
    """Counts and sizes of a store file. Sizes are bytes; `compact` frees at least `free_bytes`."""

    path: str
    schema_version: int
    file_bytes: int
    log_bytes: int
    free_bytes: int
    organisations: tuple[OrganisationInfo, ...]
    keys: int
    agents: int
    sessions: int
    memories: int
    oldest: datetime | None
    newest: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetReport:
    """The removed memories of one agent, or those that would be.

    `known` is False if the organisation has never had such an ID or name. `namesake` is the ID of
    another agent with this very name, which stays. `unfinished` is True if memories that an earlier
    call removed are still in the file's bytes; this call erases them.
    """

    agent_id: str
    memories: int
    sessions: int
    registered: int
    known: bool
    namesake: str | None
    unfinished: bool

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to remove."""
        return not (self.memories or self.sessions or self.registered)


def check_store(store: str | os.PathLike[str], *, timeout: float | None = 30.0) -> list[str]:
    """Check a store file, like `StoreFile.check`, even if it is too damaged to be opened.

    Args:
        store: ``sqlite:///agent.db``, or a path.
        timeout: Seconds to wait for other processes; None for no limit.

    Returns:
        One line for each problem; empty if the file is intact.

    Raises:
        ConfigurationError: The file is missing, or not a store of this version.
        TransportError: The file is locked for longer than the timeout, or its disk failed.

    Example:
        >>> from memtrace import Memtrace
        >>> with Memtrace("sqlite:///checked.db") as client:
        ...     memory = client.remember("assistant", "User prefers dark mode")
        >>> check_store("sqlite:///checked.db")
        []
    """
    try:
        file = StoreFile(store, timeout=timeout)
    except ConfigurationError as error:
        said = error.__cause__
        if isinstance(said, sqlite3.DatabaseError) and fault_of(said).name in _DAMAGE:
            return [f"the file cannot be opened: {said}"]
        raise
    with file:
        return file.check()


class StoreFile(ClosedBeforeForks):
    """Maintain an existing store file. Other processes may go on using it.

    Args:
        store: ``sqlite:///agent.db``, or a path.
        timeout: Seconds to wait for other processes; None for no limit.
        create: Whether to create the file if it is missing.

    Raises:
        ConfigurationError: The file is missing, or not a store of this version.

    Example:
        >>> from memtrace import Memtrace
        >>> with Memtrace("sqlite:///agent.db") as client:
        ...     memory = client.remember("assistant", "User prefers dark mode")
        >>> with StoreFile("agent.db") as store:
        ...     store.info().memories, store.check()
        (1, [])
    """

    def __init__(self, store: str | os.PathLike[str], *, timeout: float | None = 30.0, create: bool = False) -> None:
        self._location = read_location(store)
        self._timeout = timeout
        self._lock = threading.RLock()  # for the length of a call, and of a fork
        super().__init__(self._lock, _PATIENCE)
        self._is_closed = False
        self._open(create=create)
        close_before_forks(self)

    def _open(self, *, create: bool) -> None:
        self._connection: sqlite3.Connection = open_store(self._location, self._until(), create=create)
        self._connection.execute("PRAGMA secure_delete = ON")
        self._numbers = Numbers(self._connection)
        self._stamps = Stamps(SystemClock())
        self._indexes = TextIndexes(self._connection)
        self._directory = SqliteDirectory(self._connection, self._numbers, self._indexes, self._stamps)

    def _close_for_fork(self) -> None:
        self._connection.close()

    def _open_after_fork(self) -> None:
        if not self._is_closed:
            self._is_closed = True  # it stays so where the file is gone by then
            with suppress(MemtraceError):
                self._open(create=False)
                self._is_closed = False

    def _until(self) -> float:
        return math.inf if self._timeout is None else time.monotonic() + self._timeout

    def close(self) -> None:
        """Close the file."""
        self._is_closed = True
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # ---- looking

    def info(self) -> StoreInfo:
        """Count what the store contains.

        Returns:
            The counts, for each organisation and in all.

        Raises:
            TransportError: The file is in use for longer than the timeout, or its disk failed.
            ConfigurationError: The file is damaged, or no longer a store.
        """
        path = Path(self._location.path)
        log = Path(f"{path.resolve()}-wal")  # beside the file itself, where the path is a link to it
        with self._told():
            one = self._one
            oldest, newest = self._connection.execute("SELECT min(time), max(time) FROM memories").fetchone()
            return StoreInfo(
                path=str(path),
                schema_version=VERSION,
                file_bytes=path.stat().st_size,
                log_bytes=log.stat().st_size if log.exists() else 0,
                free_bytes=one("PRAGMA freelist_count") * one("PRAGMA page_size"),
                organisations=tuple(OrganisationInfo(*row) for row in self._connection.execute(_ORGANISATIONS)),
                keys=one("SELECT count(*) FROM keys WHERE revoked IS NULL AND name != ''"),
                agents=one("SELECT count(*) FROM agents"),
                sessions=one("SELECT count(*) FROM sessions"),
                memories=one("SELECT count(*) FROM memories"),
                oldest=None if oldest is None else from_microseconds(oldest),
                newest=None if newest is None else from_microseconds(newest),
            )

    def check(self) -> list[str]:
        """Check the whole file: pages, indexes, references between rows, and the text index.

        Returns:
            One line for each problem; empty if the file is intact.

        Raises:
            TransportError: The file is in use for longer than the timeout, or its disk failed.
            ConfigurationError: The file is damaged, or no longer a store.
        """
        with self._told():
            return find_problems(self._connection, self._indexes, self._until())

    # ---- copying and shrinking

    def backup(self, destination: str | os.PathLike[str]) -> int:
        """Write a consistent copy to a new file, while others go on writing.

        Args:
            destination: The path of the new file.

        Returns:
            The size of the copy in bytes.

        Raises:
            ConfigurationError: The destination exists already, or cannot be written.
            TransportError: The file is in use for longer than the timeout, or its disk failed.
        """
        target = Path(destination)
        try:
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except OSError as error:
            raise ConfigurationError(
                f"the backup {target} cannot be made: {error.strerror}",
                argument="destination",
                hint="name a new file in a folder that is there",
            ) from error
        try:
            with self._told():
                self._connection.execute("VACUUM INTO ?", (str(target),))
            with target.open("rb+") as file:
                os.fsync(file.fileno())
        except BaseException:
            target.unlink()
            raise
        return target.stat().st_size

    def compact(self) -> tuple[int, int]:
        """Return free pages to the file system and end the write-ahead log.

        A damaged text index is rebuilt. What an interrupted `forget` has left is erased. It needs
        as much free space as the file takes. Nobody may write meanwhile.

        Returns:
            The size in bytes before and after.

        Raises:
            TransportError: The file is in use for longer than the timeout, or its disk failed.
            ConfigurationError: The file is damaged, or no longer a store.
        """
        path = Path(self._location.path)
        with self._told():
            is_unfinished = self._is_unfinished()
            for (org_id,) in self._connection.execute("SELECT org_id FROM organisations").fetchall():
                mend_text(self._connection, self._indexes, org_id, self._until(), is_merged=is_unfinished)
            self._end_log()
            before = path.stat().st_size
            execute_waiting(self._connection, "VACUUM", self._until())
            self._end_log()
            if is_unfinished:
                execute_waiting(self._connection, f"DELETE FROM settings WHERE name = '{_UNFINISHED}'", self._until())  # noqa: S608
        return before, path.stat().st_size

    def _end_log(self) -> None:
        """Move what the log holds into the file, and empty it: readers that are under way hold it back."""
        until = self._until()
        while True:
            busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                return
            if time.monotonic() >= until:
                raise sqlite3.OperationalError("database is locked")

    # ---- forgetting

    def forgettable(self, agent: str, *, organisation: str = "default", before: datetime | None = None) -> ForgetReport:
        """Count what `forget` would remove.

        Args:
            agent: The ID that its memories are stored under, or the name of a registered agent.
            organisation: The organisation, by name or ID.
            before: Only what is older than this time, with a time zone. Default: everything.

        Returns:
            The counts.

        Raises:
            ConfigurationError: There is no such organisation, or `before` has no time zone.
            TransportError: The file is in use for longer than the timeout, or its disk failed.
        """
        with self._told():
            org, until, whole = self._numbers.of(self._org_id(organisation)), _microseconds(before), before is None
            has_id, named = self._has_agent(org, agent), self._registered_as(org, agent)
            agent_id = agent if has_id or named is None else named
            return ForgetReport(
                agent_id=agent_id,
                memories=self._one(f"SELECT count(*) {_FORGOTTEN}", org, agent_id, until),
                sessions=self._one(_COUNTED.format("sessions"), org, agent_id) if whole else 0,
                registered=self._one(_COUNTED.format("agents"), org, agent_id) if whole else 0,
                known=has_id or named is not None,
                namesake=named if named != agent_id else None,
                unfinished=self._is_unfinished(),
            )

    def forget(self, agent: str, *, organisation: str = "default", before: datetime | None = None) -> ForgetReport:
        """Remove an agent's memories for good: from the rows, the text index, the free pages and the log.

        Without `before` its sessions and its registration are removed too. Afterwards the file is
        compacted, so that it contains no byte of them. Backups, and file systems that keep old
        versions, may still contain them.

        Args:
            agent: The ID that its memories are stored under, or the name of a registered agent.
            organisation: The organisation, by name or ID.
            before: Only memories that are older than this time, with a time zone. Default: all.

        Returns:
            The counts of removed rows; zeros if nothing is known of `agent`.

        Raises:
            ConfigurationError: There is no such organisation, or `before` has no time zone.
            TransportError: The file is in use for longer than the timeout, or its disk failed. The
                message says whether memories are removed from the rows but not yet erased from the
                file. Call it again to erase them.
        """
        report = self.forgettable(agent, organisation=organisation, before=before)
        if report.is_empty and not report.unfinished:
            return report
        org_id, until = self._org_id(organisation), _microseconds(before)
        with self._told():
            if report.memories:
                mend_text(self._connection, self._indexes, org_id, self._until())
            removed = self._forget_some(org_id, report.agent_id, until)
        with self._unfinished(report):
            with self._told():
                while removed:
                    removed = self._forget_some(org_id, report.agent_id, until)
                if before is None:
                    self._forget_registration(org_id, report.agent_id)
            self.compact()
        return report

    def _forget_some(self, org_id: str, agent_id: str, until: int) -> bool:
        """Remove some memories in one transaction, so that others can write in between; whether there may be more."""
        begin(self._connection, self._until())
        org = self._numbers.of(org_id)
        rows = self._connection.execute(
            f"SELECT id, {READ_COLUMNS} {_FORGOTTEN} LIMIT ?", (org, agent_id, until, _COMMITTED_ROWS)
        ).fetchall()
        self._indexes.remove(org_id, (Row(*row) for _, *row in rows))
        self._connection.executemany("DELETE FROM memories WHERE id = ?", ((row[0],) for row in rows))
        self._note_unfinished()
        self._connection.execute("COMMIT")
        return bool(rows)

    def _forget_registration(self, org_id: str, agent_id: str) -> None:
        begin(self._connection, self._until())
        org = self._numbers.of(org_id)
        self._connection.execute("DELETE FROM sessions WHERE org = ? AND agent_id = ?", (org, agent_id))
        self._connection.execute("DELETE FROM agents WHERE org = ? AND agent_id = ?", (org, agent_id))
        self._connection.execute("COMMIT")

    def _note_unfinished(self) -> None:
        """Keep in the file that its bytes have what its rows have not, until it was compacted."""
        self._connection.execute("INSERT OR IGNORE INTO settings VALUES (?, 1)", (_UNFINISHED,))

    def _is_unfinished(self) -> bool:
        return bool(self._one("SELECT count(*) FROM settings WHERE name = ?", _UNFINISHED))

    @contextmanager
    def _unfinished(self, report: ForgetReport) -> Iterator[None]:
        """Say in an error of erasing that the memories are removed already."""
        try:
            yield
        except (ConfigurationError, TransportError) as error:
            cause = error.cause if isinstance(error, TransportError) else "protocol"
            fault = (
                fault_of(error.__cause__, self._location.path) if isinstance(error.__cause__, sqlite3.Error) else None
            )
            problem = error.message if fault is None else f"it {fault.problem}"
            first = "close what reads or writes the file" if cause == "timeout" else error.hint
            raise TransportError(
                f"memories of {report.agent_id} are removed from the store {self._location.path}, and not yet erased from the bytes"
                f" of its file: {problem}",
                cause=cause,
                hint=f"{first}; then run it again, which erases them",
            ) from error

    def _has_agent(self, org: int, agent_id: str) -> bool:
        tables = ("memories", "sessions", "agents")
        return any(self._one(f"{_COUNTED.format(table)} LIMIT 1", org, agent_id) for table in tables)

    def _registered_as(self, org: int, name: str) -> str | None:
        query = "SELECT agent_id FROM agents WHERE org = ? AND name = ?"
        found = self._connection.execute(query, (org, name)).fetchone()
        return None if found is None else str(found[0])

    # ---- keys

    def create_key(self, name: str, *, organisation: str = "") -> str:
        """Create an API key. It is shown this once; the file keeps a hash.

        Args:
            name: What the key is called in lists, and how it is revoked.
            organisation: The organisation of the key, created if it does not exist. Default: one
                named like the key.

        Returns:
            The key.

        Raises:
            ConfigurationError: A key of this name is in use, or the name is empty.
        """
        if not name.strip():
            raise ConfigurationError("a key needs a name", argument="name")
        with self._told():
            begin(self._connection, self._until())
            if any(key.name == name and key.revoked_at is None for key in self._directory.issued_keys()):
                raise ConfigurationError(
                    f"there is a key {name!r} already", argument="name", hint="revoke that one, or take another name"
                )
            identifiers = RandomIdentifiers(SystemRandom())
            api_key, wanted = identifiers.new_key(), organisation or name
            org = self._directory.by_name(wanted) or self._directory.by_id(wanted)
            if org is None:
                org = (
                    self._directory.of_new_key(DEFAULT_KEY)  # so that clients without a key find it
                    if wanted == DEFAULT_KEY
                    else self._directory.new_state(identifiers.new("org"), wanted, api_key)
                )
                self._directory.add(org)
            self._directory.add_key(org, api_key, name)
            self._connection.execute("COMMIT")
        return api_key

    def keys(self) -> list[StoredKey]:
        """List the issued keys, oldest first, with the revoked ones.

        Returns:
            The keys, without their secrets.
        """
        with self._told():
            return list(self._directory.issued_keys())

    def revoke_key(self, name: str) -> None:
        """Reject a key from now on, in every process.

        Args:
            name: The name of the key.

        Raises:
            ConfigurationError: No key of this name is in use.
        """
        with self._told():
            query = "UPDATE keys SET revoked = ? WHERE name = ? AND revoked IS NULL"
            if not self._connection.execute(query, (self._stamps.now(), name)).rowcount:
                raise ConfigurationError(f"no key {name!r} is in use", argument="name")

    # ---- what these share

    def _org_id(self, organisation: str) -> str:
        """The id of an organisation, by its name or id."""
        org: OrganisationState | None = self._directory.by_name(organisation) or self._directory.by_id(organisation)
        if org is None:
            raise unusable(self._location.path, f"has no organisation {organisation!r}", "see: memtrace-sdk store info")
        return org.org_id

    def _one(self, query: str, *values: object) -> int:
        (value,) = self._connection.execute(query, values).fetchone()
        return int(value)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Roll back and raise an SDK error for an error of SQLite."""
        with self._lock:
            if self._is_closed:
                raise unusable(self._location.path, "was closed", "make another StoreFile")
            try:
                yield
            except BaseException as error:
                if self._connection.in_transaction:
                    self._connection.rollback()
                self._directory.forget()
                if isinstance(error, sqlite3.Error):
                    raise store_error(error, self._location.path) from error
                raise


_ORGANISATIONS = (
    "SELECT name, org_id, (SELECT count(*) FROM memories WHERE org = o.id) FROM organisations AS o ORDER BY id"
)
_COUNTED = "SELECT count(*) FROM {} WHERE org = ? AND agent_id = ?"
_UNFINISHED = "unfinished"
_DAMAGE = frozenset({"damaged", "no_database"})
"""Faults of a file that cannot be opened: a damaged first page may leave nothing by which SQLite knows its own."""

_FORGOTTEN = "FROM memories WHERE org = ? AND agent_id = ? AND time < ?"


def _microseconds(bound: datetime | None) -> int:
    """A bound as rows have it; later than any of them where there is none. A time without a zone is UTC."""
    if bound is None:
        return (1 << 63) - 1
    if not isinstance(bound, datetime):
        raise ConfigurationError("before must be a datetime, or None for all times", argument="before")
    aware = bound if bound.tzinfo else bound.replace(tzinfo=timezone.utc)
    return to_microseconds(aware)

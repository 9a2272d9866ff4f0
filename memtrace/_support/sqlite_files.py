"""A file of SQLite that is the SDK's own: made where it is missing, checked, brought to its version, never harmed where it is another's."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sqlite3
import stat
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

BUSY_SECONDS = 0.1
"""How long SQLite itself waits for a lock: short, so that Ctrl-C and a timeout are noticed in between."""

_STATEMENTS = 256
_MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ncpfs", "coda", "davfs"),
        *("ceph", "lustre", "glusterfs", "beegfs", "gpfs", "gfs2", "ocfs2", "orangefs", "pvfs2"),
        *("vboxsf", "vmhgfs", "prl_fs"),  # folders that a virtual machine shares with its host
    }
)
_NETWORK_IN_USER_SPACE = frozenset(
    {
        *(
            "sshfs",
            "glusterfs",
            "ceph",
            "ceph-fuse",
            "mfs",
            "lizardfs",
            "juicefs",
            "seaweedfs",
            "smbnetfs",
            "curlftpfs",
        ),
        *("rclone", "s3fs", "mount-s3", "goofys", "gcsfuse", "blobfuse", "blobfuse2", "davfs", "davfs2", "onedriver"),
        *("gvfsd-fuse", "google-drive-ocamlfuse", "vmhgfs-fuse", "prl_fsd"),
    }
)
_ESCAPED = re.compile(r"\\([0-7]{3})")
_LEAST_ROOM = 64 * 1024
"""Bytes of free space with which SQLite begins: its shared memory alone takes half of them."""


class FileFormat(NamedTuple):
    """What a file of one kind says of itself, and how an older one becomes one of this version."""

    application_id: int
    #: What makes a file of each version one of the next; an empty file has version 0.
    migrations: Sequence[Callable[[sqlite3.Connection], None]]


class Fault(NamedTuple):
    """What befell a file: a name for it, what to say after the path, what to do, and what a retry can change."""

    name: str
    problem: str
    hint: str
    #: None for what no retry can change.
    cause: Literal["connect", "timeout"] | None = None


class UnusableFileError(Exception):
    """No file of the format can be at a path, for a reason that is not SQLite's."""

    def __init__(self, name: str, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.fault = Fault(name, problem, hint)


# SQLite's own texts: Python 3.10 gives no result codes.
_SAID: dict[str, Fault] = {
    "is locked": Fault("locked", "was locked by another process for longer than the timeout", "raise the timeout, or find the process that holds the lock", "timeout"),
    "not a database": Fault("no_database", "is not a SQLite database", "name another file; this one was not changed"),
    "malformed": Fault("damaged", "is damaged", "go back to a backup"),
    "not decode to UTF-8": Fault("damaged", "is damaged", "go back to a backup"),  # SQLite goes on with the text itself
    "readonly": Fault("read_only", "cannot be written: the file or its folder is read-only", "change its permissions, or name another file"),
    "disk is full": Fault("full", "cannot be written: the disk is full", "make room and call again", "connect"),
    "unable to open": Fault("unopened", "cannot be opened", "check that this user may write its folder, and the files that end in -wal and -shm beside it"),
    "disk I/O error": Fault("disk", "cannot be read or written: the disk reports an error", "look at the disk's health", "connect"),
    "no such module: fts5": Fault("no_fts5", "cannot be used: this Python's SQLite was built without FTS5", "use a Python whose sqlite3 has FTS5, as those of python.org, conda and uv have"),
}  # fmt: skip


_FULL = _SAID["disk is full"]
_UNREADABLE = Fault(
    "unreadable",
    "cannot be opened: this user may not read the file",
    "change its permissions, or run as the user who owns it",
)


def fault_of(error: sqlite3.Error, path: str | None = None) -> Fault:
    """What SQLite says, in the words of a user; of the file at `path`, whose disk may be full where SQLite names a consequence."""
    said = str(error)
    found = next(
        (fault for text, fault in _SAID.items() if text in said),
        Fault("other", f"cannot be used: {said}", "go back to a backup, or name another file"),
    )
    if found.name not in ("disk", "unopened"):
        return found
    if found.name == "unopened" and path is not None and _is_unreadable(path):
        return _UNREADABLE
    is_full = getattr(error, "sqlite_errorname", "") == "SQLITE_IOERR_SHMSIZE" or (path is not None and _is_full(path))
    return _FULL if is_full else found


def _is_unreadable(path: str) -> bool:
    """Whether this user may not read a file that is there. Opening it to see would end the locks that this process has on it."""
    return Path(path).is_file() and not os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids)


def _is_full(path: str) -> bool:
    """Whether there is too little room on the disk of `path` for SQLite to begin."""
    try:
        return shutil.disk_usage(Path(os.path.realpath(path)).parent).free < _LEAST_ROOM
    except OSError:
        return False


def open_file(
    path: str,
    file_format: FileFormat,
    until: float,
    *,
    synchronous: Literal["normal", "full"],
    create: bool = True,
) -> sqlite3.Connection:
    """A connection to a file of this format and version, in autocommit mode; with `create` it is made where it is missing.

    Waits for other processes until the monotonic time `until`. Raises `UnusableFileError` and `sqlite3.Error`.
    """
    check_place(path, create=create)
    connection = connect(path)
    try:
        _prepare_waiting(connection, file_format, synchronous, until)
    except BaseException:
        connection.close()
        raise
    return connection


def connect(path: str) -> sqlite3.Connection:
    """A connection to a file that is there, in autocommit mode, for any thread."""
    return sqlite3.connect(
        f"{Path(path).as_uri()}?mode=rw",
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_STATEMENTS,
        uri=True,
    )


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


def data_version(connection: sqlite3.Connection) -> int:
    """A number that changes where another connection has written to the file."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def is_locked(error: sqlite3.Error) -> bool:
    """Whether another connection holds what this one needs."""
    return "is locked" in str(error)


def identity(path: str) -> tuple[int, int] | None:
    """The identity of a file, to notice that another one has replaced it; None if there is no file."""
    try:
        found = os.stat(path)  # noqa: PTH116  # a Path takes five times as long to make
    except OSError:
        return None
    return found.st_dev, found.st_ino


# ---- the place ------------------------------------------------------------------------------------------------------


def check_place(path: str, *, create: bool) -> None:
    """Refuse a path at which no file of SQLite can be; with `create` make an empty one where there is none."""
    try:
        found = Path(path).stat()
    except FileNotFoundError:
        if not create:
            raise UnusableFileError("missing", "does not exist", "check the path") from None
        _refuse_network(path)  # before anything is made there
        _create(path)
        found = Path(path).stat()
    except OSError as error:
        raise UnusableFileError(
            "unreachable", f"cannot be reached: {error.strerror}", "check the path and its permissions"
        ) from error
    if not stat.S_ISREG(found.st_mode):
        what = "is a folder" if stat.S_ISDIR(found.st_mode) else "is not a regular file"
        raise UnusableFileError("no_file", what, "name a file")
    if found.st_nlink > 1:
        problem = "has several names (hard links): what is written by one of them is lost or damaged by another"
        hint = "remove the other names, which find FOLDER -samefile FILE shows; a symbolic link does no harm"
        raise UnusableFileError("linked", problem, hint)
    _refuse_network(path)


def _refuse_network(path: str) -> None:
    """Refuse a path, of a file or of what is to become one, whose file system other machines share."""
    kind = _file_system(path)
    if kind in _NETWORK or (kind.startswith("fuse.") and kind[5:] in _NETWORK_IN_USER_SPACE):
        problem = "is on a network share, where SQLite's locks do not hold"
        raise UnusableFileError("network", problem, "keep it on a local disk")


def _create(path: str) -> None:
    """Make an empty file that only its owner may read. What SQLite makes beside it gets the same permissions."""
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        if not Path(path).is_file():  # a part of the folder's path is a file, or a link leads nowhere
            problem = "cannot be made: something else is in its place"
            raise UnusableFileError("in_the_way", problem, "name another file") from None
    except OSError as error:
        hint = _FULL.hint if error.errno == errno.ENOSPC else "check the path and its permissions"
        raise UnusableFileError("unmade", f"cannot be made: {error.strerror}", hint) from error


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
        point = _ESCAPED.sub(lambda match: chr(int(match[1], 8)), before.split(" ")[4])
        if len(point) >= len(found) and (real == point or real.startswith(point.rstrip("/") + "/")):
            found, kind = point, after.split(" ")[0]
    return kind


# ---- the file -------------------------------------------------------------------------------------------------------


def _prepare_waiting(connection: sqlite3.Connection, file_format: FileFormat, synchronous: str, until: float) -> None:
    """`_prepare`, once no other process is in its way."""
    while True:
        try:
            return _prepare(connection, file_format, synchronous, until)
        except sqlite3.OperationalError as error:
            if not is_locked(error) or time.monotonic() >= until:
                raise
            time.sleep(BUSY_SECONDS / 10)  # where the journal's mode changes, SQLite does not wait by itself


def _prepare(connection: sqlite3.Connection, file_format: FileFormat, synchronous: str, until: float) -> None:
    _check_owner(connection, file_format)
    _use_write_ahead_log(connection)
    connection.execute(f"PRAGMA synchronous = {synchronous.upper()}")
    connection.execute("PRAGMA foreign_keys = ON")
    if known_version(connection, file_format) < len(file_format.migrations):
        _migrate(connection, file_format, until)


def _check_owner(connection: sqlite3.Connection, file_format: FileFormat) -> None:
    # in one statement, since another process may be making the file meanwhile
    query = "SELECT application_id, EXISTS (SELECT 1 FROM sqlite_master) FROM pragma_application_id"
    application, has_tables = connection.execute(query).fetchone()
    if has_tables and application != file_format.application_id:
        problem = "is the database of another program"
        raise UnusableFileError("other_program", problem, "name another file; this one was not changed")
    known_version(connection, file_format)


def known_version(connection: sqlite3.Connection, file_format: FileFormat) -> int:
    """The version of a file. Raises `UnusableFileError` for one of a newer release."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    known = len(file_format.migrations)
    if version > known:
        problem = f"was written by a newer memtrace-sdk: its schema has version {version}, this release knows {known}"
        raise UnusableFileError("newer", problem, "upgrade memtrace-sdk; the file was not changed")
    return int(version)


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Readers and a writer do not wait for each other in this mode. The file remembers it."""
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        problem = "is on a file system that cannot keep a write-ahead log"
        raise UnusableFileError("no_log", problem, "keep it on a local disk")


def _migrate(connection: sqlite3.Connection, file_format: FileFormat, until: float) -> None:
    """Bring the file to this version in one transaction, once for all processes."""
    begin(connection, until)
    try:
        version = known_version(connection, file_format)
        for migrate in file_format.migrations[version:]:
            migrate(connection)
        connection.execute(f"PRAGMA application_id = {file_format.application_id}")
        connection.execute(f"PRAGMA user_version = {len(file_format.migrations)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has ended it
            connection.execute("ROLLBACK")
        raise

"""What befalls a store's file: an error that names it, and nothing lost of what was acknowledged."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import pytest

from memtrace import APIConnectionError, APITimeoutError, ConfigurationError, Memtrace, RetryPolicy, TransportError
from memtrace._support import sqlite_files
from memtrace_transports import SqliteTransport
from memtrace_transports.sqlite import _file, _opening
from memtrace_transports.sqlite._errors import store_error
from memtrace_transports.sqlite._schema import VERSION
from tests.permissions import as_a_plain_user
from tests.sqlite.test_addresses import contents

ONCE = RetryPolicy(max_attempts=1)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "agent.db"


def remember_until_refused(client, stored):
    for number in range(200):
        client.remember("assistant", f"{number}: {'x' * 1000}")
        stored.append(f"{number}: {'x' * 1000}")


def refused(face, path, **settings):
    """The error of a first call on what is at `path`."""
    with face.client(path, **settings) as client, pytest.raises(ConfigurationError) as caught:
        client.remember("assistant", "planted")
    assert str(path) in caught.value.message
    assert "planted" not in str(caught.value)
    assert caught.value.hint
    assert not caught.value.maybe_applied
    return caught.value.message


def test_a_file_that_is_no_database_is_refused_and_left_alone(face, path):
    path.write_text("my diary, " * 100)
    assert "is not a SQLite database" in refused(face, path)
    assert path.read_text() == "my diary, " * 100


def test_the_database_of_another_program_is_refused_and_left_alone(face, path):
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (a)")
    other.close()
    before = path.read_bytes()
    assert "is the database of another program" in refused(face, path)
    assert path.read_bytes() == before


def test_a_file_of_a_newer_release_is_refused_and_left_alone(face, path):
    with Memtrace(path) as client:
        client.remember("assistant", "from the future")
    newer = sqlite3.connect(path)
    newer.execute(f"PRAGMA user_version = {VERSION + 1}")
    newer.close()
    before = path.read_bytes()
    message = refused(face, path)
    assert f"its schema has version {VERSION + 1}, this release knows {VERSION}" in message
    assert path.read_bytes() == before


def test_a_folder_is_refused(face, path):
    path.mkdir()
    assert "is a folder" in refused(face, path)


def test_what_is_no_regular_file_is_refused(face, path):
    os.mkfifo(path)
    assert "is not a regular file" in refused(face, path)


def test_a_link_that_leads_nowhere_is_refused(face, path):
    path.symlink_to(path.parent / "missing" / "agent.db")
    assert "something else is in its place" in refused(face, path)


def test_a_path_below_a_file_is_refused(face, path):
    path.write_text("a file")
    assert "cannot be reached: Not a directory" in refused(face, path / "agent.db")


def test_a_folder_that_cannot_be_made_is_refused(face, monkeypatch, path):
    def full(*args, **settings):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sqlite_files.os, "open", full)
    with (
        face.client(path) as client,
        pytest.raises(ConfigurationError, match="cannot be made: No space left on device") as caught,
    ):
        client.remember("assistant", "x")
    assert caught.value.hint.endswith("make room and call again")


KINDS_OF_SHARES = [
    *("nfs4", "cifs", "9p", "ceph", "lustre", "beegfs", "gpfs", "ocfs2", "vboxsf", "vmhgfs", "prl_fs"),
    *("fuse.sshfs", "fuse.rclone", "fuse.s3fs", "fuse.gcsfuse", "fuse.vmhgfs-fuse", "fuse.glusterfs"),
]


@pytest.fixture
def mounted(monkeypatch, tmp_path):
    """Says that the test's folder is on a file system of this kind, as the system's own table does."""

    def mount(kind):
        table = tmp_path.parent / f"{tmp_path.name}.mountinfo"
        table.write_text(f"22 1 0:20 / / rw - ext4 /dev/vda rw\n23 22 0:21 / {tmp_path} rw - {kind} server:/x rw\n")
        monkeypatch.setattr(sqlite_files, "_MOUNTS", table)

    return mount


@pytest.mark.parametrize("kind", KINDS_OF_SHARES)
def test_a_file_on_a_network_share_is_refused(face, mounted, path, kind):
    with Memtrace(path) as client:
        client.remember("assistant", "before")
    mounted(kind)
    assert "is on a network share" in refused(face, path)


@pytest.mark.parametrize("name", ["new.db", "new/folder/new.db"])
def test_nothing_is_made_on_a_network_share(face, mounted, tmp_path, name):
    mounted("nfs4")
    assert "is on a network share" in refused(face, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["ext4", "tmpfs", "overlay", "fuse.mergerfs", "fuse.encfs", "fuse"])
def test_a_file_on_a_local_file_system_is_made(face, mounted, path, kind):
    mounted(kind)
    with face.client(path) as client:
        client.remember("assistant", "here")
        assert contents(client) == ["here"]


def test_a_file_with_several_names_is_refused_by_each(face, path):
    with Memtrace(path) as client:
        client.remember("assistant", "before")
    other = path.with_name("other.db")
    other.hardlink_to(path)
    for name in (path, other):
        assert "has several names (hard links)" in refused(face, name)
    other.unlink()
    with face.client(path) as client:
        assert contents(client) == ["before"]
    other.symlink_to(path)
    with face.client(other) as client:
        assert contents(client) == ["before"]


def test_the_kind_of_a_file_system_is_that_of_the_deepest_mount(monkeypatch, tmp_path):
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 0:20 / / rw - ext4 /dev/vda rw\n"
        "23 22 0:21 / /net\\040share rw shared:1 - nfs4 host:/x rw\n"
        "24 22 0:22 / /network rw - ext4 /dev/vdb rw\n"
        "25 22 0:23 / /back\\134slash\\011tab rw - ceph x rw\n"
        "26 22 0:24 / /covered rw - nfs x rw\n"
        "27 26 0:25 / /covered rw - ext4 /dev/vdc rw\n"
    )
    monkeypatch.setattr(sqlite_files, "_MOUNTS", table)
    kinds = {
        path: sqlite_files._file_system(path)
        for path in (
            *("/a.db", "/net share/a.db", "/net share2/a.db", "\\\\host\\a.db"),
            *("/back\\slash\ttab/new/a.db", "/covered/a.db"),
        )
    }
    assert list(kinds.values()) == ["ext4", "nfs4", "ext4", "cifs", "ceph", "ext4"]
    table.unlink()
    assert sqlite_files._file_system("/a.db") == ""
    monkeypatch.setattr(sqlite_files.sys, "platform", "darwin")
    assert sqlite_files._file_system("/a.db") == ""


def test_a_damaged_page_is_told_and_the_rest_stays_readable(path):
    with Memtrace(path) as client:
        for number in range(200):
            client.remember("assistant", f"Number {number}: {'x' * 500}")
    with path.open("r+b") as file:
        file.seek(8 * 4096)
        file.write(b"\xff" * 4096 * 20)
    with Memtrace(path, retry=ONCE) as client, pytest.raises((ConfigurationError, TransportError)) as caught:
        remember_until_refused(client, [])
    assert f"the store {path} is damaged" in caught.value.message
    assert "store check" in caught.value.hint


def test_a_store_that_another_process_holds_is_told_after_the_timeout(face, path):
    with face.client(path, timeout=0.2, retry=ONCE) as client:
        client.remember("assistant", "before")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            APITimeoutError, match="was locked by another process for longer than the timeout"
        ) as caught:
            client.remember("assistant", "meanwhile")
        assert not caught.value.maybe_applied
        assert contents(client) == ["before"]  # who reads waits for nobody
        other.execute("ROLLBACK")
        other.close()
        client.remember("assistant", "after")
        assert contents(client) == ["after", "before"]


def test_a_write_waits_for_another_process_and_goes_on(face, path):
    with face.client(path) as client:
        client.remember("assistant", "before")
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.3, other.execute, ["ROLLBACK"])
        timer.start()
        client.remember("assistant", "after")
        timer.join()
        other.close()
        assert contents(client) == ["after", "before"]


def test_a_client_whose_other_calls_take_its_time_is_told_so(path, transport_to):
    transport = transport_to(str(path))
    with Memtrace("memory://", transport=transport, timeout=0.05, retry=ONCE) as client:
        client.remember("assistant", "before")
        with (
            transport._process.get().lock,
            pytest.raises(APITimeoutError, match="was busy with other calls of this client until the timeout"),
        ):
            client.recall("assistant")
        assert contents(client) == ["before"]


def test_a_full_disk_is_told_and_writing_goes_on_when_there_is_room(path, transport_to):
    transport = transport_to(str(path))
    with Memtrace("memory://", transport=transport, retry=ONCE) as client:
        client.remember("assistant", "first")
        connection = transport._process.get().opened.connection
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        stored = ["first"]
        with pytest.raises(APIConnectionError, match="the disk is full; nothing of this call was stored") as caught:
            remember_until_refused(client, stored)
        assert not caught.value.maybe_applied
        connection.execute(f"PRAGMA max_page_count = {pages * 10}")
        client.remember("assistant", "there is room")
        assert contents(client) == ["there is room", *reversed(stored)]


@pytest.fixture
def small_disk(tmp_path):
    """Gives a file system with so many bytes of room."""
    folder, mounts = tmp_path / "disk", 0

    def make(size):
        nonlocal mounts
        folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip("this user may not mount a file system")
        mounts += 1
        return folder

    yield make
    if mounts:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(not sys.platform.startswith("linux") or shutil.which("mount") is None, reason="needs a tmpfs")
@pytest.mark.parametrize("size", ["4k", "8k", "16k", "40k", "64k", "100k"])
def test_a_disk_that_is_full_at_the_first_call_is_told_as_full(small_disk, size):
    path = small_disk(size) / "agent.db"
    with Memtrace(path, retry=ONCE) as client:
        with pytest.raises(APIConnectionError, match="cannot be written: the disk is full") as caught:
            client.remember("assistant", "first")
        assert caught.value.hint == "make room and call again"
        assert not caught.value.maybe_applied
        subprocess.run(["mount", "-o", "remount,size=4m", str(path.parent)], check=True)
        client.remember("assistant", "there is room")
        assert contents(client) == ["there is room"]


@pytest.mark.parametrize("said", ["disk I/O error", "unable to open database file"])
@pytest.mark.parametrize(("free", "is_full"), [(8192, True), (1 << 30, False)])
def test_a_consequence_of_a_full_disk_is_told_as_that(path, monkeypatch, said, free, is_full):
    usage = shutil.disk_usage(path.parent)._replace(free=free)
    monkeypatch.setattr(sqlite_files.shutil, "disk_usage", lambda folder: usage)
    error = store_error(sqlite3.OperationalError(said), str(path))
    assert ("the disk is full" in error.message) is is_full
    assert (error.hint == "make room and call again") is is_full


def test_a_file_that_its_owner_alone_may_read_is_told_as_that(path):
    with Memtrace(path) as client:
        client.remember("assistant", "planted")
    path.chmod(0)
    unreadable = pytest.raises(ConfigurationError, match="cannot be opened: this user may not read the file")
    with Memtrace(path) as client, as_a_plain_user(), unreadable as caught:
        client.recall("assistant")
    assert caught.value.hint == "change its permissions, or run as the user who owns it"


def test_a_disk_that_cannot_be_looked_at_is_none_that_is_full(path):
    error = store_error(sqlite3.OperationalError("disk I/O error"), str(path / "gone" / "agent.db"))
    assert "the disk reports an error" in error.message


def test_a_migration_whose_transaction_the_disk_has_ended_is_told_as_it_was(path):
    def broken_off(connection):
        connection.execute("ROLLBACK")
        raise sqlite3.OperationalError("database or disk is full")

    with pytest.raises(sqlite3.OperationalError, match="disk is full"):
        sqlite_files.open_file(str(path), sqlite_files.FileFormat(1, (broken_off,)), 0, synchronous="normal")


def test_a_migration_that_fails_is_taken_back(path):
    def failing(connection):
        connection.execute("CREATE TABLE half (a)")
        connection.execute("SELECT * FROM absent")

    with pytest.raises(sqlite3.OperationalError, match="no such table: absent"):
        sqlite_files.open_file(str(path), sqlite_files.FileFormat(1, (failing,)), 0, synchronous="normal")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


def test_an_organisation_whose_first_write_fails_is_made_by_the_next(path, transport_to):
    transport = transport_to(str(path))
    with Memtrace("memory://", "mtk_one", transport=transport, retry=ONCE) as client:
        assert contents(client) == []
        connection = transport._process.get().opened.connection
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(APIConnectionError, match="the disk is full"):
            client.remember("assistant", "x" * 10_000)
        connection.execute(f"PRAGMA max_page_count = {pages * 10}")
        client.remember("assistant", "now")
        assert contents(client) == ["now"]


@pytest.mark.parametrize("by", ["deleted", "replaced"])
def test_a_file_that_goes_away_under_an_open_client_is_told(face, path, by):
    with face.client(path, retry=ONCE) as client:
        client.remember("assistant", "before")
        moved = path.rename(path.with_name("moved.db"))
        if by == "replaced":
            path.write_bytes(b"")
        for call in (lambda: client.remember("assistant", "lost"), lambda: client.recall("assistant")):
            with pytest.raises(ConfigurationError, match="was deleted or replaced while this client had it open"):
                call()
        moved.rename(path)
        client.remember("assistant", "after")
        assert contents(client) == ["after", "before"]


def test_a_file_that_is_missing_where_none_is_to_be_made_is_told(path):
    with pytest.raises(ConfigurationError, match="does not exist"):
        _opening.open_store(SqliteTransport(str(path))._location, 0, create=False)


def test_a_store_without_a_write_ahead_log_is_refused(path):
    connection = sqlite3.connect(":memory:")  # which has none
    with pytest.raises(sqlite_files.UnusableFileError, match="cannot keep a write-ahead log"):
        sqlite_files._use_write_ahead_log(connection)
    connection.close()


def test_a_commit_that_the_disk_broke_may_have_been_stored():
    error = store_error(sqlite3.OperationalError("disk I/O error"), "agent.db", maybe_stored=True)
    assert isinstance(error, TransportError)
    assert error.maybe_sent
    assert "nothing of this call" not in error.message


class BreaksCommits:
    """A connection whose disk fails at the end of each transaction."""

    def __init__(self, connection):
        self._connection = connection

    def __getattr__(self, name):
        return getattr(self._connection, name)

    def execute(self, statement, *values):
        if statement == "COMMIT":
            raise sqlite3.OperationalError("disk I/O error")
        return self._connection.execute(statement, *values)


def test_a_commit_that_fails_is_taken_back_and_may_have_been_stored(path):
    transport = SqliteTransport(str(path))
    once = RetryPolicy(max_attempts=1)
    with closing(transport), Memtrace("memory://", transport=transport, retry=once) as client:
        client.remember("assistant", "before")
        opened = transport._process.get().opened
        whole, opened.connection = opened.connection, BreaksCommits(opened.connection)
        with pytest.raises(APIConnectionError, match="the disk reports an error") as caught:
            client.remember("assistant", "lost")
        assert caught.value.maybe_applied
        opened.connection = whole
        assert contents(client) == ["before"]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("attempt to write a readonly database", "cannot be written: the file or its folder is read-only"),
        ("unable to open database file", "cannot be opened"),
        ("no such module: fts5", "cannot be used: this Python's SQLite was built without FTS5"),
        ("something new", "cannot be used: something new"),
    ],
)
def test_what_sqlite_says_is_told_with_the_path_and_what_to_do(said, told):
    error = store_error(sqlite3.OperationalError(said), "agent.db")
    assert isinstance(error, ConfigurationError)
    assert error.message.startswith(f"the store agent.db {told}")
    assert error.hint


def held(path):
    """Another program's connection that lets nobody else read or write."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    return other


def test_the_first_call_waits_for_who_holds_the_file(path):
    other = held(path)
    timer = threading.Timer(0.3, other.execute, ["ROLLBACK"])
    timer.start()
    with Memtrace(path) as client:
        client.remember("assistant", "after all")
        assert contents(client) == ["after all"]
    timer.join()
    other.close()


def test_the_first_call_is_told_after_the_timeout_that_the_file_is_held(path):
    other = held(path)
    with (
        Memtrace(path, timeout=0.2, retry=ONCE) as client,
        pytest.raises(APITimeoutError, match="was locked by another process for longer than the timeout"),
    ):
        client.remember("assistant", "meanwhile")
    other.close()


def test_a_file_that_sqlite_cannot_open_is_told(path, monkeypatch):
    def unable(*args, **settings):
        raise sqlite3.OperationalError("unable to open database file")

    with Memtrace(path) as client:
        monkeypatch.setattr(_opening.sqlite3, "connect", unable)
        with pytest.raises(ConfigurationError, match="cannot be opened"):
            client.recall("assistant")


def answering(*outcomes):
    """An `answer` of the rules whose first calls raise these; then it is the real one."""
    left = list(outcomes)

    def answer(*args):
        if left:
            raise left.pop(0)
        return real(*args)

    real = _file.answer
    return answer


def test_a_read_that_meets_a_lock_is_made_again(path, monkeypatch):
    with Memtrace(path, retry=ONCE) as client:
        client.remember("assistant", "before")
        monkeypatch.setattr(_file, "answer", answering(sqlite3.OperationalError("database table is locked")))
        assert contents(client) == ["before"]


def test_a_write_that_is_interrupted_is_taken_back(path, monkeypatch):
    with Memtrace(path, retry=ONCE) as client:
        client.remember("assistant", "before")
        monkeypatch.setattr(_file, "answer", answering(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            client.remember("assistant", "interrupted")
        client.remember("assistant", "after")
        assert contents(client) == ["after", "before"]


def test_a_file_that_another_process_has_just_made_is_opened(path, monkeypatch):
    def made_by_another(name, *args, **settings):
        path.write_bytes(b"")
        raise FileExistsError

    with Memtrace(path) as client:
        monkeypatch.setattr(sqlite_files.os, "open", made_by_another)
        client.remember("assistant", "shared")
        assert contents(client) == ["shared"]

"""A buffer with a spool: what it took outlives its process, and is stored once."""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
import traceback

import pytest

from memtrace import (
    AddMemoryRequest,
    APIConnectionError,
    APITimeoutError,
    BufferDrainError,
    BufferFullError,
    ClientClosedError,
    ConfigurationError,
    InvalidRequestError,
    Memtrace,
    RetryPolicy,
)
from memtrace._runtime.write_buffer import asyncio_worker, thread_worker
from memtrace._runtime.write_buffer.admission import prepare
from memtrace._runtime.write_buffer.spool import Spool
from memtrace._runtime.write_buffer.spool_delivery import Outbox
from memtrace._support import forks
from memtrace._support.process_locks import ProcessLock
from memtrace_transports import ManualClock
from memtrace_transports.memory import FakeMemtrace, Fault
from memtrace_transports.memory.server import LiveServer
from tests.sampling import is_whole
from tests.write_buffer.faces import PATIENCE, contents, memory, passing
from tests.write_buffer.spool_killing import run

ONCE = RetryPolicy(max_attempts=1)
AT_ONCE = RetryPolicy(max_attempts=1, verify_before_retry="read")


@pytest.fixture(autouse=True)
def looking_often(monkeypatch):
    for worker in (thread_worker, asyncio_worker):
        monkeypatch.setattr(worker, "_LOOK", 0.02)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out box" / "outbox.db"


@pytest.fixture
def fake():
    return FakeMemtrace(clock=ManualClock(), dedup_enabled=False)


def counts(path):
    spool = Spool(str(path), None)
    found = spool.counts()
    spool.close()
    return found.waiting, found.under_way, found.failed


def let_go(held):
    held.clear()
    gc.collect()


def until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def outbox_of(client, path):
    """A process of its own that adds and marks, and dies when the test says so."""
    return Outbox(str(path), client._dispatcher.settings)


def left(client, path, *numbers, **fields):
    """Add memories as a process that dies before it sends them."""
    outbox = outbox_of(client, path)
    for number in numbers:
        outbox.add(prepare(AddMemoryRequest(**memory(number, **fields)), "per_call")[0])
    outbox.spool.close()


def marked(client, fake, path):
    """Mark what waits as a process that dies while it sends it; gives what it would have sent."""
    outbox = outbox_of(client, path)
    found = outbox.spool.take(outbox.spool.newest(), 0, (100, 1 << 22), fake_time(fake))
    outbox.spool.close()
    return [each.request for each in found]


def fake_time(fake):
    from datetime import datetime, timezone

    return datetime.fromtimestamp(fake.clock.wall(), timezone.utc)


# ---- taking and sending ---------------------------------------------------------------------------------------------


def test_what_is_added_is_on_the_disk_and_then_on_the_server_once(face, fake, path):
    buffer = face.client(fake).memories.buffered(spool=path, flush_interval=60)
    face.gate.shut()
    futures = [face.call(buffer.add, **memory(number)) for number in range(3)]
    assert sum(counts(path)) == 3
    assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()} == {0o600}
    face.gate.open.set()
    assert face.call(buffer.flush)
    assert [face.outcome(future).status for future in futures] == ["stored"] * 3
    assert face.outcome(futures[1]).memory.content == "memory 1"
    face.call(buffer.close)
    assert contents(fake) == ["memory 0", "memory 1", "memory 2"]
    assert counts(path) == (0, 0, 0)
    assert face.counts(buffer).stored == 3


def test_more_than_a_request_holds_goes_in_order(face, fake, path):
    with_spool = face.client(fake).memories.buffered(spool=str(path), max_items=3)
    face.enter(with_spool)
    for number in range(10):
        face.call(with_spool.add, **memory(number))
    face.leave(with_spool)
    assert contents(fake) == [f"memory {number}" for number in range(10)]


def test_equal_memories_are_all_kept(face, fake, path):
    buffer = face.client(fake).memories.buffered(spool=path)
    for _ in range(3):
        face.call(buffer.add, **memory(1))
    face.call(buffer.close)
    assert contents(fake) == ["memory 1"] * 3


def test_a_key_of_your_own_is_kept_and_its_duplicates_are_told(face, path):
    fake = FakeMemtrace(clock=ManualClock())
    buffer = face.client(fake).memories.buffered(spool=path, max_items=1)
    first = face.call(buffer.add, **memory(1, dedup_key="mine"))
    second = face.call(buffer.add, **memory(2, dedup_key="mine"))
    face.call(buffer.close)
    assert [face.outcome(future).status for future in (first, second)] == ["stored", "duplicate"]


def test_every_field_comes_back_as_it_was_given(face, fake, path):
    client = face.client(fake)
    fields = {
        "metadata": {"deep": [{"é": 1.5}]},
        "tags": ["ui"],
        "importance": 1,
        "session_id": "sess_1",
        "memory_type": "decision",
        "event_type": "choice",
        "parent_id": "p",
    }
    left(client, path, 1, **fields)
    buffer = client.memories.buffered(spool=path)
    assert face.call(buffer.flush)
    face.call(buffer.close)
    fake.flush()
    (row,) = fake.client().memories.list().memories
    assert {name: getattr(row, name) for name in fields} == fields


# ---- after a death --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["block", "flush", "add"])
def test_what_a_dead_process_left_is_sent_by_the_next(face, fake, path, way):
    client = face.client(fake)
    left(client, path, 1, 2)
    buffer = client.memories.buffered(spool=path, max_items=1)
    if way == "block":
        face.enter(buffer)
        until(lambda: len(contents(fake)) == 2)
    elif way == "flush":
        assert face.call(buffer.flush)
    else:
        face.outcome(face.call(buffer.add, **memory(3)))
    face.call(buffer.close)
    assert contents(fake) == [f"memory {number}" for number in ((1, 2, 3) if way == "add" else (1, 2))]
    assert face.counts(buffer).accepted == (way == "add")


@pytest.mark.parametrize("hours", [0, 30])
@pytest.mark.parametrize("fields", [{}, {"dedup_key": "mine"}], ids=["unique", "own-key"])
def test_what_was_under_way_and_is_stored_is_not_sent_again(face, fake, path, hours, fields):
    client = face.client(fake)
    left(client, path, 1, **fields)
    sent = marked(client, fake, path)
    fake.client().memories.add_many(sent)  # its answer never came
    fake.clock.advance(hours * 3600 + 1)
    buffer = client.memories.buffered(spool=path)
    assert face.call(buffer.flush)
    face.call(buffer.close)
    assert contents(fake) == ["memory 1"]
    assert counts(path) == (0, 0, 0)


def test_of_what_was_under_way_only_what_is_missing_is_sent(face, fake, path):
    client = face.client(fake)
    left(client, path, 1, 2, 3)
    sent = marked(client, fake, path)
    fake.client().memories.add_many(sent[:1])
    left(client, path, 4)
    buffer = client.memories.buffered(spool=path)
    assert face.call(buffer.flush)
    face.call(buffer.close)
    assert sorted(contents(fake)) == [f"memory {number}" for number in (1, 2, 3, 4)]


def test_what_was_under_way_and_is_not_stored_is_sent(face, fake, path):
    client = face.client(fake, retry=ONCE, deadline=0.5)
    left(client, path, 1)
    marked(client, fake, path)
    buffer = client.memories.buffered(spool=path)
    assert face.call(buffer.flush)
    face.call(buffer.close)
    assert contents(fake) == ["memory 1"]


def test_what_cannot_be_looked_for_is_not_sent_again(face, fake, path):
    client = face.client(fake, retry=ONCE)
    left(client, path, 1)
    sent = marked(client, fake, path)
    fake.client().memories.add_many(sent)
    fake.faults.add(Fault("status", on="memories.list", nth=2, status=500, body=b'{"error":"no"}'))
    buffer = client.memories.buffered(spool=path)
    face.enter(buffer)
    until(lambda: len(fake.calls.filter("memories.list")) >= 2)
    assert counts(path) == (0, 1, 0)
    with passing(fake.clock):
        assert face.call(buffer.flush)
    face.call(buffer.close)
    assert contents(fake) == ["memory 1"]


def test_the_servers_time_is_asked_for_once_and_moves_on(face, fake, path):
    buffer = face.client(fake).memories.buffered(spool=path, max_items=1)
    for number in range(3):
        face.outcome(face.call(buffer.add, **memory(number)))
    face.call(buffer.close)
    assert len(fake.calls.filter("memories.list")) == 1


@pytest.mark.slow
def test_a_killed_loop_loses_and_doubles_nothing():
    assert run(6 if is_whole() else 1, seed=3) > 0


# ---- while it cannot be sent ----------------------------------------------------------------------------------------


def test_what_cannot_be_sent_waits_and_is_sent_when_it_can(face, fake, path, caplog):
    client = face.client(fake, retry=ONCE)
    fake.faults.add(Fault("refused", times=2))
    buffer = client.memories.buffered(spool=path, max_items=1)
    with caplog.at_level(logging.WARNING, "memtrace"):
        future = face.call(buffer.add, **memory(1))
        until(lambda: "could not be sent" in caplog.text)
    assert not future.done()
    assert face.counts(buffer).pending == 1
    with passing(fake.clock):
        face.outcome(future)
    face.call(buffer.close)
    assert contents(fake) == ["memory 1"]
    assert "memory 1" not in caplog.text
    assert str(path) in caplog.text


def test_what_may_be_stored_is_looked_for_before_it_is_sent_again(face, fake, path):
    client = face.client(fake, retry=ONCE)
    fake.faults.add(Fault("reset", on="memories.add_many", applied=True))
    buffer = client.memories.buffered(spool=path, max_items=1)
    future = face.call(buffer.add, **memory(1))
    with passing(fake.clock):
        assert face.outcome(future).status == "stored"
    face.call(buffer.close)
    assert contents(fake) == ["memory 1"]


def test_what_is_left_at_the_end_is_kept_and_told(face, fake, path, caplog):
    client = face.client(fake, retry=ONCE)
    fake.faults.add(Fault("refused", times=None))
    buffer = client.memories.buffered(spool=path, drain_timeout=0)
    future = face.call(buffer.add, **memory(1))
    with caplog.at_level(logging.WARNING, "memtrace"):
        face.call(buffer.close)
    outcome = face.outcome(future)
    assert (outcome.status, outcome.error.code) == ("unknown", "spooled")
    assert str(path) in outcome.error.message
    assert f"1 memories are in the spool {path}" in caplog.text
    assert buffer.unsent == []
    assert face.call(buffer.flush, 0) in (True, False)
    with pytest.raises(ClientClosedError):
        face.call(buffer.add, **memory(2))
    fake.faults.clear()
    later = face.client(fake).memories.buffered(spool=path)
    assert face.call(later.flush)
    face.call(later.close)
    assert contents(fake) == ["memory 1"]


def test_a_middleware_that_raises_loses_nothing_and_doubles_nothing(face, fake, path, caplog):
    broken = [ZeroDivisionError("with content")]

    def breaks_once(request, call_next):
        response = yield from call_next(request)
        if broken and request.method == "POST":
            raise broken.pop()
        return response

    buffer = face.client(fake, middleware=[breaks_once]).memories.buffered(spool=path, max_items=1)
    with caplog.at_level(logging.WARNING, "memtrace"):
        future = face.call(buffer.add, **memory(1))
        until(lambda: "unexpected_error" in caplog.text)
    with passing(fake.clock):
        assert face.outcome(future).status == "stored"
    face.call(buffer.close)
    assert contents(fake) == ["memory 1"]
    assert "with content" not in caplog.text


def test_what_is_under_way_at_the_end_is_kept_and_not_sent_twice(face, fake, path):
    client = face.client(fake)
    buffer = client.memories.buffered(spool=path, max_items=1, drain_timeout=0)
    assert face.call(buffer.flush)
    face.gate.shut()
    future = face.call(buffer.add, **memory(1))
    until(lambda: counts(path) == (0, 1, 0) or face.gate.arrived.acquire(timeout=0.01))
    face.call(buffer.close)
    assert face.outcome(future).error.code == "spooled"
    assert buffer.unsent == []
    face.gate.open.set()
    later = client.memories.buffered(spool=path)
    assert face.call(later.flush)
    face.call(later.close)
    assert contents(fake) == ["memory 1"]


def test_a_buffer_that_nobody_closes_leaves_its_spool_to_the_next(face, fake, path, collecting_is_quick):
    client = face.client(fake, retry=ONCE)
    fake.faults.add(Fault("refused", times=None))
    buffer = client.memories.buffered(spool=path, max_items=1)
    future = face.call(buffer.add, **memory(1))
    held = [buffer]
    del buffer
    with pytest.warns(ResourceWarning):
        let_go(held)
    with passing(fake.clock):
        until(future.done)
    assert face.outcome(future).error.code == "spooled"
    assert sum(counts(path)) == 1


def test_what_the_server_refuses_is_reported_and_kept_apart(face, fake, path):
    told = []
    body = (
        b"""{"error": "failed to create memory 1: invalid tag 'planted': memory 2 and planted_tag and planted words"}"""
    )
    fake.faults.add(Fault("status", on="memories.add_many", status=500, body=body, applied=False))
    buffer = face.client(fake, retry=ONCE).memories.buffered(
        spool=path, flush_interval=60, max_items=3, on_result=told.append
    )
    held = {"tags": ["planted_tag", "ui"], "metadata": {"deep": ["planted words", 1]}}
    futures = [face.call(buffer.add, **memory(number, **held)) for number in (1, 2, 3)]
    with passing(fake.clock):
        outcomes = [face.outcome(future) for future in futures]
    assert [outcome.status for outcome in outcomes] == ["stored", "failed", "stored"]
    assert isinstance(outcomes[1].error, InvalidRequestError)
    face.call(buffer.close)
    assert counts(path) == (0, 0, 1)
    spool = Spool(str(path), None)
    (refused,) = spool.refused()
    assert json.loads(refused.body)["content"] == "memory 2"
    assert "failed to create memory" in refused.error
    assert "memory 2" not in refused.error
    assert "planted" not in refused.error
    spool.drop([refused.number])
    assert spool.refused() == []
    spool.close()


# ---- several processes ----------------------------------------------------------------------------------------------


def test_while_another_sends_this_one_adds_and_hears_of_it(face, fake, path):
    client = face.client(fake)
    other = outbox_of(client, path)
    assert other.spool.take_role()
    buffer = client.memories.buffered(spool=path, max_items=1)
    future = face.call(buffer.add, **memory(1))
    (row,) = other.spool.take(other.spool.newest(), 0, (10, 1 << 22), fake_time(fake))
    assert row.request.content == "memory 1"
    other.spool.note([row.number], [], {})
    assert face.outcome(future).status == "stored"
    assert face.outcome(future).memory is None
    second = face.call(buffer.add, **memory(2))
    (row,) = other.spool.take(other.spool.newest(), 0, (10, 1 << 22), fake_time(fake))
    other.spool.note([], [], {row.number: "no such tag"})
    assert face.outcome(second).status == "failed"
    assert face.outcome(second).error.message == "no such tag"
    third = face.call(buffer.add, **memory(3))
    time.sleep(0.1)
    assert not third.done()
    other.spool.close()  # its role ends with it
    assert face.outcome(third).status == "stored"
    face.call(buffer.close)
    assert contents(fake) == ["memory 3"]


def test_an_idle_buffer_sends_what_another_process_has_left(face, fake, path):
    client = face.client(fake)
    buffer = client.memories.buffered(spool=path)
    face.enter(buffer)
    face.call(buffer.flush)
    left(client, path, 7)
    until(lambda: contents(fake) == ["memory 7"])
    face.leave(buffer)


def test_flushing_and_closing_wait_for_another_sender_within_their_bounds(face, fake, path):
    client = face.client(fake)
    left(client, path, 1)
    other = outbox_of(client, path)
    assert other.spool.take_role()
    buffer = client.memories.buffered(spool=path, drain_timeout=0)
    assert not face.call(buffer.flush, 0)
    face.call(buffer.close)
    assert contents(fake) == []
    patient = client.memories.buffered(spool=path)
    face.enter(patient)
    other.spool.close()
    assert face.call(patient.flush)
    face.call(patient.close)
    assert contents(fake) == ["memory 1"]


_HOLD = """
import sys, time
from memtrace import Memtrace
from memtrace._runtime.write_buffer.spool_delivery import Outbox
url, key, path = sys.argv[1:]
outbox = Outbox(path, Memtrace(url, key)._dispatcher.settings)
assert outbox.spool.take_role()
print("held", flush=True)
time.sleep(600)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_the_death_of_the_sender_frees_its_role(path):
    with LiveServer(FakeMemtrace(any_key=True)) as server:
        arguments = [sys.executable, "-c", _HOLD, server.url, "mtk_one", str(path)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout.readline() == "held\n"
            with Memtrace(server.url, "mtk_one") as client, client.memories.buffered(spool=path, max_items=1) as buffer:
                future = buffer.add(**memory(1))
                time.sleep(0.3)
                assert not future.done()
                holder.send_signal(signal.SIGKILL)
                assert future.result(PATIENCE).status == "stored"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_adds_and_sends_while_its_parent_writes(path):
    with LiveServer(FakeMemtrace(any_key=True)) as server, Memtrace(server.url, "mtk_one") as client:
        buffer = client.memories.buffered(spool=path, flush_interval=0.05)
        stop = threading.Event()

        def add():
            number = 0
            while not stop.wait(0.005):
                buffer.add(**memory(f"of the parent {number}"))
                number += 1

        thread = threading.Thread(target=add)
        thread.start()
        statuses = []
        for child in range(20):
            process = os.fork()
            if process == 0:
                try:
                    found = buffer.add(**memory(f"of child {child}")).result(PATIENCE).status
                    os._exit(0 if found == "stored" else 3)
                except BaseException:  # noqa: BLE001  # the child of a test leaves here
                    traceback.print_exc()
                    os._exit(4)
            statuses.append(os.waitpid(process, 0)[1])
        stop.set()
        thread.join()
        buffer.close()
        rows = [row.content for row in client.memories.iter(agent_id="assistant")]
        assert statuses == [0] * 20
        assert sum("of child" in row for row in rows) == 20
        assert len(set(rows)) == len(rows) == 20 + buffer.counts.accepted


# ---- whose it is, and what befalls it -------------------------------------------------------------------------------


def test_a_spool_belongs_to_one_server_and_one_key_and_keeps_neither(path):
    with Memtrace("http://one.example", "mtk_planted_key") as client:
        left(client, path, 1)
    for url, key, told in [
        ("http://two.example", "mtk_planted_key", "belongs to another server, by its base URL"),
        ("http://one.example", "mtk_another", "belongs to another organisation, by its API key"),
    ]:
        with Memtrace(url, key) as client, client.memories.buffered(spool=path) as buffer:
            with pytest.raises(ConfigurationError, match=told) as caught:
                buffer.add(**memory(2))
            assert str(path) in caught.value.message
            assert caught.value.hint
            assert buffer.counts.accepted == 0
    assert counts(path) == (1, 0, 0)
    raw = b"".join(each.read_bytes() for each in path.parent.iterdir())
    assert b"mtk_planted_key" not in raw
    assert b"one.example" not in raw


def test_a_file_that_is_no_spool_is_refused_and_left_alone(face, fake, tmp_path):
    text, theirs, folder = tmp_path / "diary", tmp_path / "theirs.db", tmp_path / "folder"
    text.write_text("my diary, " * 100)
    folder.mkdir()
    with sqlite3.connect(theirs) as other:
        other.execute("CREATE TABLE theirs (a)")
    other.close()
    newer = tmp_path / "newer.db"
    left(face.client(fake), newer, 1)
    with sqlite3.connect(newer) as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    before = {each: each.read_bytes() for each in (text, theirs, newer)}
    for file, told in [
        (text, "is not a SQLite database"),
        (theirs, "is the database of another program"),
        (newer, "was written by a newer memtrace-sdk"),
        (folder, "is a folder"),
    ]:
        buffer = face.client(fake).memories.buffered(spool=file)
        face.enter(buffer)
        with pytest.raises(ConfigurationError, match=told) as caught:
            face.call(buffer.add, **memory(1))
        assert f"the spool {file} " in caught.value.message
        assert caught.value.argument == "spool"
        assert "memory 1" not in str(caught.value)
        face.leave(buffer)
        assert face.counts(buffer).accepted == 0
    assert before == {each: each.read_bytes() for each in before}


def test_a_store_is_no_spool(fake, tmp_path):
    with Memtrace(tmp_path / "agent.db") as client:
        client.remember("assistant", "x")
    told = pytest.raises(ConfigurationError, match="is the database of another program")
    with fake.client() as client, client.memories.buffered(spool=tmp_path / "agent.db") as buffer, told:
        buffer.add(**memory(1))


def test_a_full_disk_takes_nothing_and_there_may_be_room_again(face, fake, path):
    buffer = face.client(fake).memories.buffered(spool=path, flush_interval=60)
    face.call(buffer.add, **memory(1))
    assert face.call(buffer.flush)
    connection = buffer._worker._outbox.spool._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(APIConnectionError, match="the disk is full; nothing was taken") as caught:
        face.call(buffer.add, **memory(2, metadata={"blob": "x" * 100_000}))
    assert caught.value.retryable
    assert face.counts(buffer).accepted == 1
    connection.execute("PRAGMA max_page_count = 100000")
    face.call(buffer.add, **memory(3))
    face.call(buffer.close)
    assert contents(fake) == ["memory 1", "memory 3"]


def test_a_file_that_another_holds_for_longer_than_the_timeout_takes_nothing(face, fake, path):
    left(face.client(fake), path, 1)
    other = sqlite3.connect(path, isolation_level=None)
    buffer = face.client(fake, timeout=0.3).memories.buffered(spool=path, drain_timeout=0)
    assert face.call(buffer.flush)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(APITimeoutError, match="was locked by another process for longer than the timeout"):
        face.call(buffer.add, **memory(2))
    other.execute("ROLLBACK")
    other.close()
    face.call(buffer.add, **memory(3))
    assert face.call(buffer.flush)
    face.call(buffer.close)
    assert contents(fake) == ["memory 1", "memory 3"]


def test_a_file_that_goes_away_takes_nothing_and_may_come_back(face, fake, path):
    buffer = face.client(fake).memories.buffered(spool=path)
    face.call(buffer.add, **memory(1))
    assert face.call(buffer.flush)
    moved = path.rename(path.with_name("moved.db"))
    with pytest.raises(ConfigurationError, match="was deleted or replaced while it was in use; nothing was taken"):
        face.call(buffer.add, **memory(2))
    assert not path.exists()
    moved.rename(path)
    face.call(buffer.add, **memory(3))
    face.call(buffer.close)
    assert contents(fake) == ["memory 1", "memory 3"]


def test_what_was_in_a_file_that_is_gone_is_handed_back_at_the_end(face, fake, path):
    fake.faults.add(Fault("refused", times=None))
    buffer = face.client(fake).memories.buffered(spool=path, drain_timeout=0)
    face.call(buffer.add, **memory(1))
    path.unlink()
    with pytest.raises(BufferDrainError) as caught:
        face.call(buffer.close)
    assert [each.content for each in caught.value.unsent] == ["memory 1"]


def test_a_child_that_inherits_a_closed_buffer_begins_nothing(fake, path):
    client = fake.client("acme")
    buffer = client.memories.buffered(spool=path)
    buffer.close()
    closed = buffer._worker
    child = thread_worker.ThreadWorker(
        client._dispatcher, closed._limits, None, closed, open_spool=lambda: closed._outbox
    )
    assert child.entered()._worker is None


def test_the_address_of_something_else_is_no_path_of_a_spool(face, fake):
    with pytest.raises(ConfigurationError, match="it is an address of sqlite, and no path of a file"):
        face.client(fake).memories.buffered(spool="sqlite:///outbox.db")


def test_to_free_a_lock_twice_frees_nobody_elses(tmp_path):
    first, second = ProcessLock(str(tmp_path / "lock")), ProcessLock(str(tmp_path / "lock"))
    assert first.acquire()
    assert not second.acquire()
    first.release()
    first.release()
    assert second.acquire()
    second.release()


def test_a_folder_that_takes_no_lock_is_told(fake, path, monkeypatch):
    spool = Spool(str(path), None)
    assert spool.newest() == 0
    path.with_name("outbox.db-sender").mkdir()
    with pytest.raises(ConfigurationError, match="has no room for its lock beside it"):
        spool.take_role()
    spool.close()


def test_a_spool_is_closed_before_a_fork_and_opens_again(path, monkeypatch):
    with Memtrace("http://one.example", "k1") as client:
        outbox = outbox_of(client, path)
        outbox.spool.newest()
        assert outbox.spool.close_before_fork()
        assert outbox.spool._connection is None
        outbox.spool.allow_after_fork()
        assert outbox.spool.newest() == 0
        assert outbox.spool in list(forks._closed_before_forks)
        monkeypatch.setattr(outbox.spool, "_fork_patience", 0.01)
        with outbox.spool._lock:  # in use: the fork does not wait for ever
            assert not outbox.spool.close_before_fork()
        assert outbox.spool._connection is not None
        outbox.spool.close()


@pytest.mark.parametrize("given", ["", "a/", ":memory:", "a\0b", b"bytes", "half \ud800", 5, ["a.db"]])
def test_what_is_no_path_is_refused_at_once(fake, given):
    with fake.client() as client, pytest.raises(ConfigurationError, match="the spool") as caught:
        client.memories.buffered(spool=given)
    assert caught.value.argument == "spool"


def test_what_drops_memories_does_not_go_with_a_spool(fake, path):
    with fake.client() as client, pytest.raises(ConfigurationError, match="does not go with a spool"):
        client.memories.buffered(spool=path, on_full="drop_oldest")


def test_a_full_buffer_with_a_spool_takes_no_more(face, fake, path):
    buffer = face.client(fake).memories.buffered(spool=path, max_pending=2, max_items=2, on_full="raise")
    face.gate.shut()
    for number in range(2):
        face.call(buffer.add, **memory(number))
    with pytest.raises(BufferFullError):
        face.call(buffer.add, **memory(2))
    face.gate.open.set()
    face.call(buffer.close)
    assert contents(fake) == ["memory 0", "memory 1"]
    assert face.counts(buffer).accepted == 2


def test_a_relative_path_counts_from_where_the_buffer_was_made(fake, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    client = fake.client()
    buffer = client.memories.buffered(spool="outbox.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    buffer.add(**memory(1))
    buffer.close()
    assert (tmp_path / "outbox.db").exists()


@pytest.mark.slow
def test_a_client_without_a_spool_loads_no_sqlite():
    code = (
        "import sys; from memtrace import Memtrace\n"
        "with Memtrace('http://localhost:1', 'k').memories.buffered() as b: pass\n"
        "assert not [name for name in sys.modules if 'spool' in name or name == 'memtrace._support.sqlite_files']"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

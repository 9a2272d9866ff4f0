"""One file under threads, tasks, forked children and other processes, and clocks that do not agree."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import trio

from memtrace import AddMemoryRequest, AsyncMemtrace, ClientClosedError, ConflictError, InvalidRequestError, Memtrace
from memtrace._support.worker_threads import WorkerThread
from memtrace_transports import AsyncSqliteTransport, SqliteTransport
from memtrace_transports.sqlite import _transport
from tests.forked import in_child
from tests.sqlite.test_addresses import contents

DAY = 86_400


@pytest.fixture
def path(tmp_path):
    return tmp_path / "agent.db"


def all_contents(path):
    with Memtrace(path) as client:
        return [memory.content for memory in client.memories.iter(agent_id="assistant")]


def test_threads_share_one_client(path):
    with Memtrace(path) as client, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: client.remember("assistant", f"number {number}"), range(80)))
    assert sorted(all_contents(path)) == sorted(f"number {number}" for number in range(80))


def test_tasks_share_one_client(path):
    async def main():
        async with AsyncMemtrace(path) as client:
            await asyncio.gather(*(client.remember("assistant", f"number {number}") for number in range(40)))

    asyncio.run(main())
    assert sorted(all_contents(path)) == sorted(f"number {number}" for number in range(40))


def test_a_forked_child_opens_the_file_for_itself(path):
    with Memtrace(path) as client:
        client.remember("assistant", "of the parent")

        def child():
            client.remember("assistant", "of the child")
            return len(contents(client))

        assert in_child(child) == 2
        client.remember("assistant", "of the parent again")
        assert contents(client) == ["of the parent again", "of the child", "of the parent"]


def test_a_parent_that_closes_takes_nothing_from_a_child_that_writes_on(path):
    to_child, to_parent = os.pipe(), os.pipe()
    client = Memtrace(path)
    client.remember("assistant", "of the parent")
    child = os.fork()
    if child == 0:
        client.remember("assistant", "before")
        os.write(to_parent[1], b"x")
        os.read(to_child[0], 1)  # the parent has closed the file
        client.remember("assistant", "after")
        os.kill(os.getpid(), signal.SIGKILL)
    os.read(to_parent[0], 1)
    client.close()
    os.write(to_child[1], b"x")
    os.waitpid(child, 0)
    for end in (*to_child, *to_parent):
        os.close(end)
    assert all_contents(path) == ["after", "before", "of the parent"]


@pytest.mark.slow
def test_children_that_are_forked_while_threads_write_can_use_the_file(path):
    ended = threading.Event()
    with Memtrace(path, timeout=60) as client, ThreadPoolExecutor(2) as pool:

        def write(name):
            for number in range(10_000):
                if ended.is_set():
                    return number
                client.remember("assistant", f"{name} {number}")
            return None

        writers = [pool.submit(write, name) for name in ("a", "b")]
        try:
            codes = [in_child(lambda: client.remember("child", str(os.getpid())) is None) for _ in range(8)]
        finally:
            ended.set()
        written = sum(writer.result() for writer in writers)
        counts = [len(list(client.memories.iter(agent_id=agent))) for agent in ("assistant", "child")]
    assert codes == [0] * 8
    assert counts == [written, 8]


def test_a_forked_child_has_a_thread_of_its_own_for_its_event_loop(path):
    client = AsyncMemtrace(path)
    asyncio.run(client.remember("assistant", "of the parent"))

    async def child():
        await client.remember("assistant", "of the child")
        return len((await client.recall("assistant")).memories)

    assert in_child(lambda: asyncio.run(child())) == 2
    asyncio.run(client.close())


def test_a_fork_before_the_first_call_is_like_any_other(path):
    transport = SqliteTransport(str(path))
    process = transport._process.get()
    assert in_child(lambda: process.opened is None) == 1
    with closing(transport), Memtrace("memory://", transport=transport) as client:
        client.remember("assistant", "after")
        assert contents(client) == ["after"]


def test_a_fork_waits_no_longer_than_it_must_for_a_call(path, monkeypatch):
    monkeypatch.setattr(_transport, "_PATIENCE", 0)
    transport = SqliteTransport(str(path))
    with closing(transport), Memtrace("memory://", transport=transport) as client:
        client.remember("assistant", "of the parent")
        with transport._process.get().lock:
            assert in_child(lambda: 7) == 7
        assert contents(client) == ["of the parent"]


def test_processes_see_each_others_writes_at_once(path):
    code = (
        "import sys; from memtrace import Memtrace\n"
        "with Memtrace(sys.argv[1]) as client:\n"
        "    for line in sys.stdin:\n"
        "        client.remember('assistant', line.strip())\n"
        "        print(len(client.recall('assistant').memories), flush=True)\n"
    )
    with (
        Memtrace(path) as client,
        subprocess.Popen(
            [sys.executable, "-c", code, f"sqlite:///{path}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other,
    ):
        for number in range(1, 4):
            client.remember("assistant", f"ours {number}")
            other.stdin.write(f"theirs {number}\n")
            other.stdin.flush()
            assert other.stdout.readline() == f"{2 * number}\n"
            assert contents(client)[0] == f"theirs {number}"
            with pytest.raises(ConflictError):
                client.remember("assistant", f"theirs {number}")
        other.stdin.close()


def test_two_clients_may_begin_the_same_file_at_once(path):
    ready = threading.Barrier(8)

    def begin(number):
        with Memtrace(path) as client:
            ready.wait()
            client.remember("assistant", f"number {number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(begin, range(8)))
    assert len(all_contents(path)) == 8


# ---- clocks ---------------------------------------------------------------------------------------------------------


def test_memories_of_one_moment_have_times_of_their_own_whoever_stores_them(path, clock):
    with Memtrace(path, clock=clock) as one, Memtrace(path, clock=clock) as two:
        for number in range(3):
            one.remember("assistant", f"one {number}")
            two.remember("assistant", f"two {number}")
        memories = one.memories.list(order="asc").memories
    assert [memory.content for memory in memories] == [
        f"{who} {number}" for number in range(3) for who in ("one", "two")
    ]
    assert len({memory.time for memory in memories}) == 6


def test_a_clock_that_goes_back_changes_no_order(path, clock):
    with Memtrace(path, clock=clock) as client:
        client.remember("assistant", "first")
    clock.now -= 3600
    with Memtrace(path, clock=clock) as client:
        client.remember("assistant", "second")
        assert contents(client) == ["second", "first"]


def test_a_duplicate_is_one_for_a_day_in_every_process(path, clock):
    with Memtrace(path, clock=clock) as client:
        client.remember("assistant", "once")
    with Memtrace(path, clock=clock) as client:
        with pytest.raises(ConflictError):
            client.remember("assistant", "once")
        clock.now += DAY + 1
        client.remember("assistant", "once")
        assert len(client.memories.list(agent_id="assistant").memories) == 2


def test_what_a_batch_stored_before_an_item_that_is_refused_is_kept(path):
    with Memtrace(path) as client:
        good, bad = ({"agent_id": agent, "content": "x"} for agent in ("assistant", "not an id"))
        with pytest.raises(InvalidRequestError):
            client.request("POST", "/api/v1/memories", json={"memories": [good, bad]}).raise_for_status()
        assert contents(client) == ["x"]


def test_both_of_two_equal_items_of_one_batch_are_stored(path):
    with Memtrace(path) as client:
        items = [AddMemoryRequest(agent_id="assistant", content="x")] * 2
        client.add_memories(items)
        assert contents(client) == ["x", "x"]


# ---- the event loop -------------------------------------------------------------------------------------------------


def run_on(backend, function):
    return asyncio.run(function()) if backend == "asyncio" else trio.run(function)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_call_that_is_cancelled_before_its_turn_stores_nothing(path, backend):
    async def main():
        async with AsyncMemtrace(path) as client:
            await client.remember("assistant", "before")
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")  # so that the first call waits, and the second for the first
            if backend == "asyncio":
                tasks = [asyncio.ensure_future(client.remember("assistant", text)) for text in ("first", "second")]
                await asyncio.sleep(0.1)
                tasks[1].cancel()
                await asyncio.wait(tasks[1:])
                other.execute("ROLLBACK")
                await tasks[0]
            else:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(client.remember, "assistant", "first")
                    await trio.sleep(0.1)
                    with trio.move_on_after(0.05):
                        await client.remember("assistant", "second")
                    other.execute("ROLLBACK")
            other.close()
            return [memory.content for memory in (await client.recall("assistant")).memories]

    assert run_on(backend, main) == ["first", "before"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_loop_goes_on_while_a_call_waits(path, backend):
    async def main():
        async with AsyncMemtrace(path) as client:
            await client.remember("assistant", "before")
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            if backend == "asyncio":
                task = asyncio.ensure_future(client.remember("assistant", "after"))
                for _ in range(20):
                    await asyncio.sleep(0.005)
                other.execute("ROLLBACK")  # reached, since the loop was not blocked
                await task
            else:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(client.remember, "assistant", "after")
                    for _ in range(20):
                        await trio.sleep(0.005)
                    other.execute("ROLLBACK")
            other.close()

    run_on(backend, main)
    assert all_contents(path) == ["after", "before"]


def test_a_closed_one_is_closed_for_calls_that_wait_their_turn(path):
    async def main():
        transport = AsyncSqliteTransport(str(path))
        client = AsyncMemtrace("memory://", transport=transport)
        await client.remember("assistant", "before")
        await transport.close()
        await transport.close()
        with pytest.raises(ClientClosedError):
            await client.recall("assistant")

    asyncio.run(main())


@pytest.mark.slow
def test_the_thread_of_a_client_ends_with_it():
    def threads():
        return [thread for thread in threading.enumerate() if thread.name == "worker of this test"]

    worker = WorkerThread("worker of this test")
    assert asyncio.run(worker.run(os.getpid)) == os.getpid()
    (thread,) = threads()
    del worker
    gc.collect()
    thread.join(10)
    assert threads() == []

"""An index that several use: threads, tasks, processes, children of a fork, and processes that are killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from memtrace import (
    AddMemoryRequest,
    AsyncMemtrace,
    ClientClosedError,
    ConfigurationError,
    Memtrace,
    ResponseDecodeError,
)
from memtrace._runtime import local_index
from memtrace.ranking import TextIndex, open_index_file
from memtrace_transports import FakeMemtrace
from tests.forked import in_child
from tests.loopback import LoopbackServer

COUNT = 3000


@pytest.fixture
def served():
    """A server on a port with some thousand memories of one agent, each in a session of its own."""
    fake = FakeMemtrace()
    rows = [
        {"agent_id": "a", "content": f"tea number {n}", "session_id": f"s{n}", "age_s": 7200 - n} for n in range(COUNT)
    ]
    fake.seed("default", rows)
    with LoopbackServer(fake) as server:
        yield server.url, fake.organisation().api_key, fake


SEARCH = """
import json, sys
from memtrace import Memtrace

url, key, index = sys.argv[1:]
with Memtrace(url, key, search_index=index) as client:
    print("ready", flush=True)
    sys.stdin.readline()
    hits = client.memories.search("tea", agent_id="a", limit=5000)
    print(json.dumps([len(hits), client.memories.index_status("a").memories]))
"""


def start(*arguments):
    command = [sys.executable, "-c", SEARCH, *map(str, arguments)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.slow
def test_two_processes_fill_one_file_at_once(served, tmp_path):
    url, key, _ = served
    both = [start(url, key, tmp_path / "index") for _ in range(2)]
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    assert [json.loads(process.communicate()[0]) for process in both] == [[COUNT, COUNT]] * 2


@pytest.mark.slow
def test_an_index_whose_process_is_killed_in_the_middle_is_continued_and_nothing_is_missing(served, tmp_path):
    url, key, fake = served
    read = threading.Event()
    handle = fake.handle
    pages = []

    def noting(request):
        pages.append(request.target)
        if len(pages) == 3:
            read.set()
        return handle(request)

    fake.handle = noting
    process = start(url, key, tmp_path / "index")
    process.stdin.write("\n")
    process.stdin.flush()
    assert read.wait(60)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    del pages[:]
    with Memtrace(url, key, search_index=tmp_path / "index") as client:
        assert client.memories.index_status("a").memories in {999, 1998, 2997, COUNT}
        assert len(client.memories.search("tea", agent_id="a", limit=5000)) == COUNT
    assert len(pages) < 1 + COUNT / 1000, "what was kept is not read again"


def test_many_threads_search_and_write_at_once():
    client = FakeMemtrace().client()

    def work(number):
        client.memories.add(agent_id="a", content=f"tea number {number}", session_id=f"s{number}")
        return len(client.memories.search("tea", agent_id="a", limit=100))

    with ThreadPoolExecutor(8) as pool:
        assert max(pool.map(work, range(40))) == 40
    assert len(client.memories.search("tea", agent_id="a", limit=100)) == 40


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.parametrize("path", [None, "index"])
def test_a_forked_child_searches_and_so_does_its_parent(tmp_path, path):
    fake = FakeMemtrace()
    client = fake.client(search_index=path and tmp_path / path)
    client.memories.add(agent_id="a", content="black tea")
    assert len(client.memories.search("tea")) == 1

    def child():
        client.memories.add(agent_id="a", content="green tea")
        return len(client.memories.search("tea"))

    assert in_child(child) == 2
    assert len(client.memories.search("tea")) == 1, "the child's fake is the child's"
    client.close()


def test_an_async_search_does_not_block_the_loop(tmp_path):
    """While one search works in its thread, the loop goes on: an embedder that waits for the loop would wait for ever."""
    going_on = threading.Event()

    def embed(texts):
        assert going_on.wait(60)
        return [[1.0, 2.0] for _ in texts]

    async def main():
        async with AsyncMemtrace("memory://", "key", embedder=embed, search_index=tmp_path / "index") as client:
            await client.remember("a", "tea")
            searching = asyncio.ensure_future(client.memories.search("tea"))
            while not going_on.is_set():
                await asyncio.sleep(0)
                going_on.set()
            return len(await searching)

    assert asyncio.run(main()) == 1


def test_a_search_that_is_cancelled_leaves_an_index_that_goes_on(tmp_path):
    async def main():
        fake = FakeMemtrace()
        async with fake.async_client(search_index=tmp_path / "index") as client:
            await client.memories.add_many(
                AddMemoryRequest(agent_id="a", content=f"tea {n}", session_id=f"s{n}") for n in range(1500)
            )
            for turns in range(0, 60, 3):
                searching = asyncio.ensure_future(client.memories.search("tea", agent_id="a"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                searching.cancel()
                await asyncio.gather(searching, return_exceptions=True)
            return len(await client.memories.search("tea", agent_id="a", limit=5000))

    assert asyncio.run(main()) == 1500


def test_trio_searches_too(tmp_path):
    trio = pytest.importorskip("trio")

    async def main():
        async with FakeMemtrace().async_client(search_index=tmp_path / "index") as client:
            await client.remember("a", "tea")
            return len(await client.memories.search("tea"))

    assert trio.run(main) == 1


# ---- what happens between reading and searching


def clearing(path, times):
    """An embedding function between whose calls another process clears the index, so many times."""
    calls = []

    def embed(texts):
        calls.append(texts)
        if len(calls) <= times:
            connection = open_index_file(path)
            for (scope,) in connection.execute("SELECT scope FROM recall_scopes").fetchall():
                TextIndex(connection, scope).clear()
            connection.close()
        return [[1.0, 2.0] for _ in texts]

    return embed


def test_an_index_that_another_process_clears_meanwhile_is_read_anew(tmp_path):
    path = tmp_path / "index"
    client = FakeMemtrace().client(search_index=path, embedder=clearing(path, 1))
    client.remember("a", "tea")
    assert len(client.memories.search("tea", agent_id="a")) == 1
    client.close()


def test_one_that_is_cleared_again_and_again_is_an_error(tmp_path):
    path = tmp_path / "index"
    client = FakeMemtrace().client(search_index=path, embedder=clearing(path, 1000))
    client.remember("a", "tea")
    with pytest.raises(ResponseDecodeError, match="gives other memories each time"):
        client.memories.search("tea", agent_id="a")
    client.close()


@pytest.mark.slow
def test_a_page_that_follows_on_what_was_cleared_is_not_taken(tmp_path):
    fake = FakeMemtrace()
    fake.seed("default", [{"agent_id": "a", "content": f"tea {n}", "age_s": 9000 - n} for n in range(2500)])
    path, cleared = tmp_path / "index", []

    def clear(status):
        if status.memories > 1000 and not cleared:
            clearing(path, 1)(["once"])
            cleared.append(status)

    client = fake.client(search_index=path)
    assert client.memories.index_sync("a", progress=clear).memories == 2500
    assert cleared
    client.close()


def test_an_index_that_is_locked_for_long_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(local_index, "_PATIENCE", 0.1)
    path = tmp_path / "index"
    client = FakeMemtrace().client(search_index=path)
    client.remember("a", "tea")
    assert len(client.memories.search("tea")) == 1
    client.remember("a", "more tea")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(ConfigurationError, match="was locked by another process for longer") as caught:
        client.memories.search("tea")
    assert caught.value.argument == "search_index"
    holder.close()
    assert len(client.memories.search("tea")) == 2
    client.close()


def test_a_damage_that_comes_back_is_an_error(tmp_path, monkeypatch):
    client = FakeMemtrace().client(search_index=tmp_path / "index")

    def broken(*_):
        raise sqlite3.DatabaseError("database disk image is malformed")

    monkeypatch.setattr(local_index, "scope_name", broken)
    with pytest.raises(ConfigurationError, match="is damaged"):
        client.memories.index_status()
    in_memory = FakeMemtrace().client()
    with pytest.raises(ConfigurationError, match="the search index in memory is damaged"):
        in_memory.memories.index_status()


def test_a_search_that_was_begun_before_its_client_is_closed_is_told(tmp_path):
    client = FakeMemtrace().client(search_index=tmp_path / "index")
    searching = client._dispatcher.searching
    client.close()
    with pytest.raises(ClientClosedError):
        searching._local.begun(("a", "b"), [local_index.Target()])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_fork_while_the_index_is_in_use_waits_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(local_index, "_PATIENCE", 0.05)
    client = FakeMemtrace().client(search_index=tmp_path / "index")
    client.remember("a", "tea")
    inside, go_on = threading.Event(), threading.Event()

    def embed(index):
        inside.set()
        assert go_on.wait(60)

    local = client._dispatcher.searching._local
    using = threading.Thread(target=lambda: local._use(("a", "b"), embed))
    using.start()
    assert inside.wait(60)
    assert in_child(lambda: len(client.memories.search("tea"))) == 1
    go_on.set()
    using.join()
    assert len(client.memories.search("tea")) == 1
    client.close()

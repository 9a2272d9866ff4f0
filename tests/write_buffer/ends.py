"""A program that ends in some way with an open write buffer: python ends.py WAY BUFFER TRANSPORT URL KEY.

BUFFER is ``sync``, or for the async one where its event loop is at the end: ``stopped``, ``closed``, ``ended`` or ``in_thread``.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import multiprocessing
import os
import signal
import sys
import threading

from memtrace import AsyncMemtrace, Memtrace

COUNT = 20
KEPT = []


def fill(buffer_kind, transport, url, key):
    """Add 20 memories that wait in a buffer."""
    if buffer_kind == "sync":
        buffer = Memtrace(url, key, transport=transport, dedup="server").memories.buffered(flush_interval=3600)
        KEPT.append(buffer)
        for number in range(COUNT):
            buffer.add(agent_id="bot", content=f"memory {number}")
        return

    async def add():
        buffer = AsyncMemtrace(url, key, transport=transport, dedup="server").memories.buffered(flush_interval=3600)
        KEPT.append(buffer)
        for number in range(COUNT):
            await buffer.add(agent_id="bot", content=f"memory {number}")

    if buffer_kind == "ended":
        asyncio.run(add())
        return
    loop = asyncio.new_event_loop()
    KEPT.append(loop)
    if buffer_kind == "in_thread":
        threading.Thread(target=loop.run_forever, daemon=True).start()
        asyncio.run_coroutine_threadsafe(add(), loop).result()
        return
    loop.run_until_complete(add())
    if buffer_kind == "closed":
        loop.close()


def end_by_return(arguments):
    fill(*arguments)


def end_by_exit(arguments):
    fill(*arguments)
    sys.exit(3)


def end_by_error(arguments):
    fill(*arguments)
    raise ValueError("of the program")


def end_by_handled_signal(arguments):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    fill(*arguments)
    os.kill(os.getpid(), signal.SIGTERM)


def end_in_fork(arguments):
    fork = os.fork()
    if fork == 0:
        fill(*arguments)
        sys.exit(3)
    os.waitpid(fork, 0)


def end_in_fork_after_use(arguments):
    """The parent's hook is inherited, and its memories are the parent's to send."""
    fill(*arguments)
    end_in_fork(arguments)


def end_in_child(method):
    def end(arguments):
        child = multiprocessing.get_context(method).Process(target=fill, args=arguments)
        child.start()
        child.join()

    return end


def end_in_executor(arguments):
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as executor:
        executor.submit(fill, *arguments).result()


def end_with_late_thread(arguments):
    """A thread of a forked child adds when its finalizers have run."""

    def add_late():
        release.wait()
        fill(*arguments)

    release = threading.Event()
    from multiprocessing import util

    def child():
        threading.Thread(target=add_late).start()
        if sys.version_info >= (3, 13):  # it waits for its threads first, and then runs exit hooks
            release.set()
        else:
            util.Finalize(None, release.set, exitpriority=-10)  # the last of all

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()


def end_with_hook(order):
    """An exit hook of the program closes the buffer: registered before the first call, or after it."""

    def end(arguments):
        _, transport, url, key = arguments
        client = Memtrace(url, key, transport=transport)
        buffer = client.memories.buffered(flush_interval=3600)
        if order == "before":
            atexit.register(buffer.close)
        client.health()
        for number in range(COUNT):
            buffer.add(agent_id="bot", content=f"memory {number}")
        if order == "after":
            atexit.register(buffer.close)

    return end


def end_with_write(order):
    """An exit hook of the program makes plain calls: its first ones, or after others."""

    def write(transport, url, key, client):
        client = client or Memtrace(url, key, transport=transport)
        for number in range(COUNT):
            client.remember("bot", f"memory {number}")

    async def write_async(transport, url, key):
        async with AsyncMemtrace(url, key, transport=transport) as client:
            for number in range(COUNT):
                await client.remember("bot", f"memory {number}")

    def end(arguments):
        buffer_kind, transport, url, key = arguments
        if buffer_kind != "sync":
            atexit.register(lambda: asyncio.run(write_async(transport, url, key)))
            return
        client = None if order == "first" else Memtrace(url, key, transport=transport)
        atexit.register(write, transport, url, key, client)
        if client is not None:
            client.health()

    return end


def end_with_late_adds(arguments):
    """An exit hook of the program adds when ours has run, and nobody closes the buffer."""

    def add_late():
        for number in range(COUNT - 1):
            buffer.add(agent_id="bot", content=f"late {number}")

    atexit.register(add_late)
    _, transport, url, key = arguments
    buffer = Memtrace(url, key, transport=transport, dedup="server").memories.buffered(flush_interval=3600)
    buffer.add(agent_id="bot", content="memory")


def end_with_first_adds(arguments):
    """An exit hook of the program adds the first memories of a buffer, and nobody closes it."""
    _, transport, url, key = arguments
    client = Memtrace(url, key, transport=transport)
    client.health()
    buffer = client.memories.buffered(flush_interval=3600)
    KEPT.append(buffer)

    def add_first():
        for number in range(COUNT):
            buffer.add(agent_id="bot", content=f"first {number}")

    atexit.register(add_first)


WAYS = {
    "return": end_by_return,
    "sys.exit": end_by_exit,
    "error": end_by_error,
    "SIGTERM": end_by_handled_signal,
    "os.fork": end_in_fork,
    "fork_after_use": end_in_fork_after_use,
    "fork": end_in_child("fork"),
    "spawn": end_in_child("spawn"),
    "forkserver": end_in_child("forkserver"),
    "executor": end_in_executor,
    "late_thread": end_with_late_thread,
    "late_adds": end_with_late_adds,
    "first_adds": end_with_first_adds,
    "hook_before": end_with_hook("before"),
    "hook_after": end_with_hook("after"),
    "write_first": end_with_write("first"),
    "write_later": end_with_write("later"),
}


if __name__ == "__main__":
    WAYS[sys.argv[1]](tuple(sys.argv[2:]))

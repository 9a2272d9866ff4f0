"""Clients at work for a long time, in noise and under limits, keep their size: python -m tests.chaos.soak [seconds].

The server and the proxy run in this process, the clients in a child with limits of memory and open files, which measures itself.
Linux alone tells what it needs.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import resource
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from statistics import median

from memtrace import AddMemoryRequest, AsyncMemtrace, Memtrace, MemtraceError, RetryPolicy
from tests.chaos.workload import AGENT, World

MEMORY = 2**30
FILES = 256
ROUND = 1.5
THREADS, TASKS = 4, 20
#: What the resident memory may grow by after the warm-up: fragments, not leaks, which 20 s of calls would make larger.
SPREAD = 12 * 2**20
_PAGE = resource.getpagesize()


def main() -> int:
    """Run the child against a server of this process."""
    options = argparse.ArgumentParser()
    options.add_argument("seconds", type=float, nargs="?", default=600.0)
    seconds = options.parse_args().seconds
    with World(seed=1, every=2000) as world:
        command = [sys.executable, "-m", "tests.chaos.soak", str(seconds)]
        settings = {"SOAK_URL": world.proxy.url, "SOAK_KEY": world.key}
        return subprocess.run(command, env={**os.environ, **settings}, check=False).returncode


# ---- the child ------------------------------------------------------------------------------------------------------


class Gauge:
    """What this process takes up."""

    @staticmethod
    def resident() -> int:
        gc.collect()
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE

    @staticmethod
    def files() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())


def soak(url: str, key: str, seconds: float) -> None:
    """Work for `seconds`; asserts that nothing has grown."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    asyncio.run(asyncio.to_thread(int))  # imports, and what the interpreter keeps for itself
    before = (Gauge.files(), threading.active_count())
    done: Counter[str] = Counter()
    began, sizes = time.monotonic(), []
    policy = RetryPolicy(verify_before_retry="read")
    clients = [Memtrace(url, key, transport=name, timeout=1.0, retry=policy) for name in ("httpx", "requests")]
    while time.monotonic() - began < seconds:
        until = time.monotonic() + ROUND
        for client in clients:
            _in_threads(client, until, done)
        asyncio.run(_in_tasks(url, key, "aiohttp", until + ROUND, done))
        asyncio.run(_in_tasks(url, key, "httpx", until + 2 * ROUND, done))
        sizes.append((time.monotonic() - began, Gauge.resident()))
    for client in clients:
        client.close()
    after = (Gauge.files(), threading.active_count())
    warm = [size for at, size in sizes if at <= max(seconds / 5, 2 * ROUND)] or [sizes[0][1]]
    last = [size for _, size in sizes[-len(sizes) // 5 :]]
    grown = median(last) - max(warm)
    sys.stdout.write(
        f"{seconds:.0f} s, {done.total()} calls: {dict(done)}; resident {max(warm) / 2**20:.0f} MiB after the warm-up, "
        f"{median(last) / 2**20:.0f} at the end; open files {before[0]} and {after[0]}, threads {before[1]} and {after[1]}\n"
    )
    assert after == before
    assert grown <= SPREAD


def _in_threads(client: Memtrace, until: float, done: Counter[str]) -> None:
    threads = [threading.Thread(target=_work, args=(client, until, done)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _work(client: Memtrace, until: float, done: Counter[str]) -> None:
    while time.monotonic() < until:
        try:
            for call in _calls(client):
                call()
                done["done"] += 1
        except MemtraceError as error:
            done["unknown" if error.maybe_applied else "failed"] += 1


async def _in_tasks(url: str, key: str, transport: str, until: float, done: Counter[str]) -> None:
    async with AsyncMemtrace(
        url, key, transport=transport, timeout=1.0, retry=RetryPolicy(verify_before_retry="read")
    ) as client:
        await asyncio.gather(*(_awaited_work(client, until, done) for _ in range(TASKS)))


async def _awaited_work(client: AsyncMemtrace, until: float, done: Counter[str]) -> None:
    while time.monotonic() < until:
        try:
            for call in _calls(client):
                await call()
                done["done"] += 1
        except MemtraceError as error:
            done["unknown" if error.maybe_applied else "failed"] += 1


def _calls(client):
    """Writes, reads, and pages of what is there."""
    text = os.urandom(16).hex()
    yield lambda: client.memories.add(agent_id=AGENT, content=text)
    yield lambda: client.memories.add_many(AddMemoryRequest(agent_id=AGENT, content=f"{text} {n}") for n in range(3))
    yield lambda: client.memories.filter(agent_id=AGENT, content_contains=text)
    for page in range(3):
        yield lambda page=page: client.memories.list(agent_id=AGENT, limit=20, offset=20 * page)


if __name__ == "__main__":
    if "SOAK_URL" in os.environ:
        soak(os.environ["SOAK_URL"], os.environ["SOAK_KEY"], float(sys.argv[1]))
    else:
        sys.exit(main())

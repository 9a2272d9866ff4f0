"""A process that adds to a spool and sends out of it is killed at random moments, again and again: python -m tests.write_buffer.spool_killing

It prints each memory's content once `add` has returned. The server is behind a proxy that breaks a fifth of the requests, it shows
what was written as late as the real one, and its own check for duplicates is off. In the end every memory whose `add` returned
has to be there once.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from memtrace import Memtrace
from memtrace._runtime.write_buffer.spool import Spool
from tests.chaos.workload import AGENT, World

_ADD = """
import random, sys, time
from memtrace import Memtrace
name, url, key, spool = sys.argv[1:]
moments, number = random.Random(name), 0
with Memtrace(url, key, timeout=5).memories.buffered(spool=spool, flush_interval=0.05, max_items=7) as buffer:
    while True:
        number += 1
        content = f"{name} {number}"
        buffer.add(agent_id="chaos_bot", content=content, dedup_key=f"key of {content}" if number % 5 == 0 else None)
        print(content, flush=True)
        time.sleep(moments.uniform(0, 0.05))
"""


def kill_adders(world: World, spool: Path, name: str, seconds: float, adders: int = 1) -> list[str]:
    """Let processes add and send for some seconds and kill them; gives what they had added."""
    command = [sys.executable, "-c", _ADD]
    processes = [
        subprocess.Popen(
            [*command, f"{name}-{number}", world.proxy.url, world.key, str(spool)], stdout=subprocess.PIPE, text=True
        )
        for number in range(adders)
    ]
    first = [process.stdout.readline() for process in processes]  # so that all of them are under way
    time.sleep(seconds)
    for process in processes:
        process.send_signal(signal.SIGKILL)
    told = [line for process in processes for line in process.stdout.read().splitlines(keepends=True)]
    for process in processes:
        process.wait()
        process.stdout.close()
    return [line.strip() for line in (*first, *told) if line.endswith("\n")]


def check(world: World, spool: Path, added: list[str]) -> int:
    """Send what is left, and raise AssertionError where something is missing or there twice; gives how many are there."""
    with Memtrace(world.proxy.url, world.key, timeout=5) as client:
        buffer = client.memories.buffered(spool=spool)
        assert buffer.flush(120)
        buffer.close()
    counts = Spool(str(spool), None).counts()
    assert (counts.waiting, counts.under_way, counts.failed) == (0, 0, 0)
    world.fake.flush()
    held = Counter({content: count for content, count in world.held().items() if content.startswith("round-")})
    missing = [content for content in added if content not in held]
    twice = [content for content, count in held.items() if count > 1]
    assert (missing, twice) == ([], []), f"missing: {missing[:9]}, twice: {twice[:9]}"
    return sum(held.values())


def run(rounds: int, seed: int, *, tell=lambda text: None) -> int:
    """Kill so often, look in between, and give how many memories were added and are there once."""
    moments, added = random.Random(seed), []
    with (
        tempfile.TemporaryDirectory() as folder,
        World(seed=seed, every=10**9, outages=False, kills=False, dedup_enabled=False) as world,
    ):
        assert world.agent_id
        assert AGENT == "chaos_bot"
        spool = Path(folder) / "outbox.db"
        for number in range(rounds):
            adders = 2 if number % 4 == 3 else 1
            added += kill_adders(world, spool, f"round-{number}", moments.uniform(0, 2.5), adders)
            if number % 10 == 9 or number == rounds - 1:
                held = check(world, spool, added)
                tell(f"{number + 1} rounds: {len(added)} added, {held} there, none missing, none twice")
    return len(added)


def main() -> None:
    """Run the rounds, and print what they came to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    run(given.rounds, given.seed, tell=lambda text: print(text, flush=True))  # noqa: T201  # what the session shows


if __name__ == "__main__":
    main()

"""Four processes write to one file and are killed at random moments, again and again: python -m tests.sqlite.killing --rounds 200

Each writer prints a memory's content once it was acknowledged. After each round every acknowledged memory has to be there once,
and the file has to be whole.
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
from memtrace_transports.sqlite.maintenance import StoreFile

WRITERS = 4
_WRITE = """
import sys
from memtrace import AddMemoryRequest, Memtrace
name, url = sys.argv[1:]
client, number = Memtrace(url), 0
while True:
    number += 1
    if number % 5:
        client.remember("assistant", f"{name} {number}")
        print(f"{name} {number}", flush=True)
    else:
        contents = [f"{name} {number}.{item}" for item in range(20)]
        requests = [AddMemoryRequest(agent_id="assistant", content=content) for content in contents]
        for outcome, content in zip(client.memories.add_many(requests).outcomes, contents, strict=True):
            if outcome.status == "stored":
                print(content, flush=True)
"""


def kill_writers(store: Path, name: str, seconds: float) -> list[str]:
    """Let writers run for some seconds and kill them all; gives what was acknowledged."""
    command = [sys.executable, "-c", _WRITE]
    writers = [
        subprocess.Popen([*command, f"{name}-{number}", f"sqlite:///{store}"], stdout=subprocess.PIPE, text=True)
        for number in range(WRITERS)
    ]
    first = [writer.stdout.readline() for writer in writers]  # so that all of them are under way
    time.sleep(seconds)
    for writer in writers:
        writer.send_signal(signal.SIGKILL)
    told = [line for writer in writers for line in writer.stdout.read().splitlines(keepends=True)]
    for writer in writers:
        writer.wait()
        writer.stdout.close()
    return [line.strip() for line in (*first, *told) if line.endswith("\n")]


def check(store: Path, acknowledged: list[str]) -> int:
    """Raise AssertionError where one is missing or there twice, or the file is not whole; gives how many are there."""
    with Memtrace(store) as client:
        found = Counter(memory.content for memory in client.memories.iter(agent_id="assistant"))
    missing = [content for content in acknowledged if content not in found]
    twice = [content for content, count in found.items() if count > 1]
    with StoreFile(str(store)) as file:
        problems = file.check()
    assert (missing, twice, problems) == ([], [], [])
    return sum(found.values())


def main() -> None:
    """Run the rounds, and print what they came to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    given = parser.parse_args()
    moments = random.Random(1)
    acknowledged: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "agent.db"
        for number in range(given.rounds):
            acknowledged += kill_writers(store, f"round-{number}", moments.uniform(0, 0.4))
            if number % 10 == 9 or number == given.rounds - 1:
                told = f"{number + 1} rounds: {len(acknowledged)} acknowledged, {check(store, acknowledged)} there"
                print(f"{told}, none missing, none twice, whole", flush=True)  # noqa: T201  # what the session shows


if __name__ == "__main__":
    main()

"""What a search takes on many memories of one agent, and how many memories a second an index takes in.

    python benchmarks/queries.py [--memories 10000 100000] [--rounds 5] [--data FOLDER] [--json FILE]

Two kinds of index: one in a file of its own, for a server's memories, and the one in the file of a store (`sqlite:///`). The memories
are copies of the turns of ten chats (see `retrieval.py`), each with a word of its own, and the queries are questions about them. All
indexes are asked one query after the other, so that what else the machine does befalls each. Beside the time on the clock stands that
of the processor: on a machine with other work the first has their turns in it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import tempfile
import time
from pathlib import Path

from retrieval import DATA, chats, stored

from memtrace import AddMemoryRequest, Memtrace

EVERY = 23
"""Every so many questions one is asked."""
MARGIN = 11
"""Seconds until nothing is read again that might have become visible late."""
GOALS = {10_000: 10, 100_000: 60}
"""Milliseconds of the processor, of a median query."""
RATE = 10_000
"""Memories a second of the processor, when indexing."""


def copies(turns, count):
    """So many memories of one agent."""
    made = (
        AddMemoryRequest(
            agent_id="assistant",
            session_id=f"{turn.session_id}r{copy}",
            content=f"{turn.content} r{copy}",
            metadata=turn.metadata,
            dedup_key=f"{turn.dedup_key}r{copy}",
        )
        for copy in range(1 + count // len(turns))
        for turn in turns
    )
    return [memory for memory, _ in zip(made, range(count), strict=False)]


@contextlib.contextmanager
def timed(into, name, scale=1.0):
    """Keeps what its block takes, on the clock and of the processor."""
    began = time.perf_counter(), time.process_time()
    yield
    taken = time.perf_counter() - began[0], time.process_time() - began[1]
    into.setdefault(name, []).append(tuple(scale * each for each in taken))


def filled(folder, turns, count, taken):
    """A client for each kind of index, by name, with so many memories."""
    memories = copies(turns, count)
    with timed(taken, (count, "stored alone")):
        served = stored(Memtrace("memory://", search_index=folder / f"{count}.index"), memories)
    with timed(taken, (count, "index in a file")):
        served.memories.index_sync("assistant")
    kept = Memtrace(folder / f"{count}.db")
    with timed(taken, (count, "store's file")):
        stored(kept, memories)
    return {(count, "index in a file"): served, (count, "store's file"): kept}


def asked(clients, questions, rounds):
    """The milliseconds of each query, by client."""
    found = {}
    for _ in range(rounds):
        for question in questions:
            for name, client in clients.items():
                with timed(found, name, 1000):
                    client.memories.search(question, agent_id="assistant")
    return found


def measured(data, sizes, rounds):
    rows = chats(data, ())
    turns = [turn for turns, _ in rows.values() for turn in turns]
    questions = [question["question"] for _, questions in rows.values() for question in questions][::EVERY]
    with tempfile.TemporaryDirectory() as folder:
        clients, taken = {}, {}
        for count in sizes:
            clients |= filled(Path(folder), turns, count, taken)
        time.sleep(MARGIN)
        asked(clients, questions[:3], 1)
        found = asked(clients, questions, rounds)
        for client in clients.values():
            client.close()
    return [line(count, kind, taken[count, kind][0], found[count, kind]) for count, kind in clients]


def line(count, kind, taken, queries):
    clock, processor = (sorted(each) for each in zip(*queries, strict=True))
    return {
        "memories": count,
        "kind": kind,
        "queries": len(queries),
        "median ms": statistics.median(clock),
        "p95 ms": clock[len(clock) * 95 // 100],
        "median ms of the processor": statistics.median(processor),
        "p95 ms of the processor": processor[len(processor) * 95 // 100],
        "indexed a second": count / taken[0],
        "indexed a second of the processor": count / taken[1],
    }


def show(lines):
    for row in lines:
        goal = GOALS.get(row["memories"])
        missed = goal is not None and row["median ms of the processor"] > goal
        slow = row["kind"] == "index in a file" and row["indexed a second of the processor"] < RATE
        print(
            f"{row['memories']:8,} memories, {row['kind']:16} "
            f"median {row['median ms']:6.1f} ms (processor {row['median ms of the processor']:6.1f}), "
            f"p95 {row['p95 ms']:6.1f} ms (processor {row['p95 ms of the processor']:6.1f}) of {row['queries']} queries; "
            f"{row['indexed a second']:8,.0f} memories a second (processor {row['indexed a second of the processor']:8,.0f})"
            f"{'' if goal is None else f'  at most {goal} ms asked'}{': MISSED' if missed else ''}"
            f"{f'  at least {RATE:,} a second asked: MISSED' if slow else ''}",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--memories", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    lines = measured(arguments.data, arguments.memories, arguments.rounds)
    show(lines)
    if arguments.json:
        arguments.json.write_text(json.dumps(lines, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

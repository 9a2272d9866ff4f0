"""Many writes: add_iter in chunks of several sizes against single adds, to the fake server.

python benchmarks/batches.py --rows 100000
"""

from __future__ import annotations

import argparse
import functools
import resource
import sys
import time

from rounds import HERE, Report, Served, add_arguments, in_turn, measured


def work(way, url, rows):
    from memtrace import AddMemoryRequest, Memtrace

    client = Memtrace(url, "mtk_benchmark")
    run = time.time_ns()
    requests = (AddMemoryRequest(agent_id="writer", content=f"{run} row {n} " + "x" * 80) for n in range(rows))
    started = time.perf_counter()
    if way == "single":
        for request in requests:
            client.memories.add(request)
    else:
        assert all(outcome.status == "stored" for outcome in client.memories.add_iter(requests, chunk_size=int(way)))
    seconds = (time.perf_counter() - started) / rows
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB", file=sys.stderr)
    print(seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser, rounds=5)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work(*given.work, given.rows)
        return
    report = Report()
    with Served(HERE / "rows_server.py", 0) as server:
        ways = {}
        for way in ("single", 10, 100, 1000):
            rows = min(given.rows, 2000) if way == "single" else given.rows
            command = [sys.executable, __file__, "--rows", rows, "--work", way, server.url]
            ways[f"a row, {way if way == 'single' else f'chunks of {way}'}"] = functools.partial(measured, command)
        found = in_turn(ways, given.rounds)
    report.figures(found, "us", 1e6)
    report.ratio(found, "a row, single", "a row, chunks of 100", ("least", 10))
    for size in (10, 1000):
        report.ratio(found, f"a row, chunks of {size}", "a row, chunks of 100")
    report.write(given.json)


if __name__ == "__main__":
    main()

"""A list of 1,000 memories, and every row of many: against memtrace-sdk 0.2.0 and a hand-written loop over offsets.

python benchmarks/reading.py --earlier OTHER_ENVIRONMENT/bin/python --rows 1000000
"""

from __future__ import annotations

import argparse
import functools
import resource
import sys
import time

from rounds import HERE, Report, Served, add_arguments, in_turn, measured, pythons


def work(what, url):
    from memtrace import ListOptions, Memtrace

    client = Memtrace(url, "mtk_benchmark")
    if what == "list":
        options = ListOptions(agent_id="reader", limit=1000)
        best = []
        for _ in range(8):
            started = time.perf_counter()
            assert len(client.list_memories(options).memories) == 1000
            best.append(time.perf_counter() - started)
        print(min(best))
        return
    started, rows = time.perf_counter(), 0
    if what == "iterate":
        marks = []
        for _ in client.memories.iter(agent_id="reader"):
            rows += 1
            if rows % 10_000 == 0:
                marks.append(time.perf_counter())
        quarter = max(len(marks) // 4, 1)
        if len(marks) > 4:
            first, last = marks[quarter] - marks[0], marks[-1] - marks[-1 - quarter]
            print(f"the last quarter took {last / first:.2f} of the first", file=sys.stderr)
    else:
        page = None
        while page is None or page.memories:
            page = client.list_memories(ListOptions(agent_id="reader", limit=1000, offset=rows))
            rows += len(page.memories)
    print(f"{rows} rows, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB", file=sys.stderr)
    print((time.perf_counter() - started) / rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser, rounds=5)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work(*given.work)
        return
    report = Report()
    with Served(HERE / "rows_server.py", max(given.rows, 1000)) as server:
        lists, walks = {}, {}
        for name, python in pythons(given).items():
            command = [python, __file__, "--work"]
            lists[f"list of 1,000, {name}"] = functools.partial(measured, [*command, "list", server.url])
            way = "iterate" if name == "ours" else "offsets"
            walks[f"a row, {name}, {way}"] = functools.partial(measured, [*command, way, server.url])
        found = in_turn(lists, given.rounds)
        report.figures(found, "ms", 1000)
        report.ratio(found, "list of 1,000, ours", "list of 1,000, memtrace-sdk 0.2.0", ("most", 0.75))
        found = in_turn(walks, given.rounds)
        report.figures(found, "us", 1e6)
        report.ratio(found, "a row, ours, iterate", "a row, memtrace-sdk 0.2.0, offsets", ("most", 0.5))
    report.write(given.json)


if __name__ == "__main__":
    main()

"""What a further client of the same deployment takes, in time and memory, until its first call.

python benchmarks/clients.py --environment earlier=OTHER_ENVIRONMENT/bin/python
"""

from __future__ import annotations

import argparse
import functools
import gc
import sys
import time
import tracemalloc

from rounds import Report, add_arguments, in_turn, measured, pythons, resident

URL = "http://localhost:9100"
PYTHONS = "memory of Python objects"
"""Of which TLS contexts, the most of a client of memtrace-sdk 0.2.0, are none."""


def maker(way):
    from memtrace import Memtrace

    first = Memtrace(URL, "mtk_first")
    if way == "copy":
        return lambda number: first.with_options(api_key=f"mtk_{number}")
    return lambda number: Memtrace(URL, f"mtk_{number}")


def work(way, what, count):
    """Seconds, or bytes, for each of so many clients that are there at once."""
    make = maker(way)
    make(0)
    if what == PYTHONS:
        gc.collect()
        tracemalloc.start()
    before, started = resident(), time.perf_counter()
    clients = [make(number) for number in range(count)]
    seconds = time.perf_counter() - started
    gc.collect()
    taken = {"time": seconds, PYTHONS: tracemalloc.get_traced_memory()[0], "resident memory": resident() - before}
    print(taken[what] / len(clients))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work(*given.work, given.clients)
        return
    report = Report()
    for what, unit, scale in (("time", "us", 1e6), (PYTHONS, "KB", 1e-3), ("resident memory", "KB", 1e-3)):
        ways = {}
        for name, python in pythons(given).items():
            count = given.clients if name == "ours" else min(given.clients, 50)
            for way in ("new", "copy") if name == "ours" else ("new",):
                command = [python, __file__, "--clients", count, "--work", way, what]
                ways[f"{what} of a client, {name}, {way}"] = functools.partial(measured, command)
        found = in_turn(ways, given.rounds)
        report.figures(found, unit, scale)
        for way in ("new", "copy"):
            earlier = f"{what} of a client, memtrace-sdk 0.2.0, new"
            target = None if what == PYTHONS else ("most", 0.01)
            report.ratio(found, f"{what} of a client, ours, {way}", earlier, target)
    report.write(given.json)


if __name__ == "__main__":
    sys.exit(main())

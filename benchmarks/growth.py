"""How the cost grows with the work: time over size, for charts. Everything is this SDK's, in this process.

python benchmarks/growth.py --json growth.json && python benchmarks/charts.py . charts
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from pathlib import Path

from fake import ORG, filled, make_rows
from rounds import HERE, Served
from worker import Constant, pass_on

from memtrace import AddMemoryRequest, Memtrace
from memtrace_transports._engine.store.store import RowSelection

KEY = "mtk_benchmark"


def seconds(way, rounds):
    """The median of some rounds."""
    gc.collect()
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        way()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def curve(sizes, way, rounds, repeats=1):
    """Pairs of a size and the seconds of `way(size)`, which gives what is measured."""
    found = []
    for size in sizes:
        measured = way(size)
        measured()  # once unmeasured, since connections and caches come with the first
        found.append((size, seconds(measured, rounds) / repeats))
    return found


def up_to(most, *sizes):
    return [size for size in sizes if size <= most] or [most]


def reading(most, rounds):
    sizes = up_to(most, 100, 300, 1000, 3000, 10_000, 30_000, 100_000)
    with Served(HERE / "pages_server.py", max(sizes)) as served, Memtrace(served.url, KEY) as client:

        def listing(size):
            return lambda: client.memories.list(agent_id="reader", limit=size)

        def iterating(size):
            def walk():
                rows = client.memories.iter(agent_id="reader")
                assert sum(1 for _ in zip(range(size), rows, strict=False)) == size

            return walk

        yield "list", "time", "rows", {"memories.list(limit=rows)": curve(sizes, listing, rounds)}
        yield "iter", "time", "rows", {"memories.iter, stopped after so many": curve(sizes, iterating, rounds)}


def writing(most, rounds):
    sizes = up_to(most, 100, 300, 1000, 3000, 10_000, 30_000)
    numbers = iter(range(1 << 60))
    with Served(HERE / "rows_server.py", 0) as served, Memtrace(served.url, KEY) as client:

        def adding(chunk):
            def sized(size):
                def add():
                    rows = (AddMemoryRequest(agent_id="writer", content=f"row {next(numbers)}") for _ in range(size))
                    assert all(
                        outcome.status == "stored" for outcome in client.memories.add_iter(rows, chunk_size=chunk)
                    )

                return add

            return sized

        curves = {f"chunks of {chunk}": curve(sizes, adding(chunk), rounds) for chunk in (10, 100, 1000)}
        yield "add_iter", "time", "rows", curves


def clients(most, rounds):
    sizes = up_to(most, 10, 30, 100, 300, 1000, 3000, 10_000)
    first = Memtrace("http://localhost:9100", KEY)

    def copies(size):
        return lambda: [first.with_options(api_key=f"mtk_{number}") for number in range(size)]

    def new(size):
        return lambda: [Memtrace("http://localhost:9100", f"mtk_{number}") for number in range(size)]

    curves = {"with_options": curve(sizes, copies, rounds), "Memtrace(...)": curve(sizes, new, rounds)}
    yield "clients", "time", "clients that are there at once", curves


def middlewares(most, rounds):
    calls = min(most, 2000)

    def calling(size):
        client = Memtrace("http://localhost:9100", KEY, transport=Constant(), middleware=[pass_on] * size)

        def call():
            for _ in range(calls):
                client.remember("assistant", "User prefers dark mode")

        return call

    found = curve((1, 2, 5, 10, 20, 50), calling, rounds, repeats=calls)
    yield "middlewares", "time a call", "middlewares", {"a call that the network takes no part in": found}


def stored(most, rounds):
    sizes = up_to(most, 1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
    stores = {size: filled(size) for size in sizes}
    more = iter(make_rows(1 << 60))
    latest = {size: next(iter(make_rows(1))).time + 1000 * size for size in sizes}

    def newest(size):
        return lambda: [stores[size].select(ORG, RowSelection(agent_id="agent_0")) for _ in range(20)]

    def absent(size):
        return lambda: stores[size].select(ORG, RowSelection(contains="the teapot on the shelf"))

    def adding(size):
        def add():
            for _ in range(20):
                latest[size] += 1000
                stores[size].extend(ORG, [next(more)._replace(time=latest[size])])

        return add

    curves = {
        "add one": curve(sizes, adding, rounds, repeats=20),
        "newest 100 of an agent": curve(sizes, newest, rounds, repeats=20),
        "search for an absent text": curve(sizes, absent, rounds),
    }
    yield "fake", "time a call", "rows in the fake", curves


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--most", type=int, default=1_000_000, help="of anything")
    parser.add_argument("--json", help="a file for the figures")
    given = parser.parse_args()
    charts = []
    for measure in (reading, writing, clients, middlewares, stored):
        for name, y, x, curves in measure(given.most, given.rounds):
            charts.append({"name": name, "x": x, "y": y, "curves": curves})
            for curve_name, points in curves.items():
                print(f"{name}, {curve_name}: " + ", ".join(f"{size}: {taken:.2e} s" for size, taken in points))
    if given.json:
        Path(given.json).write_text(json.dumps({"charts": charts}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

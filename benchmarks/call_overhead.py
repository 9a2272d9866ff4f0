"""What a call costs over the bare library, and against memtrace-sdk 0.2.0: ratios, in turn, on one loopback server.

python benchmarks/call_overhead.py                                   # against the bare libraries
python benchmarks/call_overhead.py --environment earlier=OTHER_ENVIRONMENT/bin/python   # and against memtrace-sdk 0.2.0
"""

from __future__ import annotations

import argparse
import json
import subprocess
from contextlib import ExitStack, contextmanager

from rounds import HERE, Report, Served, add_arguments, chosen, pythons

OURS = {
    "sync httpx, ours": "remember",
    "sync httpx, bare": "bare_httpx",
    "sync requests, ours": "remember_requests",
    "sync requests, bare": "bare_requests",
    "sync requests, bare, prepared once": "prepared_requests",
    "constant transport": "constant",
    "constant transport, 5 middlewares": "constant_and_five",
    "async x50 httpx, ours": "remember_async",
    "async x50 httpx, bare": "bare_httpx_async",
    "async x50 aiohttp, ours": "remember_async_aiohttp",
    "async x50 aiohttp, bare": "bare_aiohttp_async",
}
EARLIER = {"sync, memtrace-sdk 0.2.0": "remember", "async x50, memtrace-sdk 0.2.0": "remember_async"}

# Time against time; what is asked of throughput stands the other way round.
RATIOS = [
    ("sync httpx, ours", "sync, memtrace-sdk 0.2.0", ("most", 0.85)),
    ("sync httpx, ours", "sync httpx, bare", ("most", 1.15)),
    ("sync requests, ours", "sync requests, bare", ("most", 1.12)),
    ("sync requests, ours", "sync requests, bare, prepared once", ("most", 1.12)),
    ("constant transport", "sync, memtrace-sdk 0.2.0", ("most", 0.15)),
    ("added by 5 middlewares", "sync, memtrace-sdk 0.2.0", ("most", 0.03)),
    ("async x50, memtrace-sdk 0.2.0", "async x50 aiohttp, ours", ("least", 12)),
    ("async x50 aiohttp, bare", "async x50 aiohttp, ours", ("least", 0.65)),
    ("async x50, memtrace-sdk 0.2.0", "async x50 httpx, ours", ("least", 1.1)),
    ("async x50 httpx, bare", "async x50 httpx, ours", ("least", 0.8)),
]


class Worker:
    """A process that measures one way whenever it is asked to."""

    def __init__(self, process):
        self._process = process

    def measure(self, calls):
        """Seconds a call: of the wall's clock, and of the process's work."""
        print(calls, file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(self._process.args)} ended")
        return json.loads(line)


@contextmanager
def working(python, name, url):
    command = [python, str(HERE / "worker.py"), name, url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Worker(process)  # it ends with its input


def measure(ways, rounds, calls):
    """Each way's seconds a call by round, in which all take turns, by the wall's clock and of work."""
    with ExitStack() as running:
        url = running.enter_context(Served("constant_server.py")).url
        workers = {way: running.enter_context(working(*program, url)) for way, program in ways.items()}
        for worker in workers.values():
            worker.measure(min(calls, 100))
        wall, work = {way: [] for way in ways}, {way: [] for way in ways}
        for _ in range(rounds):
            for way, worker in workers.items():
                seconds = worker.measure(calls)
                wall[way].append(seconds[0])
                work[way].append(seconds[1])
    return {"wall": wall, "CPU": work}


def where(given, way):
    """The Python for a way: a bare library may have an environment of its own."""
    bare = [library for library in ("httpx", "requests", "aiohttp") if f"{library}, bare" in way]
    return chosen(given, bare[0] if bare else "ours")


def with_difference(found):
    alone, five = found.get("constant transport"), found.get("constant transport, 5 middlewares")
    if alone and five:
        found["added by 5 middlewares"] = [more - less for more, less in zip(five, alone, strict=True)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser, rounds=9)
    parser.add_argument("--calls", type=int, default=500, help="of each way in each round")
    parser.add_argument("--only", default="", help="ways whose name begins like this, and those of memtrace-sdk 0.2.0")
    given = parser.parse_args()
    programs = pythons(given)
    ways = {way: (where(given, way), name) for way, name in OURS.items() if way.startswith(given.only)}
    if "memtrace-sdk 0.2.0" in programs:
        ways |= {way: (programs["memtrace-sdk 0.2.0"], name) for way, name in EARLIER.items()}
    report = Report()
    for clock, found in measure(ways, given.rounds, given.calls).items():
        with_difference(found)
        report.title(f"{clock} time")
        report.figures(found, "us a call", 1e6)
        for ratio in RATIOS:
            report.ratio(found, *ratio)
    report.write(given.json)


if __name__ == "__main__":
    main()

"""What a call costs over the bare library, and against memtrace-sdk 0.2.0: ratios, in turn, on one loopback server.

python benchmarks/call_overhead.py                                   # against bare httpx
python benchmarks/call_overhead.py --earlier OTHER_ENVIRONMENT/bin/python   # and against memtrace-sdk 0.2.0
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def measure(python, way, url, calls):
    command = [python, str(HERE / "worker.py"), way, url, str(calls)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--earlier", help="a Python that has memtrace-sdk 0.2.0")
    given = parser.parse_args()
    ways = {
        "sync, ours": (sys.executable, "remember"),
        "sync, bare httpx": (sys.executable, "bare_httpx"),
        "sync, ours on a constant transport": (sys.executable, "constant"),
        "async x50, ours": (sys.executable, "remember_async"),
        "async x50, bare httpx": (sys.executable, "bare_httpx_async"),
    }
    if given.earlier:
        ways["sync, memtrace-sdk 0.2.0"] = (given.earlier, "remember")
        ways["async x50, memtrace-sdk 0.2.0"] = (given.earlier, "remember_async")
    server = subprocess.Popen([sys.executable, str(HERE / "constant_server.py")], stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().strip()
        seconds = {way: [] for way in ways}
        for _ in range(given.rounds):
            for way, (python, name) in ways.items():
                seconds[way].append(measure(python, name, url, given.calls))
    finally:
        server.terminate()
        server.wait()
    report(seconds)


def report(seconds):
    for way, found in seconds.items():
        print(f"{way:36} {statistics.median(found) * 1e6:9.1f} us a call")
    for ours, peer in (
        ("sync, ours", "sync, bare httpx"),
        ("sync, ours", "sync, memtrace-sdk 0.2.0"),
        ("sync, ours on a constant transport", "sync, memtrace-sdk 0.2.0"),
        ("async x50, ours", "async x50, bare httpx"),
        ("async x50, ours", "async x50, memtrace-sdk 0.2.0"),
    ):
        if peer in seconds:
            ratios = [one / other for one, other in zip(seconds[ours], seconds[peer], strict=True)]
            print(f"{ours} / {peer}: median {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()

"""What it takes to import a client and a model, and to have the first answer: against memtrace-sdk 0.2.0.

python benchmarks/imports.py --earlier OTHER_ENVIRONMENT/bin/python
"""

from __future__ import annotations

import argparse
import functools
import os
import subprocess
import time

from rounds import HERE, Report, Served, add_arguments, in_turn, measured, pythons

IMPORT = """
import time
started = time.perf_counter()
from memtrace import Memtrace, AddMemoryRequest
print(time.perf_counter() - started)
"""
FIRST = "import sys; from memtrace import Memtrace; Memtrace(sys.argv[1], 'mtk_key').remember('assistant', 'hello')"


def first_answer(python, url):
    started = time.perf_counter()
    subprocess.run([python, "-c", FIRST, url], check=True, cwd=os.sep)
    return time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser, rounds=15)
    given = parser.parse_args()
    report = Report()
    importing = {
        f"import, {name}": functools.partial(measured, [python, "-c", IMPORT], cwd=os.sep)
        for name, python in pythons(given).items()
    }
    found = in_turn(importing, given.rounds)
    report.figures(found, "ms", 1000)
    report.ratio(found, "import, ours", "import, memtrace-sdk 0.2.0", ("most", 0.65))
    with Served(HERE / "constant_server.py") as server:
        first = {
            f"first answer, {name}": functools.partial(first_answer, python, server.url)
            for name, python in pythons(given).items()
        }
        found = in_turn(first, given.rounds)
    report.figures(found, "ms", 1000)
    report.ratio(found, "first answer, ours", "first answer, memtrace-sdk 0.2.0", ("most", 0.85))
    report.write(given.json)


if __name__ == "__main__":
    main()

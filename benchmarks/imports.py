"""What it takes to import a client and a model, and to have the first answer: against memtrace-sdk 0.2.0.

python benchmarks/imports.py --environment earlier=OTHER_ENVIRONMENT/bin/python
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
{}
print(time.perf_counter() - started)
"""
OURS = "from memtrace import Memtrace, AddMemoryRequest"
FLOOR = "from pydantic import BaseModel\nclass Model(BaseModel):\n    field: str"
FIRST = "import sys; from memtrace import Memtrace; Memtrace(sys.argv[1], 'mtk_key').remember('assistant', 'hello')"
FIRST_FLOOR = f"""
import sys
{FLOOR}
import httpx
httpx.Client(verify=False).post(sys.argv[1] + "/api/v1/memories", json={{}}).read()
"""


def importing(python, code):
    return functools.partial(measured, [python, "-c", IMPORT.format(code)], cwd=os.sep)


def first_answer(python, code, url):
    started = time.perf_counter()
    subprocess.run([python, "-c", code, url], check=True, cwd=os.sep)
    return time.perf_counter() - started


def in_turn_after_one(ways, rounds):
    """As `in_turn`, but the files are read, and compiled where they have not been, before anything is measured."""
    for way in ways.values():
        way()
    return in_turn(ways, rounds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser, rounds=15)
    given = parser.parse_args()
    report = Report()
    programs = pythons(given)
    ways = {f"import, {name}": importing(python, OURS) for name, python in programs.items()}
    ways["import, pydantic and one model"] = importing(programs["ours"], FLOOR)
    found = in_turn_after_one(ways, given.rounds)
    report.figures(found, "ms", 1000)
    report.ratio(found, "import, ours", "import, memtrace-sdk 0.2.0", ("most", 0.65))
    report.ratio(found, "import, pydantic and one model", "import, memtrace-sdk 0.2.0")
    with Served(HERE / "constant_server.py") as server:
        ways = {
            f"first answer, {name}": functools.partial(first_answer, python, FIRST, server.url)
            for name, python in programs.items()
        }
        ways["first answer, pydantic and httpx"] = functools.partial(
            first_answer, programs["ours"], FIRST_FLOOR, server.url
        )
        found = in_turn_after_one(ways, given.rounds)
    report.figures(found, "ms", 1000)
    report.ratio(found, "first answer, ours", "first answer, memtrace-sdk 0.2.0", ("most", 0.85))
    report.ratio(found, "first answer, pydantic and httpx", "first answer, memtrace-sdk 0.2.0")
    report.write(given.json)


if __name__ == "__main__":
    main()

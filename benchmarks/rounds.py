"""Ways of doing the same thing, in turn, each in a process of its own; ratios with their spread."""

from __future__ import annotations

import contextlib
import json
import platform
import resource
import statistics
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).parent


def measured(command, **settings):
    """The number, or the list of numbers, that a command prints last."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **settings)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def resident():
    """The bytes of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def in_turn(ways, rounds):
    """What each way takes in each round; `ways` are functions by name."""
    found = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(way())
    return found


class Report:
    """Prints figures and ratios as they come, and keeps them for a file."""

    def __init__(self):
        self._lines = []
        self._title = None

    def title(self, title):
        """What the following figures and ratios are about."""
        print(f"\n{title}", flush=True)
        self._title = title

    def _keep(self, line):
        self._lines.append(line if self._title is None else {"title": self._title, **line})

    def figures(self, found, unit, scale=1.0):
        """The median of each way."""
        for name, values in found.items():
            median = statistics.median(values) * scale
            print(f"{name:60} {median:12.2f} {unit}", flush=True)
            self._keep({"name": name, "median": median, "unit": unit, "values": [v * scale for v in values]})

    def ratio(self, found, one, other, target=None):
        """One way against another, round by round, with the target that it is to keep."""
        if one not in found or other not in found:
            return
        ratios = [first / second for first, second in zip(found[one], found[other], strict=True)]
        median = statistics.median(ratios)
        aim = (
            ""
            if target is None
            else f", at {target[0]} {target[1]} asked{'' if _is_met(median, *target) else ': MISSED'}"
        )
        print(f"{one} / {other} = {median:.3f} ({min(ratios):.3f} to {max(ratios):.3f}){aim}", flush=True)
        self._keep({"name": f"{one} / {other}", "median": median, "values": ratios, "target": target})

    def bound(self, name, values, unit, target):
        """A figure that has a target of its own."""
        median = statistics.median(values)
        missed = "" if _is_met(median, *target) else ": MISSED"
        print(f"{name} = {median:.3f} {unit}, at {target[0]} {target[1]} asked{missed}", flush=True)
        self._keep({"name": name, "median": median, "unit": unit, "values": values, "target": target})

    def write(self, path):
        """Everything as JSON, where a path is given."""
        if path is not None:
            content = {"versions": versions(), "measured": self._lines}
            Path(path).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


LIBRARIES = ("memtrace-sdk", "pydantic", "httpx", "httpcore", "requests", "urllib3", "aiohttp")


def versions():
    """Of this Python, and of what is installed in it."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            found[library] = version(library)
    return found


def _is_met(ratio, side, bound):
    return ratio <= bound if side == "most" else ratio >= bound


def add_arguments(parser, rounds=7):
    """The arguments that these benchmarks have in common."""
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument(
        "--environment",
        action="append",
        default=[],
        metavar="NAME=PYTHON",
        help="where to find one of: ours, earlier (memtrace-sdk 0.2.0), httpx, requests, aiohttp, langgraph, openai-agents",
    )
    parser.add_argument("--json", help="a file for the figures")


def chosen(given, name):
    """The Python that was given for `name`, or this one."""
    return _environments(given).get(name, sys.executable)


def pythons(given):
    """Ours, and that of memtrace-sdk 0.2.0 where there is one."""
    earlier = _environments(given).get("earlier")
    return {"ours": chosen(given, "ours"), **({"memtrace-sdk 0.2.0": earlier} if earlier else {})}


def _environments(given):
    return dict(each.split("=", 1) for each in given.environment)


class Served:
    """A program of this folder that serves, and prints its address first."""

    def __init__(self, *command):
        self._process = subprocess.Popen(
            [sys.executable, *map(str, command)], stdout=subprocess.PIPE, text=True, cwd=HERE
        )
        self.url = self._process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._process.terminate()
        self._process.wait()

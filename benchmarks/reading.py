"""A list of 1,000 memories, and every row of many: against memtrace-sdk 0.2.0 and a hand-written loop over offsets.

python benchmarks/reading.py --environment earlier=OTHER_ENVIRONMENT/bin/python
python benchmarks/reading.py --environment earlier=OTHER_ENVIRONMENT/bin/python --rows 1000000 --rounds 5   # a quarter of an hour
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import sys
import time

from rounds import HERE, Report, Served, add_arguments, chosen, in_turn, measured, pythons, resident

LISTS = 20


def every_row(url):
    """By memories.iter."""
    from memtrace import Memtrace

    for _ in Memtrace(url, "mtk_benchmark").memories.iter(agent_id="reader"):
        yield 1


def by_offsets(url):
    """By the loop that users of memtrace-sdk 0.2.0 write."""
    from memtrace import ListOptions, Memtrace

    client, offset, page = Memtrace(url, "mtk_benchmark"), 0, None
    while page is None or page.memories:
        page = client.list_memories(ListOptions(agent_id="reader", limit=1000, offset=offset))
        offset += len(page.memories)
        yield from (1 for _ in page.memories)


def raw_pages(url):
    """The same pages by bare httpx, read and not looked at."""
    import httpx

    offset, more = 0, True
    with httpx.Client() as client:
        while more:
            target = f"{url}/api/v1/memories?agent_id=reader&limit=1000&offset={offset}"
            content = client.send(client.build_request("GET", target)).content
            offset, more = offset + 1000, content.endswith(b"true}")
            yield content


def bytes_alone(url):
    for _ in raw_pages(url):
        yield 1000


def parsed(url):
    """The same, each page turned into models by pydantic: as little as whoever gives models can do."""
    from memtrace.models import WIRE, MemoryList

    for content in raw_pages(url):
        yield len(MemoryList.model_validate_json(content, context=WIRE).memories)


WALKS = {"every_row": every_row, "by_offsets": by_offsets, "bytes_alone": bytes_alone, "parsed": parsed}


def walk(way, url, rows):
    """Seconds a row after the first page; and how its last quarter compares with the first, in time and memory."""
    quarter, marks = rows / 4, []
    counts = WALKS[way](url)
    first = seen = sum(itertools.islice(counts, 1 if way in ("bytes_alone", "parsed") else 1000))
    marks = [(time.perf_counter(), resident())]
    for count in counts:
        seen += count
        if seen >= quarter * len(marks):
            marks.append((time.perf_counter(), resident()))
    assert seen == rows, seen
    start, one, three, end = marks[0], marks[1], marks[-2], marks[-1]
    pace = (end[0] - three[0]) / quarter / ((one[0] - start[0]) / (quarter - first))
    print(json.dumps([(end[0] - start[0]) / (rows - first), pace, (end[1] - one[1]) / 1e6]))


def lists(url, rows):
    """The seconds of the best of some lists of so many."""
    from memtrace import ListOptions, Memtrace

    client, options, seconds = Memtrace(url, "mtk_benchmark"), ListOptions(agent_id="reader", limit=rows), []
    for _ in range(LISTS):
        started = time.perf_counter()
        assert len(client.list_memories(options).memories) == rows
        seconds.append(time.perf_counter() - started)
    print(min(seconds))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser, rounds=5)
    parser.add_argument("--rows", type=int, default=50_000, help="a multiple of 4,000, from 8,000")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        way, url, rows = given.work
        lists(url, int(rows)) if way == "list" else walk(way, url, int(rows))
        return
    report = Report()
    with Served(HERE / "pages_server.py", max(given.rows, 1000)) as server:
        compare_lists(report, given, server.url)
        compare_walks(report, given, server.url)
    report.write(given.json)


def compare_lists(report, given, url):
    for rows in (10, 100, 1000):
        ways = {
            f"list of {rows}, {name}": functools.partial(measured, [python, __file__, "--work", "list", url, rows])
            for name, python in pythons(given).items()
        }
        found = in_turn(ways, given.rounds)
        report.figures(found, "ms", 1000)
        target = ("most", 0.75) if rows == 1000 else None
        report.ratio(found, f"list of {rows}, ours", f"list of {rows}, memtrace-sdk 0.2.0", target)


def compare_walks(report, given, url):
    programs = pythons(given)
    ways = {"memories.iter": (programs["ours"], "every_row")}
    if "memtrace-sdk 0.2.0" in programs:
        ways["memtrace-sdk 0.2.0, offsets"] = (programs["memtrace-sdk 0.2.0"], "by_offsets")
    ways["bare httpx, bytes alone"] = (chosen(given, "httpx"), "bytes_alone")
    ways["bare httpx and pydantic"] = (programs["ours"], "parsed")
    commands = {
        name: functools.partial(measured, [python, __file__, "--work", way, url, given.rows])
        for name, (python, way) in ways.items()
    }
    found = in_turn(commands, given.rounds)
    seconds, ends, growth = ({name: [each[part] for each in found[name]] for name in found} for part in range(3))
    report.title(f"every row of {given.rows}")
    report.figures(seconds, "us a row", 1e6)
    report.ratio(seconds, "memories.iter", "memtrace-sdk 0.2.0, offsets", ("most", 0.5))
    for floor in ("bare httpx, bytes alone", "bare httpx and pydantic"):
        report.ratio(seconds, floor, "memtrace-sdk 0.2.0, offsets")
    report.title(f"every row of {given.rows}: the last quarter against the first")
    report.figures(ends, "of its time a row")
    report.figures(growth, "MB more")


if __name__ == "__main__":
    sys.exit(main())

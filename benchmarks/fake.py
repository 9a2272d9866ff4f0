"""What the fake's store takes in time and memory: ratios, each of two ways that take turns in this process.

python benchmarks/fake.py                 # a million rows; about 2 GB and two minutes
python benchmarks/fake.py --rows 20000    # a look
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import random
import sqlite3
import statistics
import time
import tracemalloc
from sys import intern

from constant_server import ROW
from rounds import Report

from memtrace import Memtrace
from memtrace.transport import Response
from memtrace_transports._engine.store.store import MemoryStore, Row, RowSelection
from memtrace_transports.memory._fake import FakeMemtrace

ORG = "org_000000000000000000000000"
START = 1_767_225_600_000_000
ABSENT = "the teapot on the shelf"
TABLE = """
create table memories (
  org_id text, time integer, agent_id text, session_id text, memory_type text, event_type text, content text,
  metadata text, tags text, dedup_key text, importance real, parent_id text
);
create unique index by_time on memories (org_id, time);
create index by_agent on memories (org_id, agent_id, time);
create index by_session on memories (org_id, session_id, time);
create index by_key on memories (org_id, dedup_key, time);
"""


def make_rows(count, agents=1000):
    """Rows of about 110 characters: half of them in sessions of 50, every tenth with metadata, a third with tags."""
    chance = random.Random(1)
    words = ["".join(chance.choices("etaoinshrdlucmfwypvbgk", k=chance.randint(2, 9))) for _ in range(4000)]
    for number in range(count):
        content = f"{' '.join(chance.choices(words, k=16))} {number}"
        agent = intern(f"agent_{chance.randrange(agents)}")
        yield Row(
            time=START + 1000 * number,
            agent_id=agent,
            session_id=intern(f"sess_{chance.randrange(count // 100 + 1):024x}") if number % 2 else "",
            memory_type=("episodic", "episodic", "decision", "entity")[number % 4],
            event_type="general" if number % 20 else "error",
            content=content,
            metadata="" if number % 10 else f'{{"ticket":{number},"source":"chat"}}',
            tags="" if number % 3 else ("ui", "ui,nav", "billing")[number % 9 // 3],
            dedup_key=hashlib.sha256(f"{agent}|{content}".encode()).hexdigest()[:32],
            importance=0.0 if number % 5 else chance.random(),
            parent_id="",
        )


def filled(rows, agents=1000):
    store = MemoryStore()
    for row in make_rows(rows, agents):
        store.extend(ORG, [row])
    return store


def timed(way, repeats):
    started = time.perf_counter()
    for _ in range(repeats):
        way()
    return (time.perf_counter() - started) / repeats


def compare(title, one, other, *, repeats=1):
    """Print what both ways take and the ratio, over rounds in which they take turns."""
    gc.collect()
    found = [(timed(one, repeats), timed(other, repeats)) for _ in range(compare.rounds)]
    one, other = title.rsplit(" / ", 1)
    pair = {one: [first for first, _ in found], other: [second for _, second in found]}
    REPORT.figures(pair, "us", 1e6)
    REPORT.ratio(pair, one, other)


compare.rounds = 9
REPORT = Report()


def memory(rows):
    """Bytes a row, all indexes and the searched text included, and again with a snapshot that remembers every row."""
    for title, snapshot in (("with all indexes", False), ("and a snapshot from before the first row", True)):
        gc.collect()
        tracemalloc.start()
        store, lengths = MemoryStore(), []
        if snapshot:
            store.snapshot()
        for row in make_rows(rows):
            store.extend(ORG, [row])
            lengths.append(len(row.content))
        median = statistics.median(lengths)
        del lengths, row
        store.select(ORG, RowSelection(contains=ABSENT))
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] / rows
        REPORT.figures({f"a row of {median:.0f} characters, {title}": [taken]}, "bytes")
        tracemalloc.stop()
        store = None


def reads(many, rows, few_rows):
    few, few_agents = filled(few_rows), filled(few_rows, few_rows * 1000 // rows or 1)
    newest, of_one = RowSelection(), RowSelection(agent_id="agent_0")
    sizes = f"{rows} rows / {few_rows} rows"
    compare(f"newest 100, {sizes}", lambda: many.select(ORG, newest), lambda: few.select(ORG, newest), repeats=200)
    compare(
        f"newest 100 of one agent, {sizes}",
        lambda: many.select(ORG, of_one),
        lambda: few_agents.select(ORG, of_one),
        repeats=200,
    )
    absent = RowSelection(contains=ABSENT)
    walked = list(make_rows(rows))
    compare(
        "walking through all rows / absent text",
        lambda: [row for row in reversed(walked) if absent.admits(row)],
        lambda: many.select(ORG, absent),
    )


def snapshots(rows):
    """A snapshot of a store in which everything is new since the last one, and a restore, in creates by a client."""
    fake = FakeMemtrace()
    client, numbers = fake.client(), iter(range(1 << 60))
    store, row = filled(rows), next(make_rows(1))

    def create():
        client.memories.add(agent_id="assistant", content=f"User prefers dark mode {next(numbers)}")

    def dirty():
        taken = store.snapshot()
        store.extend(ORG, [row._replace(time=START - 1 - next(numbers))])
        return taken

    compare(f"one row and a snapshot of {rows} rows / create by the client", dirty, create, repeats=200)
    compare(
        f"one row, a snapshot of {rows} rows and a restore / create by the client",
        lambda: store.restore(dirty()),
        create,
        repeats=200,
    )


def against_sqlite(many, rows):
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.executescript(TABLE)
    insert = f"insert into memories values ({','.join('?' * 12)})"
    seconds = {"sqlite": 0.0, "store": 0.0}
    store = MemoryStore()
    database.execute("begin")
    for row in make_rows(rows):
        started = time.perf_counter()
        database.execute(insert, (ORG, *row))
        between = time.perf_counter()
        store.extend(ORG, [row])
        seconds["sqlite"] += between - started
        seconds["store"] += time.perf_counter() - between
    database.execute("commit")
    REPORT.ratio({f"insert, {name}": [taken] for name, taken in seconds.items()}, "insert, sqlite", "insert, store")
    store = None
    newest = "select * from memories where org_id = ? and agent_id = ? order by time desc limit 100"
    text = "select * from memories where org_id = ? and instr(content, ?) > 0 order by time desc limit 100"
    compare(
        "newest 100 of one agent, sqlite / store",
        lambda: database.execute(newest, (ORG, "agent_0")).fetchall(),
        lambda: many.select(ORG, RowSelection(agent_id="agent_0")),
        repeats=100,
    )
    compare(
        "absent text, sqlite / store",
        lambda: database.execute(text, (ORG, ABSENT)).fetchall(),
        lambda: many.select(ORG, RowSelection(contains=ABSENT)),
    )
    database.close()


class Constant:
    def send(self, request):
        return Response(201, body=ROW)

    def close(self):
        pass


def creates(calls):
    """The same call of the client over the fake, over a transport that returns a constant, and over mocks."""
    import responses
    import respx

    url, numbers = "http://memtrace.example", iter(range(1 << 60))

    def create(client):
        return lambda: client.memories.add(agent_id="assistant", content=f"User prefers dark mode {next(numbers)}")

    fake = create(FakeMemtrace().client())
    with Memtrace(url, "mtk_benchmark", transport=Constant()) as client:
        compare("create, fake / constant transport", fake, create(client), repeats=calls)
    with respx.mock() as mock, Memtrace(url, "mtk_benchmark") as client:
        mock.post(f"{url}/api/v1/memories").respond(201, content=ROW)
        compare("create, httpx with respx / fake", create(client), fake, repeats=calls)
    with responses.RequestsMock() as mock, Memtrace(url, "mtk_benchmark", transport="requests") as client:
        mock.add("POST", f"{url}/api/v1/memories", status=201, body=ROW)
        compare("create, requests with responses / fake", create(client), fake, repeats=calls)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--json", help="a file for the figures")
    given = parser.parse_args()
    compare.rounds = given.rounds
    memory(max(given.rows // 5, 1))
    creates(given.calls)
    snapshots(max(given.rows // 10, 1))
    many = filled(given.rows)
    reads(many, given.rows, max(given.rows // 100, 1))
    against_sqlite(many, given.rows)
    REPORT.write(given.json)


if __name__ == "__main__":
    main()

"""A store in a file: against bare sqlite3 with the same tables, against two peers, and how it grows.

python benchmarks/embedded.py --environment langgraph=A/bin/python --environment openai-agents=B/bin/python
python benchmarks/embedded.py --many 100000 --rounds 3    # a look
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import hashlib
import json
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from rounds import Report, add_arguments, chosen, in_turn, measured, resident

AGENTS = 10
BATCH = 100
FILE_AGENTS = 100
START = 1_767_225_600_000_000


def contents(count):
    """Texts of about 100 characters, each once."""
    chance = random.Random(1)
    words = ["".join(chance.choices("etaoinshrdlucmfwypvbgk", k=chance.randint(2, 9))) for _ in range(4000)]
    for number in range(count):
        yield f"{' '.join(chance.choices(words, k=16))} {number}"


def agent(number):
    """Whose turn it is: each has some in a row."""
    return f"agent_{number // 5 % AGENTS}"


def batches(texts):
    """The numbers and the texts of each batch."""
    for start in range(0, len(texts), BATCH):
        yield [(start + place, text) for place, text in enumerate(texts[start : start + BATCH])]


# ---- the ways of storing and reading; each runs in a process, and an environment, of its own -------------------------


class Ours:
    url = "sqlite:///{}"

    def __init__(self, folder):
        from memtrace import AddMemoryRequest, Memtrace

        self.client = Memtrace(self.url.format(folder / "agent.db"))
        self.request = AddMemoryRequest

    def single(self, number, text):
        self.client.remember(agent(number), text)

    def batch(self, rows):
        requests = [self.request(agent_id=agent(number), content=text) for number, text in rows]
        assert len(self.client.memories.add_many(requests).stored) == len(rows)

    def newest(self, who):
        assert len(self.client.memories.list(agent_id=who, limit=BATCH).memories) == BATCH


class InMemory(Ours):
    url = "memory://"


class Floor:
    """The same rows by bare sqlite3, with the same tables, indexes, text index and pragmas."""

    COLUMNS = "id, org, time, agent_id, session_id, memory_type, event_type, content, metadata, tags, dedup_key, importance, parent_id"

    def __init__(self, folder):
        from memtrace_transports.sqlite._index import TextIndexes
        from memtrace_transports.sqlite._opening import open_store
        from memtrace_transports.sqlite._transport import read_location

        self.connection = open_store(read_location(str(folder / "floor.db")), time.monotonic() + 5)
        self.connection.execute("INSERT INTO organisations VALUES (1, 'org_1', 'default')")
        TextIndexes(self.connection).of("org_1")
        self.row = f"INSERT INTO memories ({self.COLUMNS}) VALUES ({', '.join('?' * 13)})"
        self.stored = self.waiting = 0

    def index(self, stored):
        """Keep the words as the store does: in a plain table until a thousand are together, then in FTS5's."""
        docs = [
            (v[0] << 8, v[0], hash(v[3]), v[2], v[2], v[3], None, v[5], v[6], 0.0, "", hash(v[7]), None) for v in stored
        ]
        words = [(v[0] << 16, " ".join(dict.fromkeys(v[7].lower().split()))) for v in stored]
        self.connection.executemany(f"INSERT INTO recall1_docs VALUES ({', '.join('?' * 13)})", docs)
        self.connection.executemany("INSERT INTO recall1_waiting VALUES (?, ?)", words)
        self.waiting += len(stored)
        if self.waiting >= 1024:
            self.waiting = 0
            rows = self.connection.execute("SELECT row, words FROM recall1_waiting ORDER BY row").fetchall()
            self.connection.executemany("INSERT INTO recall1_text (rowid, words) VALUES (?, ?)", rows)
            counts = collections.Counter(" ".join(text for _, text in rows).split())
            self.connection.executemany(
                "INSERT INTO recall1_words VALUES (?, ?) ON CONFLICT (word) DO UPDATE SET count = count + excluded.count",
                counts.items(),
            )
            self.connection.execute("DELETE FROM recall1_waiting")

    def values(self, number, text):
        self.stored += 1
        who = agent(number)
        key = hashlib.sha256(f"{who}|general|{text}".encode()).hexdigest()[:32]
        return self.stored, 1, START + self.stored, who, None, "episodic", "general", text, "", "", key, 0.0, ""

    def single(self, number, text):
        execute, values = self.connection.execute, self.values(number, text)
        execute("BEGIN IMMEDIATE")
        execute(self.row, values)
        self.index([values])
        execute("COMMIT")

    def batch(self, rows):
        stored = [self.values(number, text) for number, text in rows]
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.executemany(self.row, stored)
        self.index(stored)
        self.connection.execute("COMMIT")

    def newest(self, who):
        query = f"SELECT {self.COLUMNS} FROM memories WHERE org = 1 AND agent_id = ? ORDER BY time DESC LIMIT {BATCH}"
        assert len(self.connection.execute(query, (who,)).fetchall()) == BATCH


class LangGraph:
    def __init__(self, folder):
        from langgraph.store.base import PutOp
        from langgraph.store.sqlite import SqliteStore

        self.opened = SqliteStore.from_conn_string(str(folder / "langgraph.db"))
        self.store = self.opened.__enter__()
        self.store.setup()
        self.put = PutOp

    def single(self, number, text):
        self.store.put(("memories", agent(number)), str(number), {"content": text, "type": "episodic"})

    def batch(self, rows):
        puts = [
            self.put(("memories", agent(number)), str(number), {"content": text, "type": "episodic"})
            for number, text in rows
        ]
        self.store.batch(puts)

    def newest(self, who):
        assert len(self.store.search(("memories", who), limit=BATCH)) == BATCH


class OpenAiAgents:
    def __init__(self, folder):
        from agents import SQLiteSession

        self.loop = asyncio.new_event_loop()
        names = [f"agent_{number}" for number in range(AGENTS)]
        self.sessions = {name: SQLiteSession(name, folder / "agents.db") for name in names}

    def single(self, number, text):
        items = [{"role": "user", "content": text}]
        self.loop.run_until_complete(self.sessions[agent(number)].add_items(items))

    def batch(self, rows):
        by_agent = {}
        for number, text in rows:
            by_agent.setdefault(agent(number), []).append({"role": "user", "content": text})
        # its session takes those of one agent at a time: all of them go to one, as its best case
        items = [item for some in by_agent.values() for item in some]
        self.loop.run_until_complete(self.sessions[agent(rows[0][0] // BATCH * 5)].add_items(items))

    def newest(self, who):
        assert len(self.loop.run_until_complete(self.sessions[who].get_items(limit=BATCH))) == BATCH


WAYS = {
    "ours": Ours,
    "memory://": InMemory,
    "bare sqlite3": Floor,
    "LangGraph SqliteStore": LangGraph,
    "openai-agents SQLiteSession": OpenAiAgents,
}
PEERS = {"LangGraph SqliteStore": "langgraph", "openai-agents SQLiteSession": "openai-agents"}


def seconds(calls):
    """What each of these takes."""
    started = time.perf_counter()
    for call in calls:
        call()
    return (time.perf_counter() - started) / len(calls)


def work(way, folder, turns, singles, reads):
    """Seconds of a single write, of a row of a batch, and of the newest 100 of an agent."""
    store = WAYS[way](Path(folder))
    first, *texts = contents(1 + BATCH + turns + singles)
    store.single(0, first)  # what a first call makes and imports is not counted
    store.batch(list(enumerate(texts[-BATCH:])))
    taken = [
        seconds([partial(store.batch, rows) for rows in batches(texts[:turns])]) / BATCH,
        seconds([partial(store.single, number, texts[number]) for number in range(turns, turns + singles)]),
    ]
    store.newest("agent_0")
    taken.append(seconds([partial(store.newest, f"agent_{number % AGENTS}") for number in range(reads)]))
    print(json.dumps(taken))


# ---- files of many memories ------------------------------------------------------------------------------------------


def url_of(path):
    return f"sqlite:///{path}"


def fill(path, rows):
    """Make a file of so many memories, of 100 agents in turn, by the store's own code."""
    from memtrace import Memtrace
    from memtrace_transports._engine.rules.new_memories import generated_key
    from memtrace_transports._engine.store.rows import Row
    from memtrace_transports.sqlite._index import TextIndexes
    from memtrace_transports.sqlite._opening import open_store
    from memtrace_transports.sqlite._store import Numbers, SqliteStore
    from memtrace_transports.sqlite._transport import read_location

    with Memtrace(url_of(path)) as client:
        org = client.remember("agent_0", "the first").org_id
    connection = open_store(read_location(str(path)), time.monotonic() + 5)
    store, texts = SqliteStore(connection, Numbers(connection), TextIndexes(connection)), contents(rows - 1)
    for start in range(0, rows - 1, 10_000):
        some = []
        for number, text in zip(range(start, min(start + 10_000, rows - 1)), texts, strict=False):
            who = f"agent_{number % FILE_AGENTS}"
            key = generated_key(who, "general", text)
            some.append(Row(START + 1000 * number, who, "", "episodic", "general", text, "", "", key, 0.0, ""))
        connection.execute("BEGIN IMMEDIATE")
        store.extend(org, some)
        connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def look(path, reads):
    """Seconds of opening with the first read, then of the newest 100 of one agent; and the bytes that the client holds more."""
    from memtrace import Memtrace

    with Memtrace("memory://") as client:  # what is imported at a first call is not the file's
        client.remember("agent_0", "warm")
        client.memories.list(agent_id="agent_0", limit=BATCH)
    from memtrace_transports.sqlite import SqliteTransport  # noqa: F401  # nor this

    before, started = resident(), time.perf_counter()
    client = Memtrace(url_of(path))
    client.memories.list(agent_id="agent_7", limit=1)
    opened = time.perf_counter() - started
    for number in range(FILE_AGENTS):
        client.memories.list(agent_id=f"agent_{number}", limit=BATCH)
    client.remember("agent_7", f"at {time.time_ns()}")
    held, started = resident() - before, time.perf_counter()
    for _ in range(reads):
        client.memories.list(agent_id="agent_7", limit=BATCH)
    print(json.dumps([opened, (time.perf_counter() - started) / reads, held]))


def walk(path):
    """Seconds a row of every memory; and the bytes that the client holds more at the end than after a tenth."""
    from memtrace import Memtrace

    client = Memtrace(url_of(path))
    count, seen, mark = count_of(path), 0, 0
    started = time.perf_counter()
    for _ in client.memories.iter():
        seen += 1
        if seen == count // 10:
            mark = resident()
    assert seen == count
    print(json.dumps([(time.perf_counter() - started) / seen, resident() - mark]))


def count_of(path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM memories").fetchone()
    return count


def sizes(path, folder):
    """The bytes of a file without its text index, and of the JSON lines of its memories."""
    bare, lines = folder / "bare.db", folder / "lines.jsonl"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("VACUUM INTO ?", (str(bare),))
    with contextlib.closing(sqlite3.connect(bare, isolation_level=None)) as connection:
        tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'recall%' ORDER BY sql LIKE '%fts5%' DESC"
        for (name,) in connection.execute(tables).fetchall():
            connection.execute(f"DROP TABLE IF EXISTS {name}")
        connection.execute("VACUUM")
    command = [sys.executable, "-m", "memtrace", "export", str(lines), "--base-url", url_of(path)]
    subprocess.run(command, check=True, capture_output=True)
    found = bare.stat().st_size, lines.stat().st_size
    bare.unlink()
    lines.unlink()
    return found


# ---- the report ------------------------------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser, rounds=7)
    parser.add_argument("--turns", type=int, default=10_000, help="rows in batches of 100, from 1,000")
    parser.add_argument("--singles", type=int, default=2000)
    parser.add_argument("--reads", type=int, default=500)
    parser.add_argument("--few", type=int, default=10_000, help="memories of the small file, from 10,000")
    parser.add_argument("--many", type=int, default=1_000_000, help="memories of the large file")
    parser.add_argument("--work", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        name, *rest = given.work
        PROGRAMS[name](*rest)
        return
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        compare_ways(report, given, Path(folder))
        compare_sizes(report, given, Path(folder))
    report.write(given.json)


PROGRAMS = {
    "way": lambda way, folder, *counts: work(way, folder, *map(int, counts)),
    "look": lambda path, reads: look(path, int(reads)),
    "walk": walk,
}


def in_fresh_folder(folder, python, way, given):
    """What a way takes that begins with nothing."""
    fresh = folder / "fresh"
    fresh.mkdir()
    try:
        command = [python, __file__, "--work", "way", way, fresh, given.turns, given.singles, given.reads]
        return measured(command)
    finally:
        shutil.rmtree(fresh)


def compare_ways(report, given, folder):
    ways = {}
    for way in WAYS:
        peer = PEERS.get(way)
        if peer is None or any(each.startswith(f"{peer}=") for each in given.environment):
            ways[way] = partial(in_fresh_folder, folder, chosen(given, peer or "ours"), way, given)
    found = in_turn(ways, given.rounds)
    batch, single, newest = ({f"{what}, {way}": [each[part] for each in found[way]] for way in found} for part, what in (
        (0, "a row of a batch of 100"), (1, "a single write"), (2, "newest 100 of an agent")
    ))  # fmt: skip
    report.title(f"{given.turns} turns of {AGENTS} agents")
    every = {**single, **batch, **newest}
    report.figures(every, "us", 1e6)
    for one, other, target in (
        ("a single write, ours", "a single write, bare sqlite3", ("most", 3.0)),
        ("a single write, ours", "a single write, LangGraph SqliteStore", ("most", 1)),
        ("a single write, ours", "a single write, openai-agents SQLiteSession", ("most", 1)),
        ("a single write, ours", "a row of a batch of 100, ours", ("least", 6)),
        ("a row of a batch of 100, bare sqlite3", "a row of a batch of 100, ours", ("least", 0.6)),
        ("newest 100 of an agent, bare sqlite3", "newest 100 of an agent, ours", None),
        ("newest 100 of an agent, LangGraph SqliteStore", "newest 100 of an agent, ours", None),
        ("newest 100 of an agent, openai-agents SQLiteSession", "newest 100 of an agent, ours", ("least", 0.6)),
    ):
        report.ratio(every, one, other, target)


def compare_sizes(report, given, folder):
    few, many = folder / "few.db", folder / "many.db"
    fill(few, given.few)
    fill(many, given.many)
    here = chosen(given, "ours")
    ways = {
        name: partial(measured, [here, __file__, "--work", "look", path, given.reads])
        for name, path in (("nothing", folder / "none.db"), (f"{given.few}", few), (f"{given.many}", many))
    }
    found = in_turn(ways, given.rounds)
    least, most = str(given.few), str(given.many)
    report.title(f"a file of {given.many} memories")
    newest = {f"newest 100 of one agent, among {name}": [each[1] for each in found[name]] for name in (least, most)}
    report.figures(newest, "us", 1e6)
    names = list(newest)
    report.ratio(newest, names[1], names[0], ("most", 2))
    report.bound("opening it", [each[0] * 1000 for each in found[most]], "ms", ("most", 20))
    more = [(one[2] - none[2]) / 1e6 for one, none in zip(found[most], found["nothing"], strict=True)]
    report.bound("memory of its client, more than that of an empty one", more, "MB", ("most", 30))
    walked = [measured([here, __file__, "--work", "walk", many]) for _ in range(min(given.rounds, 3))]
    report.figures({"every memory by iter": [each[0] for each in walked]}, "us a row", 1e6)
    report.bound(
        "memory while iterating, after a tenth to the end", [each[1] / 1e6 for each in walked], "MB", ("most", 5)
    )
    stored, lines = sizes(many, folder)
    report.bound("bytes without the text index / bytes of the JSON lines", [stored / lines], "", ("most", 1.5))


if __name__ == "__main__":
    main()

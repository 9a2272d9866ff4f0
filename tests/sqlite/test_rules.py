"""On a file the server's rules hold as in memory: the recorded vectors, the model, and one store against the other."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtrace.transport import IndexQuery
from memtrace_transports._engine.store.rows import AgentCounts, Row, RowSelection
from memtrace_transports._engine.store.store import MemoryStore
from memtrace_transports.memory import FakeMemtrace, ManualClock
from memtrace_transports.sqlite._index import TextIndexes
from memtrace_transports.sqlite._schema import MIGRATIONS
from memtrace_transports.sqlite._snapshots import CopiedStore
from memtrace_transports.sqlite._store import Numbers
from tests.fake.model.programs import EVERYTHING
from tests.fake.model.side_by_side import SideBySide, Step
from tests.fake.replay import differences, in_process
from tests.fake.test_differential import AS_THE_PROFILE_SAYS
from tests.fake.test_store import ORGS, ROWS, SELECTIONS, StoreMachine
from tests.fake.test_vectors import SCENARIOS
from tests.sampling import sample


def test_a_file_answers_as_the_server_did(tmp_path) -> None:
    clock = ManualClock()
    fake = FakeMemtrace(clock=clock, store=f"sqlite:///{tmp_path}/vectors.db")
    assert differences(sample(SCENARIOS, 30), fake, clock, in_process(fake)) == []


@pytest.mark.slow
@given(program=EVERYTHING, visibility=st.sampled_from(["immediate", "server"]))
@AS_THE_PROFILE_SAYS
def test_a_file_answers_every_request_as_the_model_does(program: Sequence[Step], visibility: str) -> None:
    with tempfile.TemporaryDirectory() as folder:

        def on_a_file(clock):
            return FakeMemtrace(clock=clock, store=str(Path(folder) / "model.db"))

        SideBySide(visibility, fake_class=on_a_file).run(program)


# ---- one store against the other -------------------------------------------------------------------------------------


def new_store() -> CopiedStore:
    """An empty one with the organisations of the tests, in memory: whether it lasts is no matter here."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for migrate in MIGRATIONS:
        migrate(connection)
    for number, org in enumerate(ORGS, 1):
        connection.execute("INSERT INTO organisations VALUES (?, ?, ?)", (number, org, org))
    return CopiedStore(connection, Numbers(connection), TextIndexes(connection))


def whole(text: str) -> str:
    """`text` without halves of characters, of which the rules leave none."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


WHOLE_ROWS = ROWS.map(lambda row: row._replace(content=whole(row.content)))
WHOLE_SELECTIONS = SELECTIONS.map(lambda selection: replace(selection, contains=whole(selection.contains)))
DISTINCT = st.lists(
    st.tuples(st.sampled_from(ORGS), WHOLE_ROWS), max_size=20, unique_by=lambda pair: (pair[0], pair[1].time)
)


@given(
    added=st.lists(DISTINCT, max_size=4),
    selections=st.lists(WHOLE_SELECTIONS, min_size=1, max_size=6),
    since=st.integers(0, 60),
)
@settings(deadline=None)
def test_both_stores_answer_the_same_calls_alike(added, selections, since) -> None:
    memory, file = MemoryStore(block_rows=3), new_store()
    with closing(file._connection):
        for pairs in added:
            for org in ORGS:
                fresh = [row for owner, row in pairs if owner == org and not memory.holds(org, row.time)]
                for store in (memory, file):
                    store.extend(org, fresh)
            for org in ORGS:
                answers = [
                    (
                        [store.select(org, selection) for selection in selections],
                        [store.counts(org, agent, since) for agent in ("a", "b", "z")],
                        store.newest(org),
                        [store.holds(org, time) for time in range(62)],
                        [dict(store.last_stored(org, keys)) for keys in ([], ["k"], ["k", "l", "z", "k"])],
                    )
                    for store in (memory, file)
                ]
                assert answers[0] == answers[1]


class FileMachine(StoreMachine):
    """The same calls, snapshots among them, on the store of a file."""

    def new_store(self, block_rows):
        return new_store()

    def asked(self, selection):
        return replace(selection, contains=whole(selection.contains))

    def add(self, org, row):
        super().add(org, row._replace(content=whole(row.content)))

    def teardown(self):
        self.store._connection.close()


test_a_store_in_a_file_is_what_a_list_of_its_rows_would_be = FileMachine.TestCase
test_a_store_in_a_file_is_what_a_list_of_its_rows_would_be.settings = settings(deadline=None, stateful_step_count=15)


def row(time: int, **fields) -> Row:
    texts = ("session_id", "event_type", "metadata", "tags", "parent_id")
    known = {"agent_id": "a", "content": "tea", "memory_type": "entity", "dedup_key": "k", "importance": 0.0}
    return Row(time=time, **{**dict.fromkeys(texts, ""), **known, **fields})


def test_more_keys_than_one_statement_takes_are_asked_for_in_several() -> None:
    store = new_store()
    with closing(store._connection):
        store.extend("org_1", [row(number, dedup_key=f"key {number}") for number in range(1, 251)])
        keys = [f"key {number}" for number in range(300)]
        assert store.last_stored("org_1", keys) == {f"key {number}": number for number in range(1, 251)}


def test_times_beyond_what_sqlite_holds_are_bounds_like_others() -> None:
    store = new_store()
    with closing(store._connection):
        store.extend("org_1", [row(5)])
        assert store.select("org_1", RowSelection(after=-(1 << 70), before=1 << 70)) == [row(5)]
        assert store.counts("org_1", "nobody", 0) == AgentCounts(0, 0, 0, {})


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ("", ["tea"]),
        ('{"a":"green","b":[1,{"c":"tin"},"lid"],"d":null}', ["tea", "green", "tin", "lid"]),
        ('{"a":' + "[" * 100_000 + '"deep"' + "]" * 100_000 + "}", ["tea"]),
    ],
    ids=["none", "texts at any depth", "deeper than a client reads"],
)
def test_the_words_of_metadata_are_searched_as_well(metadata, words) -> None:
    store = new_store()
    store.extend("org_1", [row(5)._replace(content="tea", metadata=metadata)])
    for word in words:
        (hit,) = store._indexes.answer("org_1", IndexQuery(query=word)).hits
        assert hit.memory.content == "tea"
    assert store._indexes.answer("org_1", IndexQuery(query="absent")).hits == []

"""The store against a list: whatever is added, read, counted and restored, both say the same."""

from __future__ import annotations

from collections import Counter

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from memtrace_transports._engine.store.store import AgentCounts, MemoryStore, Row, RowSelection

ORGS = ["org_1", "org_2"]
TYPES = ["episodic", "decision"]
CONTENTS = [
    "tea",
    "teapot",
    "cup of tea",
    "",
    "\0",
    "a\0b",
    "\xff",
    "\u00e9t\u00e9",
    "\U0001f375 tea",
    "\ud83c",
    "\ud83c\udf75",
]
NEEDLES = [
    "",
    "tea",
    "pot",
    "at",
    "teacup",
    "tea\0",
    "\0",
    "\xff",
    "t\u00e9",
    "\U0001f375",
    "\ud83c",
    "\udf75",
    "\udf75tea",
]
TIMES = st.integers(0, 60)
ROWS = st.builds(
    Row,
    time=TIMES,
    agent_id=st.sampled_from(["a", "a", "b"]),
    session_id=st.sampled_from(["", "s", "t"]),
    memory_type=st.sampled_from(TYPES),
    event_type=st.sampled_from(["general", "error"]),
    content=st.sampled_from(CONTENTS) | st.text(max_size=3),
    metadata=st.just(""),
    tags=st.sampled_from(["", "ui", "gui,nav"]),
    dedup_key=st.sampled_from(["k", "l"]),
    importance=st.sampled_from([0.0, 0.5, 1.0]),
    parent_id=st.just(""),
)
SELECTIONS = st.builds(
    RowSelection,
    agent_id=st.sampled_from(["", "", "a", "b", "z"]),
    session_id=st.sampled_from(["", "", "s", "z"]),
    memory_types=st.none() | st.frozensets(st.sampled_from(TYPES)),
    event_types=st.none() | st.just(frozenset({"error"})),
    tags=st.sampled_from([(), (), ("ui",), ("ui", "nav")]),
    contains=st.sampled_from(NEEDLES) | st.text(max_size=2),
    min_importance=st.none() | st.just(0.5),
    after=st.none() | TIMES,
    before=st.none() | TIMES,
    limit=st.integers(1, 20),
    offset=st.integers(0, 5),
    oldest_first=st.booleans(),
)


def walked(rows: list[Row], selection: RowSelection) -> list[Row]:
    ordered = sorted(rows, key=lambda row: row.time, reverse=not selection.oldest_first)
    found = [
        row
        for row in ordered
        if selection.admits(row)
        and (selection.after is None or row.time > selection.after)
        and (selection.before is None or row.time < selection.before)
    ]
    return found[selection.offset : selection.offset + selection.limit]


class StoreMachine(RuleBasedStateMachine):
    """A store in small blocks, and for each organisation a list of what was added to it."""

    snapshots = Bundle("snapshots")

    @initialize(block_rows=st.integers(1, 4))
    def begin(self, block_rows):
        self.store = self.new_store(block_rows)
        self.rows: dict[str, list[Row]] = {org: [] for org in ORGS}

    def new_store(self, block_rows):
        return MemoryStore(block_rows)

    def asked(self, selection):
        return selection

    @rule(org=st.sampled_from(ORGS), rows=st.lists(ROWS, max_size=8))
    def add_anywhere(self, org, rows):
        for row in rows:
            if not self.store.holds(org, row.time):
                self.add(org, row)

    @rule(org=st.sampled_from(ORGS), rows=st.lists(ROWS, max_size=8))
    def add_newest(self, org, rows):
        for row in rows:
            newest = max((row.time for row in self.rows[org]), default=0)
            self.add(org, row._replace(time=newest + 1))

    def add(self, org, row):
        self.store.extend(org, [row])
        self.rows[org].append(row)

    @rule(target=snapshots)
    def snapshot(self):
        return self.store.snapshot(), {org: list(rows) for org, rows in self.rows.items()}

    @rule(snapshot=snapshots)
    def restore(self, snapshot):
        taken, rows = snapshot
        self.store.restore(taken)
        self.rows = {org: list(found) for org, found in rows.items()}

    @rule(org=st.sampled_from(ORGS), selections=st.lists(SELECTIONS, min_size=1, max_size=6))
    def select(self, org, selections):
        for selection in map(self.asked, selections):
            assert self.store.select(org, selection) == walked(self.rows[org], selection)

    @rule(org=st.sampled_from(ORGS), needle=st.sampled_from(NEEDLES) | st.text(max_size=2))
    def search(self, org, needle):
        selection = self.asked(RowSelection(contains=needle))
        assert self.store.select(org, selection) == walked(self.rows[org], selection)

    @rule(org=st.sampled_from(ORGS), agent_id=st.sampled_from(["a", "b", "z"]), since=TIMES)
    def count(self, org, agent_id, since):
        mine = [row for row in self.rows[org] if row.agent_id == agent_id]
        recent = [row for row in mine if row.time > since]
        errors = sum(row.event_type == "error" for row in recent)
        counts = AgentCounts(len(mine), len(recent), errors, dict(Counter(row.memory_type for row in mine)))
        assert self.store.counts(org, agent_id, since) == counts

    @invariant()
    def keys_and_times_are_known(self):
        for org in ORGS:
            rows = self.rows[org]
            times = {row.time for row in rows}
            assert all(self.store.holds(org, time) == (time in times) for time in range(-1, 64))
            newest = {row.dedup_key: row.time for row in sorted(rows)}
            assert self.store.last_stored(org, ["k", "l", "z"]) == newest


test_a_store_is_what_a_list_of_its_rows_would_be = StoreMachine.TestCase
test_a_store_is_what_a_list_of_its_rows_would_be.settings = settings(deadline=None, stateful_step_count=25)


def row(time: int, **fields) -> Row:
    known = {"agent_id": "a", "content": "tea", "memory_type": "entity", "dedup_key": "k", **fields}
    texts = ("session_id", "event_type", "metadata", "tags", "parent_id")
    return Row(time=time, importance=0.0, **{**dict.fromkeys(texts, ""), **known})


def test_organisations_do_not_meet() -> None:
    store = MemoryStore()
    store.extend("org", [row(1, session_id="s")])
    assert store.select("other", RowSelection()) == []
    assert store.select("other", RowSelection(agent_id="a", session_id="s")) == []
    assert store.last_stored("other", ["k"]) == {}
    assert store.counts("other", "a", 0) == AgentCounts(0, 0, 0, {})
    assert not store.holds("other", 1)


@pytest.mark.parametrize("start", [0, 500, 1000])
def test_a_page_may_reach_over_many_blocks(start: int) -> None:
    store = MemoryStore()
    rows = [row(time) for time in range(2000)]
    for each in [*rows[start:], *rows[:start]]:
        store.extend("org", [each])
    assert store.select("org", RowSelection(limit=1000, offset=500)) == rows[500:1500][::-1]
    assert store.select("org", RowSelection(after=299, before=1700, limit=2000, oldest_first=True)) == rows[300:1700]
    assert store.select("org", RowSelection(offset=2**63 - 1)) == []


@pytest.mark.parametrize(("content", "needle"), [("ab", "ba"), ("a\xff", "\xffa"), ("\ud83d\ude00", "\ude00\ud83d")])
def test_a_text_is_not_found_across_the_border_of_two_rows(content: str, needle: str) -> None:
    store = MemoryStore()
    for time in range(5):
        store.extend("org", [row(time, content=content)])
    assert store.select("org", RowSelection(contains=needle)) == []
    store.extend("org", [row(9, content=content + content)])
    assert store.select("org", RowSelection(contains=needle)) == [row(9, content=content + content)]


@pytest.mark.parametrize("agents", [1, 20])
def test_a_text_of_one_agent_is_found_whether_it_has_few_rows_or_all(agents: int) -> None:
    store = MemoryStore()
    rows = [row(time, agent_id=f"a{time % agents}", content=f"{time // 20} cups") for time in range(200)]
    for each in rows:
        store.extend("org", [each])
    found = [each for each in rows if each.agent_id == "a0" and "7 cups" in each.content]
    assert found
    assert store.select("org", RowSelection(agent_id="a0", contains="7 cups", oldest_first=True)) == found

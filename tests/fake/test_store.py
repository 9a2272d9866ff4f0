"""Rows and indexes: a selection is what walking through all rows would give."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from memtrace_transports.memory.store import AgentCounts, MemoryStore, Row, Selection

TYPES = ["episodic", "decision"]
ROWS = st.lists(
    st.builds(
        Row,
        time=st.integers(0, 30),
        agent_id=st.sampled_from(["a", "b"]),
        session_id=st.sampled_from(["", "s", "t"]),
        memory_type=st.sampled_from(TYPES),
        event_type=st.sampled_from(["general", "error"]),
        content=st.sampled_from(["tea", "teapot", "cup"]),
        metadata=st.just(""),
        tags=st.sampled_from(["", "ui", "gui,nav"]),
        dedup_key=st.sampled_from(["k", "l"]),
        importance=st.sampled_from([0.0, 0.5, 1.0]),
        parent_id=st.just(""),
    ),
    unique_by=lambda row: row.time,
    max_size=25,
)
SELECTIONS = st.builds(
    Selection,
    agent_id=st.sampled_from(["", "a", "b", "z"]),
    session_id=st.sampled_from(["", "s", "z"]),
    memory_types=st.none() | st.frozensets(st.sampled_from(TYPES)),
    event_types=st.none() | st.just(frozenset({"error"})),
    tags=st.sampled_from([(), ("ui",), ("ui", "nav")]),
    contains=st.sampled_from(["", "tea", "pot"]),
    min_importance=st.none() | st.just(0.5),
    after=st.none() | st.integers(0, 30),
    before=st.none() | st.integers(0, 30),
    limit=st.integers(1, 5),
    offset=st.integers(0, 5),
    oldest_first=st.booleans(),
)


def stored(rows: list[Row]) -> MemoryStore:
    store = MemoryStore()
    for row in rows:
        store.add("org", row)
    return store


def walked(rows: list[Row], selection: Selection) -> list[Row]:
    ordered = sorted(rows, key=lambda row: row.time, reverse=not selection.oldest_first)
    found = [
        row
        for row in ordered
        if selection.admits(row)
        and (selection.after is None or row.time > selection.after)
        and (selection.before is None or row.time < selection.before)
    ]
    return found[selection.offset : selection.offset + selection.limit]


@given(ROWS, SELECTIONS)
@settings(deadline=None, max_examples=300)
def test_a_selection_is_what_walking_through_all_rows_gives(rows: list[Row], selection: Selection) -> None:
    assert stored(rows).select("org", selection) == walked(rows, selection)


@given(ROWS, st.integers(0, 30))
@settings(deadline=None)
def test_statistics_are_what_counting_all_rows_gives(rows: list[Row], since: int) -> None:
    mine = [row for row in rows if row.agent_id == "a"]
    recent = [row for row in mine if row.time > since]
    types = {name: sum(row.memory_type == name for row in mine) for name in TYPES}
    assert stored(rows).counts("org", "a", since) == AgentCounts(
        len(mine),
        len(recent),
        sum(row.event_type == "error" for row in recent),
        {name: count for name, count in types.items() if count},
    )


@given(ROWS)
@settings(deadline=None)
def test_keys_and_times_are_known(rows: list[Row]) -> None:
    store, times = stored(rows), {row.time for row in rows}
    assert all(store.holds("org", time) == (time in times) for time in range(32))
    for key in ("k", "l"):
        assert store.last_stored("org", key) == max((row.time for row in rows if row.dedup_key == key), default=None)


def test_organisations_do_not_meet() -> None:
    store = stored([Row(1, "a", "s", "entity", "x", "tea", "", "", "k", 0.0, "")])
    assert store.select("other", Selection()) == []
    assert store.select("other", Selection(agent_id="a", session_id="s")) == []
    assert store.last_stored("other", "k") is None
    assert store.counts("other", "a", 0) == AgentCounts(0, 0, 0, {})
    assert not store.holds("other", 1)

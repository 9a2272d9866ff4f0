"""Snapshots of a store: any of them can be restored, at any time and in any order."""

from __future__ import annotations

import pytest

from memtrace_transports._engine.store.store import MemoryStore, RowSelection, StoreSnapshot
from tests.fake.test_store import row


def times(store: MemoryStore) -> list[int]:
    return [each.time for each in store.select("org", RowSelection(oldest_first=True))]


def test_snapshots_may_be_restored_in_any_order() -> None:
    store = MemoryStore()
    store.extend("org", [row(1)])
    first = store.snapshot()
    store.extend("org", [row(2)])
    second = store.snapshot()
    store.restore(first)
    assert times(store) == [1]
    store.extend("org", [row(3)])
    third = store.snapshot()
    store.extend("org", [row(4)])
    for snapshot, expected in ((second, [1, 2]), (third, [1, 3]), (first, [1]), (third, [1, 3]), (third, [1, 3])):
        store.restore(snapshot)
        assert times(store) == expected
        store.extend("org", [row(9)])
        assert times(store) == [*expected, 9]


def test_an_empty_store_can_be_come_back_to() -> None:
    store = MemoryStore()
    empty = store.snapshot()
    store.extend("org", [row(1, session_id="s")])
    store.restore(empty)
    assert times(store) == []
    assert store.select("org", RowSelection(agent_id="a")) == []
    assert store.last_stored("org", ["k"]) == {}
    assert store.counts("org", "a", 0).by_type == {}


def test_a_text_that_was_searched_is_gone_with_its_row() -> None:
    store = MemoryStore()
    store.extend("org", [row(1)])
    snapshot = store.snapshot()
    store.extend("org", [row(2, content="coffee")])
    assert store.select("org", RowSelection(contains="coffee")) != []
    store.restore(snapshot)
    assert store.select("org", RowSelection(contains="coffee")) == []


def test_a_key_has_the_time_that_it_had() -> None:
    store = MemoryStore()
    store.extend("org", [row(5)])
    snapshot = store.snapshot()
    store.extend("org", [row(3)])
    assert store.last_stored("org", ["k"]) == {"k": 5}
    store.extend("org", [row(8)])
    assert store.last_stored("org", ["k"]) == {"k": 8}
    store.restore(snapshot)
    assert store.last_stored("org", ["k"]) == {"k": 5}


def test_a_snapshot_of_nothing_new_is_the_last_one() -> None:
    store = MemoryStore()
    snapshot = store.snapshot()
    assert store.snapshot() is snapshot
    store.extend("org", [row(1)])
    assert store.snapshot() is not snapshot


def test_thousands_of_snapshots_in_a_row_are_fine() -> None:
    store = MemoryStore()
    snapshots = []
    for time in range(5000):
        snapshots.append(store.snapshot())
        store.extend("org", [row(time)])
    store.restore(snapshots[0])
    assert times(store) == []
    store.restore(snapshots[-1])
    assert len(store.select("org", RowSelection(limit=5000))) == 4999


@pytest.mark.parametrize("other", [MemoryStore().snapshot(), StoreSnapshot()])
def test_a_snapshot_of_another_store_is_refused(other: StoreSnapshot) -> None:
    store = MemoryStore()
    store.extend("org", [row(1)])
    store.snapshot()
    with pytest.raises(ValueError, match="of another store"):
        store.restore(other)
    assert times(store) == [1]

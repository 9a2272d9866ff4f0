"""What the server's rules need of the storage under them."""

from __future__ import annotations

from typing import Protocol

from memtrace_transports._engine.store.rows import AgentCounts, Row, RowSelection
from memtrace_transports._engine.store.snapshots import StoreSnapshot


class Store(Protocol):
    """Where arrived memories are kept, of all organisations. Rows of one organisation have distinct times."""

    def add(self, org_id: str, row: Row) -> None:
        """Keep `row`; usually the newest, but a back-dated one takes its place in time."""
        ...

    def holds(self, org_id: str, time: int) -> bool:
        """Whether a row of this organisation has exactly this time."""
        ...

    def last_stored(self, org_id: str, dedup_key: str) -> int | None:
        """The newest time at which a row with this key was stored, in microseconds; None when there is none."""
        ...

    def select(self, org_id: str, selection: RowSelection) -> list[Row]:
        """The rows that `selection` asks for, from the end that it asks for."""
        ...

    def counts(self, org_id: str, agent_id: str, since: int) -> AgentCounts:
        """Statistics of one agent; recent is what is newer than `since`, in microseconds."""
        ...


class SnapshotStore(Store, Protocol):
    """A store that can go back to what it held."""

    def snapshot(self) -> StoreSnapshot:
        """What the store holds now, to come back to."""
        ...

    def restore(self, snapshot: StoreSnapshot) -> None:
        """Hold again what was held at `snapshot`, which stays valid. Raises ValueError for one of another store."""
        ...

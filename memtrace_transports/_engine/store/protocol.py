"""What the server's rules need of the storage under them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from memtrace_transports._engine.organisations import OrganisationState
from memtrace_transports._engine.store.rows import AgentCounts, Row, RowSelection
from memtrace_transports._engine.store.snapshots import StoreSnapshot


class Store(Protocol):
    """Where arrived memories are kept, of all organisations. Rows of one organisation have distinct times."""

    def extend(self, org_id: str, rows: Iterable[Row]) -> None:
        """Keep `rows`; usually the newest, but a back-dated one takes its place in time."""
        ...

    def holds(self, org_id: str, time: int) -> bool:
        """Whether a row of this organisation has exactly this time."""
        ...

    def newest(self, org_id: str) -> int:
        """The time of the newest row of this organisation, in microseconds; 0 when there is none."""
        ...

    def last_stored(self, org_id: str, dedup_keys: Sequence[str]) -> Mapping[str, int]:
        """The newest time at which a row with each of these keys was stored, in microseconds; keys of no row are left out."""
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


class Directory(Protocol):
    """Which organisations there are, and whose each API key is. An organisation brings its agents and sessions."""

    def add(self, org: OrganisationState) -> None:
        """Keep a new organisation, with `api_key` as its first key."""
        ...

    def organisations(self) -> Iterable[OrganisationState]:
        """All organisations, oldest first."""
        ...

    def by_id(self, org_id: str) -> OrganisationState | None:
        """The organisation of this id."""
        ...

    def by_name(self, name: str) -> OrganisationState | None:
        """The organisation of this name."""
        ...

    def by_key(self, api_key: str) -> OrganisationState | None:
        """Whose key this is, None where it is nobody's or was revoked."""
        ...

    def was_revoked(self, api_key: str) -> bool:
        """Whether this key was revoked, and not given again."""
        ...

    def add_key(self, org: OrganisationState, api_key: str) -> None:
        """Keep one more key of an organisation; nobody has it."""
        ...

    def revoke_key(self, api_key: str) -> None:
        """Refuse from now on a key that somebody has; the oldest that is left takes its place."""
        ...


class SnapshotDirectory(Directory, Protocol):
    """A directory that can go back to what it held."""

    def snapshot(self) -> object:
        """What the directory holds now, to come back to."""
        ...

    def restore(self, snapshot: object, later: int) -> None:
        """Restore the state at `snapshot`. Its pending events are postponed by `later` microseconds."""
        ...

"""The server's rules, and what a test does to a server: take its storage away, take any key, go back to a snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from memtrace_transports._engine.engine import Engine
from memtrace_transports._engine.observer import Observer
from memtrace_transports._engine.organisations import OrganisationState, StorageState, Visibility
from memtrace_transports._engine.rules.ids import Identifiers
from memtrace_transports._engine.settings import ServerSettings
from memtrace_transports._engine.stamps import Stamps
from memtrace_transports._engine.store.protocol import SnapshotDirectory, SnapshotStore
from memtrace_transports._engine.store.snapshots import StoreSnapshot


@dataclass(frozen=True, slots=True, repr=False)
class EngineSnapshot:
    """The state of an engine at one moment, `taken` in microseconds of `Stamps.elapsed`; nothing in it changes."""

    taken: int
    rows: StoreSnapshot
    directory: object
    down_until: Mapping[str, int]


class FakeEngine(Engine):
    """The engine of one fake server."""

    def __init__(
        self,
        stamps: Stamps,
        store: SnapshotStore,
        identifiers: Identifiers,
        directory: SnapshotDirectory,
        *,
        settings: ServerSettings | None = None,
        visibility: Visibility = "immediate",
        any_key: bool = False,
        observer: Observer | None = None,
    ) -> None:
        """With `any_key`, a key that nobody has had makes an organisation."""
        _check_choice("visibility", visibility, get_args(Visibility))
        super().__init__(
            stamps, store, identifiers, directory=directory, settings=settings, visibility=visibility, observer=observer
        )
        self._snapshot_store = store
        self._snapshot_directory = directory
        self._any_key = any_key
        #: When storage that was taken down for a time comes back, in microseconds of `Stamps.elapsed`, by organisation.
        self._down_until: dict[str, int] = {}

    def organisation_of(self, api_key: str) -> OrganisationState | None:
        """Whose key this is; with `any_key`, a key that nobody has had makes an organisation."""
        found = super().organisation_of(api_key)
        if found is None and self._any_key and not self._directory.was_revoked(api_key):
            return self.add_organisation(api_key=api_key)
        return found

    # storage and visibility

    def set_storage(self, org: OrganisationState, storage: StorageState) -> None:
        """Change what an organisation's storage does from now on. Raises ValueError for a state that there is not."""
        _check_choice("storage", storage, get_args(StorageState))
        self.deliver(org)
        self._down_until.pop(org.org_id, None)
        if storage == "up" and org.storage != "up":
            org.buffer.resume(self.stamps.elapsed())
        org.storage = storage
        self.deliver(org)

    def suspend(self, org: OrganisationState, microseconds: int) -> None:
        """Make storage that can be reached unreachable, and reachable again after this time, or the longest of several."""
        self.deliver(org)
        until = max(self._down_until.get(org.org_id, 0), self.stamps.elapsed() + microseconds)
        if org.storage == "up" or org.org_id in self._down_until:
            self.set_storage(org, "down")
            self._down_until[org.org_id] = until

    def deliver(self, org: OrganisationState) -> None:
        """As for any server, after storage has come back whose time is over."""
        until = self._down_until.get(org.org_id)
        if until is not None and until <= self.stamps.elapsed():
            org.buffer.resume(until)
            org.storage = "up"
            del self._down_until[org.org_id]
        super().deliver(org)

    def set_visibility(self, org: OrganisationState, visibility: Visibility) -> None:
        """Change when an organisation's writes can be read, from now on. Raises ValueError for an invalid delay."""
        _check_choice("visibility", visibility, get_args(Visibility))
        self.deliver(org)
        org.visibility = visibility
        self.deliver(org)

    # snapshots

    def snapshot(self) -> EngineSnapshot:
        """The state as it is: rows, organisations, keys, agents, sessions, and writes on their way."""
        return EngineSnapshot(
            self.stamps.elapsed(),
            self._snapshot_store.snapshot(),
            self._snapshot_directory.snapshot(),
            dict(self._down_until),
        )

    def restore(self, snapshot: EngineSnapshot) -> None:
        """Go back, or forward, to a state of this engine. Identifiers and the clock go on from where they are.

        Writes on their way arrive, and storage that is down for a time comes back, as long after this as after the snapshot.
        """
        later = self.stamps.elapsed() - snapshot.taken
        self._snapshot_store.restore(snapshot.rows)
        self._snapshot_directory.restore(snapshot.directory, later)
        self._down_until = {org_id: until + later for org_id, until in snapshot.down_until.items()}


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}")

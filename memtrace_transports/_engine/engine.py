"""The rules of memories: when one is stored, which ones are duplicates, which ones a read sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from memtrace_transports._engine.ingest_buffer import IngestBuffer
from memtrace_transports._engine.observer import Observer
from memtrace_transports._engine.organisations import OrganisationState, Visibility
from memtrace_transports._engine.route_errors import RouteError, no_storage, storage_unreachable, unreadable_time
from memtrace_transports._engine.rules.filters import Filters
from memtrace_transports._engine.rules.identifier_rules import identifier_problem
from memtrace_transports._engine.rules.ids import Identifiers, is_id
from memtrace_transports._engine.rules.new_memories import NewMemory, generated_key
from memtrace_transports._engine.settings import ServerSettings
from memtrace_transports._engine.stamps import Stamp, Stamps
from memtrace_transports._engine.store.directory import MemoryDirectory
from memtrace_transports._engine.store.protocol import Directory, Store
from memtrace_transports._engine.store.rows import AgentCounts, Row, RowSelection
from memtrace_transports._engine.timestamps import DAY, HOUR, UnreadableTimeError


class StoredRow(NamedTuple):
    """A row as it was just stored, with the digits of its time that only this answer shows."""

    row: Row
    stamp: Stamp
    tags: Sequence[str]


class Engine:
    """The state of one server, except its rows, which are in `store`. Not thread-safe: its owner locks every call.

    Methods that answer a request raise `RouteError` if the server rejects it.
    """

    def __init__(
        self,
        stamps: Stamps,
        store: Store,
        identifiers: Identifiers,
        *,
        directory: Directory | None = None,
        settings: ServerSettings | None = None,
        visibility: Visibility = "immediate",
        observer: Observer | None = None,
    ) -> None:
        """`directory` is in memory, and empty, unless given."""
        self.settings: ServerSettings = settings or ServerSettings()
        self.observer: Observer | None = observer
        self.stamps = stamps
        self.identifiers = identifiers
        self._store = store
        self._directory: Directory = MemoryDirectory() if directory is None else directory
        self._visibility: Visibility = visibility

    # organisations

    def add_organisation(self, name: str = "", *, api_key: str = "") -> OrganisationState:
        """Make an organisation, with its id for a name and a new key unless others are given."""
        org_id = self.identifiers.new("org")
        state = OrganisationState(
            name or org_id,
            org_id,
            api_key or self.identifiers.new_key(),
            "up",
            self._visibility,
            IngestBuffer(self.stamps.started, self.settings),
        )
        self._directory.add(state)
        return state

    def named(self, name: str, api_key: str = "") -> OrganisationState:
        """The organisation of this name or this id, made at the first mention of a name, with this key as well.

        Raises ValueError for an id that no organisation has.
        """
        state = self._directory.by_name(name) or self._directory.by_id(name)
        if state is not None:
            owner = self._directory.by_key(api_key) if api_key else state
            if owner is None or owner.org_id != state.org_id:
                self.add_key(state, api_key)
            return state
        if is_id(name, "org"):
            raise ValueError(f"there is no organisation with the id {name}")
        if api_key and self._directory.by_key(api_key) is not None:
            raise ValueError("this key is taken")
        return self.add_organisation(name, api_key=api_key)

    def organisations(self) -> Iterable[OrganisationState]:
        """All organisations, oldest first."""
        return self._directory.organisations()

    def organisation(self, org_id: str) -> OrganisationState | None:
        """The organisation of this id."""
        return self._directory.by_id(org_id)

    def organisation_of(self, api_key: str) -> OrganisationState | None:
        """Whose key this is, None where it is nobody's."""
        return self._directory.by_key(api_key)

    def add_key(self, org: OrganisationState, api_key: str = "") -> str:
        """One more key of an organisation. Raises ValueError for one that somebody has."""
        key = api_key or self.identifiers.new_key()
        if self._directory.by_key(key) is not None:
            raise ValueError("this key is taken")
        self._directory.add_key(org, key)
        return key

    def revoke_key(self, api_key: str) -> None:
        """Refuse this key from now on; the oldest that is left takes its place. Raises ValueError for one that nobody has."""
        if self._directory.by_key(api_key) is None:
            raise ValueError("no organisation has this key")
        self._directory.revoke_key(api_key)

    # writes on their way

    def deliver(self, org: OrganisationState) -> None:
        """Move the writes that have arrived by now into the store. Every request of an organisation begins with it."""
        elapsed = self.stamps.elapsed()
        if org.visibility == "immediate":
            self.deliver_all(org)
        if org.buffer.is_empty():
            return
        if org.storage == "up":
            org.buffer.tick(elapsed)
        self._arrive(org, org.buffer.arrived(elapsed))

    def deliver_all(self, org: OrganisationState) -> None:
        """Make every write of `org` arrive at once, unless its storage cannot be reached."""
        if org.storage == "up":
            self._arrive(org, org.buffer.take_all())

    def flush(self, org: OrganisationState) -> None:
        """Send what waits in the server's buffer, as a valid read and the end of a batch do."""
        if org.storage == "up":
            org.buffer.flush(self.stamps.elapsed())

    def settled_at(self) -> int:
        """When every write of every organisation can be read, in microseconds of `Stamps.elapsed`."""
        pending = [org.buffer.settled_at() for org in self.organisations() if org.storage == "up"]
        return max((time for time in pending if time is not None), default=0)

    def _arrive(self, org: OrganisationState, rows: Sequence[Row]) -> None:
        if rows:
            self._store.extend(org.org_id, rows)

    # memories

    def write(self, org: OrganisationState, new_memory: NewMemory) -> StoredRow | None:
        """Store a valid memory; None when it is a duplicate of what has arrived in the last 24 hours, or the window that is set.

        While storage is down nothing is a duplicate: the server skips the check it cannot make.
        """
        return self.write_all(org, (new_memory,))[0]

    def write_all(self, org: OrganisationState, new_memories: Sequence[NewMemory]) -> list[StoredRow | None]:
        """Store valid memories in order, at least one; None for each duplicate, as `write` knows them.

        What was stored here arrives after all of them, so that none is a duplicate of another.
        """
        if org.storage == "none":
            raise no_storage()
        stored_before = self._stored_before(org, new_memories)
        newest, elapsed = self._store.newest(org.org_id), self.stamps.elapsed()
        written: list[StoredRow | None] = []
        for new_memory in new_memories:
            stored = stored_before.get(new_memory.dedup_key)
            if stored is not None and self._is_duplicate(org, new_memory, stored):
                written.append(None)
                continue
            stamp = self.stamps.stamp(after=newest)
            row = new_memory.row(stamp.microseconds)
            org.buffer.add(row, elapsed)
            if org.buffer.is_full():
                self.flush(org)
            written.append(StoredRow(row, stamp, new_memory.tags))
        return written

    def _stored_before(self, org: OrganisationState, new_memories: Sequence[NewMemory]) -> Mapping[str, int]:
        """When rows with the keys of these memories were stored last, of those keys that are compared."""
        if org.storage != "up" or not self.settings.dedup_enabled:
            return {}
        keys = [memory.dedup_key for memory in new_memories if not _matches_nothing(memory.dedup_key)]
        return self._store.last_stored(org.org_id, keys)

    def _is_duplicate(self, org: OrganisationState, new_memory: NewMemory, stored: int) -> bool:
        if stored <= self.stamps.now() - self.settings.dedup_window_hours * HOUR:
            return False
        if self.observer is not None:
            (row,) = self._store.select(org.org_id, RowSelection(after=stored - 1, before=stored + 1))
            generated = generated_key(new_memory.agent_id, new_memory.event_type, new_memory.content)
            if new_memory.dedup_key == generated:  # else it was meant
                self.observer.duplicate_rejected(row.content, new_memory.content)
        return True

    def seed(self, org: OrganisationState, new_memories: Iterable[tuple[NewMemory, int]]) -> None:
        """Store rows in the past, `age` microseconds ago, without asking for duplicates; they can be read at once.

        Rows of one age keep their order, a microsecond apart; the last of them is a microsecond older than its age,
        as if that had just passed.
        """
        self.deliver(org)
        now = self.stamps.now()
        on_their_way = org.buffer.times()
        free: dict[int, int] = {}
        rows: list[Row] = []
        for new_memory, age in reversed(list(new_memories)):
            time = free.get(age, now - age - 1)
            while time in on_their_way or self._store.holds(org.org_id, time):
                time -= 1
            free[age] = time - 1
            rows.append(new_memory.row(time))
        self._arrive(org, rows[::-1])

    def read(self, org: OrganisationState, filters: Filters, action: str) -> list[Row]:
        """The rows that `filters` ask for. `action` names the read in the texts of storage, as in ``query memories``.

        A valid read flushes the organisation's buffer, and does not see what it flushed.
        """
        problem = filters.problem()
        if problem is not None:
            raise RouteError(500, problem)
        if org.storage == "none":
            raise no_storage()
        self.flush(org)
        if org.storage == "down":
            raise storage_unreachable(action)
        try:
            selection = filters.selection(self.stamps.now())
        except UnreadableTimeError as error:
            raise unreadable_time(action, str(error)) from None
        rows = self._store.select(org.org_id, selection)
        if self.observer is not None:
            self.observer.tags_matched(rows, filters.rows.tags)
        return rows

    def counts(self, org: OrganisationState, agent_id: str) -> AgentCounts:
        """Statistics of an agent's arrived memories; all zero while storage is down. Does not flush."""
        problem = identifier_problem(agent_id)
        if problem is not None:
            raise RouteError(500, f"invalid agent_id: {problem}")
        if org.storage == "none":
            raise no_storage()
        if org.storage == "down":
            return AgentCounts(0, 0, 0, {})
        return self._store.counts(org.org_id, agent_id, self.stamps.now() - DAY)

    def arcs(self) -> Mapping[str, bool]:
        """Whether storage can be reached, for every organisation that has one."""
        for org in self.organisations():
            self.deliver(org)
        return {org.org_id: org.storage == "up" for org in self.organisations() if org.storage != "none"}


def _matches_nothing(dedup_key: str) -> bool:
    """Whether the server's own comparison fails for this key."""
    return "\\" in dedup_key or "\0" in dedup_key

"""The rules of memories: what is stored when, what is a duplicate, what a read sees."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from memtrace_transports.memory.drafts import Draft
from memtrace_transports.memory.filters import Filters
from memtrace_transports.memory.identifiers import Identifiers
from memtrace_transports.memory.organisations import Organisation, OrganisationState, StorageState, Visibility
from memtrace_transports.memory.patterns import identifier_fault
from memtrace_transports.memory.refusals import Refusal, no_storage, storage_unreachable, unreadable_time
from memtrace_transports.memory.store import AgentCounts, Row, Store
from memtrace_transports.memory.timeline import Stamp, Timeline
from memtrace_transports.memory.timestamps import DAY, UnreadableTimeError
from memtrace_transports.memory.write_buffer import WriteBuffer

__all__ = ["Engine", "Written"]


class Written(NamedTuple):
    """A row as it was just stored, with the digits of its time that only this answer shows."""

    row: Row
    stamp: Stamp
    tags: list[str]


class Engine:
    """All state of one fake server. Not thread-safe: its owner holds one lock around every call.

    Methods that answer a request raise `Refusal` where the server refuses.
    """

    def __init__(
        self,
        timeline: Timeline,
        store: Store,
        identifiers: Identifiers,
        *,
        visibility: Visibility = "immediate",
        any_key: bool = False,
    ) -> None:
        self.timeline = timeline
        self.identifiers = identifiers
        self._store = store
        self._visibility: Visibility = visibility
        self._any_key = any_key
        self._by_id: dict[str, OrganisationState] = {}
        self._by_key: dict[str, OrganisationState] = {}

    # organisations

    def add_organisation(self, name: str = "", *, api_key: str = "") -> OrganisationState:
        """Make an organisation, with its id for a name and a new key unless others are given."""
        org_id = self.identifiers.new("org")
        public = Organisation(name or org_id, org_id, api_key or self.identifiers.new_key())
        state = OrganisationState(public, "up", self._visibility, WriteBuffer(self.timeline.started))
        self._by_id[org_id] = self._by_key[public.api_key] = state
        return state

    def organisations(self) -> Iterator[OrganisationState]:
        """All organisations, oldest first."""
        return iter(self._by_id.values())

    def organisation(self, org_id: str) -> OrganisationState | None:
        """The organisation of this id."""
        return self._by_id.get(org_id)

    def organisation_of(self, api_key: str) -> OrganisationState | None:
        """Whose key this is; with `any_key`, a key that nobody has makes an organisation."""
        found = self._by_key.get(api_key)
        if found is None and self._any_key:
            return self.add_organisation(api_key=api_key)
        return found

    def set_storage(self, org: OrganisationState, storage: StorageState) -> None:
        """Change what an organisation's storage does from now on."""
        self.deliver(org)
        if storage == "up" and org.storage != "up":
            org.buffer.resume(self.timeline.elapsed())
        org.storage = storage
        self.deliver(org)

    def set_visibility(self, org: OrganisationState, visibility: Visibility) -> None:
        """Change when an organisation's writes can be read, from now on."""
        self.deliver(org)
        org.visibility = visibility
        self.deliver(org)

    # writes on their way

    def deliver(self, org: OrganisationState) -> None:
        """Move the writes that have arrived by now into the store. Every request of an organisation begins with it."""
        elapsed = self.timeline.elapsed()
        if org.storage == "up":
            if org.visibility == "immediate":
                self.deliver_all(org)
            org.buffer.tick(elapsed)
        self._arrive(org, org.buffer.arrived(elapsed))

    def deliver_all(self, org: OrganisationState) -> None:
        """Make every write of `org` arrive at once, unless its storage cannot be reached."""
        if org.storage == "up":
            self._arrive(org, org.buffer.take_all())

    def flush(self, org: OrganisationState) -> None:
        """Send what waits in the server's buffer, as a valid read and the end of a batch do."""
        if org.storage == "up":
            org.buffer.flush(self.timeline.elapsed())

    def settled_at(self) -> int:
        """When every write of every organisation can be read, in microseconds of `Timeline.elapsed`."""
        pending = [org.buffer.settled_at() for org in self.organisations() if org.storage == "up"]
        return max((time for time in pending if time is not None), default=0)

    def _arrive(self, org: OrganisationState, rows: Iterable[Row]) -> None:
        for row in rows:
            self._store.add(org.org_id, row)

    # memories

    def write(self, org: OrganisationState, draft: Draft) -> Written | None:
        """Store a valid draft; None when it is a duplicate of what has arrived in the last 24 hours.

        While storage is down nothing is a duplicate: the server skips the check it cannot make.
        """
        if org.storage == "none":
            raise no_storage()
        if org.storage == "up" and self._is_duplicate(org, draft.dedup_key):
            return None
        stamp = self.timeline.stamp()
        row = draft.row(stamp.microseconds)
        org.buffer.add(row, self.timeline.elapsed())
        if org.buffer.is_full():
            self.flush(org)
        return Written(row, stamp, list(draft.tags))

    def _is_duplicate(self, org: OrganisationState, key: str) -> bool:
        if "\\" in key or "\0" in key:
            return False
        stored = self._store.last_stored(org.org_id, key)
        return stored is not None and stored > self.timeline.now() - DAY

    def seed(self, org: OrganisationState, drafts: Iterable[tuple[Draft, int]]) -> None:
        """Store rows in the past, `age` microseconds ago, without asking for duplicates; they can be read at once.

        Rows of one age keep their order, a microsecond apart; the last of them is a microsecond older than its age,
        as if that had just passed.
        """
        now = self.timeline.now()
        free: dict[int, int] = {}
        rows: list[Row] = []
        for draft, age in reversed(list(drafts)):
            time = free.get(age, now - age - 1)
            while self._store.holds(org.org_id, time):
                time -= 1
            free[age] = time - 1
            rows.append(draft.row(time))
        self._arrive(org, reversed(rows))

    def read(self, org: OrganisationState, filters: Filters, action: str) -> list[Row]:
        """The rows that `filters` ask for. `action` names the read in the texts of storage, as in ``query memories``.

        A valid read flushes the organisation's buffer, and does not see what it flushed.
        """
        fault = filters.fault()
        if fault is not None:
            raise Refusal(500, fault)
        if org.storage == "none":
            raise no_storage()
        self.flush(org)
        if org.storage == "down":
            raise storage_unreachable(action)
        try:
            selection = filters.selection(self.timeline.now())
        except UnreadableTimeError as error:
            raise unreadable_time(action, str(error)) from None
        return self._store.select(org.org_id, selection)

    def counts(self, org: OrganisationState, agent_id: str) -> AgentCounts:
        """Statistics of an agent's arrived memories; all zero while storage is down. Does not flush."""
        fault = identifier_fault(agent_id)
        if fault is not None:
            raise Refusal(500, f"invalid agent_id: {fault}")
        if org.storage == "none":
            raise no_storage()
        if org.storage == "down":
            return AgentCounts(0, 0, 0, {})
        return self._store.counts(org.org_id, agent_id, self.timeline.now() - DAY)

    def arcs(self) -> Mapping[str, bool]:
        """Whether storage can be reached, for every organisation that has one."""
        return {org.org_id: org.storage == "up" for org in self.organisations() if org.storage != "none"}

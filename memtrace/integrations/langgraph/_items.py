"""The items that one agent keeps: finding one, listing, putting, deleting and renewing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timezone

from memtrace._runtime.workflows.keyset_pagination import PAGE_SIZE
from memtrace._runtime.workflows.steps import Workflow
from memtrace.clock import Clock
from memtrace.integrations._records import RecordCodec, RecordStream, write
from memtrace.integrations.langgraph._item_records import (
    FORMAT,
    ITEM_TYPE,
    RENEWAL_TYPE,
    Deletion,
    Place,
    Put,
    Renewal,
    StoredItem,
    key_tag,
    namespace_tag,
    put_request,
    read_record,
    renewal_request,
)
from memtrace.models import AddMemoryRequest

_FEW = 3
"""Rows that are read for one key: of a full page the last moment is left out, so that three show the newest."""


def now_of(clock: Clock) -> datetime:
    """The time of day."""
    return datetime.fromtimestamp(clock.wall(), timezone.utc)


class StoredItems:
    """The items that one agent keeps."""

    def __init__(self, agent_id: str, wait_timeout: float | None) -> None:
        self.form: RecordCodec = RecordCodec(FORMAT, agent_id, memory_type=ITEM_TYPE)
        self._wait_timeout = wait_timeout

    def find(self, place: Place, clock: Clock) -> Workflow[StoredItem | None]:
        """The item at this place; None where there is none, or it has expired."""
        tags = [key_tag(place)]
        moments = self.form.newest_first(clock, page_size=_FEW, tags=tags, memory_type=ITEM_TYPE)
        while (records := (yield from moments.next())) is not None:
            if records:
                item = read_record(records[0])
                if not isinstance(item, StoredItem):
                    return None
                if item.ttl is not None:
                    item = yield from self._renewed(item, clock)
                return None if item.has_expired(now_of(clock)) else item
        return None

    def _renewed(self, item: StoredItem, clock: Clock) -> Workflow[StoredItem]:
        """The item, as it was renewed last."""
        moments = self.form.newest_first(
            clock, page_size=_FEW, tags=[key_tag(item.place)], memory_type=RENEWAL_TYPE, since=item.updated_at
        )
        while (records := (yield from moments.next())) is not None:
            for renewal in map(read_record, records):
                if isinstance(renewal, Renewal) and renewal.version == item.version:
                    return item.renewed(renewal.at)
        return item

    def live(self, prefix: Sequence[str], clock: Clock, page_size: int = PAGE_SIZE) -> LiveItems:
        """The items in the namespaces that begin with `prefix`, the newest put first."""
        tags = [namespace_tag(prefix)] if prefix else []
        return LiveItems(self.form.newest_first(clock, page_size=page_size, tags=tags), now_of(clock))

    def put(self, puts: Sequence[Put], clock: Clock) -> Workflow[None]:
        """Store puts and deletions, one at most for each place. An item that does not exist is not deleted."""
        requests: list[AddMemoryRequest] = []
        for put in puts:
            before = yield from self.find(put.place, clock)
            if before is not None or put.value is not None:
                requests.append(put_request(self.form, put, before))
        yield from write(requests, self._wait_timeout, clock)

    def renew(self, items: Iterable[StoredItem], clock: Clock) -> Workflow[None]:
        """Store that these items were read, where that prolongs their lives. Nobody waits until it can be read."""
        now = now_of(clock)
        requests = [renewal_request(self.form, item) for item in items if item.needs_renewal(now)]
        yield from write(requests, None, clock)


class LiveItems:
    """The items that there are, a moment's at a time: an item counts by its newest record."""

    def __init__(self, moments: RecordStream, now: datetime) -> None:
        self._moments = moments
        self._now = now
        self._seen: set[Place] = set()
        #: When versions of items were renewed last.
        self._renewals: dict[str, datetime] = {}

    def next(self) -> Workflow[list[StoredItem] | None]:
        """The items that were last put at the next moment, maybe none; None at the end."""
        records = yield from self._moments.next()
        if records is None:
            return None
        items: list[StoredItem] = []
        for read in map(read_record, records):
            if isinstance(read, Renewal):
                self._renewals.setdefault(read.version, read.at)
            elif read.place not in self._seen:
                self._seen.add(read.place)
                if isinstance(read, Deletion):
                    continue
                item = read.renewed(self._renewals.pop(read.version, None))
                items += [] if item.has_expired(self._now) else [item]
        return items

"""Items that the words of a query find, in the client's index; by meaning too where the client has an embedder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypedDict

from memtrace._runtime.workflows.searching import index_query
from memtrace._runtime.workflows.steps import Workflow
from memtrace.integrations._records import Record, RecordCodec
from memtrace.integrations.langgraph._item_records import (
    ITEM_TYPE,
    RENEWAL_TYPE,
    Place,
    Renewal,
    StoredItem,
    key_tag,
    namespace_tag,
    read_record,
)
from memtrace.integrations.langgraph._items import now_of
from memtrace.integrations.langgraph._known_versions import KnownVersions
from memtrace.models import Memory
from memtrace.transport import IndexQuery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memtrace._runtime.workflows.searching import Searching
    from memtrace.ranking import SearchHit

_LEAST_HITS = 50
"""Hits that are looked at for one search, at least: old versions are among them."""
_FEW = 3
"""Memories that are looked at for one key: somebody else's may have the same tags."""

_MOST_NEW = 1000
"""Versions since the last search that are read; with more of them each item is looked for again."""
_MOST_READ = 2000
"""Versions that are read at once, when many items were looked for one by one: a quarter of a second."""


class _Owned(TypedDict):
    agent_id: str
    tags: list[str]
    tags_match: Literal["exact"]


class RelevantItems:
    """The items that the words of a query find, as they are now."""

    def __init__(
        self, form: RecordCodec, query: str, prefix: Sequence[str], versions: KnownVersions, searching: Searching
    ) -> None:
        self._form = form
        self._query = query
        self._tags = [form.name, *([namespace_tag(prefix)] if prefix else [])]
        self._versions = versions
        self._searching = searching
        self._current: dict[Place, tuple[Memory, StoredItem] | None] = {}

    def best(self, most: int, is_wanted: Callable[[StoredItem], bool]) -> Workflow[list[tuple[StoredItem, float]]]:
        """At most so many of those that are wanted, with their scores."""
        limit = max(_LEAST_HITS, 2 * most)
        while True:
            asked = index_query(
                self._searching.settings,
                query=self._query,
                limit=limit,
                memory_types=[ITEM_TYPE],
                **self._owned(self._tags),
            )
            hits, _ = yield from self._searching.found(self._query, asked)
            yield from self._learn()
            found = yield from self._of_hits(hits, most, is_wanted)
            if len(found) >= most or len(hits) < limit:
                return found
            limit *= 8  # of old versions, or of what the filter leaves out, there are many

    def _learn(self) -> Workflow[None]:
        """Learn of the versions that came since the last search. The index is as new as the hits."""
        since, began = self._versions.since, self._searching.clock.wall()
        are_all = self._versions.are_to_be_read
        if are_all:
            since, most = None, _MOST_READ
        else:
            most = 1 if since is None else _MOST_NEW  # the first search only learns which record is the newest one
        rows = yield from self._rows(since, most)
        if len(rows) == _MOST_NEW:
            self._versions.clear()
        self._versions.take(self._records(rows), began, are_all=are_all)

    def _rows(self, since: datetime | None, most: int) -> Workflow[list[Memory]]:
        asked = IndexQuery(since=since, newest=most, memory_types=[ITEM_TYPE], **self._owned([self._form.name]))
        return self._searching.newest(asked)

    def _records(self, rows: Iterable[Memory]) -> Iterator[Record]:
        return (record for record in map(self._form.record_of, rows) if record is not None)

    def _of_hits(
        self, hits: Iterable[SearchHit], most: int, is_wanted: Callable[[StoredItem], bool]
    ) -> Workflow[list[tuple[StoredItem, float]]]:
        found: dict[Place, tuple[StoredItem, float]] = {}
        for hit in hits:
            record = self._form.record_of(hit.memory)
            place = None if record is None else read_record(record).place
            if record is None or place is None or place in found:
                continue
            current = yield from self._now(place, record)
            # skip an old version: the new one ranks by its own words
            if current is not None and current[0].content == hit.memory.content and is_wanted(current[1]):
                found[place] = current[1], hit.score
                if len(found) == most:
                    break
        return [*found.values()]

    def _now(self, place: Place, hit: Record) -> Workflow[tuple[Memory, StoredItem] | None]:
        """The item that is at a place, and its memory; None where it was deleted."""
        if place not in self._current:
            newest: Record | None = hit
            if not self._versions.is_newest(place, hit):
                began = self._searching.clock.wall()
                newest = yield from self._newest(place, hit.memory.time, ITEM_TYPE)
                if newest is not None:
                    self._versions.note(place, newest, began)
            self._current[place] = None if newest is None else (yield from self._live(newest))
        return self._current[place]

    def _live(self, newest: Record) -> Workflow[tuple[Memory, StoredItem] | None]:
        """The item of the newest record of a place; None where that is a deletion, or the item has expired."""
        item = read_record(newest)
        if not isinstance(item, StoredItem):
            return None
        item = yield from self._renewed(item)
        return None if item.has_expired(now_of(self._searching.clock)) else (newest.memory, item)

    def _renewed(self, item: StoredItem) -> Workflow[StoredItem]:
        """The item, as it was renewed last."""
        if item.ttl is None:
            return item
        record = yield from self._newest(item.place, item.updated_at, RENEWAL_TYPE)
        renewal = None if record is None else read_record(record)
        if isinstance(renewal, Renewal) and renewal.version == item.version:
            return item.renewed(renewal.at)
        return item

    def _newest(self, place: Place, since: datetime, memory_type: str) -> Workflow[Record | None]:
        """The newest record of a place since then; None where it has gone from the index meanwhile."""
        owned, bound = self._owned([self._form.name, key_tag(place)]), since - timedelta(microseconds=1)
        most = _FEW
        while True:
            asked = IndexQuery(since=bound, newest=most, memory_types=[memory_type], **owned)
            rows = yield from self._searching.newest(asked)
            records = [*self._records(rows)]
            if records:
                return max(records, key=lambda record: record.order)
            if len(rows) < most:
                return None
            most *= 8  # memories of somebody else have the same tags

    def _owned(self, tags: list[str]) -> _Owned:
        return {"agent_id": self._form.agent_id, "tags": tags, "tags_match": "exact"}

"""The items of a store as records: each put and each deletion is one, and the newest of a key counts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from memtrace._runtime.workflows.keyset_pagination import PAGE_SIZE
from memtrace._runtime.workflows.searching import index_query
from memtrace._runtime.workflows.steps import Workflow
from memtrace.clock import Clock
from memtrace.integrations._records import Record, RecordCodec, RecordStream, json_text, unreadable, write
from memtrace.models import AddMemoryRequest, Memory
from memtrace.operations._validation import invalid
from memtrace.transport import IndexQuery

if TYPE_CHECKING:
    from memtrace._runtime.workflows.searching import Searching
    from memtrace.ranking import SearchHit

Place = tuple[tuple[str, ...], str]
"""A namespace and a key in it."""

_FORMAT = "langgraph"
_PUT, _DELETED = "put", "deleted"
_FEW = 3
"""Rows that are read for one key: of a full page the last moment is left out, so that three show the newest."""
_LEAST_HITS = 50
"""Hits that are looked at for one search, at least: old versions are among them."""


class _Owned(TypedDict):
    agent_id: str
    tags: list[str]
    tags_match: Literal["exact"]


@dataclass(frozen=True, slots=True)
class Put:
    """An item to be put, or deleted where there is no value: its place, and its value as JSON text."""

    place: Place
    value: str | None = field(repr=False)
    #: Whether a search with a query may find it.
    is_indexed: bool = True

    @classmethod
    def of(cls, place: Place, value: Mapping[str, Any] | None, field: str, *, is_indexed: bool = True) -> Put:
        """Raises `InvalidRequestError` for what is no mapping, or would not come back from JSON as it is."""
        if value is not None and not isinstance(value, Mapping):
            raise invalid(field, "a mapping, or None to delete", f"{type(value).__name__} was given")
        return cls(place, None if value is None else json_text(dict(value), field), is_indexed)


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item that was read."""

    place: Place
    value: dict[str, Any] = field(repr=False)
    created_at: datetime
    updated_at: datetime
    is_indexed: bool = True


class StoredItems:
    """The items that one agent keeps."""

    def __init__(self, agent_id: str, wait_timeout: float | None) -> None:
        self._form = RecordCodec(_FORMAT, agent_id, memory_type="entity")
        self._wait_timeout = wait_timeout

    def find(self, place: Place, clock: Clock) -> Workflow[StoredItem | None]:
        """The item at this place; None where there is none."""
        moments = self._form.newest_first(clock, page_size=_FEW, tags=[_key_tag(place)])
        while (records := (yield from moments.next())) is not None:
            if records:
                return _read(records[0])[1]
        return None

    def live(self, prefix: Sequence[str], clock: Clock, page_size: int = PAGE_SIZE) -> LiveItems:
        """The items in the namespaces that begin with `prefix`, the newest put first."""
        tags = [_namespace_tag(prefix)] if prefix else []
        return LiveItems(self._form.newest_first(clock, page_size=page_size, tags=tags))

    def relevant(self, query: str, prefix: Sequence[str], searching: Searching) -> RelevantItems:
        """The items in the namespaces that begin with `prefix`, the most relevant to a query first."""
        return RelevantItems(self._form, query, prefix, searching)

    def put(self, puts: Sequence[Put], clock: Clock) -> Workflow[None]:
        """Store puts and deletions, one at most for each place. An item that does not exist is not deleted."""
        requests: list[AddMemoryRequest] = []
        for put in puts:
            before = yield from self.find(put.place, clock)
            if before is not None or put.value is not None:
                requests.append(self._request(put, before))
        yield from write(requests, self._wait_timeout, clock)

    def _request(self, put: Put, before: StoredItem | None) -> AddMemoryRequest:
        namespace, key = put.place
        created = None if before is None else before.created_at.isoformat()
        unindexed = {} if put.is_indexed else {"index": False}
        about = json_text({"namespace": namespace, "key": key, "created_at": created, **unindexed}, "key")
        return self._form.request(
            _DELETED if put.value is None else _PUT,
            f'{about[:-1]}, "value": {put.value or "null"}}}',
            content=f"{'.'.join(namespace)} {json_text(key, 'key')}: {put.value or 'deleted'}",
            event_type="item_deleted" if put.value is None else "item_put",
            tags=[_key_tag(put.place), *(_namespace_tag(namespace[: n + 1]) for n in range(len(namespace)))],
        )


class LiveItems:
    """The items that there are, a moment's at a time: an item counts by its newest record."""

    def __init__(self, moments: RecordStream) -> None:
        self._moments = moments
        self._seen: set[Place] = set()

    def next(self) -> Workflow[list[StoredItem] | None]:
        """The items that were last put at the next moment, maybe none; None at the end."""
        records = yield from self._moments.next()
        if records is None:
            return None
        items: list[StoredItem] = []
        for record in records:
            place, item = _read(record)
            if place not in self._seen:
                self._seen.add(place)
                items += [] if item is None else [item]
        return items


class RelevantItems:
    """The items that the words of a query find, as they are now."""

    def __init__(self, form: RecordCodec, query: str, prefix: Sequence[str], searching: Searching) -> None:
        self._form = form
        self._query = query
        self._tags = [form.name, *([_namespace_tag(prefix)] if prefix else [])]
        self._searching = searching
        self._current: dict[Place, tuple[Memory, StoredItem] | None] = {}

    def best(self, most: int, is_wanted: Callable[[StoredItem], bool]) -> Workflow[list[tuple[StoredItem, float]]]:
        """At most so many of those that are wanted, with their scores."""
        limit = max(_LEAST_HITS, 2 * most)
        while True:
            asked = index_query(self._searching.settings, query=self._query, limit=limit, **self._owned(self._tags))
            hits, _ = yield from self._searching.found(self._query, asked)
            found = yield from self._of_hits(hits, most, is_wanted)
            if len(found) >= most or len(hits) < limit:
                return found
            limit *= 8  # of old versions, or of what the filter leaves out, there are many

    def _of_hits(
        self, hits: Iterable[SearchHit], most: int, is_wanted: Callable[[StoredItem], bool]
    ) -> Workflow[list[tuple[StoredItem, float]]]:
        found: dict[Place, tuple[StoredItem, float]] = {}
        for hit in hits:
            record = self._form.record_of(hit.memory)
            place = None if record is None else _read(record)[0]
            if place is None or place in found:
                continue
            current = yield from self._now(place, hit.memory.time)
            # skip an old version: the new one ranks by its own words
            if current is not None and current[0].content == hit.memory.content and is_wanted(current[1]):
                found[place] = current[1], hit.score
                if len(found) == most:
                    break
        return [*found.values()]

    def _now(self, place: Place, since: datetime) -> Workflow[tuple[Memory, StoredItem] | None]:
        """The item that is at a place, and its memory; None where it was deleted. The index is as new as the hits."""
        if place not in self._current:
            record = yield from self._newest(place, since)
            item = None if record is None else _read(record)[1]
            self._current[place] = None if record is None or item is None else (record.memory, item)
        return self._current[place]

    def _newest(self, place: Place, since: datetime) -> Workflow[Record | None]:
        """The newest record of a place since then; None where it has gone from the index meanwhile."""
        owned, bound = self._owned([self._form.name, _key_tag(place)]), since - timedelta(microseconds=1)
        most = _FEW
        while True:
            asked = IndexQuery(since=bound, newest=most, **owned)
            rows = yield from self._searching.newest(asked)
            records = [record for record in map(self._form.record_of, rows) if record is not None]
            if records:
                return max(records, key=lambda record: (record.memory.time, record.sequence, record.key))
            if len(rows) < most:
                return None
            most *= 8  # memories of somebody else have the same tags

    def _owned(self, tags: list[str]) -> _Owned:
        return {"agent_id": self._form.agent_id, "tags": tags, "tags_match": "exact"}


def _read(record: Record) -> tuple[Place, StoredItem | None]:
    """The place that a record is about, and the item that it put there; None for a deletion."""
    try:
        place = tuple(record.item["namespace"]), record.item["key"]
        if record.kind == _DELETED:
            return place, None
        created, updated = record.item["created_at"], record.memory.time
        first = updated if created is None else datetime.fromisoformat(created)
        is_indexed = record.item.get("index") is not False
        return place, StoredItem(place, record.item["value"], first, updated, is_indexed)
    except (KeyError, TypeError, ValueError):
        raise unreadable(_FORMAT, "namespace, key and value") from None


def _key_tag(place: Place) -> str:
    return f"key-{_digest([list(place[0]), place[1]])}"


def _namespace_tag(labels: Sequence[str]) -> str:
    return f"ns-{_digest(list(labels))}"


def _digest(value: object) -> str:
    """A tag has 64 characters of few kinds. A digest makes any string fit."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:32]

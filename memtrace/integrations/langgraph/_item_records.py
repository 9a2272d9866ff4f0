"""The items of a store as records: each put and each deletion is one, and the newest of a key counts.

An item with a time to live has more of them: each time that it is renewed, a record says so. They have another type of memory,
so that the newest put or deletion of a key is found without them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from memtrace.integrations._errors import invalid_type
from memtrace.integrations._records import Record, RecordCodec, hex_digest, json_text, unreadable
from memtrace.integrations.langgraph._embedding import Vector, read_vector, written
from memtrace.integrations.langgraph._expiry import has_expired, needs_renewal
from memtrace.models import AddMemoryRequest

Place = tuple[tuple[str, ...], str]
"""A namespace and a key in it."""

FORMAT: Final = "langgraph"
ITEM_TYPE: Final = "entity"
"""The type of memory of puts and deletions."""
RENEWAL_TYPE: Final = "episodic"
_PUT, _DELETED, _RENEWED = "put", "deleted", "renewed"


@dataclass(frozen=True, slots=True)
class Put:
    """An item to be put, or deleted where there is no value: its place, and its value as JSON text."""

    place: Place
    value: str | None = field(repr=False)
    #: Whether a search with a query may find it.
    is_indexed: bool = True
    #: Minutes until it expires.
    ttl: float | None = None
    vectors: Sequence[Vector] = field(default=(), repr=False)

    @classmethod
    def of(
        cls,
        place: Place,
        value: Mapping[str, Any] | None,
        field: str,
        *,
        is_indexed: bool = True,
        ttl: float | None = None,
    ) -> Put:
        """Raises `InvalidTypeError` for what is no mapping, or would not come back from JSON as it is."""
        if value is not None and not isinstance(value, Mapping):
            raise invalid_type(field, "a mapping, or None to delete", f"{type(value).__name__} was given")
        return cls(place, None if value is None else json_text(dict(value), field), is_indexed, ttl)


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item that was read."""

    place: Place
    value: dict[str, Any] = field(repr=False)
    created_at: datetime
    updated_at: datetime
    #: The key of its record, to which renewals refer.
    version: str
    is_indexed: bool
    ttl: float | None
    #: When its time to live began.
    renewed_at: datetime
    vectors: Sequence[Vector] = field(repr=False)

    def renewed(self, at: datetime | None) -> StoredItem:
        """This item, renewed at this time; None leaves it as it is."""
        return self if at is None or at <= self.renewed_at else replace(self, renewed_at=at)

    def has_expired(self, now: datetime) -> bool:
        """Whether its time to live has passed."""
        return has_expired(self.ttl, self.renewed_at, now)

    def needs_renewal(self, now: datetime) -> bool:
        """Whether a read now has to be stored, so that it lives on."""
        return needs_renewal(self.ttl, self.renewed_at, now)


@dataclass(frozen=True, slots=True)
class Deletion:
    """That the item at a place was deleted."""

    place: Place


@dataclass(frozen=True, slots=True)
class Renewal:
    """That this version of an item at a place was read, and lives on from then."""

    place: Place
    version: str
    at: datetime


# ---- writing --------------------------------------------------------------------------------------------------------


def put_request(form: RecordCodec, put: Put, before: StoredItem | None) -> AddMemoryRequest:
    """The record of a put, or of a deletion, after what was there before."""
    namespace, key = put.place
    about: dict[str, object] = {
        "namespace": namespace,
        "key": key,
        "created_at": None if before is None else before.created_at.isoformat(),
    }
    if not put.is_indexed:
        about["index"] = False
    if put.ttl is not None:
        about["ttl"] = put.ttl
    return form.request(
        _DELETED if put.value is None else _PUT,
        f'{json_text(about, "key")[:-1]}, "value": {put.value or "null"}}}',
        content=f"{_readable(put.place)}: {put.value or 'deleted'}",
        event_type="item_deleted" if put.value is None else "item_put",
        tags=_tags(put.place),
        details={"vectors": [*map(written, put.vectors)]} if put.vectors else None,
    )


def renewal_request(form: RecordCodec, item: StoredItem) -> AddMemoryRequest:
    """The record that an item was read, and lives on."""
    namespace, key = item.place
    return replace(form, memory_type=RENEWAL_TYPE).request(
        _RENEWED,
        json_text({"namespace": namespace, "key": key, "version": item.version}, "key"),
        content=f"{_readable(item.place)} was read, and is kept for {item.ttl:g} minutes more",
        event_type="item_renewed",
        tags=_tags(item.place),
    )


def _readable(place: Place) -> str:
    return f"{'.'.join(place[0])} {json_text(place[1], 'key')}"


def _tags(place: Place) -> list[str]:
    namespace = place[0]
    return [key_tag(place), *(namespace_tag(namespace[: n + 1]) for n in range(len(namespace)))]


def key_tag(place: Place) -> str:
    """The tag of the records of one item."""
    return f"key-{_digest([list(place[0]), place[1]])}"


def namespace_tag(labels: Sequence[str]) -> str:
    """The tag of the records in the namespaces that begin with these labels."""
    return f"ns-{_digest(list(labels))}"


def _digest(value: object) -> str:
    return hex_digest(json.dumps(value))


# ---- reading --------------------------------------------------------------------------------------------------------


def read_record(record: Record) -> StoredItem | Deletion | Renewal:
    """What a record says. Raises `ResponseDecodeError` for one that says nothing of an item."""
    try:
        place = tuple(record.item["namespace"]), record.item["key"]
        if record.kind == _DELETED:
            return Deletion(place)
        if record.kind == _RENEWED:
            return Renewal(place, record.item["version"], record.memory.time)
        created, updated = record.item["created_at"], record.memory.time
        return StoredItem(
            place,
            record.item["value"],
            created_at=updated if created is None else datetime.fromisoformat(created),
            updated_at=updated,
            version=record.key,
            is_indexed=record.item.get("index") is not False,
            ttl=record.item.get("ttl"),
            renewed_at=updated,
            vectors=[*map(read_vector, (record.memory.metadata or {}).get("vectors", ()))],
        )
    except (KeyError, TypeError, ValueError):
        raise unreadable(FORMAT, "namespace, key and value") from None

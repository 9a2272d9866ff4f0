"""Which of the server's rows is that of a memory which was sent: one rule, of key and content, for one memory and for many.

Source: the observed behaviour of Memtrace 0.2.0, "Duplicates, and when a repeat is safe".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from memtrace.operations._answered_rows import microseconds

if TYPE_CHECKING:
    from memtrace.models import AddMemoryRequest, Memory

Row = Mapping[str, object]
"""A row of a response, unchanged."""


class CallKey(str):
    """A duplicate key that was made for one memory of one call, so that nothing else has it."""

    __slots__ = ()


def server_dedup_key(request: AddMemoryRequest) -> str:
    """The server's own duplicate key: agent, event and the first 200 bytes of the content."""
    content = request.content.encode()[:200]
    event = request.event_type or "general"
    return hashlib.sha256(f"{request.agent_id}|{event}|".encode() + content).hexdigest()[:32]


def is_deduplicated(request: AddMemoryRequest) -> bool:
    """Whether the server recognises a repeat of this memory: a key with a backslash or a NUL matches nothing."""
    key = request.dedup_key or ""
    return "\\" not in key and "\0" not in key


class SentMemory(NamedTuple):
    """By what the row of a memory is known."""

    agent_id: str
    key: str
    #: As sent, and as given: a middleware may change it in either direction. Empty if the key alone decides.
    contents: tuple[str, ...]

    def has_key(self, key: object, content: object) -> bool:
        """Whether the server takes a row of this key for the memory, whatever the row says."""
        return key == self.key

    def owns(self, key: object, content: object) -> bool:
        """Whether a row is this memory's: the server's key ends after 200 bytes, so that the content counts too."""
        return key == self.key and (not self.contents or content in self.contents)


def as_sent(given: Sequence[AddMemoryRequest], body: bytes | None) -> list[SentMemory]:
    """The memories as they went out in `body`; as they were given where it holds no such memories."""
    try:
        content = json.loads(body or b"")
        sent = content.get("memories", [content])
        memories = [type(memory).model_validate(each) for memory, each in zip(given, sent, strict=True)]
    except (ValueError, TypeError, AttributeError, RecursionError):
        memories = list(given)
    return [_sent(*pair) for pair in zip(given, memories, strict=True)]


def _sent(given: AddMemoryRequest, sent: AddMemoryRequest) -> SentMemory:
    is_unique = isinstance(given.dedup_key, CallKey) and sent.dedup_key == given.dedup_key
    contents = () if is_unique else (sent.content, given.content)
    return SentMemory(sent.agent_id, sent.dedup_key or server_dedup_key(sent), contents)


def places_of(rows: Sequence[Memory], given: Sequence[AddMemoryRequest], body: bytes | None) -> list[int] | None:
    """The item of each row of a batch response. The server returns rows in order, without those of duplicates.

    None for a row without an item. A middleware may change the contents of a response: if they do not match, the keys
    decide.
    """
    if len(rows) == len(given):
        return list(range(len(given)))
    items = as_sent(given, body)
    places = _places(rows, items, SentMemory.owns)
    return _places(rows, items, SentMemory.has_key) if places is None else places


def _places(
    rows: Sequence[Memory], items: Sequence[SentMemory], fits: Callable[[SentMemory, object, object], bool]
) -> list[int] | None:
    places: list[int] = []
    for place, item in enumerate(items):
        row = rows[len(places)] if len(places) < len(rows) else None
        if row is not None and fits(item, row.dedup_key, row.content):
            places.append(place)
    return places if len(places) == len(rows) else None


def rows_of(items: Sequence[SentMemory], answered: Sequence[Row], found: Sequence[Row]) -> dict[int, Row]:
    """The rows of those items that have one, by place; what was answered and is found as well counts once."""
    by_key: dict[object, dict[str, Row]] = {}
    for row in (*answered, *found):
        by_key.setdefault(row.get("dedup_key"), {}).setdefault(microseconds(row), row)
    rows: dict[int, Row] = {}
    for place, item in enumerate(items):
        left = by_key.get(item.key, {})
        own = [time for time, row in left.items() if item.owns(item.key, row.get("content"))]
        if own:
            rows[place] = left.pop(min(own))
    return rows

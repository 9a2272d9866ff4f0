"""A transcript as memories: each append is cut into parts, and a reader puts the parts together again.

The entries are kept as JSON text, one a line, in the contents of the memories: the server would change large numbers in
metadata, and an entry may be larger than a request. An append of which a part is missing never happened.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import TypeVar, cast
from uuid import uuid4

from claude_agent_sdk import SessionStoreEntry

from memtrace.models import AddMemoryRequest, Memory

T = TypeVar("T")

EVENT_TYPE = "transcript"

_PART = 500_000
"""Characters of a memory: four bytes each at most, half of what the server takes."""


class Writer:
    """A writer and the order of its appends, which the server's clocks alone would not give."""

    def __init__(self) -> None:
        self._name = uuid4().hex
        self._numbers = count()

    def memories(self, agent_id: str, session_id: str, entries: Sequence[SessionStoreEntry]) -> list[AddMemoryRequest]:
        """One append as memories. Raises ValueError or TypeError for entries that are no JSON."""
        lines = "\n".join(_line(entry) for entry in entries)
        parts = [lines[start : start + _PART] for start in range(0, len(lines), _PART)]
        append, number = uuid4().hex, next(self._numbers)
        return [
            AddMemoryRequest(
                agent_id=agent_id,
                session_id=session_id,
                memory_type="session",
                event_type=EVENT_TYPE,
                content=part,
                metadata={
                    "append": append,
                    "part": place,
                    "parts": len(parts),
                    "writer": self._name,
                    "number": number,
                },
                dedup_key=f"{append}-{place}",
            )
            for place, part in enumerate(parts)
        ]


def _line(entry: SessionStoreEntry) -> str:
    text = json.dumps(entry, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character, which JavaScript writes
        return json.dumps(entry, separators=(",", ":"))
    return text


@dataclass(slots=True)
class _Append:
    """The records read of one append."""

    parts: int
    writer: str
    number: int
    time: datetime
    contents: dict[int, str] = field(default_factory=dict, repr=False)

    def entries(self) -> list[SessionStoreEntry]:
        lines = "".join(self.contents[place] for place in range(self.parts))
        return [cast("SessionStoreEntry", json.loads(line)) for line in lines.split("\n")]


def entries_of(rows: Iterable[Memory]) -> list[SessionStoreEntry]:
    """The entries of a transcript, in the order of their appends; of those with one ``uuid`` the first."""
    appends: dict[str, _Append] = {}
    for row in rows:
        _take(row, appends)
    whole = [append for append in appends.values() if append.contents.keys() == set(range(append.parts))]
    return _without_repeats(entry for append in _in_order(whole) for entry in append.entries())


def _take(row: Memory, appends: dict[str, _Append]) -> None:
    metadata = row.metadata or {}
    name, place, parts = metadata.get("append"), metadata.get("part"), metadata.get("parts")
    writer, number = metadata.get("writer"), metadata.get("number")
    if not isinstance(place, int) or not isinstance(parts, int) or not isinstance(number, int):
        return  # somebody else's memory
    append = appends.setdefault(str(name), _Append(parts, str(writer), number, row.time))
    append.time = max(append.time, row.time)
    append.contents[place] = row.content


def _in_order(appends: Iterable[_Append]) -> list[_Append]:
    """By the time at which the server took them, but those of one writer as it wrote them, whatever the server's clocks say."""
    latest: dict[str, datetime] = {}
    for append in sorted(appends, key=lambda append: append.number):
        latest[append.writer] = append.time = max(append.time, latest.get(append.writer, append.time))
    return sorted(appends, key=lambda append: (append.time, append.writer, append.number))


def _without_repeats(entries: Iterable[SessionStoreEntry]) -> list[SessionStoreEntry]:
    """Without entries that were appended again, as the SDK does after a failure."""
    kept: dict[str | int, SessionStoreEntry] = {}
    for place, entry in enumerate(entries):
        uuid = entry.get("uuid")
        kept.setdefault(uuid if isinstance(uuid, str) else place, entry)
    return list(kept.values())

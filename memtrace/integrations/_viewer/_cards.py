"""Memories as the pages show them: cut, weighed, grouped by day and session, and found again by time and key."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Final, get_args

from memtrace.integrations._viewer._rendering import timestamp
from memtrace.models import Memory, MemoryType

SHOWN: Final = 2000
"""Characters of a content or of metadata in a list."""
_KEY: Final = 16


def json_of(memory: Memory) -> dict[str, Any]:
    """A memory as JSON values, with what the server gave and nothing else."""
    return memory.model_dump(mode="json", exclude_unset=True)


def key_of(memory: Memory) -> str:
    """What distinguishes a memory from others of its microsecond; memories have no ID."""
    text = json.dumps(json_of(memory), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_KEY]


@dataclass(frozen=True, slots=True)
class Card:
    """One memory of a list."""

    memory: Memory
    #: Its time and key, as ``memory`` in a URL has them.
    address: str
    #: The beginning of the content, and how many characters follow.
    content: str
    hidden: int
    #: Metadata as text, cut as well.
    metadata: str
    score: float | None = None

    @property
    def kind(self) -> str:
        """The memory type if the pages have a colour for it."""
        return self.memory.memory_type if self.memory.memory_type in get_args(MemoryType) else "other"

    @property
    def weight(self) -> int:
        """The importance in tenths."""
        return round(min(max(self.memory.importance or 0.0, 0.0), 1.0) * 10)

    @property
    def reasoning(self) -> str:
        """Why a decision was taken, cut like the content."""
        reasoning = (self.memory.metadata or {}).get("reasoning") or ""
        return (reasoning if isinstance(reasoning, str) else json.dumps(reasoning, ensure_ascii=False))[:SHOWN]

    @property
    def title(self) -> str:
        """The first line of the content, for screen readers."""
        return self.content.lstrip().partition("\n")[0][:80] or "(blank)"


def card(memory: Memory, score: float | None = None) -> Card:
    """The card of a memory."""
    metadata = json.dumps(json_of(memory).get("metadata") or {}, indent=2, ensure_ascii=False)
    cut = metadata if len(metadata) <= SHOWN else f"{metadata[:SHOWN]}… ({len(metadata) - SHOWN:,} more characters)"
    return Card(
        memory,
        f"{timestamp(memory.time)}~{key_of(memory)}",
        memory.content[:SHOWN],
        max(len(memory.content) - SHOWN, 0),
        cut if memory.metadata else "",
        score,
    )


@dataclass(frozen=True, slots=True)
class CardGroup:
    """Memories in a row of one day and one session."""

    day: datetime
    session_id: str | None
    cards: list[Card]


def grouped(memories: Iterable[Memory]) -> list[CardGroup]:
    """Memories in groups, in their order."""
    rows = groupby(map(card, memories), key=lambda each: (each.memory.time.date(), each.memory.session_id or None))
    groups = [(session_id, [*cards]) for (_, session_id), cards in rows]
    return [CardGroup(cards[0].memory.time, session_id, cards) for session_id, cards in groups]


@dataclass(frozen=True, slots=True)
class Facet:
    """A value that narrows a list, and how many memories have it."""

    value: str
    count: int


_FACETS: Final = 20


def facets(memories: Sequence[Memory]) -> dict[str, list[Facet]]:
    """The types, event types and tags of memories, the most frequent first."""
    values: dict[str, Iterable[str]] = {
        "type": (memory.memory_type for memory in memories),
        "event": (memory.event_type for memory in memories),
        "tag": (tag for memory in memories for tag in memory.tags or ()),
    }
    return {
        name: [Facet(value, count) for value, count in Counter(each).most_common(_FACETS)]
        for name, each in values.items()
    }

"""What a store keeps and is asked for: rows, selections of them, and counts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Row(NamedTuple):
    """One memory as storage keeps it: `time` in whole microseconds, `tags` joined by commas, `metadata` as JSON text."""

    time: int
    agent_id: str
    session_id: str
    memory_type: str
    event_type: str
    content: str
    metadata: str
    tags: str
    dedup_key: str
    importance: float
    parent_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSelection:
    """Which rows to read. An empty field or None does not filter. `after` and `before` (microseconds) are exclusive."""

    agent_id: str = ""
    session_id: str = ""
    memory_types: Collection[str] = ()
    event_types: Collection[str] = ()
    #: Each has to occur somewhere in the joined tags.
    tags: Sequence[str] = ()
    contains: str = ""
    min_importance: float | None = None
    after: int | None = None
    before: int | None = None
    limit: int = 100
    offset: int = 0
    oldest_first: bool = False

    def admits(self, row: Row) -> bool:
        """Whether `row` passes every filter but the time window."""
        return (
            (not self.agent_id or row.agent_id == self.agent_id)
            and (not self.session_id or row.session_id == self.session_id)
            and (not self.memory_types or row.memory_type in self.memory_types)
            and (not self.event_types or row.event_type in self.event_types)
            and all(tag in row.tags for tag in self.tags)
            and self.contains in row.content
            and (self.min_importance is None or row.importance >= self.min_importance)
        )

    def is_plain(self) -> bool:
        """Whether at most one of agent and session filters, and nothing else but the time window."""
        filters = (self.agent_id and self.session_id, self.memory_types, self.event_types, self.tags, self.contains)
        return self.min_importance is None and not any(filters)


@dataclass(frozen=True, slots=True)
class AgentCounts:
    """What statistics count of one agent's memories."""

    total: int
    recent: int
    recent_errors: int
    by_type: dict[str, int]

"""Filters of searches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from memtrace._support.timestamps import to_microseconds
from memtrace.models import TagsMatch
from memtrace.operations._validation import split_tags


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFilter:
    """Filters of a search. They are joined by "and", the values of one list of types by "or".

    None and an empty list do not filter. Both time bounds are exclusive, and apply to when a memory
    occurred.
    """

    agent_id: str | None = None
    session_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    #: All must match, as `tags_match` says.
    tags: str | Sequence[str] | None = None
    tags_match: TagsMatch = "substring"
    #: A list, or a single string. Any may match.
    memory_types: str | Sequence[str] | None = None
    #: A list, or a single string. Any may match.
    event_types: str | Sequence[str] | None = None
    #: The lowest importance. A memory without one counts as 0.
    min_importance: float | None = None

    def where(self, *, of_keys: bool = False) -> tuple[str, list[object]]:
        """Create the SQL condition on the table of memories.

        Args:
            of_keys: Whether the query also has a list of keys, so that SQLite looks these up and
                not all memories of the agent.

        Returns:
            The condition, and its values.
        """
        conditions: list[str] = ["1"]
        values: list[object] = []
        agent = "+agent_id=?" if of_keys else "agent_id=?"
        for column, value in ((agent, self.agent_id), ("session_id=?", self.session_id)):
            if value is not None:
                conditions.append(column)
                values.append(value)
        for column, bound in (("at>?", self.since), ("at<?", self.until)):
            if bound is not None:
                conditions.append(column)
                values.append(to_microseconds(bound))
        for column, types in (("memory_type", _listed(self.memory_types)), ("event_type", _listed(self.event_types))):
            if types:
                conditions.append(f"{column} IN ({','.join('?' * len(types))})")
                values += types
        for tag in split_tags(self.tags) if isinstance(self.tags, str) else self.tags or ():
            conditions.append(
                "instr(tags, ?)" if self.tags_match == "substring" else "instr(','||tags||',', ','||?||',')"
            )
            values.append(tag)
        if self.min_importance is not None:
            conditions.append("importance>=?")
            values.append(self.min_importance)
        return " AND ".join(conditions), values


def _listed(types: str | Sequence[str] | None) -> Sequence[str]:
    return [types] if isinstance(types, str) else types or ()

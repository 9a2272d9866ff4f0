"""Memories to be found."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta, timezone

from memtrace.models import Memory
from memtrace.ranking import MemoryFilter, MemorySearch, TextIndex

START = datetime(2026, 5, 4, 9, tzinfo=timezone.utc)


def memory(content, minute=0, **fields):
    """A memory of the agent ``a``, so many minutes after the start."""
    given = {"org_id": "o", "agent_id": "a", "memory_type": "episodic", "event_type": "general", **fields}
    return Memory(time=START + timedelta(minutes=minute), content=content, **given)


def index_of(*memories, connection=None, **settings):
    """An index with these memories."""
    index = TextIndex(connection or sqlite3.connect(":memory:"), **settings)
    index.add_many(memories)
    return index


def found(index, query, limit=10, **fields):
    """The contents that a search gives, best first."""
    return [row.content for row in MemorySearch(index).search(query, MemoryFilter(**fields), limit=limit).memories]


def apart(*contents):
    """Each in a session of its own, so that none is another one's neighbour."""
    return [memory(content, n, session_id=f"s{n}") for n, content in enumerate(contents)]

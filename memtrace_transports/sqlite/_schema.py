"""The tables of a store's file, and how an older file becomes one of this version."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Sequence

from memtrace_transports.sqlite._index import TextIndexes

APPLICATION_ID = 0x4D454D54
"""What a file says of itself in its header: MEMT."""

_TABLES = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE organisations (id INTEGER PRIMARY KEY, org_id TEXT NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE);
CREATE TABLE keys (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    org INTEGER NOT NULL REFERENCES organisations (id),
    name TEXT NOT NULL,
    created INTEGER NOT NULL,
    revoked INTEGER
);
CREATE TABLE agents (
    id INTEGER PRIMARY KEY,
    org INTEGER NOT NULL REFERENCES organisations (id),
    agent_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    config TEXT NOT NULL,
    created INTEGER NOT NULL,
    UNIQUE (org, agent_id),
    UNIQUE (org, name)
);
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY,
    org INTEGER NOT NULL REFERENCES organisations (id),
    session_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    status TEXT NOT NULL,
    metadata TEXT NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    closed INTEGER,
    UNIQUE (org, session_id)
);
CREATE INDEX sessions_of_agents ON sessions (org, agent_id);
CREATE TABLE memories (
    id INTEGER PRIMARY KEY,
    org INTEGER NOT NULL REFERENCES organisations (id),
    time INTEGER NOT NULL,
    agent_id TEXT NOT NULL,
    session_id TEXT,
    memory_type TEXT NOT NULL,
    event_type TEXT NOT NULL,
    content TEXT NOT NULL,
    metadata TEXT NOT NULL,
    tags TEXT NOT NULL,
    dedup_key TEXT NOT NULL,
    importance REAL NOT NULL,
    parent_id TEXT NOT NULL
);
CREATE UNIQUE INDEX memories_by_time ON memories (org, time);
CREATE INDEX memories_of_agents ON memories (org, agent_id, time, memory_type, event_type);
CREATE INDEX memories_of_sessions ON memories (org, session_id, time) WHERE session_id IS NOT NULL;
CREATE INDEX memories_by_key ON memories (org, dedup_key, time);
"""


def _first(connection: sqlite3.Connection) -> None:
    for statement in _TABLES.split(";\n"):
        connection.execute(statement)
    connection.execute("INSERT INTO settings VALUES ('salt', ?)", (secrets.token_bytes(16),))


def _second(connection: sqlite3.Connection) -> None:
    """An index that ranks takes the place of one that only matched."""
    indexes = TextIndexes(connection)
    for org, org_id in connection.execute("SELECT id, org_id FROM organisations").fetchall():
        connection.execute(f"DROP TABLE IF EXISTS text_of_{int(org)}")
        indexes.of(org_id)


MIGRATIONS: Sequence[Callable[[sqlite3.Connection], None]] = (_first, _second)
"""What makes a file of each version one of the next; an empty file has version 0."""

VERSION = len(MIGRATIONS)
"""The version of the files that this code writes."""

"""A store in one file, by the server's rules: ``Memtrace("sqlite:///agent.db")``."""

from __future__ import annotations

from memtrace_transports.sqlite._transport import AsyncSqliteTransport, SqliteTransport

__all__ = ["AsyncSqliteTransport", "SqliteTransport"]

"""The plugin of the store in a file: what ``sqlite:///agent.db`` makes."""

from __future__ import annotations

from memtrace.plugins import TransportSpec, hookimpl
from memtrace.transport import TransportOptions
from memtrace_transports.sqlite._transport import AsyncSqliteTransport, SqliteTransport


@hookimpl
def memtrace_transport() -> TransportSpec:
    """A store in the file that the base URL names; an unknown key creates a new organisation."""
    return TransportSpec(create=_create, create_async=_create_async)


def _create(options: TransportOptions) -> SqliteTransport:
    return SqliteTransport(options.url, clock=options.clock)


def _create_async(options: TransportOptions) -> AsyncSqliteTransport:
    return AsyncSqliteTransport(options.url, clock=options.clock)

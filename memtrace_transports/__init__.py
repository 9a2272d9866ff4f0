"""What moves bytes: the transports that come with memtrace-sdk, registered by entry point like any third party's."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memtrace_transports._aiohttp import AiohttpTransport
    from memtrace_transports._httpx import AsyncHttpxTransport, HttpxTransport
    from memtrace_transports._requests import RequestsTransport
    from memtrace_transports.memory._clock import ManualClock
    from memtrace_transports.memory._fake import AsyncMemoryTransport, FakeMemtrace, MemoryTransport
    from memtrace_transports.memory._organisations import Organisation
    from memtrace_transports.sqlite._transport import AsyncSqliteTransport, SqliteTransport

__all__ = [
    "AiohttpTransport",
    "AsyncHttpxTransport",
    "AsyncMemoryTransport",
    "AsyncSqliteTransport",
    "FakeMemtrace",
    "HttpxTransport",
    "ManualClock",
    "MemoryTransport",
    "Organisation",
    "RequestsTransport",
    "SqliteTransport",
]

_PLACES = {
    "AiohttpTransport": "memtrace_transports._aiohttp",
    "AsyncHttpxTransport": "memtrace_transports._httpx",
    "AsyncMemoryTransport": "memtrace_transports.memory._fake",
    "AsyncSqliteTransport": "memtrace_transports.sqlite._transport",
    "FakeMemtrace": "memtrace_transports.memory._fake",
    "HttpxTransport": "memtrace_transports._httpx",
    "ManualClock": "memtrace_transports.memory._clock",
    "MemoryTransport": "memtrace_transports.memory._fake",
    "Organisation": "memtrace_transports.memory._organisations",
    "RequestsTransport": "memtrace_transports._requests",
    "SqliteTransport": "memtrace_transports.sqlite._transport",
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_PLACES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

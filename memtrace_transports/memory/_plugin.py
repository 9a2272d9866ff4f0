"""The plugin of the in-memory fake: what ``memory://`` and ``transport="memory"`` make."""

from __future__ import annotations

from memtrace.plugins import TransportSpec, hookimpl
from memtrace.transport import TransportOptions
from memtrace_transports.memory._fake import AsyncMemoryTransport, FakeMemtrace, MemoryTransport


@hookimpl
def memtrace_transport() -> TransportSpec:
    """A separate fake for the clients that share a transport. Any key creates an organisation."""
    return TransportSpec(create=_create, create_async=_create_async)


def _create(options: TransportOptions) -> MemoryTransport:
    return MemoryTransport(FakeMemtrace(clock=options.clock, any_key=True))


def _create_async(options: TransportOptions) -> AsyncMemoryTransport:
    return AsyncMemoryTransport(FakeMemtrace(clock=options.clock, any_key=True))

"""The plugin of the transports on httpx2: ``transport="httpx2"``, served by the same code as httpx."""

from __future__ import annotations

from memtrace.plugins import TransportSpec, hookimpl
from memtrace_transports._httpx import spec_of


@hookimpl
def memtrace_transport() -> TransportSpec:
    """Both forms, on the package httpx2."""
    return spec_of("httpx2", extra="httpx2")

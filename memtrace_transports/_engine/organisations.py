"""One organisation, as the server's rules see it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from memtrace_transports._engine.ingest_buffer import IngestBuffer
from memtrace_transports._engine.registry import MemoryRegistry, Registry

StorageState: TypeAlias = Literal["up", "none", "down"]
"""An organisation's Arc: reachable, not configured, or not reachable."""

Visibility: TypeAlias = Literal["immediate", "server"]
"""When a write can be read and is a duplicate: at once, or as late as with the real server."""


@dataclass(slots=True)
class OrganisationState:
    """Everything that the engine keeps of one organisation but its stored rows. Its `repr` does not show the key."""

    name: str
    org_id: str
    api_key: str = field(repr=False)
    storage: StorageState
    visibility: Visibility
    buffer: IngestBuffer
    registry: Registry = field(default_factory=MemoryRegistry)

    def copy(self, later: int = 0) -> OrganisationState:
        """Another one in the same state, with every pending event postponed by `later` microseconds."""
        return replace(self, buffer=self.buffer.copy(later), registry=self.registry.copy())

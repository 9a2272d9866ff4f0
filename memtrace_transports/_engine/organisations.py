"""An organisation: what its user is told, and what the fake keeps of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from memtrace_transports._engine.ingest_buffer import IngestBuffer
from memtrace_transports._engine.registry import OrganisationRegistry

StorageState: TypeAlias = Literal["up", "none", "down"]
"""An organisation's Arc: reachable, not configured, or not reachable."""

Visibility: TypeAlias = Literal["immediate", "server"]
"""When a write can be read and is a duplicate: at once, or as late as with the real server."""


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation of a fake server. Its `repr` does not show the key.

    `fake` is the number of that server in this process, 0 where nobody said so.
    """

    name: str
    org_id: str
    api_key: str = field(repr=False)
    fake: int = field(default=0, repr=False, compare=False)


def check_fake(org: object, fake: int) -> None:
    """Raise ValueError for an organisation of another fake, though its name and its id be the same."""
    if isinstance(org, Organisation) and fake and org.fake and org.fake != fake:
        raise ValueError(f"{org!r} belongs to another fake")


@dataclass(slots=True)
class OrganisationState:
    """Everything that the fake keeps of one organisation but its stored rows."""

    public: Organisation
    storage: StorageState
    visibility: Visibility
    buffer: IngestBuffer
    registry: OrganisationRegistry = field(default_factory=OrganisationRegistry)
    #: When storage that was taken down for a time comes back, in microseconds of `Stamps.elapsed`.
    down_until: int | None = None

    def copy(self, later: int = 0) -> OrganisationState:
        """Another one in the same state, to which everything that is due happens so many microseconds `later`."""
        down_until = None if self.down_until is None else self.down_until + later
        return replace(self, buffer=self.buffer.copy(later), registry=self.registry.copy(), down_until=down_until)

    @property
    def org_id(self) -> str:
        """The organisation's id."""
        return self.public.org_id

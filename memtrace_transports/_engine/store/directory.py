"""Organisations and their keys in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from memtrace_transports._engine.organisations import OrganisationState


@dataclass(frozen=True, slots=True, repr=False)
class _Snapshot:
    organisations: tuple[OrganisationState, ...]
    by_key: Mapping[str, str]
    by_name: Mapping[str, str]
    revoked: frozenset[str]


class MemoryDirectory:
    """Organisations by id, name and key, with all their state."""

    def __init__(self) -> None:
        self._by_id: dict[str, OrganisationState] = {}
        self._by_key: dict[str, str] = {}
        self._by_name: dict[str, str] = {}
        self._revoked: set[str] = set()

    def add(self, org: OrganisationState) -> None:
        """Keep a new organisation, with `api_key` as its first key."""
        self._by_id[org.org_id] = org
        self._by_name[org.name] = org.org_id
        self.add_key(org, org.api_key)

    def organisations(self) -> Iterable[OrganisationState]:
        """All organisations, oldest first."""
        return self._by_id.values()

    def by_id(self, org_id: str) -> OrganisationState | None:
        """The organisation of this id."""
        return self._by_id.get(org_id)

    def by_name(self, name: str) -> OrganisationState | None:
        """The organisation of this name."""
        return self._by_id.get(self._by_name.get(name, ""))

    def by_key(self, api_key: str) -> OrganisationState | None:
        """Whose key this is, None where it is nobody's or was revoked."""
        return self._by_id.get(self._by_key.get(api_key, ""))

    def was_revoked(self, api_key: str) -> bool:
        """Whether this key was revoked, and not given again."""
        return api_key in self._revoked

    def add_key(self, org: OrganisationState, api_key: str) -> None:
        """Keep one more key of an organisation; nobody has it."""
        self._by_key[api_key] = org.org_id
        self._revoked.discard(api_key)

    def revoke_key(self, api_key: str) -> None:
        """Refuse from now on a key that somebody has; the oldest that is left takes its place."""
        org_id = self._by_key.pop(api_key)
        self._revoked.add(api_key)
        org = self._by_id[org_id]
        left = [key for key, owner in self._by_key.items() if owner == org_id]
        if org.api_key == api_key and left:
            org.api_key = left[0]

    def snapshot(self) -> object:
        """What the directory holds now, to come back to."""
        organisations = tuple(org.copy() for org in self._by_id.values())
        return _Snapshot(organisations, dict(self._by_key), dict(self._by_name), frozenset(self._revoked))

    def restore(self, snapshot: object, later: int) -> None:
        """Restore the state at `snapshot`. Its pending events are postponed by `later` microseconds."""
        held = cast("_Snapshot", snapshot)
        self._by_id = {org.org_id: org.copy(later) for org in held.organisations}
        self._by_key, self._by_name = dict(held.by_key), dict(held.by_name)
        self._revoked = set(held.revoked)

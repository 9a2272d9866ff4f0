"""Organisations and the hashes of their keys in a file."""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from memtrace._support.sqlite_urls import DEFAULT_KEY
from memtrace._support.timestamps import from_microseconds
from memtrace_transports._engine.ingest_buffer import IngestBuffer
from memtrace_transports._engine.organisations import OrganisationState, Visibility
from memtrace_transports._engine.settings import ServerSettings
from memtrace_transports._engine.stamps import Stamps
from memtrace_transports.sqlite._index import TextIndexes
from memtrace_transports.sqlite._registry import SqliteRegistry
from memtrace_transports.sqlite._store import Numbers

_BY_KEY = (
    "SELECT o.org_id, o.name FROM keys AS k JOIN organisations AS o ON o.id = k.org"
    " WHERE k.hash = ? AND k.revoked IS NULL"
)
_NEXT_ORGANISATION = (
    "SELECT 1 + max((SELECT ifnull(max(id), 0) FROM organisations),"
    " ifnull((SELECT value FROM settings WHERE name = 'last_organisation'), 0))"
)
"""No number comes again: another process may remember the organisation that had it."""


class StoredKey(NamedTuple):
    """A key's entry in the file, without the key or a part of it."""

    name: str
    organisation: str
    created_at: datetime
    revoked_at: datetime | None


@dataclass(slots=True)
class SqliteDirectory:
    """Organisations and keys in the tables of `connection`. Its owner holds a lock around every call.

    What an organisation is to the rules, such as its writes on their way, is kept here for this process alone.
    """

    connection: sqlite3.Connection
    numbers: Numbers
    indexes: TextIndexes
    stamps: Stamps
    visibility: Visibility = "immediate"
    settings: ServerSettings = field(default_factory=ServerSettings)
    _states: dict[str, OrganisationState] = field(default_factory=dict[str, OrganisationState])
    _salt: bytes = b""
    #: The key that came last, and its hash: most clients have no other.
    _hashed: tuple[str, bytes] = field(default=("", b""), repr=False)

    def use(self, connection: sqlite3.Connection) -> None:
        """Go on with another connection to the same file."""
        self.connection = connection
        self.indexes.use(connection)
        for org in self._states.values():
            org.registry = SqliteRegistry(connection, self.numbers, org.org_id)

    def add(self, org: OrganisationState) -> None:
        """Keep a new organisation, with `api_key` as its first key."""
        (number,) = self.connection.execute(_NEXT_ORGANISATION).fetchone()
        values = (number, org.org_id, org.name)
        self.connection.execute("INSERT INTO organisations (id, org_id, name) VALUES (?, ?, ?)", values)
        org.registry = SqliteRegistry(self.connection, self.numbers, org.org_id)
        self._states[org.org_id] = org
        self.add_key(org, org.api_key)

    def organisations(self) -> Iterable[OrganisationState]:
        """All organisations, oldest first."""
        found = self.connection.execute("SELECT org_id, name FROM organisations ORDER BY id").fetchall()
        return [self._state(org_id, name) for org_id, name in found]

    def by_id(self, org_id: str) -> OrganisationState | None:
        """The organisation of this id."""
        return self._found("SELECT org_id, name FROM organisations WHERE org_id = ?", org_id)

    def by_name(self, name: str) -> OrganisationState | None:
        """The organisation of this name."""
        return self._found("SELECT org_id, name FROM organisations WHERE name = ?", name)

    def by_key(self, api_key: str) -> OrganisationState | None:
        """Whose key this is, None where it is nobody's or was revoked."""
        return self._found(_BY_KEY, self.hash(api_key))

    def by_issued_key(self, api_key: str) -> OrganisationState | None:
        """As `by_key`, of the keys that have a name: not of those that clients without a server chose for themselves."""
        return self._found(f"{_BY_KEY} AND k.name != ''", self.hash(api_key))

    def was_revoked(self, api_key: str) -> bool:
        """Whether this key was revoked, and not given again."""
        query = "SELECT 1 FROM keys WHERE hash = ? AND revoked IS NOT NULL"
        return self.connection.execute(query, (self.hash(api_key),)).fetchone() is not None

    def add_key(self, org: OrganisationState, api_key: str, name: str = "") -> None:
        """Keep one more key of an organisation, under a name; nobody has it."""
        self.connection.execute(
            "INSERT INTO keys (hash, org, name, created) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (hash) DO UPDATE SET org = excluded.org, name = excluded.name, revoked = NULL",
            (self.hash(api_key), self.numbers.of(org.org_id), name, self.stamps.now()),
        )
        org.api_key = org.api_key or api_key

    def revoke_key(self, api_key: str) -> None:
        """Refuse from now on a key that somebody has. No other takes its place, since the file has only hashes."""
        query = "UPDATE keys SET revoked = ? WHERE hash = ?"
        self.connection.execute(query, (self.stamps.now(), self.hash(api_key)))
        for org in self._states.values():
            if org.api_key == api_key:
                org.api_key = ""

    def issued_keys(self) -> Iterator[StoredKey]:
        """Every key that has a name, oldest first, the revoked ones too."""
        query = (
            "SELECT k.name, o.name, k.created, k.revoked FROM keys AS k JOIN organisations AS o ON o.id = k.org"
            " WHERE k.name != '' ORDER BY k.id"
        )
        for name, organisation, created, revoked in self.connection.execute(query).fetchall():
            yield StoredKey(
                name, organisation, from_microseconds(created), None if revoked is None else from_microseconds(revoked)
            )

    def hash(self, api_key: str) -> bytes:
        """What the file keeps of a key, with a salt of the file's own."""
        if not self._salt:
            query = "SELECT value FROM settings WHERE name = 'salt'"
            (self._salt,) = self.connection.execute(query).fetchone()
        known, hashed = self._hashed
        if known != api_key or not hashed:
            hashed = hmac.digest(self._salt, api_key.encode("utf-8", "surrogatepass"), "sha256")
            self._hashed = api_key, hashed
        return hashed

    def of_new_key(self, api_key: str) -> OrganisationState:
        """The organisation that a key makes, the same in every process; not stored yet."""
        org_id = f"org_{hashlib.sha256(b'org' + self.hash(api_key)).hexdigest()[:24]}"
        return self.new_state(org_id, DEFAULT_KEY if api_key == DEFAULT_KEY else org_id, api_key)

    def forget(self) -> None:
        """Know nothing any more of what the file held: a transaction was taken back, or somebody else has written."""
        self._states.clear()
        self.forget_file()

    def forget_file(self) -> None:
        """Know nothing any more of where the file has what; what only this process has of its organisations stays."""
        self.numbers.forget()
        self.indexes.forget()

    def _found(self, query: str, value: str | bytes) -> OrganisationState | None:
        found = self.connection.execute(query, (value,)).fetchone()
        return None if found is None else self._state(*found)

    def _state(self, org_id: str, name: str) -> OrganisationState:
        state = self._states.get(org_id)
        if state is None:
            state = self._states[org_id] = self.new_state(org_id, name)
        return state

    def new_state(self, org_id: str, name: str, api_key: str = "") -> OrganisationState:
        """An organisation as the rules see it, stored or not."""
        registry = SqliteRegistry(self.connection, self.numbers, org_id)
        buffer = IngestBuffer(self.stamps.started, self.settings)
        return OrganisationState(name, org_id, api_key, "up", self.visibility, buffer, registry)

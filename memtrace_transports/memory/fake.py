"""The fake server: everything that a Memtrace server remembers, in one object."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from memtrace.clock import Clock, SystemClock
from memtrace.transport import Request, Response
from memtrace_transports.memory import wire
from memtrace_transports.memory.clock import ManualClock
from memtrace_transports.memory.drafts import CREATE_MEMORY, Draft
from memtrace_transports.memory.engine import Engine
from memtrace_transports.memory.identifiers import Identifiers
from memtrace_transports.memory.json_fields import Struct
from memtrace_transports.memory.json_reader import parse
from memtrace_transports.memory.json_writer import compact_object
from memtrace_transports.memory.organisations import Organisation, OrganisationState, StorageState, Visibility
from memtrace_transports.memory.refusals import Refusal
from memtrace_transports.memory.registry import Agent
from memtrace_transports.memory.store import MemoryStore
from memtrace_transports.memory.timeline import Timeline
from memtrace_transports.memory.timestamps import SECOND

if TYPE_CHECKING:
    from memtrace import AsyncMemtrace, Memtrace
    from memtrace.middleware.placement import Placed
    from memtrace.pipeline import Middleware

__all__ = ["FakeMemtrace", "Organisation"]

_SEED = Struct("memory.SeedRequest", {**CREATE_MEMORY.fields, "age_s": "float64"})
_SEED_AGENT = Struct("agent.SeedRequest", {"config": "map[string]interface {}"})


class FakeMemtrace:
    """A Memtrace server in memory, which answers as the real one does; for tests.

    It owns all its state, so two of them never meet. Clients reach it by `client` and `async_client`, or by a
    `MemoryTransport`; any thread may use it. With one `seed` the same requests get the same identifiers and keys.

    `visibility` is what new organisations get: ``immediate``, or ``server`` for the real server's delay, in which a
    write can be read, and is recognised as a duplicate, only about a second later. With `any_key` a key that the
    fake does not know makes an organisation of its own at its first use.

    >>> fake = FakeMemtrace()
    >>> fake.organisation("acme").name
    'acme'
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        seed: int = 0,
        visibility: Visibility = "immediate",
        any_key: bool = False,
    ) -> None:
        self._clock: Clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._engine = Engine(
            Timeline(self._clock), MemoryStore(), Identifiers(seed), visibility=visibility, any_key=any_key
        )
        self._by_name: dict[str, OrganisationState] = {}

    @property
    def clock(self) -> Clock:
        """The clock that this server lives by."""
        return self._clock

    def organisation(
        self, name: str = "default", *, storage: StorageState | None = None, visibility: Visibility | None = None
    ) -> Organisation:
        """The organisation of this name, made at its first mention; `storage` and `visibility` change it where given."""
        with self._lock:
            state = self._named(name)
            if storage is not None:
                self._engine.set_storage(state, storage)
            if visibility is not None:
                self._engine.set_visibility(state, visibility)
            return state.public

    def set_storage(self, org: Organisation | str, storage: StorageState) -> None:
        """Make an organisation's storage reachable (``up``), not configured (``none``) or unreachable (``down``).

        Without storage every route that needs it answers 503. While it is down reads answer 500, writes are taken
        and wait, and nothing is recognised as a duplicate.
        """
        with self._lock:
            self._engine.set_storage(self._state(org), storage)

    def seed(self, org: Organisation | str, rows: Iterable[Mapping[str, object]]) -> int:
        """Store memories in the past, as if written then; they can be read at once. Returns how many.

        A row has `agent_id`, `content` and `age_s` (seconds ago), and any other field of a memory. Rows of one age
        keep their order. Raises ValueError, and stores nothing, where a row is not what the server would take.

        >>> FakeMemtrace().seed("acme", [{"agent_id": "bot", "content": "likes tea", "age_s": 86_400}])
        1
        """
        drafts = [_seed_draft(row) for row in rows]
        with self._lock:
            self._engine.seed(self._state(org), drafts)
        return len(drafts)

    def seed_agent(
        self,
        org: Organisation | str,
        name: str,
        *,
        id: str | None = None,  # noqa: A002 - what answers call it
        description: str = "",
        config: Mapping[str, object] | None = None,
    ) -> str:
        """Register an agent, with this `id` where given; returns its id.

        Raises ValueError when the name is empty, or the name or the id is taken.
        """
        if not name:
            raise ValueError("name is required")
        body = parse(json.dumps({"config": config and dict(config)}).encode())
        with self._lock:
            registry = self._state(org).registry
            agent = Agent(
                id=id or self._engine.identifiers.new("agent"),
                name=name,
                description=description,
                config=compact_object(_SEED_AGENT.decode(body).members("config") or {}),
                created=self._engine.timeline.stamp(),
            )
            if registry.has_agent(agent.id):
                raise ValueError(f"there is an agent with the id {agent.id!r} already")
            try:
                registry.add_agent(agent)
            except Refusal as refusal:
                raise ValueError(refusal.text) from None
        return agent.id

    def settle(self) -> None:
        """Let every write of every organisation become readable.

        A `ManualClock` is moved as far as that takes; with any other clock the writes arrive at once. What waits for
        storage that is not up goes on waiting.
        """
        with self._lock:
            if isinstance(self._clock, ManualClock):
                missing = self._engine.settled_at() - self._engine.timeline.elapsed()
                self._clock.advance(max(missing, 0) / SECOND)
            for state in self._engine.organisations():
                if isinstance(self._clock, ManualClock):
                    self._engine.deliver(state)
                else:
                    self._engine.deliver_all(state)

    def handle(self, request: Request) -> Response:
        """Answer one request, whatever its method, target, headers and body are.

        Raises TransportError, cause ``reset``, for a body over 4 MiB, where the server cuts the connection.
        """
        with self._lock:
            return wire.answer(self._engine, request)

    def client(
        self,
        org: Organisation | str = "default",
        *,
        timeout: float | None = 30.0,
        middleware: Sequence[Middleware | Placed | str] = (),
        attempt_middleware: Sequence[Middleware | Placed | str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Memtrace:
        """A client of this server, with the key of `org` and this server's clock."""
        from memtrace import Memtrace
        from memtrace_transports.memory.transport import MemoryTransport

        return Memtrace(
            "memory://",
            self._key(org),
            timeout=timeout,
            transport=MemoryTransport(self),
            middleware=middleware,
            attempt_middleware=attempt_middleware,
            headers=headers,
            clock=self._clock,
        )

    def async_client(
        self,
        org: Organisation | str = "default",
        *,
        timeout: float | None = 30.0,
        middleware: Sequence[Middleware | Placed | str] = (),
        attempt_middleware: Sequence[Middleware | Placed | str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> AsyncMemtrace:
        """An async client of this server, with the key of `org` and this server's clock."""
        from memtrace import AsyncMemtrace
        from memtrace_transports.memory.transport import AsyncMemoryTransport

        return AsyncMemtrace(
            "memory://",
            self._key(org),
            timeout=timeout,
            transport=AsyncMemoryTransport(self),
            middleware=middleware,
            attempt_middleware=attempt_middleware,
            headers=headers,
            clock=self._clock,
        )

    def __repr__(self) -> str:
        with self._lock:
            return f"<FakeMemtrace, {len(list(self._engine.organisations()))} organisations>"

    def _key(self, org: Organisation | str) -> str:
        with self._lock:
            return self._state(org).public.api_key

    def _state(self, org: Organisation | str) -> OrganisationState:
        if isinstance(org, str):
            return self._named(org)
        state = self._engine.organisation(org.org_id)
        if state is None:
            raise ValueError(f"{org!r} belongs to another fake")
        return state

    def _named(self, name: str) -> OrganisationState:
        state = self._by_name.get(name)
        if state is None:
            state = self._by_name[name] = self._engine.add_organisation(name)
        return state


def _seed_draft(row: Mapping[str, object]) -> tuple[Draft, int]:
    """A row to be seeded and its age in microseconds, by way of JSON, so that nothing is shared with the caller."""
    fields = _SEED.decode(parse(json.dumps(dict(row)).encode()))
    draft, age = Draft.from_fields(fields), fields.number("age_s")
    fault = draft.fault()
    if fault is not None:
        raise ValueError(fault)
    if not 0 <= age <= _LARGEST_AGE:
        raise ValueError("age_s is how many seconds ago the row was stored, from 0 to 50 years")
    return draft, round(age * SECOND)


_LARGEST_AGE = 50 * 365.25 * 86_400

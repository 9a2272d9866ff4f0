"""The fake server: everything that a Memtrace server remembers, in one object."""

from __future__ import annotations

import itertools
import json
import os
import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from random import Random, SystemRandom
from typing import TYPE_CHECKING

from memtrace.clock import Clock, SystemClock
from memtrace.exceptions import ClientClosedError
from memtrace.transport import Request, Response
from memtrace_transports._engine.go_json.reader import parse
from memtrace_transports._engine.go_json.structs import GoStruct
from memtrace_transports._engine.go_json.writer import compact_object
from memtrace_transports._engine.organisations import OrganisationState, StorageState, Visibility
from memtrace_transports._engine.registry import Agent, Session
from memtrace_transports._engine.route_errors import RouteError
from memtrace_transports._engine.rules.identifier_rules import identifier_problem
from memtrace_transports._engine.rules.ids import RandomIdentifiers
from memtrace_transports._engine.rules.new_memories import CREATE_MEMORY, NewMemory
from memtrace_transports._engine.settings import ServerSettings
from memtrace_transports._engine.stamps import Stamps
from memtrace_transports._engine.timestamps import SECOND
from memtrace_transports.memory._backing import open_backing
from memtrace_transports.memory._clock import ManualClock
from memtrace_transports.memory._controls.call_log import CallLog
from memtrace_transports.memory._controls.faults import FaultPlan
from memtrace_transports.memory._controls.strict import StrictModeError, StrictObserver
from memtrace_transports.memory._fake_engine import EngineSnapshot, FakeEngine
from memtrace_transports.memory._organisations import Organisation, check_fake
from memtrace_transports.memory._service import serve
from memtrace_transports.memory.exchange import Exchange

if TYPE_CHECKING:
    from memtrace import AsyncMemtrace, Memtrace, RetryPolicy
    from memtrace._flow.composition import Middleware
    from memtrace.middleware._placement import Placement
    from memtrace.operations import Dedup
    from memtrace.ranking import Embedder, Ranker

_SEED = GoStruct("memory.SeedRequest", {**CREATE_MEMORY.fields, "age_s": "float64"})
_SEED_OBJECT = GoStruct("seed.Request", {"object": "map[string]interface {}"})


@dataclass(frozen=True, slots=True, repr=False)
class Snapshot:
    """A state of a fake, for `FakeMemtrace.restore`."""

    fake: FakeMemtrace
    engine: FakeEngine
    state: EngineSnapshot


class FakeMemtrace:
    """A Memtrace server in memory, which answers as the real one does; for tests.

    It owns all its state, so two of them never meet. Clients reach it by `client` and `async_client`, or by a
    `MemoryTransport`; any thread may use it. With one `seed` the same requests get the same identifiers and keys.

    `visibility` is what new organisations get: ``immediate``, or ``server`` for the real server's delay, in which a
    write can be read, and is recognised as a duplicate, only about a second later. With `any_key` a key that the
    fake does not know makes an organisation of its own at its first use.

    In `strict` mode a request that asks for what the real server would silently ignore or cap raises `StrictModeError`, and one
    that is only surprising warns with `StrictModeWarning`; over a socket the first is answered 400.

    `dedup_enabled` and the three after it are the server's own settings, by its names and with its defaults: without `dedup_enabled` no duplicate is ever
    refused, and after `dedup_window_hours` none is; `write_batch_size` waiting rows send themselves, and all that wait do every
    `write_flush_interval_ms`. `configure` changes them later.

    With `store`, ``sqlite:///f.db`` or a path, it keeps everything in that file, and finds it again; identifiers are then random, and
    the key of an organisation that is found there is one that this fake adds. Writes on their way are not in the file yet.

    `faults` is what goes wrong by plan, `calls` the log of what came, `strict_errors` the newest 100 that strict mode has raised.

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
        strict: bool = False,
        dedup_enabled: bool = True,
        dedup_window_hours: int = 24,
        write_batch_size: int = 100,
        write_flush_interval_ms: int = 1000,
        store: str | os.PathLike[str] | None = None,
    ) -> None:
        self._clock: Clock = clock or SystemClock()
        self._lock = threading.RLock()  # before those of plan and log; a fault's `when` may use the fake
        stamps = Stamps(self._clock)
        # made to be the same again, but for those that a file may have already
        identifiers = RandomIdentifiers(Random(seed) if store is None else SystemRandom())  # noqa: S311
        self._number = next(_NUMBERS)
        settings = ServerSettings(dedup_enabled, dedup_window_hours, write_batch_size, write_flush_interval_ms)
        self._given_settings = asdict(settings)
        self._backing = open_backing(store, stamps, visibility, settings, self._lock)
        self._new_engine: Callable[[], FakeEngine] = lambda: FakeEngine(
            stamps,
            self._backing.store,
            identifiers,
            self._backing.directory,
            settings=settings,
            visibility=visibility,
            any_key=any_key,
            observer=StrictObserver() if strict else None,
        )
        self._engine = self._new_engine()
        self.faults: FaultPlan = FaultPlan(fake=self._number)
        self.calls: CallLog = CallLog(fake=self._number)
        self.strict_errors: deque[StrictModeError] = deque(maxlen=_KEPT_ERRORS)

    @property
    def clock(self) -> Clock:
        """The clock that this server lives by."""
        return self._clock

    def configure(
        self,
        *,
        dedup_enabled: bool | None = None,
        dedup_window_hours: int | None = None,
        write_batch_size: int | None = None,
        write_flush_interval_ms: int | None = None,
    ) -> None:
        """Change these settings of the server, as if it had been started with them; a reset takes that back.

        Raises ValueError, and changes nothing, for a value that makes no sense.

        >>> FakeMemtrace().configure(dedup_enabled=False, write_flush_interval_ms=5_000)
        """
        given = {
            "dedup_enabled": dedup_enabled,
            "dedup_window_hours": dedup_window_hours,
            "write_batch_size": write_batch_size,
            "write_flush_interval_ms": write_flush_interval_ms,
        }
        with self._lock:
            for state in self._engine.organisations():
                self._engine.deliver(state)  # by the settings that held until now
            self._engine.settings.change(**{name: value for name, value in given.items() if value is not None})

    def organisation(
        self,
        name: str = "default",
        *,
        storage: StorageState | None = None,
        visibility: Visibility | None = None,
        api_key: str | None = None,
    ) -> Organisation:
        """The organisation of this name, made at its first mention; `storage` and `visibility` change it where given.

        With `api_key` this is its key; one that is there already gets it as one more. An organisation's id will do for its name.
        Raises ValueError for a key that somebody has, or that no header can carry, and for an id that no organisation has.
        """
        if api_key is not None and _KEY.fullmatch(api_key) is None:
            raise ValueError("a key is printable ASCII without white space")
        with self._lock:
            public = self._changed(self._engine.named(name, api_key or ""), storage, visibility)
            return public if api_key is None else replace(public, api_key=api_key)

    def new_organisation(self, *, storage: StorageState = "up", visibility: Visibility | None = None) -> Organisation:
        """One more organisation, named by its id."""
        with self._lock:
            return self._changed(self._engine.add_organisation(), storage, visibility)

    def _changed(
        self, state: OrganisationState, storage: StorageState | None, visibility: Visibility | None
    ) -> Organisation:
        if storage is not None:
            self._engine.set_storage(state, storage)
        if visibility is not None:
            self._engine.set_visibility(state, visibility)
        return self._public(state)

    def _public(self, state: OrganisationState) -> Organisation:
        if not state.api_key:  # found in a file, which has no keys but only their hashes
            self._engine.add_key(state)
        return Organisation(state.name, state.org_id, state.api_key, self._number)

    def organisation_by_id(self, org_id: str) -> Organisation | None:
        """The organisation of this id, None where there is none."""
        with self._lock:
            state = self._engine.organisation(org_id)
            return None if state is None else self._public(state)

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
        new_memories = [_seeded_memory(row) for row in rows]
        with self._lock, self._backing.transaction():
            self._engine.seed(self._state(org), new_memories)
        return len(new_memories)

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

        Raises ValueError when the name is empty, the name or the id is taken, or the id is none that a memory can have.
        """
        if not name:
            raise ValueError("name is required")
        _check_id(id)
        config_text = _object_text(config)
        with self._lock:
            registry = self._state(org).registry
            agent = Agent(
                id=id or self._engine.identifiers.new("agent"),
                name=name,
                description=description,
                config=config_text,
                created=self._engine.stamps.stamp(),
            )
            if registry.has_agent(agent.id):
                raise ValueError(f"there is an agent with the id {agent.id!r} already")
            try:
                registry.add_agent(agent)
            except RouteError as route_error:
                raise ValueError(route_error.text) from None
        return agent.id

    def seed_session(
        self,
        org: Organisation | str,
        agent_id: str,
        *,
        id: str | None = None,  # noqa: A002 - what answers call it
        metadata: Mapping[str, object] | None = None,
        status: str = "active",
    ) -> str:
        """Open a session of a registered agent, with this `id` and in this `status` where given; returns its id.

        Raises ValueError when there is no agent of this id, the session's id is taken or none that a memory can have, or the
        status is empty.

        >>> fake = FakeMemtrace()
        >>> fake.seed_session("acme", fake.seed_agent("acme", "support bot"), id="sess_of_the_test")
        'sess_of_the_test'
        """
        if not status:
            raise ValueError("status is required")
        _check_id(id)
        metadata_text = _object_text(metadata)
        with self._lock:
            registry = self._state(org).registry
            now = self._engine.stamps.stamp()
            session = Session(
                id=id or self._engine.identifiers.new("sess"),
                agent_id=agent_id,
                status=status,
                metadata=metadata_text,
                created=now,
                updated=now,
                closed=now if status == "closed" else None,
            )
            if registry.find_session(session.id) is not None:
                raise ValueError(f"there is a session with the id {session.id!r} already")
            try:
                registry.add_session(session)
            except RouteError:
                raise ValueError(f"there is no agent with the id {agent_id!r}") from None
        return session.id

    def flush(self) -> None:
        """Let every write of every organisation become readable.

        A `ManualClock` is moved as far as that takes; with any other clock the writes arrive at once. What waits for
        storage that is not up goes on waiting.
        """
        with self._lock:
            arrive = self._engine.deliver_all
            for state in self._engine.organisations():
                self._engine.deliver(state)
            if isinstance(self._clock, ManualClock):
                missing = self._engine.settled_at() - self._engine.stamps.elapsed()
                self._clock.advance(max(missing, 0) / SECOND)
                arrive = self._engine.deliver
            for state in self._engine.organisations():
                arrive(state)

    def handle(self, request: Request) -> Response:
        """Answer one request, whatever its method, target, headers and body are.

        Waits by the clock where the fault plan says so, within `request.timeout`. Raises TransportError, cause ``reset``, for a
        body over 4 MiB, where the server cuts the connection, and what the fault plan says.
        """
        exchange = self.exchange(request).within(request.timeout)
        if exchange.waits:
            self._clock.sleep(exchange.waits)
        return exchange.result()

    async def handle_async(self, request: Request) -> Response:
        """As `handle`, for an event loop."""
        exchange = self.exchange(request).within(request.timeout)
        if exchange.waits:
            await self._clock.async_sleep(exchange.waits)
        return exchange.result()

    def exchange(self, request: Request) -> Exchange:
        """What becomes of one request, and when: for a server that hands the answer on itself. Never waits."""
        with self._lock, self._backing.transaction():
            try:
                return serve(self._engine, self.faults, self.calls, request)
            except StrictModeError as error:
                self.strict_errors.append(error)
                raise

    def add_key(self, org: Organisation | str) -> str:
        """One more API key of an organisation."""
        with self._lock:
            return self._engine.add_key(self._state(org))

    def revoke_key(self, api_key: str) -> None:
        """Refuse this key from now on, with ``any_key`` as well. Raises ValueError for one that nobody has.

        New clients of its organisation get the oldest key that is left; with none left they are refused too.
        """
        with self._lock:
            self._engine.revoke_key(api_key)

    def snapshot(self) -> Snapshot:
        """The state as it is now: rows, organisations, keys, agents, sessions, writes on their way. Costs next to nothing.

        >>> fake = FakeMemtrace()
        >>> before = fake.snapshot()
        >>> client = fake.client()
        >>> memory = client.remember("assistant", "User likes tea")
        >>> fake.restore(before)
        """
        with self._lock:
            return Snapshot(self, self._engine, self._engine.snapshot())

    def restore(self, snapshot: Snapshot) -> None:
        """Go to a state that `snapshot` gave, as often as you like, in any order. The clock, the log and the faults stay.

        What was on its way goes on from there: a write that could be read 0.4 s after the snapshot can be read 0.4 s from now, and
        storage that a fault has taken down comes back as late. Rows keep the times at which they were stored.

        Raises ValueError for a snapshot of another fake.
        """
        if snapshot.fake is not self:
            raise ValueError("this snapshot belongs to another fake")
        with self._lock:
            self._engine = snapshot.engine  # another one where a reset came between
            self._engine.restore(snapshot.state)

    def reset(self) -> None:
        """Forget rows, organisations, keys, faults, calls, strict errors and what `configure` changed. The clock never goes back."""
        with self._lock:
            self._backing.clear()
            self._engine.settings.change(**self._given_settings)
            self._engine = self._new_engine()
            self.calls.clear()
            self.strict_errors.clear()
        self.faults.clear()

    def client(
        self,
        org: Organisation | str = "default",
        *,
        timeout: float | None = 30.0,
        deadline: float | None = None,
        retry: RetryPolicy | None = None,
        dedup: Dedup | None = None,
        middleware: Sequence[Middleware | Placement | str] = (),
        attempt_middleware: Sequence[Middleware | Placement | str] = (),
        headers: Mapping[str, str] | None = None,
        search_index: str | os.PathLike[str] | None = None,
        embedder: Embedder | None = None,
        ranker: Ranker | str = "lexical",
    ) -> Memtrace:
        """A client of this server, with the key of `org` and this server's clock."""
        from memtrace import Memtrace, RetryPolicy

        return Memtrace(
            "memory://",
            self._key(org),
            timeout=timeout,
            deadline=deadline,
            retry=retry or RetryPolicy(),
            dedup=dedup,
            transport=MemoryTransport(self),
            middleware=middleware,
            attempt_middleware=attempt_middleware,
            headers=headers,
            clock=self._clock,
            search_index=search_index,
            embedder=embedder,
            ranker=ranker,
        )

    def async_client(
        self,
        org: Organisation | str = "default",
        *,
        timeout: float | None = 30.0,
        deadline: float | None = None,
        retry: RetryPolicy | None = None,
        dedup: Dedup | None = None,
        middleware: Sequence[Middleware | Placement | str] = (),
        attempt_middleware: Sequence[Middleware | Placement | str] = (),
        headers: Mapping[str, str] | None = None,
        search_index: str | os.PathLike[str] | None = None,
        embedder: Embedder | None = None,
        ranker: Ranker | str = "lexical",
    ) -> AsyncMemtrace:
        """An async client of this server, with the key of `org` and this server's clock."""
        from memtrace import AsyncMemtrace, RetryPolicy

        return AsyncMemtrace(
            "memory://",
            self._key(org),
            timeout=timeout,
            deadline=deadline,
            retry=retry or RetryPolicy(),
            dedup=dedup,
            transport=AsyncMemoryTransport(self),
            middleware=middleware,
            attempt_middleware=attempt_middleware,
            headers=headers,
            clock=self._clock,
            search_index=search_index,
            embedder=embedder,
            ranker=ranker,
        )

    def __repr__(self) -> str:
        if "_engine" not in self.__dict__:
            return "<FakeMemtrace, not made>"  # in the frame of a constructor that failed
        with self._lock:
            return f"<FakeMemtrace, {len(list(self._engine.organisations()))} organisations>"

    def _key(self, org: Organisation | str) -> str:
        with self._lock:
            return self._public(self._state(org)).api_key

    def _state(self, org: Organisation | str) -> OrganisationState:
        if isinstance(org, str):
            return self._engine.named(org)
        check_fake(org, self._number)
        state = self._engine.organisation(org.org_id)
        if state is None:
            raise ValueError(f"there is no {org!r}: it is of another fake, or a reset or a restore came after it")
        return state


def _seeded_memory(row: Mapping[str, object]) -> tuple[NewMemory, int]:
    """A row to be seeded and its age in microseconds, by way of JSON, so that nothing is shared with the caller."""
    unknown = sorted(name for name in row if name not in _SEED.fields)
    if unknown:
        raise ValueError(f"a row to be seeded has no field {unknown[0]!r}, but {', '.join(sorted(_SEED.fields))}")
    fields = _SEED.decode(parse(json.dumps(dict(row)).encode()))
    new_memory, age = NewMemory.from_fields(fields), fields.number("age_s")
    problem = new_memory.problem()
    if problem is not None:
        raise ValueError(problem)
    if "age_s" not in row or not 0 <= age <= _LARGEST_AGE:
        raise ValueError("age_s is how many seconds ago the row was stored, from 0 to 50 years")
    return new_memory, round(age * SECOND)


def _check_id(id_: str | None) -> None:
    problem = identifier_problem(id_ or "")
    if problem is not None:
        raise ValueError(problem)


def _object_text(given: Mapping[str, object] | None) -> str:
    """An object as it is stored, by way of JSON, so that nothing is shared with the caller; "" when empty."""
    body = parse(json.dumps({"object": given and dict(given)}).encode())
    return compact_object(_SEED_OBJECT.decode(body).members("object") or {})


_NUMBERS = itertools.count(1)
_KEY = re.compile(r"[\x21-\x7e]+")
_KEPT_ERRORS = 100
_LARGEST_AGE = 50 * 365.25 * 86_400


class _ToFake:
    """What both transports do alike."""

    def __init__(self, fake: FakeMemtrace | None = None) -> None:
        self.fake: FakeMemtrace = FakeMemtrace(any_key=True) if fake is None else fake
        self._closed = False

    def _reached(self) -> FakeMemtrace:
        if self._closed:
            raise ClientClosedError
        return self.fake

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.fake!r})"


class MemoryTransport(_ToFake):
    """A `memtrace.transport.Transport` whose server is `fake`; by default one of its own that takes any key."""

    def send(self, request: Request) -> Response:
        """Have the fake answer. Raises TransportError where the server would cut the connection, and by the fault plan."""
        return self._reached().handle(request)

    def close(self) -> None:
        """Refuse further requests; the fake keeps what it holds."""
        self._closed = True


class AsyncMemoryTransport(_ToFake):
    """A `memtrace.transport.AsyncTransport` whose server is `fake`; by default one of its own that takes any key."""

    async def send(self, request: Request) -> Response:
        """Have the fake answer. Raises TransportError where the server would cut the connection, and by the fault plan."""
        return await self._reached().handle_async(request)

    async def close(self) -> None:
        """Refuse further requests; the fake keeps what it holds."""
        self._closed = True

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

from memtrace._support.lazy_modules import LazyModule
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
    import memtrace
    from memtrace import middleware as middlewares
    from memtrace import operations, ranking
else:
    memtrace, middlewares, operations, ranking = map(
        LazyModule, ("memtrace", "memtrace.middleware", "memtrace.operations", "memtrace.ranking")
    )

_SEED = GoStruct("memory.SeedRequest", {**CREATE_MEMORY.fields, "age_s": "float64"})
_SEED_OBJECT = GoStruct("seed.Request", {"object": "map[string]interface {}"})


@dataclass(frozen=True, slots=True, repr=False)
class Snapshot:
    """A saved state of a fake, for `FakeMemtrace.restore`."""

    fake: FakeMemtrace
    engine: FakeEngine
    state: EngineSnapshot


class FakeMemtrace:
    """A Memtrace server in memory, which responds like the real one, for tests.

    Each fake is isolated; there is nothing to reset between tests. `client` and `async_client`
    create clients of it. Any thread may use it.

    `faults` injects faults, `calls` logs the calls, and `strict_errors` has the newest 100 errors
    of strict mode.

    Args:
        clock: The clock of the server. Default: the system clock. Pass a `ManualClock` to control
            time.
        seed: The seed of identifiers and keys. The same seed and the same requests give the same
            ones.
        visibility: The visibility of new organisations. ``server``: the real server's delay, so
            that a write can be read, and is recognised as a duplicate, about a second later.
            ``immediate``: no delay.
        any_key: Whether an unknown key creates its own organisation at its first use. False: it
            gets a 401.
        strict: Whether a request raises `StrictModeError` if it asks for what the real server would
            silently ignore or cap. One that is only surprising warns with `StrictModeWarning`. Over
            a socket the response to the first is a 400.
        dedup_enabled: The server's setting of this name. False: no duplicate is rejected.
        dedup_window_hours: The server's setting of this name, in hours. After it no duplicate is
            rejected.
        write_batch_size: The server's setting of this name. So many waiting rows are stored at
            once.
        write_flush_interval_ms: The server's setting of this name, in milliseconds. All waiting
            rows are stored after it.
        store: A path or ``sqlite:///f.db`` of a file that keeps everything between runs.
            Identifiers are random then. An organisation found there gets one more key. Waiting
            writes are not in the file yet. Default: nothing is kept.

    Raises:
        ValueError: A setting is out of its range.

    Example:
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
        # created in the same way, except those that a file may have already
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
        """The clock of the server."""
        return self._clock

    def configure(
        self,
        *,
        dedup_enabled: bool | None = None,
        dedup_window_hours: int | None = None,
        write_batch_size: int | None = None,
        write_flush_interval_ms: int | None = None,
    ) -> None:
        """Change settings of the server, as if it had been started with them.

        A reset undoes the change. None leaves a setting as it is.

        Args:
            dedup_enabled: Whether duplicates are rejected.
            dedup_window_hours: How long a duplicate is recognised, in hours.
            write_batch_size: How many waiting rows are stored at once.
            write_flush_interval_ms: After how many milliseconds waiting rows are stored.

        Raises:
            ValueError: A value is out of its range. Nothing is changed.

        Example:
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
        """Get the organisation of this name, created at its first mention.

        Args:
            name: The organisation's name, or the ID of an existing one.
            storage: The state of its storage. Default: ``up``, or unchanged if it exists.
            visibility: When writes can be read. Default: the fake's, or unchanged if it exists.
            api_key: Its key; an existing organisation gets it as an additional one. Default: a new
                one.

        Returns:
            The organisation.

        Raises:
            ValueError: The key belongs to an organisation already, or no header can carry it. Or
                the name is an ID that no organisation has.
        """
        if api_key is not None and _KEY.fullmatch(api_key) is None:
            raise ValueError("a key is printable ASCII without white space")
        with self._lock:
            public = self._changed(self._engine.named(name, api_key or ""), storage, visibility)
            return public if api_key is None else replace(public, api_key=api_key)

    def new_organisation(self, *, storage: StorageState = "up", visibility: Visibility | None = None) -> Organisation:
        """Create an additional organisation, named by its ID.

        Args:
            storage: The state of its storage.
            visibility: When writes can be read. Default: the fake's.

        Returns:
            The organisation.
        """
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
        """Find an organisation by its ID.

        Args:
            org_id: The ID, such as ``org_1a2b3c``.

        Returns:
            The organisation, or None if no organisation has this ID.
        """
        with self._lock:
            state = self._engine.organisation(org_id)
            return None if state is None else self._public(state)

    def set_storage(self, org: Organisation | str, storage: StorageState) -> None:
        """Change the state of an organisation's storage.

        While it is ``down``, reads get a 500, writes are accepted and wait, and no duplicate is
        recognised. With ``none`` every route that needs storage responds with 503.

        Args:
            org: The organisation, its name or its ID.
            storage: ``up``, ``none`` (not configured) or ``down`` (unreachable).
        """
        with self._lock:
            self._engine.set_storage(self._state(org), storage)

    def seed(self, org: Organisation | str, rows: Iterable[Mapping[str, object]]) -> int:
        """Store memories in the past, as if written then. They can be read at once.

        Args:
            org: The organisation, its name or its ID.
            rows: One mapping for each memory: `agent_id`, `content`, `age_s` (seconds ago), and any
                other field of a memory. Rows of one age keep their order.

        Returns:
            How many were stored.

        Raises:
            ValueError: The server would not accept a row. Nothing is stored.

        Example:
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
        """Register an agent.

        Args:
            org: The organisation, its name or its ID.
            name: The agent's name, unique in the organisation.
            id: The agent's ID. Default: a new one.
            description: A description for people.
            config: Any JSON object.

        Returns:
            The agent's ID.

        Raises:
            ValueError: The name is empty, the name or the ID is taken, or a memory cannot have this
                ID.
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
        """Open a session of a registered agent.

        Args:
            org: The organisation, its name or its ID.
            agent_id: The agent's ID.
            id: The session's ID. Default: a new one.
            metadata: Any JSON object.
            status: The session's status, such as ``active`` or ``closed``.

        Returns:
            The session's ID.

        Raises:
            ValueError: No agent has this ID, the session's ID is taken, a memory cannot have this
                ID, or the status is empty.

        Example:
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
        """Make every write of every organisation readable.

        A `ManualClock` advances as far as necessary. With any other clock the writes are stored at
        once. Writes that wait for unavailable storage still wait.
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
        """Respond to one request, whatever its method, target, headers and body are.

        It waits by the clock if a fault delays the response, within `request.timeout`.

        Args:
            request: The request.

        Returns:
            The response.

        Raises:
            TransportError: A fault is injected, or the body is over 4 MiB (cause ``reset``), since
                the server closes the connection then.
        """
        exchange = self.exchange(request).within(request.timeout)
        if exchange.waits:
            self._clock.sleep(exchange.waits)
        return exchange.result()

    async def handle_async(self, request: Request) -> Response:
        """Respond to one request, like `handle`, without blocking the event loop.

        Args:
            request: The request.

        Returns:
            The response.

        Raises:
            TransportError: A fault is injected, or the body is over 4 MiB (cause ``reset``), since
                the server closes the connection then.
        """
        exchange = self.exchange(request).within(request.timeout)
        if exchange.waits:
            await self._clock.async_sleep(exchange.waits)
        return exchange.result()

    def exchange(self, request: Request) -> Exchange:
        """Compute the response to one request, and when it is sent, without waiting. For servers.

        Args:
            request: The request.

        Returns:
            The response or the failure, and its delays.

        Raises:
            StrictModeError: In strict mode: the real server would silently ignore or cap a part of
                the request.
        """
        with self._lock, self._backing.transaction():
            try:
                return serve(self._engine, self.faults, self.calls, request)
            except StrictModeError as error:
                self.strict_errors.append(error)
                raise

    def add_key(self, org: Organisation | str) -> str:
        """Issue an additional API key of an organisation.

        Args:
            org: The organisation, its name or its ID.

        Returns:
            The key.
        """
        with self._lock:
            return self._engine.add_key(self._state(org))

    def revoke_key(self, api_key: str) -> None:
        """Reject an API key from now on, even with ``any_key``.

        New clients of its organisation get the oldest key that is left. If none is left, the fake
        rejects them too.

        Args:
            api_key: The key.

        Raises:
            ValueError: No organisation has this key.
        """
        with self._lock:
            self._engine.revoke_key(api_key)

    def snapshot(self) -> Snapshot:
        """Save the state: rows, organisations, keys, agents, sessions and waiting writes. It is cheap.

        Returns:
            The state, for `restore`.

        Example:
            >>> fake = FakeMemtrace()
            >>> before = fake.snapshot()
            >>> client = fake.client()
            >>> memory = client.remember("assistant", "User likes tea")
            >>> fake.restore(before)
        """
        with self._lock:
            return Snapshot(self, self._engine, self._engine.snapshot())

    def restore(self, snapshot: Snapshot) -> None:
        """Restore a saved state, as often as you like, in any order.

        The clock, the log and the faults stay. Waiting writes continue from here: one that could be
        read 0.4 s after the snapshot can be read 0.4 s from now. Rows keep the times at which they
        were stored.

        Args:
            snapshot: What `snapshot` returned.

        Raises:
            ValueError: The snapshot belongs to another fake.
        """
        if snapshot.fake is not self:
            raise ValueError("this snapshot belongs to another fake")
        with self._lock:
            self._engine = snapshot.engine  # another one where a reset came between
            self._engine.restore(snapshot.state)

    def reset(self) -> None:
        """Delete rows, organisations, keys, faults, calls and strict errors, and undo `configure`. The clock stays."""
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
        retry: memtrace.RetryPolicy | None = None,
        dedup: operations.Dedup | None = None,
        middleware: Sequence[middlewares.Middleware | middlewares.Placement | str] = (),
        attempt_middleware: Sequence[middlewares.Middleware | middlewares.Placement | str] = (),
        headers: Mapping[str, str] | None = None,
        search_index: str | os.PathLike[str] | None = None,
        embedder: ranking.Embedder | None = None,
        ranker: ranking.Ranker | str = "lexical",
    ) -> memtrace.Memtrace:
        """Create a client of this server, with an organisation's key and this server's clock.

        Args:
            org: The organisation, its name or its ID.
            timeout: Seconds for each attempt; None for no limit.
            deadline: Seconds for a whole call with its retries; None for no limit.
            retry: Which failures are retried. Default: ``RetryPolicy()``.
            dedup: Which idempotency key a memory without a `dedup_key` gets.
            middleware: What runs once a call, outermost first.
            attempt_middleware: What runs once an attempt, outermost first.
            headers: Headers of every request.
            search_index: The file of the search index. Default: in memory.
            embedder: Turns texts into vectors, for search by meaning.
            ranker: Ranks search hits, or the name of an installed ranker.

        Returns:
            The client.

        Raises:
            ConfigurationError: A setting is invalid.
        """
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
        retry: memtrace.RetryPolicy | None = None,
        dedup: operations.Dedup | None = None,
        middleware: Sequence[middlewares.Middleware | middlewares.Placement | str] = (),
        attempt_middleware: Sequence[middlewares.Middleware | middlewares.Placement | str] = (),
        headers: Mapping[str, str] | None = None,
        search_index: str | os.PathLike[str] | None = None,
        embedder: ranking.Embedder | None = None,
        ranker: ranking.Ranker | str = "lexical",
    ) -> memtrace.AsyncMemtrace:
        """Create an async client of this server, with an organisation's key and this server's clock.

        Args:
            org: The organisation, its name or its ID.
            timeout: Seconds for each attempt; None for no limit.
            deadline: Seconds for a whole call with its retries; None for no limit.
            retry: Which failures are retried. Default: ``RetryPolicy()``.
            dedup: Which idempotency key a memory without a `dedup_key` gets.
            middleware: What runs once a call, outermost first.
            attempt_middleware: What runs once an attempt, outermost first.
            headers: Headers of every request.
            search_index: The file of the search index. Default: in memory.
            embedder: Turns texts into vectors, for search by meaning.
            ranker: Ranks search hits, or the name of an installed ranker.

        Returns:
            The client.

        Raises:
            ConfigurationError: A setting is invalid.
        """
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
    """A blocking transport to a fake server.

    Args:
        fake: The server. Default: a new one that accepts any key.
    """

    def send(self, request: Request) -> Response:
        """Let the fake server answer one request.

        Args:
            request: The request.

        Returns:
            The fake server's response.

        Raises:
            TransportError: A fault is injected, or the real server would close the connection.
            ClientClosedError: The transport is closed.
        """
        return self._reached().handle(request)

    def close(self) -> None:
        """Close the transport. The fake keeps its data."""
        self._closed = True


class AsyncMemoryTransport(_ToFake):
    """An async transport to a fake server.

    Args:
        fake: The server. Default: a new one that accepts any key.
    """

    async def send(self, request: Request) -> Response:
        """Let the fake server answer one request.

        Args:
            request: The request.

        Returns:
            The fake server's response.

        Raises:
            TransportError: A fault is injected, or the real server would close the connection.
            ClientClosedError: The transport is closed.
        """
        return await self._reached().handle_async(request)

    async def close(self) -> None:
        """Close the transport. The fake keeps its data."""
        self._closed = True

"""Agents and sessions for the lists beside the pages: read once in a while, since servers give them whole."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, NamedTuple, TypeVar

from memtrace.async_client import AsyncMemtrace
from memtrace.clock import Clock
from memtrace.exceptions import MemtraceError
from memtrace.models import AgentStats, Session

T = TypeVar("T")

_FRESH: Final = 5.0  # seconds
_RECENT: Final = 200
_AT_ONCE: Final = 2
_COSTLY: Final = 100  # times as long as counts took to read they are kept
_COUNTS_KEPT: Final = 1000


@dataclass(frozen=True, slots=True)
class AgentEntry:
    """An agent that is registered, or that has written lately."""

    id: str
    name: str | None
    is_registered: bool


@dataclass(frozen=True, slots=True)
class AgentCounts:
    """The counts of an agent, and when it wrote last, which not every server counts."""

    stats: AgentStats
    last_activity: datetime | None


class _KeptCounts(NamedTuple):
    """Counts, and until when they are shown by the client's clock."""

    counts: AgentCounts
    until: float


class _Kept(Generic[T]):
    """A value that is read again after a few seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._value: tuple[str, float, T] | None = None

    async def get(self, key: str, read: Callable[[], Awaitable[T]]) -> T:
        """The value of this key, read again where it is old or another's."""
        kept = self._value
        if kept is None or kept[0] != key or self._clock.monotonic() - kept[1] > _FRESH:
            kept = self._value = (key, self._clock.monotonic(), await read())
        return kept[2]


class Directory:
    """The agents and sessions of the key's organisation."""

    def __init__(self, client: AsyncMemtrace, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._agents = _Kept[list[AgentEntry]](clock)
        self._sessions = _Kept[list[Session]](clock)
        self._counts: dict[str, _KeptCounts] = {}
        self._reads: dict[str, asyncio.Future[None]] = {}
        self._waiting: OrderedDict[str, asyncio.Future[None]] = OrderedDict()
        self._readers: set[asyncio.Task[None]] = set()

    async def agents(self) -> list[AgentEntry]:
        """The registered agents, newest first, then those that wrote one of the newest memories without being registered."""
        return await self._agents.get("", self._read_agents)

    async def _read_agents(self) -> list[AgentEntry]:
        registered = [AgentEntry(each.id, each.name, is_registered=True) for each in await self._client.agents.list()]
        known = {each.id for each in registered}
        recent = self._client.memories.iter(limit=_RECENT, page_size=100)
        written = dict.fromkeys([memory.agent_id async for memory in recent if memory.agent_id not in known])
        return registered + [AgentEntry(each, None, is_registered=False) for each in written]

    async def sessions(self, agent_id: str | None) -> list[Session]:
        """An agent's sessions, newest first."""

        async def read() -> list[Session]:
            return (await self._client.sessions.list(agent_id)).sessions

        return await self._sessions.get(agent_id or "", read)

    async def counts(
        self, agent_ids: list[str], within: float | None = None, *, first: str | None = None
    ) -> dict[str, AgentCounts]:
        """The counts of these agents, as far as they can be read, and as far as they are known `within` so many seconds.

        Counting millions of memories takes seconds. Reads that take longer go on, for the next page. The counts of `first`
        are read before those of all agents that wait.
        """
        reads = [self._reading(agent_id) for agent_id in agent_ids if not self._is_fresh(agent_id)]
        if first is not None and first in self._waiting:
            self._waiting.move_to_end(first, last=False)
        if reads:
            await asyncio.wait(reads, timeout=within)
        known = {agent_id: self._counts.get(agent_id) for agent_id in agent_ids}
        return {agent_id: kept.counts for agent_id, kept in known.items() if kept is not None}

    def _is_fresh(self, agent_id: str) -> bool:
        kept = self._counts.get(agent_id)
        return kept is not None and self._clock.monotonic() < kept.until

    def _reading(self, agent_id: str) -> asyncio.Future[None]:
        """The read of these counts that is under way or waits, or a new one."""
        reading = self._reads.get(agent_id)
        if reading is None:
            reading = self._reads[agent_id] = asyncio.get_running_loop().create_future()
            self._waiting[agent_id] = reading
            if len(self._readers) < _AT_ONCE:
                reader = asyncio.create_task(self._read_waiting())
                self._readers.add(reader)
                reader.add_done_callback(self._readers.discard)
        return reading

    async def _read_waiting(self) -> None:
        while self._waiting:
            agent_id, reading = self._waiting.popitem(last=False)
            try:
                await self._keep_counts(agent_id)
            except Exception as error:  # noqa: BLE001  # asyncio logs it; others still wait
                reading.set_exception(error)
            else:
                reading.set_result(None)
            del self._reads[agent_id]

    async def _keep_counts(self, agent_id: str) -> None:
        begun = self._clock.monotonic()
        try:
            counts = await self._read_counts(agent_id)
        except MemtraceError:  # an ID that the server does not count; the page has its own errors
            return
        ended = self._clock.monotonic()
        if len(self._counts) >= _COUNTS_KEPT:
            del self._counts[next(iter(self._counts))]
        self._counts[agent_id] = _KeptCounts(counts, ended + max(_FRESH, _COSTLY * (ended - begun)))

    async def _read_counts(self, agent_id: str) -> AgentCounts:
        stats = await self._client.agents.stats(agent_id)
        newest = await self._client.memories.list(agent_id=agent_id, limit=1)
        return AgentCounts(stats, newest[0].time if newest else stats.last_active_at)

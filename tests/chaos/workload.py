"""What the runs write, and how what the SDK says of it is compared with what the server holds."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

from memtrace import AddMemoryRequest, MemtraceError
from memtrace_transports._engine.store.store import RowSelection
from memtrace_transports.memory import FakeMemtrace
from memtrace_transports.memory.server import LiveServer
from tests.chaos.proxy import ChaosProxy, Event

AGENT = "chaos_bot"
_KINDS = ("plain", "per_call", "own key", "batch", "agent", "session")
_WEIGHTS = (50, 14, 14, 10, 9, 3)
_BATCH = 4


@dataclass(frozen=True)
class Write:
    """One call: `marks` are the texts, found nowhere else, by which what it leaves behind is known."""

    kind: str
    marks: tuple[str, ...]


def writes(count: int, seed: int) -> list[Write]:
    """Calls that store `count` things in all."""
    chance, made, left = Random(f"{seed} writes"), [], count
    while left > 0:
        (kind,) = chance.choices(_KINDS, _WEIGHTS)
        size = min(chance.choice((2, _BATCH, 2 * _BATCH)), left) if kind == "batch" else 1
        made.append(Write(kind, tuple(f"{kind} {count - left + item} of {seed}" for item in range(size))))
        left -= size
    return made


@dataclass
class ReportedOutcomes:
    """What the SDK said of each mark: stored, duplicate, failed, unknown."""

    said: dict[str, str] = field(default_factory=dict)
    errors: dict[str, MemtraceError] = field(default_factory=dict)

    def note(self, write: Write, outcome: object) -> None:
        """`outcome` is the error, a batch's result, or anything else for what is stored."""
        for place, mark in enumerate(write.marks):
            error = outcome if isinstance(outcome, MemtraceError) else None
            if write.kind == "batch" and error is None:
                self.said[mark] = outcome.outcomes[place].status
                error = outcome.outcomes[place].error
            else:
                self.said[mark] = "stored" if error is None else "unknown" if error.maybe_applied else "failed"
            if error is not None:
                self.errors[mark] = error

    def marks(self, *statuses: str) -> set[str]:
        return {mark for mark, status in self.said.items() if status in statuses}


class World:
    """A server with the real one's delays behind a proxy that breaks requests, and what happened there.

    Every `every` requests the storage goes down for a moment, and later the proxy is killed and started again.
    """

    def __init__(
        self,
        *,
        seed: int,
        every: int,
        share: float = 0.2,
        outages: bool = True,
        kills: bool = True,
        dedup_enabled: bool = True,
    ) -> None:
        self.fake = FakeMemtrace(visibility="server", dedup_enabled=dedup_enabled)
        self.key = self.fake.organisation().api_key
        self.agent_id = self.fake.seed_agent("default", AGENT)
        #: When storage was down, in microseconds since 1970.
        self.outages: list[tuple[int, int]] = []
        self._seed, self._share, self._every, self._has_outages = seed, share, every, outages
        self._is_killed = kills

    def __enter__(self):
        self._server = LiveServer(self.fake)
        self._server.start()
        self.proxy = ChaosProxy(self._server.url, seed=self._seed, share=self._share)
        if self._has_outages:
            self.proxy.events.append(Event(self._every // 3, self._every, self._outage))
        if self._is_killed:
            self.proxy.events.append(Event(2 * self._every // 3, self._every, self.proxy.restart))
        self.proxy.__enter__()
        return self

    def __exit__(self, *raised):
        self.proxy.__exit__(*raised)
        self._server.stop()
        self.fake.set_storage("default", "up")
        self.fake.flush()

    def _outage(self) -> None:
        began = self.fake._engine.stamps.now()
        self.fake.set_storage("default", "down")

        def end() -> None:
            self.fake.set_storage("default", "up")
            self.outages.append((began, self.fake._engine.stamps.now()))

        asyncio.get_running_loop().call_later(0.2, end)

    # ---- what the server holds

    def held(self) -> Counter[str]:
        """How often it holds each mark: memories by content, agents by name, sessions by their metadata."""
        rows, registry = self._rows(), self.fake._state("default").registry
        found = Counter(row.content for row in rows)
        found.update(agent.name for agent in registry.agents())
        found.update(session.metadata for session in registry.sessions())
        return Counter({mark.removeprefix('{"mark":"').removesuffix('"}'): count for mark, count in found.items()})

    def unchecked(self) -> set[str]:
        """The marks whose every further row was written while storage was down: then the server looks for no duplicates."""
        times: dict[str, list[int]] = {}
        for row in self._rows():
            times.setdefault(row.content, []).append(row.time)
        return {mark for mark, stored in times.items() if all(map(self._was_down, sorted(stored)[1:]))}

    def _was_down(self, time: int) -> bool:
        return any(began <= time <= ended for began, ended in self.outages)

    def _rows(self):
        state = self.fake._state("default")
        return self.fake._engine._store.select(state.org_id, RowSelection(limit=10**9))


def call(client, unique, write: Write, agent_id: str) -> object:
    """The call of this write: its result, or what has to be awaited for it. `per_call` is a copy of `client` with that `dedup`."""
    mark = write.marks[0]
    if write.kind == "plain":
        return client.memories.add(agent_id=AGENT, content=mark)
    if write.kind == "per_call":
        return unique.memories.add(agent_id=AGENT, content=mark)
    if write.kind == "own key":
        return client.memories.add(agent_id=AGENT, content=mark, dedup_key=f"key of {mark}")
    if write.kind == "batch":
        return client.memories.add_many([AddMemoryRequest(agent_id=AGENT, content=each) for each in write.marks])
    if write.kind == "agent":
        return client.agents.register(name=mark)
    return client.sessions.create(agent_id=agent_id, metadata={"mark": mark})


def run_threads(client, todo: list[Write], agent_id: str, count: int = 8) -> ReportedOutcomes:
    """Make every call, from several threads."""
    reported, queue, guard = ReportedOutcomes(), iter(todo), threading.Lock()
    broken: list[BaseException] = []

    def work() -> None:
        for write in _taken(queue, guard):
            try:
                outcome = call(client, unique, write, agent_id)
            except MemtraceError as error:
                outcome = error
            with guard:
                reported.note(write, outcome)

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - it is the test's to tell
            broken.append(error)

    threads = [threading.Thread(target=guarded) for _ in range(count)]
    with client.with_options(dedup="per_call") as unique:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if broken:
        raise broken[0]
    return reported


async def run_tasks(client, todo: list[Write], agent_id: str, count: int = 200) -> ReportedOutcomes:
    """Make every call, from several tasks, which begin within a second: else all would meet each fault at once."""
    reported, queue, chance = ReportedOutcomes(), iter(todo), Random(count)

    async def work() -> None:
        await asyncio.sleep(chance.random())
        for write in queue:
            try:
                outcome = await call(client, unique, write, agent_id)
            except MemtraceError as error:
                outcome = error
            reported.note(write, outcome)

    async with client.with_options(dedup="per_call") as unique:
        await asyncio.gather(*(work() for _ in range(count)))
    return reported


def _taken(queue: Iterator[Write], guard: threading.Lock) -> Iterator[Write]:
    while True:
        with guard:
            write = next(queue, None)
        if write is None:
            return
        yield write


@contextmanager
def no_threads_left() -> Iterator[None]:
    """Every thread that the block started has ended, a moment after it."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(30)
    assert set(threading.enumerate()) - before == set()

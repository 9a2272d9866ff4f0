"""Many threads and tasks on one fake."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Barrier

import pytest

from memtrace import AddMemoryRequest, APIConnectionError
from memtrace_transports.memory import FakeMemtrace, Fault, ManualClock
from tests.faces import ONCE
from tests.fake.caller import Caller
from tests.sampling import is_whole

THREADS, EACH, TASKS = 32, 40 if is_whole() else 8, 1000


def stored(fake: FakeMemtrace, org="default") -> list[tuple[tuple[str, str], str]]:
    """The times and contents of an organisation, oldest first."""
    caller = Caller(fake, fake.organisation(org))
    rows, offset = [], 0
    while page := caller.get(f"/memories?order=asc&limit=1000&offset={offset}").json["memories"]:
        rows.extend(((row["time"][:19], row["time"][20:-1].ljust(6, "0")), row["content"]) for row in page)
        offset += len(page)
    return rows


def assert_times_rise_strictly(rows) -> None:
    times = [time for time, _ in rows]
    assert all(earlier < later for earlier, later in pairwise(times))


@pytest.mark.parametrize("clock", [None, ManualClock()])
def test_of_32_threads_nothing_is_lost_and_times_rise_strictly(clock):
    fake = FakeMemtrace(clock=clock)
    client, barrier = fake.client(), Barrier(THREADS)

    def write(thread: int) -> None:
        barrier.wait()
        for number in range(EACH):
            client.remember("bot", f"{thread}/{number}")
            client.recall("bot")

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(write, range(THREADS)))
    rows = stored(fake)
    assert_times_rise_strictly(rows)
    assert sorted(content for _, content in rows) == sorted(f"{t}/{n}" for t in range(THREADS) for n in range(EACH))
    for thread in range(THREADS):
        own = [content for _, content in rows if content.startswith(f"{thread}/")]
        assert own == [f"{thread}/{number}" for number in range(EACH)]
    fake.calls.assert_called("memories.add", times=THREADS * EACH)
    answered = [call.arguments["content"] for call in fake.calls.filter("memories.add")]
    assert answered == [content for _, content in rows]


def test_of_1000_tasks_nothing_is_lost_and_times_rise_strictly():
    fake = FakeMemtrace()

    async def run() -> None:
        async with fake.async_client() as client:
            await asyncio.gather(*[client.remember("bot", f"{number}") for number in range(TASKS)])

    asyncio.run(run())
    rows = stored(fake)
    assert_times_rise_strictly(rows)
    assert {content for _, content in rows} == {f"{number}" for number in range(TASKS)}


def test_threads_and_tasks_of_several_organisations_on_one_fake_do_not_mix():
    fake = FakeMemtrace(visibility="server")
    names = [f"org{number}" for number in range(8)]

    def thread(name: str) -> None:
        fake.client(name).memories.add_many(
            [AddMemoryRequest(agent_id="bot", content=f"{name} {number}") for number in range(120)]
        )

    async def tasks(name: str) -> None:
        async with fake.async_client(name) as client:
            await asyncio.gather(*[client.remember("bot", f"{name} task {number}") for number in range(120)])

    with ThreadPoolExecutor(16) as pool:
        list(
            pool.map(
                lambda use: use(),
                [*[lambda n=n: thread(n) for n in names], *[lambda n=n: asyncio.run(tasks(n)) for n in names]],
            )
        )
    fake.flush()
    for name in names:
        rows = stored(fake, name)
        assert_times_rise_strictly(rows)
        assert len(rows) == 240
        assert all(content.startswith(f"{name} ") for _, content in rows)


def test_a_fault_for_the_nth_call_hits_one_call_of_many_threads():
    fake = FakeMemtrace()
    client = fake.client(retry=ONCE)
    fake.faults.add(Fault("reset", on="memories.add", nth=100, times=7), Fault("refused", on="agents.*"))

    def write(number: int) -> bool:
        try:
            client.remember("bot", f"{number}")
        except APIConnectionError:
            return False
        return True

    with ThreadPoolExecutor(THREADS) as pool:
        outcomes = list(pool.map(write, range(300)))
    assert outcomes.count(False) == 7
    assert {content for _, content in stored(fake)} == {f"{n}" for n, written in enumerate(outcomes) if written}
    assert [n for n, call in enumerate(fake.calls.filter("memories.add"), 1) if call.fault] == list(range(100, 107))


@pytest.mark.slow
def test_controls_may_be_used_while_others_call():
    fake = FakeMemtrace()
    client = fake.client()

    def call(number: int) -> None:
        client.remember("bot", f"{number}")
        client.recall("bot")

    def control(number: int) -> None:
        fake.snapshot()
        fake.seed("default", [{"agent_id": "bot", "content": f"seed {number}", "age_s": 60}])
        fake.seed_session("default", fake.seed_agent("default", f"agent {number}"))
        fake.add_key("default")
        fake.faults.add(Fault("refused", on="sessions.get"))
        fake.faults.clear()
        fake.calls.filter("memories.add", agent_id="bot")
        fake.flush()

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda job: job[0](job[1]), [(use, n) for n in range(200) for use in (call, control)]))
    rows = stored(fake)
    assert_times_rise_strictly(rows)
    assert {content for _, content in rows} == {f"{n}" for n in range(200)} | {f"seed {n}" for n in range(200)}
    assert client.sessions.list().count == client.agents.list().count == 200


def test_states_may_be_restored_while_others_write():
    fake = FakeMemtrace()
    client = fake.client()
    client.remember("bot", "first")
    snapshots = [fake.snapshot()]

    def use(number: int) -> None:
        client.remember("bot", f"{number}")
        client.recall("bot")
        if number % 10 == 0:
            snapshots.append(fake.snapshot())
        if number % 10 == 5:
            fake.restore(snapshots[number % len(snapshots)])

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(use, range(400)))
    assert_times_rise_strictly(stored(fake))
    held = []
    for snapshot in snapshots * 2:
        fake.restore(snapshot)
        held.append(stored(fake))
        assert client.agents.stats("bot").memory_count == len(held[-1])
    assert held[: len(snapshots)] == held[len(snapshots) :]
    fake.restore(snapshots[0])
    assert [content for _, content in stored(fake)] == ["first"]


class PatientClock(ManualClock):
    """Sleeps until it is told to wake."""

    def __init__(self) -> None:
        super().__init__()
        self.asleep, self.awake = asyncio.Event(), asyncio.Event()

    async def async_sleep(self, seconds: float) -> None:
        self.asleep.set()
        await self.awake.wait()


def test_a_delay_of_one_task_does_not_hold_up_the_others():
    clock = PatientClock()
    fake = FakeMemtrace(clock=clock)
    fake.faults.add(Fault("delay", on="agents.list", seconds=20))

    async def run() -> list[str]:
        ended = []

        async def call(name: str, method) -> None:
            await method()
            ended.append(name)

        async with fake.async_client() as client:
            late = asyncio.create_task(call("late", client.agents.list))
            await clock.asleep.wait()
            await call("soon", client.sessions.list)
            clock.awake.set()
            await late
        return ended

    assert asyncio.run(run()) == ["soon", "late"]


def test_a_cancelled_wait_leaves_the_write_and_the_fake_in_order():
    clock = PatientClock()
    fake = FakeMemtrace(clock=clock)
    fake.faults.add(Fault("delay", on="memories.add", seconds=20))

    async def run() -> int:
        async with fake.async_client() as client:
            writing = asyncio.create_task(client.remember("bot", "x"))
            await clock.asleep.wait()
            writing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await writing
            return (await client.recall("bot")).count

    assert asyncio.run(run()) == 1


def test_what_a_client_was_given_is_a_copy(fake, face):
    metadata, tags = {"list": [1]}, ["a"]
    client = face.of(fake)
    written = client.memories.add(agent_id="bot", content="x", metadata=metadata, tags=tags)
    read = client.recall("bot").memories[0]
    for each in (written, read):
        each.metadata["list"].append(2)
        each.tags.append("b")
    metadata["list"].append(3)
    tags.append("c")
    fake.calls[0].arguments["metadata"]["list"].append(4)
    again = client.recall("bot").memories[0]
    assert (again.metadata, again.tags) == ({"list": [1]}, ["a"])

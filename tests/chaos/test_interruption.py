"""A call that is cancelled or interrupted, at any step: it ends, starts nothing more, holds nothing, and admits what it may have done."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from memtrace import AddMemoryRequest, AsyncMemtrace, Memtrace, MemtraceError, RetryPolicy
from memtrace._flow.effects import lock
from memtrace.transport import TransportError
from memtrace_transports.memory import FakeMemtrace, ManualClock
from tests.chaos.workload import World as NoisyWorld
from tests.chaos.workload import no_threads_left
from tests.sampling import sample
from tests.transports.repetitions import CANCELLATIONS


class Steps:
    """Counts the moments at which a call can be broken off, and breaks it off at one of them."""

    def __init__(self, at, breaking):
        self.count, self.at, self._breaking = 0, at, breaking

    @property
    def is_reached(self):
        return self.count >= self.at

    def step(self):
        self.count += 1
        if self.count == self.at:
            self._breaking()


class Transport:
    """To a fake: the first request of the call is applied and its answer lost; a step before and after each request."""

    def __init__(self, fake, steps):
        self._fake, self._steps = fake, steps
        self.sent = 0

    def send(self, request):
        self._steps.step()
        self.sent += 1
        answer = self._fake.handle(request)
        self._steps.step()
        if self.sent == 1:
            raise TransportError("broken by the test", cause="reset", maybe_sent=True)
        return answer

    def close(self):
        pass


class AsyncTransport(Transport):
    async def send(self, request):
        self._steps.step()
        await asyncio.sleep(0)  # a cancellation comes here
        self.sent += 1
        answer = self._fake.handle(request)
        self._steps.step()
        await asyncio.sleep(0)
        if self.sent == 1:
            raise TransportError("broken by the test", cause="reset", maybe_sent=True)
        return answer

    async def close(self):
        pass


class Clock(ManualClock):
    """A step before each wait."""

    __slots__ = ("steps",)

    def sleep(self, seconds):
        self.steps.step()
        super().sleep(seconds)

    async def async_sleep(self, seconds):
        self.steps.step()
        await asyncio.sleep(0)
        ManualClock.sleep(self, seconds)


class World:
    """A client whose calls are broken off at step `at`."""

    def __init__(self, at, breaking, client, transport):
        self.steps = Steps(at, breaking)
        self.clock = Clock()
        self.clock.steps = Steps(-1, None)  # the fake's own
        self.fake = FakeMemtrace(clock=self.clock, visibility="server")
        self.clock.steps = self.steps
        self.transport = transport(self.fake, self.steps)
        self.contexts = []
        self.client = client(
            "memory://",
            self.fake.organisation().api_key,
            transport=self.transport,
            clock=self.clock,
            retry=RetryPolicy(jitter=lambda: 1.0),
            dedup="server",
            middleware=[self.locked],
        )

    def locked(self, request, call_next):
        self.contexts.append(request.context)
        with (yield from lock("one at a time")):
            return (yield from call_next(request))

    def check(self, *, whole):
        """After the call was broken off: nothing is there twice, and what is there is not denied."""
        sent = self.transport.sent
        self.clock.steps = Steps(-1, None)
        self.fake.flush()
        contents = [memory.content for memory in self.fake.client().memories.list().memories]
        agents = [agent.name for agent in self.fake.client().agents.list().agents]
        left = contents + agents
        assert len(left) == len(set(left))
        assert len(left) <= whole
        if left:
            assert self.contexts[0].maybe_applied
        assert self.transport.sent == sent


CALLS = {
    "memories.add": (lambda client: client.memories.add(agent_id="bot", content="tea"), 1),
    "memories.add_many": (
        lambda client: client.memories.add_many([AddMemoryRequest(agent_id="bot", content=text) for text in "ab"]),
        2,
    ),
    "agents.register": (lambda client: client.agents.register(name="bot"), 1),
}
on_every_call = pytest.mark.parametrize("name", CALLS)


@on_every_call
def test_a_task_can_be_cancelled_at_every_step(name):
    call, whole = CALLS[name]

    async def unexpected_error(at):
        world = World(at, lambda: asyncio.current_task().cancel(), AsyncMemtrace, AsyncTransport)
        task = asyncio.create_task(call(world.client))
        await asyncio.wait([task], timeout=30)
        assert task.done()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        if not world.steps.is_reached:
            assert task.exception() is None
            return False
        assert task.cancelled()
        world.check(whole=whole)
        world.steps.at = -1
        await asyncio.wait_for(world.client.agents.list(), 30)  # the lock is free
        return True

    async def main():
        at = 1
        while await unexpected_error(at):
            at += 1
        return at - 1

    assert asyncio.run(main()) >= 5


@on_every_call
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_a_program_can_be_interrupted_at_every_step(name, kind):
    call, whole = CALLS[name]

    def interrupt():
        raise kind

    at = 1
    while True:
        world = World(at, interrupt, Memtrace, Transport)
        try:
            call(world.client)
        except kind:
            world.check(whole=whole)
            world.steps.at = -1
            world.client.agents.list()  # the lock is free
        else:
            break
        at += 1
    assert at > 5


@on_every_call
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_middleware_can_interrupt_every_attempt(name, moment):
    call, whole = CALLS[name]
    for at in (1, 2, 3, 4):
        world = World(-1, None, Memtrace, Transport)
        attempts = []

        def interrupt(request, call_next, at=at, attempts=attempts):
            attempts.append(request.operation)
            if moment == "before" and len(attempts) == at:
                raise KeyboardInterrupt
            try:
                return (yield from call_next(request))
            finally:
                if len(attempts) == at:
                    raise KeyboardInterrupt  # in the place of whatever came

        with world.client.with_options(attempt_middleware=[interrupt]) as client:
            try:
                call(client)
            except KeyboardInterrupt:
                world.check(whole=whole)
            else:
                assert len(attempts) < at
            assert len(attempts) <= at


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # asyncio's own, of a connect that was broken off
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.network
@pytest.mark.parametrize("transport", sample(["httpx", "aiohttp"], 1))
def test_tasks_that_are_cancelled_at_random_in_all_the_noise_leave_nothing_open(transport):
    pytest.importorskip(transport)
    chance = Random(1)

    async def main(world):
        async with AsyncMemtrace(
            world.proxy.url, world.key, transport=transport, timeout=0.5, retry=RetryPolicy(verify_before_retry="read")
        ) as client:

            async def one(number):
                call = asyncio.create_task(client.memories.add(agent_id="bot", content=f"memory {number}"))
                asyncio.get_running_loop().call_later(chance.random(), call.cancel)
                await asyncio.wait([call])
                return None if call.cancelled() else call.exception()

            ended = await asyncio.gather(*map(one, range(CANCELLATIONS)))
            assert {type(error) for error in ended if not isinstance(error, MemtraceError)} <= {type(None)}
            assert asyncio.all_tasks() == {asyncio.current_task()}
        return await gone(world)

    async def gone(world):
        """Whether the proxy sees no connection any more, a moment later."""
        for _ in range(3000):
            if world.proxy.open_connections == 0:
                break
            await asyncio.sleep(0.01)
        return world.proxy.open_connections == 0

    with no_threads_left(), NoisyWorld(seed=1, every=10**6, outages=False, kills=False) as world:
        assert asyncio.run(main(world))
    assert max(world.held().values()) == 1

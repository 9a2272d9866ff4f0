import asyncio
import pickle
import time

import pytest
import trio

from memtrace.clock import Clock, SystemClock
from tests.conftest import StoppedClock


def test_the_systems_clock_tells_the_systems_time():
    clock = SystemClock()
    before = time.monotonic()
    assert before <= clock.monotonic() <= time.monotonic()
    assert abs(clock.wall() - time.time()) < 5


@pytest.mark.parametrize("clock", [SystemClock(), StoppedClock()], ids=["system", "own"])
def test_any_object_with_its_methods_is_a_clock(clock):
    assert isinstance(clock, Clock)


def test_an_object_that_lacks_a_method_is_no_clock():
    assert not isinstance(time, Clock)


@pytest.mark.parametrize(("seconds", "least"), [(0.02, 0.015), (0, 0), (-1, 0)])
def test_it_sleeps_and_not_below_zero(seconds, least):
    clock = SystemClock()

    async def asleep():
        await clock.async_sleep(seconds)

    for sleep in (lambda: clock.sleep(seconds), lambda: asyncio.run(asleep()), lambda: trio.run(asleep)):
        started = time.monotonic()
        sleep()
        assert least <= time.monotonic() - started < 30


def test_its_repr_is_how_it_is_made():
    assert repr(SystemClock()) == "SystemClock()"
    assert isinstance(pickle.loads(pickle.dumps(SystemClock())), SystemClock)

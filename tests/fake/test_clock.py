from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from memtrace.clock import Clock
from memtrace_transports.memory import ManualClock


def test_it_is_a_clock_of_the_sdk() -> None:
    assert isinstance(ManualClock(), Clock)


def test_it_stands_still_by_itself() -> None:
    clock = ManualClock(start=5.0)
    assert (clock.wall(), clock.monotonic()) == (5.0, 0.0) == (clock.wall(), clock.monotonic())


def test_tenths_of_a_second_add_up() -> None:
    clock = ManualClock()
    for _ in range(10):
        clock.advance(0.1)
    assert clock.monotonic() == 1.0


def test_sleeping_passes_time_without_waiting() -> None:
    clock, began = ManualClock(), time.monotonic()
    clock.sleep(3600)
    asyncio.run(clock.async_sleep(3600))
    assert clock.monotonic() == 7200
    assert time.monotonic() - began < 60


def test_sleeping_for_no_time_or_less_does_nothing() -> None:
    clock = ManualClock()
    clock.sleep(0)
    clock.sleep(-1)
    assert clock.monotonic() == 0


@pytest.mark.parametrize("seconds", [-0.1, float("nan")])
def test_it_never_goes_back(seconds: float) -> None:
    with pytest.raises(ValueError, match="cannot go back"):
        ManualClock().advance(seconds)


@pytest.mark.parametrize("seconds", [1e12, 10**400, float("inf")])
def test_it_goes_no_further_than_dates_do(seconds: float) -> None:
    clock = ManualClock()
    for move in (clock.advance, clock.sleep):
        with pytest.raises(ValueError, match="no further than the year 5000"):
            move(seconds)
    assert clock.monotonic() == 0


@pytest.mark.parametrize("start", [1e12, float("inf"), float("nan")])
def test_it_begins_where_dates_are(start: float) -> None:
    with pytest.raises(ValueError, match=r"before the year 5000: ManualClock\("):
        ManualClock(start)


def test_threads_lose_no_time() -> None:
    clock = ManualClock()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(clock.advance, [0.001] * 1000))
    assert clock.monotonic() == 1.0


def test_its_repr_says_how_far_it_has_come() -> None:
    clock = ManualClock(10)
    clock.advance(2)
    assert repr(clock) == "<ManualClock, 2.0 s since 10.0>"

"""Each fault, met once by each call, ends as docs/delivery-guarantees.md says, and what is told of it is true."""

from __future__ import annotations

import asyncio

import pytest

from memtrace import AsyncMemtrace, Memtrace
from tests.chaos.delivery import CALLS, EXPECTED, FAULTS, TIMEOUT, AsyncOnce, Once, World, counting, ending, identifier
from tests.faces import Blocking

CELLS = [pytest.param(fault, call, id=identifier(fault, call)) for fault in FAULTS for call in CALLS]


def ends(fault, call, client, transport):
    world, watch = World(), [0]
    made = client(
        "memory://",
        world.key,
        transport=transport(world.fake, fault, call.operation),
        timeout=TIMEOUT,
        retry=world.policy,
        clock=world.clock,
        attempt_middleware=[counting(call.operation, watch)],
    )
    if client is AsyncMemtrace:
        loop = asyncio.new_event_loop()
        try:
            ended = ending(call, Blocking(made, loop), world, watch)
        finally:
            loop.close()
    else:
        ended = ending(call, made, world, watch)
    return ended, getattr(world, call.effect)


@pytest.mark.parametrize(("fault", "call"), CELLS)
def test_delivery(fault, call):
    ended, applied = ends(fault, call, Memtrace, Once)
    assert ends(fault, call, AsyncMemtrace, AsyncOnce) == (ended, applied)
    assert ended.word == EXPECTED[fault.name][call.name]
    assert applied in ((0, call.whole) if ended.maybe_applied else (0,) if ended.error else (call.whole,))


def test_every_cell_has_a_test():
    assert [fault.name for fault in FAULTS] == list(EXPECTED)
    assert all(list(row) == [call.name for call in CALLS] for row in EXPECTED.values())

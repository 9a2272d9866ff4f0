"""When requests go, and what is in them."""

from __future__ import annotations

import threading
import time

import pytest

from memtrace import BufferFullError, ClientClosedError
from memtrace_transports.memory import Fault
from tests.write_buffer.faces import contents, memory, once, passing


def batches(fake):
    return [len(call.arguments["memories"]) for call in fake.calls.filter("memories.add_many")]


def test_a_full_request_goes_at_once(face, fake):
    buffer = face.client(fake).memories.buffered(max_items=3, flush_interval=60)
    futures = [face.call(buffer.add, **memory(number)) for number in range(4)]
    assert [face.outcome(future).status for future in futures[:3]] == ["stored"] * 3
    assert buffer.counts.pending == 1
    face.call(buffer.close)
    assert batches(fake) == [3, 1]


def test_what_waits_goes_when_the_oldest_is_old_enough_by_the_clients_clock(face, fake):
    buffer = face.client(fake).memories.buffered(flush_interval=60)
    futures = [face.call(buffer.add, **memory(0))]
    fake.clock.advance(59)
    futures.append(face.call(buffer.add, **memory(1)))
    time.sleep(0.05)
    assert buffer.counts.pending == 2
    fake.clock.advance(1)
    assert [face.outcome(future).status for future in futures] == ["stored"] * 2
    assert batches(fake) == [2]
    face.call(buffer.close)


def test_requests_stay_under_four_mebibytes(face, fake):
    buffer = face.client(fake).memories.buffered(flush_interval=60)
    for number in range(3):
        face.call(buffer.add, **memory(number, metadata={"blob": "x" * (3 << 20)}))
    face.call(buffer.close)
    assert batches(fake) == [1, 1, 1]
    assert buffer.counts.stored == 3


def test_flush_sends_at_once_and_waits_until_all_is_known(face, fake):
    buffer = face.client(fake).memories.buffered(flush_interval=60)
    assert face.call(buffer.flush)
    for number in range(250):
        face.call(buffer.add, **memory(number))
    assert face.call(buffer.flush)
    assert buffer.counts.stored == 250
    assert face.call(buffer.flush, 0)
    face.call(buffer.close)
    assert face.call(buffer.flush)
    assert contents(fake) == [f"memory {number}" for number in range(250)]


def test_flush_says_when_time_is_over_and_what_is_left_goes_on(face, fake):
    buffer = face.client(fake).memories.buffered(flush_interval=60)
    face.gate.shut()
    future = face.call(buffer.add, **memory(1))
    with passing(fake.clock):
        assert not face.call(buffer.flush, timeout=5)
    assert buffer.counts.pending == 1
    face.gate.open.set()
    assert face.outcome(future).status == "stored"
    face.call(buffer.close)


def test_a_flush_that_comes_while_a_request_is_under_way_waits_for_that(face, fake):
    buffer = face.client(fake).memories.buffered(max_items=1, flush_interval=60)
    face.gate.shut()
    face.call(buffer.add, **memory(1))
    face.gate.await_arrival()
    threading.Timer(0.05, face.gate.open.set).start()
    assert face.call(buffer.flush)
    assert buffer.counts.stored == 1
    face.call(buffer.close)


def test_repeats_settle_before_they_go_as_everywhere(face, fake):
    fake.faults.add(Fault("reset", on="memories.add_many", applied=True))
    buffer = face.client(fake).memories.buffered(max_items=5)
    for number in range(5):
        face.call(buffer.add, **memory(number))
    face.call(buffer.close)
    assert buffer.counts.stored == 5
    assert contents(fake) == [f"memory {number}" for number in range(5)]


# ---- when there is no room


def test_block_waits_until_there_is_room(face, fake):
    buffer = face.client(fake).memories.buffered(max_items=2, max_pending=3)
    face.gate.shut()
    for number in range(3):
        face.call(buffer.add, **memory(number))
    fourth = threading.Thread(target=face.call, args=[buffer.add], kwargs=memory(3))
    fourth.start()
    time.sleep(0.05)
    assert buffer.counts.accepted == 3
    face.gate.open.set()
    fourth.join()
    face.call(buffer.close)
    assert contents(fake) == [f"memory {number}" for number in range(4)]


def test_block_raises_when_its_own_bound_has_passed(face, fake):
    buffer = face.client(fake).memories.buffered(max_items=1, max_pending=1, max_block=3)
    face.gate.shut()
    face.call(buffer.add, **memory(0))
    with passing(fake.clock), pytest.raises(BufferFullError) as caught:
        face.call(buffer.add, **memory(1))
    assert (caught.value.code, caught.value.retryable, caught.value.maybe_applied) == ("buffer_full", True, False)
    face.gate.open.set()
    face.call(buffer.close)
    assert buffer.counts.accepted == 1


def test_block_ends_when_the_buffer_is_closed(face, fake):
    buffer = face.client(fake).memories.buffered(max_items=1, max_pending=1)
    face.gate.shut()
    face.call(buffer.add, **memory(0))
    raised = []

    def add():
        try:
            face.call(buffer.add, **memory(1))
        except ClientClosedError as error:
            raised.append(error.code)

    blocked = threading.Thread(target=add)
    blocked.start()
    time.sleep(0.05)
    once(lambda: buffer._worker.state.closing, face.gate.open.set)
    face.call(buffer.close)
    blocked.join()
    assert raised == ["buffer_closed"]


def test_raise_takes_nothing_when_it_is_full(face, fake):
    buffer = face.client(fake).memories.buffered(max_items=2, max_pending=2, on_full="raise")
    face.gate.shut()
    for number in range(2):
        face.call(buffer.add, **memory(number))
    with pytest.raises(BufferFullError):
        face.call(buffer.add, **memory(2))
    face.gate.open.set()
    assert face.call(buffer.flush)
    face.call(buffer.add, **memory(3))
    face.call(buffer.close)
    assert contents(fake) == ["memory 0", "memory 1", "memory 3"]


def test_drop_oldest_lets_the_oldest_that_waits_go(face, fake):
    heard = []
    buffer = face.client(fake).memories.buffered(
        max_items=1, max_pending=3, on_full="drop_oldest", on_result=heard.append
    )
    face.gate.shut()
    futures = [face.call(buffer.add, **memory(0))]
    face.gate.await_arrival()
    futures += [face.call(buffer.add, **memory(number)) for number in range(1, 6)]
    assert [outcome.index for outcome in heard] == [1, 2, 3]
    assert buffer.counts.pending == 3
    face.gate.open.set()
    face.call(buffer.close)
    outcomes = [face.outcome(future) for future in futures]
    assert [outcome.status for outcome in outcomes] == ["stored", *["dropped"] * 3, "stored", "stored"]
    assert outcomes[1].error.code == "buffer_full"
    assert contents(fake) == ["memory 0", "memory 4", "memory 5"]


def test_drop_oldest_drops_the_new_one_when_all_else_is_under_way(face, fake):
    buffer = face.client(fake).memories.buffered(max_items=2, max_pending=1, on_full="drop_oldest")
    face.gate.shut()
    face.call(buffer.add, **memory(0))
    face.gate.await_arrival()
    assert face.outcome(face.call(buffer.add, **memory(1))).status == "dropped"
    face.gate.open.set()
    face.call(buffer.close)
    assert (buffer.counts.stored, buffer.counts.dropped) == (1, 1)


# ---- what would wait for itself


def test_a_middleware_may_use_the_buffer_as_long_as_it_does_not_wait_for_itself(face, fake):
    raised = []

    def misuse(request, call_next):
        if request.operation == "memories.add_many" and not raised:
            for use in (lambda: buffer.add(**memory(9)), buffer.flush, buffer.close):
                try:
                    yield from uses(use)
                except (BufferFullError, RuntimeError) as error:
                    raised.append(type(error).__name__)
        return (yield from call_next(request))

    def uses(use):
        from memtrace._flow.effects import call

        async def awaited():
            await use()

        return call(use if face.kind == "sync" else awaited)

    buffer = face.client(fake, middleware=[misuse]).memories.buffered(max_items=1, max_pending=1)
    assert face.outcome(face.call(buffer.add, **memory(1))).status == "stored"
    face.call(buffer.close)
    assert raised == ["BufferFullError", "RuntimeError", "RuntimeError"]
    assert buffer.counts.stored == 1

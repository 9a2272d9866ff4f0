"""Every wait of an attempt is taken off one bound, whichever phases it is made of."""

from __future__ import annotations

import asyncio
import time
from importlib import import_module

import pytest

from memtrace import AsyncMemtrace, DeadlineExceededError, Memory, Memtrace
from memtrace.exceptions import TransportError
from memtrace.testing._threads import in_thread
from memtrace.transport import CallContext, Request
from memtrace_transports import HttpxTransport, ManualClock, _httpx
from tests.responses import ROW
from tests.sampling import sample
from tests.transports.kinds import FORMS, KINDS, on_every_blocking_kind
from tests.transports.scripted import Answer, Drip, ScriptedServer, Stall, Trickle

pytestmark = pytest.mark.network

BOUND = 0.8
BUSY = 0.6  # what a busy machine may add to it: without the bound each takes twice as long and longer


def get(url, **fields):
    return Request("GET", url, "/", **{"timeout": BOUND, **fields})


def took(action):
    started = time.monotonic()
    return action(), time.monotonic() - started


def check_ended_in_time(outcome, seconds):
    assert isinstance(outcome, TransportError)
    assert outcome.cause == "timeout"
    assert BOUND - 0.05 < seconds < BOUND + BUSY


@pytest.mark.slow
@on_every_blocking_kind
def test_waiting_for_a_free_connection_and_for_an_answer_share_a_bound(kind):
    with ScriptedServer(Answer(pause=0.7), Stall()) as server:
        transport = kind.make(max_connections=1)
        first = in_thread(lambda: transport.send(get(server.url, timeout=20.0)))
        while not server.received:
            time.sleep(0.001)

        def second():
            try:
                return transport.send(get(server.url))
            except TransportError as error:
                return error

        check_ended_in_time(*took(second))
        server.ended.set()
        first.result(20)
        transport.close()


# one byte each half second or so: each read ends in time, and the whole never does
DRIPPING = {"headers": Trickle(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 40, 0.55), "body": Drip(0.55, 40)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "step"),
    sample([pytest.param(form, step, id=f"{name}-{form}") for form in FORMS for name, step in DRIPPING.items()], 4),
)
def test_an_answer_that_comes_bit_by_bit_ends_with_the_bound(form, step):
    if str(form) == "requests sync yours" and isinstance(step, Trickle):
        pytest.skip("http.client reads the headers of a session of the user's, and looks at no clock")
    with ScriptedServer(Answer(), step) as server:
        form.send(get(server.url, timeout=20.0))  # which imports the library
        (outcome,), seconds = took(lambda: form.send(get(server.url)))
        check_ended_in_time(outcome, seconds)


# ---- calls


@pytest.fixture
def slow_server():
    with ScriptedServer(*[Stall()] * 9) as server:
        yield server
        server.ended.set()


@pytest.mark.slow
@pytest.mark.parametrize("kind", sample(KINDS, 2), ids=str)
def test_waiting_for_a_memory_is_over_in_time_though_a_read_takes_longer(kind, slow_server):
    memory = Memory.model_validate_json(ROW)

    async def main():
        async with AsyncMemtrace(slow_server.url, "mtk_1", transport=kind.name) as client:
            await client.memories.wait_until_visible(memory, timeout=BOUND)

    def blocking():
        with Memtrace(slow_server.url, "mtk_1", transport=kind.name) as client:
            client.memories.wait_until_visible(memory, timeout=BOUND)

    def wait():
        with pytest.raises(DeadlineExceededError, match=r"within 0\.8 s, in 1 reads") as caught:
            asyncio.run(main()) if kind.asynchronous else blocking()
        return caught.value

    import_module(kind.name)
    error, seconds = took(wait)
    assert (error.code, error.retryable, error.maybe_applied) == ("visibility_timeout", True, False)
    assert seconds < BOUND + 2 * BUSY


def test_a_request_without_a_bound_waits_on_a_connection_that_was_made_within_one():
    with ScriptedServer(Answer(), Answer()) as server:
        transport = HttpxTransport()
        assert transport.send(get(server.url, timeout=5.0)).status == 200
        assert transport.send(get(server.url, timeout=None)).status == 200
        transport.close()


def test_a_part_that_comes_after_the_bound_ends_the_call():
    clock = ManualClock()
    request = get("http://server.test", timeout=5.0, context=CallContext(clock))
    started = clock.monotonic()
    _httpx._check_deadline(request, started)
    clock.advance(5.5)
    with pytest.raises(TimeoutError, match="came too slowly"):
        _httpx._check_deadline(request, started)

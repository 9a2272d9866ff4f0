"""A system that gives no more threads: each place that starts one says so in an error of ours, and nothing was sent."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import trio

from memtrace import APIConnectionError, AsyncMemtrace, TransportError
from memtrace._flow.effects import call
from memtrace.integrations._dual_client import DualClient
from memtrace.testing import FakeMemtrace
from memtrace.transport import Request
from memtrace_transports.memory.server import LiveServer
from tests.faces import ONCE
from tests.transports.kinds import on_every_awaiting_kind


def refuse(thread):
    raise RuntimeError("can't start new thread")


def fail(thread):
    raise RuntimeError("a defect")


@contextmanager
def full(start=refuse):
    """A system that starts no thread within this block; the end of asyncio.run needs one."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        patched.setattr("trio._threads.start_thread_soon", lambda *_, **__: start(None))
        yield


async def told_by_a_first_call(kind, start):
    async with AsyncMemtrace("http://localhost:9", "key", transport=kind.name, retry=ONCE) as client:
        with full(start):
            await client.remember("bot", "text")


@on_every_awaiting_kind
def test_a_first_call_sends_nothing(kind):
    with pytest.raises(
        APIConnectionError, match="no thread could be started: the host of .* nothing was sent"
    ) as caught:
        asyncio.run(told_by_a_first_call(kind, refuse))
    assert (caught.value.code, caught.value.retryable, caught.value.maybe_applied) == ("no_thread", True, False)


@on_every_awaiting_kind
def test_another_error_of_a_thread_is_its_cause(kind):
    with pytest.raises(TransportError, match="the transport failed with RuntimeError"):
        asyncio.run(told_by_a_first_call(kind, fail))


@pytest.mark.network
@on_every_awaiting_kind
def test_a_name_that_cannot_be_looked_up_sends_nothing(kind):
    async def main():
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        transport = kind.make()
        with pytest.raises(TransportError):
            await transport.send(Request("GET", "http://127.0.0.1:9", "/", timeout=5.0))  # which makes its client
        try:
            with full():
                await transport.send(Request("GET", "http://localhost:9", "/", timeout=5.0))
        finally:
            await transport.close()

    with pytest.raises(
        TransportError, match="the host of http://localhost:9 was not looked up, and nothing was sent"
    ) as caught:
        asyncio.run(main())
    assert (caught.value.code, caught.value.cause, caught.value.maybe_sent) == ("no_thread", "connect", False)


@pytest.mark.parametrize("run", [lambda main: asyncio.run(main()), trio.run], ids=["asyncio", "trio"])
def test_a_function_that_a_middleware_calls_is_not_called(run):
    called = []
    fake = FakeMemtrace()

    def middleware(request, call_next):
        yield from call(called.append, 1)
        return (yield from call_next(request))

    async def main():
        with full():
            await fake.async_client(retry=ONCE, middleware=[middleware]).health()

    with pytest.raises(TransportError, match=r"call\(.*append\) was not made") as caught:
        run(main)
    assert (caught.value.code, caught.value.maybe_applied, called) == ("no_thread", False, [])
    assert len(fake.calls) == 0


@pytest.mark.parametrize("run", [lambda main: asyncio.run(main()), trio.run], ids=["asyncio", "trio"])
def test_another_error_of_its_thread_stays_as_it_is(run):
    def middleware(request, call_next):
        yield from call(list)
        return (yield from call_next(request))

    async def main():
        with full(fail):
            await FakeMemtrace().async_client(middleware=[middleware]).health()

    with pytest.raises(RuntimeError, match="a defect"):
        run(main)


def test_an_error_of_that_function_is_its_own():
    def starts_a_thread():
        raise RuntimeError("can't start new thread, says the function")

    def middleware(request, call_next):
        yield from call(starts_a_thread)
        return (yield from call_next(request))

    with pytest.raises(RuntimeError, match="says the function"):
        asyncio.run(FakeMemtrace().async_client(middleware=[middleware]).health())


@pytest.mark.network
@pytest.mark.parametrize("start", [refuse, fail])
def test_a_live_server_that_has_no_thread_can_be_started_later(start):
    server = LiveServer(FakeMemtrace())
    with full(start), pytest.raises((TransportError, RuntimeError), match="the server does not run|a defect"):
        server.start()
    with server:
        assert server.url


@pytest.mark.parametrize(("start", "text"), [(refuse, "nothing was sent"), (fail, "a defect")])
def test_an_integration_that_awaits_a_blocking_client_sends_nothing(start, text):
    fake = FakeMemtrace()

    async def main():
        with full(start):
            await DualClient(fake.client(), None, "This").run_async(lambda clock: pytest.fail("it was run"))

    with pytest.raises((TransportError, RuntimeError), match=text):
        asyncio.run(main())
    assert len(fake.calls) == 0

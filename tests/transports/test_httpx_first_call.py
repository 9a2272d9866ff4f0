"""The first async call makes its client in a thread: once, and whoever is cancelled meanwhile."""

import asyncio
import contextlib
import json
import subprocess
import sys
import textwrap
import threading

import anyio
import httpx
import pytest

from memtrace.exceptions import ClientClosedError
from memtrace.transport import Request
from memtrace_transports import AsyncHttpxTransport, _httpx
from tests.transports.scripted import ScriptedServer

on_both_libraries = pytest.mark.parametrize("library", ["asyncio", "trio"])


def get(url):
    return Request("GET", url, "/", timeout=5.0)


class Making:
    """Stands in for what makes a client: it takes as long as a test likes, and counts."""

    def __init__(self, monkeypatch):
        self.begun, self.may_end, self.threads = threading.Event(), threading.Event(), []
        monkeypatch.setattr(_httpx, "_new_client", self._make)

    def _make(self, *given, **settings):
        self.threads.append(threading.current_thread())
        self.begun.set()
        assert self.may_end.wait(10)
        return httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(200)))

    async def has_begun(self):
        while not self.begun.is_set():  # noqa: ASYNC110 - it is set in a thread
            await anyio.sleep(0.001)


@pytest.fixture
def making(monkeypatch):
    making = Making(monkeypatch)
    yield making
    making.may_end.set()


@on_both_libraries
def test_tasks_that_begin_together_make_the_first_client_once_in_a_thread(making, library):
    async def main():
        transport, answers = AsyncHttpxTransport(), []

        async def send():
            answers.append(await transport.send(get("http://server")))

        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(send)
            await making.has_begun()
            making.may_end.set()
        await transport.close()
        return [answer.status for answer in answers]

    assert anyio.run(main, backend=library) == [200] * 50
    assert making.threads.count(threading.current_thread()) == len(making.threads) - 1
    assert making.threads[0] is not threading.current_thread()


@on_both_libraries
def test_the_first_of_them_may_be_cancelled(making, library):
    async def main():
        transport, answers = AsyncHttpxTransport(), []

        async def send(name):
            await transport.send(get("http://server"))
            answers.append(name)

        async def first(scope):
            with scope:
                await send("first")

        scope = anyio.CancelScope()
        async with anyio.create_task_group() as group:
            group.start_soon(first, scope)
            await making.has_begun()
            group.start_soon(send, "second")
            scope.cancel()
            await anyio.sleep(0.01)
            making.may_end.set()
        await transport.close()
        return "second" in answers

    assert anyio.run(main, backend=library) is True
    assert len(making.threads) == 1


def test_a_first_call_that_is_cancelled_ends_at_once_under_asyncio(making):
    async def main():
        transport = AsyncHttpxTransport()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(transport.send(get("http://server")), 0.01)
        making.may_end.set()
        assert (await transport.send(get("http://server"))).status == 200
        await transport.close()

    asyncio.run(main())
    assert len(making.threads) == 1


@on_both_libraries
def test_a_transport_that_is_closed_meanwhile_sends_nothing(making, library):
    async def main():
        transport, told = AsyncHttpxTransport(), []

        async def send():
            with contextlib.suppress(ClientClosedError):
                told.append(await transport.send(get("http://server")))

        async with anyio.create_task_group() as group:
            group.start_soon(send)
            await making.has_begun()
            await transport.close()
            making.may_end.set()
        return told

    assert anyio.run(main, backend=library) == []


@on_both_libraries
def test_what_makes_no_client_says_so_each_time(monkeypatch, library):
    def fails(*given, **settings):
        raise OSError("no certificates")

    async def main():
        transport = AsyncHttpxTransport()
        for _ in range(2):
            with pytest.raises(OSError, match="no certificates"):
                await transport.send(get("http://server"))

    monkeypatch.setattr(_httpx, "_new_client", fails)
    anyio.run(main, backend=library)


FIRST_CALL = """
    import json, sys, time
    from memtrace.transport import Request
    from memtrace_transports import AsyncHttpxTransport
    from memtrace_transports._pool import lazy_clients as pools

    library, url = sys.argv[1:]
    if library == "asyncio":
        import asyncio
    else:
        import trio

    async def ticker(gaps):
        last = time.perf_counter()
        while True:
            await (asyncio.sleep(0.001) if library == "asyncio" else trio.sleep(0.001))
            now = time.perf_counter()
            gaps.append(now - last)
            last = now

    async def send(url):
        transport = AsyncHttpxTransport()
        await transport.send(Request("GET", url, "/", timeout=30.0))
        await transport.close()

    async def on_asyncio(gaps):
        task = asyncio.create_task(ticker(gaps))
        await asyncio.sleep(0.01)
        await send(url)
        task.cancel()

    async def on_trio(gaps):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ticker, gaps)
            await trio.sleep(0.01)
            await send(url)
            nursery.cancel_scope.cancel()

    gaps = []
    asyncio.run(on_asyncio(gaps)) if library == "asyncio" else trio.run(on_trio, gaps)
    print(json.dumps(max(gaps)))
"""

BLOCKING = """
    async def in_this_thread(make):
        return make()

    pools._in_thread = in_this_thread
"""


def largest_gap(library, url, *, blocking):
    """Of a ticking task during the first call of a process."""
    before, marker, after = textwrap.dedent(FIRST_CALL).partition("gaps = []\n")
    script = before + (textwrap.dedent(BLOCKING) if blocking else "") + marker + after
    done = subprocess.run(
        [sys.executable, "-c", script, library, url], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.network
@on_both_libraries
def test_the_first_call_lets_other_tasks_run(library):
    with ScriptedServer() as server:
        blocked = min(largest_gap(library, server.url, blocking=True) for _ in range(3))
        free = min(largest_gap(library, server.url, blocking=False) for _ in range(3))
    assert free < blocked / 2

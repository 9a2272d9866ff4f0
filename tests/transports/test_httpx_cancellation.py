"""A request that is cancelled gives its connection back, whatever it was doing and whoever cancels it."""

import asyncio
import contextlib
import contextvars
import functools
import gc
import random
import socket
import threading

import anyio
import httpx
import pytest

from memtrace.exceptions import TransportError
from memtrace.transport import Request, TransportOptions
from memtrace_transports import AsyncHttpxTransport
from memtrace_transports._pool import deadline as async_exchange
from tests.garbage import collected
from tests.sampling import crossed
from tests.transports.httpx_libraries import LIBRARIES, on_both_loops_and_libraries
from tests.transports.repetitions import CANCELLATIONS
from tests.transports.scripted import Echo, ScriptedServer, Stall
from tests.transports.tls_server import Authority, TlsServer

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """The address of a server over TLS, and who is to be trusted."""
    authority = Authority(tmp_path_factory.mktemp("authority"))
    with TlsServer(authority) as server:
        yield server.url, authority.ca


class Counted:
    """Runs a coroutine and calls a function when it has stopped for the nth time."""

    def __init__(self, coroutine, number, call):
        self._coroutine = coroutine
        self._left = number
        self._call = call

    def __await__(self):
        steps = self._coroutine.__await__()
        resume = functools.partial(steps.send, None)
        while True:
            try:
                waited_for = resume()
            except StopIteration as end:
                return end.value
            self._left -= 1
            try:
                value = yield waited_for
            except BaseException as error:  # noqa: BLE001 - handed on as it is
                resume = functools.partial(steps.throw, error)
            else:
                resume = functools.partial(steps.send, value)
            if self._left == 0:
                self._call()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("library", "backend"), crossed([library.__name__ for library in LIBRARIES], ["asyncio", "trio"])
)
def test_whichever_step_of_a_first_request_over_tls_ends_the_next_one_has_a_connection(
    tls, monkeypatch, library, backend
):
    url, ca = tls
    within = async_exchange.run_within

    async def ended_at(step):
        """Whether the request came through; the next one has to in any case."""
        transport = AsyncHttpxTransport(options=TransportOptions(max_connections=1, ca_bundle=ca), library=library)

        async def counted(scope, exchange):
            async def stepped():
                return await Counted(exchange, step, scope.cancel)

            return await within(scope, stepped())

        monkeypatch.setattr(async_exchange, "run_within", counted)
        answer = None
        with contextlib.suppress(TransportError):
            answer = await transport.send(get(url, timeout=30.0))
        monkeypatch.setattr(async_exchange, "run_within", within)
        assert (await transport.send(get(url, timeout=30.0))).status == 200
        await transport.close()
        return answer is not None

    for step in range(1, 100):
        if anyio.run(ended_at, step, backend=backend):
            break
    assert 5 < step < 99


on_both_libraries = pytest.mark.parametrize("library", ["asyncio", "trio"])


def get(url, **fields):
    return Request("GET", url, "/", **{"timeout": 5.0, **fields})


class Slow(httpx.AsyncBaseTransport):
    """A transport in two steps; the second, like httpcore's cleaning up, is not to be broken off."""

    def __init__(self, error=None):
        self.error = error
        self.begun, self.cleaning, self.may_end = anyio.Event(), anyio.Event(), anyio.Event()
        self.cleaned = False

    async def handle_async_request(self, request):
        try:
            self.begun.set()
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                self.cleaning.set()
                await self.may_end.wait()
                self.cleaned = True
                if self.error is not None:
                    raise self.error


@contextlib.asynccontextmanager
async def sending(error=None):
    """A request that is under way, and the transport below it."""
    slow = Slow(error)
    async with httpx.AsyncClient(transport=slow) as client:
        task = asyncio.create_task(AsyncHttpxTransport(client).send(get("http://server")))
        await slow.begun.wait()
        yield slow, task


def complaints(main):
    """What asyncio finds to complain about while `main` runs."""
    told = []

    async def listening():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
        await main()
        gc.collect()

    with collected():
        asyncio.run(listening())
    return told


@pytest.mark.parametrize(
    ("error", "times"), crossed([None, httpx.ReadError("x"), ZeroDivisionError()], [1, 2, 5]), ids=repr
)
def test_cleaning_up_is_waited_for_however_often_the_task_is_cancelled(error, times):
    async def main():
        async with sending(error) as (slow, task):
            for _ in range(times):
                task.cancel()
                await slow.cleaning.wait()
                await asyncio.sleep(0)
            assert not task.done()
            slow.may_end.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert slow.cleaned

    assert complaints(main) == []


def test_a_scope_of_the_callers_waits_for_the_cleaning_up_too():
    async def main():
        async with sending() as (slow, task):

            async def scoped():
                with anyio.CancelScope() as scope:
                    asyncio.get_running_loop().call_soon(scope.cancel)
                    await AsyncHttpxTransport(httpx.AsyncClient(transport=slow)).send(get("http://server"))
                return scope.cancelled_caught

            second = asyncio.create_task(scoped())
            await slow.cleaning.wait()
            await asyncio.sleep(0)
            assert not second.done()
            slow.may_end.set()
            assert await second is True
            task.cancel()
            await asyncio.wait([task])

    assert complaints(main) == []


def test_tasks_that_are_all_cancelled_at_once_end():
    async def main():
        async with sending() as (slow, task):
            slow.may_end.set()
            for each in asyncio.all_tasks() - {asyncio.current_task()}:
                each.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    assert complaints(main) == []


def test_a_task_that_is_cancelled_as_it_begins_leaves_nothing_behind():
    async def main():
        slow = Slow()
        slow.may_end.set()
        async with httpx.AsyncClient(transport=slow) as client:
            sent = AsyncHttpxTransport(client).send(get("http://server"))
            task = asyncio.create_task(sent)
            asyncio.get_running_loop().call_soon(task.cancel)
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not slow.begun.is_set() or slow.cleaned

    assert complaints(main) == []


def test_one_that_is_cancelled_on_the_brink_of_its_answer_ends():
    async def main():
        def answer(request):
            task.cancel()
            return httpx.Response(200)

        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            task = asyncio.create_task(AsyncHttpxTransport(client).send(get("http://server")))
            with pytest.raises(asyncio.CancelledError):
                await task

    assert complaints(main) == []


@on_both_libraries
def test_variables_of_the_callers_context_are_seen_by_what_is_patched_into_send(library):
    traced, seen = contextvars.ContextVar("traced"), []

    def answer(request):
        seen.append(traced.get())
        return httpx.Response(200)

    async def main():
        traced.set("span")
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            await AsyncHttpxTransport(client).send(get("http://server"))

    anyio.run(main, backend=library)
    assert seen == ["span"]


@on_both_loops_and_libraries
def test_a_scope_around_a_request_frees_its_connection(httpx, library):
    async def main():
        async with httpx.AsyncClient(limits=httpx.Limits(max_connections=1)) as client:
            transport = AsyncHttpxTransport(client)
            async with anyio.create_task_group() as group:
                group.start_soon(transport.send, get(server.url))
                while not server.received:  # noqa: ASYNC110 - it is set in a thread
                    await anyio.sleep(0.001)
                group.cancel_scope.cancel()
            return (await transport.send(get(server.url))).status

    with ScriptedServer(Stall()) as server:
        assert anyio.run(main, backend=library) == 200


class Phases:
    """A server that accepts late, reads slowly, answers slowly and in pieces: every phase lasts about a millisecond.

    Cut into the exchange at any moment, then, and every phase is met.
    """

    def __init__(self):
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    async def _serve(self):
        async with await asyncio.start_server(self._answer, sock=self._listening, limit=2**20):
            while not self._ended.is_set():  # noqa: ASYNC110 - it is set in a thread
                await asyncio.sleep(0.01)

    async def _answer(self, reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
                await reader.readexactly(length)
                await asyncio.sleep(0.001)
                for piece in (b"HTTP/1.1 200 x\r\n", b"content-length: 6\r\n\r\n", b"abc", b"def"):
                    writer.write(piece)
                    await asyncio.sleep(0.0005)
        writer.close()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *raised):
        self._ended.set()
        self._thread.join()


async def by_cancel(sent, after):
    task = asyncio.create_task(sent)
    asyncio.get_running_loop().call_later(after, task.cancel)
    return await task


async def by_wait_for(sent, after):
    return await asyncio.wait_for(sent, after)


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # asyncio's own, of a connect that was broken off
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("httpx", "cut", "connections"),
    crossed(LIBRARIES, [by_cancel, by_wait_for], [10, 4]),  # where there are fewer than the 10 tasks, some wait for one
    ids=lambda value: str(getattr(value, "__name__", value)),
)
def test_requests_that_are_cancelled_at_any_moment_leave_no_connection_taken(httpx, cut, connections):
    options = TransportOptions(max_connections=connections, max_keepalive_connections=2)
    chance = random.Random(1)

    async def main():
        transport = AsyncHttpxTransport(options=options, library=httpx.__name__)
        await transport.send(get(server.url))

        async def some(count):
            for _ in range(count):
                request = Request("POST", server.url, "/", body=b"x" * chance.choice([1, 300_000]), timeout=5.0)
                with contextlib.suppress(asyncio.CancelledError, asyncio.TimeoutError):
                    await cut(transport.send(request), chance.uniform(0, 0.012))

        await asyncio.gather(*(some(CANCELLATIONS // 5) for _ in range(10)))
        await transport.send(get(server.url))  # all before it may have been cut early, and their clients closed
        lending = await transport._channels.get()
        assert lending._lent == set()
        pools = [client._transport._pool for _, client in lending._idle]
        assert 0 < len(pools) <= 2
        assert [pool._requests for pool in pools if pool._requests] == []
        assert [each for pool in pools for each in pool.connections if not each.is_idle()] == []
        answers = await asyncio.gather(*(transport.send(get(server.url)) for _ in range(8)))
        assert {answer.body for answer in answers} == {b"abcdef"}
        await transport.close()

    with Phases() as server:
        assert complaints(main) == []


@on_both_loops_and_libraries
def test_a_request_that_finds_no_free_connection_was_surely_not_sent(httpx, library):
    async def main():
        transport = AsyncHttpxTransport(options=TransportOptions(max_connections=1), library=httpx.__name__)
        await transport._channels.get()  # made in a thread, for which nobody waits below
        async with anyio.create_task_group() as group:
            group.start_soon(slow, transport)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(TransportError, match="no free connection .* all connections are in use") as caught:
                await transport.send(get(server.url, timeout=0.1))
            group.cancel_scope.cancel()
        await transport.close()
        return caught.value

    async def slow(transport):
        await transport.send(get(server.url, timeout=None))

    with ScriptedServer(Stall()) as server:
        error = anyio.run(main, backend=library)
    assert (error.cause, error.maybe_sent) == ("timeout", False)


@on_both_loops_and_libraries
def test_the_end_of_the_bound_frees_the_connection(httpx, library):
    async def main():
        async with httpx.AsyncClient(limits=httpx.Limits(max_connections=1)) as client:
            transport = AsyncHttpxTransport(client)
            await transport.send(get(server.url))
            with pytest.raises(TransportError, match="no response"):
                await transport.send(get(server.url, timeout=0.05))
            return (await transport.send(get(server.url))).status

    with ScriptedServer(Echo(), Stall()) as server:
        assert anyio.run(main, backend=library) == 200

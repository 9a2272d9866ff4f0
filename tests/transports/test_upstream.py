"""Faults of the HTTP libraries that the transports work around, each reproduced on the bare library.

Where one is mended its test fails, and what works around it can go. Comments in the transports name these tests.
"""

import asyncio
import gzip
import re
import select
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import aiohttp
import pytest
import requests
import yarl

import memtrace_transports
from tests.garbage import collected
from tests.transports.httpx_libraries import on_httpx_and_httpx2
from tests.transports.scripted import Answer, Echo, ScriptedServer, Verbatim

pytestmark = pytest.mark.network


def which_leaves_sockets(test):
    test = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")(test)
    return pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")(test)


MENDED_IN_HTTPX2 = {"httpx": False, "httpx2": True}


def core_of(httpx):
    """The folder of the library's engine, in which its calls are counted or stopped."""
    return f"/{httpx.__name__.replace('httpx', 'httpcore')}/"


def pool_of_one(httpx):
    return httpx.AsyncClient(
        trust_env=False, limits=httpx.Limits(max_connections=1), timeout=httpx.Timeout(5, pool=0.1)
    )


@on_httpx_and_httpx2
def test_a_pool_closes_a_connection_that_another_thread_has_just_been_given(httpx):
    """https://github.com/encode/httpcore/issues/1110; here it takes the other's answer for the end of the connection."""
    given, begins, waits, goes_on = (threading.Event() for _ in range(4))
    outcomes = []

    def in_the_other(frame, event, argument):
        if event == "call" and core_of(httpx) in frame.f_code.co_filename:
            if frame.f_code.co_name == "handle_request" and frame.f_code.co_filename.endswith("http11.py"):
                given.set()
                begins.wait(5)
            elif frame.f_code.co_name == "_receive_response_headers":
                waits.set()
                goes_on.wait(5)

    def send():
        sys.setprofile(in_the_other)
        try:
            outcomes.append(client.get(server.url).status_code)
        except httpx.TransportError as error:
            outcomes.append(type(error).__name__)

    def in_this(frame, event, argument):
        if event != "call" or frame.f_code.co_name != "get_extra_info" or begins.is_set():
            return
        connection = frame.f_locals["self"]._sock
        if connection.getsockname()[1] == server.ports[0]:  # seen idle; now the other sends on it, and is answered
            begins.set()
            waits.wait(5)
            select.select([connection], [], [], 5)

    with ScriptedServer(Echo()) as server, httpx.Client(trust_env=False) as client:
        client.get(server.url)
        other = threading.Thread(target=send)
        other.start()
        given.wait(5)
        sys.setprofile(in_this)
        client.get(server.url)
        sys.setprofile(None)
        begins.set()
        goes_on.set()
        other.join()
    assert outcomes == ([200] if MENDED_IN_HTTPX2[httpx.__name__] else ["ReadError"])


@which_leaves_sockets
@on_httpx_and_httpx2
def test_a_request_that_is_cancelled_in_the_queue_takes_its_connection_for_good(httpx):
    """https://github.com/encode/httpcore/issues/1093."""

    async def main():
        async with pool_of_one(httpx) as client:
            tasks = [asyncio.create_task(client.get(server.url)) for _ in range(2)]
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            try:
                return (await client.get(server.url)).status_code
            except httpx.PoolTimeout:
                return None

    with ScriptedServer() as server, collected():
        assert asyncio.run(main()) == (200 if MENDED_IN_HTTPX2[httpx.__name__] else None)


@pytest.mark.slow
@which_leaves_sockets
@on_httpx_and_httpx2
def test_a_task_that_is_cancelled_breaks_off_the_cleaning_up(httpx):
    """https://github.com/encode/httpcore/issues/658: at some step of a request, its connection stays taken."""

    async def main():
        lost = 0
        for steps in range(1, 100):
            async with pool_of_one(httpx) as client:
                task = asyncio.create_task(client.get(server.url))
                for _ in range(steps):
                    await asyncio.sleep(0)
                if task.done():
                    return lost
                task.cancel()
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                try:
                    await client.get(server.url)
                except httpx.PoolTimeout:
                    lost += 1
        return lost

    with ScriptedServer(Echo()) as server, collected():
        assert (asyncio.run(main()) == 0) is MENDED_IN_HTTPX2[httpx.__name__]


@pytest.mark.slow
@which_leaves_sockets
@on_httpx_and_httpx2
def test_the_socket_of_a_tls_handshake_that_is_cancelled_is_left_open(httpx):
    """https://github.com/encode/httpcore/pull/443."""

    async def main(url):
        shaking = asyncio.Event()

        async def trace(step, info):
            if step.endswith(".start_tls.started"):
                shaking.set()

        async with httpx.AsyncClient(trust_env=False, verify=ssl.create_default_context()) as client:
            task = asyncio.create_task(client.get(url, extensions={"trace": trace}))
            await shaking.wait()
            await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            connection, _ = listening.accept()
            connection.settimeout(0.3)
            with connection:
                try:
                    while connection.recv(4096):
                        pass
                except TimeoutError:
                    return "open"
                return "closed"

    with socket.create_server(("127.0.0.1", 0)) as listening, collected():
        assert asyncio.run(main(f"https://127.0.0.1:{listening.getsockname()[1]}")) == "open"


@on_httpx_and_httpx2
def test_a_request_costs_the_more_the_more_connections_are_idle(httpx):
    """https://github.com/encode/httpx/issues/3215; httpx2 has made it ten times less."""

    def calls_of_one(idle):
        calls = 0

        def note(frame, event, argument):
            nonlocal calls
            calls += event == "call" and core_of(httpx) in frame.f_code.co_filename

        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        with httpx.Client(trust_env=False, limits=limits) as client:
            answers = [client.send(client.build_request("GET", server.url), stream=True) for _ in range(idle)]
            for answer in answers:
                answer.read()
            sys.setprofile(note)
            client.get(server.url)
            sys.setprofile(None)
        return calls

    with ScriptedServer() as server:
        assert calls_of_one(50) > 5 * calls_of_one(1)


@pytest.mark.parametrize("library", ["httpx", "requests", "aiohttp"])
def test_a_cut_body_passes_for_a_whole_one(library):
    """Of httpx: https://github.com/pydantic/pydantic-ai/issues/7159."""
    body = b"x" * 10_000
    cut = gzip.compress(body)[:-9]

    async def by_aiohttp(url):
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return await answer.read()

    with ScriptedServer(Answer(200, cut, [("Content-Encoding", "gzip")])) as server:
        if library == "aiohttp":
            content = asyncio.run(by_aiohttp(server.url))
        else:
            content = {"httpx": httpx_get, "requests": requests.get}[library](server.url).content
    assert content == body


def httpx_get(url):
    import httpx

    return httpx.get(url, trust_env=False)


@on_httpx_and_httpx2
def test_the_extension_target_takes_the_address_from_a_proxy(httpx):
    """https://github.com/encode/httpcore/pull/888: it takes the place of whatever is in the first line."""
    with ScriptedServer() as proxy, httpx.Client(proxy=proxy.url, trust_env=False) as client:
        client.get("http://server.invalid/", extensions={"target": b"/x"})
        place = b"http://server.invalid" if MENDED_IN_HTTPX2[httpx.__name__] else b""
        assert proxy.received[0].startswith(b"GET %s/x " % place)


@on_httpx_and_httpx2
def test_the_error_of_a_bad_header_repeats_its_value(httpx):
    with ScriptedServer() as server, httpx.Client(trust_env=False) as client:
        request = client.build_request("GET", server.url, headers={"x-api-key": "SECRET\n"})
        with pytest.raises(httpx.LocalProtocolError, match="SECRET"):
            client.send(request)


def test_requests_adds_its_own_certificates_to_a_context_of_its_users():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    class Adapter(requests.adapters.HTTPAdapter):
        def init_poolmanager(self, *given, **settings):
            super().init_poolmanager(*given, ssl_context=context, **settings)

    with ScriptedServer() as server, requests.Session() as session:
        session.mount("https://", Adapter())
        with pytest.raises(requests.ConnectionError):
            session.get(server.url.replace("http:", "https:"))
    assert context.cert_store_stats()["x509_ca"] > 1


def test_aiohttp_drops_a_repeated_header_that_is_spelt_in_another_case():
    async def main(url):
        headers = [("x-trace", "1"), ("X-Trace", "2")]
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
            await answer.read()

    with ScriptedServer() as server:
        asyncio.run(main(server.url))
        assert server.received[0].lower().count(b"x-trace") == 1


def test_yarl_drops_an_empty_query_and_what_it_takes_for_a_fragment():
    sent = [yarl.URL(f"http://server{target}", encoded=True).raw_path_qs for target in ("/x?", "/x#y")]
    assert sent == ["/x", "/x"]


def test_urllib3_uses_a_connection_again_on_which_half_an_answer_too_many_came():
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"
    with ScriptedServer(Verbatim((answer + b"HTTP/1.1 200 O",))) as server, requests.Session() as session:
        assert session.get(server.url).content == b"first"
        assert session.get(server.url).json()["line"] == "GET / HTTP/1.1"
        assert server.connections == 1


def test_every_test_that_a_comment_names_is_here():
    here = Path(memtrace_transports.__file__).parent
    sources = "\n".join(path.read_text(encoding="utf-8") for path in here.rglob("*.py"))
    named = set(re.findall(r"test_upstream\.py::(\w+)", sources))
    assert named
    assert named <= globals().keys()


def test_an_exit_hook_of_urllib3_empties_a_pool_for_good():
    """A blocking pool then waits for a connection that nobody gives back."""
    program = (
        "import atexit, sys, urllib3\n"
        "def use():\n"
        "    try:\n"
        "        pool.urlopen('GET', '/', pool_timeout=0.01)\n"
        "    except urllib3.exceptions.EmptyPoolError:\n"
        "        print('empty')\n"
        "atexit.register(use)\n"
        "pool = urllib3.HTTPConnectionPool('127.0.0.1', 9, block=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "empty\n"

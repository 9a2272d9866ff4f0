"""Bytes too many, too few and too late are never taken for another answer, on every transport over a network alike.

Kinds as h11's and urllib3's tests of framing have them: a whole answer, half of one, what is no HTTP, a body where none may be.
"""

from __future__ import annotations

import asyncio
import select
import shutil
import socket
from functools import partial
from types import SimpleNamespace

import anyio
import pytest
from aiohttp import http_parser

from memtrace.exceptions import TransportError
from memtrace.transport import Request, TransportOptions
from memtrace_transports import AiohttpTransport, AsyncHttpxTransport, HttpxTransport
from memtrace_transports._checks.surplus import holds_surplus, is_readable
from memtrace_transports._pool import aiohttp_connections
from tests.sampling import crossed
from tests.transports.httpx_libraries import on_httpx_and_httpx2
from tests.transports.kinds import FORMS, KINDS
from tests.transports.scripted import Answer, Echo, Garbage, ScriptedServer, TlsScriptedServer, Verbatim
from tests.transports.tls_server import Authority

pytestmark = pytest.mark.network

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\n\r\n"
OTHERS = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nanothers"

SURPLUS = {
    "an answer": OTHERS,
    "two answers": OTHERS * 2,
    "half an answer": OTHERS[:30],
    "a letter": b"H",
    "no HTTP": b"\x00\x01\x02",
    "much": OTHERS + b"x" * 300_000,
    "an interim answer": b"HTTP/1.1 103 Early Hints\r\n\r\n",
}
UNREADABLE = ("no HTTP", "much")

WAYS = {
    "with the answer": (HEAD + b"first",),
    "with the body": (HEAD, b"first"),
    "with half of the body": (HEAD + b"fir", b"st"),
    "with chunks": (CHUNKED,),
    "with the last chunk": (CHUNKED[:-5], CHUNKED[-5:]),
    "with an empty body": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",),
    "with a status that has no body": (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",),
    "with an error": (b"HTTP/1.1 500 x\r\nContent-Length: 5\r\n\r\nfirst",),
    "with a body that fills a buffer of httpcore": (
        (b"HTTP/1.1 200 OK\r\nContent-Length: 65494\r\n\r\n").ljust(65536, b"x"),
    ),
    "with a long body": (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000,),
}


def get(url, **fields):
    return Request("GET", url, "/", **{"timeout": 20.0, **fields})


def check_second_is_its_own(server, outcomes, *, first_may_fail=False):
    first, second = outcomes
    if isinstance(first, TransportError):
        assert first_may_fail, first
        assert (first.cause, first.maybe_sent) == ("protocol", True)
    assert b'"line"' in second.body, second
    assert server.connections == 2


def with_surplus(way, surplus):
    *before, last = WAYS[way]
    return Verbatim((*before, last + SURPLUS[surplus]))


@pytest.mark.parametrize(("form", "way", "surplus"), crossed(FORMS, list(WAYS), list(SURPLUS), at_least=40), ids=str)
def test_what_comes_with_an_answer_is_not_the_next_one(form, way, surplus):
    with ScriptedServer(with_surplus(way, surplus), Echo()) as server:
        outcomes = form.send(get(server.url), get(server.url))
        # aiohttp reads a segment as a whole or not at all
        check_second_is_its_own(server, outcomes, first_may_fail=form.name == "aiohttp" and surplus in UNREADABLE)


@pytest.mark.parametrize(("form", "surplus"), crossed(FORMS, list(SURPLUS), at_least=20), ids=str)
def test_what_comes_while_a_connection_is_idle_is_not_the_next_answer(form, surplus):
    with ScriptedServer(Verbatim((HEAD + b"first",), SURPLUS[surplus]), Echo()) as server:
        check_second_is_its_own(server, form.send(get(server.url), get(server.url), between=server.send_late))


@pytest.mark.parametrize(("form", "cut"), crossed(FORMS, [1, 15, 20, 40]), ids=str)
def test_half_of_it_with_an_answer_and_half_later_is_not_the_next_one(form, cut):
    with ScriptedServer(Verbatim((HEAD + b"first" + OTHERS[:cut],), OTHERS[cut:]), Echo()) as server:
        check_second_is_its_own(server, form.send(get(server.url), get(server.url), between=server.send_late))


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_an_answer_without_surplus_leaves_its_connection_to_the_next(form):
    steps = [Verbatim(pieces) for pieces in WAYS.values()]
    steps[list(WAYS).index("with a status that has no body")] = Verbatim((b"HTTP/1.1 204 No Content\r\n\r\n",))
    with ScriptedServer(*steps, Echo()) as server:
        assert b'"line"' in form.send(*[get(server.url)] * (len(steps) + 1))[-1].body
        assert server.connections == 1


# ---- too few, and too late

SHORT = {
    "nothing": b"",
    "half a status": b"HTTP/1.1 20",
    "half the headers": HEAD[:-10],
    "no body": HEAD,
    "half the body": HEAD + b"fir",
    "half a chunk": CHUNKED[:-14],
    "no last chunk": CHUNKED[:-5],
}


@pytest.mark.parametrize(("form", "cut"), crossed(FORMS, list(SHORT), at_least=20), ids=str)
def test_an_answer_that_is_cut_short_is_an_error_and_the_next_one_is_whole(form, cut):
    with ScriptedServer(Garbage(SHORT[cut]), Echo()) as server:
        post = Request("POST", server.url, "/", body=b"{}", timeout=20.0)  # which no library sends again by itself
        first, second = form.send(post, get(server.url))
        if (str(form), cut) == ("requests sync yours", "half the headers"):  # which http.client takes for all of them
            assert first.body == b""
            return
        assert isinstance(first, TransportError), first
        assert (first.cause in ("reset", "protocol"), first.maybe_sent) == (True, True)
        assert b'"line"' in second.body


@pytest.mark.slow
@pytest.mark.parametrize(("form", "begun"), crossed(FORMS, [b"", HEAD[:20], HEAD, HEAD + b"fir"]), ids=str)
def test_an_answer_that_comes_after_its_time_is_not_the_next_one(form, begun):
    with ScriptedServer(Verbatim((begun,), late=(HEAD + b"first")[len(begun) :]), Echo()) as server:
        first, second = form.send(get(server.url, timeout=0.3), get(server.url, timeout=20.0), between=server.send_late)
        assert isinstance(first, TransportError), first
        assert (first.cause, first.maybe_sent) == ("timeout", True)
        assert b'"line"' in second.body


# ---- over TLS, where a record may wait in the library


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make certificates")
    return Authority(tmp_path_factory.mktemp("tls"))


TLS_WAYS = {
    "in its record": (HEAD + b"first" + OTHERS,),
    "in a record of its own": (HEAD + b"first", OTHERS),
    "in its record, longer than a buffer of http.client": (HEAD + b"first" + OTHERS + b"x" * 15_000,),
}


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("way", TLS_WAYS)
def test_what_comes_over_tls_with_an_answer_is_not_the_next_one(kind, way, authority):
    with TlsScriptedServer(authority, Verbatim(TLS_WAYS[way]), Echo()) as server:
        first, second = kind.send(*[get(server.url)] * 2, ca_bundle=authority.ca)
        if isinstance(first, TransportError):
            assert kind.name == "aiohttp"
            assert "longer" in way
        assert b'"line"' in second.body


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_connection_over_tls_without_surplus_is_kept(kind, authority):
    with TlsScriptedServer(authority, Answer(), Answer(chunked=True), Echo()) as server:
        assert b'"line"' in kind.send(*[get(server.url)] * 3, ca_bundle=authority.ca)[-1].body
        assert server.connections == 1


@on_httpx_and_httpx2
@pytest.mark.parametrize("way", TLS_WAYS)
def test_what_comes_with_an_answer_on_trio_is_not_the_next_one(httpx, way, authority):
    async def main(url, **options):
        transport = AsyncHttpxTransport(options=TransportOptions(**options), library=httpx.__name__)
        try:
            return [(await transport.send(get(url))).body for _ in range(2)]
        finally:
            await transport.close()

    with TlsScriptedServer(authority, Verbatim(TLS_WAYS[way]), Answer(200, b"second")) as server:
        assert anyio.run(partial(main, server.url, ca_bundle=authority.ca), backend="trio") == [b"first", b"second"]
    with ScriptedServer(Verbatim((b"".join(TLS_WAYS[way]),)), Answer(200, b"second")) as server:
        assert anyio.run(main, server.url, backend="trio") == [b"first", b"second"]


# ---- beyond the transports' own calls


@on_httpx_and_httpx2
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_hook_that_reads_the_answer_leaves_no_surplus_to_the_next(httpx, asynchronous):
    def read(answer):
        answer.read()

    async def read_awaiting(answer):
        await answer.aread()

    async def main(url):
        async with httpx.AsyncClient(event_hooks={"response": [read_awaiting]}) as client:
            return [(await AsyncHttpxTransport(client).send(get(url))).body for _ in range(2)]

    with ScriptedServer(Verbatim((HEAD + b"first" + OTHERS,)), Answer(200, b"second")) as server:
        if asynchronous:
            assert asyncio.run(main(server.url)) == [b"first", b"second"]
            return
        with httpx.Client(event_hooks={"response": [read]}) as client:
            assert [HttpxTransport(client).send(get(server.url)).body for _ in range(2)] == [b"first", b"second"]


@pytest.mark.parametrize("turns", [0, 5])
def test_aiohttp_reads_what_nobody_asked_for_once(turns):
    async def main(server):
        transport = AiohttpTransport()
        try:
            first = await transport.send(get(server.url))
            server.send_late()
            for _ in range(turns):
                await asyncio.sleep(0.01)
            return first, await transport.send(get(server.url))
        finally:
            await transport.close()

    with ScriptedServer(Verbatim((HEAD + b"first",), late=OTHERS), Echo()) as server:
        check_second_is_its_own(server, asyncio.run(main(server)))


@pytest.mark.parametrize("parser", [http_parser.HttpResponseParser, http_parser.HttpResponseParserPy])
@pytest.mark.parametrize("part", [b"", b"H", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nX", OTHERS[:-3]])
def test_each_parser_of_aiohttp_tells_of_part_of_another_answer(parser, part):
    async def main():
        protocol = aiohttp_connections.WatchingHandler(asyncio.get_running_loop())
        reading = parser(protocol, asyncio.get_running_loop(), 2**16)
        reading.feed_data(HEAD + b"first" + part)
        return aiohttp_connections.is_within_another(reading)

    assert asyncio.run(main()) is bool(part)


def test_what_anyio_has_queued_of_a_stream_is_seen():
    queue = []
    stream = SimpleNamespace(_protocol=SimpleNamespace(read_queue=queue))
    connection = SimpleNamespace(_network_stream=SimpleNamespace(_stream=stream))
    assert not holds_surplus(connection)
    queue.append(b"x")
    assert holds_surplus(connection)


@pytest.mark.parametrize("has_poll", [True, False])
def test_what_a_system_without_poll_holds_of_a_socket_is_seen(has_poll, monkeypatch):
    if not has_poll:
        monkeypatch.delattr(select, "poll", raising=False)
    here, there = socket.socketpair()
    with here, there:
        assert not is_readable(here.fileno())
        there.send(b"x")
        assert is_readable(here.fileno())

"""The aiohttp transport against real sockets."""

import asyncio
import base64
import contextlib
import gzip
import json
import logging
import os
import random
import shutil
import socket
import subprocess
import sys
import textwrap
import threading
import traceback
from functools import partial
from types import SimpleNamespace

import aiohttp
import pytest
import trio
import yarl
from aioresponses import aioresponses

from memtrace.async_client import AsyncMemtrace
from memtrace.exceptions import (
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    TransportError,
    TransportNotAvailableError,
)
from memtrace.plugins import TransportSpec
from memtrace.transport import AsyncTransport, Headers, Request, Response, TransportOptions
from memtrace_transports import _aiohttp
from memtrace_transports._aiohttp import AiohttpTransport
from tests.garbage import collected
from tests.sampling import crossed, is_whole
from tests.transports.repetitions import CANCELLATIONS
from tests.transports.scripted import (
    Answer,
    CloseAfterReading,
    Drip,
    Echo,
    Garbage,
    Refuse,
    ResetAfterReading,
    ScriptedServer,
    Stall,
    Truncate,
    Zipped,
    deaf_address,
)
from tests.transports.targets import ODD
from tests.transports.tls_server import Authority, TlsServer

pytestmark = pytest.mark.network


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def send(*requests, own=None, transport=None, **options):
    """The answers to requests that go one after the other; a `TransportError` among them is given as it is."""

    async def main():
        session = None if own is None else aiohttp.ClientSession(**own)
        given = TransportOptions(**options) if options else None
        used = transport or AiohttpTransport(session, options=given)
        try:
            answers = [await attempt(used, request) for request in requests]
            await used.close()
            assert session is None or not session.closed
        finally:
            if session is not None:
                await session.close()
        return answers

    return asyncio.run(main())


async def attempt(transport, request):
    try:
        return await transport.send(request)
    except TransportError as error:
        return error


def one(request, **given):
    (answer,) = send(request, **given)
    return answer


def get(server, target="/api/v1/memories", **fields):
    return Request("GET", server.url, target, **{"timeout": 5.0, **fields})


def post(server, body=b"{}", **fields):
    return Request("POST", server.url, "/api/v1/memories", body=body, **{"timeout": 5.0, **fields})


def told(response):
    return json.loads(response.body)


def failed(answer, cause, *, maybe_sent):
    assert type(answer) is TransportError
    assert (answer.cause, answer.maybe_sent) == (cause, maybe_sent)
    assert answer.__context__ is None
    return answer


# ---- what goes out and what comes in


def test_the_plugin_offers_the_async_form_and_its_capabilities():
    spec = _aiohttp.memtrace_transport()
    assert isinstance(spec, TransportSpec)
    assert (spec.create, spec.requires, spec.extra) == (None, ("aiohttp",), "aiohttp")
    assert spec.capabilities.isdisjoint({"http2", "write_timeout", "max_keepalive_connections"})
    made = spec.create_async(TransportOptions())
    assert isinstance(made, AsyncTransport)


STATUSES = [200, 201, 204, 301, 304, 400, 401, 404, 409, 418, 429, 500, 503, 599]


@pytest.mark.parametrize(("status", "whose"), crossed(STATUSES, ["ours", "theirs"]))
def test_no_status_raises(status, whose):
    with ScriptedServer(Answer(status, b"body")) as server:
        answer = one(get(server), own=None if whose == "ours" else {"raise_for_status": True})
    assert answer == Response(status, answer.headers, b"" if status in (204, 304) else b"body")


def test_hundreds_of_odd_targets_are_sent_byte_for_byte_by_a_users_session_too():
    with ScriptedServer() as server:
        send(*(get(server, target) for target in ODD), own={})
        lines = [received.partition(b"\r\n")[0].decode() for received in server.received]
    assert lines == [f"GET {target} HTTP/1.1" for target in ODD]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_methods_bodies_and_headers_arrive_and_nothing_of_aiohttps(method):
    body = b'{"content": "\xc3\xa9"}' if method in ("POST", "PUT") else None
    fields = Headers([("x-api-key", "k"), ("X-Many", "1"), ("X-Many", "2"), ("user-agent", "ours")])
    with ScriptedServer(Echo()) as server:
        got = told(one(Request(method, server.url, "/x", fields, body, timeout=5.0)))
    headers = [tuple(pair) for pair in got["headers"]]
    assert got["line"].startswith(method)
    assert got["body"].encode("latin-1") == (body or b"")
    for pair in (("x-api-key", "k"), ("x-many", "1"), ("x-many", "2"), ("user-agent", "ours")):
        assert headers.count(pair) == 1
    assert ("accept-encoding", "gzip, deflate") in headers
    names = {name for name, _ in headers} - {"content-length"}
    assert names == {"host", "x-api-key", "x-many", "user-agent", "accept-encoding"}


def test_an_accept_encoding_of_the_caller_is_the_only_one():
    with ScriptedServer(Echo()) as server:
        got = told(one(get(server, headers=Headers({"Accept-Encoding": "identity"}))))
    assert [value for name, value in got["headers"] if name == "accept-encoding"] == ["identity"]


def test_headers_of_the_options_lie_under_those_of_the_request():
    with ScriptedServer(Echo()) as server:
        got = told(one(get(server, headers=Headers({"X-A": "request"})), headers={"x-a": "options", "x-b": "options"}))
    headers = [tuple(pair) for pair in got["headers"]]
    assert ("x-a", "request") in headers
    assert ("x-b", "options") in headers
    assert ("x-a", "options") not in headers


def test_the_headers_of_an_answer_come_in_order_with_repeats():
    with ScriptedServer(Answer(200, b"", [("X-B", "1"), ("Via", "a"), ("Via", "b"), ("X-A", "2")])) as server:
        answer = one(get(server))
    assert answer.headers.get_all("via") == ["a", "b"]
    assert [name.lower() for name, _ in answer.headers.multi_items] == ["x-b", "via", "via", "x-a", "content-length"]


@pytest.mark.parametrize("own", [None, {"auto_decompress": False}], ids=["ours", "theirs"])
def test_a_body_comes_whole_and_decompressed(own):
    large = os.urandom(300_000)
    with ScriptedServer(Zipped(200, b"text"), Answer(200, large)) as server:
        zipped, plain = send(get(server), get(server), own=own)
    assert zipped.body == b"text"
    assert plain.body == large


def test_a_body_of_four_mebibytes_goes_out_whole():
    with ScriptedServer(Echo()) as server:
        answer = one(post(server, b"x" * (4 << 20)))
        assert server.received[0].endswith(b"\r\n\r\n" + b"x" * (4 << 20))
    assert b"chunked" not in server.received[0][:1000]
    assert answer.status == 200


def test_redirects_are_not_followed():
    with ScriptedServer() as elsewhere:
        steps = [Answer(status, headers=[("Location", elsewhere.url)]) for status in (301, 302, 307, 308)]
        with ScriptedServer(*steps) as server:
            answers = send(*[get(server)] * 4)
        assert [answer.status for answer in answers] == [301, 302, 307, 308]
        assert elsewhere.received == []


def test_cookies_are_not_kept():
    with ScriptedServer(Answer(200, headers=[("Set-Cookie", "a=planted; Path=/")])) as server:
        send(get(server), get(server))
        assert len(server.received) == 2
        assert b"planted" not in server.received[1]


def test_netrc_is_not_read(tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password planted\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with ScriptedServer() as server:
        one(get(server))
        assert b"authorization" not in server.received[0].lower()


def test_a_connection_is_used_again():
    with ScriptedServer() as server:
        send(*[get(server)] * 3)
        assert len(set(server.ports)) == 1


def test_an_idle_connection_is_kept_no_longer_than_asked():
    async def main():
        transport = AiohttpTransport(options=TransportOptions(keepalive_expiry=0.05))
        await transport.send(get(server))
        await asyncio.sleep(0.15)
        await transport.send(get(server))
        await transport.close()

    with ScriptedServer() as server:
        asyncio.run(main())
        assert len(set(server.ports)) == 2


def test_a_whole_client_works_on_it():
    async def main():
        transport = AiohttpTransport()
        async with AsyncMemtrace(server.url, "key", transport=transport) as client:
            memory = await client.remember("assistant", "likes dark mode")
        await transport.close()
        return memory

    row = {"time": "2026-01-01T00:00:00Z", "org_id": "org_1", "agent_id": "assistant", "memory_type": "episodic"}
    body = json.dumps({**row, "event_type": "general", "content": "likes dark mode", "dedup_key": "0"}).encode()
    with ScriptedServer(Answer(201, body)) as server:
        assert asyncio.run(main()).content == "likes dark mode"
        assert b"\r\nx-api-key: key\r\n" in server.received[0]


# ---- bounds of an answer


@pytest.mark.parametrize("step", [Answer(200, b"x" * 1001), Zipped(200, b"x" * 1001)], ids=["plain", "zipped"])
def test_an_answer_larger_than_allowed_is_told_and_the_next_call_works(step):
    with ScriptedServer(step, Answer(200, b"x" * 1000)) as server:
        large, fitting = send(get(server), get(server), max_response_bytes=1000)
        failed(large, "protocol", maybe_sent=True)
        assert "too long: it has more than 1000 bytes" in large.message
        assert fitting.body == b"x" * 1000


def test_a_small_gzip_that_explodes_is_stopped_early(monkeypatch):
    read = []
    original = aiohttp.StreamReader.readany

    async def readany(self):
        piece = await original(self)
        read.append(len(piece))
        return piece

    monkeypatch.setattr(aiohttp.StreamReader, "readany", readany)
    bomb = gzip.compress(bytes(100_000_000 if is_whole() else 20_000_000))
    with ScriptedServer(Answer(200, bomb, [("Content-Encoding", "gzip")])) as server:
        failed(one(get(server), max_response_bytes=1 << 20), "protocol", maybe_sent=True)
    assert sum(read) < 8 << 20


# ---- failures


@pytest.mark.parametrize("own", [None, {}], ids=["ours", "theirs"])
def test_a_refused_connection_was_never_sent(own):
    with Refuse() as server:
        error = failed(one(get(server), own=own), "connect", maybe_sent=False)
        assert error.message.startswith(f"no connection to {server.url}: ")
        assert isinstance(error.__cause__, OSError)


def test_an_unknown_host_was_never_sent():
    failed(one(Request("GET", "http://no-such-host.invalid", "/", timeout=5.0)), "connect", maybe_sent=False)


@pytest.mark.parametrize(
    ("kind", "method", "connection"),
    crossed(
        [ResetAfterReading, CloseAfterReading], ["GET", "POST", "PUT", "DELETE"], ["new connection", "used connection"]
    ),
)
def test_a_broken_connection_may_have_been_sent_and_nothing_is_sent_again(kind, method, connection):
    used = connection == "used connection"
    steps = [Echo()] * used
    with ScriptedServer(*steps, kind()) as server:
        request = Request(method, server.url, "/", timeout=5.0)
        *_, broken = send(*[request] * (1 + used))
        failed(broken, "reset", maybe_sent=True)
        assert len(server.received) == 1 + used


def test_a_session_of_the_users_sends_a_get_again_and_a_post_never():
    with ScriptedServer(Echo(), CloseAfterReading(), Echo(), CloseAfterReading()) as server:
        first, again, broken = send(get(server), get(server), post(server), own={})
        assert (first.status, again.status) == (200, 200)
        failed(broken, "reset", maybe_sent=True)
        assert len(server.received) == 4


WHOSE = {"ours": None, "theirs": {}}
SLOW = {"Stall": Stall(), "Drip": Drip(0.01, 1000), "Answer": Answer(pause=30.0)}


@pytest.mark.parametrize(("name", "whose"), crossed(list(SLOW), list(WHOSE)))
def test_an_attempt_ends_at_its_bound_however_slow_the_answer_is(name, whose):
    with ScriptedServer(Echo(), SLOW[name]) as server:
        _, error = send(get(server), post(server, timeout=0.15), own=WHOSE[whose])
        failed(error, "timeout", maybe_sent=True)
        assert error.message.startswith(f"no response from {server.url} in time: ")


def test_long_bounds_are_not_rounded_up():
    assert _aiohttp._timeout(7.3, None, None, None).ceil_threshold > 7.3


def test_the_settings_of_a_bound_are_made_once():
    assert _aiohttp._timeout(3.0, 1.0, None, None) is _aiohttp._timeout(3.0, 1.0, None, None)


def test_a_timeout_of_none_is_no_bound():
    with ScriptedServer(Answer(pause=0.1)) as server:
        assert one(get(server, timeout=None)).status == 200


@pytest.mark.parametrize(
    ("timeout", "given"),
    [(0.1, {}), (None, {"connect_timeout": 0.1}), (60.0, {"connect_timeout": 0.1}), (0.1, {"own": {}})],
)
def test_a_connection_that_does_not_come_about_in_time_was_never_sent(timeout, given):
    with deaf_address() as url:
        error = one(Request("POST", url, "/", timeout=timeout), **given)
    failed(error, "timeout", maybe_sent=False)
    assert error.message.startswith("no connection to http://127.0.0.1:")


@pytest.mark.parametrize("own", [None, {}], ids=["ours", "theirs"])
def test_a_tunnel_that_does_not_come_about_in_time_carried_nothing(own, monkeypatch):
    with ScriptedServer(Stall()) as proxy:
        given = {"proxy": proxy.url} if own is None else {"own": {"proxy": proxy.url}}
        error = one(Request("POST", "https://server.invalid", "/", timeout=0.1), **given)
    failed(error, "timeout", maybe_sent=False)


@pytest.mark.parametrize("step", [Stall(), Truncate()], ids=["before the answer", "in the body"])
def test_a_read_timeout_ends_an_attempt_before_its_bound(step):
    with ScriptedServer(step) as server:
        stalled = one(post(server, timeout=60.0), read_timeout=0.1)
    failed(stalled, "timeout" if isinstance(step, Stall) else "protocol", maybe_sent=True)


@pytest.mark.slow
def test_a_read_timeout_is_for_the_next_bytes():
    with ScriptedServer(Drip(0.05, 16)) as server:
        assert one(get(server, timeout=60.0), read_timeout=0.6).body == b"x" * 16


@pytest.mark.parametrize(("timeout", "given"), [(5.0, {"pool_timeout": 0.1}), (0.1, {}), (None, {"pool_timeout": 0.1})])
def test_waiting_for_a_free_connection_was_never_sent(timeout, given):
    async def main():
        transport = AiohttpTransport(options=TransportOptions(max_connections=1, **given))
        first = asyncio.ensure_future(attempt(transport, get(server)))
        while not server.received:  # noqa: ASYNC110 - it is set in a thread
            await asyncio.sleep(0.001)
        error = await attempt(transport, get(server, timeout=timeout))
        server.ended.set()
        await first
        next_one = await transport.send(get(server))
        await transport.close()
        return error, next_one

    with ScriptedServer(Stall()) as server:
        error, next_one = asyncio.run(main())
    failed(error, "timeout", maybe_sent=False)
    assert error.message.endswith("in time: all 1 connections are in use")
    assert next_one.status == 200


@pytest.mark.parametrize("timeout", [5.0, None])
def test_no_more_connections_than_allowed_are_made_and_all_calls_get_one(timeout):
    async def main():
        transport = AiohttpTransport(options=TransportOptions(max_connections=2))
        answers = await asyncio.gather(*(transport.send(get(server, timeout=timeout)) for _ in range(20)))
        await transport.close()
        return answers

    with ScriptedServer(*[Answer(pause=0.005)] * 20) as server:
        assert {answer.status for answer in asyncio.run(main())} == {200}
        assert len(set(server.ports)) == 2


def test_a_slot_that_is_given_to_a_task_cancelled_meanwhile_goes_to_the_next():
    async def main():
        slots = _aiohttp._ConnectionSlots(1)
        await slots.acquire(None)
        first, second, third = (asyncio.ensure_future(slots.acquire(5)) for _ in range(3))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        slots.release()
        second.cancel()
        await asyncio.wait_for(third, 1)
        assert (first.cancelled(), second.cancelled(), slots.free) == (True, True, 0)
        slots.release()
        assert slots.free == 1

    asyncio.run(main())


def test_a_task_cancelled_as_its_waiting_ends_gives_back_no_slot_that_it_never_had():
    async def main():
        slots = _aiohttp._ConnectionSlots(1)
        await slots.acquire(None)
        turn = asyncio.ensure_future(slots.acquire(5))
        await asyncio.sleep(0)
        slots._give_up(slots._waiting[0])
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        assert slots.free == 0

    asyncio.run(main())


def test_a_slot_given_as_the_waiting_ends_is_not_lost():
    async def main():
        slots = _aiohttp._ConnectionSlots(1)
        await slots.acquire(None)
        turn = asyncio.ensure_future(slots.acquire(None))
        await asyncio.sleep(0)
        waiting = slots._waiting[0]
        slots.release()
        slots._give_up(waiting)
        await turn
        slots.release()
        assert slots.free == 1

    asyncio.run(main())


@pytest.mark.parametrize(
    "step",
    [
        Garbage(),
        Garbage(b"HTTP/9.9 what\r\n\r\n"),
        Garbage(b"HTTP/1.1 200 x\r\nbad header\r\n\r\n"),
        Truncate(),
        Zipped(200, b"x", broken=True),
        Answer(200, b"x", [("Content-Encoding", "br")]),
    ],
    ids=["bytes", "version", "header", "truncated", "not gzip", "unasked encoding"],
)
def test_an_answer_that_is_no_http_is_told(step):
    with ScriptedServer(step) as server:
        error = failed(one(post(server)), "protocol", maybe_sent=True)
    assert "\n" not in error.message


def test_the_next_request_after_a_failure_works():
    with ScriptedServer(ResetAfterReading(), Garbage(), Truncate()) as server:
        answers = send(*[get(server)] * 4)
    assert [type(answer) for answer in answers] == [TransportError] * 3 + [Response]
    assert len({id(answer) for answer in answers}) == 4


UNWRITABLE = {
    f"{next(iter(changed))} {number}": changed
    for number, changed in enumerate(
        (
            {"target": "/é"},
            {"target": "/\x7f"},
            {"target": "/a b"},
            {"target": "no-slash"},
            {"origin": "http://host:99999"},
            {"origin": "http://["},
            {"headers": Headers({"x-api-key": "SECRETé"})},
            {"headers": Headers({"bad name": "SECRET"})},
            {"headers": Headers({"x-api-key": "SECRET\r\nx: y"})},
            {"headers": Headers({"x-api-key": "SECRET\0"})},
            {"headers": Headers({"x-api-key": " SECRET"})},
        )
    )
}


@pytest.mark.parametrize(("name", "whose"), crossed(list(UNWRITABLE), list(WHOSE)))
def test_a_request_that_cannot_be_written_was_never_sent_and_no_key_is_told(name, whose):
    with ScriptedServer() as server:
        fields = {"origin": server.url, "target": "/", **UNWRITABLE[name]}
        error = failed(one(Request("GET", timeout=5.0, **fields), own=WHOSE[whose]), "protocol", maybe_sent=False)
        assert server.received == []
    assert error.__cause__ is None
    assert "SECRET" not in "\n".join(told_by(error))


@pytest.mark.parametrize("origin", ["memory://", "ftp://host", "http://"])
def test_an_address_that_is_no_http_was_never_sent(origin):
    failed(one(Request("GET", origin, "/x", timeout=1.0)), "protocol", maybe_sent=False)


def told_by(error):
    """All that the error and those behind it say to a log."""
    yield from traceback.format_exception(error)
    while error is not None:
        yield from (str(error), repr(error), repr(error.args), repr(vars(error)))
        error = error.__cause__ or error.__context__


STEPS = {
    "reset": ResetAfterReading(),
    "closed": CloseAfterReading(),
    "stall": Stall(),
    "garbage": Garbage(),
    "truncated": Truncate(),
    "not gzip": Zipped(200, b"x", broken=True),
    "answer": Answer(),
}


@pytest.mark.parametrize(("name", "whose"), crossed(list(STEPS), list(WHOSE)))
def test_no_key_is_in_any_log_or_error(name, whose, caplog):
    caplog.set_level(logging.DEBUG)
    request = partial(post, headers=Headers({"x-api-key": "SECRET"}))
    with ScriptedServer(Echo(), STEPS[name]) as server:
        bound = 0.2 if name == "stall" else 20.0
        _, answer = send(request(server), request(server, timeout=bound), own=WHOSE[whose])
        assert b"SECRET" in server.received[-1]
    seen = [f"{record.getMessage()} {record.args!r} {record.exc_text} {vars(record)!r}" for record in caplog.records]
    if isinstance(answer, TransportError):
        seen.extend(told_by(answer))
    assert "SECRET" not in "\n".join(seen)


def raising(error):
    async def middleware(request, handler):
        raise error

    return {"middlewares": (middleware,)}


@pytest.mark.parametrize(
    ("error", "cause", "maybe_sent"),
    [
        (aiohttp.SocketTimeoutError("x"), "timeout", True),
        (asyncio.TimeoutError("x"), "timeout", True),
        (aiohttp.ClientConnectionError("x"), "reset", True),
        (aiohttp.ClientPayloadError(""), "protocol", True),
        (aiohttp.InvalidURL("http://x"), "protocol", False),
        (aiohttp.ClientError("x"), "protocol", True),
        (aiohttp.ClientResponseError(None, (), message=""), "protocol", True),
    ],
    ids=lambda given: type(given).__name__,
)
def test_every_other_failure_has_its_cause(error, cause, maybe_sent):
    failed(one(Request("GET", "http://server", "/"), own=raising(error)), cause, maybe_sent=maybe_sent)


def test_what_is_no_failure_of_the_network_is_not_disguised(monkeypatch):
    with pytest.raises(ZeroDivisionError, match="a bug"):
        one(Request("GET", "http://server", "/"), own=raising(ZeroDivisionError("a bug")))


# ---- a session of the user's own


def test_a_users_session_is_used_as_it_is_and_not_closed():
    own = {"headers": {"x-own": "1", "user-agent": "theirs"}, "cookies": {"c": "1"}}
    with ScriptedServer() as server:
        got = dict(map(tuple, told(one(get(server, headers=Headers({"User-Agent": "ours"})), own=own))["headers"]))
    assert (got["x-own"], got["user-agent"]) == ("1", "ours")


def test_a_users_timeouts_hold_within_the_bound():
    own = {"timeout": aiohttp.ClientTimeout(sock_read=0.1)}
    with ScriptedServer(Stall()) as server:
        error = failed(one(get(server, timeout=60.0), own=own), "timeout", maybe_sent=True)
    assert isinstance(error.__cause__, aiohttp.SocketTimeoutError)


@pytest.mark.parametrize(
    ("method", "own", "maybe_sent"),
    [("PUT", {}, True), ("DELETE", {}, True), ("POST", {}, False), ("GET", {}, False), ("DELETE", None, False)],
)
def test_what_a_users_session_may_have_sent_before_it_connected_again_is_not_known(method, own, maybe_sent):
    with Refuse() as nobody:
        failed(one(Request(method, nobody.url, "/", timeout=30.0), own=own), "connect", maybe_sent=maybe_sent)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (aiohttp.ClientSession, "the class aiohttp.client.ClientSession"),
        ("http://x", "an object of builtins.str"),
        (socket.SocketType, "the class _socket.socket"),
    ],
)
def test_another_kind_of_object_is_refused(given, text):
    with pytest.raises(TypeError, match=f"^AiohttpTransport accepts an aiohttp.ClientSession, not {text}$"):
        AiohttpTransport(given)


def test_a_session_and_options_are_refused():
    async def main():
        async with aiohttp.ClientSession() as session:
            with pytest.raises(TypeError, match="your own session has its own settings"):
                AiohttpTransport(session, options=TransportOptions())

    asyncio.run(main())


def test_a_users_session_that_is_closed_is_told():
    async def main():
        session = aiohttp.ClientSession()
        await session.close()
        with pytest.raises(ClientClosedError, match="aiohttp session"):
            await AiohttpTransport(session).send(Request("GET", "http://server", "/"))

    asyncio.run(main())


@pytest.mark.parametrize("closes", [False, True])
def test_an_odd_error_is_raised_as_it_is_unless_the_session_was_closed_meanwhile(closes):
    async def odd(request, handler):
        if closes:
            await session.close()
        raise ValueError("odd")

    async def main():
        nonlocal session
        async with aiohttp.ClientSession(middlewares=[odd], trust_env=True) as session:
            transport = AiohttpTransport(session)
            with pytest.raises(TransportError if closes else ValueError) as caught:
                await transport.send(Request("GET", "http://127.0.0.1:1", "/"))
        return caught.value

    session = None
    error = asyncio.run(main())
    if closes:
        assert (error.cause, error.maybe_sent, str(error.__cause__)) == ("reset", True, "odd")


# ---- closing, loops, forks


def test_close_twice_and_nothing_after():
    async def main():
        transport = AiohttpTransport()
        await transport.send(get(server))
        session = (await transport._channels.get()).session
        await transport.close()
        await transport.close()
        assert session.closed
        with pytest.raises(ClientClosedError, match="this transport is closed"):
            await transport.send(get(server))

    with ScriptedServer() as server:
        asyncio.run(main())


def test_closing_while_the_first_call_prepares_is_told():
    async def main():
        transport = AiohttpTransport()
        first = asyncio.ensure_future(transport.send(Request("GET", "http://server", "/")))
        await asyncio.sleep(0)
        await transport.close()
        with pytest.raises(ClientClosedError):
            await first

    with collected():
        asyncio.run(main())


@pytest.mark.parametrize("closed_there", [True, False])
def test_a_first_call_that_is_cancelled_while_it_prepares_leaves_nothing(closed_there):
    transport, kept = AiohttpTransport(), []

    async def main():
        kept.append(asyncio.get_running_loop())
        first = asyncio.ensure_future(transport.send(Request("GET", "http://server", "/")))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        if closed_there:
            await transport.close()

    async def elsewhere():
        await transport.close()

    asyncio.run(main())
    asyncio.run(elsewhere())
    assert len(transport._channels._holding.get().made) == 0


def test_many_first_calls_share_one_session():
    async def main():
        transport = AiohttpTransport()
        channels = await asyncio.gather(*(transport._channels.get() for _ in range(20)))
        await transport.close()
        return len(set(channels))

    assert asyncio.run(main()) == 1


@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_second_event_loop_has_a_session_of_its_own_and_the_dead_ones_are_let_go(caplog):
    transport, sessions = AiohttpTransport(), []

    async def main():
        for _ in range(2):
            assert (await transport.send(get(server))).status == 200
        sessions.append((await transport._channels.get()).session)
        assert len(transport._channels._holding.get().made) == 1

    async def last():
        await main()
        await transport.close()

    with ScriptedServer() as server, collected():
        for run in (main, main, last):
            asyncio.run(run())
        assert len(set(server.ports)) == 3
        assert [session.closed for session in sessions] == [True, True, True]
        sessions.clear()
    assert caplog.records == []


@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_trio_is_told_to_use_httpx_and_can_close():
    transport = AiohttpTransport()

    async def main():
        with pytest.raises(TransportNotAvailableError, match="asyncio") as raised:
            await transport.send(get(server))
        assert "httpx" in raised.value.hint
        await transport.close()
        assert len(transport._channels._holding.get().made) == 0

    with ScriptedServer() as server, collected():

        async def begin():
            await transport.send(get(server))

        asyncio.run(begin())
        trio.run(main)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_makes_connections_of_its_own():
    script = """
        import asyncio, os, sys
        from memtrace.transport import Request
        from memtrace_transports._aiohttp import AiohttpTransport

        request = Request("GET", sys.argv[1], "/", timeout=5.0)
        transport, twin = AiohttpTransport(), AiohttpTransport()
        loop = asyncio.new_event_loop()
        loop.run_until_complete(transport.send(request))
        loop.run_until_complete(twin.send(request))
        transport._channels._holding.get().guard.acquire()  # as a thread of the parent that is busy just then
        child = os.fork()
        if child == 0:
            asyncio.set_event_loop(asyncio.new_event_loop())
            asyncio.run(transport.send(request))
            asyncio.run(twin.close())  # closes nothing of the parent's
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        transport._channels._holding.get().guard.release()
        for each in (transport, twin):
            loop.run_until_complete(each.send(request))
            loop.run_until_complete(each.close())
        print(status)
    """
    with ScriptedServer() as server:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script), server.url],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.stdout, done.stderr) == ("0\n", "")
        first, twin, child, *again = server.ports
    assert again == [first, twin]
    assert len({first, twin, child}) == 3


def test_another_process_closes_nothing_and_begins_anew(monkeypatch):
    async def main():
        transport, twin = AiohttpTransport(), AiohttpTransport()
        await transport.send(get(server))
        await twin.send(get(server))
        twins = (await twin._channels.get()).session
        parents = (await transport._channels.get()).session
        monkeypatch.setattr(os, "getpid", lambda: -1)
        await transport.close()
        assert not parents.closed
        await twin.send(get(server))
        assert (await twin._channels.get()).session is not twins
        await twin.close()
        assert not twins.closed
        await parents.close()
        await twins.close()

    with ScriptedServer() as server:
        asyncio.run(main())


# ---- cancelling


@pytest.mark.parametrize("step", [None, Drip(0.001, 20), Answer(pause=0.01)], ids=["quick", "drip", "pause"])
def test_calls_cancelled_at_random_moments_leave_no_connection_taken(step, caplog):
    chance = random.Random(4)

    async def main():
        transport = AiohttpTransport(options=TransportOptions(max_connections=4))
        for _ in range(CANCELLATIONS // 10):
            calls = [asyncio.ensure_future(transport.send(post(server, b"x" * 70_000))) for _ in range(10)]
            for call in chance.sample(calls, 10):
                await asyncio.sleep(chance.choice([0, 0, chance.random() * 0.008]))
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        channel = await transport._channels.get()
        assert channel.slots.free == 4
        assert len(channel.session.connector._acquired) == 0
        answers = await asyncio.gather(*(transport.send(get(server)) for _ in range(12)))
        assert {answer.status for answer in answers} == {200}
        await transport.close()

    with ScriptedServer(*([step] * CANCELLATIONS if step else [])) as server, collected():
        asyncio.run(main())
    assert caplog.records == []


# ---- TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command makes the certificates")
    return Authority(tmp_path_factory.mktemp("authority"))


def test_an_unknown_authority_is_no_connection(authority):
    with TlsServer(authority) as server:
        error = failed(one(get(server)), "connect", maybe_sent=False)
    assert "certificate verify failed" in error.message


def test_a_server_of_the_given_authority_is_trusted(authority):
    with TlsServer(authority) as server:
        assert one(get(server), ca_bundle=authority.ca).body == b"None"


def test_a_client_certificate_is_shown(authority):
    certificate, key = authority.client
    with TlsServer(authority, wants_client=True) as server:
        answer = one(get(server), ca_bundle=authority.ca, client_cert=certificate, client_key=key)
    assert answer.body == b"'client'"


# asyncio of Python 3.10 leaves a TLS transport open when the server refuses it
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_server_that_misses_a_client_certificate_gives_no_answer(authority):
    with TlsServer(authority, wants_client=True) as server, collected():  # so that what is left open is told here
        assert one(get(server), ca_bundle=authority.ca).cause in ("connect", "reset")


def test_without_verification_any_server_is_trusted(authority):
    with TlsServer(authority) as server, pytest.warns(UserWarning, match="verify=False"):
        assert one(get(server), verify=False).status == 200


def test_a_server_without_tls_is_no_connection_over_https():
    with ScriptedServer() as server:
        request = Request("POST", server.url.replace("http:", "https:"), "/", timeout=5.0)
        failed(one(request), "connect", maybe_sent=False)


def test_a_header_that_cannot_be_written_is_refused_at_construction_without_its_value():
    with pytest.raises(ConfigurationError, match="'x-a'") as raised:
        AiohttpTransport(options=TransportOptions(headers={"x-a": "SECRET\n"}))
    assert "SECRET" not in str(raised.value)


# ---- proxies


class Tunnel:
    """A proxy that answers CONNECT and passes bytes on to one address, whatever host is asked for."""

    def __init__(self, port):
        self._target = ("127.0.0.1", port)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.received = []

    def __enter__(self):
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *raised):
        self._thread.join(5)
        self._socket.close()

    def _serve(self):
        client, _ = self._socket.accept()
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        self.received.append(head)
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        server = socket.create_connection(self._target)
        back = threading.Thread(target=self._pass, args=(server, client), daemon=True)
        back.start()
        self._pass(client, server)
        back.join(5)
        client.close()
        server.close()

    @staticmethod
    def _pass(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


BASIC = b"Basic " + base64.b64encode(b"user:p@ss")


@pytest.mark.parametrize(
    ("target", "name"), crossed(["/api/v1/memories?a=b", "/a/../b|c?"], ["http_proxy", "all_proxy"])
)
def test_proxies_of_the_environment_are_used_with_their_credentials(monkeypatch, target, name):
    with ScriptedServer() as proxy:
        monkeypatch.setenv(name, proxy.url.replace("http://", "" if name == "all_proxy" else "http://user:p%40ss@"))
        one(Request("GET", "http://server.invalid:9100", target, timeout=5.0))
        assert proxy.received[0].startswith(f"GET http://server.invalid:9100{target} HTTP/1.1\r\n".encode())
        assert (BASIC in proxy.received[0]) is (name == "http_proxy")


def test_a_proxy_of_the_options_wins():
    with ScriptedServer() as proxy, Refuse() as other, pytest.MonkeyPatch.context() as patched:
        patched.setenv("http_proxy", other.url)
        answers = send(*[Request("GET", "http://server.invalid", "/", timeout=5.0)] * 2, proxy=proxy.url)
        assert [answer.status for answer in answers] == [200, 200]
        assert len(set(proxy.ports)) == 1


def test_the_environment_is_not_read_when_it_is_not_trusted(monkeypatch):
    with Refuse() as proxy, ScriptedServer() as server:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert one(get(server), trust_env=False).status == 200


def test_a_host_in_no_proxy_is_reached_directly(monkeypatch):
    with ScriptedServer() as proxy, ScriptedServer() as server:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        one(get(server))
        assert (len(proxy.received), len(server.received)) == (0, 1)


def test_a_tunnel_leads_to_a_server_over_tls_with_the_credentials_for_the_proxy_alone(authority):
    with TlsServer(authority) as server:
        port = int(server.url.rpartition(":")[2])
        with Tunnel(port) as proxy:
            request = Request("GET", f"https://localhost:{port}", "/", Headers({"x-api-key": "SECRET"}), timeout=5.0)
            answer = one(request, ca_bundle=authority.ca, proxy=f"http://user:p%40ss@127.0.0.1:{proxy.port}")
    assert answer.status == 200
    assert proxy.received[0].startswith(f"CONNECT localhost:{port} HTTP/1.1\r\n".encode())
    assert BASIC in proxy.received[0]
    assert b"SECRET" not in proxy.received[0]


@pytest.mark.parametrize("step", [Answer(403), Answer(407)])
def test_a_proxy_that_refuses_a_tunnel_means_no_connection(step):
    with ScriptedServer(step) as server:
        proxy = server.url.replace("//", "//user:SECRET@")
        error = one(Request("POST", "https://server.invalid", "/x", timeout=5.0), proxy=proxy)
    failed(error, "connect", maybe_sent=False)
    assert f"the proxy says {step.status}" in error.message
    assert "SECRET" not in "\n".join(told_by(error))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there_means_no_connection(scheme):
    with Refuse() as server:
        proxy = server.url.replace("//", "//SECRET@")
        error = one(Request("POST", f"{scheme}://server.invalid", "/x", timeout=5.0), proxy=proxy)
    failed(error, "connect", maybe_sent=False)
    assert "SECRET" not in "\n".join(told_by(error))


# ---- what people patch in aiohttp


class Answered(aiohttp.ClientResponse):
    """What aioresponses 0.7.9 makes, which does not know of the `stream_writer` that aiohttp 3.14 asks for."""

    def __init__(self, *given, **settings):
        super().__init__(*given, **{"stream_writer": SimpleNamespace(output_size=0), **settings})


@pytest.fixture
def mocked(monkeypatch):
    monkeypatch.setattr("aioresponses.core.ClientResponse", Answered)
    with aioresponses() as mocked:
        yield mocked


@pytest.mark.parametrize("own", [None, {}], ids=["ours", "theirs"])
def test_aioresponses_sees_our_calls(mocked, own):
    mocked.get("http://server/x?a=1", status=201, payload={"mocked": True}, headers={"X-Answer": "1"})
    mocked.get("http://server/y", exception=aiohttp.ServerDisconnectedError())
    mocked.post("http://server/api/v1/memories", status=500, body=b"\xff")
    request = Request("POST", "http://server", "/api/v1/memories", Headers({"x-api-key": "k"}), b"{}")
    answer, broken, posted = send(get_at("/x?a=1"), get_at("/y"), request, own=own)
    assert (answer.status, told(answer), answer.headers["x-answer"]) == (201, {"mocked": True}, "1")
    failed(broken, "reset", maybe_sent=True)
    assert (posted.status, posted.body) == (500, b"\xff")
    (call,) = mocked.requests["POST", yarl.URL("http://server/api/v1/memories")]
    assert dict(call.kwargs["headers"])["x-api-key"] == "k"
    assert call.kwargs["data"] == b"{}"


def get_at(target):
    return Request("GET", "http://server", target, timeout=5.0)


def test_aioresponses_refuses_what_it_was_not_told_of(mocked):
    failed(one(get_at("/unknown")), "reset", maybe_sent=True)


def test_a_whole_client_is_mocked_by_aioresponses(mocked):
    async def main():
        async with AsyncMemtrace("http://server", "key", transport="aiohttp") as client:
            await client.remember("assistant", "x")

    mocked.post("http://server/api/v1/memories", status=401, payload={"error": "invalid API key"})
    with pytest.raises(AuthenticationError, match="invalid API key"):
        asyncio.run(main())


def test_what_is_patched_into_a_session_sees_our_calls(monkeypatch):
    seen, original = [], aiohttp.ClientSession._request

    async def traced(session, method, url, **settings):
        seen.append((method, str(url)))
        return await original(session, method, url, **settings)

    monkeypatch.setattr(aiohttp.ClientSession, "_request", traced)
    with ScriptedServer() as server:
        assert one(get(server)).status == 200
        assert seen == [("GET", f"{server.url}/api/v1/memories")]

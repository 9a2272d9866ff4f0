"""The httpx transports against real sockets, in both forms and on both event loops."""

import asyncio
import contextlib
import gc
import json
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
import traceback
import weakref
from importlib import import_module

import anyio
import httpx
import pytest
import respx
import trio

from memtrace.async_client import AsyncMemtrace
from memtrace.client import Memtrace
from memtrace.exceptions import ClientClosedError, TransportError, TransportNotAvailableError
from memtrace.plugins import transport_registry
from memtrace.transport import AsyncTransport, Headers, Request, Response, Transport, TransportOptions
from memtrace_transports import AsyncHttpxTransport, FakeMemtrace, HttpxTransport, _httpx
from tests.garbage import collected
from tests.loopback import LoopbackServer
from tests.sampling import crossed, sample
from tests.transports.httpx_libraries import LIBRARIES
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


class Wire:
    """Sends on one form of the transport; several requests go one after the other over one transport."""

    def __init__(self, form, library):
        self.form = form
        self.httpx = library

    def transport(self, client=None, **given):
        """One that works with the library, on a client of the user's or with one of its own."""
        kind = HttpxTransport if self.form == "sync" else AsyncHttpxTransport
        return kind(client, **given) if client is not None else kind(library=self.httpx.__name__, **given)

    def send(self, *requests, own=None, transport=None, then=lambda client: None):
        """The answers; a `TransportError` among them is given as it is. `own` are settings of a client of the user's."""
        if self.form == "sync":
            client = None if own is None else self.httpx.Client(**own)
            used = transport or self.transport(client)
            answers = [self._try(used.send, request) for request in requests]
            used.close()
            if client is not None:
                then(client)
                client.close()
            return answers

        async def main():
            client = None if own is None else self.httpx.AsyncClient(**own)
            used = transport or self.transport(client)
            answers = []
            for request in requests:
                try:
                    answers.append(await used.send(request))
                except TransportError as error:
                    answers.append(error)
            await used.close()
            if client is not None:
                then(client)
                await client.aclose()
            return answers

        return asyncio.run(main()) if self.form == "asyncio" else trio.run(main)

    @staticmethod
    def _try(send, request):
        try:
            return send(request)
        except TransportError as error:
            return error

    def one(self, request, **given):
        (answer,) = self.send(request, **given)
        return answer


FORMS = ["sync", "asyncio", "trio"]
NAMES = [library.__name__ for library in LIBRARIES]
WIRES = [f"{form} {name}" for form in FORMS for name in NAMES]


def wire_of(described):
    form, _, name = described.partition(" ")
    return Wire(form, import_module(name))


@pytest.fixture(params=LIBRARIES, ids=lambda library: library.__name__)
def library(request):
    return request.param


@pytest.fixture(params=[" ".join(row) for row in crossed(FORMS, NAMES)])
def wire(request):
    """Every form and every library; in a whole run all pairs."""
    return wire_of(request.param)


@pytest.fixture(params=[" ".join(row) for row in crossed(FORMS[1:], NAMES)])
def async_wire(request):
    return wire_of(request.param)


@pytest.fixture(params=FORMS)
def httpx_wire(request):
    """For what patches httpx, and knows nothing of httpx2."""
    return Wire(request.param, httpx)


pytestmark = pytest.mark.network


def get(server, target="/api/v1/memories", **fields):
    return Request("GET", server.url, target, **{"timeout": 5.0, **fields})


def post(server, body=b"{}", **fields):
    return Request("POST", server.url, "/api/v1/memories", body=body, **{"timeout": 5.0, **fields})


def told(response):
    return json.loads(response.body)


# ---- what goes out and what comes in


def test_both_forms_are_transports():
    assert isinstance(HttpxTransport(), Transport)
    assert isinstance(AsyncHttpxTransport(), AsyncTransport)


STATUSES = [200, 201, 204, 301, 304, 400, 401, 404, 409, 418, 429, 500, 503, 599]


@pytest.mark.parametrize(("wire", "status"), crossed(WIRES, STATUSES), indirect=["wire"])
def test_no_status_raises(wire, status):
    with ScriptedServer(Answer(status, b"body")) as server:
        answer = wire.one(get(server))
    assert answer == Response(status, answer.headers, b"" if status in (204, 304) else b"body")


@pytest.mark.parametrize(("wire", "method"), crossed(WIRES, ["GET", "POST", "PUT", "DELETE"]), indirect=["wire"])
def test_methods_bodies_and_headers_arrive(wire, method):
    body = b'{"content": "\xc3\xa9"}' if method in ("POST", "PUT") else None
    fields = Headers([("x-api-key", "k"), ("X-Many", "1"), ("X-Many", "2"), ("user-agent", "ours")])
    with ScriptedServer(Echo()) as server:
        got = told(wire.one(Request(method, server.url, "/x", fields, body, timeout=5.0)))
    headers = [tuple(pair) for pair in got["headers"]]
    assert got["line"].startswith(method)
    assert got["body"].encode("latin-1") == (body or b"")
    for pair in (("x-api-key", "k"), ("x-many", "1"), ("x-many", "2"), ("user-agent", "ours")):
        assert headers.count(pair) == 1
    names = [name for name, _ in headers]
    assert names.count("host") == 1
    assert names.count("content-length") == (0 if body is None else 1)
    assert ("accept-encoding", "gzip, deflate") in headers
    assert "cookie" not in names


def test_an_accept_encoding_of_the_caller_is_the_only_one(wire):
    with ScriptedServer(Echo()) as server:
        got = told(wire.one(get(server, headers=Headers({"Accept-Encoding": "identity"}))))
    assert [value for name, value in got["headers"] if name == "accept-encoding"] == ["identity"]


def test_the_headers_of_an_answer_come_in_order_with_repeats(wire):
    with ScriptedServer(Answer(200, b"", [("X-B", "1"), ("Via", "a"), ("Via", "b"), ("X-A", "2")])) as server:
        answer = wire.one(get(server))
    assert answer.headers.get_all("via") == ["a", "b"]
    assert [name.lower() for name, _ in answer.headers.multi_items] == ["x-b", "via", "via", "x-a", "content-length"]


def test_a_body_comes_whole_and_decompressed(wire):
    large = os.urandom(300_000)
    with ScriptedServer(Zipped(200, b"text"), Answer(200, large)) as server:
        zipped, plain = wire.send(get(server), get(server))
    assert zipped.body == b"text"
    assert plain.body == large


def test_a_large_body_goes_out_whole(wire):
    with ScriptedServer(Echo()) as server:
        assert told(wire.one(post(server, b"x" * 1_000_000)))["body"] == "x" * 1_000_000


def test_redirects_are_not_followed(wire):
    with (
        ScriptedServer() as elsewhere,
        ScriptedServer(
            *[Answer(status, headers=[("Location", elsewhere.url)]) for status in (301, 302, 307, 308)]
        ) as server,
    ):
        answers = wire.send(*[get(server)] * 4)
        assert [answer.status for answer in answers] == [301, 302, 307, 308]
        assert answers[0].headers["location"] == elsewhere.url
        assert elsewhere.received == []


def test_redirects_are_not_followed_by_a_users_client_that_would(wire):
    with ScriptedServer() as elsewhere, ScriptedServer(Answer(302, headers=[("Location", elsewhere.url)])) as server:
        assert wire.one(get(server), own={"follow_redirects": True}).status == 302
        assert elsewhere.received == []


def test_cookies_are_not_kept(wire):
    with ScriptedServer(Answer(200, headers=[("Set-Cookie", "a=planted; Path=/")])) as server:
        wire.send(get(server), get(server))
        assert len(server.received) == 2
        assert b"planted" not in server.received[1]


def test_a_client_of_ours_does_not_even_store_them(library):
    with ScriptedServer(Answer(200, headers=[("Set-Cookie", "a=planted; Path=/")])) as server:
        transport = HttpxTransport(library=library.__name__)
        transport.send(get(server))
        client = transport._clients.get().acquire(None)
        assert isinstance(client, library.Client)
        assert len(client.cookies.jar) == len(client._cookies.jar) == 0
        client.close()


def test_a_connection_is_used_again(wire):
    with ScriptedServer() as server:
        wire.send(*[get(server)] * 3)
        assert len(set(server.ports)) == 1


# ---- failures


def failed(answer, cause, *, maybe_sent):
    assert type(answer) is TransportError
    assert (answer.cause, answer.maybe_sent) == (cause, maybe_sent)
    assert isinstance(answer.__cause__, Exception)
    assert answer.__context__ is None
    return answer


def test_a_refused_connection_was_never_sent(wire):
    with Refuse() as server:
        error = failed(wire.one(get(server)), "connect", maybe_sent=False)
        assert error.message.startswith(f"no connection to {server.url}: ")


def test_an_unknown_host_was_never_sent(wire):
    request = Request("GET", "http://no-such-host.invalid", "/", timeout=5.0)
    failed(wire.one(request), "connect", maybe_sent=False)


@pytest.mark.parametrize(("wire", "kind"), crossed(WIRES, [ResetAfterReading, CloseAfterReading]), indirect=["wire"])
def test_a_broken_connection_may_have_been_sent(wire, kind):
    with ScriptedServer(kind()) as server:
        failed(wire.one(post(server)), "reset", maybe_sent=True)
        assert len(server.received) == 1


def test_no_answer_in_time_may_have_been_sent(wire):
    with ScriptedServer(Echo(), Stall()) as server:
        _, answer = wire.send(get(server), post(server, timeout=0.1))
        error = failed(answer, "timeout", maybe_sent=True)
        assert error.message.startswith(f"no response from {server.url} in time: ")


def test_a_timeout_of_none_is_no_bound(wire):
    with ScriptedServer(Answer(pause=0.1)) as server:
        assert wire.one(get(server, timeout=None)).status == 200


def test_the_async_bound_holds_however_slowly_an_answer_drips(async_wire):
    with ScriptedServer(Echo(), Drip(0.01, 1000)) as server:
        _, answer = async_wire.send(get(server), get(server, timeout=0.15))
        failed(answer, "timeout", maybe_sent=True)


def test_a_connection_that_does_not_come_about_in_time_was_never_sent(wire):
    with deaf_address() as url:
        error = failed(wire.one(Request("POST", url, "/", timeout=0.1)), "timeout", maybe_sent=False)
    assert error.message.startswith("no connection to http://127.0.0.1:")


@pytest.fixture
def silent():
    """The port of a socket that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_a_tls_handshake_that_stalls_was_never_sent(wire, silent):
    request = Request("POST", f"https://127.0.0.1:{silent}", "/", timeout=0.1)
    error = failed(wire.one(request, own={"verify": False}), "timeout", maybe_sent=False)
    assert error.message.startswith("no connection to https://127.0.0.1:")


def test_a_tunnel_that_does_not_come_about_in_time_carried_nothing(async_wire, silent):
    own = {"proxy": f"http://127.0.0.1:{silent}"}
    request = Request("POST", "https://server.invalid", "/", timeout=0.1)
    failed(async_wire.one(request, own=own), "timeout", maybe_sent=False)


class SendsTwice:
    """A transport of the user's that sends each request again, to another address, where the connection breaks."""

    def __init__(self, library, elsewhere):
        self._inner = library.AsyncHTTPTransport()
        self._library = library
        self._elsewhere = elsewhere

    async def handle_async_request(self, request):
        try:
            return await self._inner.handle_async_request(request)
        except self._library.RemoteProtocolError:
            request.url = self._library.URL(self._elsewhere)
            return await self._inner.handle_async_request(request)

    async def aclose(self):
        await self._inner.aclose()


def test_a_request_that_a_users_transport_sent_before_it_connects_again_may_have_been_sent(async_wire):
    with ScriptedServer(Echo(), CloseAfterReading()) as server, deaf_address() as url:
        own = {"transport": SendsTwice(async_wire.httpx, url)}
        _, answer = async_wire.send(get(server), post(server, timeout=0.3), own=own)
        failed(answer, "timeout", maybe_sent=True)


class Sleeping:
    """A transport of the user's that tells nothing of how far it comes."""

    async def handle_async_request(self, request):
        await anyio.sleep_forever()

    async def aclose(self):
        pass


def test_what_a_transport_of_another_make_did_within_the_bound_is_not_known(async_wire):
    request = Request("POST", "http://server", "/", timeout=0.05)
    failed(async_wire.one(request, own={"transport": Sleeping()}), "timeout", maybe_sent=True)


def test_a_tracer_of_the_users_hears_all_and_stays_where_it_is(async_wire):
    steps, left = [], []

    async def hook(request):
        ours = request.extensions["trace"]

        async def tracer(step, info):
            steps.append(step)
            await ours(step, info)

        request.extensions["trace"] = tracer

    async def look(response):
        left.append("trace" in response.request.extensions)

    with ScriptedServer() as server:
        answer = async_wire.one(get(server), own={"event_hooks": {"request": [hook], "response": [look]}})
    assert answer.status == 200
    assert {"http11.send_request_headers.started", "http11.receive_response_headers.complete"} <= set(steps)
    assert left == [True]


@pytest.mark.parametrize("timeout", [5.0, None])
def test_a_request_is_followed_no_further_than_to_its_sending(async_wire, timeout):
    before, after = [], []

    async def hook(request):
        before.append("trace" in request.extensions)

    async def look(response):
        after.append("trace" in response.request.extensions)

    with ScriptedServer() as server:
        async_wire.one(get(server, timeout=timeout), own={"event_hooks": {"request": [hook], "response": [look]}})
    assert (before, after) == ([True], [False])


@pytest.mark.parametrize("timeout", [5.0, None])
def test_a_refused_connection_proves_nothing_after_a_users_transport_has_sent(async_wire, timeout):
    with ScriptedServer(Echo(), CloseAfterReading()) as server, Refuse() as nobody:
        own = {"transport": SendsTwice(async_wire.httpx, nobody.url)}
        _, answer = async_wire.send(get(server), post(server, timeout=timeout), own=own)
        failed(answer, "connect", maybe_sent=True)


class BlocksInAThread:
    """A transport of the user's that runs a blocking one of the library in a thread."""

    def __init__(self, library):
        self._library = library
        self._inner = library.HTTPTransport()

    async def handle_async_request(self, request):
        outgoing = self._library.Request(
            request.method, request.url, headers=request.headers, content=request.content, extensions=request.extensions
        )
        answer = await anyio.to_thread.run_sync(self._inner.handle_request, outgoing)
        return self._library.Response(answer.status_code, headers=answer.headers, content=answer.read())

    async def aclose(self):
        self._inner.close()


def test_a_users_transport_may_block_in_a_thread(async_wire):
    with ScriptedServer() as server:
        assert async_wire.one(post(server), own={"transport": BlocksInAThread(async_wire.httpx)}).status == 200


def test_a_request_that_a_tracer_of_the_users_follows_alone_may_have_been_sent(async_wire):
    async def mine(step, info):
        pass

    async def hook(request):
        request.extensions["trace"] = mine

    async def main():
        client = async_wire.httpx.AsyncClient(
            limits=async_wire.httpx.Limits(max_connections=1), event_hooks={"request": [hook]}
        )
        async with client, anyio.create_task_group() as group:
            transport = AsyncHttpxTransport(client)
            group.start_soon(transport.send, get(server, timeout=None))
            while not server.received:  # noqa: ASYNC110 - it is set in a thread
                await anyio.sleep(0.001)
            try:
                await transport.send(post(server, timeout=0.05))
            except TransportError as error:
                group.cancel_scope.cancel()
                return error

    with ScriptedServer(Stall()) as server:
        error = anyio.run(main, backend=async_wire.form)
    failed(error, "timeout", maybe_sent=True)


def test_waiting_for_a_free_connection_was_never_sent(wire):
    with ScriptedServer(Stall()) as server:
        limits = wire.httpx.Limits(max_connections=1)
        if wire.form == "sync":
            client = wire.httpx.Client(limits=limits)
            transport = HttpxTransport(client)
            thread = threading.Thread(target=wire._try, args=(transport.send, get(server, timeout=None)))
            thread.start()
            while not server.received:
                time.sleep(0.001)
            error = wire._try(transport.send, get(server, timeout=0.1))
            server.ended.set()
            thread.join()
            client.close()
        else:

            async def main():
                async with wire.httpx.AsyncClient(limits=limits) as client:
                    transport = AsyncHttpxTransport(client)

                    async def first():
                        with contextlib.suppress(TransportError):
                            await transport.send(get(server, timeout=None))

                    async with anyio.create_task_group() as group:
                        group.start_soon(first)
                        while not server.received:  # noqa: ASYNC110 - it is set in a thread
                            await anyio.sleep(0.001)
                        try:
                            await transport.send(get(server, timeout=0.1))
                        except TransportError as error:
                            server.ended.set()
                            return error

            error = asyncio.run(main()) if wire.form == "asyncio" else trio.run(main)
    failed(error, "timeout", maybe_sent=False)
    assert "no free connection" in error.message


GARBLED = {
    "bytes": Garbage(),
    "version": Garbage(b"HTTP/9.9 what\r\n\r\n"),
    "header": Garbage(b"HTTP/1.1 200 x\r\nbad header\r\n\r\n"),
    "truncated": Truncate(),
    "not gzip": Zipped(200, b"x", broken=True),
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # httpx leaves generators to trio
@pytest.mark.parametrize(("wire", "name"), crossed(WIRES, list(GARBLED)), indirect=["wire"])
def test_an_answer_that_is_no_http_is_told(wire, name):
    with ScriptedServer(GARBLED[name]) as server:
        failed(wire.one(post(server)), "protocol", maybe_sent=True)


def test_each_failed_attempt_raises_a_new_error(wire):
    with Refuse() as server:
        first, second = wire.send(get(server), get(server))
    assert first is not second


def test_the_next_request_after_a_failure_works(wire):
    with ScriptedServer(ResetAfterReading(), Garbage(), Truncate()) as server:
        answers = wire.send(*[get(server)] * 4)
        assert [type(answer) for answer in answers] == [TransportError] * 3 + [Response]


def withheld(answer, kind):
    """A failure that says nothing of what the library said, which repeats what was to be sent."""
    assert type(answer) is TransportError
    assert (answer.cause, answer.maybe_sent) == ("protocol", False)
    assert (answer.__cause__, answer.__context__) == (None, None)
    assert answer.message.endswith(f"a header or the path holds what HTTP does not allow ({kind})")
    return answer


@pytest.mark.parametrize(
    "target",
    [pytest.param("/x?" + "a" * 70_000, id="too long"), pytest.param("/\x7f", id="unprintable")],
)
def test_an_address_that_cannot_be_written_was_never_sent(wire, target):
    with ScriptedServer() as server:
        failed(wire.one(get(server, target)), "protocol", maybe_sent=False)
        assert server.received == []


WHOSE = {"ours": None, "theirs": {}}
UNWRITABLE = {
    "path not ASCII": ({"target": "/é"}, "UnicodeEncodeError"),
    "header not ASCII": ({"headers": Headers({"x": "é€"})}, "UnicodeEncodeError"),
    "header name": ({"headers": Headers({"bad name": "x"})}, "LocalProtocolError"),
    "line break": ({"headers": Headers({"x": "line\nbreak"})}, "LocalProtocolError"),
}


@pytest.mark.parametrize(("wire", "name", "whose"), crossed(WIRES, list(UNWRITABLE), list(WHOSE)), indirect=["wire"])
def test_a_request_that_cannot_be_written_was_never_sent(wire, name, whose):
    changed, kind = UNWRITABLE[name]
    with ScriptedServer() as server:
        answer = wire.one(get(server, **changed), own=WHOSE[whose])
        assert server.received == []
    assert withheld(answer, kind).message.startswith(f"the request to {server.url} cannot be written: ")


def told_by(error):
    """All that the error and those behind it say to a log."""
    yield from traceback.format_exception(error)
    while error is not None:
        yield from (str(error), repr(error), repr(error.args), repr(vars(error)))
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize(
    ("wire", "key", "whose"),
    crossed(WIRES, ["SECRET\n", "SECRET\r\nx: y", "SECRET\0", "SECRETé€", " SECRET"], list(WHOSE)),
    indirect=["wire"],
)
def test_a_key_that_cannot_be_written_is_repeated_by_no_error(wire, key, whose):
    with ScriptedServer() as server:
        answer = wire.one(get(server, headers=Headers({"x-api-key": key})), own=WHOSE[whose])
    assert isinstance(answer, TransportError)
    assert "SECRET" not in "\n".join(told_by(answer))


def test_an_address_that_httpx_does_not_understand_was_never_sent(wire):
    failed(wire.one(Request("GET", "memory://", "/x", timeout=1.0)), "connect", maybe_sent=False)


class Broken:
    """A transport of either library, in either form."""

    def __init__(self, error):
        self.error = error

    def handle_request(self, request):
        raise self.error

    async def handle_async_request(self, request):
        raise self.error

    def close(self):
        pass

    async def aclose(self):
        pass


FAILURES = [
    ("WriteTimeout", "x", "timeout", True),
    ("ReadTimeout", "", "timeout", True),
    ("TimeoutError", "x", "timeout", True),
    ("WriteError", "x", "reset", True),
    ("CloseError", "x", "reset", True),
    ("ProxyError", "x", "connect", False),
    ("TransportError", "x", "protocol", True),
]


@pytest.mark.parametrize(
    ("wire", "name", "text", "cause", "maybe_sent"),
    [(wire, *failure) for wire, failure in crossed(WIRES, FAILURES)],
    indirect=["wire"],
)
def test_every_other_failure_has_its_cause(wire, name, text, cause, maybe_sent):
    error = getattr(wire.httpx, name, TimeoutError)(text)
    answer = wire.one(Request("GET", "http://server", "/"), own={"transport": Broken(error)})
    failed(answer, cause, maybe_sent=maybe_sent)
    assert answer.message.endswith(f": {error}" if str(error) else f": {type(error).__name__}")


def test_what_is_no_failure_of_the_network_is_not_disguised(wire):
    with pytest.raises(ZeroDivisionError, match="a bug"):
        wire.one(Request("GET", "http://server", "/"), own={"transport": Broken(ZeroDivisionError("a bug"))})


# ---- a client of the user's own


def test_a_users_client_is_used_as_it_is_and_not_closed(wire):
    own = {"headers": {"x-own": "1", "user-agent": "theirs"}, "cookies": {"c": "1"}}
    closed = []
    with ScriptedServer() as server:
        request = get(server, headers=Headers({"User-Agent": "ours"}))
        answer = wire.one(request, own=own, then=lambda client: closed.append(client.is_closed))
    got = dict(map(tuple, told(answer)["headers"]))
    assert (got["x-own"], got["user-agent"], got["cookie"]) == ("1", "ours", "c=1")
    assert closed == [False]


def test_hundreds_of_odd_targets_are_sent_byte_for_byte_by_a_users_client_too(wire):
    with ScriptedServer() as server:
        wire.send(*(get(server, target) for target in ODD), own={})
        lines = [received.partition(b"\r\n")[0].decode() for received in server.received]
    assert lines == [f"GET {target} HTTP/1.1" for target in ODD]


@pytest.mark.parametrize(
    ("kind", "wanted", "other"),
    [(HttpxTransport, "Client", "AsyncClient"), (AsyncHttpxTransport, "AsyncClient", "Client")],
)
def test_the_other_kind_of_client_is_refused(kind, wanted, other, library):
    name = library.__name__
    for given, described in (
        (getattr(library, other)(), f"an object of {name}.{other}"),
        (getattr(library, wanted), f"the class {name}.{wanted}"),
        ("http://x", "an object of builtins.str"),
    ):
        with pytest.raises(
            TypeError, match=f"^{kind.__name__} accepts (a|an) {wanted} of httpx or httpx2, not {described}$"
        ):
            kind(given)


class Traced:
    """A class that tracing puts in the place of a library's own."""

    @staticmethod
    def of(kind):
        return type("Traced", (kind,), {"__module__": "a_tracer"})


def test_a_client_of_a_derived_class_is_known_by_its_library(wire):
    kind = Traced.of(wire.httpx.Client if wire.form == "sync" else wire.httpx.AsyncClient)
    client = kind(transport=Broken(wire.httpx.ReadError("x")))
    failed(wire.one(Request("GET", "http://server", "/"), transport=wire.transport(client)), "reset", maybe_sent=True)
    client.close() if wire.form == "sync" else asyncio.run(client.aclose())


class Handmade:
    """A client of no library's class, which raises what httpx2 would."""

    is_closed = False

    def __init__(self, library):
        self._library = library

    def build_request(self, *given, **more):
        return self._library.Request(*given, **{name: more[name] for name in ("headers", "content")})

    def send(self, request, **settings):
        raise self._library.ConnectError("x")

    def close(self):
        pass


def test_a_client_of_no_librarys_class_is_of_the_one_that_is_named(library):
    transport = HttpxTransport(Handmade(library), library=library.__name__)
    with pytest.raises(TransportError, match="no connection"):
        transport.send(Request("GET", "http://server", "/"))


@pytest.mark.parametrize("kind", [HttpxTransport, AsyncHttpxTransport])
def test_another_library_is_refused(kind):
    with pytest.raises(TypeError, match="library= is 'httpx' or 'httpx2', not 'requests'"):
        kind(library="requests")


def test_both_libraries_are_transports_by_name(library):
    spec = transport_registry.get(library.__name__)
    assert spec.requires == (library.__name__,)
    assert spec.extra == {"httpx": None, "httpx2": "httpx2"}[library.__name__]
    with ScriptedServer() as server:
        transport = spec.create(TransportOptions())
        transport.send(get(server))
        client = transport._clients.get().acquire(None)
        assert isinstance(client, library.Client)
        transport._clients.get().release(client)
        transport.close()


def test_where_httpx2_is_not_installed_its_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx2", None)
    (info,) = (info for info in transport_registry.listing() if info.name == "httpx2")
    assert (info.status, info.detail) == ("missing package", 'run: pip install "memtrace-sdk[httpx2]"')
    with pytest.raises(TransportNotAvailableError, match="transport 'httpx2' needs the package httpx2") as caught:
        Memtrace("http://server", "key", transport="httpx2")
    assert caught.value.hint == 'run: pip install "memtrace-sdk[httpx2]"'


@pytest.mark.skipif("httpx2" not in {each.__name__ for each in LIBRARIES}, reason="httpx2 needs Python 3.11")
def test_whole_clients_work_on_httpx2_by_name():
    fake = FakeMemtrace()
    with LoopbackServer(fake) as server:
        key = fake.organisation().api_key
        with Memtrace(server.url, key, transport="httpx2") as client:
            client.remember("assistant", "blocking")

        async def main():
            async with AsyncMemtrace(f"httpx2+{server.url}", key) as client:
                return [memory.content for memory in (await client.recall("assistant")).memories]

        assert asyncio.run(main()) == ["blocking"]


def test_a_users_client_that_is_closed_is_told(wire):
    if wire.form == "sync":
        client = wire.httpx.Client()
        client.close()
    else:
        client = wire.httpx.AsyncClient()
        asyncio.run(client.aclose())
    transport = wire.transport(client)
    with pytest.raises(ClientClosedError, match=f"the {wire.httpx.__name__} client"):
        wire.one(Request("GET", "http://server", "/"), transport=transport)


def test_a_users_client_that_is_closed_while_a_request_is_on_its_way_denies_nothing(wire):
    def close(request):
        client.close()
        raise RuntimeError("odd")

    async def close_async(request):
        await client.aclose()
        raise RuntimeError("odd")

    if wire.form == "sync":
        client = wire.httpx.Client(event_hooks={"request": [close]})
    else:
        client = wire.httpx.AsyncClient(event_hooks={"request": [close_async]})
    with pytest.raises(TransportError, match="client was closed") as caught:
        raise wire.one(Request("GET", "http://server", "/"), transport=wire.transport(client))
    assert (caught.value.cause, caught.value.maybe_sent) == ("reset", True)
    assert str(caught.value.__cause__) == "odd"


# ---- the life of a transport


def test_a_closed_transport_sends_nothing(wire):
    transport = wire.transport()
    with ScriptedServer() as server:
        wire.send(get(server), transport=transport)
        wire.send(transport=transport)
        with pytest.raises(ClientClosedError, match="transport is closed"):
            wire.send(get(server), transport=transport)
        assert len(server.received) == 1


def test_a_transport_that_was_never_used_closes(wire):
    assert wire.send() == []


def test_connections_close_with_the_transport():
    with ScriptedServer() as server:
        transport = HttpxTransport()
        transport.send(get(server))
        lending = transport._clients.get()
        client = lending.acquire(None)
        lending.release(client)
        transport.close()
        assert client.is_closed


def test_no_client_is_made_before_the_first_request(monkeypatch):
    monkeypatch.setattr(httpx, "Client", None)
    monkeypatch.setattr(httpx, "AsyncClient", None)
    HttpxTransport().close()
    AsyncHttpxTransport()
    _httpx.memtrace_transport().create(TransportOptions())
    _httpx.memtrace_transport().create_async(TransportOptions())


def test_many_threads_share_their_clients():
    transport, clients = HttpxTransport(), set()
    barrier = threading.Barrier(16)

    def use():
        barrier.wait()
        clients.add(transport._clients.get())

    threads = [threading.Thread(target=use) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(clients) == 1
    transport.close()


async def newest(transport):
    """The client that an async transport lends next."""
    channel = await transport._channels.get()
    client = await channel.acquire(None)
    await channel.release(client)
    return client


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_second_event_loop_has_a_pool_of_its_own_and_the_dead_ones_are_let_go(async_wire):
    transport, clients = async_wire.transport(), []

    async def main():
        for _ in range(2):
            assert (await transport.send(get(server))).status == 200
        clients.append(weakref.ref(await newest(transport)))

    with ScriptedServer() as server, collected():
        for _ in range(4):
            asyncio.run(main()) if async_wire.form == "asyncio" else trio.run(main)
        assert len(set(server.ports)) == 4
        gc.collect()
        assert sum(client() is not None for client in clients) <= 1
        transport._channels._holding.get().made.clear()


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_closing_on_another_loop_closes_what_is_there():
    async def main():
        await transport.send(get(server))
        client = await newest(transport)
        await transport.close()
        return client.is_closed

    async def only_send():
        await transport.send(get(server))

    with ScriptedServer() as server, collected():
        transport = AsyncHttpxTransport()
        asyncio.run(only_send())
        assert trio.run(main) is True
        assert len(transport._channels._holding.get().made) == 0


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("name", sample(NAMES, 1))
def test_a_forked_child_makes_connections_of_its_own(name):
    script = """
        import asyncio, os, sys
        from memtrace.transport import Request
        from memtrace_transports import AsyncHttpxTransport, HttpxTransport

        request = Request("GET", sys.argv[1], "/", timeout=5.0)
        given = {"library": sys.argv[2]}
        sync, twin, asynchronous = HttpxTransport(**given), HttpxTransport(**given), AsyncHttpxTransport(**given)
        sync.send(request), twin.send(request)
        loop = asyncio.new_event_loop()
        loop.run_until_complete(asynchronous.send(request))
        sync._clients._holding.get().guard.acquire()  # as a thread of the parent that is busy just then
        asynchronous._channels._holding.get().guard.acquire()
        child = os.fork()
        if child == 0:
            sync.send(request)
            sync.close()
            twin.close()  # closes nothing of the parent's
            loop.run_until_complete(asynchronous.send(request))
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sync._clients._holding.get().guard.release()
        asynchronous._channels._holding.get().guard.release()
        sync.send(request), twin.send(request)
        loop.run_until_complete(asynchronous.send(request))
        loop.run_until_complete(asynchronous.close())
        sync.close(), twin.close()
        print(status)
    """
    with ScriptedServer() as server:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script), server.url, name],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.stdout, done.stderr) == ("0\n", "")
        sync, twin, asynchronous, child_sync, child_async, *again = server.ports
    assert again == [sync, twin, asynchronous]
    assert len({sync, twin, asynchronous, child_sync, child_async}) == 5


def test_another_process_closes_nothing_and_begins_anew(monkeypatch, wire):
    with ScriptedServer() as server:
        sync = HttpxTransport()
        sync.send(get(server))
        parents = sync._clients.get().acquire(None)
        sync._clients.get().release(parents)
        with monkeypatch.context() as patched:
            patched.setattr(os, "getpid", lambda: -1)
            sync.close()
            assert not parents.is_closed
        parents.close()

        transport = wire.transport()
        holder = transport._clients if wire.form == "sync" else transport._channels
        before = holder._holding.get()
        monkeypatch.setattr(os, "getpid", lambda: -2)
        wire.send(get(server), transport=transport)
        assert holder._holding.get() is not before


def test_another_process_does_not_close_an_async_pool(monkeypatch):
    async def main():
        transport = AsyncHttpxTransport()
        await transport.send(get(server))
        client = await newest(transport)
        with monkeypatch.context() as patched:
            patched.setattr(os, "getpid", lambda: -1)
            await transport.close()
        assert not client.is_closed
        await client.aclose()

    with ScriptedServer() as server:
        asyncio.run(main())


# ---- what people patch and configure in httpx


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        (
            {"body": b"abc"},
            [("host", "{}"), ("x-one", "1"), ("accept-encoding", "gzip, deflate"), ("content-length", "3")],
        ),
        ({}, [("host", "{}"), ("content-length", "0"), ("x-one", "1"), ("accept-encoding", "gzip, deflate")]),
        (
            {
                "body": b"abc",
                "headers": Headers([("Content-Length", "3"), ("Host", "other"), ("accept-encoding", "br")]),
            },
            [("content-length", "3"), ("host", "other"), ("accept-encoding", "br")],
        ),
    ],
)
def test_a_patched_send_sees_the_request_complete(wire, monkeypatch, fields, sent):
    seen = []
    kind = wire.httpx.Client if wire.form == "sync" else wire.httpx.AsyncClient
    original = kind.send

    def send(self, request, **options):
        seen.append((request.headers.multi_items(), request.content, request.extensions["timeout"]["write"]))
        return original(self, request, **options)

    monkeypatch.setattr(kind, "send", send)
    with ScriptedServer() as server:
        request = Request("POST", server.url, "/x", **{"headers": Headers([("X-One", "1")]), "timeout": 5.0, **fields})
        wire.send(request, request)
        host = server.url.partition("://")[2]
    expected = [(name, value.format(host)) for name, value in sent]
    assert seen == [(expected, fields.get("body", b""), 5.0)] * 2


def test_respx_as_a_context_sees_our_calls(httpx_wire):
    with respx.mock as router:
        route = router.get("http://server/x", params={"a": "1"}).respond(201, json={"mocked": True})
        answer = httpx_wire.one(Request("GET", "http://server", "/x?a=1"))
    assert (answer.status, told(answer)) == (201, {"mocked": True})
    assert route.call_count == 1


@respx.mock
def test_respx_as_a_decorator_sees_a_whole_client():
    respx.post("http://server/api/v1/memories").respond(401, json={"error": "invalid API key"})
    with Memtrace("http://server", "key") as client, pytest.raises(Exception, match="invalid API key"):
        client.remember("assistant", "x")
    assert respx.calls.last.request.headers["x-api-key"] == "key"


@pytest.mark.parametrize("using", ["httpx", "httpcore"])
def test_respx_in_either_of_its_modes_sees_our_calls(httpx_wire, using):
    with respx.mock(using=using, base_url="http://server") as router:
        router.get("/x").respond(202)
        assert httpx_wire.one(Request("GET", "http://server", "/x")).status == 202


def test_respx_as_the_transport_of_a_users_client_sees_our_calls(httpx_wire):
    router = respx.Router()
    router.get("http://server/x").respond(203)
    handler = router.handler if httpx_wire.form == "sync" else router.async_handler
    own = {"transport": httpx.MockTransport(handler)}
    assert httpx_wire.one(Request("GET", "http://server", "/x"), own=own).status == 203


def test_an_interim_response_of_a_users_transport_is_an_error(httpx_wire):
    import httpx

    own = {"transport": httpx.MockTransport(lambda request: httpx.Response(103))}
    error = httpx_wire.one(Request("GET", "http://server", "/x"), own=own)
    assert isinstance(error, TransportError)
    assert (error.cause, error.maybe_sent) == ("protocol", True)
    assert "interim answer" in error.message


def test_a_function_in_the_place_of_the_class_makes_our_clients(monkeypatch):
    import httpx

    kind, made = httpx.AsyncClient, []

    def make(**settings):
        made.append((settings["http2"], settings["limits"]))
        return kind(**{**settings, "http2": False})

    async def main(**options):
        transport = AsyncHttpxTransport(options=TransportOptions(**options))
        await asyncio.gather(*(transport.send(get(server)) for _ in range(3)))
        await transport.close()

    monkeypatch.setattr(httpx, "AsyncClient", make)
    with ScriptedServer() as server:
        asyncio.run(main(keepalive_expiry=7))
        asyncio.run(main(keepalive_expiry=7, http2=True))
        asyncio.run(main(keepalive_expiry=7, http2=True, max_keepalive_connections=2, max_connections=5))
    single = httpx.Limits(max_connections=1, max_keepalive_connections=100, keepalive_expiry=7)
    shared = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=7)
    fewer = httpx.Limits(max_connections=5, max_keepalive_connections=2, keepalive_expiry=7)
    assert made == [(False, single)] * 3 + [(True, shared), (True, fewer)]


def test_what_is_patched_into_send_sees_our_calls(wire, monkeypatch):
    seen = []
    kind = wire.httpx.Client if wire.form == "sync" else wire.httpx.AsyncClient
    original = kind.send

    def send(self, request, **options):
        seen.append((request.method, request.url.path, request.headers["x-api-key"]))
        return original(self, request, **options)

    monkeypatch.setattr(kind, "send", send)
    with ScriptedServer() as server:
        wire.one(get(server, headers=Headers({"x-api-key": "k"})))
    assert seen == [("GET", "/api/v1/memories", "k")]


@pytest.mark.parametrize(("wire", "target"), crossed(WIRES, ["/api/v1/memories?a=b", "/a/../b|c"]), indirect=["wire"])
def test_proxies_of_the_environment_are_used(wire, monkeypatch, target):
    with ScriptedServer() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        answer = wire.one(Request("GET", "http://server.invalid:9100", target, timeout=5.0))
        assert told(answer)["line"] == f"GET http://server.invalid:9100{target} HTTP/1.1"


def test_a_host_in_no_proxy_is_reached_directly(wire, monkeypatch):
    with ScriptedServer() as proxy, ScriptedServer() as server:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        wire.one(get(server))
        assert (len(proxy.received), len(server.received)) == (0, 1)


@pytest.mark.parametrize(("wire", "target"), crossed(WIRES, ["/x", "/a/../b|c"]), indirect=["wire"])
def test_a_proxy_that_refuses_a_tunnel_means_no_connection(wire, monkeypatch, target):
    with ScriptedServer(Answer(403)) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        error = failed(
            wire.one(Request("POST", "https://server.invalid", target, timeout=5.0)), "connect", maybe_sent=False
        )
        assert proxy.received[0].startswith(b"CONNECT server.invalid:443 HTTP/1.1\r\n")
        assert "403" in error.message


def test_a_server_without_tls_is_no_connection_over_https(wire):
    with ScriptedServer() as server:
        request = Request("POST", server.url.replace("http:", "https:"), "/", timeout=5.0)
        failed(wire.one(request), "connect", maybe_sent=False)

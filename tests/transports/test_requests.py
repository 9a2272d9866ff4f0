"""The requests transport against real sockets: plain, through proxies, and over TLS with a CA of its own."""

import contextlib
import functools
import gzip
import io
import itertools
import json
import logging
import os
import shutil
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import time
import traceback
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import responses
import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter

from memtrace.exceptions import ClientClosedError, TransportError
from memtrace.transport import Headers, Request, Response, Transport, TransportOptions
from memtrace_transports import _requests
from memtrace_transports._checks.tls import ssl_context
from memtrace_transports._requests import RequestsTransport, _headers_class
from tests.sampling import crossed, is_whole
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
)

pytestmark = pytest.mark.network


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@contextlib.contextmanager
def ours(**options):
    transport = RequestsTransport(options=TransportOptions(**options))
    try:
        yield transport
    finally:
        transport.close()


@contextlib.contextmanager
def theirs(**settings):
    with requests.Session() as session:
        for name, value in settings.items():
            setattr(session, name, value)
        yield RequestsTransport(session)


WHOSE = ["ours", "theirs"]


@pytest.fixture(params=WHOSE)
def transport(request):
    with (ours if request.param == "ours" else theirs)() as made:
        yield made


def get(server, target="/api/v1/memories", **fields):
    return Request("GET", getattr(server, "url", server), target, **{"timeout": 5.0, **fields})


def post(server, body=b"{}", **fields):
    return Request("POST", server.url, "/api/v1/memories", body=body, **{"timeout": 5.0, **fields})


def told(response):
    return json.loads(response.body)


def fields(response):
    return dict(map(tuple, told(response)["headers"]))


def failed(transport, request, cause, *, maybe_sent):
    with pytest.raises(TransportError) as caught:
        transport.send(request)
    error = caught.value
    assert (error.cause, error.maybe_sent) == (cause, maybe_sent), error
    assert error.__context__ is error.__cause__ or error.__context__ is None
    return error


class RawServer:
    """Answers every connection with the same bytes, or does what `act` does, and keeps what came."""

    def __init__(self, data=b"HTTP/1.1 200 x\r\nContent-Length: 2\r\n\r\n{}", *, act=None):
        self.received, self._data, self._act = [], data, act
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, connection):
        with connection, contextlib.suppress(OSError):
            if self._act is not None:
                self._act(connection)
                return
            while head := self._head(connection):
                self.received.append(head)
                connection.sendall(self._data)
                if b"Content-Length" not in self._data and b"chunked" not in self._data:
                    return

    @staticmethod
    def _head(connection):
        head = b""
        while b"\r\n\r\n" not in head:
            more = connection.recv(65536)
            if not more:
                return b""
            head += more
        return head

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *raised):
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(1)


# ---- what goes out and what comes in


def test_it_is_a_transport():
    assert isinstance(RequestsTransport(), Transport)


def test_the_hook_tells_what_it_honours():
    spec = _requests.memtrace_transport()
    assert (spec.requires, spec.extra, spec.create_async) == (("requests",), "requests", None)
    assert spec.capabilities == {
        "connect_timeout", "read_timeout", "max_connections", "ca_bundle", "client_cert", "client_key",
        "client_key_password", "verify", "proxy", "trust_env", "max_response_bytes", "headers",
    }  # fmt: skip
    assert isinstance(spec.create(TransportOptions()), RequestsTransport)


STATUSES = [200, 201, 204, 301, 304, 400, 401, 404, 409, 418, 429, 500, 503, 599]


@pytest.mark.parametrize(("transport", "status"), crossed(WHOSE, STATUSES), indirect=["transport"])
def test_no_status_raises(transport, status):
    with ScriptedServer(Answer(status, b"body"), Echo()) as server:
        answer = transport.send(get(server))
        transport.send(get(server))
        assert len(set(server.ports)) == 1
    assert answer == Response(status, answer.headers, b"" if status in (204, 304) else b"body")


def lines(server):
    return [head.split(b"\r\n")[0].decode() for head in server.received]


def test_a_users_session_sends_every_well_formed_target_byte_for_byte():
    targets = [f"/p/%{byte:02X}/x?a=%{byte:02X}" for byte in range(256)] + ["/a/./b", "/%2E%2E/~x", "/p?", "//a"]
    with RawServer() as server, theirs(params={"not": "added"}) as transport:
        for target in targets:
            transport.send(get(server, target))
        assert lines(server) == [f"GET {target} HTTP/1.1" for target in targets]


@pytest.mark.parametrize(
    ("transport", "method"), crossed(WHOSE, ["GET", "POST", "PUT", "DELETE"]), indirect=["transport"]
)
def test_methods_bodies_and_headers_arrive(transport, method):
    body = b'{"content": "\xc3\xa9"}' if method in ("POST", "PUT") else None
    with ScriptedServer() as server:
        headers = Headers({"X-Api-Key": "k", "Content-Type": "application/json"})
        answer = transport.send(Request(method, server.url, "/x", headers, body, timeout=5.0))
    assert told(answer)["line"] == f"{method} /x HTTP/1.1"
    assert told(answer)["body"] == (body or b"").decode("latin-1")
    assert (fields(answer)["x-api-key"], fields(answer)["content-type"]) == ("k", "application/json")
    assert "cookie" not in fields(answer)


@pytest.mark.parametrize("body", [b"", b"x" * 4 * 1024 * 1024], ids=["empty", "4 MiB"])
def test_bodies_of_any_size_arrive(transport, body):
    with ScriptedServer(Answer(200, body)) as server:
        assert transport.send(post(server, body)).body == body
        assert server.received[0].endswith(b"\r\n\r\n" + body)
        assert b"Content-Length: %d\r\n" % len(body) in server.received[0]


def test_repeated_headers_keep_their_order_and_case():
    with RawServer() as server, ours(headers={"X-Default": "d", "x-one": "lost"}) as transport:
        transport.send(get(server, headers=Headers([("X-One", "1"), ("x-Two", "2"), ("X-One", "3")])))
        assert b"X-One: 1\r\nX-One: 3\r\nx-Two: 2\r\n" in server.received[0]
        assert b"X-Default: d\r\n" in server.received[0]
        assert b"lost" not in server.received[0]


def test_repeated_headers_are_joined_by_a_users_session():
    with ScriptedServer() as server, theirs() as transport:
        assert fields(transport.send(get(server, headers=Headers([("x", "1"), ("x", "2")]))))["x"] == "1, 2"


def test_every_header_of_an_answer_comes_back(transport):
    with ScriptedServer(Answer(200, b"", [("X-A", "1"), ("X-A", "2")])) as server:
        assert transport.send(get(server)).headers.get_all("x-a") == ["1", "2"]


def test_no_cookie_is_kept_by_a_session_of_our_own():
    with ScriptedServer(Answer(200, b"", [("Set-Cookie", "a=b; Path=/")])) as server, ours() as transport:
        transport.send(get(server))
        assert "cookie" not in fields(transport.send(get(server)))


def test_cookies_are_kept_by_a_users_session():
    with ScriptedServer(Answer(200, b"", [("Set-Cookie", "a=b; Path=/")])) as server, theirs() as transport:
        transport.send(get(server))
        assert fields(transport.send(get(server)))["cookie"] == "a=b"


@pytest.mark.parametrize(
    ("transport", "location"), crossed(WHOSE, ["/other", "http://[bad", "ftp://x", "http://"]), indirect=["transport"]
)
def test_no_redirect_is_followed_wherever_it_leads(transport, location):
    with ScriptedServer(Answer(302, b"there", [("Location", location)])) as server:
        answer = transport.send(get(server))
        assert (answer.status, answer.body, answer.headers["location"]) == (302, b"there", location)
        assert len(server.received) == 1


# ---- bodies


def deflated(body, window):
    deflater = zlib.compressobj(9, zlib.DEFLATED, window)
    return deflater.compress(body) + deflater.flush()


BODY = bytes(range(256)) * 2000


CODED = {
    "gzip": ("gzip", gzip.compress(BODY)),
    "two parts": ("GZip", gzip.compress(BODY[:1000]) + gzip.compress(BODY[1000:])),
    "zlib": ("deflate", deflated(BODY, zlib.MAX_WBITS)),
    "bare deflate": ("deflate", deflated(BODY, -zlib.MAX_WBITS)),
    "twice": ("gzip, gzip", gzip.compress(gzip.compress(BODY))),
}


@pytest.mark.parametrize(("transport", "name"), crossed(WHOSE, list(CODED)), indirect=["transport"])
def test_bodies_are_decompressed(transport, name):
    encoding, sent = CODED[name]
    with ScriptedServer(Answer(200, sent, [("Content-Encoding", encoding)])) as server:
        assert transport.send(get(server)).body == BODY


def test_a_small_body_that_explodes_is_stopped():
    bomb = gzip.compress(b"\0" * (30_000_000 if is_whole() else 3_000_000))
    answers = [Answer(200, bomb, [("Content-Encoding", "gzip")]), Answer(200, b"x" * 1000), Answer(200, b"x" * 1001)]
    with ScriptedServer(*answers) as server, ours(max_response_bytes=1000) as transport:
        error = failed(transport, get(server), "protocol", maybe_sent=True)
        assert "more than 1000 bytes" in error.message
        assert len(transport.send(get(server)).body) == 1000
        failed(transport, get(server), "protocol", maybe_sent=True)


HEAD = b"HTTP/1.1 200 x\r\n"
CUT = gzip.compress(os.urandom(1000))[:-20]


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01 this is no HTTP\r\n\r\n",
        b"HTTP/9.9 what\r\n\r\n",
        HEAD + b"bad header\r\n\r\n",
        HEAD + b"Content-Length: 100\r\n\r\nhalf",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhalf",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhalf\r\n",
        HEAD + b"Content-Encoding: gzip\r\n\r\nno gzip",
        HEAD + b"Content-Encoding: gzip\r\n\r\n" + CUT,
        HEAD + b"Content-Encoding: gzip, gzip\r\n\r\nno gzip",
    ],
    ids=["bytes", "version", "header", "truncated", "cut in a chunk", "cut after a chunk", "no size", "no gzip", "cut gzip",
         "no gzip in gzip"],
)  # fmt: skip
def test_a_body_that_is_cut_or_garbled_is_told_and_never_given(data):
    def act(connection):
        RawServer._head(connection)
        connection.sendall(data)

    with RawServer(act=act) as server, ours() as transport:
        failed(transport, get(server), "protocol", maybe_sent=True)


def test_a_whole_answer_frees_its_connection_and_a_broken_one_ends_it():
    with ScriptedServer(Echo(), Truncate(), Zipped(200, b"x", broken=True), Echo(), Echo()) as server:
        with ours(max_connections=1) as transport:
            transport.send(get(server))
            failed(transport, get(server), "protocol", maybe_sent=True)
            failed(transport, get(server), "protocol", maybe_sent=True)
            transport.send(get(server))
            transport.send(get(server))
        assert server.ports[0] == server.ports[1]
        assert server.ports[3] == server.ports[4]


# ---- failures


def test_a_refused_connection(transport):
    with Refuse() as server:
        error = failed(transport, get(server), "connect", maybe_sent=False)
    assert "refused" in error.message
    assert isinstance(error.__cause__, requests.ConnectionError)


def test_a_name_that_nobody_knows(transport):
    failed(transport, get("http://nobody.invalid"), "connect", maybe_sent=False)


def test_a_connection_that_does_not_come_about_in_time(transport, monkeypatch):
    def stalls(*args, **kwargs):
        raise TimeoutError("timed out")

    monkeypatch.setattr("urllib3.util.connection.create_connection", stalls)
    failed(transport, get("http://127.0.0.1:1", timeout=0.1), "timeout", maybe_sent=False)


def test_a_tls_handshake_that_stalls_was_never_sent():
    with socket.create_server(("127.0.0.1", 0)) as listening, ours() as transport:
        request = get(f"https://127.0.0.1:{listening.getsockname()[1]}", timeout=0.1)
        failed(transport, request, "timeout", maybe_sent=False)


@pytest.mark.parametrize("bounds", [{"timeout": 0.1}, {"timeout": None, "read": 0.1}, {"timeout": 5.0, "read": 0.1}])
def test_an_answer_that_does_not_come_in_time(bounds):
    with ScriptedServer(Stall()) as server, ours(read_timeout=bounds.pop("read", None)) as transport:
        failed(transport, get(server, **bounds), "timeout", maybe_sent=True)


def test_a_users_session_waits_no_longer_either():
    with ScriptedServer(Stall()) as server, theirs() as transport:
        failed(transport, get(server, timeout=0.1), "timeout", maybe_sent=True)


def test_a_body_that_drips_is_stopped_at_the_bound():
    with ScriptedServer(Drip(0.02, 500)) as server, ours() as transport:
        failed(transport, get(server, timeout=0.3), "timeout", maybe_sent=True)


def test_a_body_that_never_lets_a_read_wait_is_stopped_at_the_bound(monkeypatch):
    monkeypatch.setattr(_requests, "_monotonic", functools.partial(next, itertools.count(step=0.5)))
    with ScriptedServer(Answer(200, b"x" * 10_000_000)) as server, ours() as transport:
        failed(transport, get(server, timeout=20.0), "timeout", maybe_sent=True)


def test_no_bound_waits_for_a_body_that_drips():
    with ScriptedServer(Drip(0.001, 20)) as server, ours() as transport:
        assert transport.send(get(server, timeout=None)).body == b"x" * 20


def test_a_pool_without_a_free_connection():
    with ScriptedServer(Stall()) as server, ours(max_connections=1) as transport:
        request = get(server, timeout=None)
        busy = threading.Thread(target=lambda: failed(transport, request, "reset", maybe_sent=True))
        busy.start()
        while not server.received:
            time.sleep(0.001)
        error = failed(transport, get(server, timeout=0.1), "timeout", maybe_sent=False)
        assert "no free connection" in error.message
        server.ended.set()
        busy.join()


@pytest.mark.parametrize("step", [ResetAfterReading(), CloseAfterReading()], ids=["reset", "closed"])
def test_a_connection_that_breaks_without_an_answer_is_not_tried_again(transport, step):
    with ScriptedServer(step) as server:
        failed(transport, post(server), "reset", maybe_sent=True)
        assert len(server.received) == 1


def test_a_server_without_tls_is_no_connection_over_https(transport):
    with ScriptedServer() as server:
        failed(transport, get(server.url.replace("http:", "https:")), "connect", maybe_sent=False)


def test_an_address_of_another_kind_is_no_connection(transport):
    failed(transport, get("memory://"), "connect", maybe_sent=False)


def test_each_failed_attempt_raises_a_new_error(transport):
    with Refuse() as server:
        first = failed(transport, get(server), "connect", maybe_sent=False)
        assert failed(transport, get(server), "connect", maybe_sent=False) is not first


def sayings(error):
    """All that the error and those behind it say to a log."""
    yield from traceback.format_exception(error)
    while error is not None:
        yield from (str(error), repr(error), repr(error.args), repr(vars(error)))
        error = error.__cause__ or error.__context__


UNWRITABLE = {
    f"{next(iter(changed))} {number}": changed
    for number, changed in enumerate((
        *({"headers": Headers({"x-api-key": key})} for key in ["SECRET\n", "SECRET\r\nx: y", "SECRET\0", "SECRETé€", " SECRET"]),
        {"headers": Headers({"bad name": "SECRET"})},
        *({"target": target} for target in ["/é?SECRET", "/a b?SECRET", "SECRET", "/x\nSECRET", "/\x7fSECRET"]),
    ))
}  # fmt: skip


@pytest.mark.parametrize(("transport", "name"), crossed(WHOSE, list(UNWRITABLE)), indirect=["transport"])
def test_what_cannot_be_written_is_repeated_by_no_error(transport, name):
    with ScriptedServer() as server:
        error = failed(transport, get(server, **UNWRITABLE[name]), "protocol", maybe_sent=False)
        assert server.received == []
    assert (error.__cause__, error.__context__) == (None, None)
    assert "SECRET" not in "\n".join(sayings(error))


@pytest.mark.parametrize("origin", ["http://", "http://user:SECRET@:x", "http://[SECRET"])
def test_an_address_that_requests_does_not_understand_is_repeated_by_no_error(origin):
    with theirs() as transport:
        error = failed(transport, get(origin), "protocol", maybe_sent=False)
    assert (error.__cause__, error.__context__) == (None, None)
    assert "SECRET" not in "\n".join(sayings(error)).replace(error.message, "")


class Scripted(BaseAdapter):
    def __init__(self, outcome):
        super().__init__()
        self.outcome = outcome

    def send(self, request, **settings):
        if isinstance(self.outcome, Exception):
            raise self.outcome
        answer = requests.Response()
        answer.status_code, answer.raw, answer.request, answer.url = 200, self.outcome, request, request.url
        answer.headers["x-a"] = "1"
        return answer

    def close(self):
        pass


@pytest.mark.parametrize(
    ("error", "cause", "maybe_sent"),
    [
        (requests.ReadTimeout("x"), "timeout", True),
        (requests.ConnectTimeout("x"), "timeout", False),
        (requests.exceptions.ProxyError("x"), "connect", False),
        (requests.exceptions.SSLError("x"), "connect", False),
        (requests.exceptions.ChunkedEncodingError("x"), "protocol", True),
        (urllib3.exceptions.ProtocolError("x"), "protocol", True),
        (urllib3.exceptions.ClosedPoolError(None, "x"), "connect", False),
        (ConnectionResetError("x"), "reset", True),
    ],
    ids=lambda given: type(given).__name__,
)
def test_every_other_failure_has_its_cause(error, cause, maybe_sent):
    with theirs() as transport:
        transport._sessions.get().mount("http://server", Scripted(error))
        assert failed(transport, get("http://server"), cause, maybe_sent=maybe_sent).__cause__ is error


def test_what_is_no_failure_of_the_network_is_not_disguised():
    with theirs() as transport:
        transport._sessions.get().mount("http://server", Scripted(ZeroDivisionError("a bug")))
        with pytest.raises(ZeroDivisionError, match="a bug"):
            transport.send(get("http://server"))


def test_tls_that_breaks_after_the_request_went_out_is_a_reset(monkeypatch):
    def breaks(*args, **kwargs):
        raise ssl.SSLError(1, "bad record")

    with ScriptedServer() as server, ours() as transport:
        monkeypatch.setattr(urllib3.HTTPResponse, "_fp_read", breaks)
        failed(transport, get(server), "reset", maybe_sent=True)


# ---- a session of the user's own


def test_a_users_session_is_used_as_it_is_and_not_closed(monkeypatch):
    closed, seen = [], []
    monkeypatch.setattr(requests.Session, "close", closed.append)
    session = requests.Session()
    session.headers.update({"x-own": "1", "user-agent": "theirs"})
    session.auth = ("me", "pw")
    session.hooks["response"].append(lambda answer, **_: seen.append(answer.headers["location"]))
    with ScriptedServer(Answer(301, b"{}", [("Location", "/x")]), Echo()) as server:
        transport = RequestsTransport(session)
        session.headers["x-later"] = "2"
        transport.send(get(server))
        session.hooks["response"].clear()
        got = fields(transport.send(get(server, headers=Headers({"User-Agent": "ours"}))))
    transport.close()
    transport.close()
    assert (got["x-own"], got["x-later"], got["user-agent"], got["authorization"]) == (
        "1",
        "2",
        "ours",
        "Basic bWU6cHc=",
    )
    assert (seen, closed) == (["/x"], [])


def test_a_hook_of_the_users_may_read_the_body():
    read = []
    with ScriptedServer(Answer(200, b"body")) as server, theirs() as transport:
        transport._sessions.get().hooks["response"].append(lambda answer, **_: read.append(answer.content))
        assert transport.send(get(server)).body == b"body"
    assert read == [b"body"]


def test_an_adapter_of_the_users_may_bring_any_kind_of_answer():
    with theirs() as transport:
        transport._sessions.get().mount("http://server", Scripted(io.BytesIO(b"body")))
        answer = transport.send(get("http://server"))
    assert (answer.body, answer.headers["x-a"]) == (b"body", "1")


def test_a_users_proxies_are_kept():
    with ScriptedServer() as proxy, theirs(proxies={"http": proxy.url}) as transport:
        assert told(transport.send(get("http://server.invalid", "/x?")))["line"].startswith(
            "GET http://server.invalid/x"
        )


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (requests.Session, "accepts a requests.Session, not the class requests.sessions.Session"),
        ("http://x", "accepts a requests.Session, not an object of builtins.str"),
    ],
)
def test_another_kind_of_object_is_refused(given, text):
    with pytest.raises(TypeError, match=text):
        RequestsTransport(given)


def test_options_of_another_kind_are_refused():
    with pytest.raises(TypeError, match="accepts TransportOptions, not an object of builtins.dict"):
        RequestsTransport(options={})


def test_a_session_and_options_together_are_refused():
    with requests.Session() as session, pytest.raises(TypeError, match="your own session has its own settings"):
        RequestsTransport(session, options=TransportOptions())


# ---- the life of a transport


def test_a_closed_transport_sends_nothing(transport):
    with ScriptedServer() as server:
        transport.send(get(server))
        transport.close()
        transport.close()
        with pytest.raises(ClientClosedError, match="transport is closed"):
            transport.send(get(server))
        assert len(server.received) == 1


def test_no_session_is_made_before_the_first_request(monkeypatch):
    monkeypatch.setattr(requests, "Session", None)
    RequestsTransport().close()


def test_requests_is_imported_at_the_first_request():
    script = "import sys; from memtrace_transports._requests import RequestsTransport as T; T(); print('requests' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("False\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_makes_connections_of_its_own():
    script = """
        import os, sys
        from memtrace.transport import Request
        from memtrace_transports._requests import RequestsTransport

        request = Request("GET", sys.argv[1], "/", timeout=5.0)
        used, twin = RequestsTransport(), RequestsTransport()
        used.send(request), twin.send(request)
        used._sessions._holding.get().guard.acquire()  # as a thread of the parent that is busy just then
        child = os.fork()
        if child == 0:
            used.send(request)
            used.close()
            twin.close()  # closes nothing of the parent's
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        used._sessions._holding.get().guard.release()
        used.send(request), twin.send(request)
        used.close(), twin.close()
        print(status)
    """
    with ScriptedServer() as server:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script), server.url],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.stdout, done.stderr) == ("0\n", "")
        used, twin, child, *again = server.ports
    assert again == [used, twin]
    assert len({used, twin, child}) == 3


def test_another_process_closes_nothing_and_begins_anew(monkeypatch):
    with ScriptedServer() as server, ours() as transport, ours() as twin:
        transport.send(get(server))
        parents = transport._sessions.get()
        with monkeypatch.context() as patched:
            patched.setattr(os, "getpid", lambda: -1)
            transport.close()
            assert twin._sessions.get() is not parents
            twin.send(get(server))
            twin.close()
        assert len(parents.adapters["http://"].poolmanager.pools) == 1
        transport.close()
        assert len(parents.adapters["http://"].poolmanager.pools) == 0


# ---- proxies and the environment


class Tunnel(RawServer):
    """A proxy that connects whatever it is asked for to one address."""

    def __init__(self, to):
        super().__init__(act=self._tunnel)
        self._to = to

    def _tunnel(self, client):
        self.received.append(self._head(client))
        with socket.create_connection(self._to) as upstream:
            client.sendall(b"HTTP/1.1 200 x\r\n\r\n")
            back = threading.Thread(target=self._pump, args=(upstream, client), daemon=True)
            back.start()
            self._pump(client, upstream)
            back.join(2)

    @staticmethod
    def _pump(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


def test_proxies_of_the_environment_are_used(transport, monkeypatch):
    with ScriptedServer() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        answer = transport.send(get("http://server.invalid:9100", "/x?a=b"))
        assert told(answer)["line"] == "GET http://server.invalid:9100/x?a=b HTTP/1.1"


def test_a_host_in_no_proxy_is_reached_directly(transport, monkeypatch):
    with ScriptedServer() as proxy, ScriptedServer() as server:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        transport.send(get(server))
        assert (len(proxy.received), len(server.received)) == (0, 1)


def test_an_environment_that_is_not_trusted_is_not_read(monkeypatch):
    with Refuse() as proxy, ScriptedServer() as server, ours(trust_env=False) as transport:
        monkeypatch.setenv("http_proxy", proxy.url)
        transport.send(get(server))


def test_a_proxy_of_the_options_wins_over_the_environments(monkeypatch):
    with Refuse() as other, ScriptedServer() as proxy:
        monkeypatch.setenv("http_proxy", other.url)
        monkeypatch.setenv("no_proxy", "*")
        with ours(proxy=proxy.url.replace("//", "//me:p%40w@")) as transport:
            for _ in range(2):
                got = fields(transport.send(get("http://server.invalid", headers=Headers([("x", "1"), ("x", "2")]))))
        assert got["proxy-authorization"] == "Basic bWU6cEB3"


def test_no_netrc_is_read_by_a_session_of_our_own(monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password pw\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with ScriptedServer() as server, ours() as transport:
        assert "authorization" not in fields(transport.send(get(server)))


def test_a_proxy_that_refuses_a_tunnel_means_no_connection(transport, monkeypatch):
    with RawServer(b"HTTP/1.1 403 no\r\nContent-Length: 0\r\n\r\n") as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        error = failed(transport, get("https://server.invalid"), "connect", maybe_sent=False)
        assert proxy.received[0].startswith(b"CONNECT server.invalid:443 HTTP/1.")
        assert "403" in error.message


def test_a_proxy_that_is_not_there_means_no_connection():
    with Refuse() as proxy, ours(proxy=proxy.url) as transport:
        failed(transport, get("https://server.invalid"), "connect", maybe_sent=False)
        failed(transport, get("http://server.invalid"), "connect", maybe_sent=False)


def test_a_socks_proxy_of_the_environment_that_requests_cannot_use_means_no_connection(monkeypatch):
    monkeypatch.setattr("memtrace_transports._checks.proxies.find_spec", lambda name: name)
    monkeypatch.setattr("requests.adapters.SOCKSProxyManager", no_socks)
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1")
    with ours() as transport:
        failed(transport, get("http://server.invalid"), "connect", maybe_sent=False)


def plain_manager(proxy, *, maxsize, block, **_):
    return urllib3.PoolManager(maxsize=maxsize, block=block)


def test_a_pool_that_the_exit_hook_of_urllib3_has_emptied_connects_anew(monkeypatch):
    monkeypatch.setattr("requests.adapters.SOCKSProxyManager", plain_manager)
    adapter = _requests._adapter_class()(1, ssl_context(TransportOptions()))
    socks = adapter.proxy_manager_for("socks5://127.0.0.1:1")
    with ScriptedServer() as server:
        for manager in (adapter.poolmanager, socks):
            pool = manager.connection_from_url(server.url)
            for _ in range(2):
                assert pool.urlopen(method="GET", url="/", timeout=urllib3.Timeout(20)).status == 200
            pool._emptied.append("at exit")  # as a hook of ours does, before urllib3's
            pool.pool.get(block=False).close()
            assert pool.urlopen(method="GET", url="/", timeout=urllib3.Timeout(20)).status == 200
    adapter.close()
    socks.clear()


def no_socks(*args, **kwargs):
    raise requests.exceptions.InvalidSchema("Missing dependencies for SOCKS support.")


# ---- TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("the command openssl is missing, which makes the certificates")
    folder = tmp_path_factory.mktemp("tls")

    def run(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=60)

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    run("req", "-x509", *new, "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test CA", "-days", "2",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign")  # fmt: skip
    for name, extra in (("server", ("-nodes",)), ("client", ("-passout", "pass:SECRET"))):
        run("req", *new, *extra, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (folder / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:server.invalid\nauthorityKeyIdentifier=keyid\n")
        run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-out", f"{name}.pem", "-extfile", "names")  # fmt: skip
    return folder


@contextlib.contextmanager
def tls_server(certificates, *, client=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    if client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificates / "ca.pem")

    def act(connection):
        with context.wrap_socket(connection, server_side=True) as secure:
            while head := RawServer._head(secure):
                server.received.append(head)
                secure.sendall(b"HTTP/1.1 200 x\r\nContent-Length: 2\r\n\r\n{}")

    with RawServer(act=act) as server:
        server.url = server.url.replace("http:", "https:")
        yield server


def test_a_ca_of_the_options_is_trusted_and_no_other(certificates):
    with tls_server(certificates) as server:
        with ours(ca_bundle=certificates / "ca.pem") as transport:
            for target in ("/%7e", "/x?"):
                assert transport.send(get(server, target)).status == 200
        with ours() as transport:
            error = failed(transport, get(server), "connect", maybe_sent=False)
        assert lines(server) == ["GET /%7e HTTP/1.1", "GET /x? HTTP/1.1"]
    assert "CERTIFICATE_VERIFY_FAILED" in error.message
    with ours(ca_bundle=certificates / "ca.pem") as transport:
        transport._sessions.get()
        assert len(ssl_context(transport._options).get_ca_certs()) == 1


def test_a_certificate_for_another_name_is_no_connection(certificates):
    with tls_server(certificates) as server, ours(ca_bundle=certificates / "ca.pem") as transport:
        failed(transport, get(server.url.replace("127.0.0.1", "localhost")), "connect", maybe_sent=False)


def test_any_certificate_is_trusted_without_verification_after_one_warning(certificates):
    with pytest.warns(UserWarning, match="verify=False") as warned:
        transport = RequestsTransport(options=TransportOptions(verify=False))
    with tls_server(certificates) as server:
        for _ in range(2):  # where a warning would be an error
            assert transport.send(get(server)).status == 200
    transport.close()
    assert len(warned) == 1


def test_a_client_certificate_is_shown(certificates):
    given = {
        "ca_bundle": certificates / "ca.pem",
        "client_cert": certificates / "client.pem",
        "client_key": certificates / "client.key",
        "client_key_password": "SECRET",
    }
    with tls_server(certificates, client=True) as server:
        with ours(**given) as transport:
            assert transport.send(get(server)).status == 200
        with ours(ca_bundle=certificates / "ca.pem") as transport, pytest.raises(TransportError) as caught:
            transport.send(get(server))
        assert caught.value.cause in ("connect", "reset")
        assert len(server.received) == 1


def test_https_goes_through_a_proxy_with_its_password(certificates):
    with tls_server(certificates) as server:
        address = server.url.removeprefix("https://").split(":")
        with Tunnel((address[0], int(address[1]))) as proxy:
            with ours(ca_bundle=certificates / "ca.pem", proxy=proxy.url.replace("//", "//me:pw@")) as transport:
                assert transport.send(get("https://server.invalid", "/%7e?")).status == 200
            assert b"CONNECT server.invalid:443" in proxy.received[0]
            assert b"Proxy-Authorization: Basic bWU6cHc=\r\n" in proxy.received[0]
        assert lines(server) == ["GET /%7e? HTTP/1.1"]
        assert b"Proxy-Authorization" not in server.received[0]


def test_a_users_tls_settings_are_kept(certificates, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates / "client.pem"))
    with tls_server(certificates) as server, theirs(verify=str(certificates / "ca.pem")) as transport:
        assert transport.send(get(server)).status == 200


# ---- secrets, and what people patch in requests


def test_no_log_of_any_library_repeats_a_key(caplog, transport):
    caplog.set_level(logging.DEBUG)
    steps = (Echo(), ResetAfterReading(), Garbage(), Truncate(), Zipped(200, b"x", broken=True), Stall())
    errors, headers = [], Headers({"x-api-key": "SECRET"})
    with ScriptedServer(*steps) as server:
        for step in steps:
            try:
                transport.send(post(server, headers=headers, timeout=0.2 if isinstance(step, Stall) else 20.0))
            except TransportError as error:
                errors.append(error)
    assert len(errors) == 5
    assert any(record.name.startswith("urllib3") for record in caplog.records)
    formatter = logging.Formatter()
    for record in caplog.records:
        assert "SECRET" not in f"{formatter.format(record)} {record.args!r} {vars(record)!r}"
    assert "SECRET" not in "\n".join(saying for error in errors for saying in sayings(error))


@responses.activate
def test_responses_sees_our_calls(transport):
    responses.get(
        "http://server/x", json={"mocked": True}, status=201, match=[responses.matchers.query_param_matcher({"a": "1"})]
    )
    responses.get("http://server/y", body=requests.ReadTimeout("x"))
    answer = transport.send(get("http://server", "/x?a=1", headers=Headers({"x-api-key": "k"})))
    assert (answer.status, told(answer)) == (201, {"mocked": True})
    assert responses.calls[0].request.headers["x-api-key"] == "k"
    failed(transport, get("http://server", "/y"), "timeout", maybe_sent=True)
    failed(transport, get("http://server", "/z"), "protocol", maybe_sent=True)


def test_a_tracer_that_patches_the_adapter_sees_our_calls(transport, monkeypatch):
    seen, send = [], HTTPAdapter.send

    def traced(adapter, request, **settings):
        seen.append((request.method, request.url))
        return send(adapter, request, **settings)

    monkeypatch.setattr(HTTPAdapter, "send", traced)
    with ScriptedServer() as server:
        transport.send(get(server))
        assert seen == [("GET", f"{server.url}/api/v1/memories")]


def test_a_patch_that_sends_in_another_thread_gets_its_answer(transport, monkeypatch):
    send = HTTPAdapter.send

    def apart(adapter, request, **settings):
        with ThreadPoolExecutor(1) as executor:
            return executor.submit(send, adapter, request, **settings).result()

    monkeypatch.setattr(HTTPAdapter, "send", apart)
    with ScriptedServer() as server:
        assert transport.send(get(server)).status == 200


def test_the_headers_that_urllib3_gets_show_their_names_alone():
    fields = _headers_class()({"x-api-key": "planted"})
    assert (fields["x-api-key"], repr(fields)) == ("planted", "Fields(x-api-key)")

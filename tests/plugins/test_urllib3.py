"""What the transport of memtrace-urllib3 does with a request, and with whatever a server does to it."""

from __future__ import annotations

import gzip
import json
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
import zlib

import pytest

from memtrace.exceptions import ClientClosedError, ConfigurationError, TransportError
from memtrace.transport import Headers, Request, Transport, TransportOptions
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
from tests.transports.tls_server import Authority, TlsServer

pytestmark = pytest.mark.network
KEY = "mtk_planted_key"


@pytest.fixture
def make(here, monkeypatch):
    """Makes transports with these options, and closes them."""
    from memtrace_urllib3.transport import Urllib3Transport

    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    made = []

    def make(**options):
        made.append(Urllib3Transport(TransportOptions(**options)))
        return made[-1]

    yield make
    for transport in made:
        transport.close()


@pytest.fixture
def transport(make):
    return make()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("certificates"))


def get(server, target="/api/v1/memories", method="GET", **fields):
    return Request(method, getattr(server, "url", server), target, **{"timeout": 30.0, **fields})


def told(response):
    return json.loads(response.body)


def failed(transport, request, cause, *, maybe_sent):
    with pytest.raises(TransportError) as caught:
        transport.send(request)
    error = caught.value
    assert (error.cause, error.maybe_sent) == (cause, maybe_sent), error
    return error


# ---- what goes out, what comes back


def test_it_is_a_transport(transport):
    assert isinstance(transport, Transport)


@pytest.mark.parametrize("target", ["/", "//x", "/%7euser/%e4?q=%2f&", "/a|b^`{}?c=[\"']\\", "/x?#", "/a/../b/./c"])
def test_the_target_is_sent_byte_for_byte(transport, target):
    with ScriptedServer() as server:
        assert told(transport.send(get(server, target)))["line"] == f"GET {target} HTTP/1.1"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("body", [None, b"", b"{}", b"\x00\xff" * 300_000], ids=["none", "empty", "small", "large"])
def test_methods_and_bodies_arrive(transport, method, body):
    with ScriptedServer() as server:
        answer = told(transport.send(get(server, method=method, body=body)))
    assert answer["line"].startswith(f"{method} ")
    assert answer["body"].encode("latin-1") == (body or b"")
    lengths = [value for name, value in answer["headers"] if name == "content-length"]
    assert lengths == ([] if body is None and method in ("GET", "DELETE") else [str(len(body or b""))])


def test_headers_go_out_over_those_of_the_options_and_repeated_ones_stay_apart(make):
    transport = make(headers={"X-Default": "1", "X-Own": "2"})
    own = Headers([("x-own", "3"), ("x-many", "a"), ("X-Many", "b"), ("accept-encoding", "identity")])
    with ScriptedServer() as server:
        sent = told(transport.send(get(server, headers=own)))["headers"]
    found = {name: [value for other, value in sent if other == name] for name, _ in sent}
    assert (found["x-default"], found["x-own"], found["x-many"]) == (["1"], ["3"], ["a", "b"])
    assert found["accept-encoding"] == ["identity"]


@pytest.mark.parametrize("status", [200, 204, 302, 304, 404, 429, 503])
def test_no_status_raises_and_no_redirect_is_followed(transport, status):
    with ScriptedServer(Answer(status, b"{}", [("Location", "/elsewhere"), ("X-A", "1"), ("X-A", "2")])) as server:
        answer = transport.send(get(server))
        assert answer.status == status
        assert answer.headers.get_all("x-a") == ["1", "2"]
        assert len(server.received) == 1


def test_no_cookie_is_kept(transport):
    with ScriptedServer(Answer(headers=[("Set-Cookie", "a=b; Path=/")])) as server:
        transport.send(get(server))
        transport.send(get(server))
        assert b"cookie" not in server.received[1].lower()


@pytest.mark.parametrize(
    ("encoding", "sent"),
    [
        ("gzip", gzip.compress(b"whole") + gzip.compress(b" body")),
        ("X-GZip", gzip.compress(b"whole body")),
        ("deflate", zlib.compress(b"whole body")),
        ("identity", b"whole body"),
    ],
    ids=["gzip in two members", "X-GZip", "deflate", "identity"],
)
def test_bodies_are_decompressed(transport, encoding, sent):
    with ScriptedServer(Answer(200, sent, [("Content-Encoding", encoding)])) as server:
        assert transport.send(get(server)).body == b"whole body"


def test_a_large_compressed_body_comes_back_whole(transport):
    body = os.urandom(1_000) * 1_000 + os.urandom(300_000)
    with ScriptedServer(Zipped(200, body)) as server:
        assert transport.send(get(server)).body == body


def test_an_answer_is_bounded_after_decompression(make):
    bomb = Zipped(200, b"\0" * 30_000_000)
    with ScriptedServer(bomb, Answer(200, b"x" * 1_001), Answer(200, b"x" * 1_000)) as server:
        transport = make(max_response_bytes=1_000)
        for _ in range(2):
            assert "1000 bytes" in failed(transport, get(server), "protocol", maybe_sent=True).message
        assert len(transport.send(get(server)).body) == 1_000


# ---- failures


HEAD = b"HTTP/1.1 200 x\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
GZIP = HEAD + b"Content-Encoding: gzip\r\n\r\n"


@pytest.mark.parametrize(
    ("step", "cause"),
    [
        (ResetAfterReading(), "reset"),
        (CloseAfterReading(), "reset"),
        (Truncate(), "protocol"),
        (Garbage(), "protocol"),
        (Garbage(HEAD + b"no header\r\n\r\n"), "protocol"),
        (Garbage(CHUNKED + b"5\r\nhalf"), "protocol"),
        (Garbage(CHUNKED + b"4\r\nhalf\r\n"), "protocol"),
        (Garbage(CHUNKED + b"zz\r\nhalf\r\n"), "protocol"),
        (Garbage(GZIP + b"no gzip"), "protocol"),
        (Garbage(GZIP + gzip.compress(os.urandom(1_000))[:-20]), "protocol"),
        (Garbage(GZIP.replace(b"gzip", b"br") + b"unasked"), "protocol"),
    ],
    ids=["reset", "closed", "truncated", "no HTTP", "no header", "cut in a chunk", "cut after a chunk", "no size", "no gzip",
         "cut gzip", "not asked for"],
)  # fmt: skip
def test_a_connection_that_breaks_or_garbles_is_told_and_not_tried_again(transport, step, cause):
    with ScriptedServer(step) as server:
        failed(transport, get(server, method="POST", body=b"{}"), cause, maybe_sent=True)
        assert len(server.received) == 1
        assert transport.send(get(server)).status == 200


def test_a_refused_connection_was_never_sent(transport):
    with Refuse() as server:
        error = failed(transport, get(server), "connect", maybe_sent=False)
    assert "refused" in error.message
    assert error.__cause__ is not None


@pytest.mark.parametrize("origin", ["http://nobody.invalid", "ftp://server", "http://" + "x" * 64])
def test_an_address_that_leads_nowhere_was_never_sent(transport, origin):
    failed(transport, get(origin), "connect", maybe_sent=False)


@pytest.mark.parametrize("options", [{}, {"connect_timeout": 0.1}], ids=["the attempt's bound", "the option's bound"])
def test_a_connection_that_does_not_come_about_in_time_was_never_sent(make, monkeypatch, options):
    def stalls(address, timeout=None, *others, **more):
        assert 0 < timeout <= 0.1
        raise TimeoutError("timed out")

    monkeypatch.setattr("urllib3.util.connection.create_connection", stalls)
    request = get("http://127.0.0.1:9", timeout=5.0 if options else 0.1)
    failed(make(**options), request, "timeout", maybe_sent=False)


@pytest.mark.parametrize("options", [{}, {"read_timeout": 0.1}], ids=["the attempt's bound", "the option's bound"])
def test_an_answer_that_does_not_come_in_time_may_have_been_sent(make, options):
    with ScriptedServer(Stall()) as server:
        failed(make(**options), get(server, timeout=None if options else 0.1), "timeout", maybe_sent=True)


@pytest.mark.slow
def test_a_request_that_nobody_reads_has_the_attempts_time_and_not_that_of_connecting(make):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        started = time.monotonic()
        request = get(url, method="POST", body=b"x" * 32_000_000, timeout=0.5)
        failed(make(connect_timeout=0.1), request, "timeout", maybe_sent=True)
    assert time.monotonic() - started >= 0.4


def test_a_body_that_drips_is_stopped_at_the_attempts_bound(transport):
    with ScriptedServer(Drip(pause=0.02, count=500)) as server:
        failed(transport, get(server, timeout=0.3), "timeout", maybe_sent=True)


@pytest.mark.parametrize("options", [{}, {"pool_timeout": 0.1}], ids=["the attempt's bound", "the option's bound"])
def test_the_wait_for_a_free_connection_is_bounded_and_nothing_was_sent(make, options):
    transport, answers = make(max_connections=1, **options), []
    with ScriptedServer(Stall()) as server:
        thread = threading.Thread(
            target=lambda: answers.append(failed(transport, get(server), "reset", maybe_sent=True))
        )
        thread.start()
        while not server.received:
            thread.join(0.01)
        failed(transport, get(server, timeout=5.0 if options else 0.1), "timeout", maybe_sent=False)
    thread.join()
    assert len(answers) == 1


def test_each_failed_attempt_raises_a_new_error(transport):
    with Refuse() as server:
        first, second = (failed(transport, get(server), "connect", maybe_sent=False) for _ in range(2))
    assert first is not second


@pytest.mark.parametrize(
    "changed",
    [
        {"headers": Headers([("x-api-key", f"{KEY}\r\nx-more: 1")])},
        {"headers": Headers([(f"x {KEY}", "1")])},
        {"target": f"/ {KEY}"},
        {"target": f"nowhere/{KEY}"},
    ],
    ids=["value", "name", "target", "relative"],
)
def test_what_cannot_be_written_is_refused_without_being_repeated(transport, changed):
    with ScriptedServer() as server:
        error = failed(transport, get(server, **changed), "protocol", maybe_sent=False)
        assert server.received == []
    assert KEY not in f"{error!r} {error} {error.__cause__!r} {error.__context__!r}"


def test_a_header_of_the_options_that_cannot_be_written_is_refused_without_being_repeated(make):
    with pytest.raises(ConfigurationError, match=r"options.headers\['x-token'\] cannot be sent") as caught:
        make(headers={"x-token": f"{KEY}\n"})
    error = caught.value
    assert KEY not in f"{error!r} {error} {error.__cause__!r} {error.__context__!r}"


def test_no_log_and_no_error_repeats_a_key_or_a_body(transport, caplog):
    request = {"method": "POST", "headers": Headers({"x-api-key": KEY}), "body": b"a planted content"}
    caplog.set_level("DEBUG")
    with ScriptedServer(Echo(), Truncate(), ResetAfterReading(), Garbage(b"a planted content\r\n\r\n")) as server:
        transport.send(get(server, **request))
        for cause in ("protocol", "reset", "protocol"):
            error = failed(transport, get(server, **request), cause, maybe_sent=True)
            assert "planted" not in f"{error!r} {error}"
    assert any(name.startswith("urllib3") for name, _, _ in caplog.record_tuples)
    assert "planted" not in caplog.text


# ---- connections


def test_a_connection_is_kept_for_the_next_request_and_a_broken_one_is_not(make):
    transport = make(max_connections=1)
    with ScriptedServer(Echo(), Truncate(), Zipped(200, b"x", broken=True), Echo(), Echo()) as server:
        transport.send(get(server))
        for _ in range(2):
            failed(transport, get(server), "protocol", maybe_sent=True)
        transport.send(get(server))
        transport.send(get(server))
        assert server.ports[0] == server.ports[1]
        assert server.ports[1] != server.ports[2]
        assert server.ports[3] == server.ports[4]


def test_one_transport_serves_32_threads_over_8_connections(make):
    transport, answers, barrier = make(max_connections=8), {}, threading.Barrier(32)

    def use(number):
        barrier.wait()
        for turn in range(5):
            answer = transport.send(get(server, f"/{number}/{turn}", timeout=20.0))
            answers[number, turn] = told(answer)["line"].split()[1]

    with ScriptedServer() as server:
        threads = [threading.Thread(target=use, args=(number,)) for number in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(server.ports)) <= 8
    assert answers == {(number, turn): f"/{number}/{turn}" for number in range(32) for turn in range(5)}


def test_a_closed_transport_sends_nothing_and_closes_again_in_silence(transport):
    with ScriptedServer() as server:
        transport.send(get(server))
        transport.close()
        transport.close()
        with pytest.raises(ClientClosedError, match="transport is closed"):
            transport.send(get(server))
        assert len(server.received) == 1


def test_a_closed_transport_stays_closed_in_a_forked_child(transport, monkeypatch):
    transport.close()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(ClientClosedError, match="transport is closed"):
        transport.send(get("http://127.0.0.1:9"))


def test_closing_ends_the_idle_connections(transport):
    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(10)
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            seen.append(connection.recv(1))

    seen = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        transport.send(get(f"http://127.0.0.1:{listener.getsockname()[1]}"))
        transport.close()
        thread.join()
    assert seen == [b""]


def test_a_transport_that_is_closed_while_requests_wait_sends_none_of_them(make):
    transport, ends = make(max_connections=1), []
    arrived, closed = threading.Event(), threading.Event()

    def send(host):
        try:
            ends.append(transport.send(get(f"http://{host}:{listener.getsockname()[1]}")).status)
        except ClientClosedError as error:
            ends.append(type(error))

    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            arrived.set()
            closed.wait(30)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        first, *others = [
            threading.Thread(target=send, args=(host,)) for host in ("127.0.0.1", "127.0.0.1", "localhost")
        ]
        serving = threading.Thread(target=serve)
        serving.start()
        first.start()
        assert arrived.wait(30)
        for thread in others:
            thread.start()
        transport.close()
        closed.set()
        for thread in (first, *others, serving):
            thread.join(30)
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert sorted(map(str, ends)) == ["200", *[str(ClientClosedError)] * 2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_makes_connections_of_its_own(here, tmp_path):
    script = """
        import os, sys
        from memtrace.transport import Request
        from memtrace_urllib3.transport import Urllib3Transport

        request = Request("GET", sys.argv[1], "/", timeout=5.0)
        used, twin = Urllib3Transport(), Urllib3Transport()
        used.send(request), twin.send(request)
        guards = used._connections._guard, twin._connections._guard
        guards[0].acquire(), guards[1].acquire()  # as by threads of the parent that are busy just then
        child = os.fork()
        if child == 0:
            used.send(request)
            used.close()
            twin.close()  # closes nothing of the parent's
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        guards[0].release(), guards[1].release()
        used.send(request), twin.send(request)
        used.close(), twin.close()
        print(status)
    """
    with ScriptedServer() as server:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script), server.url],
            capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "PYTHONPATH": str(here)}, cwd=tmp_path,
        )  # fmt: skip
        assert (done.stdout, done.stderr) == ("0\n", "")
        used, twin, child, *again = server.ports
    assert again == [used, twin]
    assert len({used, twin, child}) == 3


# ---- TLS


def test_a_ca_of_the_options_is_trusted_and_no_other(make, authority):
    with TlsServer(authority) as server:
        for ca in (authority.ca, _hashed(authority)):
            transport = make(ca_bundle=ca)
            assert [transport.send(get(server, "/%7e")).status for _ in range(2)] == [200, 200]
        error = failed(make(), get(server), "connect", maybe_sent=False)
    assert "CERTIFICATE_VERIFY_FAILED" in error.message


def test_a_file_without_certificates_is_told_when_the_transport_is_made(make, tmp_path):
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    with pytest.raises(ConfigurationError, match=r"options\.ca holds no certificates"):
        make(ca_bundle=file)


def test_a_server_without_tls_is_no_connection_over_https(transport):
    with ScriptedServer() as server:
        failed(transport, get(server.url.replace("http:", "https:")), "connect", maybe_sent=False)


def _hashed(authority):
    """A folder of certificates as OpenSSL reads it: each under the hash of its subject."""
    folder = authority.folder / "trusted"
    folder.mkdir()
    command = ["openssl", "x509", "-noout", "-subject_hash", "-in", str(authority.ca)]
    name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    (folder / f"{name}.0").write_bytes(authority.ca.read_bytes())
    return folder

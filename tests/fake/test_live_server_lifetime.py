"""How the fake on a port starts and stops, and what it leaves behind."""

from __future__ import annotations

import logging
import socket
import sys
import threading
import time
from urllib.parse import urlsplit

import pytest
import uvicorn

from memtrace import Memtrace
from memtrace.exceptions import APITimeoutError, ConfigurationError
from memtrace_transports.memory import FakeMemtrace, Fault
from memtrace_transports.memory.server import LiveServer
from tests.faces import ONCE
from tests.fake.replay import over_socket

pytestmark = pytest.mark.network

PATIENCE = 30


@pytest.fixture
def server(fake):
    with LiveServer(fake) as running:
        yield running


def test_it_is_on_the_loopback_address_and_each_has_a_port():
    with LiveServer(FakeMemtrace()) as one, LiveServer(FakeMemtrace()) as two:
        assert one.url.startswith("http://127.0.0.1:")
        assert one.url != two.url
        assert repr(one) == f"<LiveServer {one.url}>"


def test_an_ipv6_address_stands_in_brackets():
    try:
        with LiveServer(FakeMemtrace(), host="::1") as server:
            assert server.url.startswith("http://[::1]:")
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")


def test_it_can_be_started_again_and_stopped_twice(fake):
    server = LiveServer(fake)
    server.stop()
    for _ in range(2):
        assert (server.url, repr(server)) == ("", "<LiveServer not started>")
        server.start()
        with Memtrace(server.url, fake.organisation().api_key) as client:
            assert client.ready()
        server.stop()
        server.stop()


def test_starting_it_twice_is_a_mistake(server):
    with pytest.raises(RuntimeError, match="runs already"):
        server.start()


def test_a_taken_port_is_an_error_and_leaves_nothing_open(server):
    taken = LiveServer(FakeMemtrace(), port=urlsplit(server.url).port)
    with pytest.raises(OSError, match="Address already in use"):
        taken.start()
    taken.stop()


def test_an_unknown_host_is_an_error():
    with pytest.raises(OSError, match=r"."):
        LiveServer(FakeMemtrace(), host="no.such.host.invalid").start()


def test_without_uvicorn_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ConfigurationError, match="needs the package uvicorn") as caught:
        LiveServer(FakeMemtrace()).start()
    assert caught.value.hint == 'run: pip install "memtrace-sdk[server]"'


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_server_that_ends_before_it_answers_is_an_error(monkeypatch):
    async def startup(self, sockets=None):
        raise SystemExit(3)

    monkeypatch.setattr(uvicorn.Server, "startup", startup)
    server = LiveServer(FakeMemtrace())
    with pytest.raises(OSError, match="ended before it could answer"):
        server.start()
    assert server.url == ""


def test_after_its_end_nobody_listens_and_no_thread_is_left(fake):
    with LiveServer(fake) as server:
        address = urlsplit(server.url)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.hostname, address.port), timeout=PATIENCE)
    assert "memtrace fake server" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.slow
def test_it_stops_in_time_with_kept_connections_and_requests_under_way():
    fake = FakeMemtrace()
    fake.faults.add(Fault("delay", on="ready", seconds=3600), Fault("slow_body", on="unknown", seconds=3600))
    server = LiveServer(fake)
    server.start()
    address = urlsplit(server.url)[1].split(":")
    kept, half, waiting, reading = (socket.create_connection(address, timeout=PATIENCE) for _ in range(4))
    kept.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert kept.recv(1)
    half.sendall(b"POST /api/v1/memories HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
    waiting.sendall(b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n")
    reading.sendall(b"GET /nope HTTP/1.1\r\nHost: x\r\n\r\n")
    while len(fake.calls) < 3:
        time.sleep(0.005)
    started = time.monotonic()
    server.stop()
    assert time.monotonic() - started < 60
    for opened in (kept, half, waiting, reading):
        opened.close()


def test_nothing_is_logged_but_a_crash(fake, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    levels = [logging.getLogger(name).level for name in ("uvicorn.error", "uvicorn.access")]
    fake.faults.add(Fault("reset"), Fault("truncated", nth=2))
    with LiveServer(fake) as server:
        logging.getLogger("uvicorn.error").warning("of another thread")
        send = over_socket(server.url)
        assert [send("GET", "/health", {}, None) for _ in range(2)] == [None, None]
        assert send("GET", "/health", {}, None).status == 200
        assert [record.getMessage() for record in caplog.records] == ["of another thread"]
        monkeypatch.setattr(fake, "exchange", lambda request: 1 / 0)
        assert send("GET", "/health", {}, None).status == 500
    assert "ZeroDivisionError" in caplog.text
    assert [logging.getLogger(name).level for name in ("uvicorn.error", "uvicorn.access")] == levels
    assert logging.getLogger("uvicorn.error").filters == []


@pytest.mark.slow
def test_on_a_real_clock_a_late_answer_runs_into_the_clients_timeout():
    fake = FakeMemtrace()
    with (
        LiveServer(fake) as server,
        Memtrace(server.url, fake.organisation().api_key, timeout=0.3, retry=ONCE) as client,
    ):
        for kind in ("delay", "slow_body"):
            fake.faults.add(Fault(kind, seconds=120))
            with pytest.raises(APITimeoutError):
                client.remember("bot", "likes tea")
        started = time.monotonic()
    assert time.monotonic() - started < 60, "the answer that nobody waits for any more does not hold the server up"

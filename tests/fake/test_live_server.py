"""The fake on a port: real clients, connections that are cut, wrong HTTP."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import sys
import threading
from contextlib import closing
from email.utils import formatdate
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from memtrace import AsyncMemtrace, Memtrace, RateLimitError, ResponseDecodeError
from memtrace.exceptions import TransportError
from memtrace_transports.memory import FakeMemtrace, Fault, ManualClock
from memtrace_transports.memory.server import LiveServer
from tests.faces import ONCE
from tests.fake.replay import differences, load, over_socket
from tests.sampling import crossed, sample

pytestmark = pytest.mark.network

PATIENCE = 30


class Blocking:
    """Calls of the SDK over one of its transports."""

    def __init__(self, transport, url, key, timeout):
        self.client = Memtrace(url, key, transport=transport, timeout=timeout, retry=ONCE)

    def remember(self, content):
        return self.client.remember("bot", content)

    def close(self):
        self.client.close()


class Awaiting:
    def __init__(self, transport, url, key, timeout):
        self.runner = asyncio.Runner() if sys.version_info >= (3, 11) else None
        self.loop = self.runner.get_loop() if self.runner else asyncio.new_event_loop()
        self.client = AsyncMemtrace(url, key, transport=transport, timeout=timeout, retry=ONCE)

    def remember(self, content):
        return self.loop.run_until_complete(self.client.remember("bot", content))

    def close(self):
        self.loop.run_until_complete(self.client.close())
        self.loop.run_until_complete(asyncio.sleep(0.05))  # aiohttp's connections need turns of the loop to end
        self.loop.close()


KINDS = {
    "httpx": (Blocking, "httpx"),
    "requests": (Blocking, "requests"),
    "async httpx": (Awaiting, "httpx"),
    "aiohttp": (Awaiting, "aiohttp"),
}


@pytest.fixture(scope="module")
def running():
    with LiveServer(FakeMemtrace(clock=ManualClock())) as running:
        yield running


@pytest.fixture
def server(running):
    """One for all tests, which finds nothing of the one before."""
    running.fake.reset()
    return running


@pytest.fixture
def fake(server):
    return server.fake


@pytest.fixture
def clock(fake):
    return fake.clock


@pytest.fixture
def connection(server):
    with closing(http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=PATIENCE)) as opened:
        yield opened


@pytest.fixture(params=sample(KINDS, 2))
def connect(request, server):
    form, transport = KINDS[request.param]
    opened = []

    def make(timeout=PATIENCE):
        opened.append(form(transport, server.url, server.fake.organisation().api_key, timeout))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


CUTS = {"refused": ("refused", False), "reset": ("reset", False), "reset after it was applied": ("reset", True)}


def stored(fake):
    return [memory.content for memory in fake.client().memories.list(order="asc").memories]


class TestFaultsReachRealClients:
    @pytest.mark.parametrize(("connect", "cut"), crossed(list(KINDS), list(CUTS)), indirect=["connect"])
    def test_a_cut_connection_is_a_transport_error(self, connect, fake, cut):
        kind, applied = CUTS[cut]
        client = connect()
        client.remember("before")  # the connection that is cut is one that was kept
        fake.faults.add(Fault(kind, applied=applied))
        with pytest.raises(TransportError) as caught:
            client.remember("likes tea")
        assert caught.value.cause == "reset"
        client.remember("after")
        assert stored(fake) == ["before", *(["likes tea"] if applied else []), "after"]
        fake.faults.assert_all_used()

    def test_a_truncated_answer_is_a_transport_error_and_was_applied(self, connect, fake):
        fake.faults.add(Fault("truncated"))
        client = connect()
        with pytest.raises(TransportError) as caught:
            client.remember("likes tea")
        assert caught.value.maybe_sent
        assert stored(fake) == ["likes tea"]

    def test_half_of_a_json_text_cannot_be_read(self, connect, fake):
        fake.faults.add(Fault("garbled"))
        with pytest.raises(ResponseDecodeError):
            connect().remember("likes tea")

    def test_a_status_with_its_headers_and_body(self, connect, fake):
        fake.faults.add(Fault("status", status=429, body=b'{"error":"slow down"}', headers={"Retry-After": "7"}))
        with pytest.raises(RateLimitError, match="slow down") as caught:
            connect().remember("likes tea")
        assert caught.value.status_code == 429
        assert stored(fake) == []

    @pytest.mark.parametrize("kind", ["delay", "slow_body"])
    def test_an_answer_that_takes_its_time_comes_whole_by_the_fakes_clock(self, connect, fake, clock, kind):
        fake.faults.add(Fault(kind, seconds=3600))
        began = clock.monotonic()
        assert connect().remember("likes tea").content == "likes tea"
        assert clock.monotonic() - began >= 3600


def test_storage_that_is_down_by_plan_answers_as_the_server_does(server, connection):
    server.fake.faults.add(Fault("storage_down", seconds=60))
    connection.request("GET", "/api/v1/memories", headers={"x-api-key": server.fake.organisation().api_key})
    answer = connection.getresponse()
    assert (answer.status, b"failed to query memories" in answer.read()) == (500, True)


class TestHttp:
    def test_a_connection_is_kept(self, server, connection):
        agent = server.fake.seed_agent("default", "bob")
        kept = set()
        for method, target, status in (
            ("GET", "/health", 200),
            ("HEAD", "/health", 200),
            ("DELETE", f"/api/v1/agents/{agent}", 204),
            ("PATCH", "/api/v1/agents", 405),
            ("POST", "/_fake/settle", 200),
            ("GET", "/nope", 404),
        ):
            connection.request(method, target, headers={"x-api-key": server.fake.organisation().api_key})
            answer = connection.getresponse()
            assert (answer.status, bool(answer.read())) == (status, method not in {"HEAD", "DELETE"})
            kept.add(connection.sock)
        assert len(kept) == 1

    def test_an_answer_names_no_software_and_has_the_fakes_date(self, connection, clock):
        connection.request("GET", "/health")
        answer = connection.getresponse()
        assert [value for name, value in answer.getheaders() if name in {"date", "server"}] == [
            formatdate(clock.wall(), usegmt=True)
        ]

    def test_a_body_over_the_limit_cuts_the_connection(self, connection):
        def send():
            connection.request("POST", "/api/v1/memories", b"x" * (4 * 1024 * 1024 + 1))
            connection.getresponse()

        with pytest.raises(ConnectionError):
            send()

    def test_a_chunked_body_is_a_body(self, server, connection):
        parts = iter([b'{"agent_id": "bot",', b'"content": "likes tea"}'])
        headers = {"x-api-key": server.fake.organisation().api_key, "Content-Type": "application/json"}
        connection.request("POST", "/api/v1/memories", parts, headers, encode_chunked=True)
        assert connection.getresponse().status == 201

    @pytest.mark.parametrize(
        "sent",
        [
            b"no HTTP\r\n\r\n",
            b"GET /health\r\n\r\n",
            b"GET /health HTTP/1.1\r\n\r\n",  # without a host
            b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
            b"GET /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"GET /h\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        ],
    )
    def test_what_is_no_http_is_answered_400_and_the_server_goes_on(self, server, connection, sent):
        with socket.create_connection(urlsplit(server.url)[1].split(":"), timeout=PATIENCE) as raw:
            raw.sendall(sent)
            answer = b"".join(iter(lambda: raw.recv(65_536), b""))
        assert answer.startswith(b"HTTP/1.1 400 ")
        connection.request("GET", "/health")
        assert connection.getresponse().status == 200

    def test_two_requests_at_once_on_one_connection_are_answered_in_order(self, server):
        with socket.create_connection(urlsplit(server.url)[1].split(":"), timeout=PATIENCE) as raw:
            raw.sendall(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: raw.recv(65_536), b""))
        assert answer.index(b"Cannot GET /a") < answer.index(b"Cannot GET /b")

    def test_an_upgrade_is_not_made(self, connection):
        connection.request("GET", "/health", headers={"Connection": "Upgrade", "Upgrade": "websocket"})
        assert connection.getresponse().status == 200


@pytest.mark.slow
def test_the_recorded_vectors_come_out_equal(server, fake, clock):
    scenarios = sample(load(Path(__file__).parent / "vectors"), 20)
    assert differences(scenarios, fake, clock, over_socket(server.url)) == []


def test_many_clients_at_once_lose_nothing(server):
    key = server.fake.organisation().api_key

    def work(number):
        with Memtrace(server.url, key, timeout=PATIENCE) as client:
            for turn in range(10):
                client.remember("bot", f"{number}.{turn}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(stored(server.fake)) == sorted(f"{number}.{turn}" for number in range(8) for turn in range(10))


def test_a_server_of_a_manual_clock_keeps_time_only_by_control(connection, clock):
    assert isinstance(clock, ManualClock)
    began, time = clock.monotonic(), clock.wall()
    connection.request("POST", "/_fake/clock/advance", b'{"seconds": 60}')
    assert json.loads(connection.getresponse().read()) == {"time": time + 60}
    assert clock.monotonic() == began + 60

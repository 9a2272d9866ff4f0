"""The loopback server hands requests to the fake as they are."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import pytest

from memtrace_transports.memory import FakeMemtrace
from tests.loopback import LoopbackServer

pytestmark = pytest.mark.network


@pytest.fixture
def server(fake: FakeMemtrace) -> LoopbackServer:
    with LoopbackServer(fake) as running:
        yield running


@pytest.fixture
def connection(server: LoopbackServer) -> http.client.HTTPConnection:
    opened = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    yield opened
    opened.close()


def test_a_connection_is_kept(server: LoopbackServer, connection: http.client.HTTPConnection) -> None:
    headers = {"x-api-key": server.fake.organisation().api_key}
    kept = set()
    for method, target, status in (
        ("GET", "/health", 200),
        ("HEAD", "/health", 200),
        ("DELETE", "/api/v1/agents/x", 404),
        ("PATCH", "/api/v1/agents", 405),
        ("GET", "/nope", 404),
    ):
        connection.request(method, target, headers=headers)
        answer = connection.getresponse()
        assert (answer.status, bool(answer.read())) == (status, method != "HEAD")
        kept.add(connection.sock)
    assert len(kept) == 1


def test_an_answer_without_a_body_keeps_the_connection(
    server: LoopbackServer, connection: http.client.HTTPConnection
) -> None:
    org = server.fake.organisation()
    agent = server.fake.seed_agent(org, "bob")
    connection.request("DELETE", f"/api/v1/agents/{agent}", headers={"x-api-key": org.api_key})
    answer = connection.getresponse()
    assert (answer.status, answer.read(), answer.getheader("content-type")) == (204, b"", None)
    connection.request("GET", "/health")
    assert connection.getresponse().status == 200


def test_the_target_arrives_as_it_was_sent(connection: http.client.HTTPConnection) -> None:
    connection.putrequest("GET", "//a%2fb//<c>?x")
    connection.endheaders()
    assert connection.getresponse().read() == b"Cannot GET //a%2fb//&lt;c&gt;"


def test_a_body_that_is_too_large_cuts_the_connection(connection: http.client.HTTPConnection) -> None:
    def send() -> None:
        connection.request("POST", "/health", b"x" * (4 * 1024 * 1024 + 1))
        connection.getresponse()

    with pytest.raises(ConnectionError):
        send()


def test_a_server_makes_a_fake_of_its_own_where_none_is_given() -> None:
    with LoopbackServer() as one, LoopbackServer() as two:
        assert one.fake is not two.fake
        assert one.url != two.url

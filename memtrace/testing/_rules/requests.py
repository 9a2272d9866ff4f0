"""Requests go out as they are."""

from __future__ import annotations

import pytest

from memtrace.testing._rules.fixtures import Fixtures
from memtrace.testing._rules.requests_under_test import PATIENCE, get
from memtrace.testing._scripted_server import Answer, ScriptedServer
from memtrace.testing._transport_under_test import TransportUnderTest
from memtrace.testing._url_cases import TARGETS
from memtrace.transport import Headers, Method, Request

_OF_HTTP = frozenset({"host", "accept", "accept-encoding", "connection", "content-length", "user-agent"})


class Requests(Fixtures):
    """What the server receives is what the SDK gave."""

    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
    def test_methods_go_out_as_they_are(
        self, server: ScriptedServer, subject: TransportUnderTest, method: Method
    ) -> None:
        """Each with a body, except GET and HEAD."""
        body = None if method in ("GET", "HEAD") else b'{"a":1}'
        subject.send(Request(method, server.url, "/api/v1/memories", body=body, timeout=PATIENCE))
        (received,) = server.received
        assert (received.line, received.body) == (f"{method} /api/v1/memories HTTP/1.1", body or b"")

    def test_no_header_is_added_but_those_of_http_itself(
        self, server: ScriptedServer, subject: TransportUnderTest
    ) -> None:
        """No content type that nobody gave, no cookie, nothing of the library's own."""
        subject.send(Request("POST", server.url, "/", body=b"x", timeout=PATIENCE))
        (received,) = server.received
        assert sorted({name.lower() for name, _ in received.headers.multi_items} - _OF_HTTP) == []

    def test_targets_go_out_byte_for_byte(self, server: ScriptedServer, subject: TransportUnderTest) -> None:
        """Percent-encoded or not, dots and doubled slashes included: the SDK has encoded what needed it."""
        for target in TARGETS:
            subject.send(get(server.url, target))
        sent = [received.target for received in server.received]
        changed = [pair for pair in zip(TARGETS, sent, strict=True) if pair[0] != pair[1]]
        assert changed == [], "pairs of a target and what the server received for it"

    @pytest.mark.parametrize(
        "body", [b"", "Zürich, 東京, 🧠".encode(), bytes(range(256)), b"x" * (4 * 1024 * 1024)],
        ids=["empty", "non-ASCII", "all bytes", "4 MiB"],
    )  # fmt: skip
    def test_bodies_go_out_whole(self, server: ScriptedServer, subject: TransportUnderTest, body: bytes) -> None:
        """Byte for byte, with their length."""
        server.do(Answer())
        subject.send(Request("POST", server.url, "/", body=body, timeout=30.0))
        (received,) = server.received
        assert received.headers.get("content-length") == str(len(body)), "the Content-Length that was sent"
        assert received.body == body

    def test_headers_go_out_as_they_are(self, server: ScriptedServer, subject: TransportUnderTest) -> None:
        """Repeated ones by themselves and in order; nothing is said about the letters' case."""
        long = "k" * 6000
        given = [("x-api-key", long), ("X-Trace", "1"), ("x-trace", "2"), ("Content-Type", "application/json")]
        subject.send(Request("POST", server.url, "/", Headers(given), b"{}", timeout=PATIENCE))
        (received,) = server.received
        sent = [received.headers.get_all(name) for name in ("x-api-key", "x-trace", "content-type")]
        assert sent == [[long], ["1", "2"], ["application/json"]]

"""Answers come back as they are."""

from __future__ import annotations

import pytest

from memtrace.testing._rules.fixtures import Fixtures
from memtrace.testing._rules.requests_under_test import PATIENCE, get, post
from memtrace.testing._scripted_server import Answer, ScriptedServer
from memtrace.testing._transport_under_test import TransportUnderTest
from memtrace.transport import Request, Response, TransportError


class Responses(Fixtures):
    """What the SDK is given is what the server answered."""

    def test_no_status_raises(self, server: ScriptedServer, subject: TransportUnderTest) -> None:
        """Every status from 200 to 599 is a response, with its body."""
        statuses = range(200, 600)
        server.do(*(Answer(status, b'{"n":%d}' % status) for status in statuses))
        for status in statuses:
            response = subject.send(get(server.url))
            body = b"" if status in (204, 304) else b'{"n":%d}' % status
            assert (response.status, response.body) == (status, body)

    @pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "in chunks"])
    @pytest.mark.parametrize(
        "body", [b"", bytes(range(256)), b"x" * (4 * 1024 * 1024)], ids=["empty", "all bytes", "4 MiB"]
    )
    def test_bodies_come_back_whole(
        self,
        server: ScriptedServer,
        subject: TransportUnderTest,
        body: bytes,
        chunked: bool,  # noqa: FBT001
    ) -> None:
        """Byte for byte, whatever they hold."""
        server.do(Answer(200, body, chunked=chunked))
        response = subject.send(get(server.url, timeout=30.0))
        assert isinstance(response.body, bytes)
        assert response.body == body

    def test_compressed_bodies_come_back_decompressed(
        self, server: ScriptedServer, subject: TransportUnderTest
    ) -> None:
        """Where the transport says that it accepts gzip."""
        body = b'{"content":"again and again"}' * 500
        server.do(Answer(200, body, zipped=True))
        assert subject.send(get(server.url)).body == body

    @pytest.mark.parametrize("zipped", [False, True], ids=["plain", "compressed"])
    def test_an_answer_to_head_has_its_headers_and_no_body(
        self,
        server: ScriptedServer,
        subject: TransportUnderTest,
        zipped: bool,  # noqa: FBT001
    ) -> None:
        """Its length, and its coding, are those of the answer to GET; no byte of that comes, and the connection is good for more."""
        server.do(Answer(200, b"x" * 1000, [("X-Kind", "long")], zipped=zipped), Answer(200, b"next"))
        response = subject.send(Request("HEAD", server.url, "/", timeout=PATIENCE))
        assert (response.status, response.headers["x-kind"], response.body) == (200, "long", b"")
        assert subject.send(get(server.url)).body == b"next"

    def test_headers_come_back(self, server: ScriptedServer, subject: TransportUnderTest) -> None:
        """In any case, repeated ones in order."""
        server.do(Answer(200, b"", [("X-Two", "a"), ("x-two", "b"), ("Retry-After", "7")]))
        response = subject.send(get(server.url))
        assert isinstance(response, Response)
        assert (response.headers.get_all("X-TWO"), response.headers["retry-after"]) == (["a", "b"], "7")

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_no_redirect_is_followed(self, server: ScriptedServer, subject: TransportUnderTest, status: int) -> None:
        """A redirect is a response. The key is never sent to another origin."""
        with ScriptedServer() as other:
            server.do(Answer(status, b"", [("Location", other.url + "/elsewhere")]))
            response = subject.send(post(server.url))
            assert (response.status, response.headers["location"]) == (status, other.url + "/elsewhere")
            assert other.received == [], "the redirect was followed"
        assert len(server.received) == 1

    def test_no_cookie_is_kept(self, server: ScriptedServer, subject: TransportUnderTest) -> None:
        """What a proxy in front sets for one organisation's call must not go with another's."""
        server.do(Answer(200, b"", [("Set-Cookie", "who=acme; Path=/")]))
        for _ in range(2):
            subject.send(get(server.url))
        assert "cookie" not in server.received[1].headers

    def test_an_interim_answer_is_not_taken_for_the_answer(
        self, server: ScriptedServer, subject: TransportUnderTest
    ) -> None:
        """After a proxy's interim response, such as 103, the final response arrives, or the exchange fails."""
        server.do(Answer(200, b"first", interim=(102, 103), pause=0.05), Answer(200, b"second"))
        bodies = []
        for _ in range(2):
            try:
                response = subject.send(get(server.url))
            except TransportError:
                server.do(Answer(200, b"second"))
            else:
                assert response.status == 200
                bodies.append(response.body)
        assert bodies in ([b"first", b"second"], [b"second"]), "a response was returned for another request"

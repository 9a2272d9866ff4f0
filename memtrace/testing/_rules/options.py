"""Options do what they say, as far as they are among the capabilities."""

from __future__ import annotations

import time

import pytest

from memtrace.plugins import TransportSpec
from memtrace.testing._rules.fixtures import Fixtures, Make
from memtrace.testing._rules.requests_under_test import BOUND, LEFT_OPEN, PATIENCE, failure, get, post, until
from memtrace.testing._scripted_server import Answer, ScriptedServer, Stall, deaf_address, unread_address
from memtrace.transport import Headers, Request


class Options(Fixtures):
    """A rule for each; skipped where the spec does not name it."""

    @pytest.mark.parametrize("seconds", [None, 60.0], ids=["without another bound", "below the attempt's bound"])
    def test_option_read_timeout(
        self, server: ScriptedServer, spec: TransportSpec, make: Make, seconds: float | None
    ) -> None:
        """Limits the wait for the next bytes of a response."""
        _needs(spec, "read_timeout")
        server.do(Stall())
        error = failure(make(read_timeout=BOUND), post(server.url, timeout=seconds))
        assert (error.cause, error.maybe_sent) == ("timeout", True)

    def test_option_connect_timeout(self, server: ScriptedServer, spec: TransportSpec, make: Make) -> None:
        """Limits the time to connect, with another error than for a missing response."""
        _needs(spec, "connect_timeout")
        with deaf_address() as url:
            error = failure(make(connect_timeout=BOUND), post(url, timeout=60.0))
        assert (error.cause, error.maybe_sent) == ("timeout", False)

    @LEFT_OPEN
    def test_option_write_timeout(self, server: ScriptedServer, spec: TransportSpec, make: Make) -> None:
        """Bounds the wait for a server that does not read."""
        _needs(spec, "write_timeout")
        with unread_address() as url:
            request = Request("POST", url, "/", body=b"x" * (32 * 1024 * 1024), timeout=60.0)
            error = failure(make(write_timeout=BOUND), request)
        assert (error.cause, error.maybe_sent) == ("timeout", True)

    def test_option_max_connections(self, server: ScriptedServer, spec: TransportSpec, make: Make) -> None:
        """Bounds the connections at once; further requests wait their turn."""
        _needs(spec, "max_connections")
        server.do(*[Answer(pause=0.02)] * 12)
        subject = make(max_connections=2)
        answers = [subject.start(get(server.url, timeout=30.0)) for _ in range(12)]
        assert [answer.result().status for answer in answers] == [200] * 12
        assert server.most_at_once <= 2

    def test_option_pool_timeout(self, server: ScriptedServer, spec: TransportSpec, make: Make) -> None:
        """Bounds the wait for a free connection; nothing can have been sent."""
        _needs(spec, "max_connections", "pool_timeout")
        server.do(Answer(pause=PATIENCE))
        subject = make(max_connections=1, pool_timeout=BOUND)
        first = subject.start(get(server.url, timeout=30.0))
        until(lambda: len(server.received) == 1)
        error = failure(subject, post(server.url, timeout=30.0))
        assert (error.cause, error.maybe_sent) == ("timeout", False)
        server.end_pauses()
        assert first.result().status == 200

    def test_option_keepalive_expiry(self, server: ScriptedServer, spec: TransportSpec, make: Make) -> None:
        """An idle connection is not used any more after these seconds."""
        _needs(spec, "keepalive_expiry")
        subject = make(keepalive_expiry=0.05)
        subject.send(get(server.url))
        time.sleep(0.15)
        subject.send(get(server.url))
        assert server.connections == 2

    def test_option_max_keepalive_connections(self, server: ScriptedServer, spec: TransportSpec, make: Make) -> None:
        """With 0, none is kept."""
        _needs(spec, "max_keepalive_connections")
        subject = make(max_keepalive_connections=0)
        for _ in range(2):
            subject.send(get(server.url))
        assert server.connections == 2

    @LEFT_OPEN
    @pytest.mark.parametrize("zipped", [False, True], ids=["plain", "compressed"])
    def test_option_max_response_bytes(
        self, server: ScriptedServer, spec: TransportSpec, make: Make, zipped: bool  # noqa: FBT001
    ) -> None:  # fmt: skip
        """A longer answer is an error, counted after decompression."""
        _needs(spec, "max_response_bytes")
        server.do(Answer(200, b"0" * 1_000_000, zipped=zipped), Answer(200, b"0" * 1_000, zipped=zipped))
        subject = make(max_response_bytes=1_000)
        error = failure(subject, post(server.url))
        assert (error.cause, error.maybe_sent) == ("protocol", True)
        assert len(subject.send(get(server.url)).body) == 1_000

    def test_option_headers(self, server: ScriptedServer, spec: TransportSpec, make: Make) -> None:
        """Go with every request, below its own."""
        _needs(spec, "headers")
        subject = make(headers={"X-Default": "1"})
        subject.send(get(server.url))
        subject.send(get(server.url, headers=Headers({"x-default": "2"})))
        assert [received.headers.get_all("x-default") for received in server.received] == [["1"], ["2"]]

    def test_option_proxy(self, server: ScriptedServer, spec: TransportSpec, make: Make) -> None:
        """Takes every request, with the proxy's password."""
        _needs(spec, "proxy")
        subject = make(proxy=server.url.replace("//", "//user:word@"))
        subject.send(get("http://memtrace.invalid", "/x"))
        (received,) = server.received
        assert received.line == "GET http://memtrace.invalid/x HTTP/1.1"
        assert received.headers.get_all("proxy-authorization") == ["Basic dXNlcjp3b3Jk"]

    @pytest.mark.parametrize("trusted", [True, False])
    def test_option_trust_env(
        self,
        server: ScriptedServer,
        spec: TransportSpec,
        make: Make,
        monkeypatch: pytest.MonkeyPatch,
        trusted: bool,  # noqa: FBT001
    ) -> None:
        """The environment's proxy is used, unless it is not trusted."""
        _needs(spec, "trust_env")
        with ScriptedServer() as proxy:
            for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY", "http_proxy"):
                monkeypatch.delenv(name, raising=False)
            monkeypatch.setenv("http_proxy", proxy.url)
            make(trust_env=trusted).send(get(server.url))
            assert (len(proxy.received), len(server.received)) == ((1, 0) if trusted else (0, 1))


def _needs(spec: TransportSpec, *options: str) -> None:
    for name in options:
        if name not in spec.capabilities:
            pytest.skip(f"{name} is not among the capabilities")

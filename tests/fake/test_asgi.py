"""The fake as an ASGI application: under a test client, and message by message."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import warnings
from types import SimpleNamespace

import httpx
import pytest

from memtrace import APIConnectionError, AsyncMemtrace
from memtrace.exceptions import TransportError
from memtrace_transports import AsyncHttpxTransport
from memtrace_transports.memory import FakeMemtrace, Fault, ManualClock
from memtrace_transports.memory.asgi import FakeApp
from tests.faces import ONCE

LIMIT = 4 * 1024 * 1024


def call(app, *messages, method="GET", path="/health", query=b"", headers=(), **scope):
    """One request, message by message; what the application sent."""
    given = list(messages) or [{"type": "http.request"}]
    sent = []

    async def receive():
        return given.pop(0)

    async def send(message):
        sent.append(message)

    whole = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": list(headers),
        **scope,
    }
    asyncio.run(app(whole, receive, send))
    return sent


def body_of(sent):
    return b"".join(message.get("body", b"") for message in sent[1:])


def headers_of(sent):
    return dict(sent[0]["headers"])


@pytest.fixture
def app(fake):
    return FakeApp(fake)


@pytest.fixture
def key(fake):
    return fake.organisation().api_key.encode()


class TestUnderHttpx:
    @pytest.fixture
    def client(self, app, fake):
        library = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://fake")
        return AsyncMemtrace(
            "http://fake",
            fake.organisation().api_key,
            transport=AsyncHttpxTransport(client=library),
            clock=fake.clock,
            retry=ONCE,
        )

    def test_a_client_writes_and_reads(self, client):
        async def main():
            written = await client.memories.add(agent_id="bot", content="likes té", tags=["ui"])
            (read,) = (await client.recall("bot")).memories
            return written, read

        written, read = asyncio.run(main())
        assert (read.content, read.tags) == (written.content, ["ui"])

    def test_a_connection_that_is_cut_is_no_answer(self, client, fake):
        fake.faults.add(Fault("reset", applied=True))

        async def main():
            with pytest.raises(APIConnectionError):
                await client.remember("bot", "likes tea")
            return await client.recall("bot")

        assert asyncio.run(main()).count == 1

    def test_the_control_routes_are_there(self, app):
        async def main():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://fake") as client:
                return await client.post("/_fake/orgs", json={"arc": "none"})

        answer = asyncio.run(main())
        assert (answer.status_code, sorted(answer.json())) == (200, ["api_key", "org_id"])


@pytest.mark.skipif(importlib.util.find_spec("starlette") is None, reason="starlette is not installed")
class TestUnderStarlette:
    def test_its_test_client_serves(self, app, key):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some of its versions deprecate the httpx that is installed
            from starlette.testclient import TestClient

            client = TestClient(app)
        answer = client.get("/api/v1/agents", headers={"x-api-key": key.decode()})
        assert answer.json() == {"agents": [], "count": 0}

    def test_it_can_be_mounted_below_a_path(self, app):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from starlette.applications import Starlette
            from starlette.routing import Mount
            from starlette.testclient import TestClient

            client = TestClient(Starlette(routes=[Mount("/memtrace", app)]))
        assert client.get("/memtrace/health").json()["service"] == "memtrace"


def test_the_target_is_the_raw_path_and_the_query(app, fake):
    sent = call(app, path="/a%2Fb<c>", query=b"x=1")
    assert body_of(sent) == b"Cannot GET /a%2Fb&lt;c&gt;"
    assert fake.calls[-1].path == "/a%2Fb<c>"


def test_without_a_raw_path_the_path_is_encoded_again(app, fake):
    assert body_of(call(app, path="/é?x", raw_path=None, query=b"y")) == b"Cannot GET /%C3%A9%3Fx"


def test_below_a_mount_its_path_is_left_out(app):
    assert call(app, path="/memtrace/health", root_path="/memtrace")[0]["status"] == 200


def test_what_is_no_utf8_becomes_replacement_characters(app):
    assert body_of(call(app, raw_path=b"/\xff", path="/x")) == "Cannot GET /�".encode()


def test_a_body_comes_in_parts(app, fake, key):
    whole = json.dumps({"agent_id": "bot", "content": "likes tea"}).encode()
    parts = [
        {"type": "http.request", "body": whole[:9], "more_body": True},
        {"type": "http.request", "body": whole[9:]},
    ]
    headers = [(b"x-api-key", key), (b"content-type", b"application/json")]
    sent = call(app, *parts, method="POST", path="/api/v1/memories", headers=headers)
    assert (sent[0]["status"], json.loads(body_of(sent))["content"]) == (201, "likes tea")
    assert headers_of(sent)[b"content-length"] == str(len(body_of(sent))).encode()


def test_a_client_that_leaves_within_its_body_has_asked_for_nothing(app, fake):
    parts = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]
    assert call(app, *parts, method="POST", path="/api/v1/memories") == []
    assert len(fake.calls) == 0


def test_a_body_over_the_limit_is_not_read_to_its_end(app):
    parts = [{"type": "http.request", "body": b"x" * (LIMIT // 2 + 1), "more_body": True}] * 2
    with pytest.raises(TransportError, match="closed the connection"):
        call(app, *parts, method="POST", path="/api/v1/memories")


def test_head_has_no_body_and_the_status_of_get(app):
    sent = call(app, method="HEAD")
    assert (sent[0]["status"], body_of(sent)) == (200, b"")


def test_an_answer_without_a_body_has_no_length(app, fake, key):
    agent = fake.seed_agent("default", "bob")
    sent = call(app, method="DELETE", path=f"/api/v1/agents/{agent}", headers=[(b"x-api-key", key)])
    assert (sent[0]["status"], body_of(sent)) == (204, b"")
    assert b"content-length" not in headers_of(sent)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("status", [204, 304, 503])
def test_a_faults_headers_cannot_break_the_framing(app, fake, status, method):
    headers = {"Content-Length": "999", "Transfer-Encoding": "chunked", "Retry-After": "2"}
    fake.faults.add(Fault("status", status=status, headers=headers))
    sent = call(app, method=method)
    assert (sent[0]["status"], headers_of(sent)[b"retry-after"]) == (status, b"2")
    assert b"transfer-encoding" not in headers_of(sent)
    assert headers_of(sent).get(b"content-length", b"0") == str(len(body_of(sent))).encode()


def test_a_slow_body_comes_whole_within_its_time(app, fake, clock):
    wanted = body_of(call(app, path="/nope"))
    fake.faults.add(Fault("slow_body", seconds=5))
    before = clock.monotonic()
    sent = call(app, path="/nope")
    assert body_of(sent) == wanted
    assert len(sent) > 5
    assert clock.monotonic() - before == pytest.approx(5)


def test_a_slow_body_of_an_answer_without_one_is_nothing_later(app, fake, clock):
    fake.faults.add(Fault("slow_body", seconds=5))
    before = clock.monotonic()
    assert body_of(call(app, method="HEAD")) == b""
    assert clock.monotonic() - before == pytest.approx(5)


def test_a_delay_passes_by_the_clock_of_the_fake(app, fake, clock):
    fake.faults.add(Fault("delay", seconds=5))
    before = clock.monotonic()
    assert call(app)[0]["status"] == 200
    assert clock.monotonic() - before == pytest.approx(5)


@pytest.mark.parametrize("kind", ["refused", "reset", "truncated"])
def test_without_a_connection_to_cut_the_answer_breaks_off_and_raises(app, fake, kind):
    fake.faults.add(Fault(kind))
    sent = []

    async def receive():
        return {"type": "http.request"}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/health", "query_string": b"", "headers": []}
    with pytest.raises(TransportError, match="by an injected fault"):
        asyncio.run(app(scope, receive, send))
    assert int(headers_of(sent)[b"content-length"]) > len(body_of(sent))
    assert all(message.get("more_body") for message in sent[1:])


class TestStrictMode:
    @pytest.fixture
    def fake(self):
        return FakeMemtrace(clock=ManualClock(), strict=True)

    def test_what_is_refused_is_answered_400_with_the_rule(self, app, key):
        sent = call(app, path="/api/v1/memories", query=b"limt=1", headers=[(b"x-api-key", key)])
        assert sent[0]["status"] == 400
        assert json.loads(body_of(sent))["error"].startswith("strict mode: memories.list does not read the parameter")

    def test_a_warning_that_is_an_error_is_answered_400_too(self, app, key):
        sent = call(app, path="/api/v1/memories", query=b"memory_type=dream", headers=[(b"x-api-key", key)])
        assert (sent[0]["status"], "dream" in json.loads(body_of(sent))["error"]) == (400, True)

    def test_a_warning_that_is_none_is_no_refusal(self, app, key):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sent = call(app, path="/api/v1/memories", query=b"memory_type=dream", headers=[(b"x-api-key", key)])
        assert sent[0]["status"] == 200


class TestControl:
    def test_without_control_its_routes_are_unknown_to_the_server(self, fake):
        sent = call(FakeApp(fake, control=False), path="/_fake/calls")
        assert (sent[0]["status"], body_of(sent)) == (404, b"Cannot GET /_fake/calls")

    def test_control_requests_are_no_calls(self, app, fake):
        sent = call(app, path="/_fake/calls")
        assert json.loads(body_of(sent)) == {"calls": []}
        assert len(fake.calls) == 0

    def test_its_bodies_may_be_larger_than_the_servers_and_have_a_limit(self, app):
        large = b" " * (LIMIT + 1) + b"{}"
        messages = [{"type": "http.request", "body": large}]
        assert call(app, *messages, method="POST", path="/_fake/settle")[0]["status"] == 200
        messages = [{"type": "http.request", "body": b" " * (16 * 1024 * 1024 + 1)}]
        sent = call(app, *messages, method="POST", path="/_fake/settle")
        assert (sent[0]["status"], json.loads(body_of(sent))) == (413, {"error": "the body is larger than 16 MiB"})


def test_lifespan_is_answered(app):
    given = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent = []

    async def receive():
        return given.pop(0)

    async def send(message):
        sent.append(message["type"])

    asyncio.run(app({"type": "lifespan"}, receive, send))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_another_protocol_is_refused(app):
    with pytest.raises(NotImplementedError, match="does not speak websocket"):
        asyncio.run(app({"type": "websocket"}, None, None))


def test_a_server_whose_connection_can_be_seen_has_it_reset(app, fake):
    done = []
    found = SimpleNamespace(setsockopt=lambda *option: done.append("linger"))
    connection = SimpleNamespace(get_extra_info=lambda name: found, abort=lambda: done.append("abort"))

    class Cycle:
        transport = connection

        async def send(self, message):
            done.append(message)

    async def receive():
        return {"type": "http.request"}

    fake.faults.add(Fault("reset"))
    scope = {"type": "http", "method": "GET", "path": "/health", "query_string": b"", "headers": []}
    asyncio.run(app(scope, receive, Cycle().send))
    assert done == ["linger", "abort"]

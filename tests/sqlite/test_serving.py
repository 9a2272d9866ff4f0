"""The ASGI application of a store's file, where the server around it or the client fails."""

from __future__ import annotations

import asyncio
from contextlib import closing

import pytest

from memtrace.exceptions import TransportError
from memtrace_transports.sqlite.asgi import StoreApp
from memtrace_transports.sqlite.maintenance import StoreFile

SCOPE = {
    "type": "http",
    "method": "POST",
    "path": "/api/v1/memories",
    "raw_path": b"/api/v1/memories",
    "query_string": b"",
    "headers": [(b"content-type", b"application/json")],
}


@pytest.fixture
def app(tmp_path):
    with closing(StoreFile(str(tmp_path / "agent.db"), create=True)) as store:
        store.create_key("acme")
    return StoreApp(str(tmp_path / "agent.db"))


def sent(app, *messages):
    """What the application sends after these messages of a server that has no connection to cut."""
    left, out = list(messages), []

    async def receive():
        return left.pop(0)

    async def send(message):
        out.append(message)

    async def main():
        try:
            await app(SCOPE, receive, send)
        finally:
            await app.close()

    asyncio.run(main())
    return out


def test_a_client_that_goes_away_before_its_request_is_whole_gets_no_answer(app):
    part = {"type": "http.request", "body": b"{", "more_body": True}
    assert sent(app, part, {"type": "http.disconnect"}) == []


def test_a_body_that_is_too_large_ends_with_an_exception_where_nothing_else_cuts(app):
    with pytest.raises(TransportError, match="closed the connection"):
        sent(app, {"type": "http.request", "body": b"x" * (4 * 1024 * 1024 + 1)})


def test_a_write_that_may_have_been_stored_is_500(app, monkeypatch):
    async def broken(request):
        raise TransportError("the disk broke", cause="protocol", maybe_sent=True)

    monkeypatch.setattr(app._transport, "send", broken)
    start, body = sent(app, {"type": "http.request", "body": b"{}"})
    assert start["status"] == 500
    assert body["body"] == b'{"error":"the store failed; the write may have been stored"}'

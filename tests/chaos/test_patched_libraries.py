"""What a test that patches its HTTP library sees of the read that verifies a write."""

from __future__ import annotations

import pytest

from memtrace import Memtrace, RetryPolicy, ServerError
from memtrace_transports.memory import ManualClock

httpx = pytest.importorskip("httpx")
requests = pytest.importorskip("requests")
respx = pytest.importorskip("respx")
responses = pytest.importorskip("responses")

ROUTE = "http://server.test/api/v1/memories"
ROW = {"time": "2026-01-01T00:00:00Z", "org_id": "o", "agent_id": "bot", "memory_type": "episodic"}
ROW.update({"event_type": "general", "content": "tea", "dedup_key": "k"})
NOTHING = {"memories": [], "count": 0, "has_more": False}


def client(transport, **settings):
    return Memtrace("http://server.test", "k", transport=transport, clock=ManualClock(), **settings)


def test_respx_tells_of_the_read_that_is_not_mocked():
    with respx.mock:
        respx.post(ROUTE).respond(502)
        with pytest.raises(AssertionError, match=r"GET.*since=1m&limit=1"):
            client("httpx").remember("bot", "tea")


def test_responses_makes_it_a_read_that_failed():
    with responses.RequestsMock() as mocked:
        mocked.post(ROUTE, status=502)
        with pytest.raises(ServerError) as caught:
            client("requests").remember("bot", "tea")
        assert [call.request.method for call in mocked.calls] == ["POST", "GET", "GET", "GET"]
    assert caught.value.maybe_applied


def test_with_the_read_mocked_the_write_is_repeated():
    with respx.mock:
        writes = respx.post(ROUTE).mock(side_effect=[httpx.Response(502), httpx.Response(201, json=ROW)])
        reads = respx.get(ROUTE).respond(json=NOTHING)
        assert client("httpx").remember("bot", "tea").content == "tea"
    assert (writes.call_count, reads.call_count) == (2, 2)


def test_with_repeating_turned_off_there_is_no_read():
    with respx.mock:
        writes = respx.post(ROUTE).respond(502)
        with pytest.raises(ServerError) as caught:
            client("httpx", retry=RetryPolicy(max_attempts=1)).remember("bot", "tea")
    assert writes.call_count == 1
    assert caught.value.maybe_applied

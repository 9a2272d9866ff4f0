"""The longest times of calls on the page about configuration are those of the SDK."""

from __future__ import annotations

import re

import pytest

from memtrace import Memtrace, MemtraceError, RetryPolicy, TransportError
from memtrace.testing import ManualClock
from memtrace.transport import Headers, Response
from tests.docs.pages import ROOT

TEXT = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
TIMEOUT = 30.0
ALMOST = TIMEOUT - 0.001


class Slow:
    """A server of which each request takes the time that `seconds` gives for its operation and number; None times out."""

    def __init__(self, clock, seconds, status=200):
        self.clock = clock
        self.seconds = seconds
        self.status = status
        self.counts = {}

    def send(self, request):
        self.counts[request.operation] = number = self.counts.get(request.operation, 0) + 1
        seconds = self.seconds(request.operation, number)
        if seconds is None:
            self.clock.advance(TIMEOUT)
            raise TransportError("no response", cause="timeout", maybe_sent=True)
        self.clock.advance(seconds)
        headers = {"content-type": "application/json", "retry-after": "30"}
        return Response(self.status, Headers(headers), b'{"memories":[],"count":0,"has_more":false}')

    def close(self):
        pass


def always(operation, number):
    return None


def writes(operation, number):
    return None if operation == "memories.add" else 0.0


def writes_and_two_of_three_reads(operation, number):
    return None if operation == "memories.add" or number % 3 else ALMOST


def never(operation, number):
    return ALMOST


@pytest.mark.parametrize(
    ("row", "operation", "seconds", "status"),
    [
        ("a read that times out", "list", always, 200),
        ("a write that times out", "add", writes, 200),
        ("the same, if those two reads time out twice each", "add", writes_and_two_of_three_reads, 200),
        ("a call that the server rejects with a `Retry-After`", "add", never, 503),
    ],
)
def test_the_longest_time_of_a_call_is_that_of_the_page(row, operation, seconds, status):
    clock = ManualClock()
    retry = RetryPolicy(jitter=lambda: 1.0)
    transport = Slow(clock, seconds, status)
    with Memtrace("http://server.test", "mtk_key", transport=transport, clock=clock, retry=retry) as client:
        began = clock.monotonic()
        with pytest.raises(MemtraceError) as caught:
            client.memories.add(agent_id="a", content="c") if operation == "add" else client.memories.list()
    assert caught.value.maybe_applied == (operation == "add" and status == 200)
    (told,) = re.findall(rf"^\| {re.escape(row)} \|[^|]*\| (\d+) s \|$", TEXT, re.MULTILINE)
    assert round(clock.monotonic() - began) == int(told)

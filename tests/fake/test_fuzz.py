"""Nothing that is sent makes the server crash, hang, answer what the real one would not, or keep what it should not.

FUZZ is how many requests each of these tests sends; `nox -s fuzz` sends many.
"""

from __future__ import annotations

import gc
import http.client
import os
import re
import socket
import tracemalloc
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from memtrace.exceptions import TransportError
from memtrace.transport import Headers, Request
from memtrace_transports.memory import FakeMemtrace, ManualClock
from memtrace_transports.memory.server import LiveServer
from tests.fake import fuzz
from tests.sampling import is_whole

COUNT = int(os.environ.get("FUZZ") or (2000 if is_whole() else 200))
ROUND = 1000
PATIENCE = 30
STATUSES = {200, 201, 204, 400, 401, 404, 405, 409, 500, 503}
OF_THE_SERVER = re.compile(rb'\{"error":"(failed to|invalid) ')
IDENTIFIER = re.compile(rb'"id":"([a-z]+_[0-9a-f]{24})"')


class Round:
    """Some requests in an organisation of their own, which ends with them; asserts that each answer is one of the server's."""

    def __init__(self, fake: FakeMemtrace, seed: int) -> None:
        self.random = Random(seed)
        self.key = fake.organisation().api_key
        self.known: list[str] = []
        if self.random.random() < 0.2:
            fake.set_storage("default", self.random.choice(["none", "down"]))

    def request(self):
        return fuzz.request(self.random, self.key, self.known)

    def raw(self):
        data = fuzz.raw_request(self.random, self.key, self.known)
        return fuzz.damaged(self.random, data) if self.random.random() < 0.1 else data

    def check(self, status, body, sent):
        """`body` is None after HEAD."""
        assert status in STATUSES, (status, body, sent)
        assert status != 500 or body is None or OF_THE_SERVER.match(body), (body, sent)
        self.known = [found.decode() for found in IDENTIFIER.findall(body or b"")[:2]] + self.known[:10]


def rounds(count):
    return range(max(count // ROUND, 1))


def in_process(fake, seed):
    part = Round(fake, seed)
    for _ in range(min(ROUND, COUNT)):
        method, target, headers, body = part.request()
        try:
            answer = fake.exchange(Request(method, "http://fake", target, Headers(headers), body)).result()
        except TransportError:
            pytest.fail("nothing here is large enough to be cut")
        part.check(answer.status, None if method == "HEAD" else answer.body, (method, target, headers, body))
    fake.reset()


def test_in_process_every_answer_is_one_of_the_servers():
    fake = FakeMemtrace(clock=ManualClock(), visibility="server")
    for seed in rounds(COUNT):
        in_process(fake, seed)


@pytest.mark.slow
def test_after_a_reset_nothing_is_kept():
    fake = FakeMemtrace(clock=ManualClock())

    def settled(seed):
        in_process(fake, seed)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        for seed in range(2):
            settled(seed)  # what is kept on purpose, of a bounded number of requests
        before = settled(2)
        grown = [settled(seed) - before for seed in range(3, 6)]
    finally:
        tracemalloc.stop()
    assert min(grown) < 64 * 1024, f"bytes kept after one, two and three more rounds: {grown}"


class Connection:
    """Sends bytes, and reads an answer or the end of the connection; is there again when it was closed."""

    def __init__(self, url):
        self.address = url.removeprefix("http://").split(":")
        self.socket = socket.create_connection(self.address, timeout=PATIENCE)

    def exchange(self, data, method):
        """Status and body of the answer, None where there was none."""
        try:
            self.socket.sendall(data)
            if method is None:
                self.socket.shutdown(socket.SHUT_WR)
            answer = http.client.HTTPResponse(self.socket, method=method)
            answer.begin()
            found = answer.status, answer.read()
        except TimeoutError:
            pytest.fail(f"no answer and no end in {PATIENCE} s to {data!r}")
        except (http.client.HTTPException, OSError):
            self.again()
            return None
        if answer.will_close or method is None:
            self.again()
        return found

    def close(self):
        self.socket.close()

    def again(self):
        self.close()
        self.socket = socket.create_connection(self.address, timeout=PATIENCE)


def resident():
    """Bytes of memory that this process has, None where that cannot be told."""
    path = Path("/proc/self/statm")
    return int(path.read_text().split()[1]) * os.sysconf("SC_PAGESIZE") if path.exists() else None


@pytest.mark.network
def test_over_a_socket_every_request_is_answered_and_none_stops_the_server(caplog):
    fake = FakeMemtrace(clock=ManualClock())
    answered = 0
    warm = None
    with LiveServer(fake) as server, closing(Connection(server.url)) as connection:
        for seed in rounds(COUNT):
            part = Round(fake, seed)
            for _ in range(min(ROUND, COUNT)):
                data = part.raw()
                found = connection.exchange(data, method_of(data))
                if found is not None:
                    answered += 1
                    part.check(found[0], None if data.startswith(b"HEAD ") else found[1], data)
            fake.reset()
            if seed == len(rounds(COUNT)) // 4:
                warm = resident()
    assert answered > COUNT / 2
    assert [record for record in caplog.records if record.name == "uvicorn.error"] == []
    if warm is not None:
        assert resident() - warm < 48 * 1024 * 1024


def method_of(data):
    """The method of a request whose end the server can find; None where only the end of the connection shows it."""
    head, found, body = data.partition(b"\r\n\r\n")
    length = re.findall(rb"\r\nContent-Length: (\d+)(?=\r\n|\Z)", head)
    whole = found and [len(body)] == [int(number) for number in length or [b"0"]] and head.isascii()
    return head.split(b" ")[0].decode() if whole and b"\0" not in head else None


@pytest.mark.slow
def test_the_fuzzer_makes_the_same_requests_from_the_same_seed_and_reaches_every_operation():
    fake = FakeMemtrace(clock=ManualClock())
    part = Round(fake, 0)
    same = Round(FakeMemtrace(clock=ManualClock()), 0)
    assert [part.raw() for _ in range(50)] == [same.raw() for _ in range(50)]
    for seed in range(12):
        part = Round(fake, seed)
        fake.set_storage("default", "up")
        for _ in range(1000):
            method, target, headers, body = part.request()
            answer = fake.exchange(Request(method, "http://fake", target, Headers(headers), body)).result()
            part.check(answer.status, None if method == "HEAD" else answer.body, target)
    reached = {call.operation for call in fake.calls if call.status < 300}
    assert reached >= {"memories.add", "memories.list", "memories.filter", "agents.register", "sessions.create"}
    assert {call.status for call in fake.calls} >= {200, 201, 400, 401, 404, 405, 409, 500}

"""How connections are kept, shared and closed."""

from __future__ import annotations

import multiprocessing
import time
import warnings
from concurrent.futures import wait
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from memtrace.testing._rules.fixtures import Fixtures
from memtrace.testing._rules.requests_under_test import BOUND, LEFT_OPEN, PATIENCE, get, line, post, until
from memtrace.testing._scripted_server import Answer, ScriptedServer, Verbatim
from memtrace.testing._threads import in_thread
from memtrace.testing._transport_under_test import TransportUnderTest
from memtrace.transport import TransportError

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue


class Connections(Fixtures):
    """One after the other, many at once, in the children of a fork: each request gets its own answer."""

    def test_closing_it_closes_its_connections(self, server: ScriptedServer, subject: TransportUnderTest) -> None:
        """All of them, soon."""
        answers = [subject.start(get(server.url, timeout=30.0)) for _ in range(3)]
        for answer in answers:
            answer.result()
        subject.close()
        until(lambda: server.open_connections == 0)
        assert server.open_connections == 0, "connections that stay open"

    def test_closing_it_under_way_says_that_the_request_was_sent(
        self, server: ScriptedServer, subject: TransportUnderTest
    ) -> None:
        """Or waits for its response; the server has the request."""
        server.do(Answer(pause=PATIENCE))
        answer = subject.start(post(server.url, timeout=30.0))
        until(lambda: len(server.received) == 1)
        closing = in_thread(subject.close)
        wait((closing,), BOUND)  # a connection waiting for its response ends with it
        server.end_pauses()
        closing.result(30.0)
        try:
            response = answer.result()
        except TransportError as error:
            assert error.maybe_sent is True
        else:
            assert response.status == 200

    def test_requests_do_not_wait_for_each_other(self, server: ScriptedServer, subject: TransportUnderTest) -> None:
        """Four that take their time are under way at once."""
        server.do(*[Answer(pause=1.0)] * 4)
        answers = [subject.start(get(server.url, timeout=30.0)) for _ in range(4)]
        until(lambda: server.most_at_once > 1 or any(answer.done() for answer in answers))
        server.end_pauses()
        assert [answer.result().status for answer in answers] == [200] * 4
        assert server.most_at_once > 1, "one request at a time"

    def test_a_connection_is_kept_for_the_next_request(
        self, server: ScriptedServer, subject: TransportUnderTest
    ) -> None:
        """TCP and TLS take several round trips."""
        if not self.keeps_alive:
            pytest.skip("keeps_alive = False")
        for _ in range(5):
            subject.send(get(server.url))
        assert server.connections == 1

    def test_an_idle_connection_that_the_server_closed_harms_one_request_at_most(
        self, server: ScriptedServer, subject: TransportUnderTest
    ) -> None:
        """The next one may fail, and says so; the one after is answered."""
        server.do(Answer(200, b"first", hang_up=True), Answer(200, b"second"))
        assert subject.send(get(server.url)).body == b"first"
        time.sleep(0.05)
        response = None
        with suppress(TransportError):
            response = subject.send(get(server.url))
        assert (response or subject.send(get(server.url))).body == b"second"

    def test_bytes_behind_an_answer_are_never_the_next_answer(
        self, server: ScriptedServer, subject: TransportUnderTest
    ) -> None:
        """A connection that got surplus bytes, with the response or while it was idle, is not reused."""
        first, foreign = (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + body for body in (b"first", b"wrong"))
        server.do(Verbatim((first + foreign,)), Verbatim((first,), late=foreign), Answer(200, b"third"))
        assert [subject.send(get(server.url)).body for _ in range(2)] == [b"first", b"first"]
        server.send_late()
        assert subject.send(get(server.url)).body == b"third"

    def test_each_of_many_requests_at_once_gets_its_own_answer(
        self, server: ScriptedServer, subject: TransportUnderTest
    ) -> None:
        """32 at once, again and again: in threads, or in tasks."""
        for turn in range(4):
            targets = [f"/{turn}/{number}" for number in range(32)]
            answers = [subject.start(get(server.url, target, timeout=30.0)) for target in targets]
            assert [line(answer.result()) for answer in answers] == [f"GET {target} HTTP/1.1" for target in targets]

    @LEFT_OPEN
    def test_children_of_a_fork_share_no_connection(self, server: ScriptedServer, subject: TransportUnderTest) -> None:
        """4 children and their parent use one transport, 40 requests each: 200 answers, none of them another's."""
        if not self.forks or "fork" not in multiprocessing.get_all_start_methods():
            pytest.skip("forks = False, or this system has no fork")
        subject.send(get(server.url))
        fork = multiprocessing.get_context("fork")
        wrong: SimpleQueue[list[str]] = fork.SimpleQueue()
        children = [
            fork.Process(target=_send_numbered, args=(subject, server.url, number, wrong)) for number in range(4)
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12: the server has threads
            for child in children:
                child.start()
        _send_numbered(subject, server.url, 4, wrong)
        end = time.monotonic() + 30
        for child in children:
            child.join(max(end - time.monotonic(), 0))
            child.kill()  # one that hangs; the others have ended
        assert [child.exitcode for child in children] == [0] * 4, "a child of the fork failed"
        assert [wrong.get() for _ in range(5)] == [[]] * 5, "answers that belong to another request"


def _send_numbered(subject: TransportUnderTest, url: str, number: int, wrong: SimpleQueue[list[str]]) -> None:
    """Send 40 requests from one process; put the responses that belong to another one."""
    targets = [f"/{number}/{turn}" for turn in range(40)]
    try:
        lines = [line(answer) for answer in subject.send_in_new_loop([get(url, target) for target in targets])]
    except (TransportError, ValueError) as error:  # half a response is not JSON
        wrong.put([f"process {number}: {error!r}"])
    else:
        wrong.put([line for line, target in zip(lines, targets, strict=True) if line != f"GET {target} HTTP/1.1"])

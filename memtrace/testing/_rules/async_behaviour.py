"""Rules of async transports."""

from __future__ import annotations

from functools import partial
from typing import cast

from memtrace.plugins import TransportSpec
from memtrace.testing._rules.fixtures import Fixtures, Make
from memtrace.testing._rules.requests_under_test import BOUND, LEFT_OPEN, failure, get, line, post
from memtrace.testing._scripted_server import Answer, Drip, ScriptedServer, Stall
from memtrace.testing._transport_under_test import AsyncTransportUnderTest


class Awaiting(Fixtures):
    """It leaves the event loop free, ends when it is cancelled, and survives its event loop."""

    def test_other_tasks_run_while_it_waits(self, server: ScriptedServer, subject: AsyncTransportUnderTest) -> None:
        """Nothing blocks the event loop."""
        server.do(Answer(), Answer(pause=0.5))
        subject.send(get(server.url))  # the first one may import and load certificates
        assert subject.silence_while(get(server.url)) < 0.4, "seconds for which no other task had a turn"

    def test_a_body_that_drips_is_bounded_as_a_whole(
        self, server: ScriptedServer, subject: AsyncTransportUnderTest
    ) -> None:
        """The request's `timeout` is exact, however often a byte comes."""
        server.do(Drip(pause=0.05, count=200))
        error = failure(subject, post(server.url, timeout=BOUND))
        assert (error.cause, error.maybe_sent) == ("timeout", True)

    def test_a_cancelled_request_gives_its_connection_back(
        self, server: ScriptedServer, spec: TransportSpec, make: Make
    ) -> None:
        """20 times, where there is one connection only, if the transport can be told so."""
        options = {"max_connections": 1} if "max_connections" in spec.capabilities else {}
        subject = cast("AsyncTransportUnderTest", make(**options))
        server.do(*[Stall()] * 20)
        for number in range(1, 21):
            is_sent = partial(_has_received, server, number)
            assert subject.cancel(get(server.url), is_sent), "it did not end as cancelled"
        assert subject.send(get(server.url)).status == 200

    @LEFT_OPEN
    def test_it_serves_one_event_loop_after_the_other(
        self, server: ScriptedServer, subject: AsyncTransportUnderTest
    ) -> None:
        """As ``asyncio.run`` in a program that calls it more than once."""
        for turn in range(3):
            (answer,) = subject.send_in_new_loop([get(server.url, f"/{turn}")])
            assert line(answer) == f"GET /{turn} HTTP/1.1"


def _has_received(server: ScriptedServer, count: int) -> bool:
    return len(server.received) >= count

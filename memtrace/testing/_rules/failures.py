"""Each failure raises the error of its kind."""

from __future__ import annotations

import pytest

from memtrace.testing._rules.fixtures import Fixtures
from memtrace.testing._rules.requests_under_test import BOUND, PATIENCE, failure, get, post, until
from memtrace.testing._scripted_server import (
    Answer,
    CloseAfterReading,
    Garbage,
    ResetAfterReading,
    ScriptedServer,
    Stall,
    Step,
    Truncate,
    deaf_address,
    refusing_address,
)
from memtrace.testing._transport_under_test import TransportUnderTest


class Failures(Fixtures):
    """Each is a `TransportError` with its cause, and says whether the request may have been sent."""

    def test_a_refused_connection(self, server: ScriptedServer, subject: TransportUnderTest) -> None:
        """Nothing can have been sent: a retry is safe."""
        with refusing_address() as url:
            error = failure(subject, post(url))
        assert (error.cause, error.maybe_sent) == ("connect", False)

    @pytest.mark.parametrize(
        "step", [ResetAfterReading(), CloseAfterReading()], ids=["reset", "closed"],
    )  # fmt: skip
    def test_a_connection_that_breaks_without_an_answer(
        self, server: ScriptedServer, subject: TransportUnderTest, step: Step
    ) -> None:
        """The request may have been applied. Only the SDK decides on a retry, never a transport."""
        server.do(step)
        error = failure(subject, post(server.url))
        assert (error.cause, error.maybe_sent) == ("reset", True)
        assert len(server.received) == 1, "the transport repeats requests by itself"

    def test_a_connection_that_breaks_after_others_were_answered(
        self, server: ScriptedServer, subject: TransportUnderTest
    ) -> None:
        """The request may have been applied on a kept-alive connection too, on which libraries retry by themselves."""
        server.do(Answer(), ResetAfterReading())
        subject.send(post(server.url))
        error = failure(subject, post(server.url))
        assert (error.cause, error.maybe_sent) == ("reset", True)
        assert len(server.received) == 2, "the transport repeats requests by itself"

    @pytest.mark.parametrize(
        "step",
        [Stall(), Stall(b"HTTP/1.1 200 OK\r\nX-Ha"), Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")],
        ids=["before the response", "within the headers", "within the body"],
    )
    def test_an_answer_that_does_not_come_in_time(
        self, server: ScriptedServer, subject: TransportUnderTest, step: Step
    ) -> None:
        """The request's own `timeout` bounds it, in seconds."""
        server.do(step)
        error = failure(subject, post(server.url, timeout=BOUND))
        assert (error.cause, error.maybe_sent) == ("timeout", True)

    def test_a_connection_that_does_not_come_about_in_time(
        self, server: ScriptedServer, subject: TransportUnderTest
    ) -> None:
        """Nothing can have been sent; one that a busy machine made miss that gets more time."""
        with deaf_address() as url:
            for bound in (BOUND, 4 * BOUND, 16 * BOUND):
                error = failure(subject, post(url, timeout=bound))
                assert error.cause == "timeout"
                if not (error.maybe_sent and self.clocks_connecting):
                    return
        pytest.fail("the error says that the request may have been sent")

    def test_an_answer_that_came_late_is_given_to_nobody(
        self, server: ScriptedServer, subject: TransportUnderTest
    ) -> None:
        """Its connection is closed, or the next request would get it."""
        server.do(Answer(200, b"late", pause=PATIENCE), Answer(200, b"own"))
        failure(subject, get(server.url, timeout=BOUND))
        server.end_pauses()
        until(lambda: bool(server.received) and server.at_once == 0)
        assert subject.send(get(server.url)).body == b"own"

    @pytest.mark.parametrize(
        "step", [Truncate(), Truncate(chunked=True)], ids=["with a length", "in chunks"]
    )  # fmt: skip
    def test_a_body_that_is_cut_short_is_no_answer(
        self, server: ScriptedServer, subject: TransportUnderTest, step: Step
    ) -> None:
        """A part of a list of memories would look like all of it."""
        server.do(step)
        error = failure(subject, post(server.url))
        assert (error.cause in ("reset", "protocol"), error.maybe_sent) == (True, True)

    def test_a_compressed_body_without_its_end_is_no_answer(
        self, server: ScriptedServer, subject: TransportUnderTest
    ) -> None:
        """Though all bytes came that were promised."""
        server.do(Truncate(zipped=True))
        error = failure(subject, post(server.url))
        assert (error.cause in ("reset", "protocol"), error.maybe_sent) == (True, True)

    def test_an_answer_that_is_no_http(self, server: ScriptedServer, subject: TransportUnderTest) -> None:
        """As of a server of another kind on that port."""
        server.do(Garbage())
        error = failure(subject, post(server.url))
        assert (error.cause, error.maybe_sent) == ("protocol", True)

    def test_each_failure_is_a_new_error(self, server: ScriptedServer, subject: TransportUnderTest) -> None:
        """An error that is raised again and again carries all its tracebacks along."""
        server.do(ResetAfterReading(), ResetAfterReading())
        errors = [failure(subject, post(server.url)) for _ in range(2)]
        assert errors[0] is not errors[1]

    def test_a_failed_request_leaves_the_transport_usable(
        self, server: ScriptedServer, subject: TransportUnderTest
    ) -> None:
        """After failures of every kind."""
        failing = [ResetAfterReading(), CloseAfterReading(), Stall(), Truncate(), Garbage()]
        server.do(*failing)
        for _ in failing:
            failure(subject, get(server.url, timeout=BOUND))
        assert subject.send(get(server.url)).status == 200

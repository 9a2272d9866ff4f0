"""The contract of a transport, as classes that pytest runs: subclass one, give it your transport, and see what it breaks."""

from __future__ import annotations

import json
import logging
import multiprocessing
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from inspect import isfunction, signature
from typing import TYPE_CHECKING, ClassVar, Protocol, cast

import pytest

from memtrace.exceptions import ClientClosedError
from memtrace.plugins import API_VERSION, TransportSpec
from memtrace.testing.planted import CONTENT, KEY, is_shown, shown_in_error, shown_in_records
from memtrace.testing.scripted_server import (
    Answer,
    CloseAfterReading,
    Drip,
    Garbage,
    ResetAfterReading,
    ScriptedServer,
    Stall,
    Step,
    Truncate,
    deaf_address,
    refusing_address,
    unread_address,
)
from memtrace.testing.subjects import AsyncSubject, Backend, Subject, SyncSubject
from memtrace.testing.targets import TARGETS
from memtrace.transport import Headers, Method, Request, Response, TransportError, TransportOptions

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue

    from _pytest.mark import ParameterSet

__all__ = ["AsyncTransportContract", "TransportContract"]

_BOUND = 0.25
"""Seconds that a request which is bound to fail in time is given."""
_PATIENCE = 5.0
"""Seconds that any other request is given."""
_SLACK = 1.5
"""Seconds beyond a bound that are put down to a slow machine."""

_LEFT_OPEN = pytest.mark.filterwarnings("ignore::ResourceWarning")  # by libraries, when a loop or a request ends early


_OF_HTTP = frozenset({"host", "accept", "accept-encoding", "connection", "content-length", "user-agent"})


class Make(Protocol):
    """Makes a transport with these fields of `TransportOptions`; it is closed when the test ends."""

    def __call__(self, **options: object) -> Subject:
        """Make one."""
        ...


class _Contract:
    """What holds for both forms."""

    network: ClassVar[bool] = True
    """False for a transport that answers by itself: what needs a server is left out."""
    keeps_alive: ClassVar[bool] = True
    """False for one that makes a connection for each request."""
    forks: ClassVar[bool] = True
    """False for one that cannot be used on both sides of a fork."""
    clocks_connecting: ClassVar[bool] = True
    """False for one that cannot tell a connection that does not come about in time from an answer that does not."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if isfunction(cls.__dict__.get("spec")):
            raise TypeError(f"{cls.__name__}.spec needs the decorator @pytest.fixture")
        if not cls.network:
            for name in dir(cls):
                if name.startswith("test_") and "server" in signature(getattr(cls, name)).parameters:
                    setattr(cls, name, None)  # pytest collects functions only

    @pytest.fixture
    def spec(self) -> TransportSpec:
        """The transport under test; each subclass overrides this."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `spec` that returns your TransportSpec")

    @pytest.fixture
    def server(self) -> Iterator[ScriptedServer]:
        """A server on a loopback port that echoes, unless it is told otherwise."""
        with ScriptedServer() as server:
            yield server

    def _needs(self, spec: TransportSpec, *options: str) -> None:
        for name in options:
            if name not in spec.capabilities:
                pytest.skip(f"{name} is not among the capabilities")

    # -- how it is made and closed

    def test_its_spec_fits_this_sdk(self, spec: TransportSpec) -> None:
        """The spec was made for this plugin interface, and its capabilities are options that exist."""
        assert spec.api == API_VERSION
        unknown = sorted(spec.capabilities - set(TransportOptions.__dataclass_fields__))
        assert unknown == [], "capabilities are names of TransportOptions' fields"

    def test_nothing_is_sent_by_making_one(self, server: ScriptedServer, make: Make) -> None:
        """A constructor does no network I/O, for a client is made long before it is used."""
        make(url=server.url)
        time.sleep(0.05)
        assert server.connections == 0, "a connection was made before the first request"

    def test_a_second_close_does_nothing(self, make: Make) -> None:
        """Also for one that was never used."""
        subject = make()
        subject.close()
        subject.close()

    def test_a_used_one_closes_twice(self, server: ScriptedServer, subject: Subject) -> None:
        """As above."""
        subject.send(_get(server.url))
        subject.close()
        subject.close()

    def test_a_closed_one_sends_nothing(self, make: Make) -> None:
        """It raises `ClientClosedError`, wherever the request would go."""
        subject = make()
        subject.close()
        with pytest.raises(ClientClosedError):
            subject.send(_get("http://127.0.0.1:9"))

    def test_one_that_is_closed_after_use_sends_nothing(self, server: ScriptedServer, subject: Subject) -> None:
        """As above."""
        subject.send(_get(server.url))
        subject.close()
        with pytest.raises(ClientClosedError):
            subject.send(_get(server.url))
        assert len(server.received) == 1

    # -- requests go out as they are

    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
    def test_methods_go_out_as_they_are(self, server: ScriptedServer, subject: Subject, method: Method) -> None:
        """Each with a body, but for GET."""
        body = None if method == "GET" else b'{"a":1}'
        subject.send(Request(method, server.url, "/api/v1/memories", body=body, timeout=_PATIENCE))
        (received,) = server.received
        assert (received.line, received.body) == (f"{method} /api/v1/memories HTTP/1.1", body or b"")

    def test_no_header_is_added_but_those_of_http_itself(self, server: ScriptedServer, subject: Subject) -> None:
        """No content type that nobody gave, no cookie, nothing of the library's own."""
        subject.send(Request("POST", server.url, "/", body=b"x", timeout=_PATIENCE))
        (received,) = server.received
        assert sorted({name.lower() for name, _ in received.headers.pairs} - _OF_HTTP) == []

    def test_targets_go_out_byte_for_byte(self, server: ScriptedServer, subject: Subject) -> None:
        """Percent-encoded or not, dots and doubled slashes included: the SDK has encoded what needed it."""
        for target in TARGETS:
            subject.send(_get(server.url, target))
        sent = [received.target for received in server.received]
        changed = [pair for pair in zip(TARGETS, sent, strict=True) if pair[0] != pair[1]]
        assert changed == [], "pairs of a target and what the server received for it"

    @pytest.mark.parametrize(
        "body", [b"", "Zürich, 東京, 🧠".encode(), bytes(range(256)), b"x" * (4 * 1024 * 1024)],
        ids=["empty", "non-ASCII", "all bytes", "4 MiB"],
    )  # fmt: skip
    def test_bodies_go_out_whole(self, server: ScriptedServer, subject: Subject, body: bytes) -> None:
        """Byte for byte, with their length."""
        server.do(Answer())
        subject.send(Request("POST", server.url, "/", body=body, timeout=30.0))
        (received,) = server.received
        assert received.headers.get("content-length") == str(len(body)), "the Content-Length that was sent"
        assert received.body == body

    def test_headers_go_out_as_they_are(self, server: ScriptedServer, subject: Subject) -> None:
        """Repeated ones by themselves and in order; nothing is said about the letters' case."""
        long = "k" * 6000
        given = [("x-api-key", long), ("X-Trace", "1"), ("x-trace", "2"), ("Content-Type", "application/json")]
        subject.send(Request("POST", server.url, "/", Headers(given), b"{}", timeout=_PATIENCE))
        (received,) = server.received
        sent = [received.headers.get_all(name) for name in ("x-api-key", "x-trace", "content-type")]
        assert sent == [[long], ["1", "2"], ["application/json"]]

    # -- answers come back as they are

    def test_no_status_raises(self, server: ScriptedServer, subject: Subject) -> None:
        """Every status from 200 to 599 is an answer, with its body."""
        statuses = range(200, 600)
        server.do(*(Answer(status, b'{"n":%d}' % status) for status in statuses))
        for status in statuses:
            response = subject.send(_get(server.url))
            body = b"" if status in (204, 304) else b'{"n":%d}' % status
            assert (response.status, response.body) == (status, body)

    @pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "in chunks"])
    @pytest.mark.parametrize(
        "body", [b"", bytes(range(256)), b"x" * (4 * 1024 * 1024)], ids=["empty", "all bytes", "4 MiB"]
    )
    def test_bodies_come_back_whole(self, server: ScriptedServer, subject: Subject, body: bytes, chunked: bool) -> None:  # noqa: FBT001
        """Byte for byte, whatever they hold."""
        server.do(Answer(200, body, chunked=chunked))
        response = subject.send(_get(server.url, timeout=30.0))
        assert isinstance(response.body, bytes)
        assert response.body == body

    def test_compressed_bodies_come_back_decompressed(self, server: ScriptedServer, subject: Subject) -> None:
        """Where the transport says that it accepts gzip."""
        body = b'{"content":"again and again"}' * 500
        server.do(Answer(200, body, zipped=True))
        assert subject.send(_get(server.url)).body == body

    def test_headers_come_back(self, server: ScriptedServer, subject: Subject) -> None:
        """In any case, repeated ones in order."""
        server.do(Answer(200, b"", [("X-Two", "a"), ("x-two", "b"), ("Retry-After", "7")]))
        response = subject.send(_get(server.url))
        assert isinstance(response, Response)
        assert (response.headers.get_all("X-TWO"), response.headers["retry-after"]) == (["a", "b"], "7")

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_no_redirect_is_followed(self, server: ScriptedServer, subject: Subject, status: int) -> None:
        """A redirect is an answer; the key never goes to another origin."""
        with ScriptedServer() as other:
            server.do(Answer(status, b"", [("Location", other.url + "/elsewhere")]))
            response = subject.send(_post(server.url))
            assert (response.status, response.headers["location"]) == (status, other.url + "/elsewhere")
            assert other.received == [], "the redirect was followed"
        assert len(server.received) == 1

    def test_no_cookie_is_kept(self, server: ScriptedServer, subject: Subject) -> None:
        """What a proxy in front sets for one organisation's call must not go with another's."""
        server.do(Answer(200, b"", [("Set-Cookie", "who=acme; Path=/")]))
        for _ in range(2):
            subject.send(_get(server.url))
        assert "cookie" not in server.received[1].headers

    def test_an_interim_answer_is_not_taken_for_the_answer(self, server: ScriptedServer, subject: Subject) -> None:
        """What a proxy says ahead of it, such as 103: the answer comes all the same, or the exchange fails as a whole."""
        server.do(Answer(200, b"first", interim=(102, 103), pause=0.05), Answer(200, b"second"))
        bodies = []
        for _ in range(2):
            try:
                response = subject.send(_get(server.url))
            except TransportError:
                server.do(Answer(200, b"second"))
            else:
                assert response.status == 200
                bodies.append(response.body)
        assert bodies in ([b"first", b"second"], [b"second"]), "an answer was given to another request"

    # -- connections

    def test_closing_it_closes_its_connections(self, server: ScriptedServer, subject: Subject) -> None:
        """All of them, soon."""
        answers = [subject.start(_get(server.url, timeout=30.0)) for _ in range(3)]
        for answer in answers:
            answer.result()
        subject.close()
        _until(lambda: server.open_connections == 0)
        assert server.open_connections == 0, "connections that stay open"

    def test_closing_it_under_way_says_that_the_request_was_sent(
        self, server: ScriptedServer, subject: Subject
    ) -> None:
        """Or waits for its answer; the server has the request."""
        server.do(Answer(pause=0.5))
        answer = subject.start(_post(server.url, timeout=30.0))
        _until(lambda: len(server.received) == 1)
        subject.close()
        try:
            response = answer.result()
        except TransportError as error:
            assert error.maybe_sent is True
        else:
            assert response.status == 200

    def test_requests_do_not_wait_for_each_other(self, server: ScriptedServer, subject: Subject) -> None:
        """Four that take their time are under way at once."""
        server.do(*[Answer(pause=0.3)] * 4)
        answers = [subject.start(_get(server.url, timeout=30.0)) for _ in range(4)]
        assert [answer.result().status for answer in answers] == [200] * 4
        assert server.most_at_once > 1, "one request at a time"

    def test_a_connection_is_kept_for_the_next_request(self, server: ScriptedServer, subject: Subject) -> None:
        """TCP and TLS take several round trips."""
        if not self.keeps_alive:
            pytest.skip("keeps_alive = False")
        for _ in range(5):
            subject.send(_get(server.url))
        assert server.connections == 1

    def test_an_idle_connection_that_the_server_closed_harms_one_request_at_most(
        self, server: ScriptedServer, subject: Subject
    ) -> None:
        """The next one may fail, and says so; the one after is answered."""
        server.do(Answer(200, b"first", hang_up=True), Answer(200, b"second"))
        assert subject.send(_get(server.url)).body == b"first"
        time.sleep(0.05)
        try:
            response = subject.send(_get(server.url))
        except TransportError:
            response = subject.send(_get(server.url))
        assert response.body == b"second"

    def test_each_of_many_requests_at_once_gets_its_own_answer(self, server: ScriptedServer, subject: Subject) -> None:
        """32 at once, again and again: in threads, or in tasks."""
        for turn in range(4):
            targets = [f"/{turn}/{number}" for number in range(32)]
            answers = [subject.start(_get(server.url, target, timeout=30.0)) for target in targets]
            assert [_line(answer.result()) for answer in answers] == [f"GET {target} HTTP/1.1" for target in targets]

    @_LEFT_OPEN
    def test_children_of_a_fork_share_no_connection(self, server: ScriptedServer, subject: Subject) -> None:
        """4 children and their parent use one transport, 40 requests each: 200 answers, none of them another's."""
        if not self.forks or "fork" not in multiprocessing.get_all_start_methods():
            pytest.skip("forks = False, or this system has no fork")
        subject.send(_get(server.url))
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

    # -- failures

    def test_a_refused_connection(self, server: ScriptedServer, subject: Subject) -> None:
        """Nothing can have been sent: a retry is safe."""
        with refusing_address() as url:
            error = _failure(subject, _post(url))
        assert (error.cause, error.maybe_sent) == ("connect", False)

    @pytest.mark.parametrize(
        "step", [ResetAfterReading(), CloseAfterReading()], ids=["reset", "closed"],
    )  # fmt: skip
    def test_a_connection_that_breaks_without_an_answer(
        self, server: ScriptedServer, subject: Subject, step: Step
    ) -> None:
        """The request may have been applied; whether to repeat it is for the SDK's retries, never for a transport."""
        server.do(step)
        error = _failure(subject, _post(server.url))
        assert (error.cause, error.maybe_sent) == ("reset", True)
        assert len(server.received) == 1, "the transport repeats requests by itself"

    def test_a_connection_that_breaks_after_others_were_answered(
        self, server: ScriptedServer, subject: Subject
    ) -> None:
        """As above, on a connection that was kept: libraries repeat such a request of their own accord."""
        server.do(Answer(), ResetAfterReading())
        subject.send(_post(server.url))
        error = _failure(subject, _post(server.url))
        assert (error.cause, error.maybe_sent) == ("reset", True)
        assert len(server.received) == 2, "the transport repeats requests by itself"

    @pytest.mark.parametrize(
        "step",
        [Stall(), Stall(b"HTTP/1.1 200 OK\r\nX-Ha"), Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")],
        ids=["before the answer", "within the headers", "within the body"],
    )
    def test_an_answer_that_does_not_come_in_time(self, server: ScriptedServer, subject: Subject, step: Step) -> None:
        """The request's own `timeout` bounds it, in seconds."""
        server.do(step)
        error = _failure(subject, _post(server.url, timeout=_BOUND))
        assert (error.cause, error.maybe_sent) == ("timeout", True)

    def test_a_connection_that_does_not_come_about_in_time(self, server: ScriptedServer, subject: Subject) -> None:
        """Nothing can have been sent."""
        with deaf_address() as url:
            error = _failure(subject, _post(url, timeout=_BOUND))
        assert error.cause == "timeout"
        if self.clocks_connecting:
            assert error.maybe_sent is False

    def test_an_answer_that_came_late_is_given_to_nobody(self, server: ScriptedServer, subject: Subject) -> None:
        """Its connection is closed, or the next request would get it."""
        server.do(Answer(200, b"late", pause=2 * _BOUND), Answer(200, b"own"))
        _failure(subject, _get(server.url, timeout=_BOUND))
        time.sleep(2 * _BOUND)
        assert subject.send(_get(server.url)).body == b"own"

    @pytest.mark.parametrize(
        "step", [Truncate(), Truncate(chunked=True)], ids=["with a length", "in chunks"]
    )  # fmt: skip
    def test_a_body_that_is_cut_short_is_no_answer(self, server: ScriptedServer, subject: Subject, step: Step) -> None:
        """A part of a list of memories would look like all of it."""
        server.do(step)
        error = _failure(subject, _post(server.url))
        assert (error.cause in ("reset", "protocol"), error.maybe_sent) == (True, True)

    def test_a_compressed_body_without_its_end_is_no_answer(self, server: ScriptedServer, subject: Subject) -> None:
        """Though all bytes came that were promised."""
        server.do(Truncate(zipped=True))
        error = _failure(subject, _post(server.url))
        assert (error.cause in ("reset", "protocol"), error.maybe_sent) == (True, True)

    def test_an_answer_that_is_no_http(self, server: ScriptedServer, subject: Subject) -> None:
        """As of a server of another kind on that port."""
        server.do(Garbage())
        error = _failure(subject, _post(server.url))
        assert (error.cause, error.maybe_sent) == ("protocol", True)

    def test_each_failure_is_a_new_error(self, server: ScriptedServer, subject: Subject) -> None:
        """An error that is raised again and again carries all its tracebacks along."""
        server.do(ResetAfterReading(), ResetAfterReading())
        errors = [_failure(subject, _post(server.url)) for _ in range(2)]
        assert errors[0] is not errors[1]

    def test_a_failed_request_leaves_the_transport_usable(self, server: ScriptedServer, subject: Subject) -> None:
        """After failures of every kind."""
        failing = [ResetAfterReading(), CloseAfterReading(), Stall(), Truncate(), Garbage()]
        server.do(*failing)
        for _ in failing:
            _failure(subject, _get(server.url, timeout=_BOUND))
        assert subject.send(_get(server.url)).status == 200

    # -- secrets

    def test_no_error_and_no_log_shows_a_key_or_a_content(
        self,
        server: ScriptedServer,
        make: Make,
        caplog: pytest.LogCaptureFixture,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        """Neither of the transport nor of its library, at DEBUG, nor what they print, for failures of every kind."""
        steps = [
            Answer(200, CONTENT.encode()),
            ResetAfterReading(),
            Stall(),
            Stall(f"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{CONTENT}".encode()),
            Truncate(),
            Garbage(),
        ]
        server.do(*steps)
        subject = make()
        with caplog.at_level(logging.DEBUG), refusing_address() as refusing:
            shown = [
                place
                for url in [server.url] * len(steps) + [refusing]
                for place in _places_of_secrets(subject, url)
            ]  # fmt: skip
        assert shown == [], "errors that show a planted key or content"
        assert shown_in_records(caplog.records) == [], "log records that show a planted key or content"
        assert not is_shown("".join(capfd.readouterr())), "a planted key or content was printed"

    # -- options, as far as they are among the capabilities

    @pytest.mark.parametrize("seconds", [None, 60.0], ids=["without another bound", "below the attempt's bound"])
    def test_option_read_timeout(
        self, server: ScriptedServer, spec: TransportSpec, make: Make, seconds: float | None
    ) -> None:
        """Bounds the wait for the next bytes of an answer."""
        self._needs(spec, "read_timeout")
        server.do(Stall())
        error = _failure(make(read_timeout=_BOUND), _post(server.url, timeout=seconds))
        assert (error.cause, error.maybe_sent) == ("timeout", True)

    def test_option_connect_timeout(self, server: ScriptedServer, spec: TransportSpec, make: Make) -> None:
        """Bounds the making of a connection, and tells it from an answer that does not come."""
        self._needs(spec, "connect_timeout")
        with deaf_address() as url:
            error = _failure(make(connect_timeout=_BOUND), _post(url, timeout=60.0))
        assert (error.cause, error.maybe_sent) == ("timeout", False)

    @_LEFT_OPEN
    def test_option_write_timeout(self, server: ScriptedServer, spec: TransportSpec, make: Make) -> None:
        """Bounds the wait for a server that does not read."""
        self._needs(spec, "write_timeout")
        with unread_address() as url:
            request = Request("POST", url, "/", body=b"x" * (32 * 1024 * 1024), timeout=60.0)
            error = _failure(make(write_timeout=_BOUND), request)
        assert (error.cause, error.maybe_sent) == ("timeout", True)

    def test_option_max_connections(self, server: ScriptedServer, spec: TransportSpec, make: Make) -> None:
        """Bounds the connections at once; further requests wait their turn."""
        self._needs(spec, "max_connections")
        server.do(*[Answer(pause=0.02)] * 12)
        subject = make(max_connections=2)
        answers = [subject.start(_get(server.url, timeout=30.0)) for _ in range(12)]
        assert [answer.result().status for answer in answers] == [200] * 12
        assert server.most_at_once <= 2

    def test_option_pool_timeout(self, server: ScriptedServer, spec: TransportSpec, make: Make) -> None:
        """Bounds the wait for a free connection; nothing can have been sent."""
        self._needs(spec, "max_connections", "pool_timeout")
        server.do(Answer(pause=4 * _BOUND))
        subject = make(max_connections=1, pool_timeout=_BOUND)
        first = subject.start(_get(server.url, timeout=30.0))
        _until(lambda: len(server.received) == 1)
        error = _failure(subject, _post(server.url, timeout=30.0))
        assert (error.cause, error.maybe_sent) == ("timeout", False)
        assert first.result().status == 200

    def test_option_keepalive_expiry(self, server: ScriptedServer, spec: TransportSpec, make: Make) -> None:
        """An idle connection is not used any more after these seconds."""
        self._needs(spec, "keepalive_expiry")
        subject = make(keepalive_expiry=0.1)
        subject.send(_get(server.url))
        time.sleep(0.3)
        subject.send(_get(server.url))
        assert server.connections == 2

    def test_option_max_keepalive_connections(self, server: ScriptedServer, spec: TransportSpec, make: Make) -> None:
        """With 0, none is kept."""
        self._needs(spec, "max_keepalive_connections")
        subject = make(max_keepalive_connections=0)
        for _ in range(2):
            subject.send(_get(server.url))
        assert server.connections == 2

    @_LEFT_OPEN
    @pytest.mark.parametrize("zipped", [False, True], ids=["plain", "compressed"])
    def test_option_max_response_bytes(
        self, server: ScriptedServer, spec: TransportSpec, make: Make, zipped: bool  # noqa: FBT001
    ) -> None:  # fmt: skip
        """A longer answer is an error, counted after decompression."""
        self._needs(spec, "max_response_bytes")
        server.do(Answer(200, b"0" * 1_000_000, zipped=zipped), Answer(200, b"0" * 1_000, zipped=zipped))
        subject = make(max_response_bytes=1_000)
        error = _failure(subject, _post(server.url))
        assert (error.cause, error.maybe_sent) == ("protocol", True)
        assert len(subject.send(_get(server.url)).body) == 1_000

    def test_option_headers(self, server: ScriptedServer, spec: TransportSpec, make: Make) -> None:
        """Go with every request, below its own."""
        self._needs(spec, "headers")
        subject = make(headers={"X-Default": "1"})
        subject.send(_get(server.url))
        subject.send(_get(server.url, headers=Headers({"x-default": "2"})))
        assert [received.headers.get_all("x-default") for received in server.received] == [["1"], ["2"]]

    def test_option_proxy(self, server: ScriptedServer, spec: TransportSpec, make: Make) -> None:
        """Takes every request, with the proxy's password."""
        self._needs(spec, "proxy")
        subject = make(proxy=server.url.replace("//", "//user:word@"))
        subject.send(_get("http://memtrace.invalid", "/x"))
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
        self._needs(spec, "trust_env")
        with ScriptedServer() as proxy:
            for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY", "http_proxy"):
                monkeypatch.delenv(name, raising=False)
            monkeypatch.setenv("http_proxy", proxy.url)
            make(trust_env=trusted).send(_get(server.url))
            assert (len(proxy.received), len(server.received)) == ((1, 0) if trusted else (0, 1))


class TransportContract(_Contract):
    """What every blocking transport must do: subclass it, and give it yours by the fixture `spec`.

    ::

        class TestMyTransport(TransportContract):
            @pytest.fixture
            def spec(self):
                return my_package.memtrace_transport()

    pytest then sends real requests to a server on a loopback port. Options that are not among the spec's `capabilities` are
    skipped, and what the class attributes `network`, `keeps_alive`, `forks` and `clocks_connecting` switch off. TLS is not
    part of it.
    """

    @pytest.fixture
    def make(self, spec: TransportSpec) -> Iterator[Make]:
        """Makes transports with options; closes them in the end."""
        create = _checked_spec(spec).create
        assert create is not None, "the spec has no create: use AsyncTransportContract"
        with ExitStack() as stack:

            def make(**options: object) -> Subject:
                subject = SyncSubject(create(_options(options)))
                stack.callback(subject.end)
                return subject

            yield make

    @pytest.fixture
    def subject(self, make: Make) -> Subject:
        """A transport with all options as they are by default."""
        return make()


class AsyncTransportContract(_Contract):
    """What every awaiting transport must do; used as `TransportContract` is.

    `backends` names the event loops that it runs on: ``("asyncio",)``, or ``("asyncio", "trio")``.
    """

    backends: ClassVar[tuple[Backend, ...]] = ("asyncio",)
    """The event loops on which all of it is run."""

    @classmethod
    def pytest_generate_tests(cls, metafunc: pytest.Metafunc) -> None:
        """Run everything on each of the event loops."""
        if "backend" in metafunc.fixturenames:
            backends = cast("type[AsyncTransportContract]", metafunc.cls).backends
            metafunc.parametrize("backend", [_runnable(backend) for backend in backends])

    @pytest.fixture
    def make(self, spec: TransportSpec, backend: Backend) -> Iterator[Make]:
        """Makes transports with options; closes them in the end."""
        create = _checked_spec(spec).create_async
        assert create is not None, "the spec has no create_async: use TransportContract"
        with ExitStack() as stack:

            def make(**options: object) -> AsyncSubject:
                subject = AsyncSubject(create(_options(options)), backend)
                stack.callback(subject.end)
                return subject

            yield make

    @pytest.fixture
    def subject(self, make: Make) -> AsyncSubject:
        """A transport with all options as they are by default."""
        return cast("AsyncSubject", make())

    def test_other_tasks_run_while_it_waits(self, server: ScriptedServer, subject: AsyncSubject) -> None:
        """Nothing blocks the event loop."""
        server.do(Answer(), Answer(pause=0.6))
        subject.send(_get(server.url))  # the first one may import and load certificates
        assert subject.silence_while(_get(server.url)) < 0.4, "seconds for which no other task had a turn"

    def test_a_body_that_drips_is_bounded_as_a_whole(self, server: ScriptedServer, subject: AsyncSubject) -> None:
        """The request's `timeout` is exact, however often a byte comes."""
        server.do(Drip(pause=0.05, count=200))
        error = _failure(subject, _post(server.url, timeout=_BOUND))
        assert (error.cause, error.maybe_sent) == ("timeout", True)

    def test_a_cancelled_request_gives_its_connection_back(
        self, server: ScriptedServer, spec: TransportSpec, make: Make
    ) -> None:
        """20 times, where there is one connection only, if the transport can be told so."""
        options = {"max_connections": 1} if "max_connections" in spec.capabilities else {}
        subject = cast("AsyncSubject", make(**options))
        server.do(*[Stall()] * 20)
        for number in range(1, 21):
            is_sent = partial(_has_received, server, number)
            assert subject.cancel(_get(server.url), is_sent), "it did not end as cancelled"
        assert subject.send(_get(server.url)).status == 200

    @_LEFT_OPEN
    def test_it_serves_one_event_loop_after_the_other(self, server: ScriptedServer, subject: AsyncSubject) -> None:
        """As ``asyncio.run`` in a program that calls it more than once."""
        for turn in range(3):
            (answer,) = subject.send_apart([_get(server.url, f"/{turn}")])
            assert _line(answer) == f"GET /{turn} HTTP/1.1"


def _runnable(backend: Backend) -> ParameterSet:
    missing = backend == "trio" and find_spec("trio") is None
    return pytest.param(backend, marks=pytest.mark.skipif(missing, reason="trio is not installed"))


def _checked_spec(spec: object) -> TransportSpec:
    assert isinstance(spec, TransportSpec), f"the fixture spec gives {type(spec).__name__}: a TransportSpec is due"
    return spec


# ---- requests, and what became of them ------------------------------------------------------------------------------


def _options(fields: dict[str, object]) -> TransportOptions:
    return TransportOptions(**fields)  # type: ignore[arg-type]  # the tests above know their types


def _get(origin: str, target: str = "/", *, timeout: float = _PATIENCE, headers: Headers | None = None) -> Request:
    return Request("GET", origin, target, headers or Headers(), timeout=timeout)


def _post(origin: str, timeout: float | None = _PATIENCE) -> Request:
    return Request("POST", origin, "/api/v1/memories", Headers({"x-api-key": KEY}), CONTENT.encode(), timeout=timeout)


def _line(response: Response) -> str:
    """The first line of the request that was echoed."""
    return cast("str", json.loads(response.body)["line"])


def _failure(subject: Subject, request: Request) -> TransportError:
    """The error that sending raises, well within the time that it may take."""
    started = time.monotonic()
    longest = _SLACK + min(request.timeout or _PATIENCE, _PATIENCE)
    try:
        response = subject.start(request).result(longest + _PATIENCE)
    except TransportError as error:
        assert time.monotonic() - started < longest, "it took longer than it may"
        return error
    except FutureTimeoutError:
        pytest.fail(f"send did not end within {longest + _PATIENCE:g} seconds")
    except Exception as error:  # noqa: BLE001  # whatever else it raises breaks the contract
        pytest.fail(
            f"send raised {type(error).__module__}.{type(error).__qualname__}: nothing but TransportError is due"
        )
    pytest.fail(f"send returned status {response.status} where a TransportError was due")


def _places_of_secrets(subject: Subject, url: str) -> list[str]:
    try:
        subject.send(_post(url, timeout=_BOUND))
    except TransportError as error:
        return shown_in_error(error)
    return []


def _send_numbered(subject: Subject, url: str, number: int, wrong: SimpleQueue[list[str]]) -> None:
    """40 requests of one process; puts the answers that are another's."""
    targets = [f"/{number}/{turn}" for turn in range(40)]
    try:
        lines = [_line(answer) for answer in subject.send_apart([_get(url, target) for target in targets])]
    except (TransportError, ValueError) as error:  # half of an answer is no JSON
        wrong.put([f"process {number}: {error!r}"])
    else:
        wrong.put([line for line, target in zip(lines, targets, strict=True) if line != f"GET {target} HTTP/1.1"])


def _has_received(server: ScriptedServer, count: int) -> bool:
    return len(server.received) >= count


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE
    while not holds() and time.monotonic() < end:
        time.sleep(0.005)

"""The contract of a middleware, as a class that pytest runs: subclass it, give it yours, and see what it breaks."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from inspect import isgenerator
from typing import ClassVar, cast

import pytest

from memtrace._flow.composition import Middleware, compose
from memtrace._flow.drivers import drive, drive_async
from memtrace._support.locks import Locks
from memtrace.exceptions import MemtraceError
from memtrace.testing._canaries import CONTENT, KEY, is_shown, shown_in_error, shown_in_records
from memtrace.testing._create_fixture import check_is_fixture, made_by
from memtrace.testing._traces import DRIVERS, Driver, TraceStep, run, trace, within
from memtrace.transport import (
    CallContext,
    Headers,
    Idempotency,
    Method,
    Request,
    Response,
    TransportCause,
    TransportError,
)

Create = Callable[[], Middleware]


def _failing(cause: TransportCause, *, maybe_sent: bool) -> Callable[[], TransportError]:
    return lambda: TransportError(f"the transport failed: {cause}", cause=cause, maybe_sent=maybe_sent)


_REFUSED = _failing("connect", maybe_sent=False)
_RESET = _failing("reset", maybe_sent=True)
_LATE = _failing("timeout", maybe_sent=True)
_GARBLED = _failing("protocol", maybe_sent=True)


def _name_of_step(step: TraceStep) -> str:
    if isinstance(step, int):
        return str(step)
    error = step()
    return error.cause if isinstance(error, TransportError) else type(error).__name__


_SITUATIONS: dict[str, tuple[TraceStep, ...]] = {
    "answered": (200,),
    "not found": (404,),
    "a duplicate": (409,),
    "refused once": (401, 200),
    "too many requests": (429, 429, 200),
    "a server error": (500, 200),
    "unavailable for long": (503,) * 20,
    "no connection at first": (_REFUSED, 200),
    "reset": (_RESET, 200),
    "late for long": (_LATE,) * 20,
    "garbled": (_GARBLED, 200),
    "a bug in the transport": (lambda: ZeroDivisionError("a bug"),),
}

_CALLS: dict[str, tuple[Method, Idempotency, bytes | None]] = {
    "a read": ("GET", "read", None),
    "a write": ("POST", "non_idempotent", b'{"content":"x"}'),
}

_situations = pytest.mark.parametrize("situation", _SITUATIONS)
_calls = pytest.mark.parametrize("kind", _CALLS)
_WITHOUT_TRIO = pytest.mark.skipif(find_spec("trio") is None, reason="trio is not installed")
_drivers = pytest.mark.parametrize("driver", ["blocking", "asyncio", pytest.param("trio", marks=_WITHOUT_TRIO)])
_LONGEST = 10.0
"""Seconds after which something waits that must not."""


class MiddlewareContract:
    """Tests that every middleware must pass, with the blocking and the async client.

    ::

        class TestMyMiddleware(MiddlewareContract):
            @pytest.fixture
            def create(self):
                return lambda: MyMiddleware(prefix="x")
    """

    answers_itself: ClassVar[bool] = False
    """True for one that may answer without sending, as a cache does: what needs a sending is then left out."""
    changes_bodies: ClassVar[bool] = False
    """True for one that sends or returns another body than it was given."""
    volatile_headers: ClassVar[frozenset[str]] = frozenset()
    """Names, in lower case, of headers that have another value each time, as a request id has."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        check_is_fixture(cls, "create")

    @pytest.fixture
    def create(self) -> Create:
        """Makes the middleware under test, a new one at each call; each subclass overrides this."""
        raise NotImplementedError(
            f"{type(self).__name__} needs a fixture `create` that returns a function making yours"
        )

    def _needs_bodies(self) -> None:
        if self.changes_bodies:
            pytest.skip("changes_bodies = True")

    def _needs_a_sending(self) -> None:
        if self.answers_itself:
            pytest.skip("answers_itself = True")

    @_situations
    @_calls
    def test_it_does_the_same_under_every_driver(self, create: Create, situation: str, kind: str) -> None:
        """The same requests, the same waits, the same end: what works in the one client works in the other."""
        steps, volatile = _SITUATIONS[situation], self.volatile_headers
        blocking, *awaiting = (
            within(_LONGEST, partial(trace, _made(create), _request(kind), steps, driver, volatile))
            for driver in DRIVERS
        )
        for other in awaiting:
            assert other == blocking, "what it does under an awaiting driver, and under the blocking one"

    @_situations
    @_calls
    @_drivers
    def test_a_call_ends_with_a_response_or_an_error_for_users(
        self, create: Create, situation: str, kind: str, driver: Driver
    ) -> None:
        """A `MemtraceError`, or what the transport raised: no error of the middleware's own making."""
        try:
            response = _ended(_made(create), _request(kind), _SITUATIONS[situation], driver)
        except (MemtraceError, ZeroDivisionError):
            return
        assert isinstance(response, Response)

    @_drivers
    @pytest.mark.parametrize("step", [_REFUSED, _RESET, _LATE, _GARBLED, 404, 503], ids=_name_of_step)
    def test_a_failure_stays_a_failure(self, create: Create, driver: Driver, step: TraceStep) -> None:
        """A call that never gets through is never reported as a success."""
        self._needs_a_sending()
        try:
            response = _ended(_made(create), _request("a write"), (step,) * 40, driver)
        except MemtraceError:
            return
        assert response.status >= 400, "a failed call was returned as a success"

    @_drivers
    @pytest.mark.parametrize("step", [_RESET, _LATE, _GARBLED], ids=_name_of_step)
    def test_a_write_that_may_have_been_stored_is_not_sent_again(
        self, create: Create, driver: Driver, step: TraceStep
    ) -> None:
        """A ``non_idempotent`` call acts again each time: `request.context.idempotency` marks it."""
        lines: list[str] = []
        with suppress(MemtraceError):
            _ended(_made(create), _request("a write"), (step, 200), driver, lines)
        assert _sent(lines) <= 1, "a write with an unknown outcome was retried"

    @_drivers
    @_calls
    def test_a_call_that_succeeds_is_sent_once(self, create: Create, driver: Driver, kind: str) -> None:
        """And its body arrives, and comes back, as it is."""
        self._needs_a_sending()
        lines: list[str] = []
        request = _request(kind)
        response = _ended(_made(create), request, (200,), driver, lines)
        assert _sent(lines) == 1
        if not self.changes_bodies:
            assert f" {request.body!r} within" in "".join(lines), "another body was sent than the client's"
            assert response.body == b'{"n":%d}' % len(lines), "another body came back than the server's"

    def test_it_does_not_sleep_on_the_event_loop(self, create: Create, monkeypatch: pytest.MonkeyPatch) -> None:
        """It waits by ``yield from sleep(...)``."""
        slept: list[float] = []
        sleep = time.sleep

        def noted(seconds: float) -> None:
            if _is_on_a_loop():
                slept.append(seconds)
            else:  # of another thread, which may
                sleep(seconds)

        monkeypatch.setattr(time, "sleep", noted)
        for steps in _SITUATIONS.values():
            with suppress(Exception):  # other tests look at them
                _ended(_made(create), _request("a read"), steps, "asyncio")
        assert slept == [], "time.sleep was called, which stops every other task"

    @_drivers
    def test_an_answer_comes_through_with_its_status(self, create: Create, driver: Driver) -> None:
        """A success stays one, and 404 is no success."""
        assert _ended(_made(create), _request("a read"), (200,), driver).status == 200
        with suppress(MemtraceError):
            assert _ended(_made(create), _request("a read"), (404,) * 20, driver).status == 404

    @pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
    def test_what_ends_a_program_ends_the_call(self, create: Create, stop: type[BaseException]) -> None:
        """It is re-raised unchanged, nothing is sent after it, and the next call is unaffected."""
        self._needs_a_sending()
        middleware, lines = _made(create), list[str]()
        with pytest.raises(stop):
            _ended(middleware, _request("a read"), (stop,), "blocking", lines)
        assert _sent(lines) == 1, "it retried after the call had to end"
        assert _ended(middleware, _request("a read"), (200,), "blocking").status == 200

    def test_a_cancelled_task_ends_as_cancelled(self, create: Create) -> None:
        """While its request is on the way: at once, without another request; and the next call is made as ever."""
        self._needs_a_sending()
        middleware = _made(create)
        sent, cancelled = within(2 * _LONGEST, lambda: asyncio.run(_cancelled(middleware)))
        assert cancelled, "the cancelled task did not end as cancelled"
        assert sent == 1, "it retried after it was cancelled"
        assert _ended(middleware, _request("a read"), (200,), "asyncio").status == 200

    def test_one_instance_serves_threads_at_once(self, create: Create) -> None:
        """32 of them: each gets the answer to its own request."""
        self._needs_bodies()
        middleware = _made(create)

        def send(number: int) -> Response:
            request = _request("a read", f"/api/v1/agents/{number}")
            return drive(compose((middleware,))(request), _Echo(), Locks(), request.context)

        def all_at_once() -> list[str]:
            with ThreadPoolExecutor(32) as threads:
                return [answer.body.decode() for answer in threads.map(send, range(256))]

        answers = within(_LONGEST, all_at_once)
        assert answers == [f"/api/v1/agents/{number}" for number in range(256)]

    def test_one_instance_serves_tasks_at_once(self, create: Create) -> None:
        """32 of them, which take turns at every request."""
        self._needs_bodies()
        middleware = _made(create)
        answers = within(_LONGEST, lambda: asyncio.run(_echoes(middleware, 32)))
        assert answers == [f"/api/v1/agents/{number}" for number in range(32)]

    @_situations
    @_drivers
    def test_no_error_and_no_log_shows_a_key_or_a_content(
        self,
        create: Create,
        situation: str,
        driver: Driver,
        caplog: pytest.LogCaptureFixture,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        """Neither at DEBUG, nor in what it raises, nor printed."""
        headers = Headers({"x-api-key": KEY, "x-planted": KEY})  # once where no `repr` hides it
        request = Request("POST", "http://server", "/api/v1/memories", headers, CONTENT.encode())
        with caplog.at_level(logging.DEBUG):
            try:
                _ended(_made(create), request, _SITUATIONS[situation], driver)
            except Exception as error:  # noqa: BLE001  # whatever it is must not show them
                assert shown_in_error(error) == []
        assert shown_in_records(caplog.records) == []
        assert not is_shown("".join(capfd.readouterr())), "a planted key or content was printed"


def _made(create: Create) -> Middleware:
    __tracebackhide__ = True
    made = made_by(create)
    if isgenerator(made) or not callable(made):
        pytest.fail(f"the fixture create gives a function that makes a middleware; it made {type(made).__name__}")
    return cast("Middleware", made)


def _ended(
    middleware: Middleware,
    request: Request,
    steps: Sequence[TraceStep],
    driver: Driver,
    lines: list[str] | None = None,
) -> Response:
    """How a call ends, within the time that it may take."""
    __tracebackhide__ = True
    return within(_LONGEST, partial(run, middleware, request, steps, driver, [] if lines is None else lines))


def _is_on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _sent(lines: list[str]) -> int:
    return sum(line.startswith("send") for line in lines)


def _request(kind: str, target: str = "/api/v1/memories") -> Request:
    from memtrace_transports.memory._clock import ManualClock

    method, idempotency, body = _CALLS[kind]
    return Request(
        method, "http://server", target, body=body, timeout=30.0, context=CallContext(ManualClock(), idempotency)
    )


class _Echo:
    """Answers with the target, after others had their turn."""

    def send(self, request: Request) -> Response:
        """As told."""
        time.sleep(0.0005)
        return Response(200, body=request.target.encode())

    def close(self) -> None:
        """Do nothing."""


class _EchoInTurns:
    """Answers with the target, after others had their turn."""

    async def send(self, request: Request) -> Response:
        """As told."""
        await asyncio.sleep(0.001)
        return Response(200, body=request.target.encode())

    async def close(self) -> None:
        """Do nothing."""


class _Waiting:
    """Waits until its task is cancelled."""

    def __init__(self) -> None:
        self.sent = 0
        self.begun = asyncio.Event()

    async def send(self, request: Request) -> Response:
        """As told."""
        self.sent += 1
        self.begun.set()
        return Response(200, body=b"%d" % await asyncio.sleep(60, 0))

    async def close(self) -> None:
        """Do nothing."""


async def _cancelled(middleware: Middleware) -> tuple[int, bool]:
    transport, request = _Waiting(), _request("a read")
    task = asyncio.ensure_future(drive_async(compose((middleware,))(request), transport, Locks(), request.context))
    await asyncio.wait_for(transport.begun.wait(), 10)
    task.cancel()
    await asyncio.wait((task,), timeout=10)
    return transport.sent, task.cancelled()


async def _echoes(middleware: Middleware, count: int) -> list[str]:
    locks, transport, handler = Locks(), _EchoInTurns(), compose((middleware,))
    requests = [_request("a read", f"/api/v1/agents/{number}") for number in range(count)]
    sending = [drive_async(handler(request), transport, locks, request.context) for request in requests]
    return [answer.body.decode() for answer in await asyncio.gather(*sending)]

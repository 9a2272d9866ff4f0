"""From an operation to its result: what is sent around the middleware, and how an answer becomes a value or an error."""

import asyncio

import httpx
import pytest

from memtrace._runtime.config import settings_from_args
from memtrace._runtime.dispatch import AsyncDispatcher, Dispatcher
from memtrace._version import __version__
from memtrace.async_client import AsyncMemtrace
from memtrace.client import Memtrace
from memtrace.exceptions import (
    ConfigurationError,
    MemtraceError,
    MiddlewareError,
    NotFoundError,
    ResponseDecodeError,
    ServerError,
    TransportError,
    TransportNotAvailableError,
)
from memtrace.middleware import before
from memtrace.operations import Operation
from memtrace.plugins import TransportSpec
from memtrace.transport import Response
from tests.conftest import AsyncScript, Script, StoppedClock
from tests.faces import ONCE


class Dispatch:
    """One dispatcher of either kind over one script."""

    def __init__(self, form):
        self.form = form
        self.clock = StoppedClock()

    def make(self, *steps, url="http://server/base", timeout=3.0, **settings):
        given = {"middleware": (), "attempt_middleware": (), "headers": None, **settings}
        resolved = settings_from_args(url, "key", timeout=timeout, clock=self.clock, **given)
        kind = Dispatcher if self.form == "sync" else AsyncDispatcher
        self.transport = (Script if self.form == "sync" else AsyncScript)(*steps)
        return kind.create(resolved, self.transport)

    def do(self, dispatcher, what, given):
        """`send` an operation or `run` a workflow."""
        result = getattr(dispatcher, what)(given)
        return result if self.form == "sync" else asyncio.run(result)

    def send(self, operation, *steps, **settings):
        return self.do(self.make(*steps, **settings), "send", operation)


@pytest.fixture(params=["sync", "async"])
def dispatch(request):
    return Dispatch(request.param)


def operation(parse=lambda response: response, **fields):
    return Operation(
        **{"name": "things.get", "method": "GET", "target": "/x?y=1", "parse": parse, "idempotency": "read", **fields}
    )


# ---- what is sent


def test_a_request_is_what_operation_and_settings_say(dispatch):
    dispatch.send(
        operation(method="POST", body=b"{}", idempotency="keyed", accepts=frozenset({503})), headers={"X-Own": "1"}
    )
    (request,) = dispatch.transport.requests
    assert (request.method, request.origin, request.target) == ("POST", "http://server", "/base/x?y=1")
    assert (request.operation, request.body, request.timeout) == ("things.get", b"{}", 3.0)
    assert (request.context.idempotency, request.context.accepts, request.context.clock) == (
        "keyed",
        {503},
        dispatch.clock,
    )
    assert dict(request.headers) == {
        "accept": "application/json",
        "user-agent": f"memtrace-sdk/{__version__} (Python)",
        "content-type": "application/json",
        "x-own": "1",
        "x-api-key": "key",
    }


def test_a_request_without_body_says_no_content_type(dispatch):
    dispatch.send(operation())
    assert "content-type" not in dispatch.transport.requests[0].headers


def test_own_headers_replace_those_of_the_sdk(dispatch):
    dispatch.send(operation(), headers={"User-Agent": "mine"})
    assert dispatch.transport.requests[0].headers.get_all("user-agent") == ["mine"]


def test_the_order_of_middleware_is_fixed(dispatch, caplog):
    caplog.set_level("DEBUG", "memtrace")
    seen = []

    def named(name):
        def middleware(request, call_next):
            seen.append((name, "x-api-key" in request.headers))
            response = yield from call_next(request)
            seen.append((name, response.status))
            return response

        return middleware

    with pytest.raises(ServerError):
        dispatch.send(
            operation(), 500, middleware=[named("call"), named("call 2")], attempt_middleware=[named("attempt")]
        )
    assert seen == [
        ("call", False),
        ("call 2", False),
        ("attempt", True),
        ("attempt", 500),
        ("call 2", 500),
        ("call", 500),
    ]
    assert len(caplog.records) == 1


def test_each_call_has_a_context_of_its_own(dispatch):
    dispatcher = dispatch.make()
    for _ in range(2):
        dispatch.do(dispatcher, "send", operation())
    first, second = dispatch.transport.requests
    assert first.context is not second.context
    assert first.context.attempt == second.context.attempt == 1


# ---- what comes back


def test_an_answer_is_parsed(dispatch):
    assert dispatch.send(operation(lambda response: response.body.upper()), Response(200, body=b"value")) == b"VALUE"


def test_a_failure_is_the_exception_of_its_status(dispatch):
    with pytest.raises(NotFoundError) as caught:
        dispatch.send(operation(), 404)
    assert caught.value.request.path == "/base/x"


def test_an_accepted_status_is_parsed(dispatch):
    assert dispatch.send(operation(lambda response: response.status, accepts=frozenset({503})), 503) == 503


def test_a_failure_that_comes_past_errors_raises_all_the_same(dispatch):
    def fail(request, call_next):
        yield from call_next(request)
        return Response(503)

    with pytest.raises(ServerError) as caught:
        dispatch.send(operation(), middleware=[before("errors", fail)])
    assert (caught.value.status_code, caught.value.attempts) == (503, 1)


def test_a_short_circuiting_middleware_may_answer_with_a_failure(dispatch):
    def refuse(request, call_next):
        return Response(404, body=b'{"error": "not here"}')
        yield

    with pytest.raises(NotFoundError, match="not here") as caught:
        dispatch.send(operation(), middleware=[refuse])
    assert caught.value.attempts == 0
    assert dispatch.transport.requests == []


@pytest.mark.parametrize(
    ("idempotency", "maybe_applied", "retryable"),
    [("read", False, True), ("idempotent", True, True), ("keyed", True, False), ("non_idempotent", True, False)],
)
def test_an_answer_that_cannot_be_read_may_have_been_a_success(dispatch, idempotency, maybe_applied, retryable):
    def parse(response):
        raise ResponseDecodeError("no JSON", response.status)

    with pytest.raises(ResponseDecodeError) as caught:
        dispatch.send(operation(parse, idempotency=idempotency), retry=ONCE)
    error = caught.value
    assert (error.status_code, error.attempts, error.maybe_applied, error.retryable) == (
        200,
        1,
        maybe_applied,
        retryable,
    )
    assert error.request.operation == "things.get"


def test_an_unreadable_answer_that_never_left_the_client_applied_nothing(dispatch):
    def parse(response):
        raise ResponseDecodeError("no JSON", response.status)

    def kept(request, call_next):
        return Response(200, body=b"stale")
        yield

    with pytest.raises(ResponseDecodeError) as caught:
        dispatch.send(operation(parse, idempotency="non_idempotent"), middleware=[kept])
    assert (caught.value.attempts, caught.value.maybe_applied) == (0, False)


def test_a_mistake_in_a_middleware_says_where(dispatch):
    def wrong(request, call_next):
        return None

    with pytest.raises(MiddlewareError, match=r"wrong is not a generator function.*\[things.get: GET /base/x"):
        dispatch.send(operation(), middleware=[wrong])


# ---- which transport


@pytest.mark.parametrize("client", [Memtrace, AsyncMemtrace])
@pytest.mark.parametrize("wrong", [..., Script, AsyncScript, 5, b"httpx", print], ids=repr)
def test_what_is_no_transport_is_refused(client, wrong):
    with pytest.raises(TransportNotAvailableError, match=f"^{client.__name__} needs a transport with") as caught:
        client("http://server", "key", transport=wrong)
    assert ("the class" in caught.value.message) is isinstance(wrong, type)


def test_a_transport_of_the_other_kind_is_refused():
    with pytest.raises(
        TransportNotAvailableError, match=r"Memtrace needs a transport with a sync send.*AsyncScript has none"
    ):
        Memtrace("http://server", "key", transport=AsyncScript())
    with pytest.raises(
        TransportNotAvailableError, match=r"AsyncMemtrace needs a transport with an async send.*Script has none"
    ):
        AsyncMemtrace("http://server", "key", transport=Script())


@pytest.mark.parametrize("client", [Memtrace, AsyncMemtrace])
def test_a_spec_makes_its_transport_from_options(client):
    made = []
    spec = TransportSpec(
        create=lambda options: made.append(options) or Script(),
        create_async=lambda options: made.append(options) or AsyncScript(),
    )
    clock = StoppedClock()
    dispatcher = client("http://server/base/", "key", transport=spec, clock=clock)._dispatcher
    assert made == []
    dispatcher._shared.transport(dispatcher)
    assert [(options.url, options.clock) for options in made] == [("http://server/base", clock)]


@pytest.mark.parametrize("client", [Memtrace, AsyncMemtrace])
def test_options_of_another_type_are_refused_with_what_to_write(client):
    with pytest.raises(ConfigurationError, match=r"options must be a memtrace\.TransportOptions, not dict"):
        client("http://server", "key", transport_options={"http2": True})


@pytest.mark.parametrize("client", [Memtrace, AsyncMemtrace])
def test_a_transport_by_name_must_fit_the_address(client):
    with pytest.raises(ConfigurationError, match="transport='httpx' does not fit the base URL, whose scheme memory://"):
        client("memory://", "key", transport="httpx")
    assert "transport='memory'" in repr(client("memory://", "key", transport="memory"))
    assert "transport='memory'" in repr(client("http://server", "key", transport="memory"))
    assert "transport='httpx'" in repr(client("http://server", "key"))
    assert "transport='your own'" in repr(
        client("memory://", "key", transport=TransportSpec(create=print, create_async=print))
    )


def test_every_error_of_a_call_is_one_of_the_sdk(dispatch):
    for answer in (302, 400, 401, 404, 405, 409, 413, 418, 429, 500, 502, 503, TransportError("gone")):
        with pytest.raises(MemtraceError):
            dispatch.send(operation(), answer, retry=ONCE)


@pytest.mark.parametrize("client", [Memtrace, AsyncMemtrace])
@pytest.mark.parametrize("library_client", [httpx.Client, httpx.AsyncClient])
def test_a_librarys_own_client_is_told_how_to_hand_it_over(client, library_client):
    with pytest.raises(TransportNotAvailableError, match="client of the library httpx") as caught:
        client("http://server", "key", transport=library_client())
    assert "HttpxTransport(client=...)" in caught.value.hint

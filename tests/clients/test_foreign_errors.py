"""Exceptions of a transport of the user's own that are none of the SDK's: one of ours comes out, with theirs as its cause."""

from __future__ import annotations

import asyncio

import pytest

from memtrace import APIConnectionError, APITimeoutError, Memtrace, RetryPolicy, TransportError
from memtrace.middleware import replace
from memtrace.transport import Response
from tests.faces import ONCE, json_response

SECRET = "mtk_key"


class OfALibraryError(Exception):
    """As a library has them."""


CASES = [
    (OSError(5, f"with {SECRET}"), APIConnectionError, "reset"),
    (OSError(f"with {SECRET}"), APIConnectionError, "reset"),
    (ConnectionRefusedError(111, SECRET), APIConnectionError, "connect"),
    (ConnectionResetError(104, SECRET), APIConnectionError, "reset"),
    (TimeoutError(SECRET), APITimeoutError, "timeout"),
    (asyncio.TimeoutError(SECRET), APITimeoutError, "timeout"),
    (OfALibraryError(SECRET), TransportError, "protocol"),
    (KeyError(SECRET), TransportError, "protocol"),
    (RuntimeError(SECRET), TransportError, "protocol"),
]


@pytest.mark.parametrize(("raised", "kind", "cause"), CASES, ids=[type(case[0]).__name__ for case in CASES])
def test_it_is_the_cause_of_a_transport_error_that_repeats_nothing_of_it(face, raised, kind, cause):
    client, transport = face.scripted(raised, retry=ONCE)
    with pytest.raises(TransportError) as caught:
        client.remember("bot", "text")
    error = caught.value
    assert (type(error), error.cause, error.maybe_applied, error.retryable) == (kind, cause, True, False)
    assert raised in (error.__cause__, error.__cause__.__cause__)
    assert SECRET not in str(error)
    assert type(raised).__name__ in str(error)
    assert len(transport.requests) == 1


def test_what_a_connection_raises_is_retried(face):
    retry = RetryPolicy(initial_backoff=0)
    client, transport = face.scripted(ConnectionResetError(), json_response(200, '{"status": "ready"}'), retry=retry)
    assert client.ready() is True
    assert len(transport.requests) == 2


def test_it_comes_out_alike_where_a_middleware_stands_for_errors(face):
    def own(request, call_next):
        return (yield from call_next(request))

    client, _ = face.scripted(KeyError(), retry=ONCE, middleware=[replace("errors", own)])
    with pytest.raises(TransportError, match="the transport failed with KeyError") as caught:
        client.health()
    assert (caught.value.attempts, type(caught.value.__cause__)) == (1, KeyError)


@pytest.mark.parametrize("place", [None, "errors"])
def test_a_defect_of_a_middleware_stays_as_it_is(face, place):
    def broken(request, call_next):
        yield from call_next(request)
        raise KeyError("mine")

    middleware = [broken if place is None else replace(place, broken)]
    client, _ = face.scripted(Response(200), retry=ONCE, middleware=middleware)
    with pytest.raises(KeyError, match="mine"):
        client.health()


def test_what_a_test_asserts_in_its_transport_stays_as_it_is(face):
    client, _ = face.scripted(AssertionError("of a test"), retry=ONCE)
    with pytest.raises(AssertionError, match="of a test"):
        client.health()


def test_a_cancellation_stays_as_it_is(face):
    client, _ = face.scripted(KeyboardInterrupt(), retry=ONCE)
    with pytest.raises(KeyboardInterrupt):
        client.health()


def test_a_blocking_transport_that_has_run_out_is_told_like_any_other():
    class RunOut:
        answers = iter([])

        def send(self, request):
            return next(self.answers)

        def close(self):
            pass

    with Memtrace("http://server.test", "key", transport=RunOut(), retry=ONCE) as client:
        with pytest.raises(TransportError, match="the transport failed with StopIteration") as caught:
            client.remember("bot", "text")
        assert caught.value.maybe_applied

"""The requests that the rules send, and what became of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import cast

import pytest

from memtrace.testing._canaries import CONTENT, KEY
from memtrace.testing._transport_under_test import TransportUnderTest
from memtrace.transport import Headers, Request, Response, TransportError

BOUND: float = 0.25
"""Seconds that a request which is bound to fail in time is given."""
PATIENCE: float = 5.0
"""Seconds that any other request is given."""
_SLACK = 1.5
"""Seconds beyond a bound that are put down to a slow machine."""

_WAIT = 0.05

LEFT_OPEN: pytest.MarkDecorator = pytest.mark.filterwarnings("ignore::ResourceWarning")
"""For what libraries leave open when a loop or a request ends early."""


def get(origin: str, target: str = "/", *, timeout: float = PATIENCE, headers: Headers | None = None) -> Request:
    """A request that stores nothing."""
    return Request("GET", origin, target, headers or Headers(), timeout=timeout)


def post(origin: str, timeout: float | None = PATIENCE) -> Request:
    """A request with the planted key and content."""
    return Request("POST", origin, "/api/v1/memories", Headers({"x-api-key": KEY}), CONTENT.encode(), timeout=timeout)


def line(response: Response) -> str:
    """The first line of the request that was echoed."""
    return cast("str", json.loads(response.body)["line"])


def failure(subject: TransportUnderTest, request: Request) -> TransportError:
    """The error that sending raises, well within the time that it may take."""
    __tracebackhide__ = True
    longest = _SLACK + min(request.timeout or PATIENCE, PATIENCE)
    ended = subject.start(request)
    took = _seconds_until(ended, longest + PATIENCE)
    if not ended.done():
        pytest.fail(f"send did not end within {longest + PATIENCE:g} seconds")
    try:
        response = ended.result()
    except TransportError as error:
        assert took < longest, "it took longer than it may"
        return error
    except Exception as error:  # noqa: BLE001  # whatever else it raises breaks the contract
        pytest.fail(
            f"send raised {type(error).__module__}.{type(error).__qualname__}: raise nothing except TransportError"
        )
    pytest.fail(f"send returned status {response.status} where a TransportError was due")


def _seconds_until(ended: Future[Response], bound: float) -> float:
    """How long it took, at most `bound`: waits that were over, so that a busy machine's delays of this thread do not count."""
    waits = 0
    while not ended.done() and waits * _WAIT < bound:
        wait((ended,), _WAIT)
        waits += not ended.done()
    return waits * _WAIT


def until(holds: Callable[[], bool]) -> None:
    """Wait for it, as long as any request is given."""
    end = time.monotonic() + PATIENCE
    while not holds() and time.monotonic() < end:
        time.sleep(0.005)

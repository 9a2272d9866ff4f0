"""Both kinds of client, on scripts and on a fake whose clock only moves when told to."""

import asyncio

import pytest

from memtrace import RetryPolicy
from memtrace_transports import FakeMemtrace, ManualClock
from tests.faces import Face

EXACT = RetryPolicy(jitter=lambda: 1.0)


@pytest.fixture(params=["sync", "async"])
def face(request):
    loop = asyncio.new_event_loop()
    yield Face(request.param, loop)
    loop.close()


@pytest.fixture
def fake():
    """The real server's delays, and no waiting."""
    return FakeMemtrace(clock=ManualClock(), visibility="server")


@pytest.fixture
def client(face, fake):
    """A client of the fake whose waits are the longest that its policy allows, and whose memories have the server's keys."""
    return face.of(fake, dedup="server").with_options(retry=EXACT)

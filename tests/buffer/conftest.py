from __future__ import annotations

import threading

import pytest

from memtrace_transports import FakeMemtrace, ManualClock
from tests.buffer.faces import AsyncFace, SyncFace


@pytest.fixture(params=[SyncFace, AsyncFace], ids=lambda kind: kind.kind)
def face(request):
    """Both faces; no thread and no task of a buffer is left after the test."""
    before = set(threading.enumerate())
    face = request.param()
    yield face
    face.end()
    left = set(threading.enumerate()) - before
    for thread in left:
        thread.join(5)  # a thread whose request was given up ends with the request
    assert [thread for thread in left if thread.is_alive()] == []


@pytest.fixture(params=["immediate", "server"])
def fake(request):
    return FakeMemtrace(clock=ManualClock(), visibility=request.param)

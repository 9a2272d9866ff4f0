from __future__ import annotations

import gc
import threading

import pytest

from memtrace_transports import FakeMemtrace, ManualClock
from tests.sampling import crossed
from tests.write_buffer.faces import PATIENCE, AsyncFace, SyncFace


@pytest.fixture(
    params=crossed([SyncFace, AsyncFace], ["immediate", "server"]), ids=lambda row: f"{row[0].kind}-{row[1]}"
)
def face_and_visibility(request):
    """One of the faces, and how soon a server shows what was written."""
    return request.param


@pytest.fixture
def face(face_and_visibility):
    """Both faces; no thread and no task of a buffer is left after the test."""
    before = set(threading.enumerate())
    face = face_and_visibility[0]()
    yield face
    face.end()
    left = set(threading.enumerate()) - before
    for thread in left:
        thread.join(PATIENCE)  # a thread whose request was given up ends with the request
    assert [thread for thread in left if thread.is_alive()] == []


@pytest.fixture
def fake(face_and_visibility):
    return FakeMemtrace(clock=ManualClock(), visibility=face_and_visibility[1])


@pytest.fixture
def collecting_is_quick():
    """Only what the test makes is garbage that `gc.collect` can find."""
    gc.freeze()
    yield
    gc.unfreeze()

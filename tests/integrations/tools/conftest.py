"""Tools on both clients, under one blocking face."""

from __future__ import annotations

import pytest

from memtrace.integrations.tools import AsyncMemoryTools, MemoryTools
from memtrace_transports import FakeMemtrace, ManualClock
from tests.faces import Blocking


@pytest.fixture
def fake():
    return FakeMemtrace(clock=ManualClock())


@pytest.fixture
def made(face, fake):
    """Makes tools of this face on the fake, or on a client that is given."""

    def make(client=None, **settings):
        given = {"agent_id": "assistant", **settings}
        client = face.of(fake) if client is None else client
        if face.kind == "sync":
            return MemoryTools(client, **given)
        return Blocking(AsyncMemoryTools(client._target, **given), face._loop)

    return make

from __future__ import annotations

import pytest

from memtrace_transports.memory import FakeMemtrace, ManualClock
from tests.fake.caller import Caller


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def fake(clock: ManualClock) -> FakeMemtrace:
    return FakeMemtrace(clock=clock)


@pytest.fixture
def api(fake: FakeMemtrace) -> Caller:
    """An organisation whose writes can be read at once."""
    return Caller(fake, fake.organisation("default"))


@pytest.fixture
def late(fake: FakeMemtrace) -> Caller:
    """An organisation whose writes take as long as on the real server."""
    return Caller(fake, fake.organisation("late", visibility="server"))


@pytest.fixture
def strict(clock: ManualClock) -> FakeMemtrace:
    """A fake in strict mode."""
    return FakeMemtrace(clock=clock, strict=True)

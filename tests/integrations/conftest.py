from __future__ import annotations

import pytest

from memtrace_transports import FakeMemtrace, ManualClock


@pytest.fixture(params=["immediate", "server"])
def fake(request):
    """A fake that shows writes at once, and one with the real server's delays; the clock moves by waiting alone."""
    return FakeMemtrace(clock=ManualClock(), visibility=request.param)

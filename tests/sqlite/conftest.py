"""What the tests of the store share."""

from __future__ import annotations

from contextlib import ExitStack, closing

import pytest

from memtrace_transports import SqliteTransport


@pytest.fixture
def transport_to():
    """Makes a transport of the test's own, which no client closes; it is closed after the test."""
    with ExitStack() as stack:
        yield lambda *args, **settings: stack.enter_context(closing(SqliteTransport(*args, **settings)))

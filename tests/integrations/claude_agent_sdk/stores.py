"""Stores on a fake server, and both event loops."""

from __future__ import annotations

import anyio

from memtrace_transports import FakeMemtrace, ManualClock
from tests.lazily import Lazily

ours = Lazily("memtrace.integrations.claude_agent_sdk")

KEY = {"project_key": "proj", "session_id": "sess"}


def fake_server(visibility="immediate"):
    """A fake whose time passes by waiting alone."""
    return FakeMemtrace(clock=ManualClock(), visibility=visibility)


def store_on(fake, **settings):
    return ours.MemtraceSessionStore(fake.async_client("acme"), **settings)


def entry(number, **fields):
    return {"type": "x", "n": number, **fields}


def run(test, backend="asyncio"):
    return anyio.run(test, backend=backend)

"""Serving over the standard streams, with real pipes: a client that goes away is the end, and other faults are raised."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from memtrace_transports import FakeMemtrace
from tests.integrations.mcp.test_in_flight import OPENING, call
from tests.lazily import Lazily

pytestmark = pytest.mark.framework

anyio = Lazily("anyio")
ours = Lazily("memtrace.integrations.mcp")
stdio = Lazily("memtrace.integrations.mcp._stdio")


@pytest.fixture
def pipes(monkeypatch):
    """Makes the standard streams pipes, in the test: pytest puts its own in place before it. Gives the client's ends."""
    (in_read, in_write), (out_read, out_write) = os.pipe(), os.pipe()
    stdin, stdout = os.fdopen(in_read), os.fdopen(out_write, "w")
    ends = os.fdopen(in_write, "wb", buffering=0), os.fdopen(out_read, "rb", buffering=0)

    def connect():
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys, "stdout", stdout)
        return ends

    yield connect
    for stream in (*ends, stdin, stdout):
        with suppress(BrokenPipeError):
            stream.close()


def serve(fake, leave):
    async def main():
        client = fake.async_client()
        await stdio.serve_stdio(client, ours.memtrace_server(client), leave)

    asyncio.run(main())


def test_the_end_of_the_input_is_the_end(pipes):
    fake, (in_write, out_read) = FakeMemtrace(), pipes()
    lines = [*OPENING, call(1, "memtrace_remember", agent_id="a", content="x")]
    in_write.write("\n".join([*lines, ""]).encode())
    in_write.close()
    left = []
    serve(fake, lambda: left.append(True))
    assert left == []
    assert out_read.read(1_000_000).decode().count("\n") == 2
    assert fake.client().memories.list().count == 1


def test_where_only_the_output_is_closed_the_process_has_to_leave(pipes):
    fake, (in_write, out_read) = FakeMemtrace(), pipes()
    lines = [*OPENING, call(1, "memtrace_remember", agent_id="a", content="x")]
    in_write.write("\n".join([*lines, ""]).encode())
    out_read.close()
    left = []

    def leave():
        left.append(True)
        in_write.close()  # lets the thread that reads end, where the process does not

    serve(fake, leave)
    assert left == [True]


def test_another_fault_of_the_output_is_raised(pipes, monkeypatch):
    in_write, _ = pipes()
    in_write.write((OPENING[0] + "\n").encode())
    in_write.close()
    with Path(os.devnull).open(encoding="utf-8") as unwritable:
        monkeypatch.setattr(sys, "stdout", unwritable)
        with pytest.raises(Exception, match="unhandled errors in a TaskGroup"):
            serve(FakeMemtrace(), lambda: None)


def test_messages_end_at_once_where_the_output_was_closed_before():
    from memtrace.integrations.mcp._stdio import _UntilClosed

    async def main():
        messages = _UntilClosed(None)
        messages.close()
        with pytest.raises(anyio.EndOfStream):
            await messages.receive()

    asyncio.run(main())

"""Over streams, requests in flight when the input ends are finished and answered."""

from __future__ import annotations

import asyncio
import io
import json

import pytest

from memtrace_transports import FakeMemtrace
from memtrace_transports.memory import Fault
from tests.lazily import Lazily

pytestmark = pytest.mark.framework

anyio = Lazily("anyio")
ours = Lazily("memtrace.integrations.mcp")
stdio = Lazily("mcp.server.stdio")

OPENING = [
    '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}',
    '{"jsonrpc":"2.0","method":"notifications/initialized"}',
]
MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


def call(number, name, **arguments):
    return json.dumps(
        {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
    )


def responses(lines, *, seconds=0.05):
    """What the server writes for these lines, after which the input ends at once."""
    fake = FakeMemtrace()
    fake.faults.add(Fault("delay", seconds=seconds, times=99))

    async def main():
        output = io.StringIO()

        async def incoming():
            for line in lines:
                yield line + "\n"

        async with fake.async_client() as client:
            server = ours.memtrace_server(client)
            async with stdio.stdio_server(incoming(), anyio.wrap_file(output)) as streams:
                await server.run(*streams, server.create_initialization_options())
        return [json.loads(line) for line in output.getvalue().splitlines()]

    return asyncio.run(main()), fake


def test_calls_in_flight_at_the_end_of_the_input_are_answered():
    calls = [call(number, "memtrace_remember", agent_id="a", content=str(number)) for number in range(1, 6)]
    answered, fake = responses([*OPENING, *calls])
    assert sorted(each["id"] for each in answered) == [0, 1, 2, 3, 4, 5]
    assert not any(each["result"].get("isError") for each in answered)
    assert fake.client().memories.list().count == 5


def test_a_call_that_the_client_cancelled_is_not_waited_for():
    cancelled = '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}'
    answered, _ = responses([*OPENING, call(1, "memtrace_recall", agent_id="a"), cancelled], seconds=60)
    assert [each["id"] for each in answered] == [0]


def test_an_open_subscription_ends_with_the_input():
    listen = {
        "jsonrpc": "2.0",
        "id": "l",
        "method": "subscriptions/listen",
        "params": {"_meta": MODERN, "notifications": {"resourceSubscriptions": ["memtrace://agents"]}},
    }
    answered, _ = responses([json.dumps(listen)])
    assert [each.get("id") or each["method"] for each in answered] == [
        "notifications/subscriptions/acknowledged",
        "l",
    ]


def test_a_request_that_never_ends_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr("memtrace.integrations.mcp._in_flight.LONGEST", 0.01)
    answered, _ = responses([*OPENING, call(1, "memtrace_recall", agent_id="a")], seconds=60)
    assert {each["id"] for each in answered} <= {0, 1}

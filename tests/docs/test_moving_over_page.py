"""What the page for users of 0.2.0 says of the wire is what goes over it."""

from __future__ import annotations

import pytest

from memtrace import AddMemoryRequest, ListOptions, MemtraceError
from memtrace_transports.memory import FakeMemtrace, Fault, ManualClock
from tests.docs import pages

TABLE = pages.section((pages.ROOT / "docs" / "moving-over.md").read_text(encoding="utf-8"), "Side by side")
SHORT = {"memories.add": "add", "memories.list": "list"}


def told(first):
    """The last two cells of the row that begins so."""
    (row,) = [line for line in TABLE.splitlines() if line.startswith(f"| {first}")]
    return [cell.strip() for cell in row.strip("|").split("|")][-2:]


CASES = {
    "`recall`, no response in time": ("recall", ("bot",), Fault("delay", on="memories.list", seconds=60, times=None)),
    "`recall`, a 503": ("recall", ("bot",), Fault("status", on="memories.list", status=503)),
    "`remember`, the response is lost": ("remember", ("bot", "tea"), Fault("reset", on="memories.add", applied=True)),
    "`recall`, an HTML page once": (
        "recall",
        ("bot",),
        Fault("status", on="memories.list", status=200, body=b"<html>"),
    ),
    "`add_memory`, `agent_id": ("add_memory", (AddMemoryRequest(agent_id="no spaces", content="x"),), None),
    "`list_memories`, `agent_id": ("list_memories", (ListOptions(agent_id="no spaces"),), None),
    "`list_memories`, `limit=5000`": ("list_memories", (ListOptions(agent_id="bot", limit=5000),), None),
    "`list_memories`, `limit=0`": ("list_memories", (ListOptions(limit=0),), None),
    '`recall("")`': ("recall", ("",), None),
    "`add_memories([])`": ("add_memories", ([],), None),
    "`get_agent_memories`": ("get_agent_memories", ("bot", ListOptions(tags="nothing")), None),
}


@pytest.mark.parametrize("row", CASES)
def test_a_call_of_the_table_ends_as_told_and_sends_what_is_told(row):
    method, arguments, fault = CASES[row]
    fake = FakeMemtrace(clock=ManualClock())
    with fake.client("acme") as client:
        client.memories.add_many(AddMemoryRequest(agent_id="bot", content=f"Fact {number}") for number in range(120))
        before = len(fake.calls)
        if fault is not None:
            fake.faults.add(fault)
        end, wire = told(row)
        try:
            result = getattr(client, method)(*arguments)
            assert "Error" not in end
            if "120" in end or "none:" in end:
                assert result.count == (120 if "120" in end else 0)
        except MemtraceError as error:
            assert end.startswith(f"`{type(error).__name__}`")
    sent = [(SHORT.get(call.operation, call.operation), call.status) for call in fake.calls][before:]
    if wire == "nothing":
        assert sent == []
    else:
        words = wire.replace(",", "").replace("`", "").split()
        assert words == [word for name, status in sent for word in (name, str(status)) if word in words]
        assert [word for word in words if not word.isdigit()] == [name for name, _ in sent]

"""The server in process, by the real client: what it offers, and what it answers."""

import asyncio
import logging

import pytest

import memtrace
from memtrace.integrations.tools import AsyncMemoryTools, schemas
from memtrace_transports import FakeMemtrace
from memtrace_transports.memory import Fault
from tests.lazily import Lazily

pytestmark = pytest.mark.framework

mcp = Lazily("mcp")
ours = Lazily("memtrace.integrations.mcp")


@pytest.fixture
def fake():
    return FakeMemtrace()


@pytest.fixture(params=["auto", "legacy"])
def ask(request, fake):
    """Connect, and do something with the connection; in both eras of the protocol."""

    def run(work, **settings):
        async def main():
            async with fake.async_client() as client:
                tools = AsyncMemoryTools(client, **{"agent_id": "assistant", **settings})
                async with mcp.Client(ours.memory_server(tools), mode=request.param) as model:
                    return await work(model)

        return asyncio.run(main())

    return run


def test_it_offers_the_tools_with_their_schemas_and_says_what_they_do_to_the_world(ask):
    listed = ask(lambda model: model.list_tools()).tools
    assert [
        {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema} for tool in listed
    ] == schemas("anthropic")
    hints = {tool.name: tool.annotations for tool in listed}
    assert [name for name, hint in hints.items() if hint.read_only_hint] == ["recall", "search"]
    assert all(hint.destructive_hint is False and hint.open_world_hint is False for hint in hints.values())


def test_only_what_is_chosen_is_offered_and_done(ask, fake):
    async def work(model):
        listed = await model.list_tools()
        return [tool.name for tool in listed.tools], await model.call_tool("m_remember", {"content": "x"})

    names, refused = ask(work, tools=["recall", "search"], prefix="m_")
    assert names == ["m_recall", "m_search"]
    assert refused.is_error
    assert "there is no tool 'm_remember'" in refused.content[0].text
    assert fake.client().memories.list().count == 0


def test_it_says_who_it_is_and_what_the_memory_is_for(ask):
    async def work(model):
        return model.server_info, model.instructions

    info, instructions = ask(work)
    assert (info.name, info.version) == ("memtrace", memtrace.__version__)
    assert "long-term memory" in instructions


def test_a_model_remembers_and_finds_it(ask, fake):
    async def work(model):
        stored = await model.call_tool("remember", {"content": "User likes tea", "tags": ["taste"]})
        found = await model.call_tool("search", {"query": "tea"})
        return stored, found

    stored, found = ask(work, session_id="sess_1")
    assert (stored.is_error, stored.content[0].text) == (False, "Stored.")
    assert '"content": "User likes tea"' in found.content[0].text
    (row,) = fake.client().memories.list().memories
    assert (row.agent_id, row.session_id) == ("assistant", "sess_1")


def test_a_call_that_is_wrong_is_a_result_that_says_what_to_correct(ask):
    result = ask(lambda model: model.call_tool("recall", {"limit": 500}))
    assert result.is_error
    assert result.content[0].text.startswith("Not done: limit must be at most 100. ")


def test_a_warning_about_a_tool_of_a_very_long_name_is_short(ask, caplog):
    with caplog.at_level(logging.WARNING, "memtrace"):
        assert ask(lambda model: model.call_tool("x" * 100_000, {})).is_error
    assert max(len(record.getMessage()) for record in caplog.records if record.name == "memtrace") < 500


def test_a_memory_that_cannot_be_reached_is_a_result_and_its_reason_a_warning(ask, fake, caplog):
    fake.faults.add(Fault("status", status=401))
    with caplog.at_level(logging.WARNING, "memtrace"):
        result = ask(lambda model: model.call_tool("remember", {"content": "planted content"}))
    assert (result.is_error, result.content[0].text) == (
        True,
        "The memory cannot be used now. Go on without it, and do not try again.",
    )
    told = [record.getMessage() for record in caplog.records if record.name == "memtrace"]
    assert any(line.startswith("the tool 'remember' failed: ") and "HTTP 401" in line for line in told)
    assert "planted" not in "".join(told)

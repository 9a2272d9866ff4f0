"""The server in process, by the real client: what it offers, and what it answers."""

import json
import logging

import pytest
from jsonschema import Draft202012Validator

import memtrace
from memtrace.integrations.tools import schemas
from memtrace_transports.memory import Fault

pytestmark = pytest.mark.framework


@pytest.fixture
def ask(ask_one):
    return ask_one


def test_it_offers_the_tools_with_their_schemas_and_says_what_they_do_to_the_world(ask):
    listed = ask(lambda model: model.list_tools()).tools
    assert [
        {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema} for tool in listed
    ] == schemas("anthropic")
    hints = {tool.name: tool.annotations for tool in listed}
    assert [name for name, hint in hints.items() if hint.read_only_hint] == ["recall", "search"]
    assert all(hint.destructive_hint is False and hint.open_world_hint is False for hint in hints.values())


def test_each_tool_has_a_title_and_an_output_schema(ask):
    listed = ask(lambda model: model.list_tools(), prefix="m_").tools
    assert [tool.title for tool in listed] == ["Remember", "Recall memories", "Search memories", "Record a decision"]
    for tool in listed:
        Draft202012Validator.check_schema(tool.output_schema)


def test_a_result_is_a_json_object_that_identifies_each_memory_and_its_text_is_that_object(ask, fake):
    async def work(model):
        await model.list_tools()  # the client checks results against the schemas that it knows
        return [
            await model.call_tool("remember", {"content": "User likes tea", "tags": ["taste"], "importance": 0.5}),
            await model.call_tool("decide", {"decision": "Serve tea", "reasoning": "they like it"}),
            await model.call_tool("recall", {"limit": 1}),
            await model.call_tool("search", {"query": "tea"}),
        ]

    results = ask(work)
    assert [json.loads(result.content[0].text) for result in results] == [
        result.structured_content for result in results
    ]
    stored, _, newest, found = [result.structured_content for result in results]
    (row,) = [row for row in fake.client().memories.list() if row.content == "User likes tea"]
    identity = {"time": row.time.isoformat().replace("+00:00", "Z"), "dedup_key": row.dedup_key}
    assert stored == {"stored": True, **identity}
    assert newest["more"] is True
    assert identity.items() <= next(each for each in found["memories"] if each["content"] == "User likes tea").items()


def test_a_duplicate_is_no_failure_and_not_stored(ask):
    async def work(model):
        await model.list_tools()
        await model.call_tool("remember", {"content": "User likes tea"})
        return await model.call_tool("remember", {"content": "User likes tea"})

    result = ask(work)
    assert (result.is_error, result.structured_content) == (False, {"stored": False})
    assert result.content[0].text.startswith("Not stored: ")


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
    assert (stored.is_error, stored.structured_content["stored"]) == (False, True)
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

"""The session for the OpenAI Agents SDK, against that SDK and the fake."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtrace import ConfigurationError, InvalidRequestError, PayloadTooLargeError
from tests.dealing import by_visibility
from tests.integrations.values import JSON, TEXTS, VISIBILITIES, fake_of, run
from tests.lazily import Lazily

pytestmark = pytest.mark.framework

agents = Lazily("agents")
openai_agents = Lazily("memtrace.integrations.openai_agents")
responses = Lazily("openai.types.responses")


def session_of(fake, **settings):
    return openai_agents.MemtraceSession(
        fake.async_client(), **{"agent_id": "assistant", "session_id": "thread", **settings}
    )


def said(role, text):
    return {"role": role, "content": text}


def test_it_is_a_session_of_the_sdk(fake):
    assert isinstance(session_of(fake), agents.Session)
    assert session_of(fake).session_id == "thread"


@given(st.lists(st.dictionaries(TEXTS, JSON, max_size=4), max_size=6), VISIBILITIES)
def test_items_come_back_as_they_are(items, visibility):
    async def program():
        session = session_of(fake_of(visibility))
        await session.add_items(items)
        return await session.get_items()

    assert json.dumps(run(program)) == json.dumps(items)


def test_items_can_be_taken_back_and_cleared(fake):
    async def program():
        session = session_of(fake)
        await session.add_items([said("user", "one"), said("assistant", "two")])
        await session.add_items([])
        assert await session.pop_item() == said("assistant", "two")
        assert await session.get_items() == [said("user", "one")]
        await session.clear_session()
        assert await session.get_items() == []
        assert await session.pop_item() is None

    run(program)


def test_a_limit_given_counts_and_else_that_of_the_settings(fake):
    async def program():
        session = session_of(fake, session_settings=agents.SessionSettings(limit=2))
        await session.add_items([said("user", str(n)) for n in range(4)])
        assert await session.get_items() == [said("user", "2"), said("user", "3")]
        assert len(await session.get_items(3)) == 3
        session.session_settings = None
        assert len(await session.get_items()) == 4

    run(program)


ITEMS = [
    (said("user", "Hello"), "user_message", "Hello"),
    (said("system", [{"type": "input_text", "text": "Be kind"}]), "system_message", "Be kind"),
    (
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "Look:"}, {"type": "input_image", "image_url": "u"}],
        },
        "user_message",
        "Look:\n[input_image]",
    ),
    (
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        "assistant_message",
        "No.",
    ),
    (
        {"type": "function_call", "call_id": "c", "name": "weather", "arguments": '{"city": "Oslo"}'},
        "function_call",
        'weather({"city": "Oslo"})',
    ),
    ({"type": "function_call_output", "call_id": "c", "output": "rain"}, "function_call_output", "rain"),
    (
        {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "It rains."}]},
        "reasoning",
        "It rains.",
    ),
    (
        {"type": "compaction", "encrypted_content": "x"},
        "compaction",
        '{"type": "compaction", "encrypted_content": "x"}',
    ),
    ({"content": None}, "item", '{"content": null}'),
    (said("user", ""), "user_message", '{"role": "user", "content": ""}'),
]


@by_visibility(("item", "event_type", "content"), ITEMS)
def test_people_can_read_what_an_item_says(fake, item, event_type, content):
    async def program():
        session = session_of(fake)
        await session.add_items([item])
        assert await session.get_items() == [item]

    run(program)
    (memory,) = fake.client().memories.list(agent_id="assistant", session_id="thread").memories
    assert (memory.event_type, memory.content) == (event_type, content)
    assert memory.tags == ["openai-agents"]


@by_visibility("bad", ["text", None, ["a"]])
def test_what_is_no_item_is_refused_before_anything_is_sent(fake, bad):
    async def program():
        session = session_of(fake)
        with pytest.raises(InvalidRequestError, match=r"items\[1\] must be a dict"):
            await session.add_items([said("user", "a"), bad])
        assert await session.get_items() == []

    run(program)


def test_a_value_that_json_cannot_hold_is_refused_by_its_place(fake):
    async def program():
        with pytest.raises(InvalidRequestError, match=r"items\[0\] must be JSON"):
            await session_of(fake).add_items([said("user", object())])

    run(program)


def test_an_item_that_is_too_large_is_refused_before_anything_is_sent(fake):
    async def program():
        session = session_of(fake)
        with pytest.raises(PayloadTooLargeError, match=r"memories\[1\]"):
            await session.add_items([said("user", "a"), said("user", "b" * 3_000_000)])
        assert await session.get_items() == []

    run(program)


def test_a_client_that_is_not_async_is_refused(fake):
    with pytest.raises(ConfigurationError, match="accepts an AsyncMemtrace as its async client; .*Memtrace"):
        openai_agents.MemtraceSession(fake.client(), agent_id="a", session_id="s")


def test_ids_are_checked_when_a_session_is_made(fake):
    with pytest.raises(InvalidRequestError, match="session_id must be a letter"):
        session_of(fake, session_id="4f5b3c2a-1c9d-4b7e-8a55-0d9f6f1f2a11")


# ---- with the SDK's runner


def scripted(*outputs):
    """A model that gives these outputs, one a turn, and notes what it was given."""
    left = list(outputs)

    class Scripted(agents.Model):
        def __init__(self):
            self.inputs = []

        async def get_response(self, system_instructions, input, *args, **kwargs):  # noqa: A002  # the SDK's name
            self.inputs.append(list(input))
            return agents.ModelResponse(output=[left.pop(0)], usage=agents.Usage(), response_id=None)

        def stream_response(self, *args, **kwargs):
            raise NotImplementedError

    return Scripted()


def answer(text):
    content = responses.ResponseOutputText(text=text, type="output_text", annotations=[])
    return responses.ResponseOutputMessage(
        id="m", role="assistant", status="completed", type="message", content=[content]
    )


def call(name, arguments):
    return responses.ResponseFunctionToolCall(call_id="c1", name=name, arguments=arguments, type="function_call")


def weather(city: str) -> str:
    """The weather."""
    return f"rain in {city}"


def test_an_agent_remembers_what_was_said_in_runs_before(fake):
    model = scripted(call("weather", '{"city": "Oslo"}'), answer("Rain."), answer("You asked about Oslo."))
    agent = agents.Agent(name="assistant", model=model, tools=[agents.function_tool(weather)])

    async def program():
        for question in ("How is Oslo?", "What did I ask?"):
            await agents.Runner.run(
                agent, question, session=session_of(fake), run_config=agents.RunConfig(tracing_disabled=True)
            )

    run(program)
    last = model.inputs[-1]
    assert [item.get("role") or item["type"] for item in last] == [
        "user",
        "function_call",
        "function_call_output",
        "assistant",
        "user",
    ]
    assert last[2]["output"] == "rain in Oslo"
    contents = [memory.content for memory in fake.client().memories.list(session_id="thread", order="asc").memories]
    assert contents == [
        "How is Oslo?",
        'weather({"city": "Oslo"})',
        "rain in Oslo",
        "Rain.",
        "What did I ask?",
        "You asked about Oslo.",
    ]


def test_the_sdks_own_session_and_ours_keep_the_same(fake):
    async def talk(session):
        model = scripted(call("weather", '{"city": "Oslo"}'), answer("Rain."), answer("Bye."))
        agent = agents.Agent(name="assistant", model=model, tools=[agents.function_tool(weather)])
        for question in ("How is Oslo?", "Bye"):
            await agents.Runner.run(
                agent, question, session=session, run_config=agents.RunConfig(tracing_disabled=True)
            )
        popped = await session.pop_item()
        return popped, await session.get_items(), await session.get_items(2)

    async def program():
        theirs = agents.SQLiteSession("thread")
        try:
            return await talk(session_of(fake)), await talk(theirs)
        finally:
            theirs.close()

    ours, theirs = run(program)
    assert ours == theirs

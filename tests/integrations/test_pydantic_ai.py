"""The toolset and the history processor for Pydantic AI, against that framework and the fake."""

from __future__ import annotations

import asyncio
import json
import logging
import runpy

import pytest

from memtrace import AsyncMemtrace, ConfigurationError, InvalidRequestError, MemtraceError
from memtrace.testing import Fault
from tests.examples.programs import EXAMPLES, run_example
from tests.integrations.values import run
from tests.lazily import Lazily

pytestmark = pytest.mark.framework

pydantic_ai = Lazily("pydantic_ai")
capabilities = Lazily("pydantic_ai.capabilities")
messages = Lazily("pydantic_ai.messages")
function = Lazily("pydantic_ai.models.function")
ours = Lazily("memtrace.integrations.pydantic_ai")


def scripted(*turns):
    """A model that gives these turns: a text, or the name of a tool with its arguments. It notes what it was sent."""
    left = list(turns)
    sent = []

    def answer(history, info):
        sent.append((list(history), info))
        turn = left.pop(0)
        part = messages.TextPart(turn) if isinstance(turn, str) else messages.ToolCallPart(turn[0], turn[1])
        return messages.ModelResponse(parts=[part])

    model = function.FunctionModel(answer)
    model.sent = sent
    return model


def returns(model):
    """What the tools returned, as the model saw it last."""
    history, _ = model.sent[-1]
    return [part for message in history for part in message.parts if part.part_kind in ("tool-return", "retry-prompt")]


def is_asked_to_correct(part):
    """Whether the model was asked to call again: a part of its own in some versions, an outcome in others."""
    return part.part_kind == "retry-prompt" or part.outcome == "retried"


def texts(message):
    """The texts of a user's message, part by part."""
    found = []
    for part in message.parts:
        contents = [part.content] if isinstance(part.content, str) else part.content
        found.append("".join(each if isinstance(each, str) else each.content for each in contents))
    return found


# ---- the toolset


def agent_with(fake, *turns, **settings):
    toolset = ours.MemtraceToolset(fake.async_client(), **{"agent_id": "assistant", **settings})
    model = scripted(*turns)
    return pydantic_ai.Agent(model, toolsets=[toolset], deps_type=str), model


def test_an_agent_remembers_and_finds_it_in_a_later_run(fake):
    agent, model = agent_with(
        fake,
        ("remember", {"content": "Ines drinks tea without sugar"}),
        "Noted.",
        ("search", {"query": "what does Ines drink?"}),
        "Tea without sugar.",
    )

    async def program():
        await agent.run("I am Ines, I drink tea without sugar.")
        fake.flush()
        return await agent.run("What do I drink?")

    assert run(program).output == "Tea without sugar."
    (found,) = returns(model)
    assert [each["content"] for each in json.loads(found.content)["memories"]] == ["Ines drinks tea without sugar"]


def test_a_model_sees_the_tools_with_their_schemas_and_never_the_ids(fake):
    agent, model = agent_with(fake, "Hello", prefix="memory_", tools=["recall", "remember"], session_id="thread")
    run(lambda: agent.run("Hello"))
    _, info = model.sent[0]
    assert [tool.name for tool in info.function_tools] == ["memory_recall", "memory_remember"]
    assert all(tool.description and "agent_id" not in str(tool.parameters_json_schema) for tool in info.function_tools)


def test_each_run_has_the_agent_and_the_session_that_its_dependencies_name(fake):
    agent, _ = agent_with(
        fake,
        *[("remember", {"content": "likes tea"}), "Noted."] * 2,
        agent_id=lambda ctx: f"user-{ctx.deps}",
        session_id=lambda ctx: f"thread-{ctx.deps}",
    )

    async def program():
        await agent.run("I like tea.", deps="ines")
        await agent.run("I like tea.", deps="tom")

    run(program)
    fake.flush()
    memories = fake.client().memories.list(order="asc").memories
    assert [(each.agent_id, each.session_id) for each in memories] == [
        ("user-ines", "thread-ines"),
        ("user-tom", "thread-tom"),
    ]


BAD_CALLS = [
    ({"content": "x" * 5_000_000}, "too long"),
    ({}, "content"),
    ({"content": "a", "agent_id": "other"}, "no argument 'agent_id'"),
    ({"content": ""}, "content"),
]


@pytest.mark.parametrize(("arguments", "said"), BAD_CALLS)
def test_a_model_that_calls_wrongly_is_asked_to_correct_it(fake, arguments, said):
    agent, model = agent_with(fake, ("remember", arguments), "I could not.")
    assert run(lambda: agent.run("Remember this.")).output == "I could not."
    (asked,) = returns(model)
    assert is_asked_to_correct(asked)
    assert said in asked.content
    assert fake.client().memories.list().memories == []


def test_a_nul_in_a_call_is_stored(fake):
    agent, _ = agent_with(fake, ("remember", {"content": "a\0b"}), "Done.")
    run(lambda: agent.run("Remember this."))
    fake.flush()
    (memory,) = fake.client().memories.list().memories
    assert memory.content == "a\0b"


@pytest.mark.parametrize("arguments", ["[1]", "{", r'{"content": "half \ud83d of a smile"}'])
def test_arguments_that_are_no_json_object_are_returned_to_the_model(fake, arguments):
    agent, model = agent_with(fake, ("remember", arguments), "I give up.")
    assert run(lambda: agent.run("Remember this.")).output == "I give up."
    (asked,) = returns(model)
    assert is_asked_to_correct(asked)
    assert fake.client().memories.list().memories == []


def down(fake):
    """A client whose server does not answer, and one that was closed."""
    fake.faults.add(Fault("refused", times=None))
    closed = fake.async_client()
    run(closed.close)
    return {"refused": fake.async_client(), "closed": closed}


@pytest.mark.parametrize("how", ["refused", "closed"])
def test_a_store_that_is_down_is_a_failed_call_that_the_model_can_go_on_from(fake, caplog, how):
    toolset = ours.MemtraceToolset(down(fake)[how], agent_id="assistant")
    model = scripted(("remember", {"content": "likes tea"}), "I go on without.")
    with caplog.at_level(logging.WARNING, "memtrace"):
        assert run(pydantic_ai.Agent(model, toolsets=[toolset]).run, "I like tea.").output == "I go on without."
    (failed,) = returns(model)
    assert failed.part_kind == "tool-return"
    assert failed.outcome == "failed"
    assert "the tool remember failed" in caplog.text
    assert "likes tea" not in caplog.text


def test_ids_and_settings_are_checked_when_a_toolset_is_made(fake):
    client = fake.async_client()
    with pytest.raises(ConfigurationError, match="accepts an AsyncMemtrace"):
        ours.MemtraceToolset(fake.client(), agent_id="a")
    with pytest.raises(InvalidRequestError, match="agent_id"):
        ours.MemtraceToolset(client, agent_id="4f5b3c2a")
    with pytest.raises(InvalidRequestError, match="session_id"):
        ours.MemtraceToolset(client, agent_id=lambda ctx: "a", session_id="4f5b3c2a")
    with pytest.raises(ConfigurationError, match="there is no tool"):
        ours.MemtraceToolset(client, agent_id=lambda ctx: "a", session_id=lambda ctx: None, tools=["recal"])
    assert ours.MemtraceToolset(client, agent_id="a").id == "memtrace"
    assert ours.MemtraceToolset(client, agent_id="a", id="other").id == "other"


def test_a_cancelled_run_ends_at_once_and_the_next_run_works(fake):
    toolset = ours.MemtraceToolset(fake.async_client(), agent_id="assistant")
    begun = asyncio.Event()

    async def answer(history, info):
        begun.set()
        await asyncio.Event().wait()

    async def program():
        stuck = asyncio.create_task(pydantic_ai.Agent(function.FunctionModel(answer), toolsets=[toolset]).run("Hello"))
        await begun.wait()
        stuck.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stuck
        model = scripted(("remember", {"content": "likes tea"}), "Noted.")
        return await pydantic_ai.Agent(model, toolsets=[toolset]).run("I like tea.")

    assert run(program).output == "Noted."


# ---- the history processor


def reader_of(fake, *turns, client=None, **settings):
    processor = ours.MemtraceHistoryProcessor(client or fake.async_client(), **{"agent_id": "assistant", **settings})
    model = scripted(*turns)
    return pydantic_ai.Agent(model, capabilities=[capabilities.ProcessHistory(processor)], deps_type=str), model


def remember(fake, content, agent_id="assistant", **fields):
    fake.client().memories.add(agent_id=agent_id, content=content, **fields)
    fake.flush()


def test_what_matters_to_the_prompt_stands_before_it(fake):
    remember(fake, "Ines drinks tea without sugar")
    remember(fake, "Ines lives in Lisbon")
    agent, model = reader_of(fake, "Tea.")
    result = run(lambda: agent.run("Does Ines drink tea or coffee?"))
    memories, prompt = texts(model.sent[0][0][-1])
    assert "tea without sugar" in memories
    assert prompt == "Does Ines drink tea or coffee?"
    assert len(result.new_messages()) == 2


def test_a_conversation_has_memories_at_its_newest_prompt_alone(fake):
    remember(fake, "Ines drinks tea")
    agent, model = reader_of(fake, "Tea.", "Still tea.")

    async def program():
        first = await agent.run("What does Ines drink?")
        await agent.run("And what does Ines drink now?", message_history=first.all_messages())

    run(program)
    history = model.sent[-1][0]
    assert [len(message.parts) for message in history] == [1, 1, 2]
    assert texts(history[0]) == ["What does Ines drink?"]


def test_memories_are_read_once_a_run_and_stay_while_tools_are_called(fake):
    remember(fake, "Ines drinks tea")
    agent, model = reader_of(fake, ("clock", {}), "Tea, at five.")
    agent.tool_plain(lambda: "five", name="clock")
    run(lambda: agent.run("When does Ines drink tea?"))
    assert len(texts(model.sent[1][0][0])) == 2
    assert model.sent[0][0][0] == model.sent[1][0][0]


PROMPTS = [
    (["a picture of ", "tea"], True),
    (["   "], False),
    ([], False),
]


@pytest.mark.parametrize(("prompt", "has_words"), PROMPTS)
def test_only_words_of_the_user_are_a_query(fake, prompt, has_words):
    remember(fake, "a picture of tea")
    agent, model = reader_of(fake, "I see.")
    picture = messages.ImageUrl("https://example.com/tea.png")
    run(lambda: agent.run([*prompt, messages.TextContent("?") if has_words else picture, picture]))
    assert len(model.sent[0][0][-1].parts) == (2 if has_words else 1)


def test_a_run_without_a_prompt_and_an_empty_history_have_no_memories(fake):
    agent, model = reader_of(fake, "Hello.")
    processor = ours.MemtraceHistoryProcessor(fake.async_client(), agent_id="assistant")
    assert run(lambda: processor(None, [])) == []
    history = [messages.ModelResponse(parts=[messages.TextPart("Hi")])]
    assert run(lambda: processor(None, history)) is history
    run(lambda: agent.run("Hello", deps="nobody"))
    assert len(model.sent[0][0][-1].parts) == 1


def test_each_run_reads_the_memories_of_the_agent_and_session_that_its_dependencies_name(fake):
    remember(fake, "Ines drinks tea", agent_id="ines", session_id="kitchen")
    remember(fake, "Tom drinks coffee", agent_id="tom", session_id="kitchen")
    remember(fake, "Tom drinks water", agent_id="tom", session_id="office")
    agent, model = reader_of(fake, "?", agent_id=lambda ctx: ctx.deps, session_id=lambda ctx: "kitchen")
    run(lambda: agent.run("Who drinks what?", deps="tom"))
    memories, _ = texts(model.sent[0][0][-1])
    assert "coffee" in memories
    assert "tea" not in memories
    assert "water" not in memories


@pytest.mark.parametrize("how", ["refused", "closed"])
def test_a_store_that_is_down_ends_the_run_with_an_error_of_the_framework(fake, how):
    agent, _ = reader_of(fake, "Tea.", client=down(fake)[how])
    with pytest.raises(pydantic_ai.exceptions.AgentRunError, match="could not be read") as caught:
        run(agent.run, "What do I drink?")
    assert isinstance(caught.value.__cause__, MemtraceError)


@pytest.mark.parametrize("how", ["refused", "closed"])
def test_a_store_that_is_down_is_logged_and_the_model_answers_where_it_was_asked_so(fake, caplog, how):
    agent, _ = reader_of(fake, "I do not know.", client=down(fake)[how], on_error="ignore")
    with caplog.at_level(logging.WARNING, "memtrace"):
        assert run(agent.run, "What do I drink?").output == "I do not know."
    assert "MemtraceHistoryProcessor goes on without memories" in caplog.text


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"agent_id": "4f5b"}, InvalidRequestError, "agent_id"),
        ({"agent_id": "a", "session_id": "4f5b"}, InvalidRequestError, "session_id"),
        ({"agent_id": "a", "max_tokens": 0}, InvalidRequestError, "max_tokens"),
        ({"agent_id": "a", "on_error": "skip"}, ConfigurationError, "on_error"),
    ],
)
def test_settings_of_a_processor_are_checked_when_it_is_made(fake, settings, error, said):
    with pytest.raises(error, match=said):
        ours.MemtraceHistoryProcessor(fake.async_client(), **settings)


def test_a_processor_accepts_a_session_by_its_id(fake):
    remember(fake, "Ines drinks tea", session_id="kitchen")
    agent, model = reader_of(fake, "Tea.", session_id="kitchen")
    run(lambda: agent.run("What does Ines drink?"))
    assert len(texts(model.sent[0][0][-1])) == 2


# ---- both, over a restart


def test_an_agent_finds_after_a_restart_what_it_stored_in_a_file(tmp_path):
    url = f"sqlite:///{tmp_path}/memories.db"

    async def session(prompt, *turns):
        async with AsyncMemtrace(url) as client:
            model = scripted(*turns)
            agent = pydantic_ai.Agent(
                model,
                toolsets=[ours.MemtraceToolset(client, agent_id="assistant")],
                capabilities=[capabilities.ProcessHistory(ours.MemtraceHistoryProcessor(client, agent_id="assistant"))],
            )
            await agent.run(prompt)
            return texts(model.sent[0][0][0])

    assert run(session, "I drink tea.", ("remember", {"content": "User drinks tea"}), "Noted.") == ["I drink tea."]
    memories, _ = run(session, "What do I drink: tea?", "Tea.")
    assert "User drinks tea" in memories


EXAMPLE = EXAMPLES / "pydantic_ai_agent.py"


@pytest.mark.slow
def test_the_example_remembers_over_a_restart(tmp_path):
    def ask(question):
        done = run_example("pydantic_ai_agent.py", tmp_path, question, "-W", "error")
        assert done.stderr == ""
        return done.stdout

    assert ask("I drink tea without sugar.") == "Noted.\n"
    assert "I drink tea without sugar." in ask("Do I drink tea?")


def test_the_example_talks_to_the_provider_where_there_is_a_key(monkeypatch):
    example = runpy.run_path(str(EXAMPLE))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert isinstance(example["model"](), function.FunctionModel)
    monkeypatch.setenv("OPENAI_API_KEY", "a key")
    assert example["model"]() == "openai:gpt-5-mini"

"""The history and context providers for Microsoft Agent Framework, against that framework and the fake."""

from __future__ import annotations

import asyncio
import json
import logging
import runpy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtrace import AsyncMemtrace, ConfigurationError, InvalidRequestError, MemtraceError
from memtrace.testing import Fault
from tests.examples.programs import EXAMPLES, run_example
from tests.integrations.values import JSON, TEXTS, VISIBILITIES, fake_of, run
from tests.lazily import Lazily

pytestmark = pytest.mark.framework

framework = Lazily("agent_framework")
exceptions = Lazily("agent_framework.exceptions")
ours = Lazily("memtrace.integrations.agent_framework")


def scripted(*turns):
    """A chat client that gives these turns: a text, or the name of a tool with its arguments. It notes what it was sent."""
    left = list(turns)

    class Scripted(framework.FunctionInvocationLayer, framework.BaseChatClient):
        def __init__(self):
            super().__init__()
            self.sent = []
            self.options = []

        def _inner_get_response(self, *, messages, stream, options, **kwargs):
            async def answer():
                self.sent.append(list(messages))
                self.options.append(options)
                turn = left.pop(0)
                content = (
                    framework.Content.from_text(turn)
                    if isinstance(turn, str)
                    else framework.Content.from_function_call("call-1", turn[0], arguments=json.dumps(turn[1]))
                )
                return framework.ChatResponse(messages=framework.Message("assistant", [content]))

            return answer()

    return Scripted()


def agent_of(client, *providers, **settings):
    return framework.Agent(client, context_providers=list(providers), **settings)


def texts(messages):
    return [message.text for message in messages]


# ---- the history provider


def history_of(fake, **settings):
    return ours.MemtraceHistoryProvider(fake.async_client(), **{"agent_id": "assistant", **settings})


def said(role, *texts_):
    return framework.Message(role, list(texts_))


def dumped(messages):
    return [message.to_dict() for message in messages]


def test_it_is_a_history_provider_of_the_framework(fake):
    provider = history_of(fake, source_id="ours", load_messages=False, store_context_messages=True)
    assert isinstance(provider, framework.HistoryProvider)
    assert (provider.source_id, provider.load_messages, provider.store_context_messages) == ("ours", False, True)


@given(
    st.lists(
        st.tuples(st.sampled_from(["user", "assistant", "tool"]), TEXTS, st.dictionaries(TEXTS, JSON)), max_size=4
    ),
    TEXTS,
    VISIBILITIES,
)
def test_messages_come_back_as_they_are(drawn, session_id, visibility):
    messages = [
        framework.Message(role, [text], message_id="1", author_name="Ines", additional_properties=properties)
        for role, text, properties in drawn
    ]

    async def program():
        history = history_of(fake_of(visibility))
        await history.save_messages(session_id, messages)
        return await history.get_messages(session_id)

    assert json.dumps(dumped(run(program))) == json.dumps(dumped(messages))


def test_sessions_are_kept_apart_and_runs_without_one_share_a_history(fake):
    async def program():
        history = history_of(fake)
        for session_id in ("user/1", "user/2", None):
            await history.save_messages(session_id, [said("user", str(session_id))])
        await history.save_messages("user/1", [])
        return [texts(await history.get_messages(session_id)) for session_id in ("user/1", "user/2", None, "3")]

    assert run(program) == [["user/1"], ["user/2"], ["None"], []]


@pytest.mark.parametrize(("most", "found"), [(None, ["0", "1", "2"]), (2, ["1", "2"]), (0, [])])
def test_a_run_gets_the_newest_messages_alone(fake, most, found):
    async def program():
        history = history_of(fake, max_messages=most)
        await history.save_messages("thread", [said("user", str(n)) for n in range(3)])
        return texts(await history.get_messages("thread"))

    assert run(program) == found


def test_a_session_can_be_cleared(fake):
    async def program():
        history = history_of(fake)
        await history.save_messages("thread", [said("user", "one")])
        await history.save_messages("other", [said("user", "two")])
        await history.clear("thread")
        return texts(await history.get_messages("thread")), texts(await history.get_messages("other"))

    assert run(program) == ([], ["two"])


def contents():
    content = framework.Content
    return [
        ("user", [content.from_text("Hello")], "Hello"),
        (
            "assistant",
            [content.from_function_call("1", "weather", arguments='{"city": "Oslo"}')],
            'weather({"city": "Oslo"})',
        ),
        ("assistant", [content.from_function_call("1", "now")], "now()"),
        ("tool", [content.from_function_result("1", result="rain")], "rain"),
        ("tool", [content.from_function_result("1", exception="no network")], "no network"),
        ("user", [content.from_uri("https://example.com/a.png", media_type="image/png")], None),
    ]


@pytest.mark.parametrize("case", range(6))
def test_people_can_read_a_message_and_it_comes_back_exactly(fake, case):
    role, parts, readable = contents()[case]
    message = framework.Message(role, parts)

    async def program():
        history = history_of(fake)
        await history.save_messages("thread", [message])
        return await history.get_messages("thread")

    assert dumped(run(program)) == dumped([message])
    (memory,) = fake.client().memories.list().memories
    assert (memory.event_type, memory.tags) == (f"{role}_message", ["agent-framework"])
    assert memory.content == (readable or json.dumps(message.to_dict()))


def test_two_writers_on_one_session_lose_no_message(fake):
    async def program():
        histories = [history_of(fake) for _ in range(3)]
        await asyncio.gather(
            *(history.save_messages("thread", [said("user", f"{n}")]) for n, history in enumerate(histories))
        )
        return sorted(texts(await histories[0].get_messages("thread")))

    assert run(program) == ["0", "1", "2"]


@pytest.mark.parametrize("value", [object(), float("nan"), "x" * 5_000_000])
def test_a_message_that_cannot_be_stored_is_an_error_of_the_framework_and_nothing_is_stored(fake, value):
    messages = [said("user", "fine"), framework.Message("user", ["x"], additional_properties={"value": value})]

    async def program():
        with pytest.raises(exceptions.IntegrationInvalidRequestException) as caught:
            await history_of(fake).save_messages("thread", messages)
        assert isinstance(caught.value.__cause__, MemtraceError)

    run(program)
    assert fake.client().memories.list().memories == []


def test_a_message_that_would_come_back_as_another_is_refused(fake):
    class Mine(framework.Message):
        """Its type is its own."""

    class Changed(framework.Message):
        def to_dict(self, **kwargs):
            return {**super().to_dict(**kwargs), "type": "message", "mine": 1}

    async def program():
        for kind in (Mine, Changed):
            with pytest.raises(exceptions.IntegrationInvalidRequestException, match=r"messages\[0\]"):
                await history_of(fake).save_messages("thread", [kind("user", ["x"])])

    run(program)


def test_a_store_that_is_down_is_an_error_of_the_framework_and_a_retry_stores_once(fake):
    async def program():
        history = history_of(fake)
        fake.faults.add(Fault("reset", on="memories.add_many", applied=True), Fault("refused", times=None))
        with pytest.raises(exceptions.IntegrationException) as caught:
            await history.save_messages("thread", [said("user", "one")])
        assert caught.value.__cause__.maybe_applied
        fake.faults.clear()
        closed = fake.async_client()
        await closed.close()
        with pytest.raises(exceptions.IntegrationException):
            await ours.MemtraceHistoryProvider(closed, agent_id="assistant").get_messages("thread")

    run(program)


def test_settings_of_a_history_are_checked_when_it_is_made(fake):
    with pytest.raises(ConfigurationError, match="accepts an AsyncMemtrace"):
        ours.MemtraceHistoryProvider(fake.client(), agent_id="a")
    for settings in ({"agent_id": "4f5b"}, {"wait_timeout": -1}, {"max_messages": -1}):
        with pytest.raises(InvalidRequestError, match=next(iter(settings))):
            history_of(fake, **settings)


def test_an_agent_goes_on_with_a_conversation(fake):
    client = scripted("Hello Ines.", "You are Ines.")
    agent = agent_of(client, history_of(fake))

    async def program():
        await agent.run("I am Ines.", session=framework.AgentSession(session_id="user/42"))
        await agent.run("Who am I?", session=framework.AgentSession(session_id="user/42"))

    run(program)
    assert texts(client.sent[-1]) == ["I am Ines.", "Hello Ines.", "Who am I?"]


def test_a_cancelled_run_stores_nothing_and_the_next_run_works(fake):
    begun = asyncio.Event()

    class Stuck(type(scripted())):
        def _inner_get_response(self, **kwargs):
            async def answer():
                begun.set()
                await asyncio.Event().wait()

            return answer()

    async def program():
        session = framework.AgentSession(session_id="thread")
        running = asyncio.create_task(agent_of(Stuck(), history_of(fake)).run("Hello", session=session))
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        client = scripted("Hi.")
        await agent_of(client, history_of(fake)).run("Are you there?", session=session)
        return texts(client.sent[-1]), texts(await history_of(fake).get_messages("thread"))

    assert run(program) == (["Are you there?"], ["Are you there?", "Hi."])


# ---- the context provider


def context_of(fake, client=None, **settings):
    return ours.MemtraceContextProvider(client or fake.async_client(), **{"agent_id": "assistant", **settings})


def remember(fake, content, agent_id="assistant"):
    fake.client().memories.add(agent_id=agent_id, content=content)
    fake.flush()


def test_what_matters_to_the_prompt_stands_before_it_and_in_no_history(fake):
    remember(fake, "Ines drinks tea without sugar")
    client = scripted("Tea.")
    history = history_of(fake)
    agent = agent_of(client, history, context_of(fake))

    async def program():
        await agent.run("Does Ines drink tea?", session=framework.AgentSession(session_id="thread"))
        return texts(await history.get_messages("thread"))

    assert run(program) == ["Does Ines drink tea?", "Tea."]
    memories, prompt = texts(client.sent[0])
    assert "tea without sugar" in memories
    assert prompt == "Does Ines drink tea?"


def test_a_model_remembers_by_a_tool_and_finds_it_in_a_later_session(fake):
    client = scripted(("remember", {"content": "Ines drinks tea"}), "Noted.", "Tea.")
    agent = agent_of(client, context_of(fake))

    async def program():
        await agent.run("I am Ines, I drink tea.")
        fake.flush()
        await agent.run("What does Ines drink?")

    run(program)
    assert [tool.name for tool in client.options[0]["tools"]] == ["remember", "recall", "search", "decide"]
    assert "Ines drinks tea" in texts(client.sent[-1])[0]


def test_an_application_chooses_the_tools(fake):
    client = scripted("Hello.", "Hello.")

    async def program():
        await agent_of(client, context_of(fake, tools=["recall"])).run("Hello")
        await agent_of(client, context_of(fake, tools=[])).run("Hello")

    run(program)
    assert [tool.name for tool in client.options[0]["tools"]] == ["recall"]
    assert not client.options[1].get("tools")


def test_each_session_has_the_agent_that_a_function_names(fake):
    remember(fake, "Tom drinks coffee", agent_id="user-tom")
    remember(fake, "Ines drinks tea", agent_id="user-ines")
    client = scripted("Coffee.", "?")
    agent = agent_of(client, context_of(fake, agent_id=lambda session: f"user-{session.session_id}"))

    async def program():
        await agent.run("Who drinks what?", session=framework.AgentSession(session_id="tom"))
        with pytest.raises(exceptions.IntegrationException, match="agent_id"):
            await agent.run("Who drinks what?", session=framework.AgentSession(session_id="a b"))

    run(program)
    assert "coffee" in texts(client.sent[0])[0]
    assert "tea" not in texts(client.sent[0])[0]


def test_a_prompt_without_words_adds_no_memories(fake):
    remember(fake, "Ines drinks tea")
    client = scripted("I see.")
    picture = framework.Content.from_uri("https://example.com/a.png", media_type="image/png")
    run(agent_of(client, context_of(fake)).run, framework.Message("user", [picture]))
    assert len(client.sent[0]) == 1


@pytest.mark.parametrize("content", ["x" * 5_000_000, ""])
def test_a_model_that_calls_wrongly_reads_what_to_correct(fake, content):
    client = scripted(("remember", {"content": content}), "I could not.")
    run(agent_of(client, context_of(fake)).run, "Remember this.")
    (result,) = client.sent[-1][-1].contents
    assert str(result.result).startswith("Not done:")
    assert fake.client().memories.list().memories == []


def down(fake, how):
    fake.faults.add(Fault("refused", times=None))
    client = fake.async_client()
    if how == "closed":
        run(client.close)
    return client


@pytest.mark.parametrize("how", ["refused", "closed"])
def test_a_store_that_is_down_ends_the_run_with_an_error_of_the_framework(fake, how):
    agent = agent_of(scripted("Tea."), context_of(fake, down(fake, how)))
    with pytest.raises(exceptions.IntegrationException) as caught:
        run(agent.run, "What do I drink?")
    assert isinstance(caught.value.__cause__, MemtraceError)


@pytest.mark.parametrize("how", ["refused", "closed"])
def test_a_store_that_is_down_is_logged_and_the_model_answers_if_it_was_asked_so(fake, caplog, how):
    client = scripted(("remember", {"content": "likes tea"}), "I do not know.")
    agent = agent_of(client, context_of(fake, down(fake, how), on_error="ignore"))
    with caplog.at_level(logging.WARNING, "memtrace"):
        assert run(agent.run, "I like tea.").text == "I do not know."
    assert "MemtraceContextProvider goes on without memories" in caplog.text
    assert "the tool remember failed" in caplog.text
    assert "likes tea" not in caplog.text


@pytest.mark.parametrize(
    ("settings", "error", "said_"),
    [
        ({"agent_id": "4f5b"}, InvalidRequestError, "agent_id"),
        ({"max_tokens": 0}, InvalidRequestError, "max_tokens"),
        ({"on_error": "skip"}, ConfigurationError, "on_error"),
        ({"tools": ["recal"]}, ConfigurationError, "there is no tool"),
    ],
)
def test_settings_of_a_context_are_checked_when_it_is_made(fake, settings, error, said_):
    with pytest.raises(error, match=said_):
        context_of(fake, **settings)


# ---- both, over a restart


def test_an_agent_goes_on_after_a_restart_on_a_file(tmp_path):
    url = f"sqlite:///{tmp_path}/memories.db"

    async def ask(question, session_id, *turns):
        async with AsyncMemtrace(url) as memtrace:
            client = scripted(*turns)
            history = ours.MemtraceHistoryProvider(memtrace, agent_id="conversations")
            memories = ours.MemtraceContextProvider(memtrace, agent_id="ines")
            session = framework.AgentSession(session_id=session_id)
            await agent_of(client, history, memories).run(question, session=session)
            return texts(client.sent[-1])

    run(ask, "I drink tea.", "one", ("remember", {"content": "User drinks tea"}), "Noted.")
    sent = run(ask, "What does the user drink: tea?", "two", "Tea.")
    assert "User drinks tea" in sent[0]
    assert "I drink tea." in run(ask, "What did I say?", "one", "That you drink tea.")


EXAMPLE = EXAMPLES / "agent_framework_agent.py"


@pytest.mark.slow
def test_the_example_remembers_over_a_restart(tmp_path):
    def ask(question):
        done = run_example("agent_framework_agent.py", tmp_path, question, "-W", "error")
        assert done.stderr == ""
        return done.stdout

    assert ask("I drink tea without sugar.") == "Noted.\n"
    assert "I drink tea without sugar." in ask("Do I drink tea?")


def test_the_example_talks_to_the_provider_where_there_is_a_key(monkeypatch):
    example = runpy.run_path(str(EXAMPLE))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert isinstance(example["model"](), example["Scripted"])
    monkeypatch.setenv("OPENAI_API_KEY", "a key")
    with pytest.raises(ModuleNotFoundError, match="agent-framework-openai"):
        example["model"]()

"""The chat history for LangChain, against langchain-core and the fake."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("langchain_core", reason="the package langchain-core is not installed")

from hypothesis import given
from hypothesis import strategies as st
from langchain_core.chat_history import BaseChatMessageHistory, InMemoryChatMessageHistory
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    get_buffer_string,
)

from memtrace import ClientClosedError, ConfigurationError, InvalidRequestError, PayloadTooLargeError
from memtrace.integrations.langchain import MemtraceChatMessageHistory
from tests.dealing import by_visibility
from tests.integrations.values import JSON, TEXTS, VISIBILITIES, fake_of, run
from tests.lazily import Lazily

runnables = Lazily("langchain_core.runnables")
runnable_history = Lazily("langchain_core.runnables.history")
pytestmark = pytest.mark.framework

WHERE = {"agent_id": "assistant", "session_id": "thread"}


def history_of(fake, **settings):
    return MemtraceChatMessageHistory(fake.client(), fake.async_client(), **{**WHERE, **settings})


KINDS = [
    HumanMessage("Hello", id="1", name="Ada"),
    HumanMessage([{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url": {"url": "u"}}]),
    SystemMessage("Be kind", additional_kwargs={"n": 2**60, "f": 1.0}),
    AIMessage(
        "Let me look",
        tool_calls=[{"name": "weather", "args": {"city": "Oslo"}, "id": "c1"}],
        usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
        response_metadata={"model": "m"},
    ),
    AIMessage("", invalid_tool_calls=[{"name": "weather", "args": "{", "id": "c2", "error": "cut"}]),
    AIMessageChunk("part", tool_call_chunks=[{"name": "w", "args": "{", "id": "c", "index": 0}]),
    ToolMessage("rain", tool_call_id="c1", artifact={"raw": [1, None, 0.5]}, status="error"),
    FunctionMessage("rain", name="weather"),
    ChatMessage("Hi", role="moderator"),
]


@by_visibility("message", KINDS, ids=lambda message: type(message).__name__)
def test_every_kind_of_message_comes_back_as_it_is(fake, message):
    history = history_of(fake)
    history.add_messages([message, message])
    assert history.messages == [message, message]
    assert [type(each) for each in history.messages] == [type(message)] * 2


MESSAGES = st.builds(
    HumanMessage, content=TEXTS, additional_kwargs=st.dictionaries(TEXTS, JSON, max_size=3)
) | st.builds(AIMessage, content=TEXTS, response_metadata=st.dictionaries(TEXTS, JSON, max_size=3))


@given(st.lists(MESSAGES, max_size=5), VISIBILITIES)
def test_messages_come_back_in_order_both_ways(messages, visibility):
    history = history_of(fake_of(visibility))
    history.add_messages(messages)
    run(history.aadd_messages, messages)
    assert history.messages == run(history.aget_messages) == messages * 2


class InMemory(InMemoryChatMessageHistory):
    """LangChain's own; itself it warns that LangChain thinks of another way."""


def test_it_does_what_langchains_own_history_does(fake):
    ours, theirs = history_of(fake), InMemory()
    assert isinstance(ours, BaseChatMessageHistory)
    for history in (ours, theirs):
        history.add_user_message("Hello")
        history.add_ai_message(AIMessage("Hi"))
        history.add_message(HumanMessage("Bye"))
    assert ours.messages == theirs.messages
    assert str(ours) == str(theirs) == get_buffer_string(theirs.messages)
    for history in (ours, theirs):
        history.clear()
        history.add_messages([])
    assert ours.messages == theirs.messages == []


def test_it_does_so_awaited(fake):
    async def talk(history):
        await history.aadd_messages([HumanMessage("Hello"), AIMessage("Hi")])
        said = await history.aget_messages()
        await history.aclear()
        return said, await history.aget_messages()

    assert run(talk, history_of(fake)) == ([HumanMessage("Hello"), AIMessage("Hi")], [])


@by_visibility(
    ("message", "event_type", "content"),
    [
        (KINDS[0], "human_message", "Hello"),
        (KINDS[1], "human_message", "Look:"),
        (KINDS[3], "ai_message", 'Let me look\nweather({"city": "Oslo"})'),
        (KINDS[5], "AIMessageChunk_message", "part\nw({})"),
        (KINDS[6], "tool_message", "rain"),
    ],
)
def test_people_can_read_what_a_message_says(fake, message, event_type, content):
    history_of(fake).add_messages([message])
    (memory,) = fake.client().memories.list(**WHERE).memories
    assert (memory.event_type, memory.content, memory.tags) == (event_type, content, ["langchain"])


def test_a_message_without_a_text_is_written_as_json(fake):
    history_of(fake).add_messages([AIMessage("")])
    (memory,) = fake.client().memories.list(**WHERE).memories
    assert memory.content.startswith('{"type": "ai"')


class Shouted(HumanMessage):
    """A class of a user's own."""


class Foreign(HumanMessage):
    """One that langchain-core cannot read."""

    type: str = "foreign"


@by_visibility("message", [Shouted("A"), Foreign("A"), "text", {"role": "user", "content": "A"}])
def test_what_would_come_back_as_another_is_refused_before_anything_is_sent(fake, message):
    history = history_of(fake)
    with pytest.raises(InvalidRequestError, match=r"messages\[1\] must be a message of langchain-core"):
        history.add_messages([HumanMessage("good"), message])
    assert history.messages == []


def test_a_value_that_json_cannot_hold_is_refused_by_its_place(fake):
    with pytest.raises(InvalidRequestError, match=r"messages\[0\] must be JSON"):
        history_of(fake).add_messages([ToolMessage("a", tool_call_id="c", artifact=object())])


def test_a_message_that_is_too_large_is_refused_before_anything_is_sent(fake):
    history = history_of(fake)
    with pytest.raises(PayloadTooLargeError, match=r"memories\[1\]"):
        history.add_messages([HumanMessage("a"), HumanMessage("b" * 3_000_000)])
    assert history.messages == []


# ---- which client


def test_a_blocking_client_alone_serves_both_ways(fake):
    history = MemtraceChatMessageHistory(fake.client(), **WHERE)
    run(history.aadd_messages, [HumanMessage("Hello")])
    assert history.messages == run(history.aget_messages) == [HumanMessage("Hello")]
    run(history.aclear)
    assert history.messages == []


def test_an_async_client_alone_serves_awaited_calls(fake):
    history = MemtraceChatMessageHistory(async_client=fake.async_client(), **WHERE)
    run(history.aadd_messages, [HumanMessage("Hello")])
    assert run(history.aget_messages) == [HumanMessage("Hello")]
    with pytest.raises(ConfigurationError, match="MemtraceChatMessageHistory has no blocking client: give it client="):
        _ = history.messages


def test_without_a_client_there_is_no_history():
    with pytest.raises(ConfigurationError, match=r"needs a client: client=Memtrace\(...\)"):
        MemtraceChatMessageHistory(**WHERE)


def test_clients_in_each_others_place_are_refused(fake):
    with pytest.raises(ConfigurationError, match="accepts a Memtrace as client; .*AsyncMemtrace"):
        MemtraceChatMessageHistory(fake.async_client(), **WHERE)
    with pytest.raises(ConfigurationError, match="accepts an AsyncMemtrace as its async client"):
        MemtraceChatMessageHistory(async_client=fake.client(), **WHERE)


def test_ids_and_waits_are_checked_when_a_history_is_made(fake):
    with pytest.raises(InvalidRequestError, match="session_id must be a letter"):
        history_of(fake, session_id="1")
    with pytest.raises(InvalidRequestError, match="wait_timeout"):
        history_of(fake, wait_timeout=-1)


def test_many_histories_share_one_client_at_once(fake):
    async def program():
        client = fake.async_client()
        histories = [
            MemtraceChatMessageHistory(async_client=client, agent_id="assistant", session_id=f"thread_{n}")
            for n in range(20)
        ]
        await asyncio.gather(*(each.aadd_messages([HumanMessage(str(n))]) for n, each in enumerate(histories)))
        return await asyncio.gather(*(each.aget_messages() for each in histories))

    assert run(program) == [[HumanMessage(str(n))] for n in range(20)]


def test_a_client_that_was_closed_serves_no_more(fake):
    client = fake.client()
    history = MemtraceChatMessageHistory(client, **WHERE)
    history.add_user_message("Hello")
    client.close()
    with pytest.raises(ClientClosedError):
        _ = history.messages


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:RunnableWithMessageHistory is deprecated")
def test_a_chain_of_langchain_sees_what_was_said_before(fake):
    model = runnables.RunnableLambda(lambda messages: AIMessage(f"I see {len(messages)}"))
    chain = runnable_history.RunnableWithMessageHistory(
        model, lambda session_id: history_of(fake, session_id=session_id)
    )

    def say(session_id):
        return chain.invoke([HumanMessage("Hello")], config={"configurable": {"session_id": session_id}}).content

    assert [say("one"), say("one"), say("two")] == ["I see 1", "I see 3", "I see 1"]
    assert run(chain.ainvoke, [HumanMessage("Hello")], {"configurable": {"session_id": "one"}}).content == "I see 5"

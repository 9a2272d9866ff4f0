"""The memory store and the session repository for Strands, against that framework and the fake."""

from __future__ import annotations

import asyncio
import json
import runpy

import pytest
from hypothesis import given

from memtrace import AsyncMemtrace, ConfigurationError, ConflictError, InvalidRequestError, Memtrace, MemtraceError
from memtrace.testing import Fault
from tests.examples.programs import EXAMPLES, run_example
from tests.integrations.values import JSON, TEXTS, VISIBILITIES, fake_of, run
from tests.lazily import Lazily

pytestmark = pytest.mark.framework

strands = Lazily("strands")
memory = Lazily("strands.memory")
models = Lazily("strands.models")
sessions = Lazily("strands.session.repository_session_manager")
types = Lazily("strands.types.session")
exceptions = Lazily("strands.types.exceptions")
ours = Lazily("memtrace.integrations.strands")


def scripted(*turns):
    """A model that gives these turns: a text, or the name of a tool with its input. It notes what it was sent."""
    left = list(turns)

    class Scripted(models.Model):
        def __init__(self):
            self.sent = []

        def update_config(self, **config):
            raise NotImplementedError

        def get_config(self):
            return {}

        async def structured_output(self, *args, **kwargs):
            raise NotImplementedError
            yield

        async def stream(self, messages, *args, **kwargs):
            self.sent.append(json.loads(json.dumps(messages)))
            turn = left.pop(0)
            yield {"messageStart": {"role": "assistant"}}
            if isinstance(turn, str):
                yield {"contentBlockStart": {"start": {}}}
                yield {"contentBlockDelta": {"delta": {"text": turn}}}
            else:
                yield {"contentBlockStart": {"start": {"toolUse": {"name": turn[0], "toolUseId": f"use-{len(left)}"}}}}
                yield {"contentBlockDelta": {"delta": {"toolUse": {"input": json.dumps(turn[1])}}}}
            yield {"contentBlockStop": {}}
            yield {"messageStop": {"stopReason": "end_turn" if isinstance(turn, str) else "tool_use"}}

    return Scripted()


def agent_of(model, **settings):
    return strands.Agent(model=model, agent_id="helper", callback_handler=None, **settings)


def texts(messages):
    return [block.get("text") for message in messages for block in message["content"]]


# ---- the memory store


def store_of(fake, **settings):
    return ours.MemtraceMemoryStore(fake.async_client(), **{"agent_id": "assistant", **settings})


def test_a_search_finds_by_relevance(fake):
    async def program():
        store = store_of(fake)
        await store.add("Ines lives in Lisbon")
        await store.add("Ines drinks tea without sugar", {"source": "chat"})
        fake.flush()
        return await store.search("tea or coffee?")

    found = run(program)[0]
    assert found.content == "Ines drinks tea without sugar"
    assert found.metadata["type"] == "episodic"
    assert found.metadata["score"] > 0
    assert found.metadata["time"].endswith("+00:00")
    (memory_, _) = fake.client().memories.list().memories
    assert memory_.metadata == {"source": "chat"}


@pytest.mark.parametrize(
    ("settings", "options", "count"),
    [
        ({}, None, 5),
        ({"max_search_results": 2}, None, 2),
        ({"max_search_results": 2}, {"max_search_results": 3}, 3),
        ({}, {}, 5),
    ],
)
def test_a_search_returns_as_many_as_its_caller_or_the_store_says(fake, settings, options, count):
    async def program():
        store = store_of(fake, **settings)
        for n in range(7):
            await store.add(f"tea number {n}")
        fake.flush()
        return await store.search("tea", options)

    assert len(run(program)) == count


def test_a_blank_query_finds_nothing_and_sends_nothing(fake):
    assert run(store_of(fake).search, " ") == []
    assert not fake.calls


def test_only_the_memories_of_its_agent_are_found_and_none_of_a_sessions_own(fake):
    fake.client().memories.add(agent_id="other", content="tea of another")
    repository = ours.MemtraceSessionRepository(fake.client(), agent_id="assistant")
    repository.create_session(types.Session("s", types.SessionType.AGENT))
    repository.create_message("s", "helper", message(0, "tea in a message"))
    fake.client().memories.add(agent_id="assistant", content="tea of the agent")
    fake.flush()
    assert [entry.content for entry in run(store_of(fake).search, "tea")] == ["tea of the agent"]


def test_the_same_content_is_stored_once_and_a_longer_one_that_begins_alike_too(fake):
    async def program():
        store = store_of(fake, session_id="thread")
        await store.add("a" * 300)
        fake.flush()
        await store.add("a" * 300)
        await store.add("a" * 301)

    run(program)
    fake.flush()
    memories = fake.client().memories.list(order="asc").memories
    assert [len(each.content) for each in memories] == [300, 301]
    assert {each.session_id for each in memories} == {"thread"}


def test_a_conflict_that_is_no_duplicate_is_raised(fake):
    fake.faults.add(Fault("status", on="memories.add", status=409, body=b'{"error":"another conflict"}'))
    with pytest.raises(ConflictError, match="another conflict"):
        run(store_of(fake).add, "tea")


@pytest.mark.parametrize("content", ["", "a" * 5_000_000])
def test_a_content_that_the_server_would_not_take_is_refused_before_it_is_sent(fake, content):
    with pytest.raises(MemtraceError):
        run(store_of(fake).add, content)
    assert not fake.calls


def test_settings_of_a_store_are_checked_when_it_is_made(fake):
    with pytest.raises(ConfigurationError, match="accepts an AsyncMemtrace"):
        ours.MemtraceMemoryStore(fake.client(), agent_id="a")
    with pytest.raises(InvalidRequestError, match="agent_id"):
        store_of(fake, agent_id="4f5b")
    with pytest.raises(InvalidRequestError, match="session_id"):
        store_of(fake, session_id="4f5b")


def test_an_agent_remembers_by_a_tool_and_has_what_matters_in_its_next_prompt(fake):
    model = scripted(("add_memory", {"entries": ["Ines drinks tea"]}), "Noted.", "Tea.")

    def manager():
        return memory.MemoryManager(stores=[store_of(fake)], add_tool_config=True)

    agent_of(model, memory_manager=manager())("I am Ines, I drink tea.")
    fake.flush()
    agent_of(model, memory_manager=manager())("What does Ines drink?")
    assert any("<memory>" in text and "Ines drinks tea" in text for text in texts(model.sent[-1]))


def test_a_store_that_is_down_is_a_failed_tool_call_and_the_run_goes_on(fake):
    fake.faults.add(Fault("refused", times=None))
    model = scripted(("add_memory", {"entries": ["Ines drinks tea"]}), "I could not.")
    manager = memory.MemoryManager(stores=[store_of(fake)], add_tool_config=True)
    result = agent_of(model, memory_manager=manager)("I drink tea.")
    assert str(result).strip() == "I could not."
    (failed,) = [block["toolResult"] for block in model.sent[-1][-1]["content"]]
    assert failed["status"] == "error"


# ---- the session repository


def repository_of(fake, **settings):
    return ours.MemtraceSessionRepository(fake.client(), **{"agent_id": "assistant", **settings})


def session(name="thread"):
    return types.Session(session_id=name, session_type=types.SessionType.AGENT)


def state(name="helper", **values):
    return types.SessionAgent(agent_id=name, state=values, conversation_manager_state={})


def message(number, text="Hello", role="user"):
    return types.SessionMessage.from_message({"role": role, "content": [{"text": text}]}, number)


def test_sessions_states_and_messages_are_read_as_they_were_stored(fake):
    repository = repository_of(fake)
    created, helper, hello = session(), state(mood="good"), message(0)
    assert repository.create_session(created) is created
    repository.create_agent("thread", helper)
    repository.create_message("thread", "helper", hello)
    again = repository_of(fake)
    assert again.read_session("thread") == created
    assert again.read_agent("thread", "helper") == helper
    assert again.read_message("thread", "helper", 0) == hello
    assert again.list_messages("thread", "helper") == [hello]


def test_what_is_not_there_is_none_or_an_empty_list(fake):
    repository = repository_of(fake)
    assert repository.read_session("thread") is None
    assert repository.read_agent("thread", "helper") is None
    assert repository.read_message("thread", "helper", 0) is None
    assert repository.read_multi_agent("thread", "graph") is None
    assert repository.list_messages("thread", "helper") == []


@given(TEXTS.filter(bool), TEXTS, JSON, VISIBILITIES)
def test_any_ids_texts_and_json_values_come_back(session_id, text, value, visibility):
    repository = repository_of(fake_of(visibility))
    repository.create_session(session(session_id))
    repository.create_agent(session_id, state(text, value=value))
    repository.create_message(session_id, text, message(0, text))
    assert repository.read_session(session_id).session_id == session_id
    assert json.dumps(repository.read_agent(session_id, text).state) == json.dumps({"value": value})
    assert texts([each.to_message() for each in repository.list_messages(session_id, text)]) == [text]


def test_agents_whose_names_have_slashes_and_sessions_are_kept_apart(fake):
    repository = repository_of(fake)
    for name, agent, text in [("one", "a", "1"), ("one", "a/0", "2"), ("one/a", "0", "3"), ("two", "a", "4")]:
        repository.create_message(name, agent, message(0, text))
    assert texts([each.to_message() for each in repository.list_messages("one", "a")]) == ["1"]
    assert texts([each.to_message() for each in repository.list_messages("one", "a/0")]) == ["2"]
    assert texts([each.to_message() for each in repository.list_messages("two", "a")]) == ["4"]


def test_messages_are_listed_in_order_page_by_page(fake):
    repository = repository_of(fake)
    for number in (*range(9, 12), *range(9)):
        repository.create_message("thread", "helper", message(number, str(number)))

    def listed(**page):
        return [
            int(each.message["content"][0]["text"]) for each in repository.list_messages("thread", "helper", **page)
        ]

    assert listed() == list(range(12))
    assert listed(limit=2) == [0, 1]
    assert listed(limit=2, offset=10) == [10, 11]
    assert listed(offset=11) == [11]
    assert listed(limit=0) == []


def test_an_update_replaces_the_value_and_keeps_when_it_was_created(fake):
    repository = repository_of(fake)
    first, hello = state(mood="good"), message(0)
    repository.create_agent("thread", first)
    repository.create_message("thread", "helper", hello)
    repository.update_agent("thread", state(mood="bad"))
    repository.update_message("thread", "helper", message(0, "[redacted]"))
    updated = repository.read_agent("thread", "helper")
    assert (updated.state, updated.created_at) == ({"mood": "bad"}, first.created_at)
    redacted = repository.read_message("thread", "helper", 0)
    assert (texts([redacted.to_message()]), redacted.created_at) == (["[redacted]"], hello.created_at)


def test_what_exists_is_not_created_again_and_what_does_not_is_not_updated(fake):
    repository = repository_of(fake)
    repository.create_session(session())
    with pytest.raises(exceptions.SessionException, match="'thread' exists already"):
        repository.create_session(types.Session("thread", types.SessionType.AGENT, created_at="1970-01-01"))
    with pytest.raises(exceptions.SessionException, match="does not exist"):
        repository.update_agent("thread", state())
    with pytest.raises(exceptions.SessionException, match="does not exist"):
        repository.update_message("thread", "helper", message(0))


def test_a_graph_keeps_its_state(fake):
    class Graph:
        id = "graph"
        nodes = 1

        def serialize_state(self):
            return {"nodes": self.nodes}

    repository, graph = repository_of(fake), Graph()
    with pytest.raises(exceptions.SessionException, match="does not exist"):
        repository.update_multi_agent("thread", graph)
    repository.create_multi_agent("thread", graph)
    assert repository.read_multi_agent("thread", "graph") == {"nodes": 1}
    graph.nodes = 2
    repository.update_multi_agent("thread", graph)
    assert repository.read_multi_agent("thread", "graph") == {"nodes": 2}


PARTS = [
    ([{"text": "Hello"}], "Hello"),
    ([{"text": "Look"}, {"image": {"format": "png", "source": {"bytes": b"\x89PNG"}}}], "Look\n[image]"),
    ([{"toolUse": {"toolUseId": "1", "name": "weather", "input": {"city": "Évora"}}}], 'weather({"city": "Évora"})'),
    (
        [{"toolResult": {"toolUseId": "1", "status": "success", "content": [{"text": "rain"}, {"json": {"t": 9}}]}}],
        "rain\n[json]",
    ),
    ([], "Message 0"),
]


@pytest.mark.parametrize(("content", "readable"), PARTS)
def test_people_can_read_a_message_and_it_comes_back_exactly(fake, content, readable):
    repository = repository_of(fake)
    stored = types.SessionMessage.from_message({"role": "assistant", "content": content}, 0)
    repository.create_message("thread", "helper", stored)
    (memory_,) = fake.client().memories.list().memories
    assert (memory_.content, memory_.event_type, memory_.memory_type) == (readable, "assistant_message", "session")
    assert repository.read_message("thread", "helper", 0).message["content"] == content


BAD = [object(), {"a": float("nan")}, "x" * 5_000_000]


@pytest.mark.parametrize("value", BAD)
def test_a_value_that_cannot_be_stored_is_an_error_of_strands_and_nothing_is_stored(fake, value):
    with pytest.raises(exceptions.SessionException) as caught:
        repository_of(fake).create_agent("thread", state(value=value))
    assert isinstance(caught.value.__cause__, MemtraceError)
    assert fake.client().memories.list().memories == []


def test_an_empty_session_id_is_an_error_of_strands(fake):
    with pytest.raises(exceptions.SessionException):
        repository_of(fake).read_session("")


def test_a_store_that_is_down_is_an_error_of_strands_and_a_retry_stores_once(fake):
    repository, hello = repository_of(fake), message(0)
    fake.faults.add(Fault("reset", on="memories.add_many", applied=True), Fault("refused", nth=2, times=None))
    with pytest.raises(exceptions.SessionException):
        repository.create_message("thread", "helper", hello)
    fake.faults.clear()
    fake.flush()
    repository.create_message("thread", "helper", hello)
    fake.flush()
    assert len(fake.client().memories.list().memories) == 1


def interrupted(fake, other, *, times=1):
    """A repository, between whose reading and writing another one does this, so many times."""
    from memtrace.integrations._versions import VersionedFiles

    repository, left = repository_of(fake), [times]
    replace = VersionedFiles.replace

    def replace_later(self, *args, **kwargs):
        if left[0]:
            left[0] -= 1
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(VersionedFiles, "replace", replace)
                other(repository_of(fake))
        return (yield from replace(self, *args, **kwargs))

    return repository, replace_later


def test_of_two_writers_on_one_session_the_second_gets_an_error_and_no_message_is_lost(fake, monkeypatch):
    repository, later = interrupted(fake, lambda other: other.create_message("thread", "helper", message(0, "first")))
    monkeypatch.setattr("memtrace.integrations._versions.VersionedFiles.replace", later)
    with pytest.raises(exceptions.SessionException, match="another program may have written it"):
        repository.create_message("thread", "helper", message(0, "second"))
    assert texts([each.to_message() for each in repository.list_messages("thread", "helper")]) == ["first"]


def test_of_two_updates_at_the_same_moment_the_later_one_counts(fake, monkeypatch):
    repository_of(fake).create_agent("thread", state(mood="good"))
    repository, later = interrupted(fake, lambda other: other.update_agent("thread", state(mood="theirs")))
    monkeypatch.setattr("memtrace.integrations._versions.VersionedFiles.replace", later)
    repository.update_agent("thread", state(mood="ours"))
    assert repository.read_agent("thread", "helper").state == {"mood": "ours"}


def test_an_update_that_never_counts_gives_up(fake, monkeypatch):
    repository_of(fake).create_agent("thread", state(mood="good"))
    repository, later = interrupted(fake, lambda other: other.update_agent("thread", state(mood="theirs")), times=100)
    monkeypatch.setattr("memtrace.integrations._versions.VersionedFiles.replace", later)
    with pytest.raises(exceptions.SessionException, match="changed 10 times"):
        repository.update_agent("thread", state(mood="ours"))


def test_settings_of_a_repository_are_checked_when_it_is_made(fake):
    with pytest.raises(ConfigurationError, match="accepts a Memtrace"):
        ours.MemtraceSessionRepository(fake.async_client(), agent_id="a")
    with pytest.raises(InvalidRequestError, match="agent_id"):
        repository_of(fake, agent_id="4f5b")
    with pytest.raises(InvalidRequestError, match="wait_timeout"):
        repository_of(fake, wait_timeout=-1)


# ---- agents


def weather(city: str) -> str:
    """The weather of a city."""
    return f"rain in {city}"


def test_a_conversation_goes_on_after_a_restart_on_a_file(tmp_path):
    url = f"sqlite:///{tmp_path}/memories.db"

    def ask(question, *turns):
        with Memtrace(url) as client:
            model = scripted(*turns)
            manager = sessions.RepositorySessionManager(
                session_id="user/42", session_repository=ours.MemtraceSessionRepository(client, agent_id="sessions")
            )
            store = ours.MemtraceMemoryStore(AsyncMemtrace(url), agent_id="assistant")
            memories = memory.MemoryManager(stores=[store], add_tool_config=True)
            tools = [strands.tool(weather)]
            agent_of(model, session_manager=manager, memory_manager=memories, tools=tools)(question)
            return model.sent[-1]

    ask("How is Oslo?", ("weather", {"city": "Oslo"}), ("add_memory", {"entries": ["Ines lives in Oslo"]}), "Rain.")
    sent = ask("Where does Ines live?", "In Oslo.")
    assert "How is Oslo?" in texts(sent)
    assert any("toolResult" in block for each in sent for block in each["content"])
    assert "Ines lives in Oslo" in str(sent[-1])


def test_a_cancelled_run_leaves_a_conversation_that_goes_on(fake):
    begun = asyncio.Event()

    class Stuck(type(scripted())):
        async def stream(self, messages, *args, **kwargs):
            begun.set()
            await asyncio.Event().wait()
            yield {}

    def agent(model):
        manager = sessions.RepositorySessionManager("thread", repository_of(fake))
        return agent_of(model, session_manager=manager)

    async def program():
        running = asyncio.create_task(agent(Stuck()).invoke_async("Hello"))
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        model = scripted("Hi.")
        await agent(model).invoke_async("Are you there?")
        return texts(model.sent[-1])

    assert run(program) == ["Hello", "Are you there?"]


EXAMPLE = EXAMPLES / "strands_agent.py"


@pytest.mark.slow
def test_the_example_remembers_over_a_restart(tmp_path):
    def ask(question):
        done = run_example("strands_agent.py", tmp_path, question)
        assert done.stderr == ""
        return done.stdout

    assert ask("I drink tea without sugar.") == "Noted.\n"
    assert "I drink tea without sugar." in ask("Do I drink tea?")


def test_the_example_talks_to_the_provider_where_there_is_a_key(monkeypatch):
    example = runpy.run_path(str(EXAMPLE))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert isinstance(example["model"](), example["Scripted"])
    provider = pytest.importorskip("strands.models.openai")
    monkeypatch.setenv("OPENAI_API_KEY", "a key")
    assert isinstance(example["model"](), provider.OpenAIModel)

"""Resources, their templates and completions, and prompts, by the real client."""

from __future__ import annotations

import json

import pytest

from memtrace_transports.memory import Fault
from tests.lazily import Lazily

pytestmark = pytest.mark.framework

mcp = Lazily("mcp")
types = Lazily("mcp.types")

MEMORIES = "memtrace://agents/{}/memories"
CONTEXT = "memtrace://sessions/{}/context"


def reading(uri):
    async def work(model):
        (contents,) = (await model.read_resource(uri)).contents
        assert contents.uri == uri
        return contents

    return work


def prompting(name, **arguments):
    async def work(model):
        (message,) = (await model.get_prompt(name, arguments)).messages
        assert message.role == "user"
        return message.content.text

    return work


async def refused(asked):
    with pytest.raises(mcp.MCPError) as caught:
        await asked
    return caught.value.code, caught.value.message


class TestOfAllAgents:
    def test_the_agents_are_listed_and_the_others_are_templates(self, ask_all):
        async def work(model):
            return (await model.list_resources()).resources, (await model.list_resource_templates()).resource_templates

        resources, templates = ask_all(work)
        assert [(each.uri, each.title, each.mime_type) for each in resources] == [
            ("memtrace://agents", "Agents", "application/json")
        ]
        assert [(each.uri_template, each.mime_type) for each in templates] == [
            (MEMORIES.format("{id}"), "application/json"),
            (CONTEXT.format("{id}"), "text/markdown"),
        ]

    def test_the_agents(self, ask_all, fake):
        agent = fake.client().agents.register("reviewer")
        read = json.loads(ask_all(reading("memtrace://agents")).text)
        assert (read["count"], [each["id"] for each in read["agents"]]) == (1, [agent.id])

    def test_the_memories_of_an_agent_newest_first(self, ask_all, fake):
        client = fake.client()
        for number in range(60):
            client.remember("a", f"n{number}")
            fake.clock.advance(1)
        read = json.loads(ask_all(reading(MEMORIES.format("a"))).text)
        assert [each["content"] for each in read["memories"]] == [f"n{number}" for number in range(59, 9, -1)]
        assert read["has_more"] is True

    def test_the_context_of_a_session_of_all_times(self, ask_all, fake):
        fake.client().memories.add(agent_id="a", session_id="sess_1", content="User likes tea")
        fake.clock.advance(30 * 86400)
        read = ask_all(reading(CONTEXT.format("sess_1")))
        assert "User likes tea" in read.text
        assert read.mime_type == "text/markdown"

    @pytest.mark.parametrize(
        ("uri", "text"),
        [
            ("memtrace://agents/a", "there is no resource 'memtrace://agents/a'"),
            ("memtrace://agents/a/b/memories", "there is no resource"),
            ("file:///etc/passwd", "there is no resource"),
            (MEMORIES.format("no%20spaces"), "agent_id must be a letter"),
            (CONTEXT.format("1"), "session_id must be a letter"),
        ],
    )
    def test_what_cannot_be_read_is_an_error_of_the_request(self, ask_all, uri, text):
        code, message = ask_all(lambda model: refused(model.read_resource(uri)))
        assert code == -32602
        assert text in message

    def test_a_server_that_fails_is_an_internal_error_without_its_words(self, ask_all, fake):
        fake.faults.add(Fault("status", status=401, times=9))

        async def work(model):
            reference = types.ResourceTemplateReference(uri=MEMORIES.format("{id}"))
            return [
                await refused(asked)
                for asked in (
                    model.read_resource("memtrace://agents"),
                    model.get_prompt("what_do_you_remember", {"agent_id": "a", "topic": "tea"}),
                    model.complete(reference, {"name": "id", "value": ""}),
                )
            ]

        told = "The memory cannot be used now. Go on without it, and do not try again."
        assert ask_all(work) == [(-32603, told)] * 3

    def test_ids_are_completed(self, ask_all, fake):
        client = fake.client()
        agent = client.agents.register("reviewer")
        session = client.sessions.create(agent.id)

        async def work(model):
            async def values(reference, value):
                done = await model.complete(reference, {"name": "id", "value": value})
                return done.completion.values

            agents = types.ResourceTemplateReference(uri=MEMORIES.format("{id}"))
            sessions = types.ResourceTemplateReference(uri=CONTEXT.format("{id}"))
            prompt = types.PromptReference(name="catch_up")
            return [
                await values(agents, "agent_"),
                await values(agents, "x"),
                await values(sessions, "sess"),
                await values(prompt, ""),
            ]

        assert ask_all(work) == [[agent.id], [], [session.id], []]


class TestOfOneAgent:
    def test_only_its_memories_and_its_session_are_listed(self, ask_one):
        async def work(model):
            listed = await model.list_resources(), await model.list_resource_templates()
            return [each.uri for each in listed[0].resources], listed[1].resource_templates

        assert ask_one(work) == ([MEMORIES.format("assistant")], [])
        assert ask_one(work, session_id="sess_1")[0] == [MEMORIES.format("assistant"), CONTEXT.format("sess_1")]

    def test_they_are_read(self, ask_one, fake):
        client = fake.client()
        for session in ("sess_1", "sess_2"):
            client.memories.add(agent_id="assistant", session_id=session, content=f"of {session}")
        everything = ask_one(reading(MEMORIES.format("assistant")), session_id="sess_1").text
        assert json.loads(everything)["count"] == 2
        scoped = ask_one(reading(MEMORIES.format("assistant")), session_id="sess_1", scope="session").text
        assert [each["content"] for each in json.loads(scoped)["memories"]] == ["of sess_1"]
        assert "of sess_1" in ask_one(reading(CONTEXT.format("sess_1")), session_id="sess_1").text

    @pytest.mark.parametrize("uri", ["memtrace://agents", MEMORIES.format("another"), CONTEXT.format("sess_2")])
    def test_those_of_others_are_unknown(self, ask_one, uri):
        async def work(model):
            return await refused(model.read_resource(uri))

        assert ask_one(work, session_id="sess_1") == (-32602, f"there is no resource {uri!r}")

    def test_nothing_is_completed(self, ask_one, fake):
        fake.client().agents.register("another")

        async def work(model):
            reference = types.ResourceTemplateReference(uri=MEMORIES.format("{id}"))
            return (await model.complete(reference, {"name": "id", "value": ""})).completion.values

        assert ask_one(work) == []


class TestPrompts:
    def test_they_are_listed_with_their_arguments(self, ask_all, ask_one):
        async def work(model):
            return [
                (each.name, each.title, [(argument.name, argument.required) for argument in each.arguments])
                for each in (await model.list_prompts()).prompts
            ]

        about, lately = "What do you remember about …?", "What happened lately?"
        assert ask_all(work) == [
            ("what_do_you_remember", about, [("agent_id", True), ("topic", True)]),
            ("catch_up", lately, [("agent_id", True), ("since", False)]),
        ]
        assert ask_one(work) == [
            ("what_do_you_remember", about, [("topic", True)]),
            ("catch_up", lately, [("since", False)]),
        ]

    def test_what_is_relevant_to_a_topic_is_in_it(self, ask_all, ask_one, fake):
        client = fake.client()
        client.remember("assistant", "User drinks tea without sugar")
        client.remember("another", "User drinks tea with milk")
        of_all = ask_all(prompting("what_do_you_remember", agent_id="assistant", topic="tea"))
        of_one = ask_one(prompting("what_do_you_remember", topic="tea"))
        assert of_all == of_one
        assert of_one.startswith("What do you remember about this: tea\n")
        assert "without sugar" in of_one
        assert "with milk" not in of_one

    def test_a_topic_without_memories_says_so(self, ask_one):
        assert "There are no memories about this." in ask_one(prompting("what_do_you_remember", topic="tea"))

    def test_what_happened_lately(self, ask_one, fake):
        client = fake.client()
        client.remember("assistant", "long ago")
        fake.clock.advance(3 * 86400)
        client.remember("assistant", "just now")
        day = ask_one(prompting("catch_up"))
        assert day.startswith("What happened in the last 24h, ")
        assert ("just now" in day, "long ago" in day) == (True, False)
        assert "long ago" in ask_one(prompting("catch_up", since="7d"))

    def test_only_the_session_is_in_it_where_that_is_the_scope(self, ask_one, fake):
        client = fake.client()
        for session in ("sess_1", "sess_2"):
            client.memories.add(agent_id="assistant", session_id=session, content=f"tea of {session}")
        text = ask_one(prompting("what_do_you_remember", topic="tea"), session_id="sess_1", scope="session")
        assert ("tea of sess_1" in text, "tea of sess_2" in text) == (True, False)

    @pytest.mark.parametrize(
        ("name", "arguments", "text"),
        [
            ("what_do_you_remember", {"agent_id": "a"}, "the argument topic is missing"),
            ("what_do_you_remember", {"agent_id": " ", "topic": "tea"}, "the argument agent_id is missing"),
            ("catch_up", {"agent_id": "no spaces"}, "agent_id must be a letter"),
            ("catch_up", {"agent_id": "a", "since": "yesterday"}, "since"),
            ("forget", {}, "there is no prompt 'forget'"),
        ],
    )
    def test_one_that_is_wrong_is_an_error_of_the_request(self, ask_all, name, arguments, text):
        code, message = ask_all(lambda model: refused(model.get_prompt(name, arguments)))
        assert code == -32602
        assert text in message

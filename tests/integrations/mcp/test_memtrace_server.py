"""The tools of Memtrace's own MCP server, by the real client: names, arguments, defaults and results are that server's."""

from __future__ import annotations

import json
import logging

import pytest
from jsonschema import Draft202012Validator

from memtrace import RetryPolicy
from memtrace_transports.memory import Fault
from tests.sampling import sample

pytestmark = pytest.mark.framework

#: Of the server's page about its MCP server: what is required, then the rest.
THEIRS = {
    "memtrace_remember": (
        ["agent_id", "content"],
        ["memory_type", "event_type", "session_id", "tags", "importance", "metadata"],
    ),
    "memtrace_recall": (["agent_id"], ["since", "session_id", "memory_type", "limit"]),
    "memtrace_search": (
        [],
        ["agent_id", "content_contains", "memory_types", "tags", "since", "min_importance", "limit"],
    ),
    "memtrace_decide": (["agent_id", "decision", "reasoning"], []),
    "memtrace_session_create": (["agent_id"], ["metadata"]),
    "memtrace_session_context": (["session_id"], ["since", "include_types", "max_tokens"]),
    "memtrace_agent_register": (["name"], ["description"]),
}
OURS = {"memtrace_search": ["query"], "memtrace_session_context": ["query"]}
READING = ["memtrace_recall", "memtrace_search", "memtrace_session_context"]


def calling(*made):
    """Make these calls, and give the last result. An object of an earlier one fills its ``{name}``s in."""

    async def work(model):
        known = {}
        for name, arguments in made:
            filled = {
                key: known.get(value, value) if isinstance(value, str) else value for key, value in arguments.items()
            }
            result = await model.call_tool(f"memtrace_{name}", filled)
            known |= {f"{{{name}.{key}}}": value for key, value in (result.structured_content or {}).items()}
        return result

    return work


def remembered(*contents, **fields):
    return [("remember", {"agent_id": "assistant", "content": content, **fields}) for content in contents]


def told(result):
    assert not result.is_error, result.content[0].text
    return json.loads(result.content[0].text)


class TestWhatItOffers:
    def test_the_tools_have_the_names_and_arguments_of_the_servers_own(self, ask_all):
        listed = {tool.name: tool for tool in ask_all(lambda model: model.list_tools()).tools}
        assert {
            name: (tool.input_schema["required"], [*tool.input_schema["properties"]]) for name, tool in listed.items()
        } == {
            name: (required, [*required, *others, *OURS.get(name, [])]) for name, (required, others) in THEIRS.items()
        }

    def test_each_has_a_title_schemas_and_hints(self, ask_all):
        listed = ask_all(lambda model: model.list_tools()).tools
        for tool in listed:
            Draft202012Validator.check_schema(tool.input_schema)
            Draft202012Validator.check_schema(tool.output_schema)
            assert tool.title
            assert tool.description
            assert tool.output_schema["type"] == "object"
            assert (tool.annotations.destructive_hint, tool.annotations.open_world_hint) == (False, False)
        assert [tool.name for tool in listed if tool.annotations.read_only_hint] == READING
        assert [tool.name for tool in listed if tool.annotations.idempotent_hint] == ["memtrace_agent_register"]

    def test_read_only_offers_what_reads_and_rejects_the_rest(self, ask_all, fake):
        async def work(model):
            names = [tool.name for tool in (await model.list_tools()).tools]
            return names, await model.call_tool("memtrace_decide", {"agent_id": "a", "decision": "b", "reasoning": "c"})

        names, refused = ask_all(work, read_only=True)
        assert names == READING
        assert refused.is_error
        assert "there is no tool 'memtrace_decide'" in refused.content[0].text
        assert fake.client().memories.list().count == 0

    def test_it_says_that_each_call_names_the_agent(self, ask_all):
        async def work(model):
            return model.server_info.title, model.instructions

        title, instructions = ask_all(work)
        assert title == "Memtrace: memory for agents"
        assert "agent_id in each call" in instructions


class TestWhatTheyDo:
    def test_a_memory_is_stored_with_every_field_and_returned_as_the_servers_json(self, ask_all, fake):
        fields = {
            "memory_type": "entity",
            "event_type": "seen",
            "session_id": "sess_1",
            "tags": ["a", "b"],
            "importance": 0.5,
            "metadata": {"n": 1, "deep": {"x": [None, True]}},
        }
        result = ask_all(calling(*remembered("User likes tea", **fields)))
        (row,) = fake.client().memories.list().memories
        assert (row.agent_id, row.content) == ("assistant", "User likes tea")
        assert {name: getattr(row, name) for name in fields} == fields
        assert told(result) == result.structured_content
        assert result.content[0].text.startswith('{\n  "time": "')
        stored = result.structured_content
        assert (stored["content"], stored["dedup_key"]) == ("User likes tea", row.dedup_key)
        assert stored["time"].removesuffix("Z") in row.time.isoformat()

    def test_what_is_left_out_empty_or_zero_has_the_servers_default(self, ask_all, fake):
        ask_all(calling(*remembered("x", event_type="", session_id="", importance=0, tags=None)))
        (row,) = fake.client().memories.list().memories
        assert (row.memory_type, row.event_type, row.session_id, row.importance, row.tags) == (
            "episodic",
            "general",
            None,
            None,
            None,
        )

    def test_recall_reads_the_newest_50_of_24_hours_newest_first(self, ask_all, fake):
        client = fake.client(dedup="per_call")
        client.remember("assistant", "old")
        fake.clock.advance(25 * 3600)
        for number in range(60):
            client.remember("assistant", str(number))
            fake.clock.advance(1)
        client.remember("another", "not mine")
        found = told(ask_all(calling(("recall", {"agent_id": "assistant"}))))
        assert [memory["content"] for memory in found["memories"]] == [str(number) for number in range(59, 9, -1)]
        assert (found["count"], found["has_more"]) == (50, True)
        assert told(ask_all(calling(("recall", {"agent_id": "assistant", "limit": 0, "since": ""}))))["count"] == 50
        assert told(ask_all(calling(("recall", {"agent_id": "assistant", "limit": 3, "since": "2d"}))))["count"] == 3

    def test_recall_filters_by_session_and_kind(self, ask_all, fake):
        client = fake.client()
        for session, kind in [("sess_1", "episodic"), ("sess_1", "entity"), ("sess_2", "entity")]:
            client.memories.add(agent_id="a", session_id=session, memory_type=kind, content=f"{kind} of {session}")
        asked = {"agent_id": "a", "session_id": "sess_1", "memory_type": "entity"}
        (found,) = told(ask_all(calling(("recall", asked))))["memories"]
        assert found["content"] == "entity of sess_1"

    def test_search_with_a_query_ranks_by_relevance(self, ask_all):
        stored = remembered("User moved to Lisbon", "User drinks tea without sugar", "User has a bicycle")
        found = told(ask_all(calling(*stored, ("search", {"query": "does the user drink tea?", "limit": 2}))))
        assert found["results"][0]["content"] == "User drinks tea without sugar"
        assert found["results"][0]["dedup_key"]
        assert found["count"] == len(found["results"])

    def test_search_without_a_query_filters(self, ask_all):
        stored = [
            *remembered("Tea at noon", tags=["taste"], importance=0.9),
            *remembered("Tea at night", tags=["taste"], importance=0.1),
            *remembered("Cake at noon"),
        ]
        asked = {"agent_id": "assistant", "content_contains": "Tea", "tags": ["taste"], "min_importance": 0.5}
        found = told(ask_all(calling(*stored, ("search", asked))))
        assert ([row["content"] for row in found["results"]], found["count"]) == (["Tea at noon"], 1)
        assert "query_time_ms" in found

    def test_a_decision_has_its_reasoning(self, ask_all, fake):
        told(ask_all(calling(("decide", {"agent_id": "a", "decision": "Serve tea", "reasoning": "they like it"}))))
        (row,) = fake.client().memories.list().memories
        assert (row.memory_type, row.content, row.metadata) == ("decision", "Serve tea", {"reasoning": "they like it"})

    @pytest.mark.parametrize("named", ["{agent_register.id}", "{agent_register.name}"])
    def test_a_session_belongs_to_a_registered_agent_by_its_id_or_name(self, ask_all, fake, named):
        made = told(
            ask_all(
                calling(
                    ("agent_register", {"name": "reviewer", "description": "Reviews"}),
                    ("agent_register", {"name": "another"}),
                    ("agent_register", {"name": "reviewer"}),
                    ("session_create", {"agent_id": named, "metadata": {"goal": "review"}}),
                )
            )
        )
        (agent,) = [agent for agent in fake.client().agents.list() if agent.name == "reviewer"]
        assert agent.description == "Reviews"
        assert (made["agent_id"], made["metadata"], made["status"]) == (agent.id, {"goal": "review"}, "active")

    @pytest.mark.parametrize("name", ["first", "second"])
    def test_a_session_of_any_agent_can_be_created_by_its_name(self, ask_all, fake, name):
        registered = [("agent_register", {"name": each}) for each in ("first", "second")]
        made = told(ask_all(calling(*registered, ("session_create", {"agent_id": name}))))
        (agent,) = [agent for agent in fake.client().agents.list() if agent.name == name]
        assert made["agent_id"] == agent.id

    def test_registering_an_agent_again_returns_it(self, ask_all):
        again = ask_all(calling(("agent_register", {"name": "a"}), ("agent_register", {"name": "a"})))
        first = ask_all(calling(("agent_register", {"name": "a"})))
        assert told(again)["id"] == told(first)["id"]

    def test_a_context_is_the_servers_markdown_of_all_times(self, ask_all, fake):
        fake.client().memories.add(agent_id="a", session_id="sess_1", content="long ago")
        fake.clock.advance(48 * 3600)
        result = ask_all(calling(("session_context", {"session_id": "sess_1"})))
        assert result.content[0].text.startswith("## Session Context (sess_1)\n")
        assert result.structured_content["context"] == result.content[0].text
        assert result.structured_content["memory_count"] == 1
        recent = ask_all(calling(("session_context", {"session_id": "sess_1", "since": "24h"})))
        assert recent.structured_content["memory_count"] == 0

    def test_a_context_with_a_budget_or_a_query_has_whole_memories(self, ask_all, fake):
        client = fake.client()
        for content in ["User drinks tea " + "very often " * 20, "User has a bicycle"]:
            client.memories.add(agent_id="a", session_id="sess_1", content=content)
        budget = ask_all(calling(("session_context", {"session_id": "sess_1", "max_tokens": 500})))
        assert "very often " * 20 in budget.content[0].text + " "
        assert budget.structured_content["memory_count"] == 2
        about = ask_all(calling(("session_context", {"session_id": "sess_1", "query": "bicycle", "max_tokens": 100})))
        assert "bicycle" in about.content[0].text
        assert "tea" not in about.content[0].text
        kinds = {"session_id": "sess_1", "max_tokens": 500, "include_types": ["decision"], "since": "1h"}
        assert ask_all(calling(("session_context", kinds))).structured_content["memory_count"] == 0


WRONG = [
    (("recall", {}), "agent_id"),
    (("recall", {"agent_id": "no spaces"}), "agent_id must be a letter"),
    (("recall", {"agent_id": "a", "limit": 1001}), "limit must be at most 1000"),
    (("recall", {"agent_id": "a", "limit": "many"}), "limit must be"),
    (("recall", {"agent_id": "a", "since": "yesterday"}), "since must be"),
    (("recall", {"agent_id": "a", "sinse": "1h"}), "there is no argument 'sinse'. Did you mean 'since'?"),
    (("remember", {"agent_id": "a", "content": ""}), "content"),
    (("remember", {"agent_id": "a", "content": "x", "importance": 2}), "importance must be at most 1"),
    (("remember", {"agent_id": "a", "content": "x", "memory_type": "fact"}), "memory_type must be"),
    (("remember", {"agent_id": "a", "content": "x", "tags": ["no spaces"]}), "tags"),
    (("remember", {"agent_id": "a", "content": "x" * 5_000_000}), "too long"),
    (("search", {"query": "tea", "content_contains": "t"}), "leave out content_contains"),
    (("search", {"memory_types": [1]}), "memory_types"),
    (("decide", {"agent_id": "a", "decision": "", "reasoning": "r"}), "decision"),
    (("session_create", {"agent_id": "agent_" + "0" * 24}), "call memtrace_agent_register first"),
    (("session_create", {"agent_id": "nobody"}), "call memtrace_agent_register first"),
    (("session_context", {"session_id": "s/../t"}), "session_id"),
    (("session_context", {"session_id": "s", "since": "2026-01-31"}), "since"),
    (("agent_register", {"name": ""}), "name"),
    (("forget", {}), "there is no tool 'memtrace_forget'"),
]


class TestWhatGoesWrong:
    @pytest.mark.parametrize(("made", "text"), sample(WRONG, 8))
    def test_a_call_that_is_wrong_is_a_result_that_says_what_to_correct(self, ask_all, fake, made, text):
        result = ask_all(calling(made))
        assert result.is_error
        assert text in result.content[0].text
        assert result.structured_content is None
        assert fake.client().memories.list().count == 0

    def test_a_duplicate_fails_as_it_does_on_the_server_and_is_no_warning(self, ask_all, fake, caplog):
        with caplog.at_level(logging.WARNING, "memtrace"):
            result = ask_all(calling(*remembered("x", "x")))
        assert result.is_error
        assert result.content[0].text.startswith("Not stored: the same was stored within the last 24 hours")
        assert fake.client().memories.list().count == 1
        assert [record for record in caplog.records if record.name == "memtrace"] == []

    def test_another_refusal_of_a_session_is_not_taken_for_an_unknown_agent(self, ask_all, fake):
        fake.faults.add(Fault("status", status=400, body=b'{"error": "odd"}'))
        result = ask_all(calling(("session_create", {"agent_id": "agent_" + "0" * 24})))
        assert result.is_error
        assert "register" not in result.content[0].text

    def test_a_server_that_fails_is_a_result_without_secrets(self, ask_all, fake, caplog):
        fake.faults.add(Fault("status", status=401))
        with caplog.at_level(logging.WARNING, "memtrace"):
            result = ask_all(calling(*remembered("planted content")))
        assert result.is_error
        assert "cannot be used now" in result.content[0].text
        assert "planted" not in caplog.text

    def test_a_write_whose_outcome_is_unknown_says_so(self, ask_all, fake):
        fake.faults.add(Fault("reset", applied=True, times=9))
        once = fake.async_client(retry=RetryPolicy(max_attempts=1))
        assert "not known whether this was stored" in ask_all(calling(*remembered("x")), client=once).content[0].text

    def test_nul_and_odd_characters_come_back_as_they_were(self, ask_all):
        odd = "a\0b \N{RIGHT-TO-LEFT OVERRIDE} \u2028 \N{SLIGHTLY SMILING FACE}"
        assert told(ask_all(calling(*remembered(odd))))["content"] == odd


def test_a_single_string_is_taken_for_a_list(ask_all):
    stored = told(ask_all(calling(("remember", {"agent_id": "assistant", "content": "tea", "tags": "taste"}))))
    assert stored["tags"] == ["taste"]
    for arguments in ({"tags": "taste"}, {"memory_types": "episodic"}):
        found = told(ask_all(calling(("search", {"agent_id": "assistant", **arguments}))))
        assert [row["content"] for row in found["results"]] == ["tea"]

"""What a model's calls do, and what it is told."""

import json
import re
from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtrace import (
    AuthenticationError,
    ConfigurationError,
    ConflictError,
    InvalidRequestError,
    Memtrace,
    NoArcInstanceError,
    RetryPolicy,
)
from memtrace.integrations.tools import TOOLS, MemoryTools, ToolResult
from memtrace.operations._time_bounds import WRITTEN_TIME_RULE
from memtrace_transports import FakeMemtrace
from memtrace_transports.memory import Fault
from tests.dealing import by_face

ONCE = RetryPolicy(max_attempts=1)


def shown(result):
    assert not result.is_error, result.text
    return json.loads(result.text)


def shown_time(moment):
    return moment.isoformat().replace("+00:00", "Z")


# ---- what is done


def test_remember_stores_an_episode_of_the_bound_agent_and_session(made, fake):
    tools = made(session_id="sess_1")
    result = tools.call("remember", {"content": "User likes tea", "tags": ["taste"], "importance": 0.5})
    assert result == ToolResult("Stored.")
    (row,) = fake.client().memories.list().memories
    assert (row.agent_id, row.session_id, row.memory_type, row.event_type) == (
        "assistant",
        "sess_1",
        "episodic",
        "general",
    )
    assert (row.content, row.tags, row.importance) == ("User likes tea", ["taste"], 0.5)


@by_face(
    ("given", "kept"),
    [
        ("2020-02-03T04:05:06Z", "2020-02-03T04:05:06Z"),
        ("2020-02-03T04:05:06+01:00", "2020-02-03T03:05:06Z"),
        ("2h", "2025-12-31T22:00:00Z"),
        ("", None),
        (None, None),
    ],
)
def test_remember_keeps_when_it_happened_and_a_word_for_it(made, fake, given, kept):
    made().call("remember", {"content": "User moved", "occurred_at": given, "event_type": "move"})
    made().call("remember", {"content": "User likes tea", "event_type": None})
    newest, moved = fake.client().memories.list()
    assert (moved.event_type, (moved.metadata or {}).get("occurred_at")) == ("move", kept)
    assert newest.event_type == "general"


def test_decide_keeps_tags_and_importance(made, fake):
    made().call("decide", {"decision": "Serve tea", "reasoning": "asked for", "tags": ["taste"], "importance": 0.5})
    (row,) = fake.client().memories.list()
    assert (row.tags, row.importance, row.metadata) == (["taste"], 0.5, {"reasoning": "asked for"})


def test_a_single_string_is_taken_for_a_list_of_tags(made, fake):
    for tool, arguments in [
        ("remember", {"content": "tea"}),
        ("decide", {"decision": "tea", "reasoning": "asked for"}),
    ]:
        made().call(tool, {**arguments, "tags": "taste"})
    assert [row.tags for row in fake.client().memories.list()] == [["taste"]] * 2


def test_recall_takes_the_filters_of_the_client(made, fake):
    client = fake.client()
    for number, (kind, tag) in enumerate([("episodic", "user.1"), ("decision", "user.1"), ("entity", "user.12")]):
        client.memories.add(agent_id="assistant", content=f"number {number}", memory_type=kind, tags=[tag])
        fake.clock.advance(3600)

    def recalled(**arguments):
        return [memory["content"] for memory in shown(made().call("recall", arguments))["memories"]]

    assert recalled(until="90m") == ["number 1", "number 0"]
    assert recalled(since="150m", until="2026-01-01T01:30:00Z") == ["number 1"]
    assert recalled(tags=["user.1"]) == ["number 1", "number 0"]
    assert recalled(memory_types=["decision", "entity"]) == ["number 2", "number 1"]
    assert recalled(memory_types=[], query="") == ["number 2", "number 1", "number 0"]
    assert recalled(query="number 0", limit=1) == ["number 0"]
    assert recalled(query="number", tags=["user.1"], memory_types=["episodic"], since="1d", until="1h") == ["number 0"]


def test_decide_stores_a_decision_with_its_reasoning_and_recall_shows_both(made, fake):
    tools = made(session_id="sess_1")
    assert tools.call("decide", {"decision": "Serve tea", "reasoning": "the user likes it"}) == ToolResult("Stored.")
    (row,) = fake.client().memories.list().memories
    assert (row.session_id, row.memory_type, row.metadata) == (
        "sess_1",
        "decision",
        {"reasoning": "the user likes it"},
    )
    (told,) = shown(tools.call("recall", None))["memories"]
    assert told == {
        "time": row.time.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "type": "decision",
        "content": "Serve tea",
        "reasoning": "the user likes it",
    }


def test_recall_gives_the_newest_first_and_says_whether_there_are_more(made, fake):
    client = fake.client()
    for number in range(25):
        client.remember("assistant", f"number {number}")
        fake.clock.advance(60)
    tools = made()
    told = shown(tools.call("recall", "{}"))
    assert [memory["content"] for memory in told["memories"]] == [f"number {n}" for n in range(24, 4, -1)]
    assert told["more"] is True
    told = shown(tools.call("recall", {"limit": 25}))
    assert (len(told["memories"]), told["more"]) == (25, False)
    assert len(shown(tools.call("recall", {"since": "3m"}))["memories"]) == 2
    assert shown(tools.call("recall", {"since": None, "limit": None})) == shown(tools.call("recall", ""))


def test_search_finds_by_every_argument(made, fake):
    client = fake.client()
    client.memories.add(agent_id="assistant", content="User likes tea", tags=["taste"], importance=0.9)
    client.memories.add(agent_id="assistant", content="User likes coffee", tags=["taste"], importance=0.1)
    client.decide("assistant", "Serve tea", "the user likes it")
    client.remember("another", "User likes tea, too")
    tools = made()

    def found(**arguments):
        return {memory["content"] for memory in shown(tools.call("search", arguments))["memories"]}

    assert found(tags=["taste"]) == {"User likes tea", "User likes coffee"}
    assert found(memory_types=["decision"]) == {"Serve tea"}
    assert found(min_importance=0.5) == {"User likes tea"}
    assert found(since="1h", limit=1) == {"Serve tea"}
    assert found(query="") == found()
    assert found() == {"User likes tea", "User likes coffee", "Serve tea"}
    assert shown(tools.call("search", {"limit": 3}))["more"] is False
    assert shown(tools.call("search", {"limit": 2}))["more"] is True


def test_search_with_a_query_gives_the_most_relevant_first(made, fake):
    client = fake.client()
    for content in ("User moved to Lisbon", "User likes TEA", "User reads at night"):
        client.memories.add(agent_id="assistant", content=content, tags=["fact"], importance=0.5)
        fake.clock.advance(3600)
    client.remember("another", "User likes tea, too")
    tools = made()

    def found(**arguments):
        return [memory["content"] for memory in shown(tools.call("search", arguments))["memories"]]

    assert found(query="does the user like tea?")[0] == "User likes TEA"
    assert "User likes tea, too" not in found(query="tea")
    assert found(query="tea", tags=["other"]) == found(query="tea", memory_types=["decision"]) == []
    assert found(query="tea", min_importance=0.6) == found(query="tea", since="1h") == []
    assert found(query="tea", tags=["fact"], memory_types=["episodic"], min_importance=0.5, since="7d") == [
        "User likes TEA"
    ]
    assert shown(tools.call("search", {"query": "user", "limit": 3}))["more"] is False
    assert shown(tools.call("search", {"query": "user", "limit": 2}))["more"] is True


def test_a_memory_is_shown_with_when_it_occurred(made, fake):
    fake.client().memories.add(
        agent_id="assistant", content="User moved", occurred_at=datetime(2020, 2, 3, 4, 5, tzinfo=timezone.utc)
    )
    for call in (("recall", {}), ("search", {"query": "moved"})):
        assert [memory["time"] for memory in shown(made().call(*call))["memories"]] == ["2020-02-03T04:05:00Z"]


def test_a_memory_is_shown_with_what_it_has_and_without_the_applications_metadata(made, fake):
    fake.client().memories.add(
        agent_id="assistant",
        content="User opened the settings",
        event_type="observation",
        tags=["ui"],
        importance=0.25,
        metadata={"trace": "abc", "reasoning": "none"},
    )
    (told,) = shown(made().call("recall", {}))["memories"]
    told.pop("time")
    assert told == {
        "type": "episodic",
        "event": "observation",
        "content": "User opened the settings",
        "tags": ["ui"],
        "importance": 0.25,
    }


def test_reading_is_of_the_agent_or_of_the_session_alone(made, fake):
    client = fake.client()
    for session in ("sess_1", "sess_2"):
        client.memories.add(agent_id="assistant", session_id=session, content=f"of {session}")
    for tool, arguments in (
        ("recall", {}),
        ("search", {}),
        ("search", {"query": "of"}),
        ("search", {"query": "sess_1"}),
    ):
        for_agent = shown(made(session_id="sess_1").call(tool, arguments))["memories"]
        of_session = shown(made(session_id="sess_1", scope="session").call(tool, arguments))["memories"]
        assert len(for_agent) == 2
        assert [memory["content"] for memory in of_session] == ["of sess_1"]


def test_a_prefix_is_part_of_the_name_that_is_called(made):
    tools = made(prefix="memory_")
    assert tools.call("memory_remember", {"content": "x"}) == ToolResult("Stored.")
    assert tools.call("remember", {"content": "x"}).is_error


# ---- the bound of an answer


def test_an_answer_holds_as_many_memories_as_its_bound_lets_in(made, fake):
    client = fake.client()
    for number in range(50):
        client.remember("assistant", f"{number} " + "word " * 20)
        fake.clock.advance(1)
    result = made(max_chars=1000).call("recall", {"limit": 50})
    told = shown(result)
    assert len(result.text) <= 1000
    assert 3 <= len(told["memories"]) < 50
    assert told["more"] is True
    assert told["memories"][0]["content"].startswith("49 ")


def test_one_memory_that_is_too_long_is_cut_and_says_so(made, fake):
    content = 'é"\n' * 5000
    fake.client().memories.add(agent_id="assistant", content=content, tags=["t"])
    result = made(max_chars=1000).call("recall", {})
    (told,) = shown(result)["memories"]
    assert told["content_cut"] is True
    assert content.startswith(told["content"])
    assert len(result.text) < 980 <= len(json.dumps(result.structured_content, ensure_ascii=False)) <= 1000


def test_a_result_has_what_identifies_each_memory_as_a_json_object(made, fake):
    tools = made()
    stored = tools.call("remember", {"content": "User likes tea"})
    later = tools.call("remember", {"content": "User likes cake", "occurred_at": "2026-01-31T12:00:00Z"})
    rows = {row.content: row for row in fake.client().memories.list().memories}
    tea = {"time": shown_time(rows["User likes tea"].time), "dedup_key": rows["User likes tea"].dedup_key}
    assert stored.structured_content == {"stored": True, **tea}
    assert (stored.stored.time, stored.stored.dedup_key) == (rows["User likes tea"].time, tea["dedup_key"])
    assert later.structured_content["occurred_at"] == "2026-01-31T12:00:00Z"
    read = tools.call("recall", {}).structured_content
    assert read["more"] is False
    assert {"type": "episodic", "content": "User likes tea", **tea} in read["memories"]
    assert tools.call("recall", {"limit": 0}).structured_content is None


@settings(deadline=None)  # the first example imports what it needs
@given(contents=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=600), max_size=8))
def test_no_answer_is_over_its_bound_and_what_it_shows_is_what_is_stored(contents):
    fake = FakeMemtrace()
    client = fake.client(dedup="per_call")
    for content in contents:
        client.remember("assistant", content)
    result = MemoryTools(client, agent_id="assistant", max_chars=1000).call("recall", {})
    told = shown(result)
    assert len(result.text) <= len(json.dumps(result.structured_content, ensure_ascii=False)) <= 1000
    stored = [memory.content for memory in client.recall("assistant").memories]
    for memory, content in zip(told["memories"], stored, strict=False):
        assert content.startswith(memory["content"]) if "content_cut" in memory else content == memory["content"]
    assert told["more"] == (len(told["memories"]) < len(stored))
    assert bool(told["memories"]) == bool(stored)


# ---- what goes wrong


@by_face(
    ("name", "arguments", "told"),
    [
        ("forget", {}, "there is no tool 'forget'. There are: remember, recall, search, decide"),
        ("Recal", {}, "there is no tool 'Recal'. Did you mean 'recall'? There are: remember, recall, search, decide"),
        ("remember", {}, "content must be given"),
        ("remember", {"content": ""}, "content must be a string that is not empty: it is required"),
        ("remember", {"content": 5}, "content must be a string, not int"),
        ("remember", {"content": "x", "tags": ["ok", "not ok"]}, "tags[1] must be letters, digits, underscores, hyphens or dots, at most 64 characters: the server accepts nothing else"),
        ("remember", {"content": "x", "tags": ["ok", 5]}, "tags[1] must be a string, not int"),
        ("remember", {"content": "x", "importance": 2}, "importance must be at most 1"),
        ("remember", {"content": "x", "importance": float("nan")}, "importance must be a finite number"),
        ("remember", {"contents": "x"}, "arguments: there is no argument 'contents'. Did you mean 'content'?"),
        ("remember", {"content": "x", "agent_id": "other"}, "arguments: there is no argument 'agent_id'. There are: content, tags, importance, event_type, occurred_at. Correct"),
        ("remember", '{"content": "x"', "arguments: they are not valid JSON"),
        ("remember", "[" * 100_000, "arguments: they are not valid JSON"),
        ("remember", '["x"]', "arguments: they are something else"),
        ("recall", {"limit": 0}, "limit must be at least 1"),
        ("recall", {"limit": 101}, "limit must be at most 100"),
        ("recall", {"since": "yesterday"}, f"since must be {WRITTEN_TIME_RULE}"),
        ("search", {"until": "now", "query": "x"}, f"until must be {WRITTEN_TIME_RULE}"),
        ("remember", {"content": "x", "occurred_at": "yesterday"}, f"occurred_at must be {WRITTEN_TIME_RULE}"),
        ("remember", {"content": "x", "event_type": "no space"}, "event_type must be a letter"),
        ("search", {"memory_types": ["wishes"]}, "memory_types[0] must be 'episodic', 'session', 'decision' or 'entity'"),
        ("search", {"query": " "}, "query must be a string that is not blank: it says what to look for"),
        ("search", {"tags": ["\ud800"]}, "tags[0] must be letters, digits"),
        ("decide", {"decision": "", "reasoning": "x"}, "decision must be a string that is not empty: it is required"),
        ("decide", {"decision": "x"}, "reasoning must be given"),
    ],
)  # fmt: skip
def test_a_call_that_is_wrong_is_told_with_what_to_correct(made, fake, name, arguments, told):
    result = made().call(name, arguments)
    assert result.is_error
    assert isinstance(result.error, InvalidRequestError)
    assert result.text.startswith(f"Not done: {told}")
    assert result.text.endswith(". Correct it and call again.")
    assert re.search(r"[.?!…:;][.;]", result.text) is None
    assert fake.client().memories.list().count == 0


@by_face("call", [("x" * 100_000, {}), ("remember", {"x" * 100_000: 1})])
def test_a_name_that_a_model_made_up_is_told_in_short(made, call):
    result = made().call(*call)
    assert result.is_error
    assert len(result.text) < 300
    assert len(str(result.error)) < 300


def test_a_tool_that_is_not_offered_is_not_done(made, fake):
    result = made(tools=["recall", "search"]).call("remember", {"content": "x"})
    assert result.text == "Not done: there is no tool 'remember'. There are: recall, search. Correct it and call again."
    assert fake.client().memories.list().count == 0


def test_a_duplicate_is_no_failure_and_says_what_to_do(made):
    tools = made()
    tools.call("remember", {"content": "User likes tea"})
    result = tools.call("remember", {"content": "User likes tea"})
    assert (result.is_error, type(result.error)) == (False, ConflictError)
    assert result.text.startswith("Not stored: the same was stored within the last 24 hours")


def test_what_is_too_long_for_the_server_is_told(made):
    result = made().call("remember", {"content": "x" * (4 * 1024 * 1024)})
    assert (result.is_error, result.text) == (True, "Not done: this is too long. Shorten it and call again.")


@by_face(
    ("fault", "text"),
    [
        (Fault("reset"), "The memory did not answer."),
        (Fault("status", status=503), "The memory did not answer."),
        (Fault("status", status=401), "The memory cannot be used now."),
    ],
    ids=["no answer", "busy", "refused"],
)
def test_of_a_server_that_fails_a_model_learns_only_what_to_do(face, fake, made, fault, text):
    fake.faults.add(fault)
    result = made(face.of(fake, retry=ONCE)).call("recall", {})
    assert result.is_error
    assert result.text.startswith(text)
    assert result.error is not None
    assert not any(word in result.text for word in ("http", "key", "MEMTRACE", "api", "401", "503"))


def test_a_write_whose_outcome_is_unknown_is_told_as_that(face, fake, made):
    fake.faults.add(Fault("reset", on="memories.add", applied=True))
    result = made(face.of(fake, retry=ONCE)).call("remember", {"content": "User likes tea"})
    assert (result.is_error, result.error.maybe_applied) == (True, True)
    assert result.text.startswith("It is not known whether this was stored.")


def test_what_the_application_has_to_mend_is_in_the_error(made, fake, face):
    client = face.client("memory://", "k")
    client.close()
    result = made(client).call("recall", {})
    assert result.text.startswith("The memory cannot be used now.")
    assert result.error.code == "client_closed"
    fake.organisation("empty", api_key="mtk_empty", storage="none")
    result = made(face.of(fake, "empty")).call("recall", {})
    assert isinstance(result.error, NoArcInstanceError)
    result = made(face.of(fake).with_options(api_key="wrong")).call("recall", {})
    assert isinstance(result.error, AuthenticationError)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KNOWN = st.sampled_from(["content", "occurred_at", "event_type", "until", "tags", "importance", "since", "limit", "query", "memory_types", "decision", "reasoning"])  # fmt: skip


@settings(deadline=None)  # the first example imports what it needs
@given(
    name=st.sampled_from([*TOOLS, "other"]),
    arguments=JSON.map(json.dumps) | st.text(max_size=30) | st.dictionaries(KNOWN | st.text(max_size=5), JSON, max_size=4),
)  # fmt: skip
def test_whatever_a_model_writes_it_gets_a_text_back(name, arguments):
    with Memtrace("memory://", "k") as client:
        result = MemoryTools(client, agent_id="assistant").call(name, arguments)
    assert isinstance(result.text, str)
    assert result.text
    assert result.is_error == (result.error is not None)


def test_an_error_of_the_application_comes_out(fake):
    class Broken:
        memories = None

    with pytest.raises(AttributeError):
        MemoryTools(Broken(), agent_id="assistant").call("recall", {})


# ---- what the application says


@by_face(
    ("settings", "kind", "told"),
    [
        ({"agent_id": ""}, InvalidRequestError, "agent_id must be a string that is not empty"),
        ({"agent_id": "no spaces"}, InvalidRequestError, "agent_id must be a letter"),
        ({"session_id": "no spaces"}, InvalidRequestError, "session_id must be a letter"),
        ({"scope": "session"}, ConfigurationError, "scope='session' needs a session_id"),
        ({"scope": "all"}, ConfigurationError, "scope must be one of agent, session"),
        ({"max_chars": 999}, ConfigurationError, "max_chars must be a whole number, 1000 or more"),
        ({"max_chars": True}, ConfigurationError, "max_chars must be"),
        ({"tools": ["forget"]}, ConfigurationError, "there is no tool 'forget'"),
    ],
)
def test_what_cannot_be_is_refused_when_the_tools_are_made(made, settings, kind, told):
    with pytest.raises(kind, match=told):
        made(**settings)


def test_a_result_is_a_message_in_each_providers_form():
    result = ToolResult("the text", is_error=True)
    assert result.message("openai", "call_1") == {"role": "tool", "tool_call_id": "call_1", "content": "the text"}
    assert result.message("openai-responses", "call_1") == {
        "type": "function_call_output",
        "call_id": "call_1",
        "output": "the text",
    }
    assert result.message("anthropic", "toolu_1") == {
        "type": "tool_result",
        "tool_use_id": "toolu_1",
        "content": "the text",
        "is_error": True,
    }
    with pytest.raises(ConfigurationError, match="format must be one of"):
        result.message("gemini", "call_1")

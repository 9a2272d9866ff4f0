"""What a new user types out of habit works, or its error says what does: keywords, short forms, words of other libraries."""

from __future__ import annotations

import copy
import functools
import inspect
import json
import pickle
import re
import traceback
import uuid
from collections.abc import Mapping, Sized
from datetime import datetime, timezone
from unittest.mock import create_autospec

import pytest

from memtrace import (
    ActiveSession,
    AddMemoryRequest,
    Agent,
    AsyncMemtrace,
    AsyncWriteBuffer,
    ConflictError,
    InvalidRequestError,
    ListOptions,
    Memory,
    Memtrace,
    RegisterAgentRequest,
    SearchQuery,
    WriteBuffer,
    operations,
)
from memtrace._support import peer_names as peers
from memtrace.resources import Agents, AsyncAgents, AsyncMemories, AsyncSessions, Memories, Sessions, request_params
from memtrace.resources._signatures import _MODELS
from memtrace.testing import FakeMemtrace, Fault, ManualClock
from tests.dealing import by_face

DETAILS = {
    "tags": ["ui", "a.b"],
    "importance": 0.8,
    "metadata": {"screen": "home"},
    "occurred_at": datetime(2026, 1, 31, tzinfo=timezone.utc),
    "dedup_key": "key-1",
}
STORED = {
    "tags": ["ui", "a.b"],
    "importance": 0.8,
    "metadata": {"screen": "home", "occurred_at": "2026-01-31T00:00:00Z"},
    "dedup_key": "key-1",
}


@pytest.fixture
def fake():
    return FakeMemtrace()


@pytest.fixture
def client(face, fake):
    return face.of(fake)


def sent(fake):
    return json.loads(fake.calls[-1].body)


# ---- keywords


@by_face("place", ["client", "memories"])
def test_remember_takes_the_fields_of_a_memory_as_keywords(client, fake, place):
    owner = client if place == "client" else client.memories
    memory = owner.remember("bot", "User likes tea", session_id="s1", event_type="message", **DETAILS)
    assert (memory.session_id, memory.event_type, memory.tags) == ("s1", "message", ["ui", "a.b"])
    assert sent(fake) == {
        "agent_id": "bot",
        "content": "User likes tea",
        "memory_type": "episodic",
        "session_id": "s1",
        "event_type": "message",
        **STORED,
    }


@by_face("place", ["client", "memories"])
def test_decide_takes_the_fields_of_a_memory_as_keywords(client, fake, place):
    owner = client if place == "client" else client.memories
    owner.decide("bot", "Use tea", "It was asked for", session_id="s1", **DETAILS)
    assert sent(fake) == {
        "agent_id": "bot",
        "content": "Use tea",
        "memory_type": "decision",
        "event_type": "decision",
        "session_id": "s1",
        **STORED,
        "metadata": {"reasoning": "It was asked for", **STORED["metadata"]},
    }


def test_an_open_session_remembers_and_decides_with_the_same_keywords(client, fake):
    agent = client.agents.register("bot")
    with client.sessions.open(agent) as session:
        session.remember("User likes tea", event_type="message", **DETAILS)
        remembered = sent(fake)
        session.decide("Use tea", "It was asked for", **{**DETAILS, "dedup_key": "key-2"})
        decided = sent(fake)
    own = {"agent_id": agent.id, "session_id": session.id}
    assert remembered == {
        **own,
        "content": "User likes tea",
        "memory_type": "episodic",
        "event_type": "message",
        **STORED,
    }
    assert decided["metadata"] == {"reasoning": "It was asked for", **STORED["metadata"]}
    assert own.items() <= decided.items()


@pytest.mark.parametrize("wrong", [{"reasoning": "another"}, "no dict"])
def test_the_metadata_of_a_decision_is_a_dict_without_a_reasoning_of_its_own(client, fake, wrong):
    with pytest.raises(InvalidRequestError, match="^metadata must be a dict") as caught:
        client.decide("bot", "Use tea", "It was asked for", metadata=wrong)
    assert caught.value.field == "metadata"
    assert len(fake.calls) == 0


def seeded(client):
    """Memories of three types, oldest first; a session has some of each."""
    agent = client.agents.register("bot")
    with client.sessions.open(agent.id) as session:
        for number, kind in enumerate(["episodic", "decision", "entity", "episodic"]):
            client.memories.add(
                agent_id=agent.id,
                session_id=session.id,
                content=f"{kind} {number}",
                memory_type=kind,
                tags=["user.1"] if number < 2 else ["user.12"],
            )
    return agent, session


def recalling(client, place, agent, session):
    if place == "session":
        return session.recall
    owner = client if place == "client" else client.memories
    return lambda **fields: owner.recall(agent.id, **fields)


places = by_face("place", ["client", "memories", "session"])


@places
def test_recall_takes_filters_as_keywords(client, place):
    recall = recalling(client, place, *seeded(client))
    newest = ["episodic 3", "entity 2", "decision 1", "episodic 0"]
    assert [memory.content for memory in recall()] == newest
    assert [memory.content for memory in recall(since="2020-01-01", until="2100-01-01", limit=2)] == newest[:2]
    assert [memory.content for memory in recall(memory_types=["episodic"])] == newest[::3]
    assert [memory.content for memory in recall(memory_types=iter(["episodic"]))] == newest[::3]
    assert [memory.content for memory in recall(memory_types=[])] == newest
    assert [memory.content for memory in recall(tags=["user.1"])] == newest[2:]
    assert [memory.content for memory in recall(tags="user.1", tags_match="substring")] == newest
    assert [memory.content for memory in recall(query="entity 2", limit=1)] == ["entity 2"]
    assert {memory.memory_type for memory in recall(query="two", memory_types=["decision", "entity"])} <= {
        "decision",
        "entity",
    }
    assert list(recall(until="2020-01-01")) == []


@places
def test_recall_of_several_types_says_whether_there_are_more(client, place):
    recall = recalling(client, place, *seeded(client))
    found = recall(memory_types=["episodic", "entity"], limit=2)
    assert ([memory.content for memory in found], found.count, found.has_more) == (["episodic 3", "entity 2"], 2, True)
    whole = recall(memory_types=["episodic", "entity"], tags=["user.12"])
    assert ([memory.content for memory in whole], whole.has_more) == (["episodic 3", "entity 2"], False)


def test_a_session_recalls_several_types_with_its_other_filters(client):
    _, session = seeded(client)
    types = ["episodic", "entity"]
    skipping = session.recall(memory_types=types, offset=1, limit=1)
    assert ([memory.content for memory in skipping], skipping.has_more) == (["entity 2"], True)
    assert session.recall(memory_types=types, order="asc")[0].content == "episodic 0"
    assert list(session.recall(memory_types=types, event_type="error")) == []
    assert [memory.content for memory in session.recall(memory_type="entity")] == ["entity 2"]
    assert [
        memory.content for memory in session.recall(query="entity", event_type="general", memory_type="entity")
    ] == ["entity 2"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"memory_types": "episodic,entity"}, "memory_types[0]"),
        ({"memory_types": [3]}, "memory_types"),
        ({"memory_types": 3}, "memory_types"),
        ({"memory_types": ["no type"]}, "memory_types[0]"),
        ({"memory_types": ["entity"], "memory_type": "entity"}, "memory_types"),
        ({"memory_types": ["entity", "episodic"], "limit": 0}, "limit"),
        ({"memory_types": ["entity", "episodic"], "offset": -1}, "offset"),
        ({"query": "tea", "order": "asc"}, "order"),
        ({"query": "tea", "offset": 1}, "offset"),
        ({"query": " "}, "query"),
    ],
    ids=repr,
)
def test_what_recall_cannot_do_is_refused_before_anything_is_sent(client, fake, fields, field):
    _, session = seeded(client)
    before = len(fake.calls)
    with pytest.raises(InvalidRequestError) as caught:
        session.recall(**fields)
    assert caught.value.field == field
    assert len(fake.calls) == before


# ---- short forms


@by_face("method", ["register", "get_or_register"])
def test_an_agent_is_registered_by_its_name_alone(client, method):
    agent = getattr(client.agents, method)("support bot", description="Answers tickets")
    assert (agent.name, agent.description) == ("support bot", "Answers tickets")
    assert client.agents.get_or_register("support bot").id == agent.id
    assert client.agents.get_or_register(RegisterAgentRequest(name="support bot")).id == agent.id


@by_face("form", ["id", "agent", "keyword"])
def test_a_session_is_opened_and_created_for_an_agent_or_its_id(client, form):
    agent = client.agents.register("bot")
    given = {"id": ((agent.id,), {}), "agent": ((agent,), {}), "keyword": ((), {"agent_id": agent.id})}
    args, kwargs = given[form]
    assert client.sessions.create(*args, metadata={"ticket": 1}, **kwargs).metadata == {"ticket": 1}
    with client.sessions.open(*args, metadata={"ticket": 2}, **kwargs) as session:
        assert (session.agent_id, session.session.metadata) == (agent.id, {"ticket": 2})


def test_a_first_argument_that_is_given_twice_or_is_something_else_is_told(client):
    with pytest.raises(TypeError, match="name is given twice"):
        client.agents.register("a", name="b")
    with pytest.raises(TypeError, match="agent_id is given twice"):
        client.sessions.open("a", agent_id="b")
    with pytest.raises(TypeError, match="expected CreateSessionRequest, agent_id as a string or its fields .* not int"):
        client.sessions.open(3)
    with pytest.raises(TypeError, match="expected RegisterAgentRequest, name as a string or its fields .* not Agent"):
        client.agents.register(Agent.model_construct(id="agent_1"))


# ---- words of other libraries


TABLES = {
    "client": (peers.CLIENT_NAMES, lambda client, session: client),
    "memories": (peers.MEMORIES_NAMES, lambda client, session: client.memories),
    "agents": (peers.AGENTS_NAMES, lambda client, session: client.agents),
    "sessions": (peers.SESSIONS_NAMES, lambda client, session: client.sessions),
    "session": (peers.SESSION_NAMES, lambda client, session: session),
}
NAMES = [(place, name) for place, (names, _) in TABLES.items() for name in names if name != "[]"]


@by_face(("place", "name"), NAMES)
def test_a_name_of_another_library_is_an_attribute_error_that_says_what_to_use(client, place, name):
    names, owner = TABLES[place]
    with client.sessions.open(client.agents.register("bot")) as session, pytest.raises(AttributeError) as caught:
        getattr(owner(client, session), name)
    assert str(caught.value).endswith(f"object has no attribute {name!r}: {names[name]}")
    assert not hasattr(owner(client, session), name)


@pytest.mark.parametrize(
    ("use", "told"),
    [
        (lambda client: client.memories.get("mem_1"), "memories are immutable and have no ID"),
        (lambda client: client.memories.delete("mem_1"), "memories are immutable and have no ID"),
        (lambda client: client.memories.update("mem_1", "text"), "write a newer one"),
        (lambda client: client.add("text"), "client.remember"),
        (lambda client: client.search("text"), "client.memories.search"),
        (lambda client: client._client.get("/api/v1/agents"), "client.request"),
    ],
    ids=["memories.get", "memories.delete", "memories.update", "add", "search", "_client"],
)
def test_the_error_of_a_peers_word_names_what_does_it_here(client, use, told):
    with pytest.raises(AttributeError, match=told):
        use(client)


def test_any_other_name_is_the_attribute_error_that_it_always_was(client):
    with pytest.raises(AttributeError, match="^'(Async)?Memtrace' object has no attribute 'nothing'$"):
        client.nothing  # noqa: B018


def test_a_property_of_a_subclass_that_fails_says_itself_why():
    class Mine(Memtrace):
        @property
        def add(self):
            return self.memories.nothing

    with (
        Mine("memory://") as client,
        pytest.raises(AttributeError, match="'Memories' object has no attribute 'nothing'"),
    ):
        client.add  # noqa: B018


# ---- words of other libraries, of results


@functools.cache
def results():
    """One of each result, and the table of its class."""
    with FakeMemtrace().client() as client:
        agent = client.agents.register("bot")
        memory = client.memories.add(agent_id=agent.id, content="User likes tea", metadata={"reasoning": "asked"})
        session = client.sessions.create(agent.id)
        hits = client.memories.search("tea")
        batch = client.memories.add_many([AddMemoryRequest(agent_id=agent.id, content="User likes rain")])
        return {
            "Memory": (memory, peers.MEMORY_NAMES),
            "MemoryList": (client.memories.list(), peers.LIST_NAMES),
            "SearchResult": (client.memories.filter(), peers.LIST_NAMES),
            "AgentList": (client.agents.list(), peers.LIST_NAMES),
            "SessionList": (client.sessions.list(), peers.LIST_NAMES),
            "SearchHits": (hits, peers.HITS_NAMES),
            "SearchHit": (hits[0], peers.HIT_NAMES),
            "BatchResult": (batch, peers.BATCH_NAMES),
            "Outcome": (batch[0], peers.OUTCOME_NAMES),
            "Agent": (agent, peers.AGENT_NAMES),
            "AgentStats": (client.agents.stats(agent.id), peers.STATS_NAMES),
            "Session": (session, peers.STORED_SESSION_NAMES),
            "SessionContext": (client.sessions.context(session.id), peers.CONTEXT_NAMES),
            "PromptContext": (client.memories.prompt_context("tea"), peers.PROMPT_NAMES),
            "RawResponse": (client.send(operations.health()), peers.RESPONSE_NAMES),
            "Health": (client.health(), {"to_dict": "use .model_dump()"}),
        }


RESULT_NAMES = [
    (kind, name)
    for kind, (result, names) in results().items()
    for name in names
    if name != "[]" and name not in dir(result)
]


@pytest.mark.parametrize(("kind", "name"), RESULT_NAMES)
def test_a_name_that_a_result_of_another_library_has_says_what_to_use(kind, name):
    result, names = results()[kind]
    with pytest.raises(AttributeError) as caught:
        getattr(result, name)
    assert str(caught.value) == f"{kind!r} object has no attribute {name!r}: {names[name]}"
    assert not hasattr(result, name)
    for path in re.findall(r"use (?:[a-z]+\()?\.([a-z0-9_.]+)", names[name]):
        functools.reduce(getattr, path.split("."), result)


@pytest.mark.parametrize("kind", [kind for kind, (result, _) in results().items() if not hasattr(result, "__len__")])
def test_an_index_of_a_result_that_is_no_list_says_what_to_use(kind):
    result, names = results()[kind]
    for name, hint in names.items():
        key, told = (0, hint) if name == "[]" else (name, f"use .{name}" if name in dir(result) else hint)
        with pytest.raises(TypeError) as caught:
            result[key]
        assert str(caught.value) == f"{kind!r} object is not subscriptable: {told}"
    with pytest.raises(TypeError, match="not subscriptable: use "):
        result[0]
    field = next(name for name in dir(result) if not name.startswith("_"))
    with pytest.raises(TypeError, match=rf"not subscriptable: use \.{field}$"):
        result[field]
    with pytest.raises(TypeError, match="not subscriptable: use its attributes$"):
        result["nothing of the kind"]


@by_face("place", ["memories", "agents", "sessions"])
def test_an_index_or_a_loop_over_a_resource_says_what_to_use(client, place):
    names, owner = TABLES[place]
    resource = owner(client, None)
    for use in (lambda: getattr(resource, "_target", resource)[0], lambda: [*getattr(resource, "_target", resource)]):
        with pytest.raises(TypeError) as caught:
            use()
        assert str(caught.value).endswith(f"object is not subscriptable: {names['[]']}")


@pytest.mark.parametrize("kind", results())
def test_what_a_result_is_to_copies_pickles_and_probes_is_unchanged(kind):
    result, _ = results()[kind]
    for copied in (copy.copy(result), copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        if kind != "RawResponse":  # which compares by identity of what it has
            assert copied == result
    assert hasattr(result, "__len__") == isinstance(result, Sized)
    assert not isinstance(result, Mapping)
    with pytest.raises(AttributeError, match="^'[A-Za-z]+' object has no attribute 'nothing'$"):
        result.nothing  # noqa: B018


def test_a_field_of_a_newer_server_comes_before_the_words_of_other_libraries():
    newer = Memory.model_validate({**results()["Memory"][0].model_dump(), "id": "mem_1"})
    assert newer.id == "mem_1"
    with pytest.raises(TypeError, match=r"use \.id$"):
        newer["id"]


def test_a_hit_that_is_unpacked_says_what_to_use():
    with pytest.raises(TypeError, match=r"use \.memory and \.score$"):
        _memory, _score = results()["SearchHit"][0]


KEYWORDS = [name for name in peers.KEYWORDS if name not in AddMemoryRequest.model_fields]


@by_face("name", KEYWORDS)
def test_a_keyword_of_another_library_is_a_type_error_that_says_what_to_use(client, fake, name):
    for call in (
        lambda given: client.memories.add(agent_id="a", content="c", **given),
        lambda given: client.remember("a", "c", **given),
        lambda given: client.decide("a", "c", "r", **given),
        lambda given: client.recall("a", **given),
        lambda given: client.memories.search("tea", **given),
    ):
        with pytest.raises(TypeError) as caught:
            call({name: "value"})
        assert str(caught.value).startswith(
            f"unexpected keyword argument {name!r}: {peers.KEYWORDS[name]}. The keywords are "
        )
    assert len(fake.calls) == 0


METHODS = [
    *((Memtrace, "client", name) for name in ("remember", "recall", "decide", "health", "ready", "request")),
    *(
        (kind, place, name)
        for kind, place in ((Memories, "memories"), (Agents, "agents"), (Sessions, "sessions"))
        for name, member in vars(kind).items()
        if inspect.isfunction(member) and not name.startswith("_")
    ),
]


@by_face(("kind", "place", "name"), METHODS, ids=lambda part: part if isinstance(part, str) else None)
def test_each_method_says_what_does_it_here_for_a_keyword_that_it_does_not_have(client, fake, kind, place, name):
    parameters = inspect.signature(getattr(kind, name)).parameters.values()
    needed = ["a" for each in parameters if each.default is inspect.Parameter.empty and each.name != "self"]
    with pytest.raises(
        TypeError, match=r"'user_id': Memtrace has no users.*\. (The keywords are \w+|There are no keywords$)"
    ):
        getattr(TABLES[place][1](client, None), name)(*needed, user_id="u1")
    assert len(fake.calls) == 0


@by_face("name", list(peers.CLIENT_KEYWORDS))
def test_a_setting_of_another_library_is_a_type_error_that_says_what_to_use(client, name):
    kind = Memtrace if isinstance(client, Memtrace) else AsyncMemtrace
    for make in (lambda **given: kind("memory://", "key", **given), client.with_options):
        with pytest.raises(TypeError) as caught:
            make(**{name: "planted"})
        assert str(caught.value).startswith(f"unexpected keyword argument {name!r}: {peers.CLIENT_KEYWORDS[name]}.")
        frames = inspect.getinnerframes(caught.value.__traceback__)
        ours = [
            frame.frame.f_locals for frame in frames if "memtrace" in frame.filename and "tests" not in frame.filename
        ]
        assert "planted" not in repr(ours)


@by_face(
    ("call", "told"),
    [
        (
            lambda client: client.memories.add(agent_id="a", content="c", tag=["t"]),
            "Did you mean 'tags'? The keywords are agent_id",
        ),
        (lambda client: client.memories.add(agent_id="a", content="c", wiat=True), "Did you mean 'wait'?"),
        (
            lambda client: client.remember("a", "c", sesion_id="s"),
            "Did you mean 'session_id'? The keywords are session_id",
        ),
        (lambda client: client.decide("a", "c", "r", event_type="e"), ". The keywords are session_id, metadata"),
        (lambda client: client.recall("a", untill="1h"), "Did you mean 'until'? The keywords are since, until"),
        (lambda client: client.memories.iter(page=3), "use memories.iter(...)"),
        (lambda client: client.memories.iter(pagesize=3), "Did you mean 'page_size'?"),
        (lambda client: client.memories.search("tea", agent="a"), "Did you mean 'agent_id'? The keywords are query"),
        (lambda client: client.agents.register("a", descripton="d"), "Did you mean 'description'?"),
        (lambda client: client.sessions.open("a", metdata={}), "Did you mean 'metadata'?"),
        (lambda client: client.with_options(tiemout=3), "Did you mean 'timeout'? The keywords are api_key"),
    ],
    ids=[
        "tag",
        "wait",
        "session_id",
        "event_type",
        "until",
        "page",
        "page_size",
        "agent_id",
        "description",
        "metadata",
        "timeout",
    ],
)
def test_a_wrong_keyword_names_the_near_one_and_the_list(client, call, told):
    with pytest.raises(TypeError) as caught:
        call(client)
    assert told in str(caught.value)


def test_every_hint_names_what_there_is(client):
    known = {"client": client, "memories": client.memories, "agents": client.agents, "sessions": client.sessions}
    texts = [hint for names, _ in TABLES.values() for hint in names.values()]
    used = {use for text in (*texts, *peers.KEYWORDS.values()) for use in _dotted(text)}
    assert used >= {"client.remember", "client.request", "memories.search", "sessions.open", "agents.register"}
    for owner, _, path in (use.partition(".") for use in used):
        target = known[owner]
        for name in path.split("."):
            target = getattr(target, name)


def _dotted(text):
    import re

    return re.findall(r"\b(?:client|memories|agents|sessions)(?:\.[a-z_]+)+", text)


# ---- IDs of other systems


UUID = uuid.UUID("4f5b3c2a-1c9d-4b7e-8a55-0d9f6f1f2a11")
BY_ID = {
    ("agent_id", "remember"): lambda client, id_: client.remember(id_, "c"),
    ("agent_id", "recall"): lambda client, id_: client.recall(id_),
    ("agent_id", "decide"): lambda client, id_: client.decide(id_, "c", "r"),
    ("agent_id", "memories.add"): lambda client, id_: client.memories.add(agent_id=id_, content="c"),
    ("session_id", "memories.add"): lambda client, id_: client.memories.add(agent_id="a", session_id=id_, content="c"),
    ("agent_id", "memories.list"): lambda client, id_: client.memories.list(agent_id=id_),
    ("agent_id", "memories.filter"): lambda client, id_: client.memories.filter(agent_id=id_),
    ("session_id", "memories.filter"): lambda client, id_: client.memories.filter(session_id=id_),
    ("agent_id", "memories.search"): lambda client, id_: client.memories.search("q", agent_id=id_),
    ("agent_id", "memories.prompt_context"): lambda client, id_: client.memories.prompt_context("q", agent_id=id_),
    ("session_id", "sessions.prompt_context"): lambda client, id_: client.sessions.prompt_context(id_),
    ("agent_id", "agents.memories"): lambda client, id_: client.agents.memories(id_),
    ("agent_id", "agents.stats"): lambda client, id_: client.agents.stats(id_),
    ("session_id", "sessions.memories"): lambda client, id_: client.sessions.memories(id_),
    ("session_id", "sessions.context"): lambda client, id_: client.sessions.context(id_),
}


@by_face(("field", "call"), [(field, call) for (field, _), call in BY_ID.items()], ids=list(BY_ID))
def test_an_invalid_id_names_the_call_that_makes_one_of_it(client, field, call):
    with pytest.raises(InvalidRequestError, match=field) as caught:
        call(client, str(UUID))
    assert caught.value.field == field
    assert caught.value.hint == f"memtrace.integrations.identifiers.id_for({field}) creates an ID from any string"
    assert caught.value.hint in "".join(traceback.format_exception(caught.value))


@by_face(("field", "call"), [(field, call) for (field, _), call in BY_ID.items()], ids=list(BY_ID))
def test_an_id_that_is_no_string_names_the_call_that_makes_one_of_it(client, fake, field, call):
    with pytest.raises(InvalidRequestError) as caught:
        call(client, UUID)
    assert (caught.value.field, len(fake.calls)) == (field, 0)
    assert caught.value.hint == f"memtrace.integrations.identifiers.id_for(str({field})) creates an ID from any string"


def test_an_invalid_id_in_a_batch_names_the_call_too(client):
    outcome = client.memories.add_many([AddMemoryRequest(agent_id=str(UUID), content="c")]).outcomes[0]
    assert outcome.error.hint == "memtrace.integrations.identifiers.id_for(agent_id) creates an ID from any string"


# ---- signatures


SHOWN = [
    (kind, name)
    for kind in (
        Memtrace,
        Memories,
        Agents,
        Sessions,
        ActiveSession,
        WriteBuffer,
        AsyncMemtrace,
        AsyncMemories,
        AsyncAgents,
        AsyncSessions,
        AsyncWriteBuffer,
    )
    for name, member in vars(kind).items()
    if inspect.isfunction(member) and (not name.startswith("_") or name == "__init__")
]


@pytest.mark.parametrize(("kind", "name"), SHOWN, ids=lambda part: getattr(part, "__name__", part))
def test_each_method_shows_its_keywords(kind, name):
    parameters = inspect.signature(getattr(kind, name)).parameters.values()
    assert [each.name for each in parameters if each.kind is inspect.Parameter.VAR_KEYWORD] == []


def test_help_and_bound_methods_show_names_types_and_defaults():
    with Memtrace("memory://") as client:
        shown = str(inspect.signature(client.remember))
        assert "tags: 'list[str] | None' = None" in shown
        assert "event_type: 'str' = 'general'" in shown
        assert str(inspect.signature(client.memories.add)).startswith(
            "(request: 'AddMemoryRequest | None' = None, *, wait: "
        )
        assert "content: 'str' = <needed>" in str(inspect.signature(client.memories.add))
    assert "unknown" not in str(inspect.signature(Memtrace))
    assert inspect.signature(Memories.add) == inspect.signature(Memories.add) != inspect.signature(Memories.list)


def test_a_signature_can_be_pickled_and_copied():
    signature = inspect.signature(Memories.add)
    assert pickle.loads(pickle.dumps(signature)) == copy.deepcopy(signature) == signature


def test_a_mock_that_keeps_the_signature_takes_both_forms():
    with Memtrace("memory://") as client:
        mock = create_autospec(client)
    mock.remember("a", "c", tags=["t"])
    mock.memories.add(AddMemoryRequest(agent_id="a", content="c"), wait=True)
    mock.memories.add(agent_id="a", content="c")
    with pytest.raises(TypeError):
        mock.remember("a", "c", tag=["t"])


def test_each_class_of_keywords_is_of_a_model_that_has_them():
    from memtrace import context, models

    for fields, name in _MODELS.items():
        model = getattr(models, name, None) or getattr(context, name)
        beside = {"memory_types", "query"} if fields == "RecallParams" else set()
        assert set(getattr(request_params, fields).__annotations__) - beside <= set(model.model_fields)


# ---- two traps


def greeting(client, form):
    """Store the same words of two users of one agent, in this way."""
    agent = client.agents.get_or_register("bot")
    for _ in range(2):
        if form == "session":
            with client.sessions.open(agent) as session:
                session.remember("Good morning!")
        elif form == "buffer":
            with client.memories.buffered() as buffer:
                buffer.add(agent_id=agent.id, content="Good morning!")
        elif form == "add_many":
            client.memories.add_many([AddMemoryRequest(agent_id=agent.id, content="Good morning!")])
        else:
            owner, _, method = form.rpartition(".")
            given = {"add": {"agent_id": agent.id, "content": "Good morning!"}}.get(method)
            call = getattr(client.memories if owner == "memories" else client, method)
            if method == "decide":
                call(agent.id, "Good morning!", "because")
            elif method == "add_memory":
                call(AddMemoryRequest(agent_id=agent.id, content="Good morning!"))
            elif method == "add_memories":
                call([AddMemoryRequest(agent_id=agent.id, content="Good morning!")])
            else:
                call(**given) if given else call(agent.id, "Good morning!")
    return client.recall(agent.id).count


NEW = ["memories.add", "memories.remember", "memories.decide", "add_many", "session", "buffer"]
FLAT = ["remember", "decide", "add_memory"]


@pytest.mark.parametrize("form", NEW)
def test_the_same_words_twice_are_two_memories_in_what_is_new(fake, form):
    assert greeting(fake.client(), form) == 2
    keys = [memory.dedup_key for memory in fake.client().memories.list()]
    assert len(set(keys)) == 2


@pytest.mark.parametrize("form", [*NEW[:3], "session"])
def test_a_client_that_leaves_duplicates_to_the_server_is_told_of_them(fake, form):
    with pytest.raises(ConflictError):
        greeting(fake.client(dedup="server"), form)


@pytest.mark.parametrize("form", FLAT)
def test_the_flat_methods_keep_the_servers_rule_unless_the_client_has_another(fake, form):
    with pytest.raises(ConflictError):
        greeting(fake.client(), form)
    fake.reset()
    assert greeting(fake.client(dedup="per_call"), form) == 2
    assert greeting(fake.client().with_options(dedup="per_call").with_options(dedup=None), "memories.add") == 4


def test_the_flat_batch_keeps_the_servers_rule(fake):
    assert greeting(fake.client(), "add_memories") == 1
    fake.reset()
    assert greeting(fake.client(dedup="per_call"), "add_memories") == 2


def test_a_retry_of_what_is_new_is_stored_once(face):
    fake = FakeMemtrace(clock=ManualClock(), visibility="server")
    fake.faults.add(Fault("reset", on="memories.add", applied=True))
    client = face.of(fake)
    client.memories.remember("bot", "Good morning!")
    assert client.recall("bot").count == 1


def tagged(client):
    agent = client.agents.register("bot")
    with client.sessions.open(agent) as session:
        for tag in ("user.1", "user.12"):
            session.remember(f"I am {tag}", tags=[tag])
    return agent.id, session


READS = {
    "memories.list": lambda client, agent, session, **tags: client.memories.list(**tags),
    "memories.iter": lambda client, agent, session, **tags: client.memories.iter(**tags),
    "memories.filter": lambda client, agent, session, **tags: client.memories.filter(**tags),
    "memories.search": lambda client, agent, session, **tags: client.memories.search("I am", **tags).memories,
    "memories.recall": lambda client, agent, session, **tags: client.memories.recall(agent, **tags),
    "recall": lambda client, agent, session, **tags: client.recall(agent, **tags),
    "recall by query": lambda client, agent, session, **tags: client.recall(agent, query="I am", **tags),
    "agents.memories": lambda client, agent, session, **tags: client.agents.memories(agent, **tags),
    "agents.memories_iter": lambda client, agent, session, **tags: client.agents.memories_iter(agent, **tags),
    "sessions.memories": lambda client, agent, session, **tags: client.sessions.memories(session.id, **tags),
    "sessions.memories_iter": lambda client, agent, session, **tags: client.sessions.memories_iter(session.id, **tags),
    "session.recall": lambda client, agent, session, **tags: session.recall(**tags),
    "prompt_context": lambda client, agent, session, **tags: session.prompt_context(**tags).memories,
    "prompt_context by query": lambda client, agent, session, **tags: (
        client.memories.prompt_context("I", **tags).memories
    ),
}


@by_face("read", READS.values(), ids=list(READS))
def test_what_is_new_matches_whole_tags_unless_parts_are_asked_for(client, read):
    agent, session = tagged(client)
    assert [memory.content for memory in read(client, agent, session, tags=["user.1"])] == ["I am user.1"]
    assert len(list(read(client, agent, session, tags=["user.1"], tags_match="substring"))) == 2


@pytest.mark.parametrize("options", [ListOptions(tags="user.1"), ListOptions(tags=["user.1"])], ids=["text", "list"])
def test_options_made_by_hand_match_whole_tags_in_what_is_new_and_parts_in_the_flat_methods(client, options):
    agent, session = tagged(client)
    assert client.memories.list(options).count == 1
    assert client.list_memories(options).count == 2
    assert client.agents.memories(agent, options).count == 1
    assert client.get_agent_memories(agent, options).count == 2
    assert client.sessions.memories(session.id, options).count == 1
    assert client.get_session_memories(session.id, options).count == 2
    query = SearchQuery(tags=options.tags)
    assert client.memories.filter(query).count == 1
    assert client.search_memories(query).count == 2
    assert client.list_memories(options.model_copy(update={"tags_match": "exact"})).count == 1

"""The storage beside CrewAI's own one, and below CrewAI's memory and a crew."""

from __future__ import annotations

import asyncio
import copy
from datetime import datetime, timedelta

import pytest
from crewai import Agent, BaseLLM, Crew, Task
from crewai.memory.storage.backend import EmbeddingDimensionMismatchError, StorageBackend
from crewai.memory.storage.lancedb_storage import LanceDBStorage
from crewai.memory.types import MemoryRecord
from crewai.memory.unified_memory import Memory
from crewai.tools import tool

from memtrace import ConfigurationError, InvalidRequestError, Memtrace, MemtraceError, ResponseDecodeError, RetryPolicy
from memtrace.integrations.crewai import MemtraceStorage
from memtrace.integrations.tools import MemoryTools
from memtrace_transports import FakeMemtrace, ManualClock
from memtrace_transports.memory import Fault

BEGUN = datetime(2026, 1, 1)
WORDS = ("tea", "coffee", "lisbon", "porto")
ROWS = [
    ("1", "User prefers tea", "/users/ines", ["drinks"], {"turn": 1}),
    ("2", "User drinks coffee on Mondays", "/users/ines", ["drinks", "habits"], {"turn": 2}),
    ("3", "User moved to lisbon", "/users/ines/home", ["places"], {"turn": 2}),
    ("4", "The crew works in porto", "/crew", ["places"], {}),
    ("5", "Nothing of note", "/", [], {}),
    ("6", "Somebody prefers tea", "/guests", ["drinks"], {"turn": 1}),
]


def embed(texts):
    return [[1.0, *(float(word in text.lower()) for word in WORDS)] for text in texts]


def record(number, content, scope="/", categories=(), metadata=None, **fields):
    (vector,) = embed([content])
    return MemoryRecord(
        **{
            "id": number,
            "content": content,
            "scope": scope,
            "categories": [*categories],
            "metadata": metadata or {},
            "created_at": BEGUN + timedelta(days=int(number)),
            "last_accessed": BEGUN,
            "embedding": vector,
            **fields,
        }
    )


@pytest.fixture
def fake():
    return FakeMemtrace(clock=ManualClock(), visibility="server")


@pytest.fixture
def client(fake):
    return fake.client()


@pytest.fixture
def storage(client):
    return MemtraceStorage(client, agent_id="crew")


@pytest.fixture
def filled(storage):
    storage.save([record(*row) for row in ROWS])
    return storage


@pytest.fixture
def theirs(tmp_path):
    theirs = LanceDBStorage(path=str(tmp_path / "lance"))
    theirs.save([record(*row) for row in ROWS])
    return theirs


@pytest.mark.parametrize("scope", [None, "/", "", "/users", "/users/", "/users/ines", "/users/ines/home", "/nobody"])
def test_it_reads_a_scope_as_crewai_s_own_storage_does(filled, theirs, scope):
    def read(storage):
        return (
            storage.list_records(scope),
            storage.list_categories(scope),
            storage.count(scope),
            storage.list_scopes(scope or "/"),
            storage.get_scope_info(scope or "/"),
        )

    assert read(filled) == read(theirs)


def test_a_part_of_a_listing_is_that_of_the_whole(filled):
    """CrewAI's own storage ordered each page by itself in early releases."""
    assert filled.list_records("/users", limit=2, offset=1) == filled.list_records("/users")[1:3]
    assert filled.list_records(limit=0) == filled.list_records(offset=100) == []


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"scope_prefix": "/users"},
        {"categories": ["drinks", "unknown"]},
        {"categories": ["unknown"]},
        {"metadata_filter": {"turn": 2}},
        {"metadata_filter": {"turn": 2}, "categories": ["places"], "scope_prefix": "/users"},
        {"limit": 2},
        {"limit": 0},
        {"min_score": 0.99},
    ],
)
@pytest.mark.parametrize("query", WORDS)
def test_a_search_finds_the_nearest_first(filled, filters, query):
    (vector,) = embed([query])
    found = filled.search(vector, **filters)
    below = {each.id for each in filled.list_records(filters.get("scope_prefix"))}
    assert len(found) <= filters.get("limit", 10)
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
    assert all(0 <= score <= 1.000001 and score >= filters.get("min_score", 0) for _, score in found)
    assert {each.id for each, _ in found} <= below
    for each, _ in found:
        assert not filters.get("categories") or set(filters["categories"]) & set(each.categories)
        assert filters.get("metadata_filter", {}).items() <= each.metadata.items()
    if not filters:
        assert query in found[0][0].content.lower()
        assert found[0][0].embedding == vector


@pytest.mark.parametrize(
    "filters",
    [
        {"record_ids": ["1", "4", "unknown"]},
        {"older_than": BEGUN + timedelta(days=3)},
        {"categories": ["drinks"]},
        {"categories": ["drinks"], "older_than": BEGUN + timedelta(days=2)},
        {"metadata_filter": {"turn": 1}, "scope_prefix": "/users"},
        {},
    ],
)
def test_it_deletes_what_crewai_s_own_storage_does(filled, theirs, filters):
    assert filled.delete(**filters) == theirs.delete(**filters)
    assert filled.list_records() == theirs.list_records()
    assert filled.delete(**filters) == 0


@pytest.mark.parametrize("scope", [None, "/", "/users", "/users/ines"])
def test_a_reset_deletes_a_scope_and_those_below(filled, theirs, scope):
    filled.reset(scope)
    theirs.reset(scope)
    assert filled.list_records() == theirs.list_records()


def test_a_scope_is_a_path_and_not_a_prefix_of_others(filled):
    filled.save([record("9", "User likes porto", "/users2")])
    assert "9" not in [each.id for each in filled.list_records("/users")]
    assert filled.list_records("users") == filled.list_records("/users")


def test_an_update_replaces_a_record(filled, theirs):
    for storage in (filled, theirs):
        storage.update(record("2", "User drinks tea on Mondays", "/users/ines", ["drinks"]))
    assert filled.get_record("2") == theirs.get_record("2")
    assert filled.get_record("unknown") is None
    assert filled.count() == len(ROWS)


def test_another_process_finds_the_records(fake, filled):
    other = MemtraceStorage(fake.client(), agent_id="crew")
    assert other.list_records() == filled.list_records()
    filled.delete(record_ids=["1"])
    other.save([record("7", "User likes porto")])
    assert [each.id for each in filled.list_records()] == [each.id for each in other.list_records()]
    assert MemtraceStorage(fake.client(), agent_id="others").count() == 0


def test_of_two_changes_of_one_record_the_later_one_counts_in_whichever_order_they_are_read(fake, storage):
    storage.save([record("1", "User prefers tea")])
    fake.clock.advance(60)  # what is older is not read again
    other = MemtraceStorage(fake.client(), agent_id="crew")
    other.update(record("1", "User prefers coffee"))
    storage.delete(record_ids=["1"])
    other.update(record("1", "User prefers lisbon"))
    for each in (storage, other, MemtraceStorage(fake.client(), agent_id="crew")):
        assert [row.content for row in each.list_records()] == ["User prefers lisbon"]


def test_a_further_reading_asks_for_newer_records_alone(fake, filled):
    fake.clock.advance(3600)
    filled.save([record("7", "User likes porto")])
    filled.count()
    before = len(fake.calls)
    filled.count()
    assert len(fake.calls) == before + 1
    assert "since" in fake.calls[-1].query, "all records are sent again"


def test_vectors_of_another_length_are_refused_as_by_crewai_s_own_storage(filled):
    short = record("8", "short", embedding=[1.0, 0.0])
    with pytest.raises(EmbeddingDimensionMismatchError):
        filled.save([short])
    with pytest.raises(EmbeddingDimensionMismatchError):
        filled.search([1.0, 0.0])
    assert filled.count() == len(ROWS)


def test_records_without_a_vector_and_zero_vectors_are_kept_and_not_near_anything(storage):
    storage.save([record("1", "plain", embedding=None), record("2", "zero", embedding=[0.0, 0.0])])
    assert [each.embedding for each in storage.list_records()] == [[0.0, 0.0], None]
    assert storage.search([1.0, 0.0], min_score=0.1) == []
    assert [score for _, score in storage.search([0.0, 0.0])] == [0.0]


@pytest.mark.parametrize("metadata", [{"it": object()}, {"it": float("nan")}, {"it": {1: "key"}}])
def test_what_is_not_json_is_refused_before_anything_is_sent(fake, storage, metadata):
    bad = record("2", "tea").model_copy(update={"metadata": metadata})
    with pytest.raises(InvalidRequestError, match=r"records\[1\]"):
        storage.save([record("1", "tea"), bad])
    assert storage.count() == 0


def test_strange_contents_come_back(storage):
    contents = ["NUL \0", "half \ud800", "\N{PARTY POPPER}", "x" * 1_000_000]
    storage.save([record(str(n), content) for n, content in enumerate(contents)])
    assert [each.content for each in reversed(storage.list_records())] == contents


def test_a_retry_after_a_lost_response_stores_nothing_twice(fake, storage):
    fake.faults.add(Fault("reset", on="memories.add_many", applied=True))
    storage.save([record("1", "User prefers tea"), record("2", "User prefers coffee")])
    assert len(fake.client().memories.list()) == storage.count() == 2


def test_a_store_that_is_down_is_an_error_and_nothing_is_half_written(fake):
    storage = MemtraceStorage(fake.client(retry=RetryPolicy(max_attempts=1)), agent_id="crew")
    fake.faults.add(Fault("refused", on="memories.add_many"))
    with pytest.raises(MemtraceError):
        storage.save([record("1", "User prefers tea")])
    assert storage.count() == 0


def test_a_memory_that_is_no_record_is_an_error_that_says_so(client, storage):
    client.memories.add(
        agent_id="crew",
        content="x",
        tags=["crewai"],
        metadata={"record": "put", "item": "{}", "sequence": 1},
        wait=True,
    )
    client.memories.add(agent_id="crew", content="y", tags=["other"], wait=True)
    with pytest.raises(ResponseDecodeError, match="a record of crewai holds no record"):
        storage.count()


def test_a_wrong_client_and_id_are_refused():
    with pytest.raises(ConfigurationError, match="MemtraceStorage accepts a Memtrace"):
        MemtraceStorage(object(), agent_id="crew")
    with pytest.raises(InvalidRequestError, match="agent_id"):
        MemtraceStorage(Memtrace("memory://"), agent_id="4f5b")
    with pytest.raises(InvalidRequestError, match="wait_timeout"):
        MemtraceStorage(Memtrace("memory://"), agent_id="crew", wait_timeout=-1)


def test_without_a_wait_a_write_returns_at_once(client):
    storage = MemtraceStorage(client, agent_id="crew", wait_timeout=None)
    storage.save([record("1", "User prefers tea")])
    storage.save([])


def test_async_methods_do_the_same(filled):
    async def main():
        await filled.asave([record("7", "User likes porto", categories=["places"])])
        (vector,) = embed(["porto"])
        found = await filled.asearch(vector, categories=["places"], limit=1)
        return found[0][0].id, await filled.adelete(record_ids=["7"])

    assert asyncio.run(main()) == ("7", 1)


def test_it_is_a_storage_backend_that_a_copy_of_a_memory_shares(storage):
    assert isinstance(storage, StorageBackend)
    assert copy.deepcopy(storage) is storage


class Scripted(BaseLLM):
    """Answers with what it was told to, and keeps what it was asked."""

    def call(self, messages, *args, **kwargs):
        asked.append(str(messages))
        return "Thought: I now can give a great answer\nFinal Answer: Tea."


asked: list[str] = []


def memory_of(client):
    storage = MemtraceStorage(client, agent_id="crew")
    return Memory(llm=Scripted(model="scripted"), storage=storage, embedder=embed)


def test_crewai_s_memory_finds_after_a_restart_what_it_stored(tmp_path):
    with Memtrace(tmp_path / "agent.db") as client:
        memory = memory_of(client)
        memory.remember("User prefers tea", scope="/users", categories=["drinks"], importance=0.9)
        memory.remember("User moved to lisbon", scope="/users", categories=["places"], importance=0.5)
        memory.close()
    with Memtrace(tmp_path / "agent.db") as client:
        memory = memory_of(client)
        matches = memory.recall("does the user like tea?", depth="shallow")
        assert matches[0].record.content == "User prefers tea"
        assert memory.forget(scope="/users", categories=["drinks"]) == 1
        memory.close()


def test_a_crew_is_told_what_an_earlier_one_stored(tmp_path):
    with Memtrace(tmp_path / "agent.db") as client:
        memory = memory_of(client)
        memory.remember("User prefers tea", scope="/", categories=["drinks"], importance=0.9)
        memory.close()
    asked.clear()
    with Memtrace(tmp_path / "agent.db") as client:
        memory = memory_of(client)
        agent = Agent(role="waiter", goal="serve", backstory="kind", llm=Scripted(model="scripted"), memory=memory)
        task = Task(description="What does the user drink: tea?", expected_output="a drink", agent=agent)
        crew = Crew(agents=[agent], tasks=[task], memory=memory)
        assert "Tea." in str(crew.kickoff())
        memory.close()
    assert any("User prefers tea" in each for each in asked)


def test_an_agent_can_have_the_memory_as_tools(tmp_path):
    with Memtrace(tmp_path / "agent.db") as client:
        tools = {each.name: each for each in map(tool, MemoryTools(client, agent_id="crew").functions())}
        assert tools["remember"].run(content="User prefers tea") == "Stored."
        assert "User prefers tea" in tools["search"].run(query="tea")
    assert next(iter(tools["search"].args_schema.model_json_schema()["properties"])) == "query"

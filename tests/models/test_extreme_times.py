"""Times whose zone leads out of the calendar, which no time in UTC can show."""

from __future__ import annotations

import pytest

from memtrace import Memtrace

EXTREME = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]


@pytest.fixture(params=["memory", "a file"])
def client(request, tmp_path):
    with Memtrace("memory://" if request.param == "memory" else tmp_path / "agent.db") as client:
        yield client


@pytest.mark.parametrize("said", EXTREME)
def test_one_in_the_metadata_counts_as_the_servers_time(client, said):
    memory = client.memories.add(agent_id="a", content="bad tea", metadata={"occurred_at": said})
    assert memory.occurred_at == memory.time


@pytest.mark.parametrize("said", EXTREME)
def test_a_memory_with_one_breaks_no_search_and_no_prompt(client, said):
    client.memories.add(agent_id="a", content="bad tea", metadata={"occurred_at": said})
    client.memories.add(agent_id="a", content="good coffee")
    found = client.memories.search("tea or coffee", agent_id="a").memories
    assert {row.content for row in found} == {"bad tea", "good coffee"}
    for query in ("coffee", None):
        prompt = client.memories.prompt_context(query, agent_id="a")
        assert "good coffee" in prompt.text


@pytest.mark.parametrize("said", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_the_first_and_the_last_time_of_the_calendar_are_kept(client, said):
    client.memories.add(agent_id="a", content="old tea", metadata={"occurred_at": said})
    (hit,) = client.memories.search("tea", agent_id="a")
    assert f"{hit.memory.occurred_at:%m-%dT%H:%M:%S}Z" == said[5:]
    assert "old tea" in client.memories.prompt_context("tea", agent_id="a").text

"""All turns of real conversations go in through the public API and come back equal, in order."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest

from memtrace import AddMemoryRequest, Memtrace
from memtrace_transports import FakeMemtrace, ManualClock
from tests.loopback import LoopbackServer
from tests.sampling import sample

DATA = Path(__file__).parents[3] / "shared" / "data" / "locomo10.jsonl"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the conversations are not part of a clone")

PAGE = 1000


def load(client, turns):
    """Store every turn, under its own duplicate key; gives each turn's request."""
    agents, sessions, requests = {}, {}, []
    for turn in turns:
        speaker = (turn["conversation"], turn["speaker"])
        if speaker not in agents:
            agents[speaker] = client.agents.register(name=f"{turn['speaker']} of {turn['conversation']}").id
        session = (turn["conversation"], turn["session"])
        if session not in sessions:
            sessions[session] = client.sessions.create(
                agent_id=agents[speaker], metadata={"number": turn["session"]}
            ).id
        requests.append(
            AddMemoryRequest(
                agent_id=agents[speaker],
                session_id=sessions[session],
                content=turn["text"],
                dedup_key=f"{turn['conversation']}/{turn['id']}",
                metadata={"id": turn["id"], "time": turn["time"], "caption": turn.get("caption")},
            )
        )
    result = client.memories.add_many(requests)
    result.raise_for_failures()
    assert len(result.stored) == len(requests)
    return requests


def pages(read, **filters):
    rows, offset = [], 0
    while True:
        page = read(limit=PAGE, offset=offset, order="asc", **filters)
        rows += page.memories
        if not page.has_more:
            return rows
        offset += PAGE


def same(rows, requests):
    fields = ("agent_id", "session_id", "content", "dedup_key", "metadata")
    assert [[getattr(row, field) for field in fields] for row in rows] == [
        [getattr(r, field) for field in fields] for r in requests
    ]


def check(client, turns):
    requests = load(client, turns)
    same(pages(client.memories.list), requests)
    by_agent, by_session = defaultdict(list), defaultdict(list)
    for request in requests:
        by_agent[request.agent_id].append(request)
        by_session[request.session_id].append(request)
    for agent_id, expected in by_agent.items():
        same(pages(lambda agent_id=agent_id, **options: client.agents.memories(agent_id, **options)), expected)
        assert client.agents.stats(agent_id).memory_count == len(expected)
    for session_id, expected in by_session.items():
        same(client.sessions.memories(session_id, limit=PAGE, order="asc").memories, expected)
    for word in ("camping", "adoption", "Sounds great", "no such words"):
        expected = [request for request in requests if word in request.content]
        same(client.memories.filter(content_contains=word, limit=PAGE, order="asc").results, expected)


@pytest.fixture(scope="module")
def turns():
    return [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
def test_all_turns_come_back_from_the_fake_in_process(turns):
    assert len(turns) == 5882
    check(FakeMemtrace(clock=ManualClock()).client(), turns)


@pytest.mark.network
def test_turns_come_back_through_httpx_and_a_socket(turns):
    drawn = sample(range(10), 2)
    conversations = list(dict.fromkeys(turn["conversation"] for turn in turns))
    assert len(conversations) == 10
    turns = [turn for turn in turns if conversations.index(turn["conversation"]) in drawn]
    fake = FakeMemtrace(clock=ManualClock())
    with LoopbackServer(fake) as server, Memtrace(server.url, fake.organisation().api_key, clock=fake.clock) as client:
        check(client, turns)

"""The same store gives the same hits: whatever was searched before, in whichever process, and wherever the index is."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta, timezone

import pytest

from memtrace import AddMemoryRequest, Memtrace
from memtrace_transports import AsyncSqliteTransport, FakeMemtrace, ManualClock, SqliteTransport

START = datetime(2024, 3, 1, 9, tzinfo=timezone.utc)
TOPICS = ("tea", "milk", "a teapot", "yes", "sleepwalking", "operations", "what else")
QUERIES = ("tea", "milk in the teapot of sleepwalk operations")
OWNERS = ({"agent_id": "a"}, {"session_id": "s1"}, {"agent_id": "b"}, {}, {"agent_id": "a", "session_id": "s0"})


def mixed():
    """Memories of two agents in three sessions and without one, each a chat of another time than the one before it."""
    for n in range(50):
        session = f"s{n % 4}" if n % 4 < 3 else None
        at = START - timedelta(minutes=(n * 37) % 500)
        content = f"{TOPICS[n % 7]} and {TOPICS[n * n % 5]}"
        agent = "ab"[(n // 4) % 2]
        yield AddMemoryRequest(agent_id=agent, session_id=session, content=content, occurred_at=at, dedup_key=f"k{n}")


def answers(client, owner):
    """All that a search of an owner gives, and the prompts."""
    said = []
    for query in QUERIES:
        for limit in (3, 100):
            hits = client.memories.search(query, **owner, limit=limit)
            said += [(hit.memory.model_dump_json(), hit.score, hit.count, hit.previous, hit.next) for hit in hits]
        said.append(client.memories.prompt_context(query, **owner, max_tokens=300).text)
    return said


def everything(client, owners):
    """The answers for all owners, asked for in this order."""
    return dict(sorted((str(owner), answers(client, owner)) for owner in owners))


class WithoutIndex(SqliteTransport):
    """As a server is: the client has to keep the index."""

    search_path = property()


class AsyncWithoutIndex(AsyncSqliteTransport):
    search_path = property()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "agent.db"


@pytest.mark.slow
def test_whatever_was_searched_before_and_wherever_the_index_is(face, path, tmp_path):
    without = {"sync": WithoutIndex, "async": AsyncWithoutIndex}[face.kind]
    with face.client(path, clock=ManualClock()) as client:
        client.memories.add_many(mixed()).raise_for_failures()
        expected = everything(client, OWNERS)
        assert all(len(said) > 20 for said in expected.values())
    for number, owners in enumerate((OWNERS, OWNERS[::-1])):
        with face.client("memory://", transport=without(str(path))) as client:
            assert everything(client, owners) == expected
        with face.client(path, search_index=tmp_path / f"index{number}") as client:
            assert everything(client, owners) == expected


@pytest.mark.slow
def test_another_process_gives_the_same(path):
    script = f"""
from memtrace import Memtrace
from tests.resources.test_search_order import OWNERS, everything
print(everything(Memtrace("sqlite:///{path}"), OWNERS[::-1]))
"""
    with Memtrace(path) as client:
        client.memories.add_many(mixed()).raise_for_failures()
        expected = str(everything(client, OWNERS))
    run = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == expected


def test_memories_that_come_between_two_searches_change_the_order_as_if_they_had_been_there(face):
    fake, rows = FakeMemtrace(clock=ManualClock()), list(mixed())
    bit_by_bit = face.of(fake)
    for start in range(0, len(rows), 11):
        bit_by_bit.memories.add_many(rows[start : start + 11]).raise_for_failures()
        for owner in OWNERS[start % 5 :]:
            bit_by_bit.memories.search("tea", **owner)
    assert everything(bit_by_bit, OWNERS) == everything(face.of(fake), OWNERS[::-1])

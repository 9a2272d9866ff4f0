"""The public API as a user's type checker sees it; checked by mypy --strict and pyright, never run."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from datetime import datetime, timedelta, timezone

from typing_extensions import assert_type

from memtrace import (
    ActiveSession,
    AddMemoryRequest,
    Agent,
    AsyncActiveSession,
    AsyncMemtrace,
    BatchResult,
    Health,
    ListOptions,
    Memory,
    MemoryList,
    Memtrace,
    PromptContext,
    PromptContextOptions,
    SearchHit,
    SearchHits,
    SearchResult,
    Session,
    SessionContext,
)
from memtrace.context import Message, build_context
from memtrace.middleware import CallNext, Flow, Request, Response, call, lock, sleep
from memtrace_transports import AsyncHttpxTransport, FakeMemtrace, HttpxTransport, ManualClock


def keywords_and_models(client: Memtrace) -> None:
    assert_type(client.memories.add(agent_id="a", content="c", memory_type="decision", tags=["t"]), Memory)
    assert_type(client.memories.add(AddMemoryRequest(agent_id="a", content="c")), Memory)
    assert_type(client.memories.add(wait=True, agent_id="a", content="c", wait_timeout=2), Memory)
    added = client.memories.add(AddMemoryRequest(agent_id="a", content="c"), wait=True, wait_timeout=0.5)
    assert_type(client.memories.wait_until_visible(added, timeout=1), Memory)
    assert_type(client.memories.list(since=timedelta(days=1), until=datetime.now(timezone.utc), tags="a,b"), MemoryList)
    assert_type(client.memories.list(ListOptions(tags=["a"])), MemoryList)
    assert_type(client.memories.list(tags="ui", tags_match="exact", limit=5000), MemoryList)
    assert_type(client.memories.iter(ListOptions(order="asc")), Generator[Memory, None, None])
    assert_type(client.memories.iter(agent_id="a", since="24h"), Generator[Memory, None, None])
    assert_type(client.agents.memories_iter("a"), Generator[Memory, None, None])
    assert_type(client.agents.memories_iter("a", session_id="s"), Generator[Memory, None, None])
    assert_type(client.sessions.memories_iter("s", ListOptions()), Generator[Memory, None, None])
    assert_type(client.memories.filter(content_contains="x"), SearchResult)
    assert_type(client.memories.search("x", agent_id="a", tags=["t"], limit=3), SearchHits)
    assert_type(client.memories.search("x")[0], SearchHit)
    assert_type(client.recall("a", query="x", limit=3), MemoryList)
    assert_type(client.recall("a", "7d", until=timedelta(0), tags=["t"], memory_types=["entity"]), MemoryList)
    assert_type(client.recall("a")[0], Memory)
    assert_type(client.recall("a")[:3], list[Memory])
    assert_type([memory.content for memory in client.recall("a")], list[str])
    assert_type(client.agents.list()[-1], Agent)
    assert_type(client.sessions.list()[0], Session)
    assert_type(client.remember("a", "c", session_id="s", tags=["t"], importance=0.5, event_type="e"), Memory)
    assert_type(client.memories.decide("a", "d", "r", metadata={"k": 1}, dedup_key="k"), Memory)
    assert_type(client.agents.register("n", description="d"), Agent)
    assert_type(client.agents.get_or_register("n"), Agent)
    agent = client.agents.get("n")
    assert_type(client.sessions.create(agent, metadata={"k": 1}), Session)
    assert_type(client.memories.prompt_context("x", agent_id="a", recent=2), PromptContext)
    assert_type(client.sessions.prompt_context("s", query="x", max_tokens=100), PromptContext)
    assert_type(client.memories.add(agent_id="a", content="c", occurred_at=datetime.now(timezone.utc)), Memory)
    assert_type(client.memories.add_many([AddMemoryRequest(agent_id="a", content="c")]), BatchResult)
    assert_type(client.add_memories([AddMemoryRequest(agent_id="a", content="c")]), list[Memory])
    assert_type(client.agents.get_or_register(name="n", config={"k": [1]}), Agent)
    assert_type(client.agents.memories("a", limit=3), MemoryList)
    assert_type(client.sessions.update("s", status="paused"), Session)
    assert_type(client.sessions.context("s", max_tokens=3), SessionContext)
    context = client.sessions.prompt_context(
        "s", max_tokens=3, count_tokens=len, format="xml", tags="ui", since="2026-01-31"
    )
    assert_type(context, PromptContext)
    assert_type(context.messages, list[Message])
    assert_type(client.sessions.prompt_context("s", PromptContextOptions(format="messages")), PromptContext)
    assert_type(build_context(client.memories.iter(agent_id="a"), max_tokens=3, metadata_keys={"k"}), PromptContext)
    assert_type(client.health(), Health)
    assert_type(client.ready(), bool)
    assert_type(client.with_options(timeout=None, api_key="k"), Memtrace)
    with client.sessions.open(agent_id="a") as session, client.sessions.open(agent), client.sessions.open("a"):
        assert_type(session, ActiveSession)
        assert_type(session.remember("c", event_type="error"), Memory)
        assert_type(session.recall(query="x", memory_types=["entity"], limit=3), MemoryList)


async def the_same_awaited(client: AsyncMemtrace) -> None:
    assert_type(await client.memories.add(agent_id="a", content="c"), Memory)
    assert_type(await client.recall("a", since=timedelta(hours=1)), MemoryList)
    assert_type(client.memories.iter(agent_id="a"), AsyncGenerator[Memory, None])
    async for memory in client.sessions.memories_iter("s"):
        assert_type(memory, Memory)
    async with client.sessions.open(agent_id="a") as session:
        assert_type(session, AsyncActiveSession)
        assert_type(await session.decide("d", "r"), Memory)
        assert_type(await session.prompt_context(max_tokens=3), PromptContext)


def what_is_wrong_is_an_error(client: Memtrace) -> None:
    client.memories.add(agent_id="a", contnt="c")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    client.memories.add(agent_id="a", content="c", memory_type="nope")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    client.memories.list(limit="many")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    client.memories.add(wait=True, agent_id="a", content="c", timeout=2)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    client.memories.iter(tags="ui", tags_match="whole")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    client.sessions.prompt_context("s", format="html")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    client.recall(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.remember("a", "c", tag=["t"])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.memories.delete("id")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    Memtrace("memory://", max_retries=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def read_token(path: str) -> str:
    return path


async def fetch_token(url: str) -> str:
    return url


def token(request: Request, call_next: CallNext) -> Flow[Response]:
    with (yield from lock("token")):
        assert_type((yield from call(read_token, "token.txt")), str)
        assert_type((yield from call(fetch_token, "token")), str)
        yield from sleep(0.1)
    response = yield from call_next(request.with_header("authorization", "Bearer t"))
    assert_type(response, Response)
    return response


class Counter:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, request: Request, call_next: CallNext) -> Flow[Response]:
        self.calls += 1
        return (yield from call_next(request))


def made(fake: FakeMemtrace) -> None:
    Memtrace(
        "http://localhost:9100", "k", timeout=3, middleware=[token, Counter(), "installed"], attempt_middleware=[token]
    )
    AsyncMemtrace("http://localhost:9100", "k", transport=AsyncHttpxTransport(), middleware=[token])
    Memtrace("http://localhost:9100", "k", transport=HttpxTransport(), clock=ManualClock())
    assert_type(fake.client(org="acme"), Memtrace)
    assert_type(fake.async_client(org="acme"), AsyncMemtrace)

"""The contracts that the Claude Agent SDK publishes for session stores, and its own store in memory as the model."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integrations.claude_agent_sdk.stores import fake_server, run, store_on
from tests.lazily import Lazily

pytestmark = pytest.mark.framework

ours = Lazily("memtrace.integrations.claude_agent_sdk")
sdk = Lazily("claude_agent_sdk")
testing = Lazily("claude_agent_sdk.testing")


@pytest.mark.parametrize("visibility", ["immediate", "server"])
def test_the_published_contracts_hold(backend, visibility):
    async def conform():
        await testing.run_session_store_conformance(lambda: store_on(fake_server(visibility)))

    run(conform, backend)


def test_every_optional_method_is_there():
    for name in ("list_sessions", "list_session_summaries", "delete", "list_subkeys"):
        assert getattr(ours.MemtraceSessionStore, name) is not getattr(sdk.SessionStore, name)


PROJECTS = st.sampled_from(["-home-me", "a/b", "Grüße"])
SUBPATHS = st.sampled_from([None, "subagents/agent-1", "subagents/w/agent-2"])
KEYS = st.builds(
    lambda project, session, subpath: (
        {"project_key": project, "session_id": session} | ({} if subpath is None else {"subpath": subpath})
    ),
    PROJECTS,
    st.sampled_from(["s1", "s2"]),
    SUBPATHS,
)
ENTRIES = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["user", "tag", "x"]), "n": st.integers()},
        optional={
            "customTitle": st.text(max_size=3),
            "tag": st.sampled_from(["", "t"]),
            "timestamp": st.just("2026-01-01T00:00:00.000Z"),
            "message": st.just({"role": "user", "content": "hello"}),
        },
    ),
    max_size=3,
)
STEPS = st.lists(
    st.tuples(st.just("append"), KEYS, ENTRIES, st.booleans())
    | st.tuples(st.just("delete"), KEYS, st.just([]), st.booleans()),
    max_size=12,
)


@given(STEPS, st.sampled_from(["immediate", "server"]))
def test_any_sequence_by_two_stores_leads_to_what_the_store_in_memory_has(steps, visibility):
    async def compare():
        fake = fake_server(visibility)
        stores, model = [store_on(fake), store_on(fake)], sdk.InMemorySessionStore()
        for name, key, entries, which in steps:
            for store in (stores[which], model):
                await (store.append(key, entries) if name == "append" else store.delete(key))
        wanted = {}
        for _, key, _, _ in steps:
            await _same(stores[0], model, key)
            wanted[key["project_key"]] = None
        for project in wanted:
            mine = {(s["session_id"], repr(s["data"])) for s in await stores[1].list_session_summaries(project)}
            theirs = {(s["session_id"], repr(s["data"])) for s in await model.list_session_summaries(project)}
            assert {session for session, _ in mine} == {s["session_id"] for s in await stores[0].list_sessions(project)}
            assert mine == {each for each in theirs if each[0] in {session for session, _ in mine}}

    asyncio.run(compare())


async def _same(store, model, key):
    assert await store.load(key) == (await model.load(key) or None)
    assert await store.list_subkeys(key) == sorted(
        [path for path in await model.list_subkeys(key) if await model.load({**key, "subpath": path})]
    )

"""LangMem's tools on our store. `nox -s langgraph-suite` runs them: the package needs many others."""

from __future__ import annotations

import asyncio
import json

import pytest
from langmem import create_manage_memory_tool, create_search_memory_tool

from memtrace.integrations.langgraph import MemtraceStore
from memtrace.testing import FakeMemtrace

NAMESPACE = ("memories", "{langgraph_user_id}")
CONFIG = {"configurable": {"langgraph_user_id": "42"}}
INDEX = {"embed": lambda texts: [[1.0, 0.0] if "tea" in text else [0.0, 1.0] for text in texts], "fields": ["content"]}


@pytest.mark.filterwarnings("default")  # of other packages
@pytest.mark.parametrize("index", [None, INDEX], ids=["words", "vectors"])
def test_langmems_tools_store_change_delete_and_search(index):
    fake = FakeMemtrace()
    store = MemtraceStore(fake.client(), fake.async_client(), agent_id="assistant", index=index)
    manage = create_manage_memory_tool(NAMESPACE, store=store)
    search = create_search_memory_tool(NAMESPACE, store=store)

    def found(query, **more):
        return [item["value"]["content"] for item in json.loads(search.invoke({"query": query, **more}, CONFIG))]

    tea = manage.invoke({"action": "create", "content": "likes tea"}, CONFIG).split()[-1]
    home = manage.invoke({"action": "create", "content": "lives in Lisbon"}, CONFIG).split()[-1]
    assert found("tea", limit=1) == ["likes tea"]
    assert found("likes lives", filter={"content": "lives in Lisbon"}) == ["lives in Lisbon"]
    manage.invoke({"action": "update", "id": tea, "content": "likes green tea"}, CONFIG)
    manage.invoke({"action": "delete", "id": home}, CONFIG)
    assert found("tea") == ["likes green tea"]
    awaited = asyncio.run(search.ainvoke({"query": "tea"}, CONFIG))
    assert [item["key"] for item in json.loads(awaited)] == [tea]

"""What an import says where the framework is not installed."""

from __future__ import annotations

import sys

import pytest


@pytest.mark.parametrize(
    ("module", "package", "needed"),
    [
        ("crewai", "crewai.memory.storage.backend", "crewai"),
        ("openai_agents", "agents.memory", "openai-agents"),
        ("langchain", "langchain_core.chat_history", "langchain-core"),
        ("langgraph", "langgraph.store.base", "langgraph-checkpoint"),
    ],
)
def test_the_error_names_the_package_and_the_extra(monkeypatch, module, package, needed):
    name = f"memtrace.integrations.{module}"
    for loaded in [each for each in sys.modules if each == name or each.startswith(f"{name}.")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=f"{name} needs the package {needed}") as caught:
        __import__(name)
    assert f'pip install "memtrace-sdk[{module.replace("_", "-")}]"' in str(caught.value)

from __future__ import annotations

from importlib.util import find_spec

import pytest

from memtrace_transports import FakeMemtrace, ManualClock
from tests.sampling import sample

FRAMEWORKS = {
    "agent_framework": "test_agent_framework.py",
    "agents": "test_openai_agents.py",
    "anthropic": "anthropic_memory_tool",
    "autogen_core": "test_autogen.py",
    "claude_agent_sdk": "claude_agent_sdk",
    "crewai": "crewai",
    "google.adk": "test_google_adk.py",
    "llama_index": "test_llama_index.py",
    "mcp": "mcp",
    "opentelemetry": "otel",
    "pydantic_ai": "test_pydantic_ai.py",
    "pydantic_ai_harness": "test_pydantic_ai_harness.py",
    "strands": "test_strands.py",  # which the group of frameworks is without
}


def is_installed(package):
    """Whether a package is there, which may be in another that is not."""
    parents = package.split(".")
    return all(find_spec(".".join(parents[: n + 1])) is not None for n in range(len(parents)))


collect_ignore = [path for package, path in FRAMEWORKS.items() if not is_installed(package)]  # the lowest versions


@pytest.fixture(params=sample(["immediate", "server"], 1))
def fake(request):
    """A fake that shows writes at once, and one with the real server's delays; the clock moves by waiting alone."""
    return FakeMemtrace(clock=ManualClock(), visibility=request.param)

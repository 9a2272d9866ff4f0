from __future__ import annotations

from importlib.util import find_spec

import pytest

from memtrace_transports import FakeMemtrace, ManualClock

FRAMEWORKS = {
    "agents": "test_openai_agents.py",
    "anthropic": "anthropic_memory_tool",
    "claude_agent_sdk": "claude_agent_sdk",
    "crewai": "crewai",
    "mcp": "mcp",
    "opentelemetry": "otel",
}
collect_ignore = [path for package, path in FRAMEWORKS.items() if find_spec(package) is None]  # the lowest versions


@pytest.fixture(params=["immediate", "server"])
def fake(request):
    """A fake that shows writes at once, and one with the real server's delays; the clock moves by waiting alone."""
    return FakeMemtrace(clock=ManualClock(), visibility=request.param)

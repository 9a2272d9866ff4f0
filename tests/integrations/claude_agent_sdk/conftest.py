import pytest

from tests.integrations.claude_agent_sdk.stores import fake_server


@pytest.fixture(params=["immediate", "server"])
def fake(request):
    """Each test holds for a server that shows a write at once, and with the real one's delay."""
    return fake_server(request.param)


@pytest.fixture(params=["asyncio", "trio"])
def backend(request):
    return request.param

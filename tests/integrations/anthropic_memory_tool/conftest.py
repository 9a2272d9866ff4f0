import pytest

from tests.integrations.anthropic_memory_tool.faces import FACES, Tool, fake_server


@pytest.fixture(params=["immediate", "server"])
def fake(request):
    """Each test holds for a server that shows a write at once, and with the real one's delay."""
    return fake_server(request.param)


@pytest.fixture(params=FACES)
def tool(request, fake):
    return Tool(fake, request.param)

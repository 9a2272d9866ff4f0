import pytest

from tests.dealing import VISIBILITIES
from tests.integrations.anthropic_memory_tool.faces import FACES, Tool, fake_server
from tests.sampling import crossed

AXES = {"fake": VISIBILITIES, "tool": FACES, "face": FACES}


def pytest_generate_tests(metafunc):
    """Each test holds on every fake and every face, which are crossed."""
    asked = [name for name in AXES if name in metafunc.fixturenames]
    if asked:
        metafunc.parametrize(asked, crossed(*(AXES[name] for name in asked)), indirect=True)


@pytest.fixture
def fake(request):
    """Each test holds for a server that shows a write at once, and with the real one's delay."""
    return fake_server(request.param)


@pytest.fixture
def tool(request, fake):
    return Tool(fake, request.param)


@pytest.fixture
def face(request):
    return request.param

from __future__ import annotations

import asyncio

import pytest

from tests.faces import Face


@pytest.fixture(params=["sync", "async"])
def face(request):
    loop = asyncio.new_event_loop()
    yield Face(request.param, loop)
    loop.close()


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("BASE_URL", "API_KEY", "TRANSPORT", "TIMEOUT"):
        monkeypatch.delenv(f"MEMTRACE_{name}", raising=False)

"""An importance of 0 is none on every store: it is accepted, as in 0.2.0, and reads back as None."""

from __future__ import annotations

import pytest

from memtrace.testing import FakeMemtrace
from memtrace_transports.memory.server import LiveServer
from tests.dealing import by_face

CREATED = {"memory": "memory://", "file": "sqlite:///{folder}/agent.db"}
SERVED = {"fake on a port": None, "file on a port": "sqlite:///{folder}/served.db"}


@pytest.fixture
def client(face, store, tmp_path):
    if store in CREATED:
        with face.client(CREATED[store].format(folder=tmp_path), "mtk_of_acme") as made:
            yield made
        return
    where = SERVED[store] and SERVED[store].format(folder=tmp_path)
    fake = FakeMemtrace(store=where)
    fake.organisation("acme", api_key="mtk_of_acme")
    with LiveServer(fake) as server, face.client(server.url, "mtk_of_acme") as made:
        yield made


@pytest.mark.network
@by_face("store", [*CREATED, *SERVED])
def test_zero_and_none_are_the_same_wherever_an_importance_counts(client):
    written = [
        client.memories.add(agent_id="bot", content=f"tea {importance}", importance=importance)
        for importance in (0, 0.0, None, 1e-6, 1)
    ]
    expected = [None, None, None, 1e-6, 1.0]
    assert [memory.importance for memory in written] == expected
    assert [memory.importance for memory in client.memories.list(order="asc")] == expected
    by_content = {memory.content: memory.importance for memory in client.memories.search("tea").memories}
    assert [by_content[memory.content] for memory in written] == expected
    assert len(client.memories.filter(min_importance=0)) == len(client.memories.search("tea", min_importance=0)) == 5
    assert {memory.importance for memory in client.memories.filter(min_importance=1e-6)} == {1e-6, 1.0}
    prompt = client.memories.prompt_context(agent_id="bot", max_tokens=10_000).text
    assert prompt.count("importance=") == 2

"""When a memory happened, where that is not when it was stored."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from memtrace import AddMemoryRequest, InvalidRequestError
from memtrace_transports import FakeMemtrace
from tests.faces import json_response
from tests.responses import ROW

WHEN = datetime(2023, 5, 8, 15, 56, tzinfo=timezone(timedelta(hours=2)))
WRITTEN = "2023-05-08T13:56:00Z"


def test_it_is_stored_in_the_metadata_and_read_back(face):
    client = face.of(FakeMemtrace(strict=True))
    for store in (
        lambda: client.memories.add(agent_id="a", content="by keywords", occurred_at=WHEN, metadata={"k": 1}),
        lambda: client.memories.add(AddMemoryRequest(agent_id="a", content="by a request", occurred_at=WHEN)),
        lambda: client.memories.remember("a", "by a word", occurred_at=WHEN),
        lambda: client.remember("a", "by the client's word", occurred_at=WHEN),
    ):
        memory = store()
        assert memory.metadata["occurred_at"] == WRITTEN
        assert memory.occurred_at == WHEN != memory.time
    assert client.memories.list(agent_id="a").memories[-1].metadata == {"k": 1, "occurred_at": WRITTEN}
    agent = client.agents.register(name="n")
    with client.sessions.open(agent_id=agent.id) as session:
        assert session.remember("in a session", occurred_at=WHEN).occurred_at == WHEN
    batch = client.memories.add_many([AddMemoryRequest(agent_id="b", content="in a batch", occurred_at=WHEN)])
    assert batch.stored[0].occurred_at == WHEN


def test_a_memory_without_it_happened_when_it_was_stored(face):
    memory = face.of(FakeMemtrace()).remember("a", "now")
    assert memory.occurred_at == memory.time
    assert memory.metadata is None


def test_only_the_metadata_is_sent(face):
    client, transport = face.scripted(json_response(201, ROW))
    client.memories.add(agent_id="a", content="c", occurred_at=WHEN)
    assert json.loads(transport.last.body)["metadata"] == {"occurred_at": WRITTEN}
    assert "occurred_at" not in json.loads(transport.last.body)


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"occurred_at": datetime(2023, 5, 8)}, "must be an aware datetime, as in"),
        ({"occurred_at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=2)))}, "must be an aware datetime"),
        ({"occurred_at": "2023-05-08"}, "must be an aware datetime, not str"),
        ({"occurred_at": 1683547200}, "must be an aware datetime, not int"),
        (
            {"occurred_at": WHEN, "metadata": {"occurred_at": "yesterday"}},
            "must be omitted if metadata has another 'occurred_at'",
        ),
    ],
    ids=["naive", "out of the calendar", "text", "number", "twice"],
)
def test_what_names_no_point_in_time_is_refused_with_the_field(face, fields, rule):
    client, transport = face.scripted(json_response(201, ROW))
    with pytest.raises(InvalidRequestError, match=rule) as caught:
        client.memories.add(agent_id="a", content="c", **fields)
    assert caught.value.field == "occurred_at"
    assert not transport.requests


def test_a_request_says_it_once_and_reads_its_own_dump():
    request = AddMemoryRequest(agent_id="a", content="c", occurred_at=WHEN)
    assert request.occurred_at == WHEN
    assert AddMemoryRequest(**request.model_dump()).metadata == request.metadata == {"occurred_at": WRITTEN}
    again = AddMemoryRequest(agent_id="a", content="c", occurred_at=WHEN, metadata=request.metadata)
    assert again.metadata == request.metadata
    read = AddMemoryRequest.model_validate_json('{"agent_id":"a","content":"c","occurred_at":"2023-05-08T13:56:00Z"}')
    assert read.metadata == request.metadata
    with pytest.raises(ValidationError, match="occurred_at"):
        AddMemoryRequest(agent_id="a", content="c", occurred_at=datetime(2023, 5, 8))


def test_a_caller_s_metadata_is_not_changed():
    metadata = {"k": 1}
    AddMemoryRequest(agent_id="a", content="c", occurred_at=WHEN, metadata=metadata)
    assert metadata == {"k": 1}

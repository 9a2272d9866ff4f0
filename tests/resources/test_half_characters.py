"""Half of a character in what is sent: refused before anything is sent, wherever it stands and however the object was made."""

from __future__ import annotations

import dataclasses
import enum
import pathlib
from collections import Counter, OrderedDict, deque
from typing import Any

import pytest
from pydantic import BaseModel

from memtrace import (
    AddMemoryRequest,
    ContextOptions,
    CreateSessionRequest,
    InvalidRequestError,
    ListOptions,
    RegisterAgentRequest,
    SearchQuery,
    UpdateSessionRequest,
)
from memtrace.context import PromptContextOptions
from tests.dealing import by_face
from tests.faces import json_response
from tests.responses import SESSION

HALF = "a\ud800"


class Model(BaseModel):
    inside: Any


@dataclasses.dataclass
class Data:
    inside: Any


class Kind(enum.Enum):
    HALF = HALF


class Text(str):
    __slots__ = ()


HOLDERS = {
    "a value": HALF,
    "a key": {HALF: 1},
    "keys that collide": dict.fromkeys(["\ud800", "\ud801"], 1),
    "beside the replacement character": {"\ufffd": HALF},
    "a list": [HALF],
    "a tuple": ({HALF: 1},),
    "a set": {HALF},
    "a queue": deque([{HALF: 1}]),
    "an ordered dict": OrderedDict({HALF: 1}),
    "a counter": Counter([HALF]),
    "a model": Model(inside=HALF),
    "a model by hand": Model.model_construct(inside={HALF: 1}),
    "a dataclass": Data({HALF: 1}),
    "an enum": Kind.HALF,
    "a key that is an enum": {Kind.HALF: 1},
    "a subclass": {Text(HALF): Text(HALF)},
    "a path": pathlib.PurePosixPath("a\udcff"),
}
WRITES = {
    "memories.add": lambda client, held: client.memories.add(agent_id="a", content="c", metadata=held),
    "memories.add by hand": lambda client, held: client.memories.add(_memory(metadata=held)),
    "memories.add_many": lambda client, held: _add_as_batch(client, _memory(metadata=held)),
    "agents.register": lambda client, held: client.agents.register(name="n", config=held),
    "agents.get_or_register": lambda client, held: client.agents.get_or_register(name="n", config=held),
    "sessions.create": lambda client, held: client.sessions.create(agent_id="a", metadata=held),
    "sessions.create by hand": lambda client, held: client.sessions.create(
        CreateSessionRequest.model_construct(agent_id="a", metadata=held)
    ),
    "sessions.update": lambda client, held: client.sessions.update("s", metadata=held),
    "request": lambda client, held: client.request("POST", "/api/v1/memories", json={"metadata": held}),
    "request with a model": lambda client, held: client.request("POST", "/api/v1/memories", json=Model(inside=held)),
}


def _memory(**fields):
    given = {"agent_id": "a", "content": "c", "event_type": "e", "memory_type": "episodic", **fields}
    return AddMemoryRequest.model_construct(**given)


def _add_as_batch(client, request):
    (outcome,) = client.memories.add_many([request])
    raise outcome.error


def refused(face, call):
    client, transport = face.scripted()
    with pytest.raises(InvalidRequestError) as caught:
        call(client)
    assert transport.requests == []
    assert "\ud800" not in str(caught.value)
    str(caught.value).encode()
    return caught.value


@by_face(("write", "holder"), [(write, holder) for write in WRITES for holder in HOLDERS])
def test_in_what_a_write_holds(face, write, holder):
    held = HOLDERS[holder]
    refused(face, lambda client: WRITES[write](client, {"inside": held}))
    if isinstance(held, dict):
        refused(face, lambda client: WRITES[write](client, held))


@by_face("field", ["content", "agent_id", "session_id", "event_type", "memory_type", "dedup_key", "parent_id", "tags"])
def test_in_each_field_of_a_memory_made_by_hand(face, field):
    request = _memory(**{field: [HALF] if field == "tags" else HALF})
    assert refused(face, lambda client: client.memories.add(request)).field.startswith(field)
    refused(face, lambda client: _add_as_batch(client, request))


@by_face(
    "call",
    [
        lambda client: client.memories.list(ListOptions.model_construct(tags=HALF)),
        lambda client: client.memories.filter(SearchQuery.model_construct(content_contains=HALF)),
        lambda client: client.agents.register(RegisterAgentRequest.model_construct(name=HALF)),
        lambda client: client.sessions.update("s", UpdateSessionRequest.model_construct(status=HALF)),
        lambda client: client.sessions.context("s", ContextOptions.model_construct(include_types=[HALF])),
        lambda client: client.sessions.prompt_context("s", PromptContextOptions.model_construct(tags_match=HALF)),
        lambda client: client.agents.get(HALF),
        lambda client: client.sessions.list(HALF),
    ],
)
def test_in_other_objects_made_by_hand(face, call):
    refused(face, call)


def test_in_an_open_session(face):
    client, transport = face.scripted(*[json_response(200, SESSION)] * 2)
    with client.sessions.open(agent_id="a") as session:
        for call in (
            lambda: session.remember(HALF),
            lambda: session.decide("yes", HALF),
            lambda: session.remember("c", metadata={HALF: 1}),
        ):
            with pytest.raises(InvalidRequestError):
                call()
    assert [request.method for request in transport.requests] == ["POST", "PUT"]


def test_in_what_can_be_read_once_alone(face):
    once = (text for text in [HALF])
    assert refused(face, lambda client: client.memories.add(_memory(metadata={"inside": once}))).field == "metadata"

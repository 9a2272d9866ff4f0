"""What users of memtrace-sdk 0.2.0 wrote: names, calls, requests on the wire, exceptions."""

from __future__ import annotations

import importlib
import inspect
import json
import pickle
import subprocess
import sys

import httpx
import pytest
import respx

import memtrace
from memtrace import (
    AddMemoryRequest,
    AsyncMemtrace,
    AuthenticationError,
    ConflictError,
    ContextOptions,
    CreateSessionRequest,
    ListOptions,
    MemoryList,
    Memtrace,
    MemtraceError,
    NoArcInstanceError,
    NotFoundError,
    RegisterAgentRequest,
    SearchQuery,
)
from tests.dealing import by_face
from tests.faces import ONCE, json_response
from tests.responses import AGENT, MEMORIES, ROW, SESSION, STATS

ADD = AddMemoryRequest(agent_id="a", memory_type="episodic", event_type="general", content="c")

CALLS = [
    ("remember", ("a", "c"), {}, 201, ROW, "POST", "/memories", ADD.model_dump(exclude_none=True)),
    (
        "decide",
        ("a", "c", "why"),
        {},
        201,
        ROW,
        "POST",
        "/memories",
        {
            "agent_id": "a",
            "content": "c",
            "memory_type": "decision",
            "event_type": "decision",
            "metadata": {"reasoning": "why"},
        },
    ),
    ("recall", ("a",), {}, 200, MEMORIES, "GET", "/memories?agent_id=a&since=24h&limit=100&order=desc", None),
    (
        "recall",
        ("a",),
        {"since": "7d"},
        200,
        MEMORIES,
        "GET",
        "/memories?agent_id=a&since=7d&limit=100&order=desc",
        None,
    ),
    ("add_memory", (), {"req": ADD}, 201, ROW, "POST", "/memories", ADD.model_dump(exclude_none=True)),
    (
        "add_memories",
        (),
        {"memories": [ADD]},
        201,
        f'{{"memories":[{ROW}],"count":1}}',
        "POST",
        "/memories",
        {"memories": [ADD.model_dump(exclude_none=True)]},
    ),
    (
        "list_memories",
        (),
        {"opts": ListOptions(agent_id="a", memory_type="decision", tags="x,y", since="7d", limit=50, order="asc")},
        200,
        MEMORIES,
        "GET",
        "/memories?agent_id=a&memory_type=decision&tags=x%2Cy&since=7d&limit=50&order=asc",
        None,
    ),
    (
        "search_memories",
        (),
        {"query": SearchQuery(agent_id="a", memory_types=["episodic"], content_contains="dark", min_importance=0.5)},
        200,
        f'{{"results":[{ROW}],"count":1,"query_time_ms":3}}',
        "POST",
        "/search",
        {"agent_id": "a", "memory_types": ["episodic"], "content_contains": "dark", "min_importance": 0.5},
    ),
    (
        "register_agent",
        (),
        {"req": RegisterAgentRequest(name="x", description="d", config={"model": "m"})},
        201,
        AGENT,
        "POST",
        "/agents",
        {"name": "x", "description": "d", "config": {"model": "m"}},
    ),
    ("list_agents", (), {}, 200, f'{{"agents":[{AGENT}],"count":1}}', "GET", "/agents", None),
    ("get_agent", ("agent_1",), {}, 200, AGENT, "GET", "/agents/agent_1", None),
    ("get_agent_stats", (), {"agent_id": "agent_1"}, 200, STATS, "GET", "/agents/agent_1/stats", None),
    ("get_agent_memories", ("a",), {}, 200, MEMORIES, "GET", "/agents/a/memories", None),
    (
        "get_agent_memories",
        ("a", ListOptions(agent_id="zz", limit=20, since="24h")),
        {},
        200,
        MEMORIES,
        "GET",
        "/agents/a/memories?since=24h&limit=20",
        None,
    ),
    ("delete_agent", ("agent_1",), {}, 204, "", "DELETE", "/agents/agent_1", None),
    (
        "create_session",
        (),
        {"req": CreateSessionRequest(agent_id="a", metadata={"t": 1})},
        201,
        SESSION,
        "POST",
        "/sessions",
        {"agent_id": "a", "metadata": {"t": 1}},
    ),
    ("get_session", (), {"session_id": "s"}, 200, SESSION, "GET", "/sessions/s", None),
    ("list_sessions", (), {}, 200, f'{{"sessions":[{SESSION}],"count":1}}', "GET", "/sessions", None),
    ("list_sessions", (), {"agent_id": "a"}, 200, '{"sessions":[],"count":0}', "GET", "/sessions?agent_id=a", None),
    ("close_session", ("s",), {}, 200, SESSION, "PUT", "/sessions/s", {"status": "closed"}),
    (
        "get_session_context",
        ("s", ContextOptions(since="2h", include_types=["episodic"], max_tokens=4000)),
        {},
        200,
        '{"session_id":"s","context":"","memory_count":0}',
        "POST",
        "/sessions/s/context",
        {"since": "2h", "include_types": ["episodic"], "max_tokens": 4000},
    ),
    (
        "get_session_context",
        ("s",),
        {},
        200,
        '{"session_id":"s","context":"","memory_count":0}',
        "POST",
        "/sessions/s/context",
        {},
    ),
    ("get_session_memories", ("s",), {}, 200, MEMORIES, "GET", "/sessions/s/memories", None),
    (
        "get_session_memories",
        ("s",),
        {"opts": ListOptions(session_id="zz", memory_type="decision", limit=5)},
        200,
        MEMORIES,
        "GET",
        "/sessions/s/memories?memory_type=decision&limit=5",
        None,
    ),
]


@by_face(("method", "args", "kwargs", "status", "answer", "verb", "target", "body"), CALLS)
def test_each_flat_method_sends_what_it_always_sent(face, method, args, kwargs, status, answer, verb, target, body):
    client, transport = face.scripted(json_response(status, answer))
    getattr(client, method)(*args, **kwargs)
    (request,) = transport.requests
    assert (request.method, request.target) == (verb, "/api/v1" + target)
    assert (None if request.body is None else json.loads(request.body)) == body
    assert request.headers["x-api-key"] == "mtk_key"
    assert request.headers.get("content-type") == (None if body is None else "application/json")
    assert request.timeout == 30.0


@by_face("method", ["get_agent", "get_agent_stats", "delete_agent", "get_agent_memories"])
@pytest.mark.parametrize(
    ("given", "sent"), [("a/b/c", "a%2Fb%2Fc"), ("../admin", "..%2Fadmin"), ("a b?c#é", "a%20b%3Fc%23%C3%A9")]
)
def test_path_segments_are_sent_percent_encoded(face, method, given, sent):
    client, transport = face.scripted(json_response(404, '{"error":"agent not found"}'))
    with pytest.raises(NotFoundError):
        getattr(client, method)(given)
    assert transport.last.path.startswith(f"/api/v1/agents/{sent}")


def test_add_memories_returns_the_rows_that_the_server_answered(face):
    client, _ = face.scripted(json_response(201, f'{{"memories":[{ROW}],"count":1}}'))
    rows = client.add_memories([ADD])
    assert type(rows) is list
    assert rows[0].content == "c"


def test_an_answer_is_of_the_model_that_it_always_was(face):
    client, _ = face.scripted(json_response(200, MEMORIES))
    answer = client.recall("a")
    assert isinstance(answer, MemoryList)
    assert (answer.count, answer.has_more, answer.memories[0].agent_id) == (1, False, "a")


@by_face(
    ("status", "body", "kind", "message"),
    [
        (401, '{"error":"invalid API key"}', AuthenticationError, "invalid API key"),
        (404, '{"error":"agent not found"}', NotFoundError, "agent not found"),
        (409, '{"error":"duplicate memory"}', ConflictError, "duplicate memory"),
        (503, '{"error":"No Arc Instance configured"}', NoArcInstanceError, "No Arc Instance configured"),
        (503, '{"error":"down"}', MemtraceError, "down"),
        (500, '{"error":"boom"}', MemtraceError, "boom"),
        (502, "", MemtraceError, "HTTP 502"),
        (502, "<html>bad gateway</html>", MemtraceError, "<html>bad gateway</html>"),
        (500, "{}", MemtraceError, "HTTP 500"),
    ],
)
def test_statuses_raise_what_they_always_raised_and_once_means_once(face, status, body, kind, message):
    client, transport = face.scripted(lambda _: json_response(status, body), retry=ONCE)
    with pytest.raises(kind) as caught:
        client.remember("a", "c")
    assert (caught.value.message, caught.value.status_code) == (message, status)
    assert isinstance(caught.value, MemtraceError)
    assert isinstance(caught.value, NoArcInstanceError) == (kind is NoArcInstanceError)
    assert len(transport.requests) == 1


NO_ARC = "no arc instance configured for this org"


@pytest.mark.parametrize(
    ("error", "message", "status"),
    [
        (MemtraceError("text"), "text", 0),
        (MemtraceError("text", 507), "text", 507),
        (MemtraceError(message="text", status_code=507), "text", 507),
        (AuthenticationError(), "Invalid or missing API key", 401),
        (AuthenticationError("text"), "text", 401),
        (NotFoundError(), "Resource not found", 404),
        (NotFoundError(message="text"), "text", 404),
        (ConflictError(), "Conflict", 409),
        (ConflictError("text"), "text", 409),
        (NoArcInstanceError(), NO_ARC, 503),
        (NoArcInstanceError("text"), "text", 503),
        (NoArcInstanceError(message=""), "", 503),
    ],
    ids=repr,
)
def test_an_exception_made_by_hand_has_the_text_and_the_attributes_that_it_always_had(error, message, status):
    for one in (error, pickle.loads(pickle.dumps(error))):
        assert (str(one), one.message, one.status_code, one.args) == (message, message, status, (message,))
        assert repr(one) == f"{type(error).__name__}({message!r})"


def test_an_exception_made_of_anything_has_the_text_of_that():
    for kind in (MemtraceError, AuthenticationError, NotFoundError, ConflictError, NoArcInstanceError):
        assert (str(kind(ValueError("text"))), str(kind(None)), str(kind(5))) == ("text", "None", "5")


def test_modules_and_names_are_where_they_always_were():
    for module in ("memtrace", "memtrace.client", "memtrace.async_client", "memtrace.models", "memtrace.exceptions"):
        importlib.import_module(module)
    assert memtrace.client.Memtrace is Memtrace
    assert memtrace.async_client.AsyncMemtrace is AsyncMemtrace
    assert memtrace.models.Memory is memtrace.Memory
    assert memtrace.exceptions.NotFoundError is NotFoundError
    assert memtrace.__version__


def test_submodules_resolve_after_a_plain_import():
    code = "import memtrace; print(memtrace.models.Memory.__name__, memtrace.client.Memtrace.__name__, memtrace.exceptions.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["Memory", "Memtrace", "memtrace.exceptions"]


def test_parameters_have_the_names_that_they_always_had():
    expected = {
        "remember": ["agent_id", "content"],
        "recall": ["agent_id", "since"],
        "decide": ["agent_id", "decision", "reasoning"],
        "add_memory": ["req"],
        "add_memories": ["memories"],
        "list_memories": ["opts"],
        "search_memories": ["query"],
        "register_agent": ["req"],
        "list_agents": [],
        "get_agent": ["agent_id"],
        "get_agent_stats": ["agent_id"],
        "get_agent_memories": ["agent_id", "opts"],
        "delete_agent": ["agent_id"],
        "create_session": ["req"],
        "get_session": ["session_id"],
        "get_session_context": ["session_id", "opts"],
        "get_session_memories": ["session_id", "opts"],
        "list_sessions": ["agent_id"],
        "close_session": ["session_id"],
        "close": [],
    }
    for kind in (Memtrace, AsyncMemtrace):
        for name, parameters in expected.items():
            found = inspect.signature(getattr(kind, name)).parameters.values()
            positional = [parameter.name for parameter in found if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
            assert positional[1:] == parameters
            assert all(parameter.default is not parameter.empty for parameter in list(found)[len(positional) :])
        assert list(inspect.signature(kind).parameters)[:3] == ["base_url", "api_key", "timeout"]
        assert inspect.signature(kind).parameters["timeout"].default == 30.0


@respx.mock
def test_tests_that_mock_httpx_with_respx_go_on_working():
    route = respx.post("http://localhost:9100/api/v1/memories").mock(return_value=httpx.Response(201, content=ROW))
    with Memtrace("http://localhost:9100/", "mtk_key") as client:
        assert client.remember("a", "c").content == "c"
    assert route.calls.last.request.headers["x-api-key"] == "mtk_key"
    assert json.loads(route.calls.last.request.content)["content"] == "c"


class Audited(Memtrace):
    """Users override the long form, and use names that the new client has too."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.seen = []
        self.agents = {}
        self.sessions = {}
        self.memories = []

    def add_memory(self, req):
        self.seen.append(req.content)
        return super().add_memory(req)

    def list_memories(self, opts):
        self.seen.append(opts.agent_id)
        return super().list_memories(opts)


def test_subclasses_that_override_the_long_form_see_the_short_one():
    client = Audited("memory://", "key")
    client.remember("a", "one")
    client.decide("a", "two", "why")
    client.recall("a")
    assert client.seen == ["one", "two", "a"]


def test_subclasses_may_use_the_names_of_the_resources():
    client = Audited("memory://", "key")
    agent = client.register_agent(RegisterAgentRequest(name="x"))
    session = client.create_session(CreateSessionRequest(agent_id=agent.id))
    client.add_memories([AddMemoryRequest(agent_id=agent.id, session_id=session.id, content="c")])
    assert client.get_session_memories(session.id).count == client.get_agent_memories(agent.id).count == 1
    assert (client.agents, client.sessions, client.memories) == ({}, {}, [])

"""Strict mode: what the server ignores or caps is an error, what is only surprising a warning; the SDK passes."""

from __future__ import annotations

import json
import warnings
from datetime import timedelta

import pytest

from memtrace import AddMemoryRequest, APIConnectionError, ConflictError, InvalidRequestError
from memtrace._cli.walkthrough import run_steps
from memtrace.transport import Headers, Request
from memtrace_transports.memory import FakeMemtrace, Fault, StrictModeError, StrictModeWarning
from tests.docs import pages
from tests.faces import ONCE
from tests.fake.caller import Caller


@pytest.fixture
def api(strict: FakeMemtrace) -> Caller:
    return Caller(strict, strict.organisation("default"))


def seeded(fake: FakeMemtrace) -> None:
    fake.seed_agent("default", "assistant", id="agent_of_the_test")
    fake.seed_session("default", "agent_of_the_test", id="sess_of_the_test")


# what the SDK sends


def test_every_method_of_a_client_passes(strict, face):
    client = face.of(strict)
    agent = client.agents.register(name="bot", description="d", config={"a": 1}).id
    client.memories.add(
        agent_id=agent, content="x", tags=["ui"], importance=0.5, metadata={"a": 1}, dedup_key="k", parent_id="p"
    )
    client.memories.add_many([AddMemoryRequest(agent_id=agent, content=f"{n}", event_type="e") for n in range(150)])
    with client.sessions.open(agent_id=agent, metadata={"a": 1}) as session:
        session.remember("one", tags=["ui"])
        session.decide("two", "three")
        session.recall(since="1h", limit=5, order="asc")
        assert session.context(since="2h", include_types=["episodic"]).memory_count == 1
    for since in ("24h", timedelta(days=1), "2020-01-01", None):
        client.recall(agent, since=since)
    filters = {"memory_type": "episodic", "event_type": "e", "tags": ["ui"], "since": "1h", "until": "2030-01-01"}
    everything = {**filters, "limit": 1000, "offset": 3, "order": "asc"}
    client.memories.list(agent_id=agent, session_id="s", **everything)
    client.memories.list(tags=[""], offset=0, order="desc")
    client.memories.filter(
        agent_id=agent, session_id="s", memory_types=["episodic"], event_types=["e"], tags=["ui"], content_contains="x",
        min_importance=0.1, since="1h", until="2030-01-01", limit=1000, order="asc",
    )  # fmt: skip
    client.memories.filter()
    client.agents.list()
    client.agents.get("bot")
    client.agents.get_or_register(name="bot")
    client.agents.memories(agent)
    client.agents.memories(agent, since="")
    client.agents.memories(agent, session_id="s", **everything)
    client.agents.stats(agent)
    client.sessions.list()
    client.sessions.list(agent_id=agent)
    found = client.sessions.create(agent_id=agent).id
    client.sessions.get(found)
    client.sessions.update(found, status="paused", metadata={})
    client.sessions.memories(found, agent_id=agent, **everything)
    client.sessions.context(found)
    client.sessions.close(found)
    client.health()
    client.ready()
    client.agents.delete(client.agents.register(name="free").id)


def test_the_walk_through_passes_without_a_warning(strict):
    seeded(strict)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seen = run_steps(strict.client())
    assert seen.agent.id == "agent_of_the_test"
    assert [memory.content for memory in seen.recalled.memories][-1] == "User prefers dark mode"


def test_the_readme_passes_without_a_warning(strict, capsys):
    seeded(strict)
    readme = (pages.ROOT / "README.md").read_text(encoding="utf-8")
    code = "\n".join(pages.python_blocks(pages.section(readme, "A walk-through")))
    own = code.replace('Memtrace("memory://")', "fake.client()")
    assert own != code
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(own, "README.md", "exec"), {"__name__": "readme", "fake": strict})
    assert "250 stored, 0 duplicates, 0 failed" in capsys.readouterr().out
    strict.calls.assert_called("sessions.create", agent_id="agent_of_the_test", times=1)


# what is silently ignored or capped

QUERIES = [
    ("/memories?limit=1001", "limit=1001 silently becomes 100, since it is not a whole number from 1 to 1000"),
    ("/memories?limit=0", "limit=0 silently becomes 100"),
    ("/memories?limit=-1", "limit=-1 silently becomes 100"),
    ("/memories?limit=ten", "limit=ten silently becomes 100"),
    ("/memories?limit=99999999999999999999", "silently becomes 100"),
    ("/agents/a/memories?limit=1.5", "agents.memories: limit=1.5 silently becomes 100"),
    ("/sessions/s/memories?limit=2000", "sessions.memories: limit=2000 silently"),
    ("/memories?offset=-1", "offset=-1 silently becomes 0"),
    ("/memories?offset=x", "offset=x silently becomes 0"),
    ("/memories?offset=%D9%A3", "silently becomes 0"),
    ("/memories?order=ASC", "order=ASC silently means newest first"),
    ("/memories?until=now", "until=now is ignored"),
    ("/memories?Limit=5", "memories.list does not read the parameter 'Limit'"),
    ("/memories?tags=a&tags=b", "of tags, which is given twice, only the first counts"),
    ("/memories?=x", "does not read the parameter ''"),
    ("/agents?limit=5", "agents.list does not read the parameter 'limit', and ignores it; it reads none"),
    (
        "/agents/a/memories?tags=ui",
        "the parameter 'tags', and ignores it; it reads event_type, limit, memory_type, order, since",
    ),
    ("/agents/a/memories?offset=1", "'offset'"),
    ("/sessions/s/memories?event_type=error", "'event_type'"),
    (
        "/sessions?status=active",
        "sessions.list does not read the parameter 'status', and ignores it; it reads agent_id",
    ),
    ("/agents/a/stats?since=1h", "agents.stats does not read"),
    ("/memories/text?limit=1", "memories.find does not read"),
]


@pytest.mark.parametrize(("path", "rule"), QUERIES, ids=[path for path, _ in QUERIES])
def test_a_parameter_that_is_ignored_or_capped_is_an_error_with_the_rule(api, path, rule):
    with pytest.raises(StrictModeError) as caught:
        api.get(path)
    assert rule in str(caught.value)


@pytest.mark.parametrize(("path", "rule"), QUERIES, ids=[path for path, _ in QUERIES])
def test_outside_of_strict_mode_it_is_answered(fake, path, rule):
    assert Caller(fake, fake.organisation()).get(path).status in (200, 404)


@pytest.mark.parametrize(
    "path",
    [
        "/memories?limit=1000&offset=0&order=desc&until=2030-01-01&since=1h",
        "/memories?limit=%2B0100&offset=%2B5",
        "/memories?limit=&offset=&order=&until=&since=&tags=&memory_type=",
        "/memories?",
        "/memories?&&limit=5&#fragment=1",
        "/agents/a/memories?since=",
        "/memories?tags=a,b",
    ],
)
def test_parameters_that_are_read_pass(api, path):
    assert api.get(path).status == 200


BODIES = [
    ("POST", "/memories", {"agent_id": "a", "content": "x", "time": "2020-01-01"}, "does not read the field 'time'"),
    (
        "POST",
        "/memories",
        {"memories": [{"agent_id": "a", "content": "x", "agent": 1}]},
        "the field 'agent', and ignores",
    ),
    ("POST", "/memories", {"memories": [{"memories": []}]}, "does not read the field 'memories'"),
    ("POST", "/memories", {"memories": [{"agent_id": "a"}], "content": "x"}, "beside memories the field 'content'"),
    ("POST", "/memories", {"memories": "x", "agent_id": "a", "content": "x"}, "beside memories the field 'agent_id'"),
    ("POST", "/memories", {"memories": [], "agent_id": "a", "content": "x"}, "beside memories the field 'agent_id'"),
    ("POST", "/search", {"content_contains": "a\0b"}, "the NUL in content_contains is silently left out"),
    ("POST", "/search", {"min_importance": -0.5}, "min_importance=-0.5 is ignored, since it is below 0"),
    ("POST", "/search", {"offset": 5}, "memories.filter does not read the field 'offset', and ignores it; it reads"),
    (
        "POST",
        "/search",
        {"limit": 1001},
        "limit=1001 silently becomes 50, since it is not a whole number from 1 to 1000",
    ),
    ("POST", "/search", {"limit": 0}, "limit=0 silently becomes 50"),
    ("POST", "/search", {"LIMIT": -5}, "limit=-5 silently becomes 50"),
    ("POST", "/search", {"order": "newest"}, "order=newest silently means newest first"),
    ("POST", "/search", {"until": "now"}, "until=now is ignored"),
    ("POST", "/search", {"limit": 1, "Limit": 2}, "of limit, which is given twice, only the last counts"),
    ("POST", "/agents", {"name": "a", "metadata": {}}, "agents.register does not read the field 'metadata'"),
    ("POST", "/sessions", {"agent_id": "a", "id": "s"}, "sessions.create does not read the field 'id'"),
    ("PUT", "/sessions/s", {"agent_id": "a"}, "it reads metadata, status"),
    ("POST", "/sessions/s/context", {"since": "2026-01-01"}, "since=2026-01-01 silently becomes 24h"),
    ("POST", "/sessions/s/context", {"since": "1w"}, "since=1w silently becomes 24h"),
    (
        "POST",
        "/sessions/s/context",
        {"since": False},
        "cannot unmarshal bool into Go struct field ContextRequest.since",
    ),
    ("POST", "/sessions/s/context", {"since": 24}, "so that silently all defaults hold"),
    ("POST", "/sessions/s/context", {"max_tokens": 1.5}, "so that silently all defaults hold"),
    ("POST", "/sessions/s/context", {"include_types": "decision"}, "so that silently all defaults hold"),
    ("POST", "/sessions/s/context", {"limit": 5}, "sessions.context does not read the field 'limit'"),
    ("POST", "/sessions/s/context", [1], "the body cannot be read (it is not an object)"),
    ("GET", "/memories", {"limit": 5}, "memories.list does not read the field 'limit', and ignores it; it reads none"),
    ("DELETE", "/agents/a", {"force": True}, "agents.delete does not read the field 'force'"),
]


@pytest.mark.parametrize(("method", "path", "body", "rule"), BODIES)
def test_a_field_that_is_ignored_or_capped_is_an_error_with_the_rule(api, method, path, body, rule):
    with pytest.raises(StrictModeError) as caught:
        api.raw(method, path, json.dumps(body).encode())
    assert rule in str(caught.value)
    assert api.contents() == []


def test_a_context_whose_body_or_content_type_cannot_be_read_is_an_error(api):
    for body, content_type, rule in (
        (b"{", "application/json", "unexpected end of JSON input"),
        (b"{}", "text/plain", "Unprocessable Entity"),
        (b'{"since":"2h"}', None, "Unprocessable Entity"),
    ):
        with pytest.raises(StrictModeError, match=rule):
            api.raw("POST", "/sessions/s/context", body, content_type)


def test_a_form_is_an_error_where_fields_are_read(api):
    form = "application/x-www-form-urlencoded"
    with pytest.raises(StrictModeError, match=r"memories\.filter: a form is read as an object without fields"):
        api.raw("POST", "/search", b"limit=5", form)
    assert api.raw("GET", "/agents", b"limit=5", form).status == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/memories", b"{", 400),
        ("POST", "/memories", b"[1]", 400),
        ("POST", "/memories", b"null", 400),
        ("POST", "/memories", b'{"memories":[]}', 400),
        ("POST", "/memories", b'{"memories":null,"agent_id":"a","content":"x"}', 201),
        ("POST", "/memories", b'{"memories":["x"]}', 400),
        ("POST", "/memories", b'{"memories":{"a":1}}', 400),
        ("POST", "/search", b'{"limit":1.5}', 400),
        ("POST", "/search", b'{"min_importance":0,"content_contains":null}', 200),
        ("POST", "/search", b'{"min_importance":-0.0,"content_contains":""}', 200),
        ("POST", "/search", b'{"min_importance":0.123456,"content_contains":"x"}', 200),
        ("POST", "/search", b'{"min_importance":1e999}', 400),
        ("POST", "/search", b'{"min_importance":"-1","content_contains":0}', 400),
        ("POST", "/search", b'{"agent_id":"a\\u0000","tags":["\\u0000"]}', 500),
        ("GET", "/memories?agent_id=a%00", b"", 500),
        ("POST", "/memories", b'{"agent_id":"a","content":"x\\u0000y\\\\","dedup_key":"k"}', 201),
        ("POST", "/memories", b'{"agent_id":"a","content":"x","dedup_key":1}', 400),
        ("POST", "/search", b'{"limit":"5","order":1,"until":1,"memory_types":1}', 400),
        ("POST", "/search", b'{"limit":1,"order":"","until":"","memory_types":["episodic"]}', 200),
        ("POST", "/sessions/s/context", b"", 200),
        ("POST", "/sessions/s/context", b"null", 200),
        ("POST", "/sessions/s/context", b'{"since":"","max_tokens":null,"include_types":null}', 200),
        ("PUT", "/sessions/s", b'{"status":"x"}', 400),
        ("GET", "/nothing?x=1", b'{"a":1}', 404),
        ("PATCH", "/memories?x=1", b'{"a":1}', 405),
    ],
)
def test_what_the_server_refuses_or_reads_is_left_to_it(api, method, path, body, status):
    assert api.raw(method, path, body).status == status


def test_the_error_passes_by_what_handles_the_sdks_errors_and_is_in_the_log(api, strict):
    assert issubclass(StrictModeError, AssertionError)
    with pytest.raises(StrictModeError):
        api.get("/memories?limit=1001")
    assert str(strict.calls[-1]) == "memories.list: GET /api/v1/memories -> no response (strict mode)"


def test_the_newest_100_errors_are_kept_until_they_are_cleared_or_the_fake_is_reset(api, strict):
    for limit in range(1001, 1103):
        with pytest.raises(StrictModeError):
            api.get(f"/memories?limit={limit}")
    assert len(strict.strict_errors) == 100
    assert str(strict.strict_errors[0]).startswith("memories.list: limit=1003 silently")
    assert str(strict.strict_errors[-1]).startswith("memories.list: limit=1102 silently")
    strict.reset()
    assert not strict.strict_errors


def test_what_the_client_refuses_never_reaches_the_fake(strict, face):
    with pytest.raises(InvalidRequestError):
        face.of(strict).memories.list(limit=0)
    with pytest.raises(InvalidRequestError):
        face.of(strict).sessions.context("s", since="2026-01-01")
    assert not strict.calls


# what is only surprising


def test_max_tokens_warns_at_the_line_of_the_caller(strict, face):
    client = face.of(strict)
    with pytest.warns(StrictModeWarning, match="the server ignores max_tokens") as caught:
        client.sessions.context("s", max_tokens=5)
    assert len(caught) == 1
    assert caught[0].filename.startswith(str(pages.ROOT)) or "asyncio" in caught[0].filename
    if face.kind == "sync":
        assert caught[0].filename == __file__


def test_a_tag_that_matches_by_substring_only_warns(strict, face):
    client = face.of(strict)
    client.memories.add(agent_id="a", content="1", tags=["gui"])
    for find in (client.memories.list, client.memories.filter):
        with pytest.warns(StrictModeWarning, match="the tag 'ui' matches as a substring"):
            assert find(tags=["ui"], tags_match="substring").count == 1
        find(tags=["gui"])
        find(tags=["other"])


def test_a_tag_among_those_of_every_row_does_not_warn(strict):
    client = strict.client()
    client.memories.add(agent_id="a", content="1", tags=["x", "ui", "gui"])
    client.memories.add(agent_id="a", content="2", tags=["ui"])
    assert client.memories.list(tags=["ui"]).count == 2


def test_contents_that_differ_after_byte_200_only_warn(strict, face):
    client = face.of(strict)
    client.remember("a", "é" * 100 + "one")
    with (
        pytest.warns(StrictModeWarning, match="duplicate of another content: only the first 200 bytes"),
        pytest.raises(ConflictError),
    ):
        client.remember("a", "é" * 100 + "two")
    with pytest.raises(ConflictError):
        client.remember("a", "é" * 100 + "one")
    client.memories.add(agent_id="b", content="one", dedup_key="k")
    with pytest.raises(ConflictError):  # and no warning: a key of one's own is there for that
        client.memories.add(agent_id="c", content="two", dedup_key="k")


@pytest.mark.parametrize("key", ["a\0b", "C:\\notes"])
def test_a_key_that_never_matches_warns(strict, face, key):
    client = face.of(strict)
    for _ in range(2):
        with pytest.warns(StrictModeWarning, match="a dedup_key with a backslash or a NUL never matches"):
            client.memories.add(agent_id="b", content="one", dedup_key=key)
    with pytest.warns(StrictModeWarning, match=r"memories\.add: a dedup_key"):
        client.memories.add_many([AddMemoryRequest(agent_id="b", content="one", dedup_key=key)])


@pytest.mark.parametrize(("asked", "used"), [(0.50000004, "0.500000"), (4e-7, "0.000000"), (0.1234567, "0.123457")])
def test_an_importance_that_is_rounded_warns(strict, face, asked, used):
    with pytest.warns(StrictModeWarning, match=f"min_importance=.* is rounded to {used}$"):
        face.of(strict).memories.filter(min_importance=asked)


def test_a_context_of_more_than_100_rows_warns_and_is_what_the_server_answers(strict, face):
    client = face.of(strict)
    row = {"agent_id": "a", "session_id": "s", "age_s": 60}
    strict.seed("default", [{**row, "content": f"{number}"} for number in range(100)])
    whole = client.sessions.context("s")
    assert (whole.memory_count, whole.context.count("\n- [")) == (100, 100)
    strict.seed("default", [{**row, "age_s": 30, "content": "newest"}])
    with pytest.warns(
        StrictModeWarning, match="there are more than 100 rows, and the context holds the newest 100 alone"
    ):
        cut = client.sessions.context("s")
    assert (cut.memory_count, cut.context.count("\n- [")) == (100, 100)
    assert "newest" in cut.context


def test_strict_mode_looks_before_a_fault_is_used_up(strict):
    client = strict.client(retry=ONCE)
    strict.faults.add(Fault("refused", on="memories.list"))
    with pytest.raises(StrictModeError, match="limit=5000"):
        strict.handle(_asking(strict, "/api/v1/memories?limit=5000"))
    with pytest.raises(APIConnectionError):
        client.recall("a")
    strict.faults.assert_all_used()


def _asking(fake, target):
    return Request("GET", "http://server", target, Headers({"x-api-key": fake.organisation().api_key}))


def test_a_type_that_matches_nothing_warns(api):
    for call in (
        lambda: api.get("/memories?memory_type=thought"),
        lambda: api.post("/search", {"memory_types": ["episodic", "thought"]}),
        lambda: api.post("/sessions/s/context", {"include_types": ["thought"]}),
    ):
        with pytest.warns(StrictModeWarning, match="'thought' is none of episodic, session, decision, entity"):
            assert call().status == 200


def test_outside_of_strict_mode_nothing_warns(fake, face):
    client = face.of(fake, retry=ONCE, dedup="server")
    client.memories.add(agent_id="a", content="x" * 200 + "1", tags=["gui"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert client.memories.list(tags=["ui"], tags_match="substring").count == 1
        client.sessions.context("s", max_tokens=5)
        with pytest.raises(ConflictError):
            client.memories.add(agent_id="a", content="x" * 200 + "2")


def test_a_warning_that_is_made_an_error_leaves_the_fake_in_order(strict):
    client = strict.client()
    client.memories.add(agent_id="a", content="1", tags=["gui"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(StrictModeWarning):
            client.memories.list(tags=["ui"])
    assert client.memories.list().count == 1
    assert len(strict.calls) == 3


def test_a_collision_is_told_beside_rows_that_were_seeded_at_the_moment_of_a_write(strict, clock):
    late = Caller(strict, strict.organisation("late", visibility="server"))
    late.add("x" * 200 + "1")
    clock.advance(0.5)
    strict.seed(late.org, [{"agent_id": "bot", "content": f"{n}", "age_s": 0.5 - 1e-6} for n in range(3)])
    strict.flush()
    assert len({memory["time"] for memory in late.get("/memories").json["memories"]}) == 4
    with pytest.warns(StrictModeWarning, match="another content"):
        assert late.add("x" * 200 + "2").status == 409

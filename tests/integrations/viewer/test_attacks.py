"""Memories that want to be more than text: in every field, on every page."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from memtrace.testing import Fault
from tests.integrations.viewer.conftest import elements

ATTACK = "\"'><script>window.hacked=1</script><img src=x onerror=hacked=1><a href=javascript:hacked=1>x</a>{{7*7}}</textarea>"
RTL = "\u202eevil\u2066"
EVERY = f"{ATTACK} {RTL} \x00\x1b[31m \U0001f600"
PAGES = (
    "timeline",
    "timeline?part=rows",
    "search?q=x",
    "decisions",
    "statistics?agent=a",
    "agents",
    "sessions?agent=a",
)


@pytest.fixture
def attacking(fake):
    """A server all of whose texts are attacks."""
    row = {
        "time": "2026-01-01T00:00:00Z",
        "org_id": EVERY,
        "agent_id": EVERY,
        "session_id": EVERY,
        "memory_type": "decision",
        "event_type": EVERY,
        "content": EVERY,
        "metadata": {EVERY: EVERY, "reasoning": EVERY},
        "tags": [EVERY],
        "dedup_key": EVERY,
        "parent_id": EVERY,
        "importance": 1,
    }
    agent = {"id": EVERY, "org_id": EVERY, "name": EVERY, "description": EVERY, "created_at": row["time"]}
    session = {**agent, "agent_id": EVERY, "status": EVERY, "metadata": {EVERY: EVERY}, "updated_at": row["time"]}
    stats = {"agent_id": EVERY, "memory_count": 1, "memories_24h": 1, "errors_24h": 1, "session_count": 1}
    answers = {
        "memories.list": {"memories": [row, {**row, "memory_type": EVERY}], "count": 2, "has_more": False},
        "agents.list": {"agents": [agent], "count": 1},
        "sessions.list": {"sessions": [session], "count": 1},
        "agents.stats": {**stats, "active_sessions": 1, "memory_types": {EVERY: 1}},
    }
    for name, answer in answers.items():
        fake.faults.add(Fault("status", on=name, status=200, body=json.dumps(answer).encode(), times=None))


def assert_harmless(html):
    """No element and no attribute of an attack is one of the page."""
    found = elements(html)
    assert not [each for tag, each in found if tag == "img"]
    assert [each for tag, each in found if tag == "script"] in ([], [{"src": "/static/viewer.js", "defer": None}])
    for tag, attributes in found:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
        for name in ("href", "src", "action"):
            assert attributes.get(name, "/").startswith(("/", "#")), attributes
            assert not attributes.get(name, "/").startswith("//")
    assert "{{7*7}}" in html or "49" not in html
    assert not set(map(chr, range(32))) - {"\t", "\n"} & set(html)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_shows_it_as_text(attacking, get, path):
    response = get(f"/{path}")
    assert response.status_code == 200
    assert_harmless(response.text)
    if path != "statistics?agent=a":
        assert "&lt;script&gt;" in response.text


def test_the_chosen_memory_is_text_and_its_snippets_are_quoted(attacking, get):
    page = get("/timeline").text
    chosen = next(each["href"] for tag, each in elements(page) if each.get("class") == "pick")
    response = get(chosen)
    assert response.status_code == 200
    assert 'class="selection"' in response.text
    assert_harmless(response.text)


@pytest.mark.parametrize(
    "name", ["agent", "session", "type", "event", "tag", "since", "q", "from", "memory", "find", "page"]
)
def test_every_parameter_of_the_url_is_text_too(get, client, name):
    for tab in ("timeline", "search", "prompt", "decisions", "statistics", "agents", "sessions"):
        response = get(f"/{tab}?{name}={quote(EVERY)}")
        assert response.status_code in (200, 400)
        assert_harmless(response.text)


def test_an_error_of_the_server_is_text(get, fake):
    body = json.dumps({"error": EVERY}).encode()
    fake.faults.add(Fault("status", status=400, body=body, times=None))
    response = get("/timeline")
    assert 'role="alert"' in response.text
    assert_harmless(response.text)


def test_a_content_of_a_megabyte_is_folded(client, get):
    client.memories.add(agent_id="a", content="x" * 1_000_000, metadata={"y": "z" * 10_000})
    page = get("/timeline").text
    assert "(1,000,000 characters)" in page
    assert len(page) < 50_000
    chosen = next(each["href"] for tag, each in elements(page) if each.get("class") == "pick")
    shown = get(chosen).text
    assert "more characters: open the JSON" in shown
    assert len(shown) < 250_000
    assert len(get(chosen.replace("/timeline", "/memory.json")).json()["memory"]["content"]) == 1_000_000


def test_half_a_character_and_controls_are_shown_as_replaced(client, get):
    client.memories.add(agent_id="a", content="before\x00\x07after")
    page, data = get("/timeline", "/timeline.json")
    assert "before\ufffd\ufffdafter" in page.text
    assert data.json()["memories"][0]["content"] == "before\x00\x07after"


def test_a_long_list_of_sessions_is_read_once_for_several_pages(fake, client, get):
    agent = client.agents.register("many")
    session = client.sessions.create(agent.id)
    fake.calls.clear()
    get(
        f"/timeline?agent={agent.id}", f"/sessions?agent={agent.id}", f"/timeline?agent={agent.id}&session={session.id}"
    )
    assert len(fake.calls.filter("sessions.list")) == 1

"""The file that opens without a server, and the timeline of a notebook."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import html
import re
import sys
from datetime import datetime, timezone

import pytest

import memtrace
from memtrace import AsyncMemtrace, ConfigurationError, InvalidRequestError
from memtrace.integrations._viewer import _document
from memtrace.integrations.notebook import view
from tests.integrations.viewer.conftest import contents, elements
from tests.integrations.viewer.test_attacks import EVERY


@pytest.fixture
def written(fake):
    """The text of a file about all agents, or one."""

    def write(agent=None):
        async def main():
            async with fake.async_client("acme") as client:
                return await _document.read_document(client, fake.clock, agent)

        document = asyncio.run(main())
        return _document.render_document(document, title="Memories", at=datetime(2026, 1, 1, tzinfo=timezone.utc))

    return write


def told(client):
    agent = client.agents.register("Ines")
    session = client.sessions.create(agent.id)
    client.memories.add(agent_id=agent.id, session_id=session.id, content="tea", tags=["x"], importance=0.5)
    client.decide(agent.id, "go by train", "nobody drives")
    client.memories.add(agent_id="other", content=EVERY, memory_type="decision", metadata={EVERY: EVERY})
    return agent, session


def assert_stands_alone(text):
    found = elements(text)
    assert not [tag for tag, _ in found if tag in ("script", "img", "link", "iframe")]
    assert all(each.get("href", "#").startswith("#") for _, each in found)
    assert not [name for _, each in found for name in each if name.startswith("on") or name == "style"]
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = next(each["content"] for tag, each in found if each.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    text.encode()


def test_a_file_has_every_part_and_nothing_of_it_runs(client, written):
    _, session = told(client)
    text = written()
    assert_stands_alone(text)
    assert {"tea", "go by train"} <= set(contents(text))
    assert "nobody drives" in text
    assert "no reasoning was stored" in text
    assert f"<bdi>{session.id}</bdi>" in text
    assert "<bdi>Ines</bdi>" in text
    assert "<svg" in text
    assert "left out" not in text.partition("</style>")[2]


def test_a_file_about_an_agent_has_nothing_of_others(client, written):
    agent, _ = told(client)
    text = written(agent.id)
    assert "<bdi>other</bdi>" not in text
    assert contents(text).count("go by train") == 2  # among decisions, and in the timeline


def test_a_file_says_what_it_leaves_out(client, written, monkeypatch):
    for name, value in {"MEMORIES": 2, "_DECISIONS": 1, "_NAMES": 1}.items():
        monkeypatch.setattr(_document, name, value)
    for number in range(3):
        agent = client.agents.register(f"agent {number}")
        client.sessions.create(agent.id)
        client.decide(agent.id, f"{number} {'x' * 3000}", "why")
    text = written()
    for part in ("2 more agents", "2 more sessions", "Older decisions", "older ones", "more characters"):
        assert part in text
    assert "are left out" in text


class TestNotebook:
    def test_it_shows_a_timeline_in_a_frame_without_scripts(self, client):
        told(client)
        shown = memtrace.view(client)
        ((tag, frame),) = elements(shown._repr_html_())
        assert (tag, frame["sandbox"], frame["title"]) == ("iframe", None, "all agents")
        assert_stands_alone(frame["srcdoc"])
        assert {"tea", "go by train"} <= set(contents(frame["srcdoc"]))
        assert repr(shown) == "<Timeline: 3 memories>"

    def test_an_agent_a_session_and_a_limit_choose(self, client):
        agent, session = told(client)
        assert [each.content for each in view(client, agent_id=agent.id, session_id=session.id).memories] == ["tea"]
        newest = view(client, agent_id=agent.id, limit=1)
        assert (len(newest.memories), newest.has_more) == (1, True)
        assert "older ones are left out" in html.unescape(newest._repr_html_())

    def test_another_client_and_a_broken_rule_are_refused(self, client):
        with pytest.raises(InvalidRequestError, match="client must be a Memtrace"):
            view(AsyncMemtrace("memory://", "k"))
        with pytest.raises(InvalidRequestError, match="limit"):
            view(client, limit=0)

    def test_without_the_extra_the_error_names_it(self, client, monkeypatch):
        monkeypatch.setitem(sys.modules, "jinja2", None)
        with pytest.raises(ConfigurationError, match="jinja2") as caught:
            view(client)
        assert 'pip install "memtrace-sdk[view]"' in caught.value.hint

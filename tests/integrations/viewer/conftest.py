from __future__ import annotations

import asyncio
import itertools
from html.parser import HTMLParser

import httpx
import pytest

from memtrace.integrations._viewer._app import Viewer
from memtrace_transports import FakeMemtrace, ManualClock


@pytest.fixture
def fake():
    """A fake whose clock moves when it is told to, with one organisation."""
    made = FakeMemtrace(clock=ManualClock())
    made.organisation("acme", api_key="mtk_of_acme")
    return made


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    """Pages wait for all counts, however busy the machine is."""
    monkeypatch.setattr("memtrace.integrations._viewer._pages._PATIENCE", None)
    monkeypatch.setattr("memtrace.integrations._viewer._pages._PATIENCE_BESIDE", None)


@pytest.fixture
def client(fake):
    with fake.client("acme") as made:
        yield made


@pytest.fixture
def get(fake):
    """What the pages answer, past the check of who asks: one response, or several where several paths are given."""

    def ask(*paths):
        async def main():
            async with fake.async_client("acme", retry=None) as client:
                application = Viewer(client, source="the fake").application()
                transport = httpx.ASGITransport(application)
                async with httpx.AsyncClient(transport=transport, base_url="http://viewer") as http:
                    return [await http.get(path) for path in paths]

        responses = asyncio.run(main())
        return responses[0] if len(paths) == 1 else responses

    return ask


class _Elements(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.found.append(("text", {"data": data}))


def elements(html):
    """The elements of a page and their attributes, in order."""
    parser = _Elements()
    parser.feed(html)
    return parser.found


def contents(html):
    """The contents of the memories in the middle of a page, in order."""
    main = html.partition("<main")[2].partition("</main>")[0] or html
    found = elements(main)
    return [
        following[1]["data"]
        for each, following in itertools.pairwise(found)
        if each[0] == "p" and each[1].get("class") == "content"
    ]


def link(html, rel):
    """Where a link of this relation leads; None where there is none."""
    return next((each[1]["href"] for each in elements(html) if each[0] == "a" and each[1].get("rel") == rel), None)

"""The page about moving from a file to a server: its commands are run, one after another, with a server of their own."""

from __future__ import annotations

import os
import re

import pytest

from memtrace_transports.memory import FakeMemtrace
from memtrace_transports.memory.server import LiveServer
from tests.docs import pages
from tests.docs.console_examples import check, examples, install_program, shell

TEXT = (pages.ROOT / "docs" / "outgrow.md").read_text(encoding="utf-8")
BEFORE, SET, AFTER = TEXT.partition(
    "export MEMTRACE_BASE_URL=http://localhost:9100\nexport MEMTRACE_API_KEY=mtk_your_key\n"
)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server, and an empty folder in which the program is at hand and nothing is set."""
    for name in [name for name in os.environ if name.startswith(("MEMTRACE_", "COLUMNS"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEMTRACE_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("NO_PROXY", "*")
    install_program(tmp_path, monkeypatch)
    fake = FakeMemtrace()
    fake.organisation("acme", api_key="mtk_your_key")
    with LiveServer(fake, control=False) as server:
        yield server


@pytest.mark.slow
@pytest.mark.network
def test_every_command_shows_what_the_page_says(server, monkeypatch):
    assert SET
    for command, shown in examples(BEFORE):
        check(command, shown, shell(command))
    monkeypatch.setenv("MEMTRACE_BASE_URL", server.url)
    monkeypatch.setenv("MEMTRACE_API_KEY", "mtk_your_key")
    after = list(examples(AFTER))
    assert len(after) == 9
    for command, shown in after:
        check(command, shown, shell(command))


def test_it_is_found_from_where_one_needs_it():
    for page, link in {"sqlite.md": "outgrow.md", "index.md": "outgrow.md", "console.md": "outgrow.md"}.items():
        assert re.search(rf"\]\({link}\)", (pages.ROOT / "docs" / page).read_text(encoding="utf-8"))

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

import memtrace
from memtrace_transports import FakeMemtrace, ManualClock
from memtrace_transports.memory.server import LiveServer

collect_ignore = [] if find_spec("mcp") else ["test_mcp.py", "test_mcp_install.py"]  # the lowest versions
SHARED = Path(__file__).resolve().parents[3] / "shared"
INTERFERING = ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS", "TERM", "PYTHONIOENCODING")


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """No setting of the machine reaches the console."""
    for name in [*os.environ]:
        if name in INTERFERING or name.startswith("MEMTRACE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(Path(memtrace.__file__).parents[1]))
    monkeypatch.setenv("MEMTRACE_CONFIG", str(tmp_path / "settings" / "config.toml"))
    return monkeypatch


#: typer's runner makes the whole program anew for each command otherwise.
made_once = functools.cache(get_command)


@pytest.fixture
def invoke(monkeypatch):
    """Run a command inside this process; gives its exit status and everything that it printed."""
    monkeypatch.setattr("typer.testing._get_command", made_once)

    def run(*arguments, stdin=None):
        from memtrace._cli.app import app

        return CliRunner().invoke(app, arguments, input=stdin, prog_name="memtrace-sdk")

    return run


@pytest.fixture
def execute(tmp_path):
    """Run ``python -m memtrace`` as a process of its own, its output in pipes."""

    def run(*arguments, **options):
        return subprocess.run(
            [sys.executable, "-m", "memtrace", *arguments],
            check=False,
            cwd=tmp_path,
            timeout=120,
            **{"capture_output": True, "encoding": "utf-8", **options},
        )

    return run


@pytest.fixture
def at_once(environment):
    """Waiting takes the clients of `invoke` no time."""
    environment.setattr("memtrace._runtime.config.SystemClock", ManualClock)


KEY = "mtk_of_acme"


class _Present:
    """The fake of the test that runs now."""

    def __init__(self):
        self.fake = FakeMemtrace()

    def __getattr__(self, name):
        return getattr(self.fake, name)


@pytest.fixture(scope="module")
def _standing_server():
    present = _Present()
    with LiveServer(present, control=False) as server:
        yield present, server.url


@pytest.fixture
def serving(_standing_server):
    """Puts a fake on the port that the tests of a module share, one after another; gives the address."""
    present, url = _standing_server

    def serve(fake):
        present.fake = fake
        return url

    return serve


@pytest.fixture
def memtrace_server(memtrace_fake, serving):
    """As the plugin's, on the shared port."""
    return serving(memtrace_fake)


@pytest.fixture
def server(memtrace_fake, memtrace_server, environment):
    """The fake on a port, and in the environment, with the key of an organisation."""
    memtrace_fake.organisation("acme", api_key=KEY)
    environment.setenv("MEMTRACE_BASE_URL", memtrace_server)
    environment.setenv("MEMTRACE_API_KEY", KEY)
    environment.setenv("NO_PROXY", "127.0.0.1")
    return memtrace_server


@pytest.fixture
def client(memtrace_fake, server):
    """A client of the same organisation, past the port."""
    with memtrace_fake.client("acme") as client:
        yield client


def turn(**fields):
    """One line of a conversation; a field that is given as ``...`` is left out."""
    given = {
        "conversation": 7,
        "session": 1,
        "time": "2026-03-02T09:00:00Z",
        "speaker": "Ines",
        "id": "1:1",
        "text": "Good morning!",
        **fields,
    }
    return json.dumps({name: value for name, value in given.items() if value is not ...}).encode() + b"\n"


def locomo():
    """The real conversations, where they are at hand."""
    path = SHARED / "data" / "locomo10.jsonl"
    if not path.exists():
        pytest.skip("../shared/data/locomo10.jsonl is not there")
    return path

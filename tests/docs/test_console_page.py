"""The page about the console: its commands are run, its tables are the program's."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from memtrace import cli
from memtrace.cli import profiles
from memtrace.cli.app import app
from memtrace.cli.exits import ExitStatus
from memtrace_transports.memory import FakeMemtrace, ManualClock
from memtrace_transports.memory.server import LiveServer
from tests.docs import pages

TEXT = (pages.ROOT / "docs" / "console.md").read_text(encoding="utf-8")


def examples():
    """Each command with what the page shows below it."""
    for block in re.findall(r"^```console\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL):
        yield from re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)


@pytest.fixture
def shell(tmp_path):
    """Runs a command where memtrace-sdk is this one, and gives what is on the terminal then."""
    fake = FakeMemtrace(clock=ManualClock())
    fake.organisation("acme", api_key="mtk_of_acme")
    program = tmp_path / "bin" / "memtrace-sdk"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m memtrace "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MEMTRACE_", "COLUMNS"))}
    with LiveServer(fake) as server:
        environment = {
            **kept,
            "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(sys.path),
            "MEMTRACE_CONFIG": str(tmp_path / "config.toml"),
            "MEMTRACE_BASE_URL": server.url,
            "MEMTRACE_API_KEY": "mtk_of_acme",
            "NO_PROXY": "*",
        }

        def run(command):
            return subprocess.run(
                ["bash", "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                cwd=tmp_path,
                env=environment,
                timeout=120,
                check=False,
            ).stdout

        yield run


def test_every_command_shows_what_the_page_says(shell):
    found = list(examples())
    assert len(found) > 12
    for command, shown in found:
        output = shell(command)
        same = doctest.OutputChecker().check_output(shown, output, doctest.ELLIPSIS)
        assert same, f"$ {command}\nshould show:\n{shown}\nbut shows:\n{output}"


def test_the_exit_statuses_are_the_programs():
    told = re.findall(r"^\| (\d+) \| (.*) \|$", TEXT, re.MULTILINE)
    assert told == [(str(status.value), status.meaning) for status in ExitStatus]


def test_every_command_is_in_the_table():
    table = pages.section(f"\n## Top\n{TEXT}", "Top")
    told = re.findall(r"`([a-z-]+)`", "".join(re.findall(r"^\| ([^|]*) \|", table, re.MULTILINE)))
    named = {each.name or each.callback.__name__ for each in app.registered_commands}
    assert set(told) == named | {each.name for each in app.registered_groups}


def test_every_variable_that_the_console_reads_is_in_the_table():
    read = set()
    for path in sorted(Path(cli.__file__).parent.rglob("*.py")):
        read |= set(re.findall(r'environ\.get\("(\w+)"', path.read_text(encoding="utf-8")))
    assert "MEMTRACE_CONFIG" in read
    assert all(f"`{name}`" in TEXT.partition("| setting |")[2] for name in read)


def test_the_file_of_the_page_is_one_that_is_read(tmp_path, monkeypatch):
    (block,) = re.findall(r"^```toml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    (tmp_path / "config.toml").write_text(block, encoding="utf-8")
    monkeypatch.setenv("MEMTRACE_CONFIG", str(tmp_path / "config.toml"))
    config = profiles.load()
    assert (config.default, sorted(config.profiles)) == ("local", ["acme", "local"])

"""The page about the console: its commands are run, its tables are the program's."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from memtrace import _cli as cli
from memtrace._cli import profiles
from memtrace._cli.app import app
from memtrace._cli.exit_status import ExitStatus
from memtrace_transports.memory import FakeMemtrace, ManualClock
from memtrace_transports.memory.server import LiveServer
from tests.cli.conftest import made_once
from tests.docs import pages
from tests.docs.console_examples import check, examples, install_program, shell
from tests.sampling import sample

TEXT = (pages.ROOT / "docs" / "console.md").read_text(encoding="utf-8")


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """A fake server with an organisation, and the environment in which a command speaks to it from an empty folder."""
    fake = FakeMemtrace(clock=ManualClock())
    fake.organisation("acme", api_key="mtk_of_acme")
    for name in [name for name in os.environ if name.startswith(("MEMTRACE_", "COLUMNS"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("typer.testing._get_command", made_once)
    monkeypatch.setattr("memtrace._runtime.config.SystemClock", ManualClock)
    monkeypatch.setattr("memtrace._cli.transfer.run.SystemClock", ManualClock)
    with LiveServer(fake) as server:
        for name, value in {
            "PYTHONPATH": os.pathsep.join(sys.path),
            "MEMTRACE_CONFIG": str(tmp_path / "config.toml"),
            "MEMTRACE_BASE_URL": server.url,
            "MEMTRACE_API_KEY": "mtk_of_acme",
            "NO_PROXY": "*",
        }.items():
            monkeypatch.setenv(name, value)
        yield


@pytest.fixture
def processes(settings, tmp_path, monkeypatch):
    """Runs a command in a shell where memtrace-sdk is a process of this one, and gives what is on the terminal then."""
    install_program(tmp_path, monkeypatch)
    return shell


#: A command that a pipe feeds and whose output goes to a file, and one that follows it; all but the program is optional.
LINE = re.compile(
    r"(?:(?P<feeds>.*) \| )?memtrace-sdk (?P<arguments>[^|>;]*?)(?: > (?P<file>\S+))?(?:; (?P<follows>.*))?"
)


@pytest.fixture
def here(settings):
    """As `processes`, with the program inside this process and the shell for the rest of a line alone."""

    def run(command):
        line = LINE.fullmatch(command)
        if line is None:
            assert "memtrace-sdk" not in command
            return shell(command)
        fed = shell(line["feeds"], stderr=None) if line["feeds"] else ""
        result = CliRunner().invoke(app, shlex.split(line["arguments"]), input=fed, prog_name="memtrace-sdk")
        output = result.stderr
        if line["file"]:
            Path(line["file"]).write_text(result.stdout, encoding="utf-8")
        else:
            output += result.stdout  # a process writes it when it ends
        return output + (shell(f"(exit {result.exit_code}); {line['follows']}") if line["follows"] else "")

    return run


@pytest.mark.network
def test_every_command_shows_what_the_page_says(here, processes):
    found = list(examples(TEXT))
    assert len(found) > 12
    as_processes = sample(range(len(found)), 1)
    for number, (command, shown) in enumerate(found):
        output = processes(command) if number in as_processes else here(command)
        check(command, shown, output)


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

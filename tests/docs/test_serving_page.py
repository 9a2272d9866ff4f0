"""The page about the fake server names what there is, and its examples in other languages run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess

import pytest
from typer.testing import CliRunner

from memtrace._cli.app import app
from memtrace.transport import Request
from memtrace_transports.memory import FakeMemtrace, ManualClock
from memtrace_transports.memory._control_routes import _FAULT_FIELDS, Controls
from memtrace_transports.memory.server import LiveServer
from tests.docs import pages
from tests.docs.console_examples import check, examples, install_program, shell

TEXT = (pages.ROOT / "docs" / "serving.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture
def fake():
    made = FakeMemtrace(clock=ManualClock())
    made.organisation("acme", api_key="mtk_of_acme")
    return made


@pytest.fixture
def environment(fake):
    with LiveServer(fake) as server:
        yield {**os.environ, "MEMTRACE_BASE_URL": server.url, "MEMTRACE_API_KEY": "mtk_of_acme", "NO_PROXY": "*"}


def test_every_control_route_is_in_the_table_and_the_other_way_round():
    told = re.findall(r"^\| `([A-Z]+) /_fake/([^`]+)` \|", TEXT, re.MULTILINE)
    below_an_organisation = {("POST", f"orgs/{{org_id}}/{action}") for action in ("seed", "arc")}
    assert set(told) == set(Controls(FakeMemtrace())._routes) | below_an_organisation


def test_every_option_is_in_the_table():
    shown = CliRunner().invoke(app, ["serve-fake", "--help"], prog_name="memtrace-sdk").output
    offered = set(re.findall(r"--[a-z-]+", shown.partition("Options:")[2].partition("Examples:")[0]))
    told = set(re.findall(r"^\| `(--[a-z-]+)` \|", TEXT, re.MULTILINE))
    assert offered - {"--help", "--control"} == told


def test_every_field_of_a_fault_is_in_the_table():
    section = TEXT.partition("| field |")[2].partition("| kind |")[0]
    told = re.findall(r"`([a-z]+)`", "".join(line.split("|")[1] for line in section.splitlines() if "|" in line[1:]))
    assert sorted(told) == sorted(_FAULT_FIELDS)


def test_the_fault_plan_is_one_that_is_taken(fake):
    (plan,) = blocks("json")
    answer = Controls(fake).answer(Request("POST", "http://fake", "/_fake/faults", body=plan.encode()))
    assert (answer.status, len(fake.faults)) == (200, len(json.loads(plan)["faults"]))


@pytest.mark.network
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_examples_for_a_shell_run(environment):
    (script,) = [block for block in blocks("sh") if "curl" in block]
    done = subprocess.run(
        ["sh", "-e"], input=script, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    decoder = json.JSONDecoder()
    written, end = decoder.raw_decode(done.stdout)
    read, end = decoder.raw_decode(done.stdout, end)
    calls, _ = decoder.raw_decode(done.stdout, end)
    assert (written["content"], read["count"]) == ("User prefers dark mode", 1)
    assert [call["operation"] for call in calls["calls"]] == ["memories.add", "memories.list"]


@pytest.mark.network
@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_example_for_node_prints_what_it_says(environment, tmp_path):
    (script,) = blocks("js")
    file = tmp_path / "example.mjs"
    file.write_text(script, encoding="utf-8")
    done = subprocess.run(["node", str(file)], env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == re.search(r"// (.*)", script)[1]


@pytest.fixture
def store_folder(tmp_path, monkeypatch):
    """An empty folder in which the program is at hand and nothing is set."""
    for name in [name for name in os.environ if name.startswith(("MEMTRACE_", "COLUMNS"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "*")
    install_program(tmp_path, monkeypatch)
    return tmp_path


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_commands_for_a_store_show_what_the_page_says(store_folder):
    (command,) = [block for block in blocks("sh") if block.startswith("memtrace-sdk serve ")]
    issued = [each for each in examples(TEXT) if "keys create" in each[0] or "keys list" in each[0]]
    asked = [each for each in examples(TEXT) if each not in issued]
    assert (len(issued), len(asked)) == (2, 5)
    for command_line, shown in issued:
        check(command_line, shown, shell(command_line))
    assert "--port 9100" in command
    arguments = command.replace("--port 9100", "--port 0 --json").split()
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    try:
        url = json.loads(process.stdout.readline())["url"]
        for command_line, shown in asked:
            check(command_line, shown, shell(command_line.replace("http://127.0.0.1:9100", url)))
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_every_option_of_serve_is_told():
    shown = CliRunner().invoke(app, ["serve", "--help"], prog_name="memtrace-sdk").output
    offered = set(re.findall(r"--[a-z-]+", shown.partition("Options:")[2].partition("Examples:")[0])) - {"--help"}
    section = pages.section(TEXT, "A store in a file")
    assert offered
    assert {option for option in offered if option not in section} == set()

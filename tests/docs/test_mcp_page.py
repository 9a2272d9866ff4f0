"""The page about the MCP server: every option, every client's settings as the command writes them, and commands that start."""

import json
import re
import shlex

import pytest
from typer.testing import CliRunner

from memtrace._cli.app import app
from memtrace._cli.mcp_clients import CLIENTS
from tests.docs import pages

TEXT = (pages.ROOT / "docs" / "integrations" / "mcp.md").read_text(encoding="utf-8")
BLOCKS = {
    "Claude Desktop": ["claude-desktop"],
    "Claude Code": ["claude-code"],
    "Cursor": ["cursor", "windsurf"],
    "VS Code": ["vscode"],
    "Zed": ["zed"],
}


def run(*arguments, **environment):
    return CliRunner().invoke(app, arguments, env=environment, prog_name="memtrace-sdk")


def offered(*command):
    shown = run(*command, "--help").output
    return set(re.findall(r"--[a-z-]+", shown.partition("Options:")[2].partition("Examples:")[0])) - {"--help"}


def rows_below(heading):
    """The options in the table whose first column has this heading."""
    table = TEXT.partition(f"\n| {heading} |")[2].partition("\n\n")[0]
    return {
        option
        for row in re.findall(r"^\| (`--.*?) \|", table, re.MULTILINE)
        for option in re.findall(r"--[a-z-]+", row)
    }


@pytest.mark.parametrize(("command", "heading"), [(("mcp",), "option"), (("mcp", "install"), "option of `install`")])
def test_every_option_is_in_the_table(command, heading):
    assert offered(*command) == rows_below(heading)


def settings():
    """Each JSON block, by the client that the words above it begin with."""
    found = re.findall(r"^(\S[^\n]*):\n+(?:```sh\n[^`]*```\n+)?```json\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    return {title: json.loads(block) for title, block in found}


def test_the_settings_of_each_client_are_those_that_the_command_writes(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    server = {"MEMTRACE_BASE_URL": "http://localhost:9100", "MEMTRACE_API_KEY": "mtk_planted"}
    shown = settings()
    assert len(shown) == len(BLOCKS)
    for title, clients in BLOCKS.items():
        (block,) = [block for words, block in shown.items() if words.startswith(title)]
        for client in clients:
            printed = run("mcp", "install", client, "--agent", "assistant", "--uvx", "--print", **server).stdout
            assert block == json.loads(printed)
    assert {client for clients in BLOCKS.values() for client in clients} == CLIENTS.keys()


@pytest.mark.framework
@pytest.mark.parametrize("line", re.findall(r"uvx --from .*", TEXT))
def test_each_command_line_starts_a_server(line):
    words = shlex.split(line)
    assert words[:4] == ["uvx", "--from", "memtrace-sdk[mcp]", "memtrace-sdk"]
    result = run(*words[4:], "--base-url", "memory://", "--http", "wrong")
    assert (result.exit_code, "--http is HOST:PORT" in result.output) == (2, True)


def test_each_client_has_its_row_with_its_file():
    for name, client in CLIENTS.items():
        row = re.search(rf"^\| {client.title} \|(.*)\| `{name}` \|$", TEXT, re.MULTILINE)
        assert client.path().name in row[1]

"""The page about the MCP server names every option of the command, and its configuration starts one."""

import json
import re

import pytest
from typer.testing import CliRunner

from memtrace._cli.app import app
from tests.docs import pages

TEXT = (pages.ROOT / "docs" / "integrations" / "mcp.md").read_text(encoding="utf-8")


def test_every_option_is_in_the_table():
    shown = CliRunner().invoke(app, ["mcp", "--help"], prog_name="memtrace-sdk").output
    offered = set(re.findall(r"--[a-z-]+", shown.partition("Options:")[2].partition("Examples:")[0]))
    assert offered - {"--help"} == set(re.findall(r"^\| `(--[a-z-]+)` \|", TEXT, re.MULTILINE))


@pytest.mark.framework
def test_the_configuration_is_json_with_a_command_line_that_is_taken():
    (block,) = re.findall(r"^```json\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    ((_, server),) = json.loads(block)["mcpServers"].items()
    result = CliRunner().invoke(app, [*server["args"], "--http", "wrong"], env=server["env"], prog_name="memtrace-sdk")
    assert (result.exit_code, "--http is HOST:PORT" in result.output) == (2, True)

"""``memtrace-sdk mcp install``: what it writes for each client, and what it never loses, shows or writes."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import platformdirs
import pytest

from memtrace._cli import mcp_install
from memtrace._cli.json_with_comments import parse
from memtrace._cli.mcp_clients import CLIENTS
from memtrace._cli.mcp_entry import WITH_VALUE, read_entry
from tests.cli.conftest import made_once

pytestmark = pytest.mark.framework

KEY = "mtk_planted"
SERVER = "http://memory.example:9100"


@pytest.fixture
def home(environment, tmp_path):
    """A home folder of this test, on a machine whose settings are where Linux has them."""
    folder = tmp_path / "home"
    folder.mkdir()
    for name in ("XDG_CONFIG_HOME", "CLAUDE_CONFIG_DIR", "APPDATA"):
        environment.delenv(name, raising=False)
    environment.setenv("HOME", str(folder))
    environment.setenv("USERPROFILE", str(folder))
    return folder


@pytest.fixture
def remote(environment):
    environment.setenv("MEMTRACE_BASE_URL", SERVER)
    environment.setenv("MEMTRACE_API_KEY", KEY)


@pytest.fixture
def install(invoke, home):
    def run(client, *arguments):
        result = invoke("mcp", "install", client, *arguments)
        assert result.exit_code == 0, result.output
        assert KEY not in result.output
        return result

    return run


def entry_of(client, name="memtrace"):
    return parse(CLIENTS[client].path().read_text(encoding="utf-8"))[CLIENTS[client].section][name]


LINUX = {
    "claude-desktop": (".config/Claude/claude_desktop_config.json", "mcpServers"),
    "claude-code": (".claude.json", "mcpServers"),
    "cursor": (".cursor/mcp.json", "mcpServers"),
    "vscode": (".config/Code/User/mcp.json", "servers"),
    "windsurf": (".codeium/windsurf/mcp_config.json", "mcpServers"),
    "zed": (".config/zed/settings.json", "context_servers"),
}
MACOS = {
    **LINUX,
    "claude-desktop": ("Library/Application Support/Claude/claude_desktop_config.json", "mcpServers"),
    "vscode": ("Library/Application Support/Code/User/mcp.json", "servers"),
}


class TestWhereAndHow:
    @pytest.mark.parametrize("client", LINUX)
    def test_each_client_has_its_file_and_its_form(self, install, home, client):
        place, section = LINUX[client]
        result = install(client, "--agent", "assistant", "--read-only")
        path = home / place
        assert f"{path} has the server memtrace now; restart " in result.stdout
        server = json.loads(path.read_text(encoding="utf-8"))[section]["memtrace"]
        command = [server["command"], *server["args"]]
        assert Path(command[0]).is_absolute()
        assert command[-4:] == ["mcp", "--agent", "assistant", "--read-only"]
        assert server["env"] == {}
        assert server.get("type") == ("stdio" if client in ("claude-code", "vscode") else None)

    @pytest.mark.parametrize("client", MACOS)
    @pytest.mark.parametrize("moved", [False, True])
    def test_on_macos_whatever_xdg_says(self, home, environment, tmp_path, client, moved):
        from platformdirs.macos import MacOS

        environment.setattr("sys.platform", "darwin")
        if moved:
            environment.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
        environment.setattr(platformdirs, "user_config_path", lambda **given: MacOS(**given).user_config_path)
        assert CLIENTS[client].path() == home / MACOS[client][0]

    def test_on_windows_the_folder_of_settings_roams(self, home, environment):
        environment.setattr("sys.platform", "win32")
        environment.setattr(platformdirs, "user_config_path", lambda *, roaming: home / ("R" if roaming else "L"))
        assert CLIENTS["zed"].path() == home / "R" / "Zed" / "settings.json"
        assert CLIENTS["claude-desktop"].path() == home / "R" / "Claude" / "claude_desktop_config.json"

    def test_claude_code_may_keep_its_file_elsewhere(self, install, environment, tmp_path):
        environment.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
        install("claude-code")
        assert (tmp_path / "claude" / ".claude.json").exists()

    def test_another_file_and_name_can_be_chosen(self, install, tmp_path):
        install("vscode", "--file", str(tmp_path / "project" / ".vscode" / "mcp.json"), "--name", "notes")
        text = (tmp_path / "project" / ".vscode" / "mcp.json").read_text(encoding="utf-8")
        assert [*json.loads(text)["servers"]] == ["notes"]

    @pytest.mark.slow
    def test_the_command_starts_a_server(self, install, home):
        import asyncio

        from mcp import Client, StdioServerParameters
        from mcp.client.stdio import stdio_client

        install("cursor", "--base-url", "memory://")
        server = entry_of("cursor")
        parameters = StdioServerParameters(
            command=server["command"], args=server["args"], env={**os.environ, **server["env"]}
        )

        async def main():
            async with Client(stdio_client(parameters, errlog=sys.__stderr__), read_timeout_seconds=60) as model:
                return len((await model.list_tools()).tools)

        assert asyncio.run(main()) == 7

    def test_without_a_script_it_is_the_module(self, install, environment, tmp_path):
        environment.setattr("sys.executable", str(tmp_path / "python"))
        install("cursor")
        assert (entry_of("cursor")["command"], entry_of("cursor")["args"]) == (
            str(tmp_path / "python"),
            ["-m", "memtrace", "mcp"],
        )

    @pytest.mark.parametrize("started_by_uvx", [False, True])
    def test_uvx_installs_it_at_each_start(self, install, environment, tmp_path, started_by_uvx):
        environment.setattr("shutil.which", lambda name: f"/opt/{name}")
        if started_by_uvx:
            environment.setattr("sys.prefix", str(tmp_path / "uv" / "archive-v0" / "x1"))
        install("cursor", *([] if started_by_uvx else ["--uvx"]))
        server = entry_of("cursor")
        assert (server["command"], server["args"]) == (
            "/opt/uvx",
            ["--from", "memtrace-sdk[mcp]", "memtrace-sdk", "mcp"],
        )

    def test_options_of_the_connection_are_passed_on(self, install, environment, tmp_path):
        environment.chdir(tmp_path)
        install("cursor", "--base-url", "sqlite:///agent.db", "--transport", "sqlite", "--timeout", "2.5")
        server = entry_of("cursor")
        assert server["args"][-4:] == ["--transport", "sqlite", "--timeout", "2.5"]
        assert server["env"] == {"MEMTRACE_BASE_URL": f"sqlite:///{tmp_path}/agent.db"}

    def test_variables_of_the_connection_are_passed_on_where_no_option_is_given(self, install, environment):
        install("cursor", "--base-url", SERVER, "--transport", "httpx", "--timeout", "2")
        environment.setenv("MEMTRACE_TRANSPORT", "aiohttp")
        environment.setenv("MEMTRACE_TIMEOUT", "7.5")
        install("cursor", "--timeout", "3")
        assert entry_of("cursor")["args"][-3:] == ["mcp", "--timeout", "3.0"]
        assert entry_of("cursor")["env"]["MEMTRACE_TRANSPORT"] == "aiohttp"
        assert "MEMTRACE_TIMEOUT" not in entry_of("cursor")["env"]
        install("cursor")
        assert entry_of("cursor")["args"][-1] == "mcp"
        assert entry_of("cursor")["env"]["MEMTRACE_TIMEOUT"] == "7.5"

    @pytest.mark.parametrize(("name", "value"), [("MEMTRACE_TRANSPORT", "nope"), ("MEMTRACE_TIMEOUT", "soon")])
    def test_an_invalid_variable_is_refused_as_by_mcp(self, invoke, home, environment, name, value):
        environment.setenv(name, value)
        environment.setenv("MEMTRACE_API_KEY", KEY)
        result = invoke("mcp", "install", "cursor", "--base-url", SERVER)
        assert result.exit_code == 2
        assert result.stderr == invoke("mcp", "--base-url", SERVER).stderr

    def test_memtrace_url_is_read_too(self, install, environment):
        environment.setenv("MEMTRACE_URL", SERVER)
        environment.setenv("MEMTRACE_API_KEY", KEY)
        install("cursor")
        assert entry_of("cursor")["env"]["MEMTRACE_BASE_URL"] == SERVER


class TestWhatMcpRefuses:
    @pytest.mark.parametrize("connection", [[], ["--profile", "acme"], ["--base-url", SERVER]])
    @pytest.mark.parametrize(
        "wrong", [["--agent", "a b"], ["--timeout", "-1"], ["--timeout", "nan"], ["--transport", "nope"]]
    )
    @pytest.mark.parametrize("only_print", [[], ["--print"]])
    def test_install_refuses_with_the_same_error(self, invoke, home, environment, connection, wrong, only_print):
        environment.setenv("MEMTRACE_CONFIG", str(home / "config.toml"))
        invoke("profiles", "add", "other", "--base-url", "memory://")
        invoke("profiles", "add", "acme", "--base-url", "memory://", "--timeout", "3")
        if connection[:1] == ["--base-url"]:
            environment.setenv("MEMTRACE_API_KEY", KEY)
        served = invoke("mcp", *connection, *wrong)
        result = invoke("mcp", "install", "cursor", *only_print, *connection, *wrong)
        assert (result.exit_code, served.exit_code) == (2, 2)
        assert result.stderr == served.stderr
        assert not CLIENTS["cursor"].path().exists()

    @pytest.mark.parametrize("transport", [[], ["--transport", "requests"]])
    def test_a_transport_without_an_async_form_is_refused(self, invoke, home, transport):
        url = SERVER if transport else f"requests+{SERVER}"
        result = invoke("mcp", "install", "cursor", "--base-url", url, *transport)
        assert result.exit_code == 2
        assert "has no async form" in result.output.replace("\n", " ")

    @pytest.mark.parametrize("kept", [["--base-url", SERVER], ["--profile", "acme"], ["--profile", "elsewhere"]])
    def test_a_transport_has_to_fit_the_connection_that_stays(self, invoke, install, home, kept):
        invoke("profiles", "add", "first", "--base-url", "memory://")
        invoke("profiles", "add", "acme", "--base-url", SERVER)
        path = CLIENTS["cursor"].path()
        path.parent.mkdir(parents=True)
        entry = {"command": "memtrace-sdk", "args": ["mcp", *kept], "env": {}}
        path.write_text(json.dumps({"mcpServers": {"memtrace": entry}}), encoding="utf-8")
        install("cursor", "--transport", "httpx")
        assert entry_of("cursor")["args"][-4:] == [*kept, "--transport", "httpx"]
        result = invoke("mcp", "install", "cursor", "--transport", "nope")
        assert result.exit_code == (0 if "elsewhere" in kept else 2)  # that file is not known here

    def test_the_extra_is_needed_unless_uvx_brings_it(self, invoke, install, environment, home):
        for name in [name for name in sys.modules if name.startswith("memtrace.integrations.mcp")]:
            environment.delitem(sys.modules, name)
        environment.setitem(sys.modules, "mcp", None)
        environment.setitem(sys.modules, "mcp.server.lowlevel", None)
        result = invoke("mcp", "install", "cursor")
        assert result.exit_code == 2
        assert result.stderr == invoke("mcp").stderr
        assert "needs the package mcp, not installed here" in result.stderr
        assert not CLIENTS["cursor"].path().exists()
        install("cursor", "--uvx", "--agent", "a")


class TestTheKey:
    @pytest.mark.parametrize(
        ("client", "reference"),
        [
            ("claude-code", "${MEMTRACE_API_KEY}"),
            ("cursor", "${env:MEMTRACE_API_KEY}"),
            ("windsurf", "${env:MEMTRACE_API_KEY}"),
            ("vscode", "${input:memtrace-api-key}"),
        ],
    )
    def test_a_client_that_can_refers_to_it(self, install, remote, client, reference):
        result = install(client)
        assert entry_of(client)["env"] == {"MEMTRACE_BASE_URL": SERVER, "MEMTRACE_API_KEY": reference}
        asked = "MEMTRACE_API_KEY from its own environment: set it where it starts" in result.stderr
        assert asked == (client != "vscode")

    def test_vs_code_asks_for_it_and_keeps_what_it_asks_for_already(self, install, remote):
        path = CLIENTS["vscode"].path()
        path.parent.mkdir(parents=True)
        path.write_text('{\n  "inputs": [\n    {"id": "other"} // mine\n  ]\n}\n', encoding="utf-8")
        install("vscode")
        install("vscode")
        assert "// mine" in path.read_text(encoding="utf-8")
        other, ours = parse(path.read_text(encoding="utf-8"))["inputs"]
        assert other == {"id": "other"}
        assert (ours["type"], ours["id"], ours["password"]) == ("promptString", "memtrace-api-key", True)

    @pytest.mark.parametrize("client", ["claude-desktop", "zed"])
    def test_a_client_that_cannot_needs_a_profile_or_the_word_for_it(self, invoke, home, remote, client):
        result = invoke("mcp", "install", client)
        assert result.exit_code == 2
        assert "cannot give the server MEMTRACE_API_KEY: name a profile" in result.output
        assert KEY not in result.output
        assert not CLIENTS[client].path().exists()

    def test_with_the_word_for_it_it_is_in_the_file_that_only_its_owner_reads(self, install, remote):
        result = install("claude-desktop", "--with-key")
        path = CLIENTS["claude-desktop"].path()
        assert entry_of("claude-desktop")["env"]["MEMTRACE_API_KEY"] == KEY
        assert result.stderr == ""
        if os.name == "posix":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600

    @pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
    def test_a_file_that_others_can_read_keeps_its_mode_and_is_warned_about(self, install, remote):
        path = CLIENTS["zed"].path()
        path.parent.mkdir(parents=True)
        path.write_text("{}", encoding="utf-8")
        path.chmod(0o644)
        result = install("zed", "--with-key")
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        assert stat.S_IMODE(path.with_name("settings.json.bak").stat().st_mode) == 0o600
        assert f"others can read the key in {path}: chmod 600 it" in result.stderr.replace("\n", " ")

    def test_a_profile_keeps_it_out_of_the_file(self, install, invoke, environment, remote, tmp_path):
        environment.setenv("ACME_KEY", KEY)
        invoke("profiles", "add", "acme", "--base-url", SERVER, "--api-key-env", "ACME_KEY")
        install("cursor", "--profile", "acme")
        server = entry_of("cursor")
        assert server["args"][-2:] == ["--profile", "acme"]
        assert server["env"] == {
            "MEMTRACE_CONFIG": os.environ["MEMTRACE_CONFIG"],
            "ACME_KEY": "${env:ACME_KEY}",
        }

    def test_a_profile_of_a_relative_file_is_refused(self, invoke, home, environment, tmp_path):
        environment.chdir(tmp_path)
        config = Path(os.environ["MEMTRACE_CONFIG"])
        config.parent.mkdir()
        config.write_text('[profiles.old]\nbase_url = "sqlite:///agent.db"\n', encoding="utf-8")
        result = invoke("mcp", "install", "cursor", "--profile", "old")
        assert result.exit_code == 2
        assert f"profiles add old --base-url sqlite:///{tmp_path}/agent.db" in result.output.replace("\n", "")
        assert not CLIENTS["cursor"].path().exists()

    @pytest.mark.parametrize("variable", ["MEMTRACE_CONFIG", "XDG_CONFIG_HOME"])
    def test_a_profile_is_found_where_the_client_has_other_variables(
        self, install, invoke, environment, home, tmp_path, variable
    ):
        environment.chdir(tmp_path)
        environment.delenv("MEMTRACE_CONFIG")
        environment.setenv(variable, "profiles.toml" if variable == "MEMTRACE_CONFIG" else str(tmp_path / "xdg"))
        invoke("profiles", "add", "acme", "--base-url", "memory://")
        install("cursor", "--profile", "acme")
        path = Path(entry_of("cursor")["env"]["MEMTRACE_CONFIG"])
        assert path.is_absolute()
        assert "[profiles.acme]" in path.read_text(encoding="utf-8")

    def test_the_keyring_of_a_profile_needs_nothing(self, install, invoke, environment):
        import keyring

        environment.setattr(keyring, "get_password", lambda service, name: KEY)
        environment.delenv("MEMTRACE_CONFIG")
        invoke("profiles", "add", "acme", "--base-url", SERVER)
        install("claude-desktop", "--profile", "acme")
        assert entry_of("claude-desktop")["env"] == {}

    def test_a_password_in_the_base_url_counts_as_one(self, invoke, install, environment, home):
        environment.setenv("MEMTRACE_API_KEY", KEY)
        url = "https://user:secret@memory.example"
        result = invoke("mcp", "install", "cursor", "--base-url", url)
        assert result.exit_code == 2
        assert "the base URL has a password" in result.output
        assert "secret" not in result.output
        install("cursor", "--base-url", url, "--with-key")
        assert entry_of("cursor")["env"]["MEMTRACE_BASE_URL"] == url

    def test_a_server_needs_one_also_where_none_is_set_here(self, install, invoke, home):
        install("cursor", "--base-url", SERVER)
        assert entry_of("cursor")["env"]["MEMTRACE_API_KEY"] == "${env:MEMTRACE_API_KEY}"

    @pytest.mark.parametrize("client", CLIENTS)
    @pytest.mark.parametrize("arguments", [[], ["--base-url", SERVER], ["--print", "--base-url", SERVER], ["--print"]])
    def test_without_one_there_is_none_to_write(self, invoke, home, client, arguments):
        result = invoke("mcp", "install", client, "--with-key", *arguments)
        assert result.exit_code == 2
        assert "there is no key to write: set MEMTRACE_API_KEY" in result.stderr.replace("\n", " ")
        assert not CLIENTS[client].path().exists()

    def test_none_is_written_for_a_connection_of_the_file(self, invoke, install, home):
        invoke("profiles", "add", "first", "--base-url", "memory://")
        install("zed", "--base-url", "memory://", "--with-key")
        before = CLIENTS["zed"].path().read_bytes()
        assert invoke("mcp", "install", "zed", "--with-key", "--agent", "a").exit_code == 2
        assert CLIENTS["zed"].path().read_bytes() == before

    def test_an_invalid_address_is_refused(self, invoke, home):
        result = invoke("mcp", "install", "cursor", "--base-url", "ftp://x")
        assert result.exit_code == 2
        assert "(from --base-url" in result.output.replace("\n", " ")


class TestPrinting:
    @pytest.mark.parametrize("client", LINUX)
    def test_it_writes_nothing_and_shows_no_key(self, install, home, remote, client):
        shown = json.loads(install(client, "--print").stdout)
        (server,) = shown[LINUX[client][1]].values()
        assert server["env"]["MEMTRACE_API_KEY"] != KEY
        assert [*home.rglob("*")] == []
        assert ("inputs" in shown) == (client == "vscode")

    def test_it_shows_the_key_where_that_is_asked_for(self, invoke, home, remote):
        result = invoke("mcp", "install", "zed", "--print", "--with-key")
        assert json.loads(result.stdout)["context_servers"]["memtrace"]["env"]["MEMTRACE_API_KEY"] == KEY

    def test_a_placeholder_stands_for_it_elsewhere(self, install, remote):
        shown = json.loads(install("zed", "--print").stdout)
        assert shown["context_servers"]["memtrace"]["env"]["MEMTRACE_API_KEY"] == "YOUR_API_KEY"


class TestWhatStandsThere:
    @pytest.fixture
    def path(self, home):
        path = CLIENTS["cursor"].path()
        path.parent.mkdir(parents=True)
        return path

    def test_other_servers_settings_and_comments_stay_and_there_is_a_backup(self, install, path):
        before = '// mine\n{\n  "other": [1.0, 1e3],\n  "mcpServers": {\n    "a": {"command": "b"}, // it\n  },\n}\n'
        path.write_text(before, encoding="utf-8")
        result = install("cursor")
        after = path.read_text(encoding="utf-8")
        assert all(line in after for line in before.splitlines()[:5])
        assert path.with_name("mcp.json.bak").read_text(encoding="utf-8") == before
        assert f"the file as it was: {path}.bak" in result.stdout.replace("\n", "")

    def test_a_second_time_changes_nothing(self, install, path, remote):
        path.write_text("{}", encoding="utf-8")
        install("cursor")
        before = path.read_bytes(), sorted(path.parent.iterdir())
        assert "has this server already" in install("cursor").stdout
        assert (path.read_bytes(), sorted(path.parent.iterdir())) == before

    def test_each_backup_has_a_name_of_its_own(self, install, path):
        path.write_text("{}", encoding="utf-8")
        for agent in ("a", "b", "c"):
            install("cursor", "--agent", agent)
        assert [each.name for each in sorted(path.parent.iterdir())] == [
            "mcp.json",
            "mcp.json.bak",
            "mcp.json.bak1",
            "mcp.json.bak2",
        ]

    def test_memtraces_own_server_is_replaced_and_keeps_its_address_and_key(self, install, path):
        old = {
            "command": "/opt/memtrace-mcp",
            "env": {"MEMTRACE_URL": SERVER, "MEMTRACE_API_KEY": KEY},
            "disabled": False,
        }
        path.write_text(json.dumps({"mcpServers": {"memtrace": old}}), encoding="utf-8")
        install("cursor")
        server = entry_of("cursor")
        assert server["args"][-1] == "mcp"
        assert (server["env"], server["disabled"]) == (old["env"], False)

    def test_a_key_does_not_go_to_another_server(self, install, path):
        old = {"command": "x", "env": {"MEMTRACE_URL": SERVER, "MEMTRACE_API_KEY": KEY, "MEMTRACE_TIMEOUT": "5"}}
        path.write_text(json.dumps({"mcpServers": {"memtrace": old}}), encoding="utf-8")
        install("cursor", "--base-url", "memory://")
        assert entry_of("cursor")["env"] == {"MEMTRACE_TIMEOUT": "5", "MEMTRACE_BASE_URL": "memory://"}

    def test_a_key_that_is_in_the_file_stays_for_the_same_server(self, install, remote):
        path = CLIENTS["zed"].path()
        path.parent.mkdir(parents=True)
        old = {"command": "x", "env": {"MEMTRACE_URL": SERVER, "MEMTRACE_API_KEY": "mtk_in_the_file"}}
        path.write_text(json.dumps({"context_servers": {"memtrace": old}}), encoding="utf-8")
        install("zed")
        assert entry_of("zed")["env"] == {"MEMTRACE_BASE_URL": SERVER, "MEMTRACE_API_KEY": "mtk_in_the_file"}

    @pytest.mark.parametrize(
        "kept",
        [
            ["--profile", "acme"],
            ["-p", "acme"],
            ["-pacme"],
            ["--base-url=http://b", "--transport", "httpx"],
            ["--agent", "a", "--session", "s", "--scope", "session", "--prefix", "m_", "--search-index", "/i.db"],
            ["--agent=a", "--session=s"],
            ["--read-only"],
            ["--timeout", "5", "odd", "--odd=1"],
        ],
    )
    @pytest.mark.parametrize(
        "launcher",
        [
            ["/old/memtrace-sdk", "mcp"],
            ["C:\\old\\memtrace-sdk.exe", "mcp"],
            ["python3", "-m", "memtrace", "mcp"],
            ["uvx", "--with", "mcp", "--from", "memtrace-sdk[mcp]", "memtrace-sdk", "mcp"],
        ],
    )
    def test_options_that_are_not_given_now_stay(self, install, path, launcher, kept):
        old = {"command": launcher[0], "args": [*launcher[1:], *kept]}
        path.write_text(json.dumps({"mcpServers": {"memtrace": old}}), encoding="utf-8")
        result = install("cursor")
        arguments = entry_of("cursor")["args"]
        assert arguments[arguments.index("mcp") + 1 :] == kept
        assert "replaced" not in result.stderr
        install("cursor", "--agent", "new", "--timeout", "2")
        arguments = entry_of("cursor")["args"]
        assert read_entry(entry_of("cursor")).options == {
            **read_entry(old).options,
            "--agent": ["--agent", "new"],
            "--timeout": ["--timeout", "2.0"],
        }
        assert sum(each.startswith("--agent") for each in arguments) == 1

    def test_every_option_of_the_command_is_known(self):
        from memtrace._cli.app import app

        options = [each for each in made_once(app).commands["mcp"].params if each.name != "help"]
        assert {each.opts[0] for each in options if not each.is_flag} == {*WITH_VALUE}
        assert {each.opts[0] for each in options if each.is_flag} == {"--read-only"}
        assert [each.opts[1:] for each in options if each.opts[1:]] == [["-p"]]

    @pytest.mark.parametrize("old", [["--profile", "old"], ["-pold"], ["--base-url", "http://b", "--transport", "x"]])
    def test_another_connection_replaces_that_of_the_options(self, install, path, old):
        entry = {"command": "memtrace-sdk", "args": ["mcp", *old, "--session", "s"], "env": {"MEMTRACE_API_KEY": KEY}}
        path.write_text(json.dumps({"mcpServers": {"memtrace": entry}}), encoding="utf-8")
        install("cursor", "--base-url", "memory://")
        assert entry_of("cursor")["args"][-3:] == ["mcp", "--session", "s"]
        assert entry_of("cursor")["env"] == {"MEMTRACE_BASE_URL": "memory://"}

    def test_a_key_and_a_transport_stay_for_the_same_base_url_among_the_options(self, install, path):
        arguments = ["mcp", "--base-url", SERVER, "--transport", "httpx"]
        entry = {"command": "memtrace-sdk", "args": arguments, "env": {"MEMTRACE_API_KEY": KEY}}
        path.write_text(json.dumps({"mcpServers": {"memtrace": entry}}), encoding="utf-8")
        install("cursor", "--base-url", SERVER)
        assert entry_of("cursor")["args"][-3:] == ["mcp", "--transport", "httpx"]
        assert entry_of("cursor")["env"]["MEMTRACE_BASE_URL"] == SERVER

    def test_the_default_profile_changes_no_connection_that_is_there(self, install, invoke, path):
        invoke("profiles", "add", "first", "--base-url", "memory://")
        invoke("profiles", "add", "acme", "--base-url", "memory://")
        install("cursor")
        assert entry_of("cursor")["args"][-2:] == ["--profile", "first"]
        install("cursor", "--profile", "acme", "--agent", "a")
        before = entry_of("cursor")
        assert "has this server already" in install("cursor").stdout
        install("cursor", "--read-only")
        assert entry_of("cursor") == {**before, "args": [*before["args"], "--read-only"]}

    @pytest.mark.parametrize("kept", [{"MEMTRACE_BASE_URL": "${env:MY_URL}"}, {"MEMTRACE_PROFILE": "${env:MY_NAME}"}])
    def test_a_reference_in_place_of_a_connection_stays(self, install, path, kept):
        entry = {"command": "memtrace-sdk", "args": ["mcp"], "env": kept}
        path.write_text(json.dumps({"mcpServers": {"memtrace": entry}}), encoding="utf-8")
        install("cursor", "--agent", "a", "--transport", "httpx")
        assert entry_of("cursor")["env"] == kept

    def test_the_variable_of_a_default_profile_that_is_not_used_is_not_asked_for(self, install, invoke, environment):
        environment.setenv("ACME_KEY", KEY)
        install("cursor", "--base-url", "memory://")
        invoke("profiles", "add", "acme", "--base-url", SERVER, "--api-key-env", "ACME_KEY")
        assert install("cursor", "--agent", "a").stderr == ""
        assert entry_of("cursor")["env"] == {"MEMTRACE_BASE_URL": "memory://"}

    def test_variables_of_another_program_are_not_kept(self, install, path):
        entry = {"command": "npx", "args": ["x"], "env": {"OTHER_TOKEN": "secret"}, "cwd": "/x"}
        path.write_text(json.dumps({"mcpServers": {"memtrace": entry}}), encoding="utf-8")
        install("cursor")
        assert entry_of("cursor").keys() == {"command", "args", "env"}
        assert entry_of("cursor")["env"] == {}

    @pytest.mark.parametrize(
        "old", [{"url": "https://x"}, "text", {"command": "npx", "args": ["x", "mcp", "--agent", "a"]}]
    )
    def test_another_server_of_the_same_name_is_replaced_with_a_message(self, install, path, old):
        before = json.dumps({"mcpServers": {"memtrace": old}})
        path.write_text(before, encoding="utf-8")
        result = install("cursor")
        told = "memtrace was another server in this file, not memtrace-sdk mcp: it is replaced"
        assert told in result.stderr.replace("\n", " ")
        assert path.with_name("mcp.json.bak").read_text(encoding="utf-8") == before
        assert "--agent" not in entry_of("cursor")["args"]
        assert "replaced" not in install("cursor", "--agent", "a").stderr

    @pytest.mark.parametrize("old", [{"url": "https://x"}, "text", None, {"command": "x", "env": None, "args": 1}])
    def test_a_server_of_another_form_is_replaced(self, install, path, old):
        path.write_text(json.dumps({"mcpServers": {"memtrace": old}}), encoding="utf-8")
        install("cursor")
        assert {"command", "args", "env"} == entry_of("cursor").keys()

    @pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
    def test_a_link_stays_one_and_a_mode_stays(self, install, path, tmp_path):
        target = tmp_path / "dotfiles.json"
        target.write_text("{}", encoding="utf-8")
        target.chmod(0o640)
        path.symlink_to(target)
        install("cursor")
        assert path.is_symlink()
        assert "memtrace" in target.read_text(encoding="utf-8")
        assert stat.S_IMODE(target.stat().st_mode) == 0o640

    def test_a_byte_order_mark_stays(self, install, path):
        path.write_bytes(b"\xef\xbb\xbf{}")
        install("cursor")
        assert path.read_bytes().startswith(b"\xef\xbb\xbf{")

    def test_an_empty_file_is_filled(self, install, path):
        path.write_bytes(b"")
        install("cursor")
        assert [each.name for each in path.parent.iterdir()] == ["mcp.json"]
        assert entry_of("cursor")["args"]

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("{", "it is not JSON in line 1"),
            ("[]", "there is no object that could have mcpServers"),
            ('{"mcpServers": 1}', "there is no object that could have memtrace"),
        ],
    )
    def test_a_file_that_cannot_be_changed_safely_stays_and_the_snippet_is_shown(
        self, invoke, path, remote, text, told
    ):
        path.write_text(text, encoding="utf-8")
        result = invoke("mcp", "install", "cursor", "--with-key")
        assert result.exit_code == 2
        assert told in result.stderr.replace("\n", " ")
        assert json.loads(result.stdout)["mcpServers"]["memtrace"]["args"]
        assert KEY not in result.output
        assert path.read_text(encoding="utf-8") == text
        assert [each.name for each in path.parent.iterdir()] == ["mcp.json"]

    @pytest.mark.parametrize("client", ["vscode", "cursor"])
    @pytest.mark.parametrize("inputs", [5, "text", {"id": "memtrace-api-key"}, True])
    def test_inputs_that_are_no_list_matter_to_vs_code_only(self, invoke, home, remote, client, inputs):
        path = CLIENTS[client].path()
        path.parent.mkdir(parents=True)
        before = json.dumps({"inputs": inputs})
        path.write_text(before, encoding="utf-8")
        result = invoke("mcp", "install", client)
        if client == "cursor":
            assert (result.exit_code, parse(path.read_text(encoding="utf-8"))["inputs"]) == (0, inputs)
            return
        assert result.exit_code == 2
        assert "inputs is not a list" in result.stderr.replace("\n", " ")
        assert json.loads(result.stdout)["servers"]["memtrace"]
        assert path.read_text(encoding="utf-8") == before

    def test_a_file_that_is_not_utf_8_stays(self, invoke, path):
        path.write_bytes(b"\xff{}")
        result = invoke("mcp", "install", "cursor")
        assert result.exit_code == 1
        assert "cannot be changed: it is not UTF-8" in result.output.replace("\n", " ")

    @pytest.mark.parametrize("is_link", [False, True])
    def test_a_read_only_file_stays(self, invoke, path, tmp_path, is_link):
        target = tmp_path / "dotfiles.json" if is_link else path
        if is_link:
            path.symlink_to(target)
        target.write_text("{}", encoding="utf-8")
        target.chmod(0o444)
        result = invoke("mcp", "install", "cursor")
        assert result.exit_code == 1
        assert "mcp.json cannot be changed: it is read-only" in result.output.replace("\n", " ")
        assert target.read_text(encoding="utf-8") == "{}"
        assert [each.name for each in path.parent.iterdir()] == ["mcp.json"]

    def test_a_folder_in_its_place_is_told(self, invoke, path):
        path.mkdir()
        result = invoke("mcp", "install", "cursor")
        assert result.exit_code == 1
        assert "cannot be changed: " in result.output.replace("\n", " ")

    def test_what_the_client_writes_meanwhile_is_not_lost(self, install, path, environment):
        path.write_text('{"mcpServers": {}}', encoding="utf-8")
        changed = mcp_install._changed

        def client_writes(installation, server, text):
            if '"b"' not in text:
                path.write_text('{"mcpServers": {"b": {}}}', encoding="utf-8")
            return changed(installation, server, text)

        environment.setattr(mcp_install, "_changed", client_writes)
        install("cursor")
        assert [*parse(path.read_text(encoding="utf-8"))["mcpServers"]] == ["b", "memtrace"]

    def test_a_file_that_changes_all_the_time_is_left_to_its_client(self, invoke, path, environment):
        path.write_text("{}", encoding="utf-8")
        changed = mcp_install._changed

        def client_writes(installation, server, text):
            path.write_text(text + " ", encoding="utf-8")
            return changed(installation, server, text)

        environment.setattr(mcp_install, "_changed", client_writes)
        result = invoke("mcp", "install", "cursor")
        assert result.exit_code == 1
        assert "changes all the time: close Cursor" in result.output.replace("\n", " ")


@pytest.mark.skipif(os.name != "posix", reason="users of Windows have a profile folder")
class TestWithoutAHomeDirectory:
    @pytest.fixture(autouse=True)
    def _without(self, environment):
        import pwd

        for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "MEMTRACE_CONFIG"):
            environment.delenv(name, raising=False)
        environment.setattr(pwd, "getpwuid", lambda uid: {}[uid])

    @pytest.mark.parametrize("client", CLIENTS)
    @pytest.mark.parametrize("connection", [[], ["--base-url", "memory://"]])
    def test_install_needs_a_file(self, invoke, client, connection):
        result = invoke("mcp", "install", client, *connection)
        assert result.exit_code == 2
        assert "no home directory: set HOME, or use --file / --base-url" in result.stderr.replace("\n", " ")

    def test_on_macos_too(self, invoke, environment):
        environment.setattr("sys.platform", "darwin")
        assert invoke("mcp", "install", "vscode").exit_code == 2

    def test_install_works_with_a_file_and_a_base_url(self, invoke, tmp_path):
        path = str(tmp_path / "mcp.json")
        assert invoke("mcp", "install", "cursor", "--file", path, "--base-url", "memory://").exit_code == 0
        assert invoke("mcp", "install", "cursor", "--print", "--base-url", "memory://").exit_code == 0

    @pytest.mark.parametrize(
        ("command", "told"),
        [
            (["mcp"], "--base-url / MEMTRACE_CONFIG"),
            (["recall", "a"], "--base-url / MEMTRACE_CONFIG"),
            (["profiles", "list"], "--base-url / MEMTRACE_CONFIG"),
            (["profiles", "path"], "--base-url / MEMTRACE_CONFIG"),
            (["profiles", "add", "a", "--base-url", "memory://"], "--base-url / MEMTRACE_CONFIG"),
        ],
    )
    def test_other_commands_say_what_to_set(self, invoke, command, told):
        result = invoke(*command)
        assert result.exit_code == 2
        assert f"no home directory: set HOME, or use {told}" in result.stderr.replace("\n", " ")

    def test_the_file_of_memories_needs_one(self, invoke, environment, tmp_path):
        environment.setenv("MEMTRACE_CONFIG", str(tmp_path / "config.toml"))
        result = invoke("mcp")
        assert result.exit_code == 2
        assert "no home directory: set HOME, or use --base-url" in result.stderr.replace("\n", " ")

    def test_a_folder_that_is_not_absolute_is_none(self, invoke, environment):
        environment.setattr(platformdirs, "user_config_path", lambda *_, **__: Path("~/.config"))  # older releases
        assert invoke("profiles", "path").exit_code == 2


def test_a_client_that_is_not_known_is_refused_with_those_that_are(invoke, home):
    result = invoke("mcp", "install", "emacs")
    assert result.exit_code == 2
    assert all(client in result.output for client in CLIENTS)

"""The clients of MCP whose settings are known: where each has its file, and how it names a server in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import platformdirs

from memtrace._cli.home import folder_of_user

ClientName = Literal["claude-desktop", "claude-code", "cursor", "vscode", "windsurf", "zed"]


@dataclass(frozen=True, slots=True)
class McpClient:
    """One client."""

    title: str
    path: Callable[[], Path]
    #: The member of the file that has the servers.
    section: str = "mcpServers"
    #: How the file refers to a variable of the client's environment, with its name for {}; None where it cannot.
    variable: str | None = None
    #: How it refers to a value that the client asks for once and keeps secret, with its name for {}.
    secret: str | None = None
    #: What each server has besides its command.
    extra: Mapping[str, str] | None = None


def _home() -> Path:
    return folder_of_user(Path.home, instead="--file / --base-url")


def _settings(*parts: str) -> Path:
    """A file in the platform's folder for an application's settings: on Windows the one that roams."""
    if sys.platform == "darwin":  # platformdirs follows XDG_CONFIG_HOME there, and these clients do not
        return _home().joinpath("Library", "Application Support", *parts)
    folder = folder_of_user(lambda: platformdirs.user_config_path(roaming=True), instead="--file / --base-url")
    return folder.joinpath(*parts)


def _zed() -> Path:
    if sys.platform == "darwin":
        return _home() / ".config" / "zed" / "settings.json"
    return _settings("Zed" if sys.platform == "win32" else "zed", "settings.json")


def _claude_code() -> Path:
    folder = os.environ.get("CLAUDE_CONFIG_DIR")
    return (Path(folder) if folder else _home()) / ".claude.json"


CLIENTS: Final[Mapping[ClientName, McpClient]] = {
    "claude-desktop": McpClient("Claude Desktop", lambda: _settings("Claude", "claude_desktop_config.json")),
    "claude-code": McpClient("Claude Code", _claude_code, variable="${{{}}}", extra={"type": "stdio"}),
    "cursor": McpClient("Cursor", lambda: _home() / ".cursor" / "mcp.json", variable="${{env:{}}}"),
    "vscode": McpClient(
        "VS Code",
        lambda: _settings("Code", "User", "mcp.json"),
        section="servers",
        secret="${{input:{}}}",  # noqa: S106  # a form, which has no secret
        extra={"type": "stdio"},
    ),
    "windsurf": McpClient(
        "Windsurf", lambda: _home() / ".codeium" / "windsurf" / "mcp_config.json", variable="${{env:{}}}"
    ),
    "zed": McpClient("Zed", _zed, section="context_servers"),
}
"""Every client, by the name that the command takes."""

"""Which memory ``memtrace-sdk mcp`` serves: also by the variable of Memtrace's own MCP server, or in a file."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import platformdirs

from memtrace._cli.connection import choose
from memtrace._cli.home import folder_of_user
from memtrace._cli.terminal import show_error
from memtrace._support.sqlite_urls import location_of_path

if TYPE_CHECKING:
    from memtrace._cli.connection import ConnectionSettings
    from memtrace._cli.options import Choice

URL_ALIAS: Final = "MEMTRACE_URL"
"""What Memtrace's own MCP server calls MEMTRACE_BASE_URL."""

_LOCAL_SERVER: Final = "http://localhost:9100"  # the default of Memtrace's own MCP server


def choose_memory(choice: Choice) -> ConnectionSettings:
    """The connection that options or the environment name.

    With only a key, it is to a server on this machine. With neither, it is to a file. Notes on stderr
    name the choice, and say if MEMTRACE_URL has no effect. Raises `CommandError`.
    """
    chosen = choose(choice, url_alias=URL_ALIAS)
    connection = with_default(chosen)
    alias = os.environ.get(URL_ALIAS)
    if alias and connection.url_source == "MEMTRACE_BASE_URL" and _bare(alias) != _bare(connection.url):
        show_error(f"{URL_ALIAS} is ignored: MEMTRACE_BASE_URL has another URL")
    if not chosen.url and chosen.api_key:
        show_error(f"no base URL is set: the server is {_LOCAL_SERVER}")
    elif not chosen.url:
        show_error(f"no server is named: memories are kept in {_default_file()}")
    return connection


def with_default(connection: ConnectionSettings) -> ConnectionSettings:
    """The connection, with the base URL that is served if it has none."""
    if connection.url:
        return connection
    if connection.api_key:
        return replace(connection, url=_LOCAL_SERVER, url_source="the default")
    return replace(connection, url=location_of_path(str(_default_file())).url(), url_source="the folder for data")


def _default_file() -> Path:
    folder = folder_of_user(lambda: platformdirs.user_data_path("memtrace", appauthor=False), instead="--base-url")
    return folder / "memories.db"


def _bare(url: str | None) -> str:
    return (url or "").rstrip("/")

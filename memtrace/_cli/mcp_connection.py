"""Which memory ``memtrace-sdk mcp`` serves: also by the variable of Memtrace's own MCP server, or in a file."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import platformdirs

from memtrace._cli.connection import choose
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
    connection = choose(choice, url_alias=URL_ALIAS)
    alias = os.environ.get(URL_ALIAS)
    if alias and connection.url_source == "MEMTRACE_BASE_URL" and _bare(alias) != _bare(connection.url):
        show_error(f"{URL_ALIAS} is ignored: MEMTRACE_BASE_URL has another URL")
    if connection.url:
        return connection
    if connection.api_key:
        show_error(f"no base URL is set: the server is {_LOCAL_SERVER}")
        return replace(connection, url=_LOCAL_SERVER, url_source="the default")
    path = platformdirs.user_data_path("memtrace", appauthor=False) / "memories.db"
    show_error(f"no server is named: memories are kept in {path}")
    return replace(connection, url=location_of_path(str(path)).url(), url_source="the folder for data")


def _bare(url: str | None) -> str:
    return (url or "").rstrip("/")

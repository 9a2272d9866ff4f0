"""``memtrace-sdk mcp``: the memory of one agent as tools, over the standard streams or HTTP."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import re
import socket
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import platformdirs

from memtrace._cli.connection import choose
from memtrace._cli.exit_status import CommandError, ExitStatus
from memtrace._cli.signals import on_termination
from memtrace._cli.terminal import show_error
from memtrace._support.sqlite_urls import location_of_path
from memtrace.exceptions import ConfigurationError, InvalidRequestError

if TYPE_CHECKING:
    import uvicorn
    from mcp.server.lowlevel import Server

    from memtrace._cli.connection import ConnectionSettings
    from memtrace._cli.options import Choice
    from memtrace.async_client import AsyncMemtrace
    from memtrace.integrations.tools import MemoryScope

_DEADLINE = 60.0  # seconds: a model waits for the response
_TOKEN = "MEMTRACE_MCP_TOKEN"  # noqa: S105  # the name of the variable
_OF_THIS_MACHINE = ("127.0.0.1", "::1", "localhost")  # for these the package refuses pages of other sites
_PLACE = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<host>[^:\[\]]+)):(?P<port>[0-9]{1,5})")


def run_mcp(
    choice: Choice,
    *,
    agent: str,
    session: str | None,
    scope: MemoryScope,
    read_only: bool,
    prefix: str,
    http: str | None,
    search_index: str | None = None,
) -> int:
    """Serve until the input ends, or SIGINT or SIGTERM comes; returns the exit status. Raises `CommandError`."""
    _check_package()
    connection = replace(_with_store(choose(choice)), search_index=search_index)
    connection.check()
    try:
        place = None if http is None else _place(http)
        client, server = _made(connection, agent, session, scope, prefix, read_only=read_only)
    except (ConfigurationError, InvalidRequestError) as error:
        raise connection.describe(error) from None
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="memtrace-sdk: %(message)s")
    if place is None:
        with on_termination(lambda: os._exit(0)):  # at once: a thread that reads the input cannot be interrupted
            asyncio.run(_over_streams(client, server))
        return 0
    try:
        listening = socket.create_server(place, family=socket.AF_INET6 if ":" in place[0] else socket.AF_INET)
    except OSError as error:
        told = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        show_error(f"cannot listen on {http}: {told}")
        return 1
    serving = _http_server(server, place[0])
    with listening, on_termination(lambda: setattr(serving, "should_exit", True)):
        asyncio.run(_over_http(client, serving, listening))
    return 0


def _with_store(connection: ConnectionSettings) -> ConnectionSettings:
    """The connection, to a file in the platform's folder for data where nothing names an address."""
    if connection.url:
        return connection
    path = platformdirs.user_data_path("memtrace", appauthor=False) / "memories.db"
    show_error(f"no server is named: memories are kept in {path}")
    return replace(connection, url=location_of_path(str(path)).url(), url_source="the folder for data")


def _check_package() -> None:
    try:
        importlib.import_module("memtrace.integrations.mcp")
    except ModuleNotFoundError as error:
        package = (error.name or "mcp").partition(".")[0]
        raise CommandError(
            f"this command needs the package {package}, not installed here",
            ExitStatus.USAGE,
            'run: pip install "memtrace-sdk[mcp]"',
        ) from error


def _made(
    connection: ConnectionSettings, agent: str, session: str | None, scope: MemoryScope, prefix: str, *, read_only: bool
) -> tuple[AsyncMemtrace, Server[dict[str, Any]]]:
    """The client and the server over it. Raises for what cannot be."""
    from memtrace.integrations.mcp import memory_server
    from memtrace.integrations.tools import TOOLS, AsyncMemoryTools

    client = connection.async_client(deadline=_DEADLINE)
    tools = AsyncMemoryTools(
        client,
        agent_id=agent,
        session_id=session,
        scope=scope,
        tools=["recall", "search"] if read_only else TOOLS,
        prefix=prefix,
    )
    return client, memory_server(tools)


# ---- the standard streams -------------------------------------------------------------------------------------------


async def _over_streams(client: AsyncMemtrace, server: Server[dict[str, Any]]) -> None:
    from mcp.server.stdio import stdio_server

    async with client, stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


# ---- HTTP -----------------------------------------------------------------------------------------------------------


def _place(text: str) -> tuple[str, int]:
    """Host and port. Raises `ConfigurationError` for what is none, and for one that others reach where no token is set."""
    match = _PLACE.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise ConfigurationError("--http is HOST:PORT, as in 127.0.0.1:8765 or [::1]:8765; port 0 selects a free one")
    host = match["v6"] or match["host"]
    if host not in _OF_THIS_MACHINE and not os.environ.get(_TOKEN):
        raise ConfigurationError(
            f"--http {text} can be reached by others, and whoever reaches it could read and write this memory",
            hint=f"set {_TOKEN} to a secret that clients send as Authorization: Bearer, or listen on 127.0.0.1",
        )
    return host, int(match["port"])


def _http_server(server: Server[dict[str, Any]], host: str) -> uvicorn.Server:
    import uvicorn

    from memtrace.integrations.mcp import RequireToken

    application: Any = server.streamable_http_app(host=host)
    token = os.environ.get(_TOKEN)
    if token:
        application = RequireToken(application, token)
    return uvicorn.Server(
        uvicorn.Config(application, log_config=None, ws="none", server_header=False, timeout_graceful_shutdown=1)
    )


async def _over_http(client: AsyncMemtrace, serving: uvicorn.Server, listening: socket.socket) -> None:
    host, port = listening.getsockname()[:2]
    sys.stderr.write(f"memtrace-sdk: MCP over HTTP at http://{f'[{host}]' if ':' in host else host}:{port}/mcp\n")
    async with client:
        await serving.serve(sockets=[listening])

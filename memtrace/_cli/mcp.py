"""``memtrace-sdk mcp``: the memory of one agent or all as tools, over the standard streams or HTTP."""

from __future__ import annotations

import asyncio
import functools
import importlib
import logging
import os
import re
import socket
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from memtrace._cli.exit_status import CommandError, ExitStatus
from memtrace._cli.mcp_connection import choose_memory
from memtrace._cli.signals import on_termination
from memtrace._cli.terminal import show_error
from memtrace.exceptions import ConfigurationError, InvalidRequestError

if TYPE_CHECKING:
    import uvicorn
    from mcp.server.lowlevel import Server

    from memtrace._cli.connection import ConnectionSettings
    from memtrace._cli.options import Choice
    from memtrace.async_client import AsyncMemtrace
    from memtrace.integrations.tools import AsyncMemoryTools, MemoryScope

_LEAVE = functools.partial(os._exit, 0)  # at once: a thread that reads the input cannot be interrupted
_DEADLINE = 60.0  # seconds: a model waits for the response
_TOKEN = "MEMTRACE_MCP_TOKEN"  # noqa: S105  # the name of the variable
_OF_THIS_MACHINE = ("127.0.0.1", "::1", "localhost")  # for these the package refuses pages of other sites
_PLACE = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<host>[^:\[\]]+)):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The tools that are served, and the address: the options of the command."""

    #: None serves the tools of Memtrace's own MCP server, in which each call names the agent.
    agent: str | None
    session: str | None = None
    scope: MemoryScope = "agent"
    read_only: bool
    prefix: str = ""
    #: Host and port; None for the standard streams.
    http: str | None = None
    search_index: str | None = None

    def check(self) -> None:
        """Refuse options of one agent's tools without an agent. Raises `CommandError`."""
        given = {"--session": self.session, "--scope": self.scope != "agent", "--prefix": self.prefix}
        wrong = [name for name, value in given.items() if value]
        if self.agent is None and wrong:
            raise CommandError(
                f"{wrong[0]} is for the tools of one agent: add --agent ID, or leave it out", ExitStatus.USAGE
            )


def run_mcp(choice: Choice, serving: Serving) -> int:
    """Serve until the input ends, or SIGINT or SIGTERM comes; returns the exit status. Raises `CommandError`."""
    serving.check()
    check_package()
    connection = replace(choose_memory(choice), search_index=serving.search_index)
    connection.check()
    http = serving.http
    try:
        place = None if http is None else _place(http)
        client, server = _made(connection, serving)
    except (ConfigurationError, InvalidRequestError) as error:
        raise connection.describe(error) from None
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="memtrace-sdk: %(message)s")
    if place is None:
        with on_termination(_LEAVE):
            asyncio.run(_over_streams(client, server))
        return 0
    try:
        listening = socket.create_server(place, family=socket.AF_INET6 if ":" in place[0] else socket.AF_INET)
    except OSError as error:
        told = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        show_error(f"cannot listen on {http}: {told}")
        return 1
    web = _http_server(server, place[0])
    with listening, on_termination(lambda: setattr(web, "should_exit", True)):
        asyncio.run(_over_http(client, web, listening))
    return 0


def check_package() -> None:
    """Refuse to serve without the extra. Raises `CommandError`."""
    try:
        importlib.import_module("memtrace.integrations.mcp")
    except ModuleNotFoundError as error:
        package = (error.name or "mcp").partition(".")[0]
        raise CommandError(
            f"this command needs the package {package}, not installed here",
            ExitStatus.USAGE,
            'run: pip install "memtrace-sdk[mcp]"',
        ) from error


def check_options(connection: ConnectionSettings, serving: Serving) -> None:
    """Refuse options and variables that could not be served, without the extra and without a request. Raises `CommandError`."""
    try:
        client = connection.async_client(deadline=_DEADLINE)
        _tools(client, serving)
    except (ConfigurationError, InvalidRequestError) as error:
        raise connection.describe(error) from None
    asyncio.run(client.close())


def _made(connection: ConnectionSettings, serving: Serving) -> tuple[AsyncMemtrace, Server[dict[str, Any]]]:
    """The client and the server over it. Raises for what cannot be."""
    from memtrace.integrations.mcp import memory_server, memtrace_server

    client = connection.async_client(deadline=_DEADLINE)
    tools = _tools(client, serving)
    return client, memtrace_server(client, read_only=serving.read_only) if tools is None else memory_server(tools)


def _tools(client: AsyncMemtrace, serving: Serving) -> AsyncMemoryTools | None:
    """The tools of one agent; None for those of all. Raises for what cannot be."""
    from memtrace.integrations.tools import TOOLS, AsyncMemoryTools

    if serving.agent is None:
        return None
    return AsyncMemoryTools(
        client,
        agent_id=serving.agent,
        session_id=serving.session,
        scope=serving.scope,
        tools=["recall", "search"] if serving.read_only else TOOLS,
        prefix=serving.prefix,
    )


# ---- the standard streams -------------------------------------------------------------------------------------------


async def _over_streams(client: AsyncMemtrace, server: Server[dict[str, Any]]) -> None:
    from memtrace.integrations.mcp._stdio import serve_stdio

    await serve_stdio(client, server, leave=_LEAVE)


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


async def _over_http(client: AsyncMemtrace, web: uvicorn.Server, listening: socket.socket) -> None:
    host, port = listening.getsockname()[:2]
    sys.stderr.write(f"memtrace-sdk: MCP over HTTP at http://{f'[{host}]' if ':' in host else host}:{port}/mcp\n")
    async with client:
        await web.serve(sockets=[listening])

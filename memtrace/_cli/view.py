"""``memtrace-sdk view``: the viewer's pages on a loopback port, for one browser."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import typer

from memtrace._cli.connection import MISSING_FILE, choose
from memtrace._cli.exit_status import CommandError, ExitStatus
from memtrace._cli.files import replace_file
from memtrace._cli.nothing_found import check_agent
from memtrace._cli.signals import on_termination
from memtrace._cli.terminal import show_error, visible
from memtrace.exceptions import MemtraceError
from memtrace.operations._validation import check_id

if TYPE_CHECKING:
    import uvicorn

    from memtrace._cli.connection import ConnectionSettings
    from memtrace._cli.options import Choice
    from memtrace.async_client import AsyncMemtrace

_HOST = "127.0.0.1"
BROWSER_THREAD = "memtrace-view-browser"
_DEADLINE = 60.0  # seconds: a person waits for the page


def run_view(
    choice: Choice, *, agent: str | None, port: int, browser: bool, search_index: str | None, as_json: bool
) -> int:
    """Serve until SIGINT or SIGTERM comes; returns the exit status. Raises `CommandError`."""
    check_packages()
    connection = checked_connection(choice, search_index)
    try:
        check_id(agent, "agent_id")
        client = connection.async_client(deadline=_DEADLINE)
    except MemtraceError as error:
        raise connection.describe(error) from None
    try:
        listening = socket.create_server((_HOST, port))
    except OSError as error:
        told = os.strerror(error.errno) if error.errno else str(error)
        show_error(f"cannot listen on {_HOST}:{port}: {told}; --port 0 chooses a free port")
        return ExitStatus.FAILED
    token = secrets.token_urlsafe(32)
    bound = listening.getsockname()[1]
    query = urlencode({"token": token, **({"agent": agent} if agent else {})})
    url = f"http://{_HOST}:{bound}/?{query}"
    serving = _server(client, connection, token, bound)

    def started() -> None:
        typer.echo(json.dumps({"url": url}) if as_json else url)
        if not as_json:
            show_error("Ctrl-C ends it. Users of this machine who have the URL can read the memories.")
        if browser:
            # it waits up to five seconds for a browser that starts
            threading.Thread(target=_open, args=(url,), name=BROWSER_THREAD, daemon=True).start()

    with listening, _quiet(serving), on_termination(lambda: setattr(serving, "should_exit", True)):
        asyncio.run(_serve(client, serving, listening, started))
    return ExitStatus.OK


def write_html(choice: Choice, path: str, *, agent: str | None, as_json: bool) -> None:
    """Write the newest memories to one file. Raises `CommandError`."""
    check_packages()
    connection = checked_connection(choice, None)
    if path != "-" and Path(path).exists() and not Path(path).is_file():
        raise CommandError(
            f"--html {visible(path)} is not a file; --html - writes to standard output", ExitStatus.USAGE
        )
    try:
        with connection.client() as client:
            check_agent(client, agent)
    except MemtraceError as error:
        raise connection.describe(error) from None
    _save(path, *asyncio.run(_document(connection, agent)), as_json=as_json)


def _save(path: str, text: str, counts: dict[str, int | bool], *, as_json: bool) -> None:
    if path == "-":
        sys.stdout.write(text)
        return
    try:
        replace_file(Path(path), text.encode())
    except OSError as error:
        raise CommandError(
            f"{visible(path)} could not be written: {error.strerror or type(error).__name__}", ExitStatus.FAILED
        ) from error
    if as_json:
        typer.echo(json.dumps({"file": path, **counts}))
    else:
        more = ", the newest; older ones are left out" if counts["has_more"] else ""
        show_error(f"{path} has {counts['memories']:,} memories{more}")


async def _document(connection: ConnectionSettings, agent: str | None) -> tuple[str, dict[str, int | bool]]:
    from memtrace.integrations._viewer._document import read_document, render_document

    try:
        async with connection.async_client(deadline=_DEADLINE) as client:
            clock = client._dispatcher.settings.clock  # noqa: SLF001  # of this package
            document = await read_document(client, clock, agent)
    except MemtraceError as error:
        raise connection.describe(error) from None
    title = f"Memories of {agent}" if agent else "Memories"
    at = datetime.fromtimestamp(clock.wall(), tz=timezone.utc)
    timeline = document.timeline
    counts = {"memories": len(timeline.memories), "has_more": timeline.has_more}
    return render_document(document, title=title, at=at), counts


def check_packages() -> None:
    """Refuse to go on without the extra. Raises `CommandError`."""
    for package in ("jinja2", "starlette", "uvicorn"):
        if find_spec(package) is None:
            raise CommandError(
                f"this command needs the package {package}, not installed here",
                ExitStatus.USAGE,
                'run: pip install "memtrace-sdk[view]"',
            )


def checked_connection(choice: Choice, search_index: str | None) -> ConnectionSettings:
    """The connection that the options choose, to a store that is there. Raises `CommandError`."""
    connection = replace(choose(choice), search_index=search_index)
    connection.check()
    if connection.missing_file is not None:
        text = f"the store {connection.missing_file} does not exist: {MISSING_FILE} (from {connection.url_source})"
        raise CommandError(text, ExitStatus.USAGE)
    return connection


def source_of(client: AsyncMemtrace, connection: ConnectionSettings) -> str:
    """What the page calls the connection: its URL without credentials, and where its key is from."""
    url = visible(str(client._dispatcher.settings.base_url))  # noqa: SLF001  # of this package
    return url if connection.is_local or not connection.key_source else f"{url}, key of {connection.key_source}"


def _server(client: AsyncMemtrace, connection: ConnectionSettings, token: str, port: int) -> uvicorn.Server:
    import uvicorn

    from memtrace.integrations._viewer._access import LocalAccess
    from memtrace.integrations._viewer._app import Viewer

    viewer = Viewer(
        client, source=source_of(client, connection), describe=lambda error: connection.describe(error).message
    )
    config = uvicorn.Config(
        LocalAccess(viewer.application(), token=token, port=port),
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


@contextmanager
def _quiet(serving: uvicorn.Server) -> Iterator[None]:
    """Keep uvicorn's hints from the terminal, and at the end its log of pages that were still loading."""

    def is_shown(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR and not serving.should_exit

    log = logging.getLogger("uvicorn.error")
    log.addFilter(is_shown)
    try:
        yield
    finally:
        log.removeFilter(is_shown)


async def _serve(
    client: AsyncMemtrace, serving: uvicorn.Server, listening: socket.socket, started: Callable[[], None]
) -> None:
    async with client:
        running = asyncio.create_task(serving.serve(sockets=[listening]))
        while not (serving.started or running.done()):  # noqa: ASYNC110  # uvicorn has no event for it
            await asyncio.sleep(0.002)
        if serving.started:
            started()
        await running


def _open(url: str) -> None:
    """Open a browser that has its own window; one in the terminal would take it over."""
    try:
        found = webbrowser.get()
    except webbrowser.Error:
        return
    if type(found) is not webbrowser.GenericBrowser:
        found.open(url)

"""An ASGI application on its own port, on uvicorn, in a thread."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from memtrace._support.threads import is_refused_thread
from memtrace.exceptions import ConfigurationError, no_thread
from memtrace_transports._serving.asgi import Message, Receive, Send

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import uvicorn
    from typing_extensions import Self


class AppServer:
    """Serves an application over HTTP/1.1 while its ``with`` block lasts, or from `start` to `stop`."""

    def __init__(
        self, app: Callable[[Message, Receive, Send], Awaitable[None]], host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._app: Any = app
        self._address = (host, port)
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._url = ""

    @property
    def url(self) -> str:
        """Where it is, as in ``http://127.0.0.1:43210``; empty while it does not run."""
        return self._url

    def start(self) -> None:
        """Listen; returns when requests are answered.

        Raises `ConfigurationError` without uvicorn, OSError where the port is taken, RuntimeError where it runs already,
        `TransportError` where no thread can be started.
        """
        try:
            import uvicorn
        except ImportError as error:
            raise ConfigurationError(
                "a server needs the package uvicorn", hint='run: pip install "memtrace-sdk[server]"'
            ) from error
        if self._thread is not None:
            raise RuntimeError("this server runs already")
        listening = _listen(*self._address)
        config = uvicorn.Config(
            self._app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            server_header=False,
            date_header=False,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=1024 * 1024,
        )
        server = self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=_run, args=(server, listening), name="memtrace server", daemon=True)
        host, port = listening.getsockname()[:2]
        try:
            self._thread.start()
        except RuntimeError as error:
            listening.close()
            self._server = self._thread = None
            if not is_refused_thread(error):
                raise
            raise no_thread("the server does not run") from error
        while not server.started and self._thread.is_alive():
            time.sleep(0.002)
        if not server.started:
            self.stop()
            raise OSError("the server ended before it could answer")
        self._url = f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def stop(self) -> None:
        """Stop listening, wait a second at most for what is under way, and cut what is left. Does nothing where it has not started."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
            self._server = self._thread = None
            self._url = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._url or 'not started'}>"


def _run(server: uvicorn.Server, listening: socket.socket) -> None:
    """The server's thread. Of uvicorn's log records there, only crashes reach the logs of the surrounding program."""
    quiet = _Quiet()
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(quiet)
    try:
        asyncio.run(_serve(server, listening))
    finally:
        listening.close()
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(quiet)


async def _serve(server: uvicorn.Server, listening: socket.socket) -> None:
    await server.serve(sockets=[listening])
    for connection in list[Any](server.server_state.connections):  # what has not ended in time, or is not read
        connection.transport.abort()
    await asyncio.sleep(0)


_LOGGERS = ("uvicorn.error", "uvicorn.access", "asyncio")


class _Quiet(logging.Filter):
    """Drops every record of the thread that created it, except errors other than those of stopping."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log `record`."""
        if record.thread != self._thread:
            return True
        return record.exc_info is not None and not isinstance(record.exc_info[1], asyncio.CancelledError)


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError:
        listening.close()
        raise
    return listening

"""A fake Memtrace server on a loopback port, with nothing but the standard library: for tests that need a socket."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import TYPE_CHECKING, cast

from memtrace.exceptions import TransportError
from memtrace.transport import Headers, Method, Request, Response
from memtrace_transports.memory import FakeMemtrace

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["LoopbackServer"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    @property
    def _owner(self) -> _Server:
        return cast("_Server", self.server)

    def __getattr__(self, name: str) -> Callable[[], None]:
        """`http.server` looks for ``do_GET`` and the like; every method is answered alike."""
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        try:
            response = self._owner.fake.handle(self._request())
        except TransportError:
            self._cut()
        else:
            self._write(response)

    def _request(self) -> Request:
        """The request as it came: `self.path` would be changed by `http.server`, its first line is not."""
        target = self.requestline.split()[1].encode("latin-1").decode(errors="replace")
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length) if length else None
        return Request(cast("Method", self.command), self._owner.url, target, Headers(self.headers.items()), body)

    def _write(self, response: Response) -> None:
        lines = [f"HTTP/1.1 {response.status} {self.responses.get(response.status, ('',))[0]}"]
        lines.extend(f"{name}: {value}" for name, value in response.headers.multi_items)
        if response.status != 204:
            lines.append(f"Content-Length: {len(response.body)}")
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1") + response.body)
        self.wfile.flush()

    def _cut(self) -> None:
        """Close so that the client sees a reset, as it does when the server cuts a connection."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, fake: FakeMemtrace) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fake = fake
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away in the middle is no error of a test."""


class LoopbackServer:
    """Serves `fake` over HTTP/1.1 with keep-alive while its ``with`` block lasts.

    `url` is where; requests reach `FakeMemtrace.handle` with their raw target, and a TransportError cuts the
    connection.
    """

    def __init__(self, fake: FakeMemtrace | None = None) -> None:
        self.fake = FakeMemtrace() if fake is None else fake
        self._server = _Server(self.fake)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        """The origin, as in ``http://127.0.0.1:43210``."""
        return self._server.url

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

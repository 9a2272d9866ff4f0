"""A real HTTP server on a loopback port that does, for each request, what a test wrote down: also what no server should."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import singledispatchmethod
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, cast

from memtrace.transport import Headers

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass
class Step:
    """What the server does with one request; one of the classes below."""


@dataclass
class Answer(Step):
    """A proper answer after `pause` seconds, or once `ScriptedServer.end_pauses` was called.

    `chunked` sends it without a length, `zipped` compressed for those who accept that. `hang_up` closes the connection after it,
    without having said so. `interim` are statuses below 200 that go ahead of it, before the pause.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: list[tuple[str, str]] = field(default_factory=list)
    pause: float = 0.0
    chunked: bool = False
    zipped: bool = False
    hang_up: bool = False
    interim: tuple[int, ...] = ()


@dataclass
class Echo(Step):
    """Answers with what was received, as JSON: ``line``, ``headers`` (pairs, names in lower case), ``body`` and ``port``."""


@dataclass
class ResetAfterReading(Step):
    """Reads the request and resets the connection."""


@dataclass
class CloseAfterReading(Step):
    """Reads the request and closes the connection without a word."""


@dataclass
class Stall(Step):
    """Reads the request, sends `sent`, and then nothing until the server ends."""

    sent: bytes = b""


@dataclass
class Truncate(Step):
    """Promises more of a body than comes; with `chunked`, the last chunk is missing.

    With `zipped` all that was promised comes, and the end of what was compressed is missing, for those who accept that.
    """

    chunked: bool = False
    zipped: bool = False


@dataclass
class Garbage(Step):
    """Answers with these bytes, which are no HTTP."""

    data: bytes = b"\x00\x01 this is no HTTP\r\n\r\n"


@dataclass
class Drip(Step):
    """Sends a body of `count` bytes one by one, `pause` seconds apart."""

    pause: float = 0.02
    count: int = 100


@dataclass
class Trickle(Step):
    """Sends `data` unchanged, byte by byte, `pause` seconds apart."""

    data: bytes
    pause: float


@dataclass
class Verbatim(Step):
    """Sends `pieces` as they stand, each by itself, and `late` once `ScriptedServer.send_late` was called; the connection stays open."""

    pieces: tuple[bytes, ...]
    late: bytes = b""


@dataclass(frozen=True)
class ReceivedRequest:
    """One request as it came."""

    line: str
    headers: Headers
    body: bytes
    #: The client's port: one number for one connection.
    port: int

    @property
    def target(self) -> str:
        """The path and query as they stood in the request's first line."""
        return self.line.split(" ")[1]

    @property
    def raw(self) -> bytes:
        """First line, headers, an empty line, body."""
        head = "".join(f"{name}: {value}\r\n" for name, value in self.headers.multi_items)
        return f"{self.line}\r\n{head}\r\n".encode("latin-1") + self.body


_APART = 0.02  # seconds, in which a client reads a piece by itself
_PATIENCE = 10


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    @property
    def _scripted_server(self) -> ScriptedServer:
        return cast("ScriptedServer", self.server)

    def log_message(self, format: str, *args: object) -> None:  # named by the base class
        """Say nothing."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        received = ReceivedRequest(self.requestline, Headers(self.headers.items()), body, self.client_address[1])
        with self._scripted_server.serving():
            self._do(self._scripted_server.next_step(received), received)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_CONNECT = _serve  # noqa: N815  # the names that `http.server` looks for

    @singledispatchmethod
    def _do(self, step: Step, received: ReceivedRequest) -> None:
        raise TypeError(f"a server cannot do {step!r}")

    @_do.register
    def _(self, step: Answer, received: ReceivedRequest) -> None:
        for status in step.interim:
            self._write(status, b"", [("X-Interim", "1")])
        self._scripted_server.hurried.wait(step.pause)
        headers, body = step.headers, step.body
        if step.zipped and "gzip" in received.headers.get("accept-encoding", ""):
            headers, body = [*headers, ("Content-Encoding", "gzip")], gzip.compress(body)
        if step.chunked:
            self._write(step.status, _chunks(body), [*headers, ("Transfer-Encoding", "chunked")])
        elif step.status in (204, 304):
            self._write(step.status, b"", headers)
        elif received.line.startswith("HEAD "):
            self._write(step.status, b"", [*headers, ("Content-Length", str(len(body)))])
        else:
            self._write(step.status, body, [*headers, ("Content-Length", str(len(body)))])
        if step.hang_up:
            self._close()

    @_do.register
    def _(self, step: Echo, received: ReceivedRequest) -> None:
        told = {
            "line": received.line,
            "headers": [[name.lower(), value] for name, value in received.headers.multi_items],
            "body": received.body.decode("latin-1"),
            "port": received.port,
        }
        self._do(Answer(200, json.dumps(told).encode(), [("Content-Type", "application/json")]), received)

    @_do.register
    def _(self, step: ResetAfterReading, received: ReceivedRequest) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    @_do.register
    def _(self, step: CloseAfterReading, received: ReceivedRequest) -> None:
        self._close()

    @_do.register
    def _(self, step: Stall, received: ReceivedRequest) -> None:
        self._send(step.sent)
        self._scripted_server.ended.wait(10)
        self._close()

    @_do.register
    def _(self, step: Truncate, received: ReceivedRequest) -> None:
        if step.zipped and "gzip" in received.headers.get("accept-encoding", ""):
            body = gzip.compress(b"half of it" * 1000)[:-8]  # the checksum and the length of what was compressed
            self._write(200, body, [("Content-Encoding", "gzip"), ("Content-Length", str(len(body)))])
        elif step.chunked:
            self._write(200, b"4\r\nhalf\r\n", [("Transfer-Encoding", "chunked")])
        else:
            self._write(200, b"half", [("Content-Length", "100")])
        self._close()

    @_do.register
    def _(self, step: Garbage, received: ReceivedRequest) -> None:
        self._send(step.data)
        self._close()

    @_do.register
    def _(self, step: Drip, received: ReceivedRequest) -> None:
        self._write(200, b"", [("Content-Length", str(step.count))])
        self._do(Trickle(b"x" * step.count, step.pause), received)

    @_do.register
    def _(self, step: Trickle, received: ReceivedRequest) -> None:
        for place in range(len(step.data)):
            self._send(step.data[place : place + 1])
            self._scripted_server.ended.wait(step.pause)

    @_do.register
    def _(self, step: Verbatim, received: ReceivedRequest) -> None:
        for place, piece in enumerate(step.pieces):
            self._scripted_server.ended.wait(_APART if place else 0)
            self._send(piece)
        if step.late:
            self._scripted_server.late_due.acquire(timeout=_PATIENCE)
            self._send(step.late)
            self._scripted_server.late_sent.release()

    def _write(self, status: int, body: bytes, headers: list[tuple[str, str]]) -> None:
        lines = [f"HTTP/1.1 {status} x", *(f"{name}: {value}" for name, value in headers), "", ""]
        self._send("\r\n".join(lines).encode("latin-1") + body)

    def _send(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()

    def _close(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
        self.connection.close()


def _chunks(body: bytes) -> bytes:
    pieces = [body[i : i + 60_000] for i in range(0, len(body), 60_000)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


class ScriptedServer(ThreadingHTTPServer):
    """Serves HTTP/1.1 with keep-alive while its ``with`` block lasts: one step a request, then `Echo`.

    >>> import urllib.request
    >>> with ScriptedServer(Answer(200, b"first")) as server, urllib.request.urlopen(server.url) as answer:
    ...     answer.read()
    b'first'
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, *steps: Step) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url: str = f"http://127.0.0.1:{self.server_port}"
        #: How many connections were accepted, and how many of them are open.
        self.connections: int = 0
        self.open_connections: int = 0
        #: How many requests are being answered, and the largest number that were at the same time.
        self.at_once: int = 0
        self.most_at_once: int = 0
        #: Set when no pause is kept any more, and when the server ends.
        self.hurried: threading.Event = threading.Event()
        self.ended: threading.Event = threading.Event()
        #: Given for each `late` that is to be sent, and for each that was.
        self.late_due: threading.Semaphore = threading.Semaphore(0)
        self.late_sent: threading.Semaphore = threading.Semaphore(0)
        self._received: list[ReceivedRequest] = []
        self._steps = list(steps)
        self._guard = threading.Lock()  # taken by itself
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)

    @property
    def received(self) -> list[ReceivedRequest]:
        """Every request that was read, in order."""
        return self._received

    def do(self, *steps: Step) -> None:
        """Do these with the requests to come, behind the steps that are waiting."""
        self._steps.extend(steps)

    def end_pauses(self) -> None:
        """Send what waits for its pause to end, and make no more pauses before an `Answer`."""
        self.hurried.set()

    def send_late(self) -> None:
        """Send what is `late`, and wait until it is on its way."""
        self.late_due.release()
        self.late_sent.acquire(timeout=_PATIENCE)

    def next_step(self, received: ReceivedRequest) -> Step:
        """What to do with this request."""
        with self._guard:
            self._received.append(received)
            return self._steps.pop(0) if self._steps else Echo()

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """A block that answers one request."""
        with self._guard:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            yield
        finally:
            with self._guard:
                self.at_once -= 1

    def process_request(self, request: Any, client_address: Any) -> None:
        """Count a connection."""
        with self._guard:
            self.connections += 1
            self.open_connections += 1
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Count it as closed."""
        with self._guard:
            self.open_connections -= 1
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away in the middle is no error of a test."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.hurried.set()
        self.ended.set()
        self.late_due.release(100)
        self.shutdown()
        self._thread.join()
        self.server_close()


@contextlib.contextmanager
def refusing_address() -> Iterator[str]:
    """An origin at which nobody listens, while the block lasts."""
    with socket.socket() as bound:  # bound and not listening: nobody else gets the port
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@contextlib.contextmanager
def deaf_address() -> Iterator[str]:
    """An origin at which a connection does not come about while the block lasts: its queue is full."""
    with socket.socket() as full, contextlib.ExitStack() as queued:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(2):
            waiting = queued.enter_context(socket.socket())
            waiting.setblocking(False)  # noqa: FBT003  # the socket module's own
            waiting.connect_ex(full.getsockname())
        yield f"http://127.0.0.1:{full.getsockname()[1]}"


@contextlib.contextmanager
def unread_address() -> Iterator[str]:
    """An origin that takes connections and never reads from them, while the block lasts."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()  # the system takes the connection; nobody accepts it
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"

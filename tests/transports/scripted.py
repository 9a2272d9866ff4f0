"""A real server on a loopback port that does, for each request, what a test wrote down: also what no server should."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Answer:
    """A proper answer; `pause` seconds go by before it."""

    status: int = 200
    body: bytes = b"{}"
    headers: list[tuple[str, str]] = field(default_factory=list)
    pause: float = 0.0


@dataclass
class Zipped(Answer):
    """An answer whose body is compressed, or says that it is."""

    broken: bool = False


@dataclass
class Echo:
    """Answers with what was received, as JSON."""


@dataclass
class ResetAfterReading:
    """Reads the request and resets the connection."""


@dataclass
class CloseAfterReading:
    """Reads the request and closes the connection without a word."""


@dataclass
class Stall:
    """Reads the request and says nothing until the server ends."""


@dataclass
class Truncate:
    """Promises more of a body than comes."""


@dataclass
class Garbage:
    """Answers with bytes that are no HTTP."""

    data: bytes = b"\x00\x01 this is no HTTP\r\n\r\n"


@dataclass
class Drip:
    """Sends a body byte by byte, each well within a socket's timeout."""

    pause: float = 0.02
    count: int = 100


Step = Answer | Echo | ResetAfterReading | CloseAfterReading | Stall | Truncate | Garbage | Drip


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def log_message(self, format, *args):  # noqa: A002 - named by the base class
        pass

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        head = f"{self.requestline}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        step = self.server.next_step(head.encode("latin-1") + b"\r\n" + body, self.client_address)
        getattr(self, f"_do_{type(step).__name__.lower()}")(step, body)

    def _write(self, status: int, body: bytes, headers: list[tuple[str, str]] = ()) -> None:
        lines = [f"HTTP/1.1 {status} x", *(f"{name}: {value}" for name, value in headers)]
        if status not in (204, 304):
            lines.append(f"Content-Length: {len(body)}")
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        self.wfile.flush()

    def _do_answer(self, step, body) -> None:
        self.server.ended.wait(step.pause)
        self._write(step.status, b"" if step.status in (204, 304) else step.body, step.headers)

    def _do_zipped(self, step, body) -> None:
        sent = b"no gzip at all" if step.broken else gzip.compress(step.body)
        self._write(step.status, sent, [*step.headers, ("Content-Encoding", "gzip")])

    def _do_echo(self, step, body) -> None:
        told = {
            "line": self.requestline,
            "headers": [[name.lower(), value] for name, value in self.headers.items()],
            "body": body.decode("latin-1"),
            "port": self.client_address[1],
        }
        self._write(200, json.dumps(told).encode(), [("Content-Type", "application/json")])

    def _do_resetafterreading(self, step, body) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._close()

    def _do_closeafterreading(self, step, body) -> None:
        self._close()

    def _do_stall(self, step, body) -> None:
        self.server.ended.wait(10)
        self._close()

    def _do_truncate(self, step, body) -> None:
        self.wfile.write(b"HTTP/1.1 200 x\r\nContent-Length: 100\r\n\r\nhalf")
        self.wfile.flush()
        self._close()

    def _do_garbage(self, step, body) -> None:
        self.wfile.write(step.data)
        self.wfile.flush()
        self._close()

    def _do_drip(self, step, body) -> None:
        self.wfile.write(f"HTTP/1.1 200 x\r\nContent-Length: {step.count}\r\n\r\n".encode())
        for _ in range(step.count):
            self.wfile.write(b"x")
            self.wfile.flush()
            if self.server.ended.wait(step.pause):
                break

    def _close(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
        self.connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, steps: tuple[Step, ...]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.steps = list(steps)
        self.received: list[bytes] = []
        self.ports: list[int] = []
        self.ended = threading.Event()
        self._guard = threading.Lock()

    def next_step(self, received: bytes, address: tuple[str, int]) -> Step:
        with self._guard:
            self.received.append(received)
            self.ports.append(address[1])
            return self.steps.pop(0) if self.steps else Echo()

    def handle_error(self, request, client_address):
        """A client that went away in the middle is no error of a test."""


class ScriptedServer:
    """Serves while its ``with`` block lasts: one step a request, then echoes."""

    def __init__(self, *steps: Step) -> None:
        self._server = _Server(steps)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def received(self) -> list[bytes]:
        """Every request as it came: its first line, its headers, an empty line, its body."""
        return self._server.received

    @property
    def ports(self) -> list[int]:
        """The client's port of every request: one number for one connection."""
        return self._server.ports

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *raised):
        self._server.ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Refuse:
    """An address at which nobody listens while its ``with`` block lasts."""

    def __enter__(self):
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))  # bound and not listening: refused, and nobody else gets the port
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        return self

    def __exit__(self, *raised):
        self._socket.close()

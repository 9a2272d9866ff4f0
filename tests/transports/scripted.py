"""The server of the public contracts, as these tests like to read it."""

from __future__ import annotations

import contextlib
import gzip
import select
import socket
import ssl
import threading

from memtrace.testing import _scripted_server as scripted_server
from memtrace.testing._scripted_server import (
    Answer,
    CloseAfterReading,
    Drip,
    Echo,
    Garbage,
    ResetAfterReading,
    Stall,
    Trickle,
    Truncate,
    Verbatim,
    deaf_address,
    refusing_address,
)

__all__ = [
    "Answer",
    "CloseAfterReading",
    "Drip",
    "Echo",
    "Garbage",
    "Refuse",
    "ResetAfterReading",
    "ScriptedServer",
    "Stall",
    "TlsScriptedServer",
    "Trickle",
    "Truncate",
    "Verbatim",
    "Zipped",
    "deaf_address",
]


def Zipped(status=200, body=b"{}", *, broken=False):  # noqa: N802 - stands beside the classes of steps
    """An answer whose body is compressed for everybody, or only says that it is."""
    return Answer(status, b"no gzip at all" if broken else gzip.compress(body), [("Content-Encoding", "gzip")])


class ScriptedServer(scripted_server.ScriptedServer):
    @property
    def received(self) -> list[bytes]:
        """Every request as it came: its first line, its headers, an empty line, its body."""
        return [received.raw for received in super().received]

    @property
    def ports(self) -> list[int]:
        """The client's port of every request: one number for one connection."""
        return [received.port for received in super().received]


class TlsScriptedServer(ScriptedServer):
    """Over TLS, with a certificate of `authority`; what it sends in one step arrives at once, however many records it is."""

    def __init__(self, authority, *steps):
        super().__init__(*steps)
        self._sending = threading.Lock()  # held by a step while it sends, by the relay while it looks for more
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.server)
        self._address = self.socket.getsockname()
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self._relay = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._relay.getsockname()[1]}"

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return super().__enter__()

    def __exit__(self, *raised):
        self._relay.shutdown(socket.SHUT_RDWR)  # which ends the waiting for a connection
        self._relay.close()
        super().__exit__(*raised)

    @contextlib.contextmanager
    def serving(self):
        with self._sending, super().serving():
            yield

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._relay.accept()
                server = socket.create_connection(self._address)
                for relay in (self._relay_at_once, self._relay_steps):
                    threading.Thread(target=relay, args=(client, server), daemon=True).start()

    def _relay_at_once(self, client, server):
        with server, contextlib.suppress(OSError):
            while received := client.recv(1 << 16):
                server.sendall(received)
            server.shutdown(socket.SHUT_RDWR)

    def _relay_steps(self, client, server):
        with client, contextlib.suppress(OSError):
            while received := server.recv(1 << 16):
                with self._sending:
                    received += self._rest(server)
                client.sendall(received)

    @staticmethod
    def _rest(server):
        rest = b""
        while select.select([server], [], [], 0)[0] and (received := server.recv(1 << 16)):
            rest += received
        return rest


class Refuse:
    """An address at which nobody listens while its ``with`` block lasts."""

    def __enter__(self):
        self._address = refusing_address()
        self.url = self._address.__enter__()
        return self

    def __exit__(self, *raised):
        self._address.__exit__(*raised)

"""A proxy on a loopback port that breaks some of the requests that pass, the same ones in every run of one seed."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from urllib.parse import urlsplit

FAULTS = (
    "reset before it was applied",
    "reset after it was applied",
    "stalled before it was applied",
    "stalled after it was applied",
    "truncated",
    "502 before it was applied",
    "502 after it was applied",
    "503",
    "429",
)
REFUSED = "refused"
_RESET_AT_ONCE = struct.pack("ii", 1, 0)
_LOST = (OSError, asyncio.IncompleteReadError)


@dataclass(frozen=True)
class Event:
    """Something that happens to the proxy, or beside it, with the `at`-th request and every `every` from there."""

    at: int
    every: int
    do: Callable[[], None]


class ChaosProxy:
    """Hands requests on to `upstream`, and breaks `share` of them, in its ``with`` block; of new connections a tenth as many.

    The n-th request, and the n-th connection, meet the same fault in every run of one seed; which call the n-th request is
    may differ where several threads call. A request whose client has given up is not delivered any more.
    """

    def __init__(self, upstream: str, *, seed: int, share: float = 0.2) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname, parts.port)
        self._seed = seed
        self.share = share
        self.events: list[Event] = []
        self.requests = self.connections = 0
        #: How often each fault hit.
        self.hits: Counter[str] = Counter()
        #: Requests that reached the server, and of these the ones whose client gave up before the answer came.
        self.delivered = self.late = 0
        self._listening = self._listen(0)
        self._port = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._open: set[asyncio.StreamWriter] = set()
        self._upstreams: set[_Upstream] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="chaos proxy", daemon=True)

    @property
    def open_connections(self) -> int:
        """How many clients' connections are open."""
        return len(self._open)

    def restart(self) -> None:
        """Kill the proxy with all its connections, and start it again on the same port a moment later; from an event alone."""
        self._restarting = asyncio.get_running_loop().create_task(self._restart())

    def __enter__(self):
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *raised):
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    # ---- life

    @staticmethod
    def _listen(port: int) -> socket.socket:
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(512)
        listening.setblocking(False)  # noqa: FBT003 - the socket module's own
        return listening

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        self._restarting: asyncio.Task[None] | None = None
        self._loop.add_reader(self._listening, self._accept)
        self._ready.set()
        await self._ended.wait()
        if self._restarting is not None:
            await self._restarting
        await self._kill()

    async def _kill(self) -> None:
        self._loop.remove_reader(self._listening)
        self._listening.close()
        while self._tasks:
            for writer in list(self._open):
                self._reset(writer)
            for upstream in list(self._upstreams):
                upstream.close()
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.005)  # what was closed is gone a turn of the loop later

    async def _restart(self) -> None:
        await self._kill()
        await asyncio.sleep(0.1)
        self._listening = self._listen(self._port)
        self._loop.add_reader(self._listening, self._accept)

    # ---- connections

    def _accept(self) -> None:
        """Take a connection; asyncio's own servers, and `sock_accept`, lose one that comes while they are closed."""
        try:
            connection, _ = self._listening.accept()
        except OSError:  # it has gone again
            return
        self.connections += 1
        task = self._loop.create_task(self._converse(connection, self.connections))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _converse(self, connection: socket.socket, number: int) -> None:
        connection.setblocking(False)  # noqa: FBT003 - the socket module's own
        reader, writer = await asyncio.open_connection(sock=connection, limit=2**22)
        upstream = _Upstream(self._upstream)
        self._open.add(writer)
        self._upstreams.add(upstream)
        try:
            if Random(f"{self._seed} connection {number}").random() < self.share / 10:
                self.hits[REFUSED] += 1
                self._reset(writer)
            else:
                while await self._exchange(reader, writer, upstream):
                    pass
        except _LOST:
            pass
        finally:
            self._open.discard(writer)
            self._upstreams.discard(upstream)
            writer.close()
            upstream.close()

    def _reset(self, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_ONCE)
        writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upstream: _Upstream) -> bool:
        """One request and its answer; whether the connection is good for another."""
        request = await _message(reader)
        self.requests += 1
        number = self.requests
        for event in self.events:
            if number >= event.at and (number - event.at) % event.every == 0:
                event.do()
        await asyncio.sleep(0)  # where that was the end of this proxy, the request goes down with it
        chance = Random(f"{self._seed} request {number}")
        fault = chance.choice(FAULTS) if chance.random() < self.share else ""
        if fault:
            self.hits[fault] += 1
        if fault in ("503", "429"):
            writer.write(_answer(fault, b"retry-after: 0\r\n" if fault == "429" else b""))
            return True
        answer = b"" if fault.endswith("before it was applied") else await self._delivered(request, reader, upstream)
        if fault.startswith("reset"):
            self._reset(writer)
            return False
        if fault.startswith("stalled"):
            await reader.read(1)  # until the client gives up
            return False
        if fault.startswith("502"):
            writer.write(_answer("502"))
            return True
        if fault == "truncated":
            writer.write(answer[: len(answer) - 5])
            await writer.drain()
            return False
        writer.write(answer)
        await writer.drain()
        return True

    async def _delivered(self, request: bytes, reader: asyncio.StreamReader, upstream: _Upstream) -> bytes:
        if reader.at_eof():
            raise asyncio.IncompleteReadError(b"", None)
        self.delivered += 1
        answer = await upstream.send(request)
        self.late += reader.at_eof()
        return answer


class _Upstream:
    """One connection to the server, made at the first request."""

    def __init__(self, address: tuple[str | None, int | None]) -> None:
        self._address = address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: bytes) -> bytes:
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address, limit=2**22)
        reader, writer = self._streams
        writer.write(request)
        return await _message(reader)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()


async def _message(reader: asyncio.StreamReader) -> bytes:
    """A whole request or answer, whose length stands in its head."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"\r\ncontent-length:")[2].split(b"\r\n")[0] or 0)
    return head + await reader.readexactly(length)


def _answer(status: str, headers: bytes = b"") -> bytes:
    return f"HTTP/1.1 {status} x\r\ncontent-length: 0\r\n".encode() + headers + b"\r\n"

"""Transports that hand requests to a fake server, without sockets, threads or waiting."""

from __future__ import annotations

from memtrace.exceptions import ClientClosedError
from memtrace.transport import Request, Response
from memtrace_transports.memory.fake import FakeMemtrace

__all__ = ["AsyncMemoryTransport", "MemoryTransport"]


class MemoryTransport:
    """A `memtrace.transport.Transport` whose server is `fake`; by default one of its own that takes any key."""

    def __init__(self, fake: FakeMemtrace | None = None) -> None:
        self.fake: FakeMemtrace = FakeMemtrace(any_key=True) if fake is None else fake
        self._closed = False

    def send(self, request: Request) -> Response:
        """Have the fake answer. Raises TransportError where the server would cut the connection, and by the fault plan."""
        if self._closed:
            raise ClientClosedError
        return self.fake.handle(request)

    def close(self) -> None:
        """Refuse further requests; the fake keeps what it holds."""
        self._closed = True

    def __repr__(self) -> str:
        return f"MemoryTransport({self.fake!r})"


class AsyncMemoryTransport:
    """A `memtrace.transport.AsyncTransport` whose server is `fake`; by default one of its own that takes any key."""

    def __init__(self, fake: FakeMemtrace | None = None) -> None:
        self.fake: FakeMemtrace = FakeMemtrace(any_key=True) if fake is None else fake
        self._closed = False

    async def send(self, request: Request) -> Response:
        """Have the fake answer. Raises TransportError where the server would cut the connection, and by the fault plan."""
        if self._closed:
            raise ClientClosedError
        return await self.fake.handle_async(request)

    async def close(self) -> None:
        """Refuse further requests; the fake keeps what it holds."""
        self._closed = True

    def __repr__(self) -> str:
        return f"AsyncMemoryTransport({self.fake!r})"

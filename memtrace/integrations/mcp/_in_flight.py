"""The end of a client's input: requests in flight are answered before the connection ends.

The package cancels them: a write may then be stored, and nobody learns of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import anyio
from mcp.types import JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

from memtrace.integrations.mcp._streams import WrappedInput

if TYPE_CHECKING:
    from types import TracebackType

    from mcp.shared._stream_protocols import ReadStream, WriteStream
    from mcp.shared.message import SessionMessage
    from typing_extensions import Self

LONGEST: Final = 75.0
"""How many seconds requests have after the end of the input: more than a call of ``memtrace-sdk mcp`` can take."""


class RequestsInFlight:
    """Which requests have no response yet, by their IDs.

    Args:
        on_end: Called at the end of the input and after each message since, to end requests that last until then.
    """

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._on_end = on_end
        self._ids: Counter[str] = Counter()
        self._changed = anyio.Event()
        self._is_over = False

    def received(self, item: SessionMessage | Exception) -> None:
        """Note a request, or its cancellation, after which it has no response."""
        message = getattr(item, "message", None)
        if isinstance(message, JSONRPCRequest):
            self._ids[str(message.id)] += 1
        elif isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            self._ended(str((message.params or {}).get("requestId")))

    def sent(self, item: SessionMessage) -> None:
        """Note a message: a response, or one that says that a lasting request has begun."""
        if self._is_over:
            self._on_end()
        if isinstance(item.message, (JSONRPCResponse, JSONRPCError)):
            self._ended(str(item.message.id))

    async def all_ended(self) -> None:
        """Wait until every request has its response."""
        self._is_over = True
        self._on_end()
        with anyio.move_on_after(LONGEST):
            while self._ids:
                await self._changed.wait()

    def _ended(self, request_id: str) -> None:
        self._ids[request_id] -= 1
        self._ids = +self._ids
        self._changed.set()
        self._changed = anyio.Event()


class CountedInput(WrappedInput):
    """A client's messages. They end when the last request has its response."""

    def __init__(self, incoming: ReadStream[SessionMessage | Exception], requests: RequestsInFlight) -> None:
        super().__init__(incoming)
        self._requests = requests

    async def receive(self) -> SessionMessage | Exception:
        try:
            item = await self._incoming.receive()
        except anyio.EndOfStream:
            await self._requests.all_ended()
            raise
        self._requests.received(item)
        return item


class CountedOutput:
    """The messages for a client."""

    def __init__(self, outgoing: WriteStream[SessionMessage], requests: RequestsInFlight) -> None:
        self._outgoing = outgoing
        self._requests = requests

    async def send(self, item: SessionMessage, /) -> None:
        try:
            await self._outgoing.send(item)
        finally:
            self._requests.sent(item)

    async def aclose(self) -> None:
        await self._outgoing.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.aclose()

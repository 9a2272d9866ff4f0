"""A client's messages, as a stream that changes what another one gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from contextvars import Context
    from types import TracebackType

    from mcp.shared._stream_protocols import ReadStream
    from mcp.shared.message import SessionMessage
    from typing_extensions import Self


class WrappedInput(ABC):
    """A stream of messages on top of another one, which it closes."""

    def __init__(self, incoming: ReadStream[SessionMessage | Exception]) -> None:
        self._incoming = incoming

    @property
    def last_context(self) -> Context | None:
        """The context in which the last message was sent; the package looks for this name."""
        return getattr(self._incoming, "last_context", None)

    @abstractmethod
    async def receive(self) -> SessionMessage | Exception:
        """The next message. Raises `anyio.EndOfStream`."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        await self._incoming.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.aclose()

"""The standard streams. A client that goes away is the end, not a failure."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import anyio
from mcp.server.stdio import stdio_server

from memtrace.integrations.mcp._streams import WrappedInput

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server
    from mcp.shared._stream_protocols import ReadStream, WriteStream
    from mcp.shared.message import SessionMessage

    from memtrace.async_client import AsyncMemtrace

_GONE: Final = (errno.EPIPE, errno.ECONNRESET, errno.EINVAL)  # the last is what Windows says


async def serve_stdio(client: AsyncMemtrace, server: Server[dict[str, Any]], leave: Callable[[], object]) -> None:
    """Serve until the input ends, or the output is closed. Calls in flight are finished, even if nobody reads them.

    `leave` is called at the end if only the output is closed: it must end the process, since the
    thread that reads the input cannot be interrupted.
    """
    served = anyio.Event()

    async def serve(incoming: _UntilClosed, outgoing: WriteStream[SessionMessage]) -> None:
        async with client:
            await server.run(incoming, outgoing, server.create_initialization_options())
        served.set()
        if incoming.is_closed:
            leave()

    async with anyio.create_task_group() as tasks:
        try:
            async with stdio_server() as (incoming, outgoing):
                messages = _UntilClosed(incoming)
                tasks.start_soon(serve, messages, outgoing)  # outside of what a closed output cancels
                try:
                    await served.wait()
                except anyio.get_cancelled_exc_class():
                    messages.close()
                    raise
        except Exception as error:
            if not _is_gone(error):
                raise


class _UntilClosed(WrappedInput):
    """A client's messages, until there is nobody to answer."""

    def __init__(self, incoming: ReadStream[SessionMessage | Exception]) -> None:
        super().__init__(incoming)
        self.is_closed = False
        self._waiting: anyio.CancelScope | None = None

    async def receive(self) -> SessionMessage | Exception:
        with anyio.CancelScope() as self._waiting:
            if not self.is_closed:
                return await self._incoming.receive()
        raise anyio.EndOfStream

    def close(self) -> None:
        self.is_closed = True
        if self._waiting is not None:
            self._waiting.cancel()


def _is_gone(error: BaseException) -> bool:
    """Whether nothing failed except writing to a client that has gone away."""
    nested = getattr(error, "exceptions", None)
    if nested is not None:
        return all(map(_is_gone, nested))
    return isinstance(error, OSError) and error.errno in _GONE

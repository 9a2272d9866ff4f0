"""A store in a file as an ASGI application: the whole wire, for clients in every language."""

from __future__ import annotations

import logging
import os

from memtrace.exceptions import MemtraceError, TransportError
from memtrace.transport import Request
from memtrace_transports._engine.route_errors import RouteError
from memtrace_transports._engine.routes.dispatch import BODY_LIMIT
from memtrace_transports._engine.routes.request import error_response
from memtrace_transports._serving.asgi import (
    Message,
    Receive,
    Send,
    cut_off,
    read_request,
    send_response,
    serve_http,
    target_of,
)
from memtrace_transports.sqlite._transport import AsyncSqliteTransport

__all__ = ["StoreApp"]

_logger = logging.getLogger("memtrace.store")
_SECONDS = 30.0


class StoreApp:
    """An ASGI application that serves a store file to clients with one of its issued keys.

    If the file cannot serve a request, the status is 503 if nothing was stored, so that the client
    may retry, and 500 otherwise. The reason is logged, and not sent.

    Args:
        store: ``sqlite:///agent.db``, or a path.

    Raises:
        ConfigurationError: `store` is not the URL or path of a file.

    Example:
        >>> app = StoreApp("sqlite:///agent.db")
    """

    def __init__(self, store: str | os.PathLike[str]) -> None:
        self._transport = AsyncSqliteTransport(store, any_key=False)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection of the ASGI protocol, version 3: HTTP or lifespan.

        Args:
            scope: The connection's scope.
            receive: Receives the next event.
            send: Sends an event.
        """
        await serve_http(scope, receive, send, self._serve)

    async def _serve(self, scope: Message, receive: Receive, send: Send) -> None:
        request = await read_request(scope, receive, target_of(scope), BODY_LIMIT)
        if request is not None:
            await self._answer(send, request)

    async def _answer(self, send: Send, request: Request) -> None:
        bounded = Request(
            request.method, request.origin, request.target, request.headers, request.body, timeout=_SECONDS
        )
        try:
            response = await self._transport.send(bounded)
        except MemtraceError as error:
            if isinstance(error, TransportError) and error.cause == "reset":  # a body that is too large
                if not await cut_off(send, request, None):
                    raise
                return
            _logger.error("%s %s failed: %s", request.method, request.redacted_path, error)  # noqa: TRY400  # its text says all
            response = error_response(_told(error))
        await send_response(send, request, response)

    async def close(self) -> None:
        """Close the file, after the running requests."""
        await self._transport.close()


def _told(error: MemtraceError) -> RouteError:
    if isinstance(error, TransportError) and error.maybe_sent:
        return RouteError(500, "the store failed; the write may have been stored")
    return RouteError(503, "the store cannot be used now; nothing was stored")

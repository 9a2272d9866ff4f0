"""Who may use a memory that is served over HTTP: clients that know the token."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from memtrace._support.lazy_modules import LazyModule
from memtrace.exceptions import ConfigurationError

if TYPE_CHECKING:
    from starlette import types
else:
    types = LazyModule("starlette.types")

_POLICY_VIOLATION: Final = 1008


class RequireToken:
    """An ASGI application that responds with 401 unless the request has ``Authorization: Bearer TOKEN``.

    Wrap it around ``memory_server(tools).streamable_http_app()``. It closes every WebSocket, which
    MCP does not use.

    Args:
        application: The application to protect.
        token: The token, not empty.

    Raises:
        ConfigurationError: The token is empty.
    """

    def __init__(self, application: types.ASGIApp, token: str) -> None:
        if not token.strip():
            raise ConfigurationError("RequireToken needs a token, and an empty one was given")
        self._application = application
        self._expected = token.encode()

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        """Pass a request on, or respond with 401.

        Args:
            scope: The connection's scope.
            receive: Receives the next event.
            send: Sends an event.
        """
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            return
        if scope["type"] == "http" and not self._is_allowed(scope):
            body = b'{"error": "this server wants its token: Authorization: Bearer TOKEN"}'
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
                (b"www-authenticate", b"Bearer"),
            ]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": body})
            return
        await self._application(scope, receive, send)

    def _is_allowed(self, scope: types.Scope) -> bool:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        scheme, _, token = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(b" "), self._expected)

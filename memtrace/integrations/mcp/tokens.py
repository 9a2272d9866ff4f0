"""Who may use a memory that is served over HTTP: whoever knows the token."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["RequireToken"]


class RequireToken:
    """An ASGI application around another: a request without ``Authorization: Bearer TOKEN`` gets a 401.

    Put it around what ``memory_server(tools).streamable_http_app()`` gives.
    """

    def __init__(self, application: ASGIApp, token: str) -> None:
        self._application = application
        self._expected = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
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

    def _is_allowed(self, scope: Scope) -> bool:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        scheme, _, token = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(b" "), self._expected)

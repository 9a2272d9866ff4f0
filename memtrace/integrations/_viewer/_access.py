"""Access to the pages: only for a browser on this machine that has the token."""

from __future__ import annotations

import hmac
import secrets
from typing import Final
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SOURCES: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "; ".join(f"{name} {source}" for name, source in _SOURCES.items()),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_NO_TOKEN: Final = "This page needs its token. Open the URL that memtrace-sdk view printed, with ?token= in it."  # noqa: S105  # a sentence
_OTHER_HOST: Final = "The page is served at 127.0.0.1 only. Open the URL that memtrace-sdk view printed."
_OTHER_SITE: Final = "Another site's page asked for this one. Paste the URL into the address bar."
_OTHER_METHOD: Final = "The pages are read-only: GET and HEAD are the only methods."


class LocalAccess:
    """An ASGI application that passes on requests with the token, and rejects the others.

    The token comes once, in the URL. The response sets a cookie and leads to the same URL without the token, so that the
    token is in no history. The ``Host`` shows a request to a name that another site points at this machine, ``Origin`` and
    ``Sec-Fetch-Site`` a request from another site's page: both get a 403.
    """

    def __init__(self, application: ASGIApp, *, token: str, port: int) -> None:
        self._application = application
        self._token = token.encode()
        self._hosts = {f"{host}:{port}" for host in ("127.0.0.1", "localhost")}
        self._cookie = f"memtrace_view_{port}"
        self._session = secrets.token_urlsafe(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or respond with the reason why not."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        answer = self._answer(scope, Headers(scope=scope)) or self._application
        await answer(scope, receive, send_with_headers)

    def _answer(self, scope: Scope, headers: Headers) -> Response | None:
        """What a request gets instead of a page; None lets it pass."""
        if headers.getlist("host") != [headers.get("host")] or headers["host"] not in self._hosts:
            return PlainTextResponse(_OTHER_HOST, 403)
        origins = headers.getlist("origin")
        site = headers.get("sec-fetch-site", "none")
        if any(each != f"http://{headers['host']}" for each in origins) or site not in ("none", "same-origin"):
            return PlainTextResponse(_OTHER_SITE, 403)
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse(_OTHER_METHOD, 405, {"Allow": "GET, HEAD"})
        given = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        tokens = [value for name, value in given if name == "token"]
        if tokens:
            return self._entered(scope, tokens[0], [(name, value) for name, value in given if name != "token"])
        cookie = cookie_parser(headers.get("cookie", "")).get(self._cookie, "")
        if not hmac.compare_digest(cookie.encode(), self._session.encode()):
            return PlainTextResponse(_NO_TOKEN, 403)
        return None

    def _entered(self, scope: Scope, token: str, others: list[tuple[str, str]]) -> Response:
        if not hmac.compare_digest(token.encode(), self._token):
            return PlainTextResponse(_NO_TOKEN, 403)
        # a path that begins with two slashes would lead to another host
        path = "/" + scope["raw_path"].decode("latin-1").lstrip("/\\")
        response = RedirectResponse(f"{path}?{urlencode(others)}" if others else path, 303)
        response.set_cookie(self._cookie, self._session, path="/", httponly=True, samesite="strict")
        return response

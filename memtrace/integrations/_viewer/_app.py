"""The pages as an ASGI application: each path gives HTML, and with ``.json`` the same for programs."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from memtrace.async_client import AsyncMemtrace
from memtrace.exceptions import InvalidRequestError, MemtraceError, NotFoundError
from memtrace.integrations._viewer import _pages
from memtrace.integrations._viewer._directory import Directory
from memtrace.integrations._viewer._page_query import PageQuery
from memtrace.integrations._viewer._rendering import asset, environment
from memtrace.integrations._viewer._selection import Selection, select

_T = TypeVar("_T")

_TABS: Final[Mapping[str, _pages.Read]] = {
    "timeline": _pages.timeline,
    "search": _pages.search,
    "prompt": _pages.prompt,
    "decisions": _pages.decisions,
    "statistics": _pages.statistics,
    "agents": _pages.agents,
    "sessions": _pages.sessions,
}
_ASSETS: Final = {"viewer.css": "text/css", "viewer.js": "text/javascript", "icon.svg": "image/svg+xml"}
_WITH_ROWS: Final = ("timeline", "decisions")
_BAD_GATEWAY: Final = 502


class Viewer:
    """The pages of one client.

    Args:
        client: The client. It is used and not closed.
        source: What the pages call the server, such as its URL, and where the key is from.
        describe: The text of an error, without the key.
    """

    def __init__(self, client: AsyncMemtrace, *, source: str, describe: Callable[[MemtraceError], str] = str) -> None:
        self._clock = client._dispatcher.settings.clock  # noqa: SLF001  # of this package
        self._source = _pages.Source(client, Directory(client, self._clock))
        self._named = source
        self._describe = describe

    def application(self) -> Starlette:
        """The ASGI application, without any check of who asks."""
        reads = {**_TABS, "memory": _pages.memory}
        return Starlette(
            routes=[
                Route("/", self._home),
                *(Route(f"/{name}", self._html(name, read)) for name, read in _TABS.items()),
                *(Route(f"/{name}.json", self._json(read)) for name, read in reads.items()),
                *(Route(f"/static/{name}", _file(name, media)) for name, media in _ASSETS.items()),
            ]
        )

    async def _home(self, request: Request) -> Response:
        return RedirectResponse(_query(request).link("/timeline"), 307)

    # ---- HTML

    def _html(self, name: str, read: _pages.Read) -> Callable[[Request], Awaitable[Response]]:
        async def respond(request: Request) -> Response:
            query = _query(request)
            page, error = await self._tried(lambda: self._read(read, query))
            if (
                name in _WITH_ROWS and request.query_params.get("part") == "rows"
            ):  # what the script adds to a page that is shown
                text = "" if page is None else self._rendered(f"{name}_rows.html", query, name, page.shown)
                return HTMLResponse(text, _status(error))
            side, error_of_side = await self._tried(lambda: _pages.side(self._source, query))
            selection, error_of_selection = await self._tried(lambda: self._selection(query))
            error = error or error_of_selection or error_of_side
            shown = {
                "page": None if page is None else page.shown,
                "side": side,
                "selection": selection,
                "banner": None if error is None else self._describe(error),
                "tabs": [*_TABS],
                "source": self._named,
                "again": str(request.url.path) + (f"?{request.url.query}" if request.url.query else ""),
            }
            return HTMLResponse(self._rendered(f"{name}.html", query, name, shown), _status(error))

        return respond

    async def _read(self, read: _pages.Read, query: PageQuery) -> _pages.Page:
        query.check(self._clock)
        return await read(self._source, query)

    async def _selection(self, query: PageQuery) -> Selection | None:
        address = query.one("memory")
        return None if address is None else await select(self._source.client, address)

    @staticmethod
    async def _tried(read: Callable[[], Awaitable[_T]]) -> tuple[_T | None, MemtraceError | None]:
        """The result, or the error."""
        try:
            return await read(), None
        except MemtraceError as error:
            return None, error

    def _rendered(self, template: str, query: PageQuery, name: str, shown: Mapping[str, Any]) -> str:
        return environment().get_template(template).render(shown, query=query, tab=name)

    # ---- JSON

    def _json(self, read: _pages.Read) -> Callable[[Request], Awaitable[Response]]:
        async def respond(request: Request) -> Response:
            try:
                data, status = (await self._read(read, _query(request))).data, 200
            except MemtraceError as error:
                data, status = {"error": self._describe(error)}, _status(error)
            return Response(json.dumps(data), status, media_type="application/json")

        return respond


def _query(request: Request) -> PageQuery:
    return PageQuery(request.query_params.multi_items())


def _status(error: MemtraceError | None) -> int:
    if error is None:
        return 200
    if isinstance(error, InvalidRequestError):
        return 400
    return 404 if isinstance(error, NotFoundError) else _BAD_GATEWAY


def _file(name: str, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    text = asset(name)

    async def respond(request: Request) -> Response:
        return PlainTextResponse(text, media_type=media_type)

    return respond

"""A fake server as an ASGI application: for any ASGI server, and for test clients."""

from __future__ import annotations

from collections.abc import Iterable

from memtrace.transport import Request, Response
from memtrace_transports._engine.route_errors import RouteError
from memtrace_transports._engine.routes.dispatch import BODY_LIMIT
from memtrace_transports._engine.routes.request import error_response
from memtrace_transports._serving.asgi import (
    Message,
    Receive,
    Send,
    body_of,
    cut_off,
    read_request,
    response_start,
    send_response,
    serve_http,
    target_of,
)
from memtrace_transports.memory._control_access import LOOPBACK, listed_hosts, why_refused
from memtrace_transports.memory._control_routes import CONTROL_BODY_LIMIT, PREFIX, Controls
from memtrace_transports.memory._controls.strict import StrictModeError, StrictModeWarning
from memtrace_transports.memory._fake import FakeMemtrace

__all__ = ["FakeApp"]

_PIECES = 10


class FakeApp:
    """An ASGI application that responds like a fake, with control routes under ``/_fake``.

    If the server would close a connection, or a fault does, the application closes uvicorn's
    connection. On any other ASGI server it cuts the response short and raises a `TransportError`,
    which reaches the test in a test client. In strict mode a rejected request gets a 400.

    The control routes are for programs. A web page's request gets a 403 there. So does one whose
    Host is not this machine, the address that the ASGI server is bound to, or one of `hosts`.

    Args:
        fake: The server to serve.
        control: Whether the control routes are served.
        hosts: Further host names under which the control routes respond.

    Example:
        >>> app = FakeApp(FakeMemtrace(), hosts=["fake.test"])
    """

    def __init__(self, fake: FakeMemtrace, *, control: bool = True, hosts: Iterable[str] = ()) -> None:
        self.fake = fake
        self._controls = Controls(fake) if control else None
        self._hosts = LOOPBACK.union(listed_hosts(hosts))

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection of the ASGI protocol, version 3: HTTP or lifespan.

        Args:
            scope: The connection's scope.
            receive: Receives the next event.
            send: Sends an event.
        """
        await serve_http(scope, receive, send, self._serve)

    async def _serve(self, scope: Message, receive: Receive, send: Send) -> None:
        target = target_of(scope)
        controls = self._controls if target.startswith(PREFIX) else None
        request = await read_request(scope, receive, target, BODY_LIMIT if controls is None else CONTROL_BODY_LIMIT)
        if request is None:
            return
        if controls is None:
            await self._exchange(request, send)
            return
        bound: str = (scope.get("server") or ("",))[0]
        refused = why_refused(request.headers, self._hosts.union([bound.lower().removeprefix("::ffff:")]))
        answer = controls.answer(request) if refused is None else error_response(RouteError(403, refused))
        await send_response(send, request, answer)

    async def _exchange(self, request: Request, send: Send) -> None:
        try:
            exchange = self.fake.exchange(request)
        except (StrictModeError, StrictModeWarning) as error:  # the second where warnings are errors
            await send_response(send, request, error_response(RouteError(400, f"strict mode: {error}")))
            return
        if exchange.seconds:
            await self.fake.clock.async_sleep(exchange.seconds)
        if exchange.failure is not None or exchange.response is None:
            if not await cut_off(send, request, exchange.response):
                exchange.result()  # raises
        elif exchange.body_seconds:
            await self._send_slowly(send, request, exchange.response, exchange.body_seconds)
        else:
            await send_response(send, request, exchange.response)

    async def _send_slowly(self, send: Send, request: Request, response: Response, seconds: float) -> None:
        """Send a response, its body in pieces within `seconds`."""
        body = body_of(request, response)
        await send(response_start(response, body))
        size = -(-len(body) // _PIECES)
        for piece in range(_PIECES):
            await self.fake.clock.async_sleep(seconds / _PIECES)
            part = body[piece * size : (piece + 1) * size]
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

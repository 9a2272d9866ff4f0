"""A fake server as an ASGI application: for any ASGI server, and for test clients."""

from __future__ import annotations

import socket
import struct
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, cast
from urllib.parse import quote

from memtrace.transport import Headers, Method, Request, Response
from memtrace_transports._engine.route_errors import RouteError
from memtrace_transports._engine.routes.dispatch import BODY_LIMIT
from memtrace_transports._engine.routes.request import error_response
from memtrace_transports.memory._control_access import LOOPBACK, listed_hosts, why_refused
from memtrace_transports.memory._control_routes import CONTROL_BODY_LIMIT, PREFIX, Controls
from memtrace_transports.memory._controls.strict import StrictModeError, StrictModeWarning
from memtrace_transports.memory._fake import FakeMemtrace
from memtrace_transports.memory.exchange import Exchange

__all__ = ["FakeApp"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_PIECES = 10
_FRAMING = ("content-length", "transfer-encoding")
_BODILESS = (204, 304)
_RESET_AT_ONCE = struct.pack("ii", 1, 0)


class FakeApp:
    """An ASGI application that answers as `fake` does, with the control routes under ``/_fake`` unless `control` is False.

    Where the server cuts a connection, or the fault plan says so, uvicorn's connection is cut; with any other server the answer
    breaks off and a TransportError is raised, which ends the connection there and reaches the test in a test client. In strict
    mode what is refused is answered 400.

    The control routes are for programs. A request of a web page is answered 403 there, and so is one whose Host is neither this
    machine, nor the address that the ASGI server is bound to, nor one of `hosts`.

    >>> app = FakeApp(FakeMemtrace(), hosts=["fake.test"])
    """

    def __init__(self, fake: FakeMemtrace, *, control: bool = True, hosts: Iterable[str] = ()) -> None:
        self.fake = fake
        self._controls = Controls(fake) if control else None
        self._hosts = LOOPBACK.union(listed_hosts(hosts))

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection of the ASGI protocol, version 3: HTTP or lifespan."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:
            raise NotImplementedError(f"a Memtrace server does not speak {scope['type']}")

    async def _serve(self, scope: Message, receive: Receive, send: Send) -> None:
        target = _target(scope)
        controls = self._controls if target.startswith(PREFIX) else None
        headers = Headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        body = await _body(receive, BODY_LIMIT if controls is None else CONTROL_BODY_LIMIT)
        if body is None:
            return
        request = Request(cast("Method", scope["method"]), "http://fake", target, headers, body or None)
        if controls is None:
            await self._exchange(request, send)
            return
        bound: str = (scope.get("server") or ("",))[0]
        refused = why_refused(headers, self._hosts.union([bound.lower().removeprefix("::ffff:")]))
        answer = controls.answer(request) if refused is None else error_response(RouteError(403, refused))
        await self._answer(send, request, answer)

    async def _exchange(self, request: Request, send: Send) -> None:
        try:
            exchange = self.fake.exchange(request)
        except (StrictModeError, StrictModeWarning) as error:  # the second where warnings are errors
            await self._answer(send, request, error_response(RouteError(400, f"strict mode: {error}")))
            return
        if exchange.seconds:
            await self.fake.clock.async_sleep(exchange.seconds)
        if exchange.failure is not None or exchange.response is None:
            await _break_off(send, request, exchange)
        else:
            await self._answer(send, request, exchange.response, exchange.body_seconds)

    async def _answer(self, send: Send, request: Request, response: Response, seconds: float = 0.0) -> None:
        """Send an answer, its body within `seconds`."""
        body = _body_of(request, response)
        await send(_start(response, body))
        if seconds:
            size = -(-len(body) // _PIECES)
            for piece in range(_PIECES):
                await self.fake.clock.async_sleep(seconds / _PIECES)
                part = (body or b"")[piece * size : (piece + 1) * size]
                await send({"type": "http.response.body", "body": part, "more_body": True})
            body = b""
        await send({"type": "http.response.body", "body": body})


def _target(scope: Message) -> str:
    """Path and query as they were sent, below where the application is mounted; what is no UTF-8 as replacement characters."""
    path: bytes = scope.get("raw_path") or quote(scope["path"], errors="replace").encode()
    path = path.removeprefix(scope.get("root_path", "").encode())
    query: bytes = scope["query_string"]
    return (path + (b"?" + query if query else b"")).decode(errors="replace")


async def _body(receive: Receive, limit: int) -> bytes | None:
    """The body, no longer than one byte over `limit`: that is enough to refuse it. None where the client went away."""
    parts: list[bytes] = []
    size, more = 0, True
    while more and size <= limit:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part: bytes = message.get("body", b"")
        size += len(part)
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)[: limit + 1]


def _body_of(request: Request, response: Response) -> bytes:
    """The body that can be sent: none after HEAD, and none with a status that has none."""
    return b"" if request.method == "HEAD" or response.status in _BODILESS else response.body


def _start(response: Response, body: bytes) -> Message:
    """The beginning of an answer; its length is that of `body`, whatever a fault's headers say."""
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in response.headers.multi_items
        if name.lower() not in _FRAMING
    ]
    if body or response.status not in _BODILESS:
        headers.append((b"content-length", str(len(body)).encode()))
    return {"type": "http.response.start", "status": response.status, "headers": headers}


async def _break_off(send: Send, request: Request, exchange: Exchange) -> None:
    """Let no client take what it gets for an answer."""
    connection = getattr(getattr(send, "__self__", None), "transport", None)  # that of uvicorn
    response = exchange.response or Response(500)
    body = _body_of(request, response)
    if connection is not None and not body:
        _reset(connection)
        return
    await send(_start(response, body or b"?"))
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    if connection is None:
        exchange.result()  # raises
    else:
        connection.close()


def _reset(connection: Any) -> None:
    connection.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_ONCE)
    connection.abort()


async def _live(receive: Receive, send: Send) -> None:
    """The lifespan protocol: there is nothing to begin or to end."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return

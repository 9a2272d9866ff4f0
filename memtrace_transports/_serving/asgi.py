"""Requests and responses of an ASGI application: read whole, answered whole, or cut off."""

from __future__ import annotations

import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast
from urllib.parse import quote

from memtrace.transport import Headers, Method, Request, Response

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Serve = Callable[[Message, Receive, Send], Awaitable[None]]

_FRAMING = ("content-length", "transfer-encoding")
_BODILESS = (204, 304)
_RESET_AT_ONCE = struct.pack("ii", 1, 0)


async def serve_http(scope: Message, receive: Receive, send: Send, serve: Serve) -> None:
    """Serve one connection of the ASGI protocol, version 3: HTTP by `serve`, or lifespan."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
    elif scope["type"] == "http":
        await serve(scope, receive, send)
    else:
        raise NotImplementedError(f"a Memtrace server does not speak {scope['type']}")


def target_of(scope: Message) -> str:
    """Path and query as they were sent, below where the application is mounted; what is no UTF-8 as replacement characters."""
    path: bytes = scope.get("raw_path") or quote(scope["path"], errors="replace").encode()
    path = path.removeprefix(scope.get("root_path", "").encode())
    query: bytes = scope["query_string"]
    return (path + (b"?" + query if query else b"")).decode(errors="replace")


async def read_request(scope: Message, receive: Receive, target: str, limit: int) -> Request | None:
    """The request, its body no longer than one byte over `limit`. None where the client went away."""
    headers = Headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
    body = await _body(receive, limit)
    return (
        None if body is None else Request(cast("Method", scope["method"]), "http://asgi", target, headers, body or None)
    )


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


def body_of(request: Request, response: Response) -> bytes:
    """The body that can be sent: none after HEAD, and none with a status that has none."""
    return b"" if request.method == "HEAD" or response.status in _BODILESS else response.body


def response_start(response: Response, body: bytes) -> Message:
    """The start of a response. Its length is that of `body`, whatever a fault's headers say."""
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in response.headers.multi_items
        if name.lower() not in _FRAMING
    ]
    if body or response.status not in _BODILESS:
        headers.append((b"content-length", str(len(body)).encode()))
    return {"type": "http.response.start", "status": response.status, "headers": headers}


async def send_response(send: Send, request: Request, response: Response) -> None:
    """Send a complete response."""
    body = body_of(request, response)
    await send(response_start(response, body))
    await send({"type": "http.response.body", "body": body})


async def cut_off(send: Send, request: Request, response: Response | None) -> bool:
    """Prevent a client from accepting the bytes as a complete response. Returns whether the connection is already cut.

    If the ASGI server has no way to cut it, an exception ends it.
    """
    connection = getattr(getattr(send, "__self__", None), "transport", None)  # that of uvicorn
    half = response or Response(500)
    body = body_of(request, half)
    if connection is not None and not body:
        _reset(connection)
        return True
    await send(response_start(half, body or b"?"))
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    if connection is not None:
        connection.close()
    return connection is not None


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

"""Connections of aiohttp that serve no other request after they got more than one response's bytes.

Imported late, at the first request, since it imports aiohttp.
"""

from __future__ import annotations

from typing import Any

from aiohttp.client_proto import ResponseHandler

from memtrace_transports._checks.surplus import is_readable


class WatchingHandler(ResponseHandler):
    """One connection, which looks behind each answer."""

    # aiohttp takes it for the next answer: https://github.com/aio-libs/aiohttp/issues/13656

    _is_final = _is_complete = _is_spent = False

    def set_response_params(self, **settings: Any) -> None:
        self._is_final = self._is_complete = False
        super().set_response_params(**settings)

    def feed_data(self, data: Any, size: int = 0) -> None:
        self._is_spent = self._is_spent or self._is_final
        self._is_final = self._is_final or data[0].code >= 200
        super().feed_data(data, size)

    def data_received(self, data: bytes) -> None:
        if self._is_complete and data:  # nobody has asked for it
            self._is_spent = True
            self.close()
            return
        super().data_received(data)
        if self.transport is not None and self.transport.is_closing():  # for what it cannot read
            self.transport.abort()  # as below
        if self._is_final and (self._payload is None or self._payload.is_eof()):
            self._is_complete = True
            self._is_spent = self._is_spent or is_within_another(self._parser)

    @property
    def should_close(self) -> bool:
        return self._is_spent or super().should_close

    def is_connected(self) -> bool:
        if self._is_complete and super().is_connected():
            self._is_spent = self.should_close or _has_arrived(self)
        return super().is_connected() and not self._is_spent

    def close(self) -> None:
        # aiohttp waits for no connection that it closes early, and over TLS its event loop may end before it
        (self.abort if self._is_spent else super().close)()


def is_within_another(parser: Any) -> bool:
    """Whether part of another answer has come behind the one that ended; `parser` reads no more after that."""
    if getattr(parser, "_tail", None) or getattr(parser, "_lines", None):  # of the parser that is written in Python
        return True
    try:
        return parser is not None and parser.feed_eof() is not None
    except Exception:  # noqa: BLE001  # whatever it makes of the part
        return True


def _has_arrived(handler: Any) -> bool:
    """Whether the system holds bytes of an idle connection, which its event loop had no turn to read."""
    socket = handler.transport.get_extra_info("socket")
    return socket is not None and is_readable(socket.fileno())


def close_spent(connector: Any) -> None:
    """Close what is idle in a connector of the user's and cannot serve another request."""
    for idle in getattr(connector, "_conns", {}).values():
        for handler, _ in idle:
            if not handler.is_connected():
                continue
            parser = handler._parser  # noqa: SLF001  # nothing else tells of half an answer
            if handler.should_close or is_within_another(parser) or _has_arrived(handler):
                handler.abort()

"""The transport itself."""

from __future__ import annotations

import functools
import os
import re
import ssl
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from email.errors import FirstHeaderLineIsContinuationDefect, MissingHeaderBodySeparatorDefect
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ClosedPoolError,
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from memtrace.exceptions import ClientClosedError, ConfigurationError
from memtrace.transport import (
    HEADER_NAME,
    HEADER_VALUE,
    Headers,
    Request,
    Response,
    TransportCause,
    TransportError,
    TransportOptions,
)

__all__ = ["Urllib3Transport"]

_CONNECTIONS = 100
_CHUNK = 64 * 1024


class Urllib3Transport:
    """Sends through urllib3's connection pools, one for each origin.

    The bound of an attempt holds for all of it up to the answer's headers, and for the body whenever bytes of it arrive.
    Proxies of the environment are not used.
    """

    def __init__(self, options: TransportOptions | None = None) -> None:
        self._options = options or TransportOptions()
        self._tls = None if self._options.ca_bundle is None else _trusting(Path(self._options.ca_bundle))
        self._defaults = tuple((self._options.headers or {}).items())
        self._closed = False
        self._connections = self._new_connections()

    def _new_connections(self) -> _Connections:
        return _Connections(self._options.max_connections or _CONNECTIONS, self._tls)

    def send(self, request: Request) -> Response:
        """Send `request`; raises `TransportError` with urllib3's own error as its cause."""
        connections = self._usable()
        attempt = _Attempt(request, self._options)
        attempt.check(self._defaults)
        try:
            with connections.slot(attempt):
                return attempt.run(connections.to(request.origin), self._defaults)
        except ClosedPoolError:
            raise _closed() from None
        except (HTTPError, HTTPException, OSError, zlib.error) as error:
            raise attempt.failure(error) from error

    def _usable(self) -> _Connections:
        if self._closed:
            raise _closed()
        if self._connections.pid != os.getpid():  # a forked child shares its parent's sockets: answers would cross
            self._connections = self._new_connections()
        return self._connections

    def close(self) -> None:
        """Close the connections; a second call does nothing."""
        self._closed = True
        if self._connections.pid == os.getpid():
            self._connections.close()


def _closed() -> ClientClosedError:
    return ClientClosedError("this transport is closed")


# ---- one attempt ----------------------------------------------------------------------------------------------------

_TARGET = re.compile(r"/[\x21-\x7e]*")
_TIMEOUTS = (ReadTimeoutError, ConnectTimeoutError, TimeoutError)
_BREAKS = (OSError, SSLError)
_WHAT: dict[TransportCause, str] = {
    "connect": "no connection to",
    "protocol": "no whole HTTP answer from",
    "reset": "a broken connection to",
}


class _Attempt:
    """How long an attempt may take, and how far it came."""

    def __init__(self, request: Request, options: TransportOptions) -> None:
        self.request = request
        self.options = options
        self.sent = False
        self._deadline = None if request.timeout is None else time.monotonic() + request.timeout

    def check(self, defaults: tuple[tuple[str, str], ...]) -> None:
        """Refuse what HTTP does not allow, before http.client refuses it with the key in its text."""
        fields = (*self.request.headers.multi_items, *defaults)
        if _TARGET.fullmatch(self.request.target) is None or not all(
            HEADER_NAME.fullmatch(name) and HEADER_VALUE.fullmatch(value) for name, value in fields
        ):
            raise TransportError(
                f"the request to {self.request.origin} cannot be written: a header or the address holds what HTTP does not allow",
                cause="protocol",
                maybe_sent=False,
            )

    def remaining(self) -> float | None:
        """Seconds that are left, None for no bound; raises `TransportError` where none is left."""
        if self._deadline is None:
            return None
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise self.late()
        return left

    def late(self) -> TransportError:
        """What is raised when time has run out."""
        what = "no response from" if self.sent else "no connection to"
        return TransportError(f"{what} {self.request.origin} in time", cause="timeout", maybe_sent=self.sent)

    def run(self, pool: urllib3.HTTPConnectionPool, defaults: tuple[tuple[str, str], ...]) -> Response:
        """Send, and read the whole answer."""
        options, request = self.options, self.request
        sending = _SENDING.set(self)
        try:
            answer = pool.urlopen(
                request.method,
                request.target,
                request.body,
                self._fields(defaults),
                retries=False,
                redirect=False,
                timeout=urllib3.Timeout(self.remaining(), connect=options.connect_timeout, read=options.read_timeout),
                preload_content=False,
                decode_content=False,
            )
        finally:
            _SENDING.reset(sending)
        try:
            body = b"".join(self._bounded(_decompressed(_arriving(answer), answer.headers.get("content-encoding", ""))))
        except BaseException:
            answer.close()
            raise
        return Response(answer.status, Headers(list(answer.headers.items())), body)

    def _fields(self, defaults: tuple[tuple[str, str], ...]) -> urllib3.HTTPHeaderDict:
        fields = urllib3.HTTPHeaderDict()
        for name, value in self.request.headers.multi_items:
            fields.add(name, value)
        for name, value in (*defaults, ("Accept-Encoding", "gzip")):
            fields.setdefault(name, value)
        return fields

    def _bounded(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        size, limit = 0, self.options.max_response_bytes
        for piece in pieces:
            size += len(piece)
            if size > limit:
                raise TransportError(
                    f"the response of {self.request.origin} is longer than {limit} bytes (options.max_response_bytes)",
                    cause="protocol",
                    maybe_sent=True,
                )
            self.remaining()
            yield piece

    def failure(self, error: Exception) -> TransportError:
        """What to raise for an error of urllib3 or of what is beneath it."""
        links = list(_links(error))
        if any(isinstance(link, _TIMEOUTS) and not isinstance(link, NewConnectionError) for link in links):
            return self.late()
        cause: TransportCause = "connect"
        if self.sent:
            cause = "reset" if any(isinstance(link, _BREAKS) for link in links) else "protocol"
        # the text of other errors may repeat a piece of an answer
        reason = links[-1] if isinstance(links[-1], (OSError, zlib.error)) else type(links[-1]).__name__
        return TransportError(f"{_WHAT[cause]} {self.request.origin}: {reason}", cause=cause, maybe_sent=self.sent)


def _links(error: BaseException) -> Iterator[BaseException]:
    """The error and those that urllib3 wrapped into it, outermost first."""
    link: BaseException | None = error
    while link is not None:
        yield link
        wrapped = (value for value in link.args if isinstance(value, BaseException))
        link = next(wrapped, link.__cause__)


# ---- bodies ---------------------------------------------------------------------------------------------------------


def _arriving(answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    while piece := answer.read1(_CHUNK):
        yield piece


_WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


def _decompressed(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """The body piece by piece, so that one that explodes can be stopped; urllib3 takes one that is cut off for a whole one."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        yield from pieces
        return
    if encoding not in _WINDOWS:
        raise zlib.error(f"its content-encoding is {encoding!r}, which was not asked for")
    stream: zlib._Decompress | None = None
    for piece in pieces:
        data = piece
        while data:
            stream = stream or zlib.decompressobj(_WINDOWS[encoding])
            yield stream.decompress(data, _CHUNK)
            data = stream.unconsumed_tail
            if stream.eof:  # another part may follow
                data, stream = stream.unused_data, None
    if stream is not None:
        raise zlib.error("the compressed body is cut off")


# ---- connections ----------------------------------------------------------------------------------------------------


class _Connections:
    """The pools of one process, by origin; making one connects to nothing."""

    def __init__(self, limit: int, tls: ssl.SSLContext | None) -> None:
        self.pid = os.getpid()
        self._limit = limit
        self._slots = threading.BoundedSemaphore(limit)
        self._tls = tls
        self._pools: dict[str, urllib3.HTTPConnectionPool] = {}
        self._guard = threading.Lock()
        self._closed = False

    @contextmanager
    def slot(self, attempt: _Attempt) -> Iterator[None]:
        """One of the connections at once, held until the answer is whole."""
        bounds = [bound for bound in (attempt.remaining(), attempt.options.pool_timeout) if bound is not None]
        if not self._slots.acquire(timeout=min(bounds, default=None)):
            raise TransportError(
                f"no free connection to {attempt.request.origin} in time", cause="timeout", maybe_sent=False
            )
        try:
            yield
        finally:
            self._slots.release()

    def to(self, origin: str) -> urllib3.HTTPConnectionPool:
        """The pool of `origin`."""
        with self._guard:
            if self._closed:
                raise _closed()
            if origin not in self._pools:
                self._pools[origin] = self._new_pool(origin)
            return self._pools[origin]

    def _new_pool(self, origin: str) -> urllib3.HTTPConnectionPool:
        address = urllib3.util.parse_url(origin)
        if address.scheme == "https":
            return _SecurePool(
                address.host or "", address.port, maxsize=self._limit, ssl_context=self._tls or _usual_tls()
            )
        if address.scheme == "http":
            return _PlainPool(address.host or "", address.port, maxsize=self._limit)
        raise urllib3.exceptions.URLSchemeUnknown(address.scheme or "")

    def close(self) -> None:
        """Close idle connections now, and those in use when their answers are whole."""
        with self._guard:
            self._closed = True
            for pool in self._pools.values():
                pool.close()


def _trusting(ca: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=None if ca.is_dir() else ca, capath=ca if ca.is_dir() else None)
    except OSError as error:
        raise ConfigurationError(
            f"options.ca holds no certificates that can be read: {type(error).__name__}"
        ) from error
    return context


@functools.lru_cache(maxsize=1)
def _usual_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    return context


# ---- what urllib3 would do differently ------------------------------------------------------------------------------


_SENDING: ContextVar[_Attempt] = ContextVar("memtrace_urllib3_sending")
"""The attempt whose request a pool of urllib3 is about to hand to a connection, in this thread."""


class _StrictAnswer(HTTPResponse):
    def begin(self) -> None:
        """Read the head; a line that is no header would be logged by urllib3, and no more."""
        super().begin()
        broken = (MissingHeaderBodySeparatorDefect, FirstHeaderLineIsContinuationDefect)
        if any(isinstance(defect, broken) for defect in self.msg.defects):
            raise HTTPException("a header line of the response cannot be read")


class _PlainConnection(HTTPConnection):
    response_class = _StrictAnswer

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **settings: Any) -> None:
        """Send the target as it was built, where urllib3 writes it anew, and note that from here on it may have arrived."""
        attempt = _SENDING.get()
        if self.sock is None:
            self.connect()
        self.timeout = attempt.remaining()
        attempt.sent = True
        super().request(method, attempt.request.target, body, headers, **settings)


class _SecureConnection(_PlainConnection, HTTPSConnection):
    pass


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection

"""The transports on httpx, sync and async.

Requests go through `httpx.Client.send`, so that what people patch there (tracing, error reporting, respx) sees them, and
proxies from the environment work.
"""

from __future__ import annotations

import functools
import os
import ssl
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn
from weakref import WeakKeyDictionary

from memtrace.clock import has_ended, running_loop
from memtrace.exceptions import ClientClosedError
from memtrace.plugins import TransportSpec, hookimpl
from memtrace.transport import Headers, Request, Response, TransportCause, TransportError, TransportOptions

if TYPE_CHECKING:
    import httpx

__all__ = ["AsyncHttpxTransport", "HttpxTransport"]


@hookimpl
def memtrace_transport() -> TransportSpec:
    """Both forms, on the package httpx."""
    return TransportSpec(create=_create, create_async=_create_async, requires=("httpx",))


def _create(options: TransportOptions) -> HttpxTransport:
    return HttpxTransport()


def _create_async(options: TransportOptions) -> AsyncHttpxTransport:
    return AsyncHttpxTransport()


class HttpxTransport:
    """Sends through an `httpx.Client`: one of its own, made at the first request, or yours.

    Yours is used as it is, with its headers, proxies and TLS settings, and `close` leaves it open. The bound of an attempt
    holds for each step by itself: waiting for a connection, connecting, each write and each read.
    """

    def __init__(self, client: httpx.Client | None = None) -> None:
        self._given = client
        self._closed = False
        self._forget()

    def _forget(self) -> None:
        self._guard = threading.Lock()  # taken by itself
        self._client: httpx.Client | None = None
        self._pid = os.getpid()  # last: another thread of a forked child that sees it finds all new

    def send(self, request: Request) -> Response:
        """Send `request`; raises `TransportError` with httpx's own error as its cause."""
        client = self._usable_client()
        try:
            outgoing = _outgoing(client, request, _timeout(request.timeout, request.timeout), owned=self._given is None)
            answer = client.send(outgoing, follow_redirects=False)
        except Exception as error:  # noqa: BLE001  # those of httpx are translated, others raised again
            _raise(error, request, client)
        return _incoming(answer)

    def _usable_client(self) -> httpx.Client:
        if self._closed:
            raise ClientClosedError("this transport is closed")
        if self._given is not None:
            return self._given
        if self._pid != os.getpid():  # a forked child shares its parent's sockets: answers would cross
            self._forget()
        with self._guard:
            if self._client is None:
                self._client = _new_client()
            return self._client

    def close(self) -> None:
        """Close the connections that it made; a second call does nothing."""
        self._closed = True
        if self._pid != os.getpid():
            return
        with self._guard:
            client, self._client = self._client, None
        if client is not None:
            client.close()


class AsyncHttpxTransport:
    """Sends through an `httpx.AsyncClient`: one of its own for each event loop, made at the first request, or yours.

    Yours is used as it is, with its headers, proxies and TLS settings, and `close` leaves it open. Works under asyncio and
    trio. The bound of an attempt is exact.
    """

    def __init__(self, client: httpx.AsyncClient | None = None) -> None:
        self._given = client
        self._closed = False
        self._forget()

    def _forget(self) -> None:
        self._guard = threading.Lock()  # taken by itself; two event loops may run in two threads
        self._clients: WeakKeyDictionary[object, httpx.AsyncClient] = WeakKeyDictionary()
        self._pid = os.getpid()  # last, as in `HttpxTransport`

    async def send(self, request: Request) -> Response:
        """Send `request`; raises `TransportError` with httpx's own error as its cause."""
        import anyio

        client = self._usable_client()
        bound = request.timeout
        timeout = _timeout(bound, None if bound is None else bound * _CONNECTING)
        try:
            outgoing = _outgoing(client, request, timeout, owned=self._given is None)
            with anyio.fail_after(bound):
                answer = await client.send(outgoing, follow_redirects=False)
        except Exception as error:  # noqa: BLE001  # those of httpx are translated, others raised again
            _raise(error, request, client)
        return _incoming(answer)

    def _usable_client(self) -> httpx.AsyncClient:
        if self._closed:
            raise ClientClosedError("this transport is closed")
        if self._given is not None:
            return self._given
        if self._pid != os.getpid():  # a forked child shares its parent's sockets: answers would cross
            self._forget()
        loop = running_loop()
        with self._guard:
            client = self._clients.get(loop)
            if client is None:
                for ended in [other for other in self._clients if has_ended(other)]:
                    del self._clients[ended]
                client = self._clients[loop] = _new_async_client()
            return client

    async def close(self) -> None:
        """Close the connections that it made on this event loop; a second call does nothing."""
        self._closed = True
        client = self._clients.pop(running_loop(), None)
        self._clients.clear()  # those of other loops cannot be closed from here
        if client is not None and self._pid == os.getpid():
            await client.aclose()


# ---- clients of our own ---------------------------------------------------------------------------------------------

_CONNECTIONS = 100
_KEPT_ALIVE = 20  # httpx looks at every open connection at each request: 100 made 50 tasks three times slower than 20
_KEPT_SECONDS = 30.0


def _new_client() -> httpx.Client:
    import httpx

    limits = httpx.Limits(
        max_connections=_CONNECTIONS, max_keepalive_connections=_KEPT_ALIVE, keepalive_expiry=_KEPT_SECONDS
    )
    return httpx.Client(verify=_tls(), limits=limits)


def _new_async_client() -> httpx.AsyncClient:
    import httpx

    limits = httpx.Limits(
        max_connections=_CONNECTIONS, max_keepalive_connections=_KEPT_ALIVE, keepalive_expiry=_KEPT_SECONDS
    )
    return httpx.AsyncClient(verify=_tls(), limits=limits)


def _tls() -> ssl.SSLContext:
    return _tls_of(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@functools.lru_cache(maxsize=8)
def _tls_of(certificate_file: str | None, certificate_folder: str | None) -> ssl.SSLContext:
    """The context for these settings of the environment: shared, since one takes 25 ms to make."""
    import httpx

    return httpx.create_ssl_context()


# ---- requests and responses -----------------------------------------------------------------------------------------


_CONNECTING = 0.95  # of an async bound: a connection that does not come about is told from an answer that does not


def _timeout(bound: float | None, connecting: float | None) -> httpx.Timeout:
    import httpx

    return httpx.Timeout(bound, connect=connecting, pool=connecting)


def _outgoing(
    client: httpx.Client | httpx.AsyncClient, request: Request, timeout: httpx.Timeout, *, owned: bool
) -> httpx.Request:
    import httpx

    url = httpx.URL(request.url)
    headers = list(request.headers.pairs)
    if owned:
        if "accept-encoding" not in request.headers:
            headers.append(("accept-encoding", "gzip, deflate"))
        outgoing = httpx.Request(request.method, url, headers=headers, content=request.body)
        outgoing.extensions["timeout"] = timeout.as_dict()
    else:
        outgoing = client.build_request(request.method, url, headers=headers, content=request.body, timeout=timeout)
    target = request.target.encode("ascii")
    if url.raw_path != target:  # httpx writes some paths anew; the server must get ours
        outgoing.url = _verbatim_url()(outgoing.url, target)
    return outgoing


@functools.lru_cache(maxsize=1)
def _verbatim_url() -> Callable[[httpx.URL, bytes], httpx.URL]:
    """A URL whose path and query go out as they are; httpcore's extension ``target`` would do, but breaks proxies."""
    import httpx

    class VerbatimURL(httpx.URL):
        def __init__(self, url: httpx.URL, target: bytes) -> None:
            super().__init__(url)
            self._target = target

        @property
        def raw_path(self) -> bytes:
            return self._target

    return VerbatimURL


def _incoming(answer: httpx.Response) -> Response:
    return Response(answer.status_code, Headers(answer.headers.multi_items()), answer.content)


# ---- errors ---------------------------------------------------------------------------------------------------------


def _raise(error: Exception, request: Request, client: httpx.Client | httpx.AsyncClient) -> NoReturn:
    for matches, cause, maybe_sent, what in _kinds():
        if isinstance(error, matches):
            reset = cause == "protocol" and "disconnected" in str(error)
            text = f"{what.format(request.origin)}: {_reason(error)}"
            raise TransportError(text, cause="reset" if reset else cause, maybe_sent=maybe_sent) from error
    if client.is_closed:
        raise ClientClosedError("the httpx client of this transport is closed") from error
    raise error


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


@functools.lru_cache(maxsize=1)
def _kinds() -> list[tuple[type[Exception] | tuple[type[Exception], ...], TransportCause, bool, str]]:
    """Httpx's errors, the most special first: what happened, and whether the request may have been sent."""
    import httpx

    return [
        (httpx.ConnectTimeout, "timeout", False, "no connection to {} in time"),
        (httpx.PoolTimeout, "timeout", False, "no free connection to {} in time"),
        ((httpx.TimeoutException, TimeoutError), "timeout", True, "no answer from {} in time"),
        ((httpx.ConnectError, httpx.ProxyError, httpx.UnsupportedProtocol), "connect", False, "no connection to {}"),
        (
            (httpx.LocalProtocolError, httpx.InvalidURL, UnicodeEncodeError),
            "protocol",
            False,
            "the request to {} cannot be written",
        ),
        (httpx.RemoteProtocolError, "protocol", True, "{} did not answer in HTTP"),
        (httpx.NetworkError, "reset", True, "the connection to {} broke"),
        (httpx.DecodingError, "protocol", True, "the answer of {} cannot be decompressed"),
        (httpx.TransportError, "protocol", True, "the exchange with {} failed"),
    ]

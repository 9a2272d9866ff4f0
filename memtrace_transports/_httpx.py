"""The transports on httpx, sync and async.

Requests go through `httpx.Client.send`, so that what people patch there (tracing, error reporting, respx) sees them, and
proxies from the environment work.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import os
import ssl
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from importlib.util import find_spec
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from memtrace.clock import has_ended, running_loop, running_under_trio
from memtrace.exceptions import ClientClosedError
from memtrace.plugins import TransportSpec, hookimpl
from memtrace.transport import Headers, Request, Response, TransportCause, TransportError, TransportOptions
from memtrace_transports.own_client import described
from memtrace_transports.tls import context_of

if TYPE_CHECKING:
    import anyio
    import httpx
    import trio

__all__ = ["AsyncHttpxTransport", "HttpxTransport"]


@hookimpl
def memtrace_transport() -> TransportSpec:
    """Both forms, on the package httpx."""
    able = _HONOURED if find_spec("h2") is None else _HONOURED | {"http2"}
    return TransportSpec(create=_create, create_async=_create_async, requires=("httpx",), capabilities=able)


_HONOURED = frozenset(option.name for option in fields(TransportOptions)) - {"url", "clock", "http2"}


def _create(options: TransportOptions) -> HttpxTransport:
    return HttpxTransport(options=options)


def _create_async(options: TransportOptions) -> AsyncHttpxTransport:
    return AsyncHttpxTransport(options=options)


class HttpxTransport:
    """Sends through an `httpx.Client`: one of its own, made at the first request, or yours.

    Yours is used as it is, with its headers, proxies and TLS settings, and `close` leaves it open. The bound of an attempt
    holds for each step by itself: waiting for a connection, connecting, each write and each read; and it is looked at
    again whenever a part of the answer has come.
    """

    def __init__(self, client: httpx.Client | None = None, *, options: TransportOptions | None = None) -> None:
        # by their methods, since tracing puts classes of its own in the place of httpx's
        if client is not None and (isinstance(client, type) or not hasattr(client, "close")):
            raise TypeError(f"HttpxTransport takes an httpx.Client, not {described(client)}")
        self._options = _own_options(client, options)
        self._given = client
        self._closed = False
        self._forget()

    def _forget(self) -> None:
        self._guard = threading.Lock()  # taken by itself
        self._client: httpx.Client | None = None
        self._pid = os.getpid()  # last: another thread of a forked child that sees it finds all new

    def send(self, request: Request) -> Response:
        """Send `request`; raises `TransportError` with httpx's own error as its cause, unless that may repeat a key."""
        client = self._usable_client()
        try:
            timeout = _timeout(request.timeout, request.timeout, self._options)
            outgoing = _outgoing(client, request, timeout, self._options, owned=self._given is None)
            started = request.context.clock.monotonic()
            answer = client.send(outgoing, stream=True, follow_redirects=False)
            with contextlib.closing(answer):
                parts = _Parts(self._options.max_response_bytes)
                for part in answer.iter_bytes():
                    parts.add(part)
                    _check_pace(request, started)
        except Exception as error:  # noqa: BLE001  # those of httpx are translated, others raised again
            failure = _failure(error, request, client)
        else:
            return _incoming(answer, parts)
        raise failure  # out here, where it has no context

    def _usable_client(self) -> httpx.Client:
        if self._closed:
            raise ClientClosedError("this transport is closed")
        if self._given is not None:
            return self._given
        if self._pid != os.getpid():  # a forked child shares its parent's sockets: answers would cross
            self._forget()
        with self._guard:
            if self._client is None:
                self._client = _new_client(self._options)
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

    def __init__(self, client: httpx.AsyncClient | None = None, *, options: TransportOptions | None = None) -> None:
        if client is not None and (isinstance(client, type) or not hasattr(client, "aclose")):
            raise TypeError(f"AsyncHttpxTransport takes an httpx.AsyncClient, not {described(client)}")
        self._options = _own_options(client, options)
        self._given = client
        self._closed = False
        self._forget()

    def _forget(self) -> None:
        self._guard = threading.Lock()  # taken by itself; two event loops may run in two threads
        self._pools: WeakKeyDictionary[object, _Pool] = WeakKeyDictionary()
        self._pid = os.getpid()  # last, as in `HttpxTransport`

    async def send(self, request: Request) -> Response:
        """Send `request`; raises `TransportError` with httpx's own error as its cause, unless that may repeat a key."""
        client, slots = await self._usable_client()
        bound = request.timeout
        timeout = _timeout(bound, None if bound is None else bound * _CONNECTING, self._options)
        try:
            outgoing = _outgoing(client, request, timeout, self._options, owned=self._given is None)
            send = functools.partial(_exchange, client, outgoing, self._options.max_response_bytes)
            if slots is not None:
                send = functools.partial(_in_slot, slots, timeout.pool, send)
            return await _within(bound, send)
        except Exception as error:  # noqa: BLE001  # those of httpx are translated, others raised again
            failure = _failure(error, request, client)
        raise failure  # out here, where it has no context

    async def _usable_client(self) -> tuple[httpx.AsyncClient, anyio.Semaphore | None]:
        client, slots = self._given, None
        if client is None and not self._closed:
            client, slots = await self._pool().client()
        if client is None or self._closed:  # perhaps since the line above began
            raise ClientClosedError("this transport is closed")
        return client, slots

    def _pool(self) -> _Pool:
        if self._pid != os.getpid():  # a forked child shares its parent's sockets: answers would cross
            self._forget()
        loop = running_loop()
        with self._guard:
            pool = self._pools.get(loop)
            if pool is None:
                for ended in [other for other in self._pools if has_ended(other)]:
                    del self._pools[ended]
                pool = self._pools[loop] = _Pool(self._options)
            return pool

    async def close(self) -> None:
        """Close the connections that it made on this event loop; a second call does nothing."""
        self._closed = True
        pool = self._pools.pop(running_loop(), None)
        self._pools.clear()  # those of other loops cannot be closed from here
        if pool is not None and pool.made is not None and self._pid == os.getpid():
            await pool.made.aclose()


class _Pool:
    """The client of one event loop, made in a thread since imports and TLS settings take 0.2 s the first time.

    Requests queue here for a slot, one for each connection, and never in httpcore, which forgets the connection that it has given
    to a request in its queue when that request is cancelled.
    """

    def __init__(self, options: TransportOptions) -> None:
        self._options = options
        self.made: httpx.AsyncClient | None = None
        self._turn = _new_lock()  # one thread for all tasks that begin together
        self._making = threading.Lock()  # against the thread that a cancelled task left behind
        self._slots: anyio.Semaphore | None = None

    async def client(self) -> tuple[httpx.AsyncClient, anyio.Semaphore]:
        client = self.made or await self._client_in_turn()
        if self._slots is None:
            import anyio

            self._slots = anyio.Semaphore(self._options.max_connections or _CONNECTIONS)
        return client, self._slots

    async def _client_in_turn(self) -> httpx.AsyncClient:
        async with self._turn:
            return self.made or await _in_thread(self._make)

    def _make(self) -> httpx.AsyncClient:
        with self._making:
            if self.made is None:
                self.made = _new_async_client(self._options)
            return self.made


# ---- what asyncio and trio do differently ---------------------------------------------------------------------------


def _new_lock() -> asyncio.Lock | trio.Lock:
    if running_under_trio():
        import trio

        return trio.Lock()
    return asyncio.Lock()


async def _in_thread(make: Callable[[], httpx.AsyncClient]) -> httpx.AsyncClient:
    if running_under_trio():
        import trio

        return await trio.to_thread.run_sync(make)
    executor = ThreadPoolExecutor(1)  # the loop's own may be busy, and in a forked child its threads are gone
    try:
        return await asyncio.get_running_loop().run_in_executor(executor, make)
    finally:
        executor.shutdown(wait=False)


_Send = Callable[[], Coroutine[None, None, Response]]


async def _exchange(client: httpx.AsyncClient, outgoing: httpx.Request, limit: int) -> Response:
    answer = await client.send(outgoing, stream=True, follow_redirects=False)
    try:
        parts = _Parts(limit)
        async for part in answer.aiter_bytes():
            parts.add(part)
    finally:
        await answer.aclose()
    return _incoming(answer, parts)


async def _in_slot(slots: anyio.Semaphore, patience: float | None, send: _Send) -> Response:
    import anyio
    import httpx

    with anyio.move_on_after(patience) as waiting:
        await slots.acquire()
    if waiting.cancelled_caught:
        raise httpx.PoolTimeout("all connections are in use")
    try:
        return await send()
    finally:
        slots.release()


async def _within(bound: float | None, send: _Send) -> Response:
    """Send, for `bound` seconds at most.

    A task that asyncio cancels breaks off httpcore's cleaning up too, and its connection stays taken for good. So there the
    exchange has a task of its own, which is only ever ended through its scope, as trio ends every task.
    """
    import anyio

    scope = anyio.CancelScope(deadline=math.inf if bound is None else anyio.current_time() + bound)
    exchange = _within_scope(scope, send)
    return await exchange if running_under_trio() else await _apart(asyncio.create_task(exchange), scope)


async def _within_scope(scope: anyio.CancelScope, send: _Send) -> Response:
    with scope:
        return await send()
    raise TimeoutError


async def _apart(exchange: asyncio.Task[Response], scope: anyio.CancelScope) -> Response:
    try:
        await asyncio.wait((exchange,))  # which leaves the task alone when it is cancelled
    except asyncio.CancelledError:
        scope.cancel()
        await _end(exchange)
        raise
    return exchange.result()


async def _end(exchange: asyncio.Task[Response]) -> None:
    """Wait until it has ended, however often the waiting is cancelled meanwhile."""
    import anyio

    with anyio.CancelScope(shield=True):  # a scope of the caller's would cancel the waiting again and again
        while not exchange.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait((exchange,))
    if not exchange.cancelled():
        exchange.exception()  # looked at, or asyncio complains that nobody did


# ---- clients of our own ---------------------------------------------------------------------------------------------

_CONNECTIONS = 100
_KEPT_ALIVE = 20  # httpx looks at every open connection at each request: 100 made 50 tasks three times slower than 20
_KEPT_SECONDS = 30.0


def _own_options(client: object, options: TransportOptions | None) -> TransportOptions:
    if client is not None and options is not None:
        raise TypeError("options= is for a client of the transport's own; yours has its own settings")
    return options if options is not None else TransportOptions()


def _new_client(options: TransportOptions) -> httpx.Client:
    import httpx

    return httpx.Client(
        verify=context_of(options),
        limits=_limits(options),
        proxy=options.proxy,
        trust_env=options.trust_env,
        http2=options.http2,
    )


def _new_async_client(options: TransportOptions) -> httpx.AsyncClient:
    import httpx

    return httpx.AsyncClient(
        verify=context_of(options),
        limits=_limits(options),
        proxy=options.proxy,
        trust_env=options.trust_env,
        http2=options.http2,
    )


def _limits(options: TransportOptions) -> httpx.Limits:
    import httpx

    kept = options.max_keepalive_connections
    return httpx.Limits(
        max_connections=options.max_connections or _CONNECTIONS,
        max_keepalive_connections=_KEPT_ALIVE if kept is None else kept,
        keepalive_expiry=options.keepalive_expiry or _KEPT_SECONDS,
    )


# ---- requests and responses -----------------------------------------------------------------------------------------


_CONNECTING = 0.95  # of an async bound: a connection that does not come about is told from an answer that does not


def _timeout(bound: float | None, connecting: float | None, options: TransportOptions) -> httpx.Timeout:
    """The shorter of the attempt's bound and the phase's own."""
    import httpx

    return httpx.Timeout(
        connect=_least(connecting, options.connect_timeout),
        read=_least(bound, options.read_timeout),
        write=_least(bound, options.write_timeout),
        pool=_least(connecting, options.pool_timeout),
    )


def _least(*seconds: float | None) -> float | None:
    return min((each for each in seconds if each is not None), default=None)


def _outgoing(
    client: httpx.Client | httpx.AsyncClient,
    request: Request,
    timeout: httpx.Timeout,
    options: TransportOptions,
    *,
    owned: bool,
) -> httpx.Request:
    import httpx

    url = httpx.URL(request.url)
    headers = list(request.headers.pairs)
    headers += [pair for pair in (options.headers or {}).items() if pair[0] not in request.headers]
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


def _check_pace(request: Request, started: float) -> None:
    if request.timeout is not None and request.context.clock.monotonic() - started > request.timeout:
        raise TimeoutError("its parts came too slowly")


class _Parts:
    """An answer's body as it comes, up to a bound."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._parts: list[bytes] = []

    def add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._limit:
            raise _TooLongError(self._limit)
        self._parts.append(part)

    def whole(self) -> bytes:
        return b"".join(self._parts)


class _TooLongError(Exception):
    """An answer is longer than `TransportOptions.max_response_bytes`."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"it has more than {limit} bytes; raise options.max_response_bytes if that can be right")


def _incoming(answer: httpx.Response, parts: _Parts) -> Response:
    return Response(answer.status_code, Headers(answer.headers.multi_items()), parts.whole())


# ---- errors ---------------------------------------------------------------------------------------------------------


def _failure(error: Exception, request: Request, client: httpx.Client | httpx.AsyncClient) -> Exception:
    """What to raise for `error`."""
    for matches, cause, maybe_sent, what in _kinds():
        if isinstance(error, matches):
            reset = cause == "protocol" and "disconnected" in str(error)
            text = f"{what.format(request.origin)}: {_reason(error)}"
            failure = TransportError(text, cause="reset" if reset else cause, maybe_sent=maybe_sent)
            failure.__cause__ = None if _may_hold_a_key(error) else error
            return failure
    if client.is_closed:
        closed = ClientClosedError("the httpx client of this transport is closed")
        closed.__cause__ = error
        return closed
    return error


def _may_hold_a_key(error: Exception) -> bool:
    """Whether httpx repeats the value of a header in it."""
    import httpx

    return isinstance(error, (httpx.LocalProtocolError, UnicodeEncodeError))


def _reason(error: Exception) -> str:
    if _may_hold_a_key(error):
        return f"a header or the path holds what HTTP does not allow ({type(error).__name__})"
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
        ((httpx.NetworkError, ssl.SSLError), "reset", True, "the connection to {} broke"),  # TLS 1.3 refuses late
        (httpx.DecodingError, "protocol", True, "the answer of {} cannot be decompressed"),
        (_TooLongError, "protocol", True, "the answer of {} is too long"),
        (httpx.TransportError, "protocol", True, "the exchange with {} failed"),
    ]

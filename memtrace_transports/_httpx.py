"""The transports on httpx and on httpx2, sync and async: one API, from two packages.

Requests go through the library's own `Client.send`, so that what people patch there (tracing, error reporting, respx) sees
them, and proxies from the environment work.
"""

from __future__ import annotations

import contextlib
import functools
import ssl
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from dataclasses import fields
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypedDict, cast

from memtrace._support.error_text import excerpt
from memtrace._support.event_loops import shielded
from memtrace._support.lazy_modules import LazyModule
from memtrace._support.tracebacks import caused
from memtrace.clock import Clock
from memtrace.exceptions import ClientClosedError, no_thread
from memtrace.plugins import TransportSpec, hookimpl
from memtrace.transport import Headers, Request, Response, TransportCause, TransportError, TransportOptions
from memtrace_transports._checks.header_logs import hide_headers_from_logs
from memtrace_transports._checks.limits import (
    came_out_of,
    is_refused_lookup,
    keepalive_seconds,
    max_connections,
    shortest,
    unsent,
)
from memtrace_transports._checks.own_client import qualified_type
from memtrace_transports._checks.proxies import (
    CONNECTION_BROKE,
    NO_CONNECTION,
    NO_CONNECTION_IN_TIME,
    Proxies,
    Proxy,
    failed_exchange,
    invalid_proxy,
)
from memtrace_transports._checks.request_checks import check_time_left
from memtrace_transports._checks.response_body import BodyReader, codings_of, interim_response, is_decodable, unreadable
from memtrace_transports._checks.surplus import holds_surplus
from memtrace_transports._checks.tls import lazy_ssl_context
from memtrace_transports._pool.client_pool import ClientPool
from memtrace_transports._pool.lazy_clients import LazyClient, PerLoopClients

if TYPE_CHECKING:
    import anyio
    import httpx
    import httpx2  # type: ignore[import-not-found,unused-ignore]  # needs Python 3.11

    from memtrace_transports._pool.async_client_pool import AsyncClientPool, SharedClient

    _ClientChannel = SharedClient[httpx.AsyncClient] | AsyncClientPool[httpx.AsyncClient]
else:
    httpx, httpx2 = LazyModule("httpx"), LazyModule("httpx2")

Library = Literal["httpx", "httpx2"]


@hookimpl
def memtrace_transport() -> TransportSpec:
    """Both forms, on the package httpx."""
    return spec_of("httpx")


def spec_of(library: Library, *, extra: str | None = None) -> TransportSpec:
    """Both forms on `library`, which `extra` installs."""
    return TransportSpec(
        create=lambda options: HttpxTransport(options=options, library=library),
        create_async=lambda options: AsyncHttpxTransport(options=options, library=library),
        requires=(library,),
        extra=extra,
        capabilities=_HONOURED if find_spec("h2") is None else _HONOURED | {"http2"},
    )


_HONOURED: Final = frozenset(option.name for option in fields(TransportOptions)) - {"url", "clock", "http2"}


class HttpxTransport:
    """Send requests through an `httpx.Client` or `httpx2.Client`.

    Without a `client` the transport creates one at the first request. Your own client is used as
    is, with its headers, proxies and TLS settings. `close` leaves it open.

    The timeout of an attempt covers the whole attempt. It is checked before each read and write, so
    a name lookup, or connecting to several addresses of a host, can exceed it.

    Args:
        client: Your client. Default: the transport's own.
        options: The transport options of the client. They apply to the transport's own client only.
        library: ``httpx`` or ``httpx2``, for the transport's own client. Default: ``httpx``.

    Raises:
        TypeError: `client` is not a blocking client of httpx or httpx2, `library` is another name,
            or both `client` and `options` are given.
    """

    def __init__(
        self,
        client: httpx.Client | httpx2.Client | None = None,
        *,
        options: TransportOptions | None = None,
        library: Library | None = None,
    ) -> None:
        # by their methods, since tracing replaces the library's classes
        if client is not None and (isinstance(client, type) or not hasattr(client, "close")):
            raise TypeError(f"HttpxTransport accepts a Client of httpx or httpx2, not {qualified_type(client)}")
        self._options = _own_options(client, options)
        self._is_shared = client is not None or self._options.http2  # else a client serves one request at a time
        hide_headers_from_logs()
        self._library = _library_of(client, library)
        self._requests = _new_request_builder(client, self._options)
        self._timeout = functools.lru_cache(maxsize=64)(functools.partial(_timeout, self._options))
        self._proxies = _proxies_of(client, self._options, self._library)
        given = None if client is None else _BorrowedClient(cast("httpx.Client", client))
        tls = lazy_ssl_context(self._options)
        make = functools.partial(_new_client_pool, self._library, self._options, tls, self._proxies)
        self._clients: LazyClient[_BorrowedClient | ClientPool[httpx.Client]] = LazyClient(given, make)

    def send(self, request: Request) -> Response:
        """Send one request and return the response, whatever its status.

        Args:
            request: The request, with the timeout of the attempt.

        Returns:
            The complete response.

        Raises:
            TransportError: No response was received. The library's error is the cause, unless its
                text may contain the API key.
        """
        if request.timeout is not None and not request.timeout > 0:  # here, where it takes no call
            check_time_left(request)
        started = request.context.clock.monotonic()
        clients = self._clients.get()
        library, proxy = import_module(self._library), self._proxies.of(request.origin)
        timeout = self._timeout(request.timeout)
        client = clients.acquire(timeout["pool"])
        if client is None:
            raise _failure(library, library.PoolTimeout("all connections are in use"), request, None, proxy)
        try:
            return self._exchange(library, client, request, timeout, started)
        except Exception as error:  # noqa: BLE001  # those of the library are translated, others raised again
            failure = _failure(library, error, request, client, proxy)
        finally:
            _TIMING.deadline = None
            clients.release(client)
        raise failure  # out here, where it has no context

    def _exchange(
        self, library: ModuleType, client: httpx.Client, request: Request, timeout: _Timeout, started: float
    ) -> Response:
        if client.is_closed:
            raise _closed(library)
        # in no local variable of the SDK: its headers show the key
        answer = client.send(
            self._outgoing(library, client, request, timeout, started), stream=True, follow_redirects=False
        )
        with contextlib.closing(answer):
            connection = _connection_of(answer)
            if self._is_shared and connection is not None and not answer.is_closed:
                answer.stream = _watched_class(library)(answer.stream, connection)
            body, is_raw = _start_body(library, answer, request.origin, self._options.max_response_bytes)
            for part in answer.iter_raw() if is_raw else answer.iter_bytes():
                body.add(part)
                _check_deadline(request, started)
        if connection is not None and holds_surplus(connection):
            connection.close()
        return Response(answer.status_code, Headers(answer.headers.multi_items()), body.finish())

    def _outgoing(
        self, library: ModuleType, client: httpx.Client, request: Request, timeout: _Timeout, started: float
    ) -> httpx.Request:
        outgoing = self._requests.build(library, client, request, timeout)
        if request.timeout is not None:
            deadline = _TIMING.deadline = _Deadline(timeout, request.context.clock, started + request.timeout)
            connect = deadline.shortened(timeout["connect"])
            # the streams of a client of the user's were perhaps not opened under our eyes
            outgoing.extensions["timeout"] = deadline if self._is_shared else {**timeout, "connect": connect}
            outgoing.extensions.setdefault("trace", _trace_connecting)  # unless a tracer of the user's is there
        return outgoing

    def close(self) -> None:
        """Close the transport's own connections. A second call does nothing."""
        self._clients.close()


class _BorrowedClient:
    """A client that was handed over, lent to every thread at once."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def acquire(self, timeout: float | None) -> httpx.Client | None:
        """The client, which has its own pool and timeout."""
        return self._client

    def release(self, client: httpx.Client) -> None:
        """Leave it as it is."""

    def close(self) -> None:
        """Leave it open, for its owner to close."""


class AsyncHttpxTransport:
    """Send requests through an `AsyncClient` of httpx or httpx2, on asyncio or trio.

    Without a `client` the transport creates one for each event loop, at the first request. Your own
    client is used as is, with its headers, proxies and TLS settings. `close` leaves it open. The
    timeout of an attempt is exact.

    Args:
        client: Your client. Default: the transport's own.
        options: The transport options of the client. They apply to the transport's own client only.
        library: ``httpx`` or ``httpx2``, for the transport's own client. Default: ``httpx``.

    Raises:
        TypeError: `client` is not an async client of httpx or httpx2, `library` is another name, or
            both `client` and `options` are given.
    """

    def __init__(
        self,
        client: httpx.AsyncClient | httpx2.AsyncClient | None = None,
        *,
        options: TransportOptions | None = None,
        library: Library | None = None,
    ) -> None:
        if client is not None and (isinstance(client, type) or not hasattr(client, "aclose")):
            raise TypeError(
                f"AsyncHttpxTransport accepts an AsyncClient of httpx or httpx2, not {qualified_type(client)}"
            )
        self._options = _own_options(client, options)
        self._is_shared = client is not None or self._options.http2  # else a client serves one request at a time
        hide_headers_from_logs()
        self._library = _library_of(client, library)
        self._requests = _new_request_builder(client, self._options)
        self._timeout = functools.lru_cache(maxsize=64)(functools.partial(_timeout, self._options))
        self._proxies = _proxies_of(client, self._options, self._library)
        tls = lazy_ssl_context(self._options)
        make = functools.partial(_new_async_client, self._library, self._options, tls, self._proxies)
        self._channels: PerLoopClients[_ClientChannel, httpx.AsyncClient] = PerLoopClients(
            None if client is None else _borrowed_channel(cast("httpx.AsyncClient", client)),
            make,
            functools.partial(_new_channel, self._options, make),
        )

    async def send(self, request: Request) -> Response:
        """Send one request and return the response, whatever its status.

        Args:
            request: The request, with the timeout of the attempt.

        Returns:
            The complete response.

        Raises:
            TransportError: No response was received. The library's error is the cause, unless its
                text may contain the API key.
        """
        from memtrace_transports._pool.deadline import run_within, start_scope

        if request.timeout is not None and not request.timeout > 0:  # here, where it takes no call
            check_time_left(request)
        channel, proxy = await self._channels.get(), self._proxies.of(request.origin)
        library, client, progress = import_module(self._library), None, _Progress()
        try:
            scope = start_scope(request.timeout)
            timeout = self._timeout(request.timeout)
            client = await channel.acquire(timeout["pool"])
            if client is None:
                failure = _failure(library, library.PoolTimeout("all connections are in use"), request, None, proxy)
            else:
                try:
                    if client.is_closed:
                        raise _closed(library)
                    exchange = self._exchange(scope, library, client, request, timeout, progress=progress)
                    return await run_within(scope, exchange)
                finally:
                    await channel.release(client, usable=not progress.was_cut_early)
        except Exception as error:  # noqa: BLE001  # those of the library are translated, others raised again
            failure = progress.corrected(_failure(library, progress.named(library, error), request, client, proxy))
        raise failure  # out here, where it has no context

    async def _exchange(
        self,
        scope: anyio.CancelScope,
        library: ModuleType,
        client: httpx.AsyncClient,
        request: Request,
        timeout: _Timeout,  # noqa: ASYNC109  # the library's, of each phase
        *,
        progress: _Progress,
    ) -> Response:
        with scope:
            try:
                # in no local variable of the SDK: its headers show the key
                answer = await client.send(
                    progress.watched(self._requests.build(library, client, request, timeout)),
                    stream=True,
                    follow_redirects=False,
                )
            except BaseException as error:
                await progress.note_failure(library, error)
                raise
            try:
                connection = _connection_of(answer)
                if self._is_shared and connection is not None and not answer.is_closed:
                    answer.stream = _watched_class(library)(answer.stream, connection)
                body, is_raw = _start_body(library, answer, request.origin, self._options.max_response_bytes)
                # closed by hand: trio warns of a leftover generator if a part raises
                given = cast("AsyncGenerator[bytes, None]", answer.aiter_raw() if is_raw else answer.aiter_bytes())
                async with contextlib.aclosing(given) as parts:
                    async for part in parts:
                        body.add(part)
            finally:
                await answer.aclose()
            if connection is not None and holds_surplus(connection):
                await connection.aclose()
            return Response(answer.status_code, Headers(answer.headers.multi_items()), body.finish())
        raise TimeoutError  # the bound has passed

    async def close(self) -> None:
        """Close the transport's own connections on this event loop. A second call does nothing."""
        await self._channels.close()


def _borrowed_channel(client: httpx.AsyncClient) -> _ClientChannel:
    from memtrace_transports._pool.async_client_pool import SharedClient

    return SharedClient(client)


def _new_channel(
    options: TransportOptions, make: Callable[[], httpx.AsyncClient], first: httpx.AsyncClient
) -> _ClientChannel:
    from memtrace_transports._pool.async_client_pool import AsyncClientPool, SharedClient

    max_size = max_connections(options)
    if options.http2:  # one connection carries many requests
        return SharedClient(first, max_size=max_size)
    return AsyncClientPool(
        first,
        make,
        max_size=max_size,
        max_idle=_max_idle(options),
        expiry=keepalive_seconds(options),
        now=options.clock.monotonic,
    )


# ---- clients of the SDK ---------------------------------------------------------------------------------------------

_KEPT_IN_ONE_POOL = 20


def _own_options(client: object, options: TransportOptions | None) -> TransportOptions:
    if client is not None and options is not None:
        raise TypeError("options= is for a client of the transport's own; yours has its own settings")
    return options if options is not None else TransportOptions()


def _library_of(client: object, library: Library | None) -> Library:
    """The backend that was asked for, else the one whose class the client's is derived from."""
    if library not in (None, "httpx", "httpx2"):
        raise TypeError(f"library= is 'httpx' or 'httpx2', not {library!r}")
    packages = {kind.__module__.partition(".")[0] for kind in client.__class__.__mro__}
    return library or ("httpx2" if "httpx2" in packages else "httpx")


def _proxies_of(client: object, options: TransportOptions, library: Library) -> Proxies:
    """The proxies of the SDK's client. A user's client keeps its own."""
    return Proxies(options if client is None else TransportOptions(trust_env=False), library)


def _new_client_pool(
    library: Library, options: TransportOptions, tls: Callable[[], ssl.SSLContext], proxies: Proxies
) -> ClientPool[httpx.Client]:
    return ClientPool(
        functools.partial(_new_client, library, "", options, tls, proxies, connections=1),
        max_size=max_connections(options),
        max_idle=_max_idle(options),
        expiry=keepalive_seconds(options),
        now=options.clock.monotonic,
    )


def _max_idle(options: TransportOptions) -> int:
    """All, unless they share a pool: 100 made 50 tasks three times slower than 20."""
    if options.max_keepalive_connections is not None:
        return options.max_keepalive_connections
    # a pool looks at each of them at every request: https://github.com/encode/httpx/issues/3215
    return _KEPT_IN_ONE_POOL if options.http2 else max_connections(options)


def _new_async_client(
    library: Library, options: TransportOptions, tls: Callable[[], ssl.SSLContext], proxies: Proxies
) -> httpx.AsyncClient:
    connections = max_connections(options) if options.http2 else 1
    client: httpx.AsyncClient = _new_client(library, "Async", options, tls, proxies, connections=connections)
    return client


def _new_client(
    library: Library,
    form: Literal["", "Async"],
    options: TransportOptions,
    tls: Callable[[], ssl.SSLContext],
    proxies: Proxies,
    *,
    connections: int,
) -> Any:
    module = import_module(library)
    context = tls()
    limits = module.Limits(
        max_connections=connections,
        max_keepalive_connections=_max_idle(options),
        keepalive_expiry=keepalive_seconds(options),
    )
    settings = {"verify": context, "limits": limits, "trust_env": False, "http2": options.http2}
    mounts = None
    if proxies.any():  # in the place of the library's own reading: https://github.com/encode/httpx/issues/3221
        mounts = {"all://": _routing_class(module)(proxies, getattr(module, f"{form}HTTPTransport"), settings)}
    return _cookieless(getattr(module, f"{form}Client"), module)(**settings, mounts=mounts)


def _library_proxy(module: ModuleType, proxy: Proxy, context: ssl.SSLContext) -> httpx.Proxy:
    """What the library calls a proxy; one that is spoken to over TLS is trusted as the server is."""
    over_tls = proxy.address.lower().startswith("https:")
    try:
        found: httpx.Proxy = module.Proxy(proxy.address, ssl_context=context if over_tls else None)
    except (ValueError, module.InvalidURL):  # which quote it
        failure = invalid_proxy(proxy.named_by, f"{module.__name__} does not take it")
    else:
        return found
    raise failure  # out here, where it has no context


_ORIGIN = "memtrace_origin"
"""The extension of a request that says which origin it is for."""


@functools.lru_cache(maxsize=2)
def _routing_class(library: ModuleType) -> Callable[[Proxies, Callable[..., Any], dict[str, Any]], Any]:
    class Routing(library.BaseTransport, library.AsyncBaseTransport):  # type: ignore[misc,name-defined]  # whichever of the two
        """Sends each request by the proxy for its origin, or directly."""

        def __init__(self, proxies: Proxies, make: Callable[..., Any], settings: dict[str, Any]) -> None:
            self._proxies = proxies
            self._make = make
            self._settings = settings
            self._made: dict[Proxy | None, Any] = {}

        def _route(self, request: httpx.Request) -> Any:
            proxy = self._proxies.of(request.extensions[_ORIGIN])
            if proxy not in self._made:
                by = None if proxy is None else _library_proxy(library, proxy, self._settings["verify"])
                self._made[proxy] = self._make(**self._settings, proxy=by)
            return self._made[proxy]

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            response: httpx.Response = self._route(request).handle_request(request)
            return response

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            response: httpx.Response = await self._route(request).handle_async_request(request)
            return response

        def close(self) -> None:
            for transport in self._made.values():
                transport.close()

        async def aclose(self) -> None:
            for transport in self._made.values():
                await transport.aclose()

    return Routing


@functools.lru_cache(maxsize=4)
def _cookieless(kind: Any, library: ModuleType) -> Any:
    """A class of clients that keep no cookies: to look for them in a response takes a tenth of a call."""
    if not isinstance(kind, type):  # some people put a function in its place
        return kind

    class NoCookies(library.Cookies):  # type: ignore[misc,name-defined]  # whichever of the two
        def extract_cookies(self, response: httpx.Response) -> None:
            """Leave them."""

    class Cookieless(kind):  # type: ignore[misc]  # whichever of the four
        cookies = NoCookies()

    return Cookieless


# ---- requests and responses -----------------------------------------------------------------------------------------


class _Timeout(TypedDict):
    """The library's extension ``timeout``: seconds of each phase."""

    connect: float | None
    read: float | None
    write: float | None
    pool: float | None


def _timeout(options: TransportOptions, bound: float | None) -> _Timeout:
    """The shorter of the attempt's bound and the phase's own."""
    return {
        "connect": shortest(bound, options.connect_timeout),
        "read": shortest(bound, options.read_timeout),
        "write": shortest(bound, options.write_timeout),
        "pool": shortest(bound, options.pool_timeout),
    }


class _Deadline(dict[str, Any]):
    """The extension ``timeout`` of a blocking request: a phase has what is left of the bound when it begins."""

    def __init__(self, phases: _Timeout, clock: Clock, end: float) -> None:
        super().__init__(phases)
        self.clock = clock
        self.end = end

    def get(self, phase: str, default: Any = None) -> Any:
        """The seconds that `phase` has."""
        return self.shortened(super().get(phase, default))

    def shortened(self, seconds: float | None) -> float:
        """`seconds`, or what is left where that is less."""
        left = max(self.end - self.clock.monotonic(), _LEAST)
        return left if seconds is None or left < seconds else seconds


_LEAST = 0.001  # seconds: a socket with none would not wait at all
_TIMING = threading.local()
"""The `_Deadline` of the request that this thread sends; streams that we saw opened ask it at each read and write."""


def _trace_connecting(step: str, info: dict[str, Any]) -> None:
    """The extension ``trace`` of a blocking request: has a new stream keep to the bound, since each of its reads may take a phase's time."""
    if step.endswith((".connect_tcp.complete", ".connect_unix_socket.complete", ".start_tls.complete")):
        stream = info["return_value"]
        stream.read = functools.partial(_within_bound, stream.read)
        stream.write = functools.partial(_within_bound, stream.write)
    elif step.endswith(".send_request_headers.started") and info["request"].method != b"CONNECT":
        del info["request"].extensions["trace"]  # nothing is opened any more


def _within_bound(read_or_write: Callable[..., Any], data: Any, timeout: float | None = None) -> Any:
    deadline: _Deadline | None = getattr(_TIMING, "deadline", None)
    if deadline is not None:  # as `shortened`, without a call: four times a request
        left = max(deadline.end - deadline.clock.monotonic(), _LEAST)
        timeout = left if timeout is None or left < timeout else timeout
    return read_or_write(data, timeout=timeout)


class _Progress:
    """How far a request came, to distinguish one that was surely not sent from one that may have been.

    It is the request's extension ``trace``, which httpcore awaits at each step. It takes itself out of the extensions when
    sending begins: a call over a kept connection awaits it twice. Transports of other libraries report nothing.
    """

    __slots__ = (
        "_connected",
        "_connecting",
        "_handshaking",
        "_sending",
        "_thread",
        "_waiting",
        "extensions",
        "was_cut_early",
    )

    def __init__(self) -> None:
        self._waiting = self._connecting = self._sending = False
        self._connected: Any = None
        self._handshaking: Any = None
        #: Those of the request that it watches.
        self.extensions: dict[str, Any] = {}
        self._thread = threading.get_ident()
        #: Whether a cancellation or the bound ended it before it was sent: httpcore then may keep its connection taken for good,
        #: https://github.com/encode/httpcore/issues/658
        self.was_cut_early: bool = False

    def __call__(self, step: str, info: dict[str, Any]) -> Coroutine[Any, Any, None] | None:
        self._connecting = True
        if step.endswith((".connect_tcp.complete", ".connect_unix_socket.complete")):
            self._connected = info["return_value"]
        elif step.endswith(".start_tls.started"):
            self._handshaking = self._connected
        elif step.endswith(".start_tls.complete"):
            self._handshaking = None
        elif step.endswith(".send_request_headers.started") and info["request"].method != b"CONNECT":
            self._sending = True
            extensions = info["request"].extensions
            if extensions.get("trace") is self:  # and not a tracer that calls it
                del extensions["trace"]
        return _done() if threading.get_ident() == self._thread else None  # a user's transport may block in a thread

    def watched(self, outgoing: httpx.Request) -> httpx.Request:
        """`outgoing`, which it watches from now on, unless a tracer of the user's is there."""
        self.extensions = outgoing.extensions
        self.extensions.setdefault("trace", self)
        return outgoing

    async def note_failure(self, library: ModuleType, error: BaseException) -> None:
        """Note whether `error` met the request in a user's pool queue, which has no trace event; close leftovers."""
        self._waiting = came_out_of(error, library.__name__.replace("httpx", "httpcore"), "wait_for_connection")
        self.was_cut_early = not (self._sending or isinstance(error, Exception))
        # the socket of a TLS handshake that is cancelled: https://github.com/encode/httpcore/pull/443
        if self._handshaking is not None and self.was_cut_early:
            with shielded():
                await self._handshaking.aclose()

    def named(self, library: ModuleType, error: Exception) -> Exception:
        """`error`, or where it is the end of the bound and sending had not begun, what the library calls that."""
        if not isinstance(error, TimeoutError) or self._sending:
            return error
        if self._connecting:
            timeout: Exception = library.ConnectTimeout("it did not come about")
            return timeout
        is_watching = self.extensions.get("trace") is self  # else a tracer of the user's may have seen it sent
        return library.PoolTimeout("all connections are in use") if self._waiting and is_watching else error

    def corrected(self, failure: Exception) -> Exception:
        """`failure`; after sending has begun, a later connection that fails, of a transport that sends again, proves nothing."""
        if self._sending and isinstance(failure, TransportError) and failure.cause in ("connect", "timeout"):
            failure.maybe_sent = True
        return failure


async def _done() -> None:
    """What httpcore awaits of a tracer."""


class _RequestBuilder(Protocol):
    """How the SDK's requests become the library's."""

    def build(
        self, library: ModuleType, client: httpx.Client | httpx.AsyncClient, request: Request, timeout: _Timeout
    ) -> httpx.Request:
        """`request`, to be sent by `client`; its target goes out byte for byte."""
        ...


def _new_request_builder(client: object, options: TransportOptions) -> _RequestBuilder:
    return _OwnRequestBuilder(options) if client is None else _CustomClientRequestBuilder()


class _CustomClientRequestBuilder:
    """Requests with what the user's client adds to each."""

    def build(
        self, library: ModuleType, client: httpx.Client | httpx.AsyncClient, request: Request, timeout: _Timeout
    ) -> httpx.Request:
        url, target = library.URL(request.url), request.target.encode("ascii")
        headers = list(request.headers.multi_items)
        outgoing = client.build_request(
            request.method, url, headers=headers, content=request.body, timeout=library.Timeout(**timeout)
        )
        if url.raw_path != target:
            outgoing.url = _verbatim_class(library)(outgoing.url, target)  # which may have parameters of the client's
        return outgoing


class _OwnRequestBuilder:
    """Requests with the options' headers. An address and a set of headers are put together once: they take a tenth of a call."""

    def __init__(self, options: TransportOptions) -> None:
        defaults = tuple((options.headers or {}).items())
        self._url = functools.lru_cache(maxsize=256)(_url)
        self._headers = functools.lru_cache(maxsize=64)(functools.partial(_complete_headers, defaults))

    def build(
        self, library: ModuleType, client: httpx.Client | httpx.AsyncClient, request: Request, timeout: _Timeout
    ) -> httpx.Request:
        body = request.body or b""
        url = self._url(library, request.origin, request.target)
        headers, is_sized = self._headers(
            library, request.method, request.origin, request.headers.multi_items, has_body=bool(body)
        )
        outgoing: httpx.Request = library.Request(
            request.method,
            url,
            headers=headers,
            stream=library.ByteStream(body),
            extensions={"timeout": {**timeout}, _ORIGIN: request.origin},
        )
        if is_sized:
            outgoing.headers["Content-Length"] = str(len(body))
        outgoing.url = url  # of which the library has made a plain one
        outgoing.read()  # for whoever looks at its content
        return outgoing


def _complete_headers(
    defaults: tuple[tuple[str, str], ...],
    library: ModuleType,
    method: str,
    origin: str,
    pairs: tuple[tuple[str, str], ...],
    *,
    has_body: bool,
) -> tuple[httpx.Headers, bool]:
    """The headers as the library completes them, and whether it has added a length, which is that of each body."""
    given = {name.lower() for name, _ in pairs}
    added = [*defaults, ("accept-encoding", "gzip, deflate")]
    fields = [*pairs, *(field for field in added if field[0].lower() not in given)]
    completed: httpx.Request = library.Request(method, origin, headers=fields, content=b"?" if has_body else None)
    return completed.headers, has_body and "content-length" not in given


def _closed(library: ModuleType) -> ClientClosedError:
    return ClientClosedError(f"the {library.__name__} client of this transport is closed")


def _url(library: ModuleType, origin: str, target: str) -> httpx.URL:
    return _verbatim(library, library.URL(origin + target), target)


def _verbatim(library: ModuleType, url: httpx.URL, target: str) -> httpx.URL:
    """`url` with our target, since the library writes some of them anew."""
    # its extension ``target`` would do, but breaks proxies: https://github.com/encode/httpcore/pull/888
    raw_path = target.encode("ascii")
    return url if url.raw_path == raw_path else _verbatim_class(library)(url, raw_path)


@functools.lru_cache(maxsize=2)
def _verbatim_class(library: ModuleType) -> Callable[[httpx.URL, bytes], httpx.URL]:
    class VerbatimURL(library.URL):  # type: ignore[misc,name-defined]  # whichever of the two
        def __init__(self, url: httpx.URL, target: bytes) -> None:
            super().__init__(url)
            self._target = target

        @property
        def raw_path(self) -> bytes:
            return self._target

    return VerbatimURL


def _check_deadline(request: Request, started: float) -> None:
    if request.timeout is not None and request.context.clock.monotonic() - started > request.timeout:
        raise TimeoutError("its parts came too slowly")


def _start_body(library: ModuleType, answer: httpx.Response, origin: str, limit: int) -> tuple[BodyReader, bool]:
    """A place for the body of `answer`, and whether its bytes are to be read as they come."""
    # the library takes cut ones for whole: tests/transports/test_upstream.py::test_a_cut_body_passes_for_a_whole_one
    if answer.status_code < 200:
        raise interim_response(answer.status_code, origin)
    is_raw = not answer.is_stream_consumed  # else a hook of the user's has read it
    if "content-encoding" not in answer.headers:
        return BodyReader(origin, limit), is_raw
    encoding = answer.headers["content-encoding"]
    refusal = unreadable(origin, encoding, _known_codings(library))
    if refusal is not None:
        raise refusal
    if is_decodable(encoding) and is_raw:
        return BodyReader(origin, limit, encoding), True
    return BodyReader(origin, limit), False


@functools.lru_cache(maxsize=2)
def _known_codings(library: ModuleType) -> list[str]:
    """Those that the library asks for by itself, depending on what is installed."""
    client = library.Client(transport=library.BaseTransport(), trust_env=False)
    return codings_of(client.headers["accept-encoding"])


_WITHIN_STREAMS: Final = ("_stream", "_httpcore_stream", "_connection")


def _connection_of(answer: httpx.Response) -> Any:
    """Httpcore's connection on which `answer` comes; None for HTTP/2, and for transports of another make."""
    found: Any = answer.stream
    while found is not None and not hasattr(found, "_h11_state"):
        outer, found = found, None
        for name in _WITHIN_STREAMS:
            found = found or getattr(outer, name, None)
    return found


@functools.lru_cache(maxsize=2)
def _watched_class(library: ModuleType) -> Callable[[Any, Any], Any]:
    """Bodies whose connection is closed with them where more has come, before another task or thread is given it."""

    class WatchedStream(library.SyncByteStream, library.AsyncByteStream):  # type: ignore[misc,name-defined]  # whichever
        def __init__(self, stream: Any, connection: Any) -> None:
            self._stream = stream
            self._connection = connection

        def __iter__(self) -> Iterator[bytes]:
            return iter(self._stream)

        def __aiter__(self) -> AsyncIterator[bytes]:
            return aiter(self._stream)

        def close(self) -> None:
            self._retire_connection()
            self._stream.close()

        def aclose(self) -> Awaitable[None]:
            self._retire_connection()
            closing: Awaitable[None] = self._stream.aclose()
            return closing

        def _retire_connection(self) -> None:
            if holds_surplus(self._connection):
                self._connection._h11_state.send_failed()  # noqa: SLF001  # whereupon httpcore closes it with the answer

    return WatchedStream


# ---- errors ---------------------------------------------------------------------------------------------------------


def _failure(
    library: ModuleType,
    error: Exception,
    request: Request,
    client: httpx.Client | httpx.AsyncClient | None,
    proxy: Proxy | None,
) -> Exception:
    """What to raise for `error`."""
    if isinstance(error, (TransportError, ClientClosedError)):
        return caused(error, error.__cause__)
    if is_refused_lookup(error):
        return caused(no_thread(unsent(request.origin)), error)
    for matches, cause, maybe_sent, what in _error_map(library):
        if isinstance(error, matches):
            reset = cause == "protocol" and "disconnected" in str(error)
            failure = failed_exchange(
                CONNECTION_BROKE if reset else what,
                _reason(library, error),
                request.origin,
                proxy,
                cause="reset" if reset else cause,
                maybe_sent=maybe_sent,
                permanent=(cause == "protocol" and not maybe_sent) or _is_permanent(library, error),
            )
            return caused(failure, None if _may_contain_key(library, error) else error)
    if client is not None and client.is_closed:  # meanwhile, and who knows how far it came
        broken = TransportError(
            f"the connection to {request.origin} broke: the {library.__name__} client was closed",
            cause="reset",
            maybe_sent=True,
        )
        return caused(broken, error)
    return error


def _is_permanent(library: ModuleType, error: Exception) -> bool:
    """Whether the cause is the response's redirects or its head, which h11 limits."""
    return isinstance(error, library.TooManyRedirects) or "Receive buffer too long" in str(error)


def _may_contain_key(library: ModuleType, error: Exception) -> bool:
    """Whether the library repeats the value of a header in it."""
    # tests/transports/test_upstream.py::test_the_error_of_a_bad_header_repeats_its_value
    return isinstance(error, (library.LocalProtocolError, UnicodeEncodeError))


def _reason(library: ModuleType, error: Exception) -> str:
    if _may_contain_key(library, error):
        return f"a header or the path holds what HTTP does not allow ({type(error).__name__})"
    return excerpt(str(error)) or type(error).__name__


@functools.lru_cache(maxsize=2)
def _error_map(
    library: ModuleType,
) -> list[tuple[type[Exception] | tuple[type[Exception], ...], TransportCause, bool, str]]:
    """The library's errors, the most special first: what happened, and whether the request may have been sent."""
    return [
        (library.ConnectTimeout, "timeout", False, NO_CONNECTION_IN_TIME),
        (library.PoolTimeout, "timeout", False, "no free connection to {} in time"),
        ((library.TimeoutException, TimeoutError), "timeout", True, "no response from {} in time"),
        (
            (library.ConnectError, library.ProxyError, library.UnsupportedProtocol),
            "connect",
            False,
            NO_CONNECTION,
        ),
        (
            (library.LocalProtocolError, library.InvalidURL, UnicodeEncodeError),
            "protocol",
            False,
            "the request to {} cannot be written",
        ),
        (library.RemoteProtocolError, "protocol", True, "{} did not answer in HTTP"),
        ((library.NetworkError, ssl.SSLError), "reset", True, CONNECTION_BROKE),  # TLS 1.3 refuses late
        (library.DecodingError, "protocol", True, "the response of {} cannot be decompressed"),
        ((library.TransportError, library.TooManyRedirects), "protocol", True, "the exchange with {} failed"),
    ]

"""The transports on httpx and on httpx2, sync and async: one API, from two packages.

Requests go through the library's own `Client.send`, so that what people patch there (tracing, error reporting, respx) sees
them, and proxies from the environment work.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, fields
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from memtrace.event_loops import running_under_trio
from memtrace.exceptions import ClientClosedError
from memtrace.plugins import TransportSpec, hookimpl
from memtrace.transport import Headers, Request, Response, TransportCause, TransportError, TransportOptions
from memtrace_transports.answers import Body, check_final, codings_of, is_ours, unreadable
from memtrace_transports.bounds import connecting_part, kept_seconds, least, most_connections
from memtrace_transports.lending import Lending
from memtrace_transports.own_client import described
from memtrace_transports.pools import LoopClients, ThreadsClient
from memtrace_transports.proxies import check_environments_proxies, refused_proxy
from memtrace_transports.tls import deferred_context
from memtrace_transports.writable import check_time

if TYPE_CHECKING:
    import anyio
    import httpx
    import httpx2  # type: ignore[import-not-found,unused-ignore]  # needs Python 3.11

__all__ = ["AsyncHttpxTransport", "HttpxTransport", "spec_of"]

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
    """Sends through an `httpx.Client` or `httpx2.Client`: one of its own, made at the first request, or yours.

    Yours is used as it is, with its headers, proxies and TLS settings, and `close` leaves it open. `library` says whose
    client it makes; of yours it is seen. The bound of an attempt holds for each step by itself: waiting for a connection,
    connecting, each write and each read; and it is looked at again whenever a part of the answer has come.
    """

    def __init__(
        self,
        client: httpx.Client | httpx2.Client | None = None,
        *,
        options: TransportOptions | None = None,
        library: Library | None = None,
    ) -> None:
        # by their methods, since tracing puts classes of its own in the place of the library's
        if client is not None and (isinstance(client, type) or not hasattr(client, "close")):
            raise TypeError(f"HttpxTransport takes a Client of httpx or httpx2, not {described(client)}")
        self._options = _own_options(client, options)
        self._library = _library_of(client, library)
        given = None if client is None else _Yours(cast("httpx.Client", client))
        make = functools.partial(_new_lending, self._library, self._options, deferred_context(self._options))
        self._clients: ThreadsClient[_Yours | Lending[httpx.Client]] = ThreadsClient(given, make)

    def send(self, request: Request) -> Response:
        """Send `request`; raises `TransportError` with the library's error as its cause, unless that may repeat a key."""
        check_time(request)
        clients = self._clients.get()
        library = import_module(self._library)
        timeout = _timeout(library, request.timeout, request.timeout, self._options)
        client = clients.lend(timeout.pool)
        if client is None:
            raise _failure(library, library.PoolTimeout("all connections are in use"), request, None)
        try:
            return self._exchange(library, client, request, timeout, owned=isinstance(clients, Lending))
        except Exception as error:  # noqa: BLE001  # those of the library are translated, others raised again
            failure = _failure(library, error, request, client)
        finally:
            clients.give_back(client)
        raise failure  # out here, where it has no context

    def _exchange(
        self, library: ModuleType, client: httpx.Client, request: Request, timeout: httpx.Timeout, *, owned: bool
    ) -> Response:
        outgoing = _outgoing(library, client, request, timeout, self._options, owned=owned)
        started = request.context.clock.monotonic()
        answer = client.send(outgoing, stream=True, follow_redirects=False)
        with contextlib.closing(answer):
            body, is_raw = _begun(library, answer, request.origin, self._options.max_response_bytes)
            for part in answer.iter_raw() if is_raw else answer.iter_bytes():
                body.add(part)
                _check_pace(request, started)
        return _incoming(answer, body)

    def close(self) -> None:
        """Close the connections that it made; a second call does nothing."""
        self._clients.close()


class _Yours:
    """A client that was handed over, lent to every thread at once."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def lend(self, patience: float | None) -> httpx.Client | None:
        """The client, which has its own pool and patience."""
        return self._client

    def give_back(self, client: httpx.Client) -> None:
        """Leave it as it is."""

    def close(self) -> None:
        """As above."""


class AsyncHttpxTransport:
    """Sends through an `AsyncClient` of httpx or httpx2: one of its own for each event loop, made at the first request, or yours.

    Yours is used as it is, with its headers, proxies and TLS settings, and `close` leaves it open. `library` says whose
    client it makes; of yours it is seen. Works under asyncio and trio. The bound of an attempt is exact.
    """

    def __init__(
        self,
        client: httpx.AsyncClient | httpx2.AsyncClient | None = None,
        *,
        options: TransportOptions | None = None,
        library: Library | None = None,
    ) -> None:
        if client is not None and (isinstance(client, type) or not hasattr(client, "aclose")):
            raise TypeError(f"AsyncHttpxTransport takes an AsyncClient of httpx or httpx2, not {described(client)}")
        self._options = _own_options(client, options)
        self._library = _library_of(client, library)
        self._channels: LoopClients[_Channel, httpx.AsyncClient] = LoopClients(
            None if client is None else _Channel(cast("httpx.AsyncClient", client), None),
            functools.partial(
                _new_client, self._library, "AsyncClient", self._options, deferred_context(self._options)
            ),
            functools.partial(_new_channel, self._options),
        )

    async def send(self, request: Request) -> Response:
        """Send `request`; raises `TransportError` with the library's error as its cause, unless that may repeat a key."""
        check_time(request)
        channel = await self._channels.get()
        client, slots = channel.client, channel.slots
        library, bound = import_module(self._library), request.timeout
        timeout = _timeout(library, bound, connecting_part(bound), self._options)
        try:
            outgoing = _outgoing(library, client, request, timeout, self._options, owned=slots is not None)
            begun = functools.partial(_begun, library, origin=request.origin, limit=self._options.max_response_bytes)
            send = functools.partial(_exchange, client, outgoing, begun)
            if slots is not None:
                send = functools.partial(_in_slot, library, slots, timeout.pool, send)
            return await _within(bound, send)
        except Exception as error:  # noqa: BLE001  # those of the library are translated, others raised again
            failure = _failure(library, error, request, client)
        raise failure  # out here, where it has no context

    async def close(self) -> None:
        """Close the connections that it made on this event loop; a second call does nothing."""
        await self._channels.close()


@dataclass(frozen=True, slots=True)
class _Channel:
    """A client, and a slot for each connection of one of our own.

    Requests queue here for a slot and never in httpcore, which forgets the connection that it has given to a request in its
    queue when that request is cancelled.
    """

    client: httpx.AsyncClient
    slots: anyio.Semaphore | None

    async def close(self) -> None:
        """Close the client."""
        await self.client.aclose()

    def forget(self) -> None:
        """Leave its sockets to the garbage collector: httpx cannot close them without their event loop."""


def _new_channel(options: TransportOptions, client: httpx.AsyncClient) -> _Channel:
    import anyio

    return _Channel(client, anyio.Semaphore(most_connections(options)))


# ---- an exchange, which asyncio and trio break off differently -----------------------------------------------------


_Send = Callable[[], Coroutine[None, None, Response]]
_Begun = Callable[["httpx.Response"], tuple[Body, bool]]


async def _exchange(client: httpx.AsyncClient, outgoing: httpx.Request, begun: _Begun) -> Response:
    answer = await client.send(outgoing, stream=True, follow_redirects=False)
    try:
        body, is_raw = begun(answer)
        async for part in answer.aiter_raw() if is_raw else answer.aiter_bytes():
            body.add(part)
    finally:
        await answer.aclose()
    return _incoming(answer, body)


async def _in_slot(library: ModuleType, slots: anyio.Semaphore, patience: float | None, send: _Send) -> Response:
    import anyio

    with anyio.move_on_after(patience) as waiting:
        await slots.acquire()
    if waiting.cancelled_caught:
        raise library.PoolTimeout("all connections are in use")
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

_KEPT_ALIVE = 20  # httpx looks at every open connection at each request: 100 made 50 tasks three times slower than 20


def _own_options(client: object, options: TransportOptions | None) -> TransportOptions:
    if client is not None and options is not None:
        raise TypeError("options= is for a client of the transport's own; yours has its own settings")
    return options if options is not None else TransportOptions()


def _library_of(client: object, library: Library | None) -> Library:
    """What was asked for, else whose class the client's own is derived from."""
    if library not in (None, "httpx", "httpx2"):
        raise TypeError(f"library= is 'httpx' or 'httpx2', not {library!r}")
    packages = {kind.__module__.partition(".")[0] for kind in client.__class__.__mro__}
    return library or ("httpx2" if "httpx2" in packages else "httpx")


def _new_lending(
    library: Library, options: TransportOptions, tls: Callable[[], ssl.SSLContext]
) -> Lending[httpx.Client]:
    kept = options.max_keepalive_connections
    return Lending(
        functools.partial(_new_client, library, "Client", options, tls, connections=1),
        most=most_connections(options),
        kept=_KEPT_ALIVE if kept is None else kept,
        expiry=kept_seconds(options),
        now=options.clock.monotonic,
    )


def _new_client(
    library: Library,
    kind: Literal["Client", "AsyncClient"],
    options: TransportOptions,
    tls: Callable[[], ssl.SSLContext],
    *,
    connections: int | None = None,
) -> Any:
    module, kept = import_module(library), options.max_keepalive_connections
    if options.trust_env and options.proxy is None:
        check_environments_proxies(library, "socksio")
    try:
        return getattr(module, kind)(
            verify=tls(),
            limits=module.Limits(
                max_connections=connections or most_connections(options),
                max_keepalive_connections=_KEPT_ALIVE if kept is None else kept,
                keepalive_expiry=kept_seconds(options),
            ),
            proxy=options.proxy,
            trust_env=options.trust_env,
            http2=options.http2,
        )
    except (ValueError, module.InvalidURL):  # such as a host in no_proxy that is none
        named_by = "the environment (http_proxy, https_proxy, all_proxy or no_proxy)"
        raise refused_proxy(
            named_by if options.proxy is None else "options.proxy", f"{library} does not take it"
        ) from None


# ---- requests and responses -----------------------------------------------------------------------------------------


def _timeout(
    library: ModuleType, bound: float | None, connecting: float | None, options: TransportOptions
) -> httpx.Timeout:
    """The shorter of the attempt's bound and the phase's own."""
    timeout: httpx.Timeout = library.Timeout(
        connect=least(connecting, options.connect_timeout),
        read=least(bound, options.read_timeout),
        write=least(bound, options.write_timeout),
        pool=least(connecting, options.pool_timeout),
    )
    return timeout


def _outgoing(
    library: ModuleType,
    client: httpx.Client | httpx.AsyncClient,
    request: Request,
    timeout: httpx.Timeout,
    options: TransportOptions,
    *,
    owned: bool,
) -> httpx.Request:
    if client.is_closed:
        raise ClientClosedError(f"the {library.__name__} client of this transport is closed")
    url = library.URL(request.url)
    headers = list(request.headers.pairs)
    headers += [pair for pair in (options.headers or {}).items() if pair[0] not in request.headers]
    if owned:
        if "accept-encoding" not in request.headers:
            headers.append(("accept-encoding", "gzip, deflate"))
        outgoing: httpx.Request = library.Request(request.method, url, headers=headers, content=request.body)
        outgoing.extensions["timeout"] = timeout.as_dict()
    else:
        outgoing = client.build_request(request.method, url, headers=headers, content=request.body, timeout=timeout)
    target = request.target.encode("ascii")
    if url.raw_path != target:  # the library writes some paths anew; the server must get ours
        outgoing.url = _verbatim_url(library)(outgoing.url, target)
    return outgoing


@functools.lru_cache(maxsize=2)
def _verbatim_url(library: ModuleType) -> Callable[[httpx.URL, bytes], httpx.URL]:
    """A URL whose path and query go out as they are; httpcore's extension ``target`` would do, but breaks proxies."""

    class VerbatimURL(library.URL):  # type: ignore[misc,name-defined]  # whichever of the two
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


def _begun(library: ModuleType, answer: httpx.Response, origin: str, limit: int) -> tuple[Body, bool]:
    """A place for the body of `answer`, and whether its bytes are to be read as they come: the library takes cut ones for whole."""
    check_final(answer.status_code, origin)
    encoding = answer.headers.get("content-encoding")
    if encoding is None:
        return Body(origin, limit), False
    refusal = unreadable(origin, encoding, _known_codings(library))
    if refusal is not None:
        raise refusal
    if is_ours(encoding) and not answer.is_stream_consumed:  # as where a hook of the user's has read it
        return Body(origin, limit, encoding), True
    return Body(origin, limit), False


@functools.lru_cache(maxsize=2)
def _known_codings(library: ModuleType) -> list[str]:
    """Those that the library asks for by itself, depending on what is installed."""
    client = library.Client(transport=library.BaseTransport(), trust_env=False)
    return codings_of(client.headers["accept-encoding"])


def _incoming(answer: httpx.Response, body: Body) -> Response:
    return Response(answer.status_code, Headers(answer.headers.multi_items()), body.whole())


# ---- errors ---------------------------------------------------------------------------------------------------------


def _failure(
    library: ModuleType, error: Exception, request: Request, client: httpx.Client | httpx.AsyncClient | None
) -> Exception:
    """What to raise for `error`."""
    if isinstance(error, (TransportError, ClientClosedError)):
        return error
    for matches, cause, maybe_sent, what in _kinds(library):
        if isinstance(error, matches):
            reset = cause == "protocol" and "disconnected" in str(error)
            text = f"{what.format(request.origin)}: {_reason(library, error)}"
            failure = TransportError(text, cause="reset" if reset else cause, maybe_sent=maybe_sent)
            failure.__cause__ = None if _may_hold_a_key(library, error) else error
            return failure
    if client is not None and client.is_closed:  # meanwhile, and who knows how far it came
        broken = TransportError(
            f"the connection to {request.origin} broke: the {library.__name__} client was closed",
            cause="reset",
            maybe_sent=True,
        )
        broken.__cause__ = error
        return broken
    return error


def _may_hold_a_key(library: ModuleType, error: Exception) -> bool:
    """Whether the library repeats the value of a header in it."""
    return isinstance(error, (library.LocalProtocolError, UnicodeEncodeError))


def _reason(library: ModuleType, error: Exception) -> str:
    if _may_hold_a_key(library, error):
        return f"a header or the path holds what HTTP does not allow ({type(error).__name__})"
    return str(error) or type(error).__name__


@functools.lru_cache(maxsize=2)
def _kinds(
    library: ModuleType,
) -> list[tuple[type[Exception] | tuple[type[Exception], ...], TransportCause, bool, str]]:
    """The library's errors, the most special first: what happened, and whether the request may have been sent."""
    return [
        (library.ConnectTimeout, "timeout", False, "no connection to {} in time"),
        (library.PoolTimeout, "timeout", False, "no free connection to {} in time"),
        ((library.TimeoutException, TimeoutError), "timeout", True, "no answer from {} in time"),
        (
            (library.ConnectError, library.ProxyError, library.UnsupportedProtocol),
            "connect",
            False,
            "no connection to {}",
        ),
        (
            (library.LocalProtocolError, library.InvalidURL, UnicodeEncodeError),
            "protocol",
            False,
            "the request to {} cannot be written",
        ),
        (library.RemoteProtocolError, "protocol", True, "{} did not answer in HTTP"),
        ((library.NetworkError, ssl.SSLError), "reset", True, "the connection to {} broke"),  # TLS 1.3 refuses late
        (library.DecodingError, "protocol", True, "the answer of {} cannot be decompressed"),
        (library.TransportError, "protocol", True, "the exchange with {} failed"),
    ]

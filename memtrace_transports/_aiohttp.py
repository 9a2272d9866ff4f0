"""The async transport on aiohttp, the fastest under many coroutines; it needs asyncio.

aiohttp is imported inside functions, and its sessions are made on the event loop that they serve.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import math
import ssl
import zlib
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from memtrace._support.event_loops import running_under_trio
from memtrace._support.lazy_modules import LazyModule
from memtrace._support.tracebacks import caused
from memtrace._support.urls import basic_credentials
from memtrace.exceptions import ClientClosedError, MemtraceError, TransportNotAvailableError, no_thread
from memtrace.plugins import TransportSpec, hookimpl
from memtrace.transport import Headers, Request, Response, TransportCause, TransportError, TransportOptions
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
    proxy_from_env,
)
from memtrace_transports._checks.request_checks import cannot_send, check_fields, check_target, check_time_left
from memtrace_transports._checks.response_body import BodyReader, Decompressor, interim_response
from memtrace_transports._checks.tls import TLS_OPTIONS, lazy_ssl_context
from memtrace_transports._pool.lazy_clients import PerLoopClients

if TYPE_CHECKING:
    import aiohttp
    import yarl
    from aiohttp import compression_utils
else:
    aiohttp = LazyModule("aiohttp")

_CAPABILITIES = TLS_OPTIONS | {
    "connect_timeout",
    "read_timeout",
    "pool_timeout",
    "max_connections",
    "keepalive_expiry",
    "proxy",
    "trust_env",
    "max_response_bytes",
    "headers",
}


@hookimpl
def memtrace_transport() -> TransportSpec:
    """The async form, on the package aiohttp."""
    return TransportSpec(create_async=_create_async, requires=("aiohttp",), extra="aiohttp", capabilities=_CAPABILITIES)


def _create_async(options: TransportOptions) -> AiohttpTransport:
    return AiohttpTransport(options=options)


class AiohttpTransport:
    """Send requests through an `aiohttp.ClientSession`.

    Without a `session` the transport creates one for each event loop, at the first request. It
    needs asyncio. The timeout of an attempt is exact.

    Your own session is used as is, with its headers, proxies, cookies and TLS settings. `close`
    leaves it open. Such a session resends a GET, PUT or DELETE once by itself when a connection
    breaks. The transport's own session never resends.

    Args:
        session: Your session. Default: the transport's own.
        options: The transport options of the client. They apply to the transport's own session
            only.

    Raises:
        TypeError: `session` is not an aiohttp session, or both `session` and `options` are given.
    """

    def __init__(
        self, session: aiohttp.ClientSession | None = None, *, options: TransportOptions | None = None
    ) -> None:
        # by its methods, since tracing replaces aiohttp's classes
        if session is not None and (isinstance(session, type) or not _is_session(session)):
            raise TypeError(f"AiohttpTransport accepts an aiohttp.ClientSession, not {qualified_type(session)}")
        if session is not None and options is not None:
            raise TypeError("AiohttpTransport accepts a session or options: your own session has its own settings")
        options = TransportOptions() if options is None else options
        self._channels = PerLoopClients(
            None if session is None else _SessionChannel(session, options, None, None),
            functools.partial(_prepare, lazy_ssl_context(options)),
            functools.partial(_new_channel, options),
        )

    async def send(self, request: Request) -> Response:
        """Send one request and return the response, whatever its status.

        Args:
            request: The request, with the timeout of the attempt.

        Returns:
            The complete response.

        Raises:
            TransportError: No response was received. aiohttp's error is the cause, unless its text
                may contain the API key.
            TransportNotAvailableError: The event loop is not asyncio's.
        """
        if running_under_trio():
            raise TransportNotAvailableError(
                "aiohttp needs asyncio, and this is another event loop",
                hint='use transport="httpx", which runs on trio',
            )
        check_time_left(request)
        channel = await self._channels.get()
        proxy = None if channel.proxies is None else channel.proxies.of(request.origin)
        try:
            return await channel.send(request)
        except Exception as error:  # noqa: BLE001  # those of aiohttp are translated, others raised again
            failure = _failure(_unwrapped(error), request, channel, proxy)
        raise failure  # out here, where it has no context

    async def close(self) -> None:
        """Close the transport's own session on this event loop. A second call does nothing."""
        await self._channels.close()


# ---- sessions of the SDK --------------------------------------------------------------------------------------------


def _prepare(tls: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    import aiohttp  # noqa: F401  # 0.15 s, which no event loop should stand still for

    return tls()


def _new_channel(options: TransportOptions, context: ssl.SSLContext) -> _SessionChannel:
    import aiohttp

    from memtrace_transports._pool.aiohttp_connections import WatchingHandler

    connector = aiohttp.TCPConnector(
        limit=0,  # our own slots bound it
        keepalive_timeout=keepalive_seconds(options),
        ssl=context,
    )
    factory: Any = functools.partial(WatchingHandler, loop=asyncio.get_running_loop())
    connector._factory = factory  # noqa: SLF001  # there is no option for it
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=options.headers,
        middlewares=(_send_once,),
        # it would read netrc and the proxies anew for each request, in a thread; we read them once:
        # https://github.com/aio-libs/aiohttp/pull/11634
        trust_env=False,
    )
    return _SessionChannel(session, options, _ConnectionSlots(max_connections(options)), Proxies(options, "aiohttp"))


class _NoAutoRetryError(Exception):
    """Carries an error past aiohttp, which otherwise retries GET, PUT and DELETE after a broken connection.

    The first DELETE may have been applied, and its retry would find nothing. Only the SDK decides on retries, since it
    knows the call.
    """

    # There is no option for it: https://github.com/aio-libs/aiohttp/issues/10790

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


async def _send_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    try:
        return await handler(request)
    except Exception as error:  # noqa: BLE001  # whatever it is, it goes past aiohttp's own handlers
        raise _NoAutoRetryError(error) from None


class _ConnectionSlots:
    """The connections that may be in use at once, given to those who wait in their order."""

    # aiohttp's own limit has no limit for the waiting alone: https://github.com/aio-libs/aiohttp/issues/10313

    def __init__(self, count: int) -> None:
        self.free = count
        self._count = count
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def acquire(self, seconds: float | None) -> None:
        """Wait for a free one, `seconds` at most. Raises `_NoSlotError`."""
        if self.free:
            self.free -= 1
            return
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        timer = None if seconds is None else loop.call_later(seconds, self._give_up, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:  # given, and the task then cancelled
                self.release()
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def release(self) -> None:
        """Hand it to the first who waits."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.free += 1

    def _give_up(self, turn: asyncio.Future[None]) -> None:
        if not turn.done():
            self._waiting.remove(turn)
            turn.set_exception(_NoSlotError(f"all {self._count} connections are in use"))


class _NoSlotError(Exception):
    """No connection became free in time."""


# ---- requests and responses -----------------------------------------------------------------------------------------

_CHUNK = 64 * 1024
_LARGE = 1 << 20  # aiohttp warns of more bytes that it writes at once: https://github.com/aio-libs/aiohttp/pull/2127


class _SessionChannel:
    """A session, and what an exchange through it needs; `slots` and `proxies` are None for a session of the user's.

    URLs, headers and timeouts, which are the same in each call, are built once: that takes a tenth of a call.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        options: TransportOptions,
        slots: _ConnectionSlots | None,
        proxies: Proxies | None,
    ) -> None:
        self.session = session
        self.slots = slots
        self.proxies = proxies
        self._options = options
        self._url = functools.lru_cache(maxsize=256)(_url)
        self._settings = functools.lru_cache(maxsize=64)(functools.partial(_request_settings, proxies))
        self._timeout = functools.lru_cache(maxsize=64)(functools.partial(_own_timeout, options))

    async def close(self) -> None:
        """Close the session."""
        await self.session.close()

    def discard(self) -> None:
        """Close the session of a loop that has ended: aiohttp then waits for nothing, and any loop may be running here."""
        closing = self.session.close()
        with contextlib.suppress(StopIteration):
            while True:
                closing.send(None)

    async def send(self, request: Request) -> Response:
        """Send `request` within its bound, waiting for a connection included."""
        if self.slots is None:
            return await self._exchange(request, _custom_timeout(self.session.timeout, request.timeout))
        if not self.slots.free:
            return await self._exchange_in_turn(self.slots, request)
        self.slots.free -= 1
        try:
            return await self._exchange(request, self._timeout(request.timeout))
        finally:
            self.slots.release()

    async def _exchange_in_turn(self, slots: _ConnectionSlots, request: Request) -> Response:
        loop, bound = asyncio.get_running_loop(), request.timeout
        started = loop.time()
        await slots.acquire(shortest(self._options.pool_timeout, bound))
        try:
            left = None if bound is None else max(bound - (loop.time() - started), 0.001)
            return await self._exchange(request, _own_timeout(self._options, left))
        finally:
            slots.release()

    async def _exchange(self, request: Request, timeout: aiohttp.ClientTimeout) -> Response:
        answer = await self._start(request, timeout)
        try:
            body = await self._body(answer, request.origin)
        except BaseException:
            answer.close()  # and its connection, on which the rest may still come
            raise
        return Response(answer.status, Headers(answer.headers.items()), body)

    async def _body(self, answer: aiohttp.ClientResponse, origin: str) -> bytes:
        if answer.status < 200:
            raise interim_response(answer.status, origin)
        encoding = ", ".join(answer.headers.getall("Content-Encoding", ()))
        body = BodyReader(origin, self._options.max_response_bytes, encoding, _extra_decoders() if encoding else None)
        while not answer.content.at_eof():
            body.add(await answer.content.readany())
        return body.finish()

    def _start(self, request: Request, timeout: aiohttp.ClientTimeout) -> Coroutine[Any, Any, aiohttp.ClientResponse]:
        url, body = self._url(request.origin, request.target), request.body
        settings = self._settings(request.method, request.origin, request.headers.multi_items)
        if self.session.closed:
            raise ClientClosedError("the aiohttp session of this transport is closed")
        if self.slots is None:
            from memtrace_transports._pool.aiohttp_connections import close_spent

            close_spent(self.session.connector)
        data = body if body is None or len(body) < _LARGE else io.BytesIO(body)
        return self.session.request(request.method, url, data=data, timeout=timeout, **settings)


_BY_ITSELF = ("accept", "user-agent", "content-type")  # what aiohttp adds; it takes time to tell it not to


def _request_settings(
    proxies: Proxies | None, method: str, origin: str, pairs: tuple[tuple[str, str], ...]
) -> dict[str, Any]:
    """The parts shared by all requests of a method to an origin with these headers."""
    import multidict
    import yarl

    check_fields(pairs, origin)  # aiohttp sends most of it
    headers = _merge_spellings(pairs)
    settings: dict[str, Any] = {
        "allow_redirects": False,
        "raise_for_status": False,
        # it takes streams that were cut off for whole ones: tests/transports/test_upstream.py::test_a_cut_body_passes_for_a_whole_one
        "auto_decompress": False,
    }
    if proxies is not None:
        given = {name.lower() for name, _ in pairs}
        if "accept-encoding" not in given:
            headers.append(("Accept-Encoding", "gzip, deflate"))
        settings["skip_auto_headers"] = [name for name in _BY_ITSELF if name not in given] or None
        if method == "POST":
            settings["middlewares"] = ()  # which aiohttp never sends again
        proxy = proxies.of(origin)
        if proxy is not None:
            settings["proxy"] = yarl.URL(proxy.place)
            credentials = _credentials(proxy)
            if origin.startswith("https:"):
                settings["proxy_headers"] = dict(credentials)
            else:
                headers.extend(credentials)
    return {**settings, "headers": multidict.CIMultiDictProxy(multidict.CIMultiDict(headers))}


def _credentials(proxy: Proxy) -> list[tuple[str, str]]:
    """The header that carries them; in an address aiohttp would repeat them in its errors."""
    # https://github.com/aio-libs/aiohttp/issues/5399
    value = basic_credentials(urlsplit(proxy.address))
    return [] if value is None else [("Proxy-Authorization", value)]


def _merge_spellings(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Headers with each name in its first spelling."""
    # tests/transports/test_upstream.py::test_aiohttp_drops_a_repeated_header_that_is_spelt_in_another_case
    spelling: dict[str, str] = {}
    return [(spelling.setdefault(name.lower(), name), value) for name, value in pairs]


@functools.lru_cache(maxsize=64)
def _timeout(
    total: float | None, connect: float | None, sock_read: float | None, sock_connect: float | None
) -> aiohttp.ClientTimeout:
    import aiohttp

    return aiohttp.ClientTimeout(
        total=total,
        connect=connect,
        sock_read=sock_read,
        sock_connect=sock_connect,
        # it rounds longer times up to whole seconds: https://github.com/aio-libs/aiohttp/issues/4037
        ceil_threshold=math.inf,
    )


def _own_timeout(options: TransportOptions, bound: float | None) -> aiohttp.ClientTimeout:
    # aiohttp's `connect` holds for name look-up, TCP, proxy and TLS together, as `connect_timeout` says; it would hold for
    # the waiting for a free connection too, which our slots do before
    return _timeout(bound, options.connect_timeout, options.read_timeout, None)


def _custom_timeout(own: aiohttp.ClientTimeout, bound: float | None) -> aiohttp.ClientTimeout:
    """The user's timeout of each phase, within the limit of the attempt."""
    return _timeout(bound, own.connect, own.sock_read, own.sock_connect)


def _url(origin: str, target: str) -> yarl.URL:
    """The address, whose target goes out byte for byte."""
    check_target(target, origin)
    place = _parsed(origin)
    url = _parsed(origin + target)
    if place is None or url is None:
        raise cannot_send(origin)
    # tests/transports/test_upstream.py::test_yarl_drops_an_empty_query_and_what_it_takes_for_a_fragment
    if url.raw_path_qs != target:
        return place.with_path(target, encoded=True)
    return url


def _parsed(address: str) -> yarl.URL | None:
    import yarl

    try:
        url = yarl.URL(address, encoded=True)
        host = url.raw_host  # taken apart only now, when a port may turn out to be none
    except ValueError:
        return None
    return url if host else None


@functools.lru_cache(maxsize=1)
def _extra_decoders() -> dict[str, Callable[[], Decompressor]]:
    """What undoes the codings that a user may have asked for, depending on what is installed."""
    from aiohttp import compression_utils as compression

    made: dict[str, Callable[[], Decompressor]] = {}
    if compression.HAS_BROTLI:
        made["br"] = lambda: _AiohttpDecoder(compression.BrotliDecompressor())
    if compression.HAS_ZSTD:
        made["zstd"] = lambda: _AiohttpDecoder(compression.ZSTDDecompressor())
    return made


class _AiohttpDecoder:
    """One of aiohttp's decompressors."""

    def __init__(self, foreign: compression_utils.BrotliDecompressor | compression_utils.ZSTDDecompressor) -> None:
        self._foreign = foreign

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            yield self._foreign.decompress_sync(data, _CHUNK)
            while self._foreign.data_available:
                yield self._foreign.decompress_sync(b"", _CHUNK)
        except Exception as error:
            raise zlib.error(f"{type(error).__name__}: {error}") from error

    def end(self) -> None:
        """These do not tell a stream that was cut off."""


# ---- errors ---------------------------------------------------------------------------------------------------------


def _unwrapped(error: Exception) -> Exception:
    """`error` without what carries it; where the bound passed while connecting, what aiohttp calls that."""
    if isinstance(error, _NoAutoRetryError):
        return error.error
    # it reports no phase when the total timeout expired: https://github.com/aio-libs/aiohttp/issues/7122
    if type(error) is asyncio.TimeoutError and came_out_of(error.__cause__, "aiohttp.connector", "connect"):
        import aiohttp

        return aiohttp.ConnectionTimeoutError("it did not come about")
    return error


_SENT_AGAIN = ("PUT", "DELETE")  # by a session of the user's, once, where a kept connection breaks


def _failure(error: Exception, request: Request, channel: _SessionChannel, proxy: Proxy | None) -> Exception:
    """What to raise for `error`."""
    session = channel.session
    if isinstance(error, MemtraceError):
        return caused(error, error.__cause__)
    if is_refused_lookup(error):
        return caused(no_thread(unsent(request.origin)), error)
    if session.trust_env and isinstance(error, _of_proxies()):
        proxy = proxy_from_env(request.origin)  # which a session of the user's has read
    if isinstance(error, ValueError) and session.trust_env and proxy is not None:  # our address has been checked
        return invalid_proxy(proxy.named_by, "aiohttp does not take it")
    for matches, cause, maybe_sent, what in _error_map():
        if isinstance(error, matches):
            reason, behind = _message_of(error)
            again = cause in ("connect", "timeout") and channel.slots is None and request.method in _SENT_AGAIN
            failure = failed_exchange(
                what,
                reason,
                request.origin,
                proxy,
                cause=cause,
                maybe_sent=maybe_sent or again,
                permanent=(cause == "protocol" and not maybe_sent) or _is_permanent(error),
            )
            return caused(failure, behind)
    if session.closed:  # meanwhile, and who knows how far it came
        text = f"the connection to {request.origin} broke: the aiohttp session was closed"
        return caused(TransportError(text, cause="reset", maybe_sent=True), error)
    return error


_HEAD_TOO_LONG = ("Got more than ", "Too many headers ")  # its classes of these are not public


def _is_permanent(error: Exception) -> bool:
    """Whether the cause is the response's redirects or its head, which aiohttp limits."""
    import aiohttp

    if isinstance(error, aiohttp.TooManyRedirects):
        return True
    return isinstance(error, aiohttp.ClientResponseError) and error.message.startswith(_HEAD_TOO_LONG)


def _of_proxies() -> tuple[type[Exception], ...]:
    import aiohttp

    return (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError, ValueError)  # InvalidURL is one too


def _message_of(error: Exception) -> tuple[str, BaseException | None]:
    """What the error says, and what may be shown as its cause: aiohttp's errors hold requests, with the key, and proxies."""
    import aiohttp

    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy says {error.status} {error.message}", None
    if isinstance(error, aiohttp.ClientResponseError):
        return (error.message.splitlines() or ["no HTTP"])[0], error.__cause__
    if isinstance(error, aiohttp.ClientConnectorError):
        return str(error.os_error) or type(error).__name__, error.os_error
    if isinstance(error, (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError)):
        return f"aiohttp does not take this address ({type(error).__name__})", None
    return " ".join(str(error).split()) or type(error).__name__, error


@functools.lru_cache(maxsize=1)
def _error_map() -> list[tuple[type[Exception] | tuple[type[Exception], ...], TransportCause, bool, str]]:
    """Errors of aiohttp and ours, the most special first: what happened, and whether the request may have been sent."""
    import aiohttp

    return [
        (_NoSlotError, "timeout", False, "no free connection to {} in time"),
        (aiohttp.ConnectionTimeoutError, "timeout", False, NO_CONNECTION_IN_TIME),
        ((TimeoutError, asyncio.TimeoutError), "timeout", True, "no response from {} in time"),
        ((aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError), "connect", False, NO_CONNECTION),
        (
            (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError),
            "protocol",
            False,
            "the request to {} cannot be written",
        ),
        (aiohttp.ClientResponseError, "protocol", True, "{} did not answer in HTTP"),
        (aiohttp.ClientPayloadError, "protocol", True, "the response of {} is broken"),
        ((aiohttp.ClientConnectionError, OSError), "reset", True, CONNECTION_BROKE),
        (aiohttp.ClientError, "protocol", True, "the exchange with {} failed"),
    ]


# ---- what is given at construction ----------------------------------------------------------------------------------


def _is_session(given: object) -> bool:
    return all(hasattr(given, name) for name in ("request", "closed", "connector"))

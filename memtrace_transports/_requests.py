"""The transport on requests, blocking.

Requests go through `requests.Session.send` and an `HTTPAdapter` whose `send` is not overridden, so that what people patch
there (tracing, `responses`) sees them, and proxies from the environment work.
"""

from __future__ import annotations

import functools
import http
import http.client
import io
import threading
import weakref
from collections.abc import Callable, Iterator, MutableMapping
from contextvars import ContextVar
from email.errors import FirstHeaderLineIsContinuationDefect, MissingHeaderBodySeparatorDefect
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from memtrace._support.lazy_modules import LazyModule
from memtrace._support.tracebacks import caused
from memtrace.clock import SystemClock
from memtrace.plugins import TransportSpec, hookimpl
from memtrace.transport import Headers, Request, Response, TransportCause, TransportError, TransportOptions
from memtrace_transports._checks.limits import max_connections, shortest
from memtrace_transports._checks.own_client import qualified_type
from memtrace_transports._checks.proxies import (
    CONNECTION_BROKE,
    NO_CONNECTION,
    NO_CONNECTION_IN_TIME,
    Proxies,
    Proxy,
    failed_exchange,
    proxy_from_env,
    usable,
)
from memtrace_transports._checks.request_checks import cannot_send, check_sendable, check_time_left
from memtrace_transports._checks.response_body import BodyReader, codings_of, interim_response, is_decodable, unreadable
from memtrace_transports._checks.surplus import holds_surplus
from memtrace_transports._checks.tls import TLS_OPTIONS, lazy_ssl_context
from memtrace_transports._pool.lazy_clients import LazyClient

if TYPE_CHECKING:
    import ssl

    import requests
    import requests.adapters
    import urllib3
else:
    requests = LazyModule("requests")

_CAPABILITIES = TLS_OPTIONS | {
    "connect_timeout",
    "headers",
    "max_connections",
    "max_response_bytes",
    "proxy",
    "read_timeout",
    "trust_env",
}


@hookimpl
def memtrace_transport() -> TransportSpec:
    """The blocking form, on the package requests."""
    return TransportSpec(
        create=lambda options: RequestsTransport(options=options),
        requires=("requests",),
        extra="requests",
        capabilities=_CAPABILITIES,
    )


class RequestsTransport:
    """Send requests through a `requests.Session`.

    Without a `session` the transport creates one at the first request.

    Your own session is used as is, with its headers, auth, cookies, proxies, adapters, hooks and
    TLS settings. `close` leaves it open. Its `params` are not added. urllib3 rewrites a target that
    has lower-case escapes or invalid characters; the transport's own session does not.

    The timeout of an attempt covers the whole attempt. It is checked before each read and write, so
    a name lookup, or connecting to several addresses of a host, can exceed it. So can receiving
    response headers with your session.

    Args:
        session: Your session. Default: the transport's own.
        options: The transport options of the client. They apply to the transport's own session
            only.

    Raises:
        TypeError: `session` is not a session of requests, or both `session` and `options` are
            given.
    """

    def __init__(self, session: requests.Session | None = None, *, options: TransportOptions | None = None) -> None:
        if session is not None and options is not None:
            raise TypeError(
                "RequestsTransport accepts a session or options, not both: your own session has its own settings"
            )
        # by its methods, since tracing replaces the classes of requests
        if session is not None and (isinstance(session, type) or not hasattr(session, "prepare_request")):
            raise TypeError(f"RequestsTransport accepts a requests.Session, not {qualified_type(session)}")
        if options is not None and not isinstance(options, TransportOptions):
            raise TypeError(f"options= accepts TransportOptions, not {qualified_type(options)}")
        self._options = options or TransportOptions()
        self._own = _OwnSession(self._options) if session is None else None
        tls = lazy_ssl_context(self._options, bundles=_BUNDLES)
        self._sessions = LazyClient(session, functools.partial(_new_session, self._options, tls))

    def send(self, request: Request) -> Response:
        """Send one request and return the response, whatever its status.

        Args:
            request: The request, with the timeout of the attempt.

        Returns:
            The complete response.

        Raises:
            TransportError: No response was received. The error of requests is the cause, unless its
                text may contain the API key.
        """
        check_time_left(request)
        attempt = _SendAttempt(request, self._options)
        session = self._sessions.get()
        try:
            return attempt.run(session, self._own)
        except Exception as error:  # noqa: BLE001  # those of requests are translated, others raised again
            failure = _failure(error, attempt)
        raise failure  # out here, where it has no context

    def close(self) -> None:
        """Close the transport's own connections. A second call does nothing."""
        self._sessions.close()


# ---- one attempt ----------------------------------------------------------------------------------------------------

_CHUNK = 64 * 1024
_LEAST = 0.001  # seconds: a socket with none would not wait at all
_monotonic = SystemClock().monotonic


class _SendAttempt:
    """One attempt: its request, how long it may take, and how far it came."""

    def __init__(self, request: Request, options: TransportOptions) -> None:
        self.request = request
        self.sent: bool | None = None  # None: unknown, as on a user's session
        self.proxy: Proxy | None = None  # as soon as it is known
        self._options = options
        self._deadline = None if request.timeout is None else _monotonic() + request.timeout

    def time_left(self, seconds: float | None) -> float | None:
        """`seconds` of a phase, or what is left of the bound where that is less."""
        if self._deadline is None:
            return seconds
        return shortest(seconds, max(self._deadline - _monotonic(), _LEAST))

    def is_over(self) -> bool:
        """Whether the bound has passed."""
        return self._deadline is not None and _monotonic() > self._deadline

    def run(self, session: requests.Session, own: _OwnSession | None) -> Response:
        """Send it by `session`, which is the user's where `own` is None."""
        check_sendable(self.request)  # requests, urllib3 and http.client each tell it with the key in their text
        outgoing, settings = self._prepare_custom(session) if own is None else self._prepare_own(own)
        token = _SEND_ATTEMPT.set(self)
        try:
            answer = session.send(
                outgoing, **{**settings, "stream": True, "allow_redirects": False, "timeout": self._timeout()}
            )
        finally:
            _SEND_ATTEMPT.reset(token)
        self.sent = True
        _watch_for_surplus(self, answer.raw)
        try:
            body = self._body(answer)
        finally:  # a connection whose response was read to its end is back in its pool by now; any other one ends here
            answer.close()
        headers = getattr(answer.raw, "headers", None) or answer.headers
        return Response(answer.status_code, Headers(list(headers.items())), body)

    def _prepare_own(self, own: _OwnSession) -> tuple[requests.PreparedRequest, dict[str, Any]]:
        """The request without what `prepare` does, which writes the URL anew and looks for cookies, files and netrc."""
        request, outgoing = self.request, _prepared_class()()
        outgoing.method = request.method
        outgoing.headers = _headers(request, own.headers)
        outgoing.body = request.body
        outgoing.hooks = {"response": [self._refuse_interim, _hide_redirect]}
        self.proxy = own.proxies.of(request.origin)
        return _verbatim(outgoing, request), {"proxies": {"all": self.proxy.address} if self.proxy else {}}

    def _prepare_custom(self, session: requests.Session) -> tuple[requests.PreparedRequest, dict[str, Any]]:
        import requests

        request, outgoing = self.request, _prepared_class()()
        headers = {name: request.headers[name] for name, _ in request.headers.multi_items}
        prepared = session.prepare_request(
            requests.Request(request.method, request.url, headers=headers, data=request.body)
        )
        vars(outgoing).update(vars(prepared))
        outgoing.hooks = {
            **prepared.hooks,
            "response": [self._refuse_interim, *prepared.hooks["response"], _hide_redirect],
        }
        # with the session's own: REQUESTS_CA_BUNDLE would win over them, https://github.com/psf/requests/issues/3829
        settings = session.merge_environment_settings(
            request.url, {}, stream=True, verify=session.verify, cert=session.cert
        )
        self.proxy = _custom_proxy(request, settings["proxies"])
        if self.proxy is not None:
            parts = urlsplit(request.origin)
            key = f"{parts.scheme}://{parts.hostname}"  # the first that requests looks for
            settings["proxies"][key] = self.proxy.address
        return _verbatim(outgoing, request), {**settings}

    def _timeout(self) -> urllib3.Timeout:
        import urllib3

        bound, options = self.request.timeout, self._options
        return urllib3.Timeout(bound, connect=options.connect_timeout, read=options.read_timeout)

    def _body(self, answer: requests.Response) -> bytes:
        body, arriving = _start_body(answer, self.request.origin, self._options.max_response_bytes)
        for piece in arriving:
            body.add(piece)
        return body.finish()

    def _refuse_interim(self, answer: requests.Response, **_: object) -> None:
        """Refuse any other, and first of all: once its body was read, its connection would be free for the next."""
        if answer.status_code < 200:
            answer.close()
            raise interim_response(answer.status_code, self.request.origin)


_SEND_ATTEMPT: ContextVar[_SendAttempt] = ContextVar("memtrace_requests_attempt")
"""The one that is under way here, for our connections; they do without where somebody's patch sends in another thread."""


class _OwnSession:
    """Settings of requests through the SDK's session: the options' headers, and the proxy of an origin."""

    def __init__(self, options: TransportOptions) -> None:
        self.headers = tuple((options.headers or {}).items())
        self.proxies = Proxies(options, "requests")


def _custom_proxy(request: Request, proxies: MutableMapping[str, str]) -> Proxy | None:
    """The one of a user's session for this request, with its scheme where it has none. Raises `ConfigurationError`."""
    from requests.utils import select_proxy

    address = select_proxy(request.url, proxies)
    if not address:
        return None
    found = proxy_from_env(request.origin)
    named_by = found.named_by if found is not None and found.address == address else "your session"
    return usable(Proxy(address, named_by), "requests")


def _verbatim(outgoing: Any, request: Request) -> requests.PreparedRequest:
    outgoing.url, outgoing.target = request.url, request.target
    return outgoing  # type: ignore[no-any-return]  # of the class below


def _hide_redirect(answer: requests.Response, **_: object) -> None:
    """Hide where a redirect leads: requests reads the body to prepare the next request, even when it is not to follow."""
    # https://github.com/psf/requests/issues/4123
    answer.headers.pop("location", None)


# ---- bodies ---------------------------------------------------------------------------------------------------------


def _start_body(answer: requests.Response, origin: str, limit: int) -> tuple[BodyReader, Iterator[bytes]]:
    """A place for the body of `answer`, and its bytes as they arrive."""
    # urllib3 takes cut ones for whole: tests/transports/test_upstream.py::test_a_cut_body_passes_for_a_whole_one
    import urllib3

    encoding = answer.headers.get("content-encoding", "")
    refusal = unreadable(origin, encoding, _known_codings()) if encoding else None
    if refusal is not None:
        raise refusal
    # a user's hook may have read the body, and a user's adapter may return another kind of response
    read = getattr(answer, "_content_consumed", False) or not isinstance(answer.raw, urllib3.HTTPResponse)
    if read or not is_decodable(encoding):
        return BodyReader(origin, limit), iter(answer.iter_content(_CHUNK))
    return BodyReader(origin, limit, encoding), _raw_parts(answer.raw)


def _raw_parts(raw: urllib3.HTTPResponse) -> Iterator[bytes]:
    while piece := raw.read1(_CHUNK, decode_content=False):
        yield piece


def _known_codings() -> list[str]:
    """Those that urllib3 undoes, depending on what is installed."""
    from urllib3.util import make_headers

    return codings_of(make_headers(accept_encoding=True)["accept-encoding"])


def _watch_for_surplus(attempt: _SendAttempt, raw: Any) -> None:
    """Limit the time of a response, and let its connection serve no other request if it got surplus bytes.

    http.client discards the surplus it has read, and the rest would be the start of the next response.
    """
    # tests/transports/test_upstream.py::test_urllib3_uses_a_connection_again_on_which_half_an_answer_too_many_came
    answer: Any = getattr(raw, "_original_response", None)
    connection = getattr(raw, "connection", None)
    # a patch's may read from something else
    if isinstance(getattr(answer, "fp", None), io.BufferedReader) and connection is not None:
        vars(answer)["_close_conn"] = functools.partial(_end_answer, answer, connection)
        _bound_reads(attempt, answer.fp)


def _end_answer(answer: Any, connection: Any) -> None:
    """Let go of the connection, as http.client does at the end of `answer`; close it where it holds more."""
    is_spent = _has_buffered(answer.fp) or holds_surplus(connection.sock)
    del vars(answer)["_close_conn"]
    answer._close_conn()  # noqa: SLF001  # its class's own
    if is_spent:
        connection.close()


def _has_buffered(file: Any) -> bool:
    """Whether bytes were read into this buffer and not out of it."""
    file.raw.readinto = lambda _: None  # or `peek` would wait for more
    return bool(file.peek(1))


# ---- the session of the SDK -----------------------------------------------------------------------------------------

_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")  # the names that requests has for it, in its order


def _new_session(options: TransportOptions, tls: Callable[[], ssl.SSLContext]) -> requests.Session:
    from http.cookiejar import DefaultCookiePolicy

    import requests

    session = requests.Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    session.trust_env = False  # each request gets its proxy
    adapter = _adapter_class()(max_connections(options), tls())
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _headers(request: Request, defaults: tuple[tuple[str, str], ...]) -> urllib3.HTTPHeaderDict:
    """Urllib3's kind, which requests hands on as it is: a repeated name stays repeated."""
    headers = _headers_class()()
    for name, value in request.headers.multi_items:
        headers.add(name, value)
    for name, value in (*defaults, ("Accept-Encoding", "gzip, deflate")):
        headers.setdefault(name, value)
    if request.body is not None:
        headers.setdefault("Content-Length", str(len(request.body)))
    return headers


@functools.lru_cache(maxsize=1)
def _headers_class() -> type[urllib3.HTTPHeaderDict]:
    import urllib3

    class Fields(urllib3.HTTPHeaderDict):
        def __repr__(self) -> str:  # locals of urllib3's frames: its own shows the key
            return f"Fields({', '.join(self)})"

    return Fields


@functools.lru_cache(maxsize=1)
def _prepared_class() -> type[Any]:
    import requests

    class Prepared(requests.PreparedRequest):
        target = "/"

        @property
        def path_url(self) -> str:
            return self.target

    return Prepared


_MOST_INTERIM = 100


class _StrictResponse(http.client.HTTPResponse):
    """Skips every interim response, raises for an unreadable header line, and observes the attempt's time limit."""

    def __init__(self, *given: Any, **settings: Any) -> None:
        super().__init__(*given, **settings)
        attempt = _SEND_ATTEMPT.get(None)
        if attempt is not None:  # or each part of a response could take as long as all of it
            _bound_reads(attempt, self.fp)

    def begin(self) -> None:
        super().begin()  # which skips the 100 alone: https://github.com/urllib3/urllib3/pull/3319
        for _ in range(_MOST_INTERIM):
            if self.status == http.HTTPStatus.SWITCHING_PROTOCOLS or self.status >= http.HTTPStatus.OK:
                break
            self.headers = self.msg = None  # type: ignore[assignment]  # as it begins
            super().begin()
        # urllib3 would only log it: https://github.com/urllib3/urllib3/pull/642
        broken = (MissingHeaderBodySeparatorDefect, FirstHeaderLineIsContinuationDefect)
        if any(isinstance(defect, broken) for defect in self.msg.defects):
            raise http.client.HTTPException("a header line of the response cannot be read")


def _outliving_exit(pool: type[Any]) -> type[Any]:
    """Urllib3's pool, which connects anew once urllib3's exit hook has emptied it: hooks of the user's may run after that one."""
    # tests/transports/test_upstream.py::test_an_exit_hook_of_urllib3_empties_a_pool_for_good

    class OutlivingPool(pool):  # type: ignore[misc]  # one of urllib3's
        def __init__(self, *arguments: Any, **settings: Any) -> None:
            super().__init__(*arguments, **settings)
            self._emptied: list[str] = []
            weakref.finalize(self, self._emptied.append, "at exit")  # runs before urllib3's, which is older

        def _get_conn(self, timeout: float | None = None) -> Any:
            if self._emptied:
                self.block = False
            return super()._get_conn(timeout)

    return OutlivingPool


def _bound_reads(attempt: _SendAttempt, file: Any) -> None:
    """Let each read of a response's file wait at most for the time that is left."""
    sock, readinto = file.raw._sock, type(file.raw).readinto  # noqa: SLF001  # its connection may have let go of it
    timeout = sock.gettimeout()

    def read_in_time(buffer: Any) -> int | None:
        if attempt.is_over():  # though the server never lets a read wait
            raise TimeoutError("timed out")
        sock.settimeout(attempt.time_left(timeout))
        received: int | None = readinto(file.raw, buffer)
        return received

    file.raw.readinto = read_in_time


@functools.lru_cache(maxsize=1)
def _pool_classes() -> dict[str, type[Any]]:
    """Urllib3's pools that wait for a free connection for so long only, and whose connections send our target."""
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    def own(connection: type[Any], pool: type[Any]) -> type[Any]:
        class ExactTargetConnection(connection):  # type: ignore[misc]  # whichever of the two
            response_class = _StrictResponse
            timeout: Any

            def connect(self) -> None:
                attempt = _SEND_ATTEMPT.get(None)
                if attempt is not None:  # which may have waited for this connection
                    self.timeout = attempt.time_left(self.timeout)
                super().connect()
                # verify=False has warned; urllib3 would at each request: https://github.com/urllib3/urllib3/pull/496
                self.is_verified = True

            def request(self, method: str, url: str, **settings: Any) -> None:
                if self.sock is None:
                    self.connect()
                attempt = _SEND_ATTEMPT.get(None)
                if attempt is not None:
                    attempt.sent = True
                    self.timeout = attempt.time_left(self.timeout)
                    # urllib3 has written it anew: https://github.com/urllib3/urllib3/issues/3081
                    url = attempt.request.target if url.startswith("/") else attempt.request.url
                super().request(method, url, **settings)

        class Pool(_outliving_exit(pool)):  # type: ignore[misc]  # whichever of the two
            ConnectionCls = ExactTargetConnection

            def urlopen(self, *, timeout: urllib3.Timeout, **settings: Any) -> Any:
                attempt = _SEND_ATTEMPT.get(None)
                if attempt is not None:
                    attempt.sent = False
                return super().urlopen(timeout=timeout, pool_timeout=timeout.total, **settings)

        return Pool

    return {"http": own(HTTPConnection, HTTPConnectionPool), "https": own(HTTPSConnection, HTTPSConnectionPool)}


@functools.lru_cache(maxsize=1)
def _adapter_class() -> Callable[[int, ssl.SSLContext], requests.adapters.HTTPAdapter]:
    from requests.adapters import HTTPAdapter

    class Adapter(HTTPAdapter):
        """Accepts the SDK's TLS context in place of files and flags."""

        def __init__(self, connections: int, tls: ssl.SSLContext) -> None:
            self._tls = tls
            self._guard = threading.Lock()
            super().__init__(pool_maxsize=connections, pool_block=True)

        def init_poolmanager(self, *args: Any, **settings: Any) -> None:
            super().init_poolmanager(*args, ssl_context=self._tls, **settings)
            self.poolmanager.pool_classes_by_scheme = _pool_classes()

        def proxy_manager_for(self, proxy: Any, **settings: Any) -> Any:
            with self._guard:  # or another thread would find one that has urllib3's own pools yet
                if proxy in self.proxy_manager:
                    return self.proxy_manager[proxy]
                if proxy.lower().startswith("socks"):
                    manager = super().proxy_manager_for(proxy, ssl_context=self._tls, **settings)
                    by_scheme = manager.pool_classes_by_scheme.items()
                    manager.pool_classes_by_scheme = {scheme: _outliving_exit(pool) for scheme, pool in by_scheme}
                    return manager
                settings.update(ssl_context=self._tls, proxy_ssl_context=self._tls)
                manager = super().proxy_manager_for(proxy, **settings)
                manager.pool_classes_by_scheme = _pool_classes()
                return manager

        def build_connection_pool_key_attributes(
            self, request: requests.PreparedRequest, verify: Any, cert: Any = None
        ) -> Any:
            host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
            return host, {}  # the context knows whom to trust

        def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
            """Leave the context alone: certifi's certificates would be loaded into it, beside the user's."""
            # tests/transports/test_upstream.py::test_requests_adds_its_own_certificates_to_a_context_of_its_users

    return Adapter


# ---- errors ---------------------------------------------------------------------------------------------------------


def _failure(error: Exception, attempt: _SendAttempt) -> Exception:
    """What to raise for `error`."""
    links = list(_unwrap_causes(error))
    row = next((row for row in _error_map() if any(isinstance(link, row[0]) for link in links)), None)
    if isinstance(error, TransportError):
        return caused(error, error.__cause__)
    if row is None:  # a bug's
        return error
    _, cause, maybe_sent, what = row
    origin, sent = attempt.request.origin, attempt.sent
    if what is None:
        return cannot_send(origin, maybe_sent=bool(sent))
    if sent and cause == "connect":  # such as a TLS error after the handshake
        cause, what = "reset", CONNECTION_BROKE
    failure = failed_exchange(
        what,
        links[-1],
        origin,
        attempt.proxy,
        cause=cause,
        maybe_sent=maybe_sent if sent is None else sent,
        permanent=any(_is_permanent(link) for link in links),
    )
    return caused(failure, error)


def _is_permanent(error: BaseException) -> bool:
    """Whether the cause is the response's redirects or its head, which http.client limits."""
    from requests.exceptions import TooManyRedirects

    # http.client says by the text alone that there are too many lines
    return isinstance(error, (TooManyRedirects, http.client.LineTooLong)) or str(error).startswith("got more than ")


def _unwrap_causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and those that requests and urllib3 wrapped into it, outermost first."""
    link: object = error
    while isinstance(link, BaseException):
        yield link
        wrapped = [value for value in link.args if isinstance(value, BaseException)]
        link = getattr(link, "reason", None) or (wrapped[-1] if wrapped else None)


@functools.lru_cache(maxsize=1)
def _error_map() -> list[tuple[tuple[type[BaseException], ...], TransportCause, bool, str | None]]:
    """Errors of requests, urllib3 and http.client, the most special first.

    Each with its cause, whether the request may have been sent where we cannot see that, and what happened; None where the
    error's text may repeat a key.
    """
    import requests.exceptions as outer
    import urllib3.exceptions as inner

    unwritable = (outer.InvalidURL, outer.InvalidHeader, outer.MissingSchema, inner.LocationValueError, UnicodeError)
    unreached = (outer.ProxyError, inner.ProxyError, outer.SSLError, inner.SSLError, inner.ClosedPoolError)
    return [
        ((inner.InvalidHeader,), "protocol", True, "{} did not answer in HTTP"),  # with two lengths
        (unwritable, "protocol", False, None),
        ((outer.InvalidSchema, inner.NewConnectionError), "connect", False, NO_CONNECTION),
        ((outer.ConnectTimeout, inner.ConnectTimeoutError), "timeout", False, NO_CONNECTION_IN_TIME),
        ((inner.EmptyPoolError,), "timeout", False, "no free connection to {} in time"),
        ((outer.Timeout, inner.TimeoutError, TimeoutError), "timeout", True, "no response from {} in time"),
        (unreached, "connect", False, NO_CONNECTION),
        ((ConnectionError,), "reset", True, CONNECTION_BROKE),
        (
            (outer.ContentDecodingError, inner.DecodeError),
            "protocol",
            True,
            "the response of {} cannot be decompressed",
        ),
        ((http.client.HTTPException, inner.ProtocolError), "protocol", True, "{} did not answer in HTTP"),
        ((outer.RequestException, inner.HTTPError), "protocol", True, "the exchange with {} failed"),
    ]

"""Transport options: what makes sense, what a transport honours, and that it does."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import ssl
import subprocess
import threading
import warnings

import pytest

from memtrace import AsyncMemtrace, ConfigurationError, Memtrace
from memtrace.clock import SystemClock
from memtrace.plugins import transport_registry
from memtrace.transport import CallContext, Request, TransportError, TransportOptions
from memtrace_transports import AsyncHttpxTransport, HttpxTransport
from memtrace_transports._checks.tls import _context, lazy_ssl_context, ssl_context
from tests.conftest import Script
from tests.sampling import crossed, is_whole, sample
from tests.transports.httpx_libraries import LIBRARIES
from tests.transports.kinds import Kind, on_every_blocking_kind, on_every_kind
from tests.transports.scripted import Answer, Echo, ScriptedServer, Stall, Zipped
from tests.transports.tls_server import Authority, TlsServer

pytestmark = pytest.mark.network

# ---- what makes sense


class BytesPath:
    def __fspath__(self):
        return b"ca.pem"


MEANINGLESS = (
    [(name, value) for name in ("connect_timeout", "read_timeout", "write_timeout", "pool_timeout", "keepalive_expiry")
     for value in (0, -1, float("nan"), float("inf"), True)]
    + [(name, value) for name in ("max_connections", "max_response_bytes") for value in (0, -1, 1.5, True)]
    + [("connect_timeout", "5"), ("read_timeout", 1e300), ("write_timeout", 10**400), ("pool_timeout", [1])]
    + [("max_connections", "5"), ("max_keepalive_connections", 1.0), ("max_response_bytes", None)]
    + [(name, value) for name in ("verify", "trust_env", "http2") for value in (None, 0, 1, "yes")]
    + [(name, value) for name in ("ca_bundle", "client_cert", "client_key")
       for value in (5, b"ca.pem", BytesPath(), "a\0b", "a" * 5000, "", True)]
    + [("client_key_password", b"secret"), ("client_key_password", 5)]
    + [("proxy", proxy) for proxy in ("", 5, b"http://proxy:3128", "http://proxy:port", "http://proxy:65536", "http://a..b:1",
                                      "http://a b:1", "http://[::1:1", "http://proxy?a=b", "ftp://proxy", "http://p#w@proxy:1",
                                      "http://u\udcff:pw@proxy:1")]
    + [("max_keepalive_connections", -1), ("ca_bundle", "/no/such/file"), ("client_key", "/no/such/file")]
    + [("proxy", "proxy:3128"), ("proxy", "socks5://proxy"), ("proxy", "http://")]
)  # fmt: skip


@pytest.mark.parametrize(("field", "value"), sample(MEANINGLESS, 20))
def test_a_value_that_makes_no_sense_is_refused_with_its_name(field, value):
    with pytest.raises(ConfigurationError, match=rf"options\.{field} must be"):
        TransportOptions(**{field: value})


def test_a_file_given_as_verify_is_told_its_place(tmp_path):
    for given in ("ca.pem", tmp_path):
        with pytest.raises(ConfigurationError, match=r"options\.verify must be True or False ") as caught:
            TransportOptions(verify=given)
        assert caught.value.hint == "a file of certificates is ca_bundle="


@pytest.mark.parametrize(
    "proxy", ["http://proxy", "https://proxy:1", "HTTP://me:pass@proxy:3128/", "http://[::1]:80", "http://127.0.0.1:1"]
)
def test_the_address_of_a_proxy_is_taken(proxy):
    assert TransportOptions(proxy=proxy).proxy == proxy


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ([("x-a", "b")], r"options\.headers must be a mapping"),
        ("x-a: b", r"options\.headers must be a mapping"),
        ({"x-a": 1}, r"options\.headers\['x-a'\] must be a string"),
        ({1: "a"}, r"options\.headers\[1\] must be a string"),
        ({"x-a": b"b"}, r"options\.headers\['x-a'\] must be a string"),
        ({"x-a": "planted\n"}, r"options\.headers\['x-a'\] cannot be sent"),
        ({"x a": "planted"}, r"options\.headers\['x a'\] cannot be sent"),
        ({"x-a": "pl\xe4nted"}, r"options\.headers\['x-a'\] cannot be sent"),
        ({"X-API-Key": "planted"}, r"options\.headers\['X-API-Key'\] cannot be set: pass api_key="),
        ({"Content-Type": "planted"}, r"options\.headers\['Content-Type'\] cannot be set"),
        ({"host": "planted"}, r"options\.headers\['host'\] cannot be set"),
        ({"content-length": "9"}, r"options\.headers\['content-length'\] cannot be set"),
        ({"transfer-encoding": "planted"}, r"options\.headers\['transfer-encoding'\] cannot be set"),
    ],
)
def test_headers_that_cannot_be_sent_or_are_not_the_users_are_refused(headers, reason):
    with pytest.raises(ConfigurationError, match=reason) as caught:
        TransportOptions(headers=headers)
    assert "planted" not in str(caught.value)


def test_headers_that_are_changed_later_change_nothing():
    given = {"x-a": "b"}
    options = TransportOptions(headers=given)
    given["x-a"] = "\n"
    assert options.headers == {"x-a": "b"}
    assert options.for_client("http://server", SystemClock()).headers == {"x-a": "b"}


def test_settings_of_tls_that_do_not_go_together_are_refused(tmp_path):
    file = tmp_path / "file.pem"
    file.write_text("")
    with pytest.raises(ConfigurationError, match="client_cert must be given"):
        TransportOptions(client_key=file)
    with pytest.raises(ConfigurationError, match="ca_bundle must be omitted if verify is False"):
        TransportOptions(ca_bundle=file, verify=False)
    with pytest.raises(ConfigurationError, match="client_cert must be a file"):
        TransportOptions(client_cert=tmp_path)
    assert TransportOptions(ca_bundle=tmp_path, max_keepalive_connections=0).given() == [
        "max_keepalive_connections",
        "ca_bundle",
    ]


def test_nothing_is_given_by_default_and_a_client_fills_in_itself():
    clock = SystemClock()
    options = TransportOptions(read_timeout=3).for_client("https://server", clock)
    assert TransportOptions().given() == []
    assert options.given() == ["read_timeout"]
    assert (options.url, options.clock) == ("https://server", clock)


def test_repr_holds_no_secret():
    options = TransportOptions(
        proxy="http://user:planted@proxy:1", client_cert=None, headers={"authorization": "planted"}
    )
    assert "planted" not in repr(options)


# ---- what a transport honours


@pytest.mark.parametrize("client", [Memtrace, AsyncMemtrace])
def test_an_option_that_the_transport_cannot_honour_is_refused_when_the_client_is_made(client):
    options = TransportOptions(proxy="http://proxy:3128", read_timeout=3)
    with pytest.raises(
        ConfigurationError,
        match=r"'memory' cannot honour transport_options.read_timeout, transport_options.proxy; .*: none",
    ):
        client("memory://", "key", transport_options=options)
    client("http://server", "key", transport_options=options)


@pytest.mark.parametrize("client", [Memtrace, AsyncMemtrace])
def test_options_beside_an_instance_are_refused(client):
    transport = HttpxTransport() if client is Memtrace else AsyncHttpxTransport()
    with pytest.raises(ConfigurationError, match=rf"give them to {type(transport).__name__}\(options=...\) itself"):
        client("http://server", "key", transport=transport, transport_options=TransportOptions())


def test_options_beside_a_librarys_own_client_are_refused():
    for kind, library_client in ((HttpxTransport, Script()), (AsyncHttpxTransport, _Closing())):
        with pytest.raises(TypeError, match="yours has its own settings"):
            kind(library_client, options=TransportOptions())


class _Closing:
    async def aclose(self):
        pass


@pytest.mark.parametrize("installed", [False, True])
def test_http_2_is_honoured_where_its_package_is_installed(monkeypatch, installed):
    from memtrace_transports import _httpx

    monkeypatch.setattr(_httpx, "find_spec", lambda name: object() if installed else None)
    assert ("http2" in _httpx.memtrace_transport().capabilities) is installed


def test_every_capability_is_an_option():
    known = {name for name in TransportOptions.__dataclass_fields__ if name not in ("url", "clock")}
    for name in transport_registry.names():
        assert transport_registry.get(name).capabilities <= known


# ---- that it does


class Face:
    """Either form of the transport on httpx or httpx2, made with options; sends one request."""

    def __init__(self, kind, library):
        self.kind = kind
        self.library = library.__name__

    def send(self, url, target="/", timeout=5.0, **options):
        request = Request("GET", url, target, timeout=timeout)
        if self.kind == "sync":
            transport = HttpxTransport(options=TransportOptions(**options), library=self.library)
            try:
                return transport.send(request)
            finally:
                transport.close()

        async def main():
            transport = AsyncHttpxTransport(options=TransportOptions(**options), library=self.library)
            try:
                return await transport.send(request)
            finally:
                await transport.close()

        return asyncio.run(main())


@pytest.fixture(params=crossed(["sync", "async"], LIBRARIES), ids=lambda row: f"{row[0]} {row[1].__name__}")
def face(request):
    return Face(*request.param)


def test_the_shorter_of_bound_and_read_timeout_holds(face):
    with ScriptedServer(Stall()) as server, pytest.raises(TransportError, match="no response") as caught:
        face.send(server.url, read_timeout=0.05)
    assert (caught.value.cause, caught.value.maybe_sent) == ("timeout", True)


def test_an_answer_over_the_bound_is_an_error_that_says_so(face):
    with (
        ScriptedServer(Answer(body=b"x" * 1001)) as server,
        pytest.raises(TransportError, match="more than 1000 bytes") as caught,
    ):
        face.send(server.url, max_response_bytes=1000)
    assert (caught.value.cause, caught.value.maybe_sent) == ("protocol", True)
    with ScriptedServer(Answer(body=b"x" * 1000)) as server:
        assert len(face.send(server.url, max_response_bytes=1000).body) == 1000


def test_a_small_answer_that_grows_when_it_is_decompressed_is_stopped(face):
    bomb = Zipped(body=b"0" * (50_000_000 if is_whole() else 5_000_000))
    with ScriptedServer(bomb) as server, pytest.raises(TransportError, match="more than 100000 bytes"):
        face.send(server.url, max_response_bytes=100_000)


def test_the_blocking_form_looks_at_its_bound_with_each_part_of_the_answer():
    class Hasty(SystemClock):
        now = 0.0

        def monotonic(self):
            self.now += 10
            return self.now

    with (
        ScriptedServer(Answer(body=b"x")) as server,
        pytest.raises(
            TransportError, match="parts came too slowly|timed out"
        ) as caught,  # the second on a busy machine
    ):
        HttpxTransport().send(Request("GET", server.url, "/", timeout=5, context=CallContext(Hasty())))
    assert (caught.value.cause, caught.value.maybe_sent) == ("timeout", True)


def test_headers_of_the_options_go_under_those_of_the_request(face):
    with ScriptedServer(Echo()) as server:
        assert "memory" in face.send(server.url, headers={"x-team": "memory"}).body.decode()


# ---- TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make certificates")
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def stranger(authority, tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("stranger"))


def test_a_private_authority_is_trusted_as_a_file_and_from_the_environment(face, authority, monkeypatch):
    with TlsServer(authority) as server:
        with pytest.raises(TransportError, match="CERTIFICATE_VERIFY_FAILED") as caught:
            face.send(server.url)
        assert (caught.value.cause, caught.value.maybe_sent) == ("connect", False)
        assert face.send(server.url, ca_bundle=authority.ca).body == b"None"
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
        assert face.send(server.url).body == b"None"
        with pytest.raises(TransportError, match="CERTIFICATE_VERIFY_FAILED"):
            face.send(server.url, trust_env=False)


def test_a_folder_of_certificates_is_trusted(authority, tmp_path):
    shutil.copy(authority.ca, tmp_path / "ca.pem")
    assert ssl_context(TransportOptions(ca_bundle=tmp_path)).verify_mode.name == "CERT_REQUIRED"


def test_a_client_certificate_is_shown(face, authority):
    certificate, key = authority.client
    with TlsServer(authority, wants_client=True) as server:
        answer = face.send(server.url, ca_bundle=authority.ca, client_cert=certificate, client_key=key)
        assert answer.body == b"'client'"
        with pytest.raises(TransportError, match="broke"):
            face.send(server.url, ca_bundle=authority.ca)


def test_without_verification_any_certificate_is_taken_and_a_warning_given(face, authority):
    with TlsServer(authority) as server, pytest.warns(UserWarning, match="verify=False"):
        assert face.send(server.url, verify=False).body == b"None"


BUNDLES = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"]


@pytest.fixture
def no_bundles(monkeypatch):
    for name in (*BUNDLES, "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def through_requests(no_bundles):
    return Kind("requests", asynchronous=False)


def is_trusted(kind, server, **options):
    """Whether it gets an answer, and not the refusal of a certificate that nobody vouches for."""
    (outcome,) = kind.send(Request("GET", server.url, "/", timeout=5.0), **options)
    if isinstance(outcome, TransportError):
        assert "CERTIFICATE_VERIFY_FAILED" in outcome.message
        assert (outcome.cause, outcome.maybe_sent) == ("connect", False)
    return not isinstance(outcome, TransportError)


@pytest.mark.parametrize("name", BUNDLES)
def test_requests_trusts_the_bundle_that_its_users_name_in_the_environment(
    through_requests, name, authority, monkeypatch
):
    with TlsServer(authority) as server:
        assert not is_trusted(through_requests, server)
        monkeypatch.setenv(name, str(authority.ca))
        assert is_trusted(through_requests, server)
        assert not is_trusted(through_requests, server, trust_env=False)


def test_a_bundle_of_requests_wins_over_ssl_cert_file_and_curls(through_requests, authority, stranger, monkeypatch):
    with TlsServer(authority) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(stranger.ca))
        monkeypatch.setenv("CURL_CA_BUNDLE", str(stranger.ca))
        assert not is_trusted(through_requests, server)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.ca))
        assert is_trusted(through_requests, server)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "")
        monkeypatch.setenv("CURL_CA_BUNDLE", str(authority.ca))
        assert is_trusted(through_requests, server)


def test_a_ca_of_the_options_wins_over_the_bundles(through_requests, authority, stranger, monkeypatch):
    with TlsServer(authority) as server:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(stranger.ca))
        assert is_trusted(through_requests, server, ca_bundle=authority.ca)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.ca))
        assert not is_trusted(through_requests, server, ca_bundle=stranger.ca)


def test_a_bundle_may_be_a_folder_of_hashed_certificates(through_requests, authority, tmp_path, monkeypatch):
    asked = ["openssl", "x509", "-hash", "-noout", "-in", str(authority.ca)]
    hashed = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    shutil.copy(authority.ca, tmp_path / f"{hashed}.0")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    with TlsServer(authority) as server:
        assert is_trusted(through_requests, server)


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_that_cannot_be_read_is_named(through_requests, name, tmp_path, monkeypatch):
    monkeypatch.setenv(name, str(tmp_path / "none.pem"))
    with pytest.raises(ConfigurationError, match=f"^{name} holds no certificates that can be read: FileNotFoundError"):
        through_requests.send(Request("GET", "https://127.0.0.1:1", "/", timeout=5.0))


def test_without_verification_no_bundle_is_read(through_requests, authority, tmp_path, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with TlsServer(authority) as server, pytest.warns(UserWarning, match="verify=False"):
        assert is_trusted(through_requests, server, verify=False)


@on_every_kind
def test_the_others_read_no_bundle_of_requests(kind, authority, monkeypatch):
    for name in BUNDLES:
        monkeypatch.setenv(name, str(authority.ca))
    with TlsServer(authority) as server:
        assert is_trusted(kind, server) == (kind.name == "requests")


@on_every_kind
def test_a_proxy_that_is_spoken_to_over_tls_is_trusted_as_the_server_is(kind, no_bundles, authority, stranger):
    asked = Request("GET", "http://server.invalid", "/", timeout=5.0)
    with TlsServer(authority) as proxy:
        (answer,) = kind.send(asked, proxy=proxy.url, ca_bundle=authority.ca)
        assert answer.body == b"None"
        (refused,) = kind.send(asked, proxy=proxy.url, ca_bundle=stranger.ca)
    assert "CERTIFICATE_VERIFY_FAILED" in refused.message
    assert (refused.cause, refused.maybe_sent) == ("connect", False)


def test_files_that_hold_no_certificate_are_told(tmp_path, authority):
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    with pytest.raises(ConfigurationError, match=r"options\.ca_bundle holds no certificates"):
        ssl_context(TransportOptions(ca_bundle=empty))
    with pytest.raises(ConfigurationError, match="do not fit together"):
        ssl_context(TransportOptions(client_cert=authority.client[0], client_key=authority.server[1]))


def test_a_broken_environment_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE"):
        ssl_context(TransportOptions())
    with warnings.catch_warnings():
        ssl_context(TransportOptions(trust_env=False))


@on_every_blocking_kind
def test_a_client_of_an_http_address_reads_no_certificates(kind, no_bundles, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with ScriptedServer() as server:
        (answer,) = kind.send(Request("GET", server.url, "/", timeout=5.0), url=server.url)
    assert answer.status == 200


@on_every_kind
def test_one_of_an_https_address_reads_them_before_it_connects(kind, no_bundles, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(ConfigurationError, match="^SSL_CERT_FILE or SSL_CERT_DIR holds no certificates"):
        kind.send(Request("GET", "https://127.0.0.1:1", "/", timeout=5.0), url="https://server")


@on_every_kind
def test_one_of_an_http_address_trusts_whom_others_trust_where_it_is_led_to_https(
    kind, no_bundles, authority, stranger, monkeypatch
):
    with TlsServer(authority) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
        assert is_trusted(kind, server, url="http://server")
        monkeypatch.setenv("SSL_CERT_FILE", str(stranger.ca))
        assert not is_trusted(kind, server, url="http://server")


@on_every_blocking_kind
def test_and_has_no_connection_where_it_cannot_read_them(kind, no_bundles, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with ScriptedServer() as server:
        address = server.url.replace("http:", "https:")
        (error,) = kind.send(Request("GET", address, "/", timeout=5.0), url=server.url)
    assert (error.cause, error.maybe_sent) == ("connect", False)
    assert "SSL_CERT_FILE or SSL_CERT_DIR holds no certificates" in error.message


def test_contexts_are_shared_by_equal_options():
    first = ssl_context(TransportOptions())
    assert ssl_context(TransportOptions(read_timeout=1)) is first


def test_a_client_that_is_made_after_a_renewal_has_the_new_files(face, authority, stranger, tmp_path):
    renewed = tmp_path / "ca.pem"
    with TlsServer(authority) as server:
        shutil.copy(stranger.ca, renewed)
        with pytest.raises(TransportError, match="CERTIFICATE_VERIFY_FAILED"):
            face.send(server.url, ca_bundle=renewed)
        renewed.unlink()
        shutil.copy(authority.ca, renewed)
        assert face.send(server.url, ca_bundle=renewed).body == b"None"


def test_a_client_keeps_the_certificates_that_it_has_read(authority, tmp_path, no_bundles, monkeypatch):
    bundle = tmp_path / "ca.pem"
    shutil.copy(authority.ca, bundle)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    give = lazy_ssl_context(TransportOptions(url="https://server"))
    context = give()
    bundle.unlink()
    assert give() is context


def test_without_certifi_the_systems_certificates_are_trusted(monkeypatch):
    from memtrace_transports._checks import tls

    monkeypatch.setattr(tls, "find_spec", lambda name: None)
    _context.cache_clear()
    assert ssl_context(TransportOptions(trust_env=False)).verify_mode.name == "CERT_REQUIRED"
    _context.cache_clear()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_forked_while_certificates_are_read_reads_them_itself(monkeypatch):
    from memtrace_transports._checks import tls

    reading, go_on, trust = threading.Event(), threading.Event(), tls._trust

    def slow(*given):
        reading.set()
        go_on.wait(10)
        trust(*given)

    monkeypatch.setattr(tls, "_trust", slow)
    context = tls._Context(ssl.PROTOCOL_TLS_CLIENT, tls._TrustSource())
    thread = threading.Thread(target=context.read)
    thread.start()
    assert reading.wait(10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12: there are threads
        child = os.fork()
    if child == 0:
        signal.alarm(10)  # which ends a child that waits for ever
        go_on.set()
        context.read()
        os._exit(0 if context.cert_store_stats()["x509_ca"] else 1)
    go_on.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0

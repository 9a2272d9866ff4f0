"""The proxies that the environment names: used, or told by their variable, and never by their password."""

from __future__ import annotations

import os
import traceback

import pytest

from memtrace.exceptions import ConfigurationError
from memtrace.transport import Request
from memtrace_transports._checks import proxies
from memtrace_transports._checks.proxies import Proxy
from tests.sampling import crossed
from tests.transports.kinds import FORMS, KINDS, on_every_kind
from tests.transports.scripted import Answer, CloseAfterReading, Garbage, Refuse, ScriptedServer, Stall, deaf_address
from tests.transports.test_aiohttp import Tunnel
from tests.transports.tls_server import Authority, TlsServer

READING = [form for form in FORMS if "yours" not in str(form) or form.name in ("aiohttp", "requests")]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    return monkeypatch


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def asked(scheme="http"):
    return Request("GET", f"{scheme}://server.invalid", "/", timeout=5.0)


def sent(form, *requests, **options):
    settings = {"trust_env": True} if str(form) == "aiohttp async yours" else {}
    return form.send(*(requests or [asked()]), **settings, **options)


def frames_of_ours(error):
    """The `repr` of everything that the frames of the SDK hold, as a crash reporter records it."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = [frame for frame in frames if frame.f_globals["__name__"].startswith("memtrace")]
    return "".join(repr(frame.f_locals) for frame in ours)


def refused(form, variable, request=None):
    with pytest.raises(ConfigurationError) as caught:
        sent(form, request or asked())
    error = caught.value
    assert error.message.startswith(f"the proxy in {variable} cannot be used: ")
    told = "\n".join(traceback.format_exception(error))
    if "yours" not in str(form):  # what a user's session holds is its own matter
        told += frames_of_ours(error)
    while error is not None:
        told += f"{error!r}{error.args}{vars(error)}"
        error = error.__cause__ or error.__context__
    assert "PASS" not in told
    return told


BROKEN = [
    "http://me:PASSWORD@proxy:port",
    "http://me:PASSWORD@proxy:65536",
    "http://me:PASSWORD@",
    "http://me:PASS#WORD@proxy:1",
    "http://me:PASSWORD@[::1:1",
    f"http://me:PASSWORD@{'a' * 70}:1",
    "me:PASSWORD@proxy:port",
]


@pytest.mark.parametrize(
    ("form", "address", "variable"), crossed(READING, BROKEN, ["http_proxy", "HTTP_PROXY"]), ids=str
)
def test_an_address_that_is_none_is_told_by_its_variable_and_without_its_password(form, address, variable, environment):
    environment.setenv(variable, address)
    refused(form, variable)


@pytest.mark.parametrize(("kind", "address"), crossed(KINDS, BROKEN), ids=str)
def test_a_proxy_for_all_schemes_is_told_by_its_variable(kind, address, environment):
    environment.setenv("all_proxy", address)
    refused(kind, "all_proxy", asked("https"))


@pytest.mark.parametrize(
    ("kind", "address"), crossed(KINDS, ["ftp://me:PASSWORD@proxy:1", "://me:PASSWORD@proxy:1"]), ids=str
)
def test_a_proxy_of_an_odd_kind_is_told(kind, address, environment):
    environment.setenv("http_proxy", address)
    assert "HTTP" in refused(kind, "http_proxy")


@pytest.mark.parametrize(("kind", "scheme"), crossed(KINDS, ["socks5", "socks5h", "socks4", "SOCKS5"]), ids=str)
def test_a_socks_proxy_without_its_package_is_told_with_what_to_install(kind, scheme, environment):
    environment.setattr(proxies, "find_spec", lambda name: None)
    environment.setenv("http_proxy", f"{scheme}://me:PASSWORD@127.0.0.1:1")
    told = refused(kind, "http_proxy")
    if kind.name == "requests" or (kind.name != "aiohttp" and scheme != "socks4"):
        assert f"pip install {kind.name}[socks]" in told


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name.startswith("httpx")], ids=str)
def test_a_kind_of_socks_that_httpx_does_not_speak_is_told_with_those_that_it_speaks(kind, environment):
    environment.setattr(proxies, "find_spec", lambda name: name)
    environment.setenv("http_proxy", "socks4://me:PASSWORD@127.0.0.1:1")
    assert "SOCKS (socks5, socks5h)" in refused(kind, "http_proxy")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name.startswith("httpx")], ids=str)
def test_an_address_that_the_library_alone_refuses_is_told_without_what_it_says(kind, environment):
    environment.setenv("http_proxy", "http://me:PASSWORD@☃.example:1")
    assert f"{kind.name} does not take it" in refused(kind, "http_proxy")


@pytest.mark.network
@on_every_kind
def test_what_is_broken_and_not_asked_for_is_no_matter(kind, environment):
    environment.setenv("http_proxy", BROKEN[0])
    with ScriptedServer() as server:
        (answer,) = sent(kind, Request("GET", server.url, "/", timeout=5.0), trust_env=False)
        assert answer.status == 200
        environment.setenv("no_proxy", "*")
        (answer,) = sent(kind, Request("GET", server.url, "/", timeout=5.0))
        assert answer.status == 200


@pytest.mark.network
@pytest.mark.parametrize(
    ("form", "prefix"),
    crossed(
        [form for form in READING if str(form) != "aiohttp async yours"], ["me:PASSWORD@", "", "http://me:PASSWORD@"]
    ),
    ids=str,
)
def test_a_proxy_is_used_with_its_credentials_whether_its_scheme_is_given_or_not(form, prefix, environment):
    with ScriptedServer() as proxy:
        environment.setenv("http_proxy", prefix + proxy.url.removeprefix("http://"))
        (answer,) = sent(form)
        assert answer.status == 200
        (received,) = proxy.received
        assert received.startswith(b"GET http://server.invalid/ HTTP/1.1\r\n")
        assert (b"bWU6UEFTU1dPUkQ=" in received) is ("PASSWORD" in prefix)


def test_a_session_of_the_users_with_a_broken_proxy_is_told():
    (form,) = (form for form in FORMS if str(form) == "requests sync yours")
    with pytest.raises(ConfigurationError, match="the proxy in your session cannot be used") as caught:
        form.send(asked(), proxies={"http": "http://me:PASSWORD@proxy:port"})
    assert "PASSWORD" not in str(caught.value)


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "Http_Proxy"])
def test_a_variable_is_named_as_it_was_spelt(variable, environment):
    environment.setenv(variable, "http://proxy:1")
    assert proxies.proxy_from_env("http://server") == Proxy("http://proxy:1", variable)


def test_what_is_no_variable_is_named_as_the_systems_and_passed_by_the_systems_rules(environment):
    environment.setattr("urllib.request.getproxies", lambda: {"https": "http://proxy:1"})
    environment.setattr("urllib.request.proxy_bypass", lambda host: host == "passed.example")
    assert proxies.proxy_from_env("https://server") == Proxy("http://proxy:1", "the system's settings for https")
    assert proxies.proxy_from_env("https://passed.example") is None
    assert proxies.proxy_from_env("http://server") is None


# ---- NO_PROXY -------------------------------------------------------------------------------------------------------

COVERED = [
    ("http://127.0.0.1:9100", "127.0.0.1"),
    ("http://127.0.0.1:9100", "127.0.0.1,::1/128"),
    ("http://127.0.0.1:9100", "127.0.0.0/8"),
    ("http://127.1.2.3", "127.0.0.1/8"),
    ("http://10.1.2.3", "10.0.0.0/255.0.0.0"),
    ("http://127.0.0.1:9100", "127.0.0.1:9100"),
    ("http://127.0.0.1", "127.0.0.1:80"),
    ("https://server", "server:443"),
    ("http://[::1]:9100", "::1"),
    ("http://[::1]:9100", "[::1]"),
    ("http://[::1]:9100", "[::1]:9100"),
    ("http://[::1]", "0:0:0:0:0:0:0:1"),
    ("http://[::1]:9100", "::1/128"),
    ("http://[fe80::7]", "fe80::/10"),
    ("http://[fe80::7]", "[fe80::]/10"),
    ("http://api.example.com", "example.com"),
    ("http://example.com", ".example.com"),
    ("http://api.example.com", "*.example.com"),
    ("http://api.example.com", "EXAMPLE.com."),
    ("http://server", "other , server"),
    ("http://server", "other server"),
    ("http://server", "*"),
    ("http://server", "other,*"),
    ("http://server", "http://server"),
    ("http://server", "all://server"),
]
NOT_COVERED = [
    ("http://127.0.0.1:9100", ""),
    ("http://127.0.0.1:9100", ",, ,"),
    ("http://127.0.0.1:9100", "::1/128"),
    ("http://127.0.0.1:9100", "fe80::/10"),
    ("http://127.0.0.1:9100", "[::1]"),
    ("http://127.0.0.1:9100", "localhost"),
    ("http://127.0.0.1:9100", "127.0.0.1:9101"),
    ("http://127.0.0.1:9100", "127.0.0.0/33"),
    ("http://127.0.0.1:9100", "128.0.0.0/8"),
    ("http://127.0.0.1:9100", "http://[::1"),
    ("http://localhost:9100", "127.0.0.0/8"),
    ("http://[::1]:9100", "127.0.0.0/8"),
    ("http://[::1]:9100", "[::1]:9101"),
    ("http://wwwexample.com", "example.com"),
    ("http://server", "."),
    ("http://server", "*."),
    ("http://server", "https://server"),
    ("http://server", "server:port"),
    ("https://server", "server:80"),
]


@pytest.mark.parametrize(("origin", "entries"), COVERED)
def test_what_an_entry_of_no_proxy_covers(origin, entries):
    assert proxies.matches_no_proxy(origin, entries)


@pytest.mark.parametrize(("origin", "entries"), NOT_COVERED)
def test_what_an_entry_of_no_proxy_does_not_cover(origin, entries):
    assert not proxies.matches_no_proxy(origin, entries)


@pytest.mark.network
@pytest.mark.parametrize(
    ("kind", "entries"),
    crossed(
        KINDS, ["127.0.0.1,::1/128", "fe80::/10,127.0.0.0/8", "[::1],127.0.0.1", "http://[::1,127.0.0.0/8", "127.*,*"]
    ),
    ids=str,
)
def test_every_transport_passes_the_proxy_by_the_same_rule(kind, entries, environment):
    environment.setenv("NO_PROXY", entries)
    with ScriptedServer() as server, Refuse() as proxy:
        asked = Request("GET", server.url, "/", timeout=5.0)
        (answer,) = sent(kind, asked)
        assert answer.status == 200
        for address in (proxy.url, "socks://127.0.0.1:1", BROKEN[0]):
            environment.setenv("ALL_PROXY", address)
            (answer,) = sent(kind, asked)
            assert answer.status == 200


@pytest.mark.network
@on_every_kind
def test_a_proxy_for_another_scheme_is_no_matter(kind, environment):
    environment.setenv("HTTPS_PROXY", "socks://me:PASSWORD@127.0.0.1:1")
    with ScriptedServer() as server:
        (answer,) = sent(kind, Request("GET", server.url, "/", timeout=5.0))
        assert answer.status == 200
    refused(kind, "HTTPS_PROXY", asked("https"))


@pytest.mark.network
@on_every_kind
def test_one_transport_sends_to_one_origin_by_the_proxy_and_to_another_past_it(kind, environment):
    environment.setenv("NO_PROXY", "127.0.0.0/8")
    with ScriptedServer() as server, ScriptedServer() as proxy:
        environment.setenv("HTTP_PROXY", proxy.url)
        direct = Request("GET", server.url, "/direct", timeout=5.0)
        answers = sent(kind, asked(), direct, asked(), direct)
        assert [answer.status for answer in answers] == [200] * 4
        assert [len(proxy.received), len(server.received)] == [2, 2]


# ---- a proxy that fails ---------------------------------------------------------------------------------------------


def failed_by(outcome):
    """Everything that the error says; the password is in none of it, nor in what caused it."""
    told, error = outcome.message, outcome
    while error is not None:
        assert "PASSWORD" not in f"{error!s}{error!r}{error.args}{vars(error)}"
        error = error.__cause__ or error.__context__
    assert "PASSWORD" not in "".join(traceback.format_exception(outcome))
    return told


@pytest.mark.network
@pytest.mark.parametrize(
    ("form", "variable", "scheme"),
    crossed(
        [form for form in READING if str(form) != "aiohttp async yours"],
        ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"],
        ["http", "https"],
    ),
    ids=str,
)
def test_a_dead_proxy_is_named_with_its_variable_and_without_its_password(form, variable, scheme, environment):
    scheme = {"http_proxy": "http", "https_proxy": "https"}.get(variable.lower(), scheme)
    with Refuse() as proxy:
        environment.setenv(variable, proxy.url.replace("//", "//me:PASSWORD@"))
        (error,) = sent(form, asked(scheme))
    told = failed_by(error)
    assert told.startswith(f"no connection to {scheme}://server.invalid through the proxy {proxy.url} of {variable}: ")
    assert (error.cause, error.maybe_sent, error.argument) == ("connect", False, None)
    assert error.hint == (
        f"is the proxy running, and does it let you through? Correct {variable}, or list the server's host in "
        "NO_PROXY to go without it"
    )


@pytest.mark.network
def test_a_dead_proxy_of_a_session_of_aiohttp_that_reads_the_environment_is_named_too(environment):
    (form,) = (form for form in READING if str(form) == "aiohttp async yours")
    with Refuse() as proxy:
        environment.setenv("HTTP_PROXY", proxy.url.replace("//", "//me:PASSWORD@"))
        (error,) = sent(form)
    assert f"through the proxy {proxy.url} of HTTP_PROXY" in error.message
    assert "PASSWORD" not in f"{error}{error.hint}"


@pytest.mark.network
@on_every_kind
def test_a_dead_proxy_of_the_options_is_named_by_its_option(kind):
    with Refuse() as proxy:
        (error,) = kind.send(asked(), proxy=proxy.url.replace("//", "//me:PASSWORD@"))
    assert f"through the proxy {proxy.url} of transport_options.proxy: " in failed_by(error)
    assert error.argument == "transport_options.proxy"
    assert error.hint.endswith("Correct transport_options.proxy, or leave it out to go without it")


@pytest.mark.network
@pytest.mark.parametrize(
    ("kind", "step"), crossed(KINDS, [Answer(403), Answer(407), CloseAfterReading(), Garbage()]), ids=str
)
def test_a_proxy_that_makes_no_tunnel_is_named(kind, step, environment):
    with ScriptedServer(step) as proxy:
        environment.setenv("HTTPS_PROXY", proxy.url.replace("//", "//me:PASSWORD@"))
        (error,) = sent(kind, asked("https"))
        assert f"through the proxy {proxy.url} of HTTPS_PROXY" in failed_by(error)


@pytest.mark.slow
@pytest.mark.network
@on_every_kind
def test_a_proxy_that_does_not_answer_in_time_is_named(kind, environment):
    with ScriptedServer(Stall()) as proxy:
        environment.setenv("HTTP_PROXY", proxy.url)
        (error,) = sent(kind, Request("GET", "http://server.invalid", "/", timeout=0.2))
        proxy.end_pauses()
    assert error.cause == "timeout"
    assert f"through the proxy {proxy.url} of HTTP_PROXY" in error.message


@pytest.mark.slow
@pytest.mark.network
@on_every_kind
def test_a_proxy_that_is_not_reached_in_time_is_named_with_what_to_do(kind, environment):
    with deaf_address() as address:
        environment.setenv("HTTP_PROXY", address.replace("//", "//me:PASSWORD@"))
        (error,) = sent(kind, Request("GET", "http://server.invalid", "/", timeout=0.3))
    assert f"through the proxy {address} of HTTP_PROXY" in failed_by(error)
    assert (error.cause, error.maybe_sent) == ("timeout", False)
    assert "Correct HTTP_PROXY" in error.hint


@pytest.mark.network
@on_every_kind
def test_a_proxy_over_tls_that_does_not_speak_it_is_named_with_what_to_write(kind, environment):
    with ScriptedServer() as proxy:
        address = proxy.url.replace("http:", "https:")
        environment.setenv("HTTP_PROXY", address.replace("//", "//me:PASSWORD@"))
        (error,) = sent(kind)
    assert f"through the proxy {address} of HTTP_PROXY: " in failed_by(error)
    assert error.hint.endswith("if it does not speak TLS itself, write http:// in HTTP_PROXY")


@pytest.mark.network
@on_every_kind
def test_a_certificate_that_a_proxy_shows_is_named_as_the_proxys(kind, authority, environment):
    with TlsServer(authority) as server, Tunnel(int(server.url.rpartition(":")[2])) as proxy:
        address = f"http://127.0.0.1:{proxy.port}"
        environment.setenv("HTTPS_PROXY", address.replace("//", "//me:PASSWORD@"))
        (error,) = sent(kind, asked("https"))
    assert f"through the proxy {address} of HTTPS_PROXY" in failed_by(error)
    assert "CERTIFICATE_VERIFY_FAILED" in error.message
    assert error.hint.startswith("if the proxy has its own certificate, name its authority by SSL_CERT_FILE")


@pytest.mark.network
@on_every_kind
def test_a_proxy_of_the_environment_over_tls_is_trusted_as_the_server_is(kind, authority, environment):
    with TlsServer(authority) as proxy:
        environment.setenv("HTTP_PROXY", proxy.url)
        (answer,) = sent(kind, ca_bundle=authority.ca)
        assert answer.status == 200

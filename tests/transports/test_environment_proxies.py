"""The proxies that the environment names: used, or told by their variable, and never by their password."""

from __future__ import annotations

import os
import traceback

import pytest

from memtrace.exceptions import ConfigurationError
from memtrace.transport import Request
from memtrace_transports._checks import proxies
from tests.sampling import crossed
from tests.transports.kinds import FORMS, KINDS, on_every_kind
from tests.transports.scripted import ScriptedServer

READING = [form for form in FORMS if "yours" not in str(form) or form.name in ("aiohttp", "requests")]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    return monkeypatch


def asked(scheme="http"):
    return Request("GET", f"{scheme}://server.invalid", "/", timeout=5.0)


def sent(form, request=None, **options):
    settings = {"trust_env": True} if str(form) == "aiohttp async yours" else {}
    return form.send(request or asked(), **settings, **options)


def refused(form, variable, request=None):
    with pytest.raises(ConfigurationError) as caught:
        sent(form, request)
    error = caught.value
    assert error.message.startswith(f"the proxy in {variable} cannot be used: ")
    told = "\n".join(traceback.format_exception(error))
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
    if kind.name != "aiohttp":
        assert f"pip install {kind.name}[socks]" in told


THE_ENVIRONMENT = "the environment (http_proxy, https_proxy, all_proxy or no_proxy)"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name.startswith("httpx")], ids=str)
def test_a_kind_of_proxy_that_httpx_alone_refuses_is_told_without_what_it_says(kind, environment):
    environment.setattr(proxies, "find_spec", lambda name: name)
    environment.setenv("http_proxy", "socks4://me:PASSWORD@127.0.0.1:1")
    refused(kind, THE_ENVIRONMENT)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name == "httpx"], ids=str)
def test_a_no_proxy_that_httpx_cannot_read_is_told(kind, environment):
    environment.setenv("no_proxy", "http://[::1")
    refused(kind, THE_ENVIRONMENT)


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
    assert proxies.proxy_from_env("http://server") == (variable, "http://proxy:1")


def test_what_is_no_variable_is_named_as_the_systems(environment):
    environment.setattr("urllib.request.getproxies", lambda: {"https": "http://proxy:1"})
    assert proxies.proxy_from_env("https://server") == ("the system's settings for https", "http://proxy:1")
    assert proxies.proxy_from_env("http://server") is None

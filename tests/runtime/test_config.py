"""Arguments over the environment over defaults; whatever is wrong is told before anything is sent."""

import inspect
import pickle
from functools import partial

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from memtrace._runtime.config import (
    DEFAULT_TIMEOUT,
    UNSET,
    BaseUrl,
    Unset,
    check_key,
    check_timeout,
    parse_base_url,
)
from memtrace.async_client import AsyncMemtrace
from memtrace.client import Memtrace
from memtrace.clock import SystemClock
from memtrace.exceptions import ConfigurationError
from memtrace.transport._header_rules import check_headers
from tests.conftest import AsyncScript, Script, StoppedClock
from tests.dealing import FACES, dealt
from tests.sampling import crossed

#: Cases of a test with the fixture `make`, each for one of the clients.
by_client = partial(dealt, "make", FACES)


@pytest.fixture(params=FACES)
def make(request):
    """Makes a client of either kind and gives its settings."""

    def made(*arguments, **settings):
        if request.param == "sync":
            return Memtrace(*arguments, **{"transport": Script(), **settings})
        return AsyncMemtrace(*arguments, **{"transport": AsyncScript(), **settings})

    return made


def settings_of(client):
    return client._dispatcher.settings


# ---- where settings come from


def test_arguments_are_enough(make):
    settings = settings_of(make("http://server", "key"))
    assert (str(settings.base_url), settings.api_key, settings.timeout) == ("http://server", "key", 30.0)
    assert (settings.middleware, settings.attempt_middleware, settings.headers) == ((), (), ())
    assert isinstance(settings.clock, SystemClock)


def test_the_environment_is_enough(make, monkeypatch):
    monkeypatch.setenv("MEMTRACE_BASE_URL", "http://from-environment")
    monkeypatch.setenv("MEMTRACE_API_KEY", "environments")
    monkeypatch.setenv("MEMTRACE_TIMEOUT", "2.5")
    settings = settings_of(make())
    assert (str(settings.base_url), settings.api_key, settings.timeout) == (
        "http://from-environment",
        "environments",
        2.5,
    )


def test_arguments_win_over_the_environment(make, monkeypatch):
    for name in ("BASE_URL", "API_KEY", "TIMEOUT"):
        monkeypatch.setenv(f"MEMTRACE_{name}", "bad \n value")
    settings = settings_of(make("http://server", "key", timeout=7))
    assert (str(settings.base_url), settings.api_key, settings.timeout) == ("http://server", "key", 7.0)


def test_an_explicit_default_wins_over_the_environment_too(make, monkeypatch):
    monkeypatch.setenv("MEMTRACE_TIMEOUT", "5")
    assert settings_of(make("http://server", "key", timeout=30.0)).timeout == 30.0
    assert settings_of(make("http://server", "key", timeout=None)).timeout is None
    assert settings_of(make("http://server", "key")).timeout == 5.0


def test_a_copy_that_is_given_the_default_of_the_constructor_keeps_its_own(make):
    client = make("http://server", "key", timeout=7)
    assert settings_of(client.with_options(timeout=DEFAULT_TIMEOUT)).timeout == 7
    assert settings_of(client.with_options(timeout=30.0)).timeout == 30


def test_an_empty_timeout_in_the_environment_is_none_at_all(make, monkeypatch):
    monkeypatch.setenv("MEMTRACE_TIMEOUT", "")
    timeout = settings_of(make("http://server", "key")).timeout
    assert (timeout, type(timeout)) == (DEFAULT_TIMEOUT, float) == (30.0, float)


@pytest.mark.parametrize("client", [Memtrace, AsyncMemtrace])
def test_the_default_shows_in_signatures_as_a_number(client):
    assert str(inspect.signature(client).parameters["timeout"].default) == "30.0"


WITHOUT_A_SERVER = (
    "to begin without a server, take sqlite:///agent.db, which keeps everything in that file, or memory:// for a test"
)


@by_client(("argument", "variable"), [("base_url", "MEMTRACE_BASE_URL"), ("api_key", "MEMTRACE_API_KEY")])
def test_what_is_missing_or_empty_is_named_with_argument_and_variable(make, monkeypatch, argument, variable):
    given = {"base_url": "http://server", "api_key": "key"}
    del given[argument]
    noun = {"base_url": "the base URL", "api_key": "the API key"}[argument]
    place = rf".argument: {argument}, or {variable}; docs: https://\S+/errors/[a-z_]+.md."
    with pytest.raises(ConfigurationError, match=f"^{noun} is missing {place}") as missing:
        make(**given)
    with pytest.raises(ConfigurationError, match=f"^{noun} is empty {place}") as empty:
        make(**given, **{argument: ""})
    for raised in (missing.value, empty.value):
        assert (raised.argument, raised.hint) == (argument, WITHOUT_A_SERVER)
    monkeypatch.setenv(variable, "")
    with pytest.raises(ConfigurationError, match=f"^{noun} is empty"):
        make(**given)
    with pytest.raises(ConfigurationError, match=f"^{noun} must be a string, not int {place}"):
        make(**given, **{argument: 5})


@by_client("text", ["soon", "5s", "1,5", "0x5"])
def test_a_timeout_of_the_environment_that_is_no_number_is_told(make, monkeypatch, text):
    monkeypatch.setenv("MEMTRACE_TIMEOUT", text)
    with pytest.raises(ConfigurationError, match="MEMTRACE_TIMEOUT is not a number of seconds .argument: timeout, or"):
        make("http://server", "key")


@by_client("text", ["0", "-1", "nan", "inf", "1e400"])
def test_a_timeout_of_the_environment_out_of_bounds_is_told(make, monkeypatch, text):
    monkeypatch.setenv("MEMTRACE_TIMEOUT", text)
    with pytest.raises(
        ConfigurationError, match=r"^the timeout must be .*\(argument: timeout, or MEMTRACE_TIMEOUT; docs: "
    ):
        make("http://server", "key")


# ---- timeouts


@pytest.mark.parametrize(("value", "kept"), [(None, None), (1, 1.0), (0.001, 0.001), (86_400, 86_400.0)])
def test_good_timeouts(value, kept):
    assert check_timeout(value) == kept
    assert type(check_timeout(value)) in (float, type(None))


@pytest.mark.parametrize(
    "value", [0, -1, 0.0, float("nan"), float("inf"), True, False, "30", 10**400, 1e300, 1j, [], ...], ids=repr
)
def test_bad_timeouts(value):
    with pytest.raises(ConfigurationError, match="^the timeout must be a number of seconds above 0"):
        check_timeout(value)


# ---- keys


@pytest.mark.parametrize("key", ["k", "mtk_abc-123", "with space", "!~", "x" * 5000])
def test_good_keys(key):
    assert check_key(key) == key


@pytest.mark.parametrize("key", ["k\n", "k\r\nx-evil: 1", " k", "k ", "\t", "é", "k\x00", "k\x7f", "a\tb"])
def test_bad_keys_are_refused_and_not_repeated(key):
    with pytest.raises(ConfigurationError, match="^the API key cannot be sent") as caught:
        check_key(f"planted{key}" if not key.startswith(" ") else key)
    assert "planted" not in str(caught.value)
    assert "strip it" in caught.value.hint
    assert caught.value.argument == "api_key"


def test_an_empty_key_is_called_empty(make):
    with pytest.raises(ConfigurationError, match="the API key is empty"):
        make("http://server", "key").with_options(api_key="")


def test_a_key_that_is_no_text_is_refused(make):
    client = make("http://server", "key")
    for key in (None, 5, b"key"):
        with pytest.raises(ConfigurationError, match="the API key must be a string, not"):
            client.with_options(api_key=key)


# ---- headers


def test_good_headers():
    assert check_headers(None) == ()
    assert check_headers({}) == ()
    assert check_headers({"X-A": "1", "x-empty": "", "x-tab": "a\tb"}) == (
        ("X-A", "1"),
        ("x-empty", ""),
        ("x-tab", "a\tb"),
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", "x"),
        ("a b", "x"),
        ("a:", "x"),
        ("é", "x"),
        ("a\n", "x"),
        ("x", "a\nb"),
        ("x", "a\r\nb"),
        ("x", "a "),
        ("x", "é"),
        ("x", "\x00"),
    ],
)
def test_headers_that_cannot_be_sent_are_refused_without_their_value(name, value):
    with pytest.raises(ConfigurationError, match=r"^headers\[.*\] cannot be sent") as caught:
        check_headers({name: f"planted{value}" if name == "x" else value})
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["x-api-key", "X-API-Key", "Content-Type", "content-length", "Host", "Transfer-Encoding"]
)
def test_headers_that_others_set_are_refused(name):
    with pytest.raises(ConfigurationError, match=rf"headers\['{name}'\] cannot be set: "):
        check_headers({name: "x"})


@pytest.mark.parametrize("headers", [[("a", "b")], "a: b", 5, {"a": 1}, {"a": None}, {5: "x"}, {"a": b"x"}], ids=repr)
def test_what_is_no_mapping_of_texts_is_refused(headers):
    with pytest.raises(ConfigurationError, match="^headers"):
        check_headers(headers)


# ---- middleware


def passes(request, call_next):
    return (yield from call_next(request))


class Passes:
    def __call__(self, request, call_next):
        return passes(request, call_next)


def middleware_of(settings, argument):
    return [link.middleware for link in getattr(settings, argument)]


@pytest.mark.parametrize("argument", ["middleware", "attempt_middleware"])
def test_middleware_are_kept_in_order(make, argument):
    chosen = [passes, Passes(), passes]
    settings = settings_of(make("http://server", "key", **{argument: chosen}))
    assert middleware_of(settings, argument) == chosen


@pytest.mark.parametrize("argument", ["middleware", "attempt_middleware"])
@by_client(
    "given",
    [passes, "timer", 5, None, {passes}, iter([passes])],
    ids=["function", "text", "number", "None", "set", "iterator"],
)
def test_middleware_must_be_a_list_or_tuple(make, argument, given):
    with pytest.raises(ConfigurationError, match=f"^{argument} must be a list or tuple of middleware"):
        make("http://server", "key", **{argument: given})


@pytest.mark.parametrize("argument", ["middleware", "attempt_middleware"])
@by_client("wrong", [5, None, Passes, object()], ids=["number", "None", "class", "object"])
def test_what_cannot_be_called_is_refused_by_its_place(make, argument, wrong):
    with pytest.raises(ConfigurationError, match=rf"^{argument}\[1\] cannot be called with \(request, call_next\)"):
        make("http://server", "key", **{argument: [passes, wrong]})


def test_an_unknown_name_of_a_middleware_is_told(make):
    with pytest.raises(ConfigurationError, match=r"^middleware\[1\]: no middleware is named 'nope'"):
        make("http://server", "key", middleware=[passes, "nope"])


# ---- changed copies


def test_what_is_given_replaces_and_the_rest_stays(make):
    clock = StoppedClock()
    client = make("http://server/v1", "key", timeout=3, headers={"x": "1"}, middleware=[passes], clock=clock)
    before = settings_of(client)
    after = settings_of(
        client.with_options(api_key="other", timeout=None, headers={}, middleware=(), attempt_middleware=[passes])
    )
    assert (after.api_key, after.timeout, after.headers, after.middleware) == ("other", None, (), ())
    assert middleware_of(after, "attempt_middleware") == [passes]
    assert (after.base_url, after.clock) == (before.base_url, clock)
    assert settings_of(client.with_options()) == before
    assert settings_of(client) is before


@by_client(
    "wrong",
    [{"api_key": "k\n"}, {"timeout": 0}, {"headers": {"host": "x"}}, {"middleware": [5]}, {"attempt_middleware": "x"}],
    ids=repr,
)
def test_changes_are_checked_alike(make, wrong):
    client = make("http://server", "key")
    with pytest.raises(ConfigurationError):
        client.with_options(**wrong)


def test_unset_says_what_it_is():
    assert repr(UNSET) == "UNSET"
    assert isinstance(UNSET, Unset)


def test_settings_do_not_show_key_and_headers():
    text = repr(settings_of(Memtrace("http://server", "planted", headers={"x": "planted"}, transport=Script())))
    assert "planted" not in text


# ---- base URLs


@pytest.mark.parametrize(
    ("text", "transport", "origin", "path"),
    [
        ("http://server", None, "http://server", ""),
        ("http://server/", None, "http://server", ""),
        ("HTTP://Server.Example:80/", None, "http://server.example", ""),
        ("https://server:443", None, "https://server", ""),
        ("https://server:80/v1//", None, "https://server:80", "/v1"),
        ("http://server:9100/a/b%2Fc/", None, "http://server:9100", "/a/b%2Fc"),
        ("http://127.0.0.1:9100", None, "http://127.0.0.1:9100", ""),
        ("http://[::1]:9100", None, "http://[::1]:9100", ""),
        ("http://[::1]", None, "http://[::1]", ""),
        ("http://[0:0::0:1]:80", None, "http://[::1]", ""),
        ("http://müller.example/x", None, "http://xn--mller-kva.example", "/x"),
        ("http://under_score.example.", None, "http://under_score.example.", ""),
        ("http://server:", None, "http://server", ""),
        ("httpx+https://server", "httpx", "https://server", ""),
        ("my.own-one+http://server:1/x", "my.own-one", "http://server:1", "/x"),
        ("memory://", "memory", "memory://", ""),
        ("memory:///", "memory", "memory://", ""),
        ("Memory://", "memory", "memory://", ""),
        ("other://place/1/", "other", "other://place/1", ""),
        ("own+other://place?x=1", "own", "other://place?x=1", ""),
    ],
)
def test_good_base_urls(text, transport, origin, path):
    assert parse_base_url(text) == BaseUrl(transport, origin, path)
    assert str(parse_base_url(text)) == origin + path


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("server", "scheme"),
        ("server:9100", "scheme"),
        ("//server", "scheme"),
        ("http:/server", "scheme"),
        ("http//server", "scheme"),
        ("1http://server", "scheme"),
        ("a+b+http://server", "scheme"),
        ("http://", "no host"),
        ("http:///path", "no host"),
        ("http://:9100", "no host"),
        ("http://server:x", "host or port"),
        ("http://server:65536", "host or port"),
        ("http://server:-1", "host or port"),
        ("http://[::1", "host or port"),
        ("http://[nope]", "host or port"),
        ("http://[1:2]", "host or port"),
        ("http://[127.0.0.1]", "host or port"),
        ("http://[::1%25eth0]", "host or port"),
        ("http://a[::1]", "host or port"),
        ("http://a b", "white space"),
        ("http://a\\b", "backslash"),
        ("http://a\tb", "white space"),
        ("http://server/\x7f", "control character"),
        ("http://a..b", "host or port"),
        ("http://.a", "host or port"),
        ("http://" + "a" * 64, "host or port"),
        ("http://a,b", "host or port"),
        ("http://user\udcff:planted@server", "half of a Unicode character"),
        ("http://a%41", "host or port"),
        ("pigeon://user:planted@server", "credentials"),
        ("memory://shared", "never share"),
        ("http://server?x=1", "query or a fragment"),
        ("http://server/?", "query or a fragment"),
        ("http://server/x#y", "query or a fragment"),
        ("http://server/#", "query or a fragment"),
        ("http://server/é", "percent-encode"),
        ("memory://é", "not ASCII"),
        ("memory://a b", "white space"),
        ("memory://a\x7f", "control character"),
    ],
)
def test_bad_base_urls_are_told(text, problem):
    with pytest.raises(ConfigurationError, match="^the base URL is not a valid address: ") as caught:
        parse_base_url(text)
    assert problem in caught.value.message
    assert caught.value.argument == "base_url"
    assert "planted" not in str(caught.value)
    assert "http://localhost:9100" in caught.value.hint


ADDRESSES = ["{}://host", "{}://host:9100/path", "{}://", "{}+ftp://host", "{}+{}://host", "own+{}://host"]


@by_client(("name", "text"), crossed(["aiohttp", "httpx", "httpx2", "requests"], ADDRESSES))
def test_a_transport_that_speaks_http_does_not_stand_in_the_place_of_http(make, name, text):
    url = text.replace("{}", name)
    scheme = url.partition("://")[0].rpartition("+")[2]
    with pytest.raises(
        ConfigurationError, match=f"the transport '{name}' sends to http:// and https:// only, not to {scheme}://"
    ) as caught:
        make(url, "key")
    assert caught.value.hint == f"write {name}+https://host, or {name}+http://host"


def test_the_name_of_a_transport_in_the_place_of_http_is_told_in_any_case():
    with pytest.raises(ConfigurationError, match="the transport 'httpx' sends to"):
        parse_base_url("HTTPX://host")


pieces = st.sampled_from(
    [
        "http",
        "https",
        "+",
        "://",
        "/",
        ":",
        "@",
        "[",
        "]",
        "?",
        "#",
        "%",
        ".",
        "é",
        "a",
        "1",
        "\\",
        "::1",
        "xn--",
        "\u3002",
        "ß",
    ]
)


@given(
    st.one_of(
        st.text(max_size=30), st.lists(pieces, max_size=12).map("".join), st.text(max_size=20).map("http://{}".format)
    )
)
@example("http://[::1%25eth0]")
@example("http://\u2100")
def test_whatever_the_text_is_only_a_configuration_error_comes_out(text):
    try:
        url = parse_base_url(text)
    except ConfigurationError:
        return
    assert str(url).isascii()
    again = parse_base_url(str(url))
    assert (again.origin, again.path) == (url.origin, url.path)


@given(st.text(max_size=20))
def test_whatever_the_key_is_only_a_configuration_error_comes_out(key):
    try:
        assert check_key(key) == key
    except ConfigurationError:
        assert not key or not key.isascii() or not key.isprintable() or key != key.strip()


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3))
def test_whatever_the_headers_are_only_a_configuration_error_comes_out(headers):
    try:
        assert dict(check_headers(headers)) == headers
    except ConfigurationError as error:
        assert error.message.startswith("headers[")


@given(st.one_of(st.integers(), st.floats(), st.none(), st.text(max_size=3), st.booleans()))
def test_whatever_the_timeout_is_only_a_configuration_error_comes_out(value):
    try:
        kept = check_timeout(value)
    except ConfigurationError:
        return
    assert kept is None or kept > 0


def test_a_configuration_error_pickles():
    with pytest.raises(ConfigurationError) as caught:
        parse_base_url("nope")
    assert pickle.loads(pickle.dumps(caught.value)).hint == caught.value.hint


@by_client(
    ("credentials", "header"),
    [("user:p%40ss", "Basic dXNlcjpwQHNz"), ("user", "Basic dXNlcjo="), (":", "Basic Og=="), ("é:x", "Basic w6k6eA==")],
)
def test_credentials_in_the_address_are_sent_to_the_proxy_in_front_and_never_shown(make, credentials, header):
    client = make(f"http://{credentials}@server/path", "key")
    assert settings_of(client).base_url.authorization == header
    assert settings_of(client).base_url.origin == "http://server"
    assert header not in repr(client) + repr(settings_of(client))


@pytest.mark.parametrize("url", ["http://localhost:9100\n", " http://localhost:9100", "memory:// "])
def test_stray_white_space_around_a_base_url_is_named(url):
    with pytest.raises(ConfigurationError, match="it has white space at an end") as caught:
        Memtrace(url, "key")
    assert "strip it" in caught.value.hint


@pytest.mark.parametrize("make", [Memtrace, AsyncMemtrace])
@pytest.mark.parametrize(
    "url", ["http://localhost:9100\n", "\thttp://localhost:9100", "httpx+http://localhost:9100\r\n"]
)
def test_stray_white_space_around_the_variable_of_the_base_url_is_named(make, url, monkeypatch):
    monkeypatch.setenv("MEMTRACE_BASE_URL", url)
    with pytest.raises(ConfigurationError, match="it has white space at an end") as caught:
        make(api_key="key")
    assert "MEMTRACE_BASE_URL" in str(caught.value)


@by_client(
    ("given", "argument"),
    [
        ({"timeout": "3s"}, "timeout"),
        ({"timeout": -1}, "timeout"),
        ({"api_key": ""}, "api_key"),
        ({"api_key": "key\n"}, "api_key"),
        ({"api_key": 5}, "api_key"),
        ({"api_key": None}, "api_key"),
    ],
)
def test_what_with_options_refuses_is_an_argument_and_no_variable(make, monkeypatch, given, argument):
    monkeypatch.setenv("MEMTRACE_TIMEOUT", "5")
    with pytest.raises(
        ConfigurationError, match=rf"\(argument: {argument}; docs: https://\S+/errors/configuration.md\)"
    ) as caught:
        make("http://server", "key").with_options(**given)
    assert caught.value.argument == argument


@by_client(
    ("argument", "value"),
    [
        ("deadline", "3s"),
        ("retry", 3),
        ("dedup", "often"),
        ("middleware", "logging"),
        ("attempt_middleware", [3]),
        ("headers", "x: y"),
    ],
)
def test_with_options_names_every_other_argument(make, argument, value):
    with pytest.raises(ConfigurationError) as caught:
        make("http://server", "key").with_options(**{argument: value})
    assert argument in caught.value.argument
    assert argument in str(caught.value)
    assert "MEMTRACE_" not in str(caught.value)

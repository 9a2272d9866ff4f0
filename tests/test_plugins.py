"""Plugins as people install them: little distributions on the path, found and loaded for real."""

import importlib
import sys
import textwrap
from importlib import metadata

import pytest

from memtrace.async_client import AsyncMemtrace
from memtrace.client import Memtrace
from memtrace.exceptions import ConfigurationError, TransportNotAvailableError
from memtrace.plugins import (
    API_VERSION,
    MiddlewareSpec,
    PluginInfo,
    Registry,
    Selection,
    TransportSpec,
    hookimpl,
    middlewares,
    select_transport,
    transports,
)
from memtrace.transport import Response
from tests.conftest import AsyncScript, Script

GOOD = """
    from memtrace.plugins import TransportSpec, hookimpl
    from tests.conftest import AsyncScript, Script

    @hookimpl
    def memtrace_transport():
        return TransportSpec(create=lambda options: Script(), create_async=lambda options: AsyncScript())
"""
MIDDLEWARE = """
    from memtrace.plugins import MiddlewareSpec, hookimpl

    def tag(request, call_next):
        return (yield from call_next(request.with_header("x-tag", "1")))

    @hookimpl
    def memtrace_middleware():
        return MiddlewareSpec(create=lambda: tag)
"""
BUILTIN = {"httpx": "memtrace_transports._httpx", "memory": "memtrace_transports.memory.plugin"}


class Installed:
    """Writes distributions as an installer does and gives registries that have not looked yet."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self.modules = []
        self._monkeypatch = monkeypatch
        monkeypatch.syspath_prepend(folder)

    def add(self, distribution, name, code, *, kind="transport", version="1.0", module=None, attribute=""):
        module = module or f"plugin_of_{distribution.replace('-', '_')}"
        (self.folder / f"{module}.py").write_text(textwrap.dedent(code), encoding="utf-8")
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        group = "memtrace.transports" if kind == "transport" else "memtrace.middleware"
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}{attribute}\n")
        self.modules.append(module)
        importlib.invalidate_caches()
        return module

    def transports(self, builtin=BUILTIN):
        return Registry("transport", "memtrace.transports", TransportSpec, TransportNotAvailableError, dict(builtin))

    def middleware(self):
        return Registry("middleware", "memtrace.middleware", MiddlewareSpec, ConfigurationError, {})

    def everywhere(self):
        """Let the package's own registries look anew, and forget it all after the test."""
        for registry in (transports, middlewares):
            self._monkeypatch.setattr(registry, "_found", None)
            self._monkeypatch.setattr(registry, "_specs", {})


@pytest.fixture
def installed(tmp_path, monkeypatch):
    installed = Installed(tmp_path, monkeypatch)
    yield installed
    for module in installed.modules:
        sys.modules.pop(module, None)


def line_of(listing, distribution):
    (info,) = [info for info in listing if info.distribution == distribution]
    return info


# ---- found and used


def test_a_plugin_is_found_by_its_entry_points_name(installed):
    installed.add("acme-memtrace", "acme", GOOD)
    registry = installed.transports()
    assert "acme" in registry.names()
    spec = registry.get("acme")
    assert isinstance(spec.create(None), Script)
    assert registry.get("acme") is spec


def test_an_entry_point_may_name_an_object_of_a_module(installed):
    code = """
        from memtrace.plugins import TransportSpec, hookimpl

        class Plugin:
            @hookimpl
            def memtrace_transport(self):
                return TransportSpec(create=lambda options: options)

        plugin = Plugin()
    """
    installed.add("acme-memtrace", "acme", code, attribute=":plugin")
    assert installed.transports().get("acme").create(7) == 7


def test_only_the_one_asked_for_is_loaded(installed):
    first = installed.add("acme-one", "one", GOOD)
    second = installed.add("acme-two", "two", "raise AssertionError('nobody asked for me')")
    registry = installed.transports()
    assert {"one", "two"} <= set(registry.names())
    assert first not in sys.modules
    registry.get("one")
    assert first in sys.modules
    assert second not in sys.modules


def test_the_path_is_searched_once(installed, monkeypatch):
    registry, looked = installed.transports(), []
    original = metadata.entry_points
    monkeypatch.setattr(metadata, "entry_points", lambda **given: looked.append(given) or original(**given))
    registry.names()
    registry.names()
    registry.listing()
    assert looked == [{"group": "memtrace.transports"}]


@pytest.mark.parametrize("way", ["argument", "variable", "scheme", "own scheme"])
def test_a_client_chooses_a_plugin_by_argument_variable_or_scheme(installed, monkeypatch, way):
    installed.add("acme-memtrace", "acme", GOOD)
    installed.everywhere()
    if way == "variable":
        monkeypatch.setenv("MEMTRACE_TRANSPORT", "acme")
    url = {"scheme": "acme+http://server", "own scheme": "acme://place"}.get(way, "http://server")
    transport = "acme" if way == "argument" else None
    with Memtrace(url, "key", transport=transport) as client:
        assert client._dispatcher.transport_name == "acme"
        assert isinstance(client._dispatcher._family.transport(client._dispatcher), Script)
    client = AsyncMemtrace(url, "key", transport=transport)
    assert isinstance(client._dispatcher._family.transport(client._dispatcher), AsyncScript)


def test_a_middleware_is_used_by_its_name_and_only_then(installed):
    installed.add("acme-memtrace", "tag", MIDDLEWARE, kind="middleware")
    installed.everywhere()
    transport = Script(
        Response(200, body=b'{"agents": [], "count": 0}'), Response(200, body=b'{"agents": [], "count": 0}')
    )
    Memtrace("http://server", "key", transport=transport, middleware=["tag"]).list_agents()
    Memtrace("http://server", "key", transport=transport).list_agents()
    assert [request.headers.get("x-tag") for request in transport.requests] == ["1", None]


def test_a_transport_and_a_middleware_may_share_a_name(installed):
    installed.add("acme-transport", "acme", GOOD)
    installed.add("acme-middleware", "acme", MIDDLEWARE, kind="middleware")
    assert isinstance(installed.transports().get("acme"), TransportSpec)
    assert isinstance(installed.middleware().get("acme"), MiddlewareSpec)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (MIDDLEWARE.replace("lambda: tag", "lambda: 5"), r"middleware\[0\] cannot be called"),
        (MIDDLEWARE.replace("lambda: tag", "lambda: 1 / 0"), "middleware 'tag' cannot be made: ZeroDivisionError"),
    ],
    ids=["no middleware", "raises"],
)
def test_a_middleware_plugin_that_makes_none_is_told(installed, code, told):
    installed.add("acme-memtrace", "tag", code, kind="middleware")
    installed.everywhere()
    with pytest.raises(ConfigurationError, match=told):
        Memtrace("http://server", "key", transport=Script(), middleware=["tag"])


# ---- what can be wrong with one


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import no_such_package_at_all", "cannot be loaded: ModuleNotFoundError: No module named 'no_such_package_at_all'"),
        ("1 / 0", "cannot be loaded: ZeroDivisionError"),
        ("def :", "cannot be loaded: SyntaxError"),
        (GOOD.replace("def memtrace_transport", "def memtrace_transprot"), "cannot be loaded: PluginValidationError.*memtrace_transprot"),
        (GOOD.replace("def memtrace_transport()", "def memtrace_transport(options)"), "cannot be loaded: PluginValidationError"),
        (GOOD.replace("@hookimpl", ""), "has no function memtrace_transport that is marked with @hookimpl"),
        ("", "has no function memtrace_transport that is marked with @hookimpl"),
        (GOOD.replace("return TransportSpec(", "return dict("), "gives dict, not a TransportSpec"),
        (GOOD.replace("return TransportSpec(", "return 1 / 0 or dict("), "cannot be loaded: ZeroDivisionError"),
        (GOOD.replace("create=", "maker="), "cannot be loaded: TypeError"),
    ],
    ids=["import", "raises", "syntax", "misspelt hook", "wrong arguments", "no mark", "empty", "wrong type", "hook raises", "spec"],
)  # fmt: skip
def test_a_broken_plugin_is_told_with_its_distribution(installed, code, told):
    installed.add("acme-memtrace", "acme", code, version="3.1")
    registry = installed.transports()
    with pytest.raises(
        TransportNotAvailableError,
        match=rf"(?s)transport 'acme' of acme-memtrace 3.1 \(plugin_of_acme_memtrace\) {told}",
    ) as caught:
        registry.get("acme")
    assert "acme-memtrace" in caught.value.hint
    assert (line_of(registry.listing(), "acme-memtrace").status) == "broken"
    assert isinstance(registry.get("httpx"), TransportSpec)


def test_a_missing_attribute_of_a_plugin_is_told(installed):
    installed.add("acme-memtrace", "acme", GOOD, attribute=":nothing")
    with pytest.raises(TransportNotAvailableError, match="cannot be loaded: AttributeError"):
        installed.transports().get("acme")


@pytest.mark.parametrize(("api", "upgrade"), [(API_VERSION - 1, "acme-memtrace"), (API_VERSION + 1, "memtrace-sdk")])
def test_another_version_of_the_interface_is_told(installed, api, upgrade):
    installed.add("acme-memtrace", "acme", GOOD.replace("TransportSpec(", f"TransportSpec(api={api}, "))
    with pytest.raises(
        TransportNotAvailableError, match=f"written for plugin interface {api}; this .* has 1"
    ) as caught:
        installed.transports().get("acme")
    assert caught.value.hint == f"upgrade {upgrade}"


def test_two_distributions_with_one_name_are_an_error_only_when_it_is_asked_for(installed):
    installed.add("acme-one", "acme", GOOD)
    installed.add("acme-two", "acme", GOOD, version="2.0")
    installed.add("other", "other", GOOD)
    registry = installed.transports()
    registry.get("other")
    with pytest.raises(TransportNotAvailableError, match="'acme' is claimed by acme-") as caught:
        registry.get("acme")
    assert "acme-one 1.0" in caught.value.message
    assert "acme-two 2.0" in caught.value.message
    assert {info.status for info in registry.listing() if info.name == "acme"} == {"ambiguous"}


def test_one_distribution_found_twice_is_one(installed, tmp_path, monkeypatch):
    installed.add("acme-memtrace", "acme", GOOD)
    original = metadata.entry_points
    monkeypatch.setattr(metadata, "entry_points", lambda **given: [*original(**given), *original(**given)])
    registry = installed.transports()
    assert isinstance(registry.get("acme"), TransportSpec)
    assert line_of(registry.listing(), "acme-memtrace").status == "ok"


def test_a_built_in_name_cannot_be_taken(installed):
    module = installed.add("acme-memtrace", "httpx", "raise AssertionError('loaded')")
    registry = installed.transports()
    assert registry.get("httpx").requires == ("httpx",)
    assert module not in sys.modules
    info = line_of(registry.listing(), "acme-memtrace")
    assert (info.status, info.name) == ("shadowed", "httpx")
    assert "acme-memtrace must choose another" in info.detail
    assert [info.status for info in registry.listing() if info.name == "httpx"] == ["ok", "shadowed"]
    assert registry.names().count("httpx") == 1


def test_an_unknown_name_names_the_near_one_and_all(installed):
    with pytest.raises(TransportNotAvailableError) as caught:
        installed.transports().get("htpx")
    assert caught.value.message == "no transport is named 'htpx'. Did you mean 'httpx'? Installed: httpx, memory"
    with pytest.raises(TransportNotAvailableError, match=r"no transport is named 'zzzzz'. Installed: httpx, memory$"):
        installed.transports().get("zzzzz")
    with pytest.raises(ConfigurationError, match=r"no middleware is named 'x'. Installed: none$"):
        installed.middleware().get("x")


def test_a_distribution_without_metadata_of_its_own_harms_nobody(installed, monkeypatch):
    loose = metadata.EntryPoint("loose", "plugin_of_loose", "memtrace.transports")
    (installed.folder / "plugin_of_loose.py").write_text(textwrap.dedent(GOOD), encoding="utf-8")
    installed.modules.append("plugin_of_loose")
    monkeypatch.setattr(metadata, "entry_points", lambda **given: [loose])
    registry = installed.transports()
    assert isinstance(registry.get("loose"), TransportSpec)
    assert line_of(registry.listing(), "unknown").version == "unknown"


def test_a_frozen_application_without_entry_points_has_the_built_ins(installed, monkeypatch):
    monkeypatch.setattr(metadata, "entry_points", lambda **given: [])
    registry = installed.transports()
    assert registry.names() == ["httpx", "memory"]
    assert [isinstance(registry.get(name), TransportSpec) for name in registry.names()] == [True, True]


def test_our_own_entry_points_are_not_counted_twice(installed):
    installed.add("memtrace-sdk", "httpx", "raise AssertionError('loaded')")
    installed.add("acme-memtrace", "acme", GOOD)
    assert [info.name for info in installed.transports().listing()].count("httpx") == 1


# ---- the listing


def test_the_listing_has_every_plugin_with_its_status(installed):
    installed.add("acme-good", "good", GOOD, version="1.2")
    installed.add(
        "acme-bare", "bare", GOOD.replace("TransportSpec(", "TransportSpec(requires=('not_there_1', 'not_there_2'), ")
    )
    installed.add(
        "acme-extra", "extra", GOOD.replace("TransportSpec(", "TransportSpec(requires=('not.there',), extra='acme', ")
    )
    listing = installed.transports().listing()
    assert [
        (info.name, info.distribution, info.version, info.status) for info in listing if "acme" in info.distribution
    ] == [
        ("bare", "acme-bare", "1.0", "missing package"),
        ("extra", "acme-extra", "1.0", "missing package"),
        ("good", "acme-good", "1.2", "ok"),
    ]
    assert line_of(listing, "acme-bare").detail == "run: pip install not_there_1 not_there_2"
    assert line_of(listing, "acme-extra").detail == 'run: pip install "memtrace-sdk[acme]"'
    assert line_of(listing, "acme-good").detail == ""
    ours = [info for info in listing if info.distribution == "memtrace-sdk"]
    assert [(info.kind, info.name, info.status) for info in ours] == [
        ("transport", "httpx", "ok"),
        ("transport", "memory", "ok"),
    ]


def test_middleware_are_listed_alike(installed):
    installed.add("acme-memtrace", "tag", MIDDLEWARE, kind="middleware")
    installed.add("acme-broken", "broken", "1 / 0", kind="middleware")
    installed.add("acme-wrong", "wrong", GOOD, kind="middleware")
    listing = installed.middleware().listing()
    assert [(info.kind, info.name, info.status) for info in listing] == [
        ("middleware", "broken", "broken"),
        ("middleware", "tag", "ok"),
        ("middleware", "wrong", "broken"),
    ]
    assert listing[1] == PluginInfo("middleware", "tag", "acme-memtrace", "1.0", "ok")


# ---- the choice


def test_the_order_of_choice(monkeypatch):
    def chosen(argument, scheme):
        selection = select_transport(argument, scheme, asynchronous=False)
        return selection.name, selection.reason

    assert chosen(None, None) == ("httpx", "it is the first default that is installed")
    monkeypatch.setenv("MEMTRACE_TRANSPORT", "memory")
    assert chosen(None, None) == ("memory", "MEMTRACE_TRANSPORT=memory")
    assert chosen(None, "httpx") == ("httpx", "base_url (MEMTRACE_BASE_URL) begins with 'httpx'")
    assert chosen("memory", "httpx") == ("memory", "transport='memory'")


def test_a_misspelt_scheme_is_told_how_an_address_begins(installed):
    with pytest.raises(TransportNotAvailableError, match="no transport is named 'htps'.* begins with https?://"):
        Memtrace("htps://server", "key")
    with pytest.raises(TransportNotAvailableError) as caught:
        Memtrace("http://server", "key", transport="htps")
    assert caught.value.hint is None


def test_an_own_spec_of_another_interface_is_refused():
    with pytest.raises(TransportNotAvailableError, match="plugin interface 2; this memtrace-sdk has 1"):
        select_transport(TransportSpec(create=print, api=2), None, asynchronous=False)


def test_an_own_spec_is_taken_as_it_is():
    spec = TransportSpec(create=lambda options: Script())
    assert select_transport(spec, "nope", asynchronous=False) == Selection(
        "your own", "transport= is a TransportSpec", spec
    )


@pytest.mark.parametrize(
    ("argument", "scheme", "variable", "reason"),
    [
        ("htpx", None, "", "transport='htpx'"),
        (None, "htpx", "", "base_url (MEMTRACE_BASE_URL) begins with 'htpx'"),
        (None, None, "htpx", "MEMTRACE_TRANSPORT=htpx"),
        ("", None, "", "transport=''"),
    ],
)
def test_an_unknown_choice_says_who_asked_for_it(monkeypatch, argument, scheme, variable, reason):
    monkeypatch.setenv("MEMTRACE_TRANSPORT", variable)
    with pytest.raises(TransportNotAvailableError, match="no transport is named") as caught:
        select_transport(argument, scheme, asynchronous=False)
    assert caught.value.message.endswith(f"(asked for because {reason})")


def test_a_broken_choice_keeps_its_cause(installed):
    installed.add("acme-memtrace", "acme", "1 / 0")
    installed.everywhere()
    with pytest.raises(TransportNotAvailableError, match="asked for because transport='acme'") as caught:
        select_transport("acme", None, asynchronous=False)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert caught.value.hint == "upgrade or uninstall acme-memtrace"


@pytest.mark.parametrize(
    ("spec", "needs", "hint"),
    [
        (
            TransportSpec(requires=("not_there",), extra="x"),
            "the package not_there",
            'run: pip install "memtrace-sdk[x]"',
        ),
        (
            TransportSpec(requires=("sys", "no_1", "no_2.sub")),
            "the packages no_1, no_2.sub",
            "run: pip install no_1 no_2.sub",
        ),
    ],
)
def test_a_missing_package_is_named_with_how_to_install_it(spec, needs, hint):
    with pytest.raises(TransportNotAvailableError, match=f"needs {needs}, not installed here") as caught:
        select_transport(spec, None, asynchronous=False)
    assert caught.value.hint == hint


def test_a_package_put_together_by_hand_counts_as_installed(monkeypatch):
    module = type(sys)("made_by_hand")
    module.__spec__ = None
    monkeypatch.setitem(sys.modules, "made_by_hand", module)
    assert TransportSpec(requires=("made_by_hand",)).missing() == []


def test_without_httpx_the_default_says_what_to_install(installed, monkeypatch):
    installed.everywhere()
    for name in ("httpx", "httpx2", "requests"):
        spec = TransportSpec(create=print, requires=("not_there",), extra=name)
        monkeypatch.setitem(transports._specs, name, spec)
    with pytest.raises(TransportNotAvailableError, match="asked for because it is the default") as caught:
        Memtrace("http://server", "key")
    assert "memtrace-sdk[httpx]" in caught.value.hint


def test_a_form_that_a_transport_lacks_is_told_with_those_that_have_it(installed):
    installed.add("acme-sync", "only-sync", GOOD.replace(", create_async=lambda options: AsyncScript()", ""))
    installed.add("acme-broken", "broken", "1 / 0")
    installed.everywhere()
    select_transport("only-sync", None, asynchronous=False)
    with pytest.raises(
        TransportNotAvailableError, match="transport 'only-sync' has no async form, which AsyncMemtrace needs"
    ) as caught:
        select_transport("only-sync", None, asynchronous=True)
    assert caught.value.message.endswith("With one: aiohttp, httpx, httpx2, memory")
    with pytest.raises(TransportNotAvailableError, match="has no sync form, which Memtrace needs"):
        select_transport(TransportSpec(create_async=print), None, asynchronous=False)


def test_memory_is_never_chosen_by_itself(installed, monkeypatch):
    installed.everywhere()
    for name in ("httpx", "httpx2", "requests", "aiohttp"):
        spec = TransportSpec(create=print, create_async=print, requires=("not_there",))
        monkeypatch.setitem(transports._specs, name, spec)
    for asynchronous in (False, True):
        with pytest.raises(TransportNotAvailableError, match="transport 'httpx' needs"):
            select_transport(None, None, asynchronous=asynchronous)


@pytest.mark.parametrize(
    ("asynchronous", "order"), [(False, ["httpx", "httpx2", "requests"]), (True, ["httpx", "httpx2", "aiohttp"])]
)
def test_the_first_default_that_is_installed_is_taken(installed, monkeypatch, asynchronous, order):
    installed.everywhere()
    for name in order:
        monkeypatch.setitem(transports._specs, name, TransportSpec(create=print, create_async=print))
    for name in order:
        assert select_transport(None, None, asynchronous=asynchronous).name == name
        monkeypatch.setitem(transports._specs, name, TransportSpec(create=print, requires=("not_there",)))


@pytest.mark.parametrize(("client", "name"), [(Memtrace, "aiohttp"), (AsyncMemtrace, "requests")])
def test_a_transport_of_the_other_kind_is_refused_when_the_client_is_made(installed, client, name):
    with pytest.raises(
        TransportNotAvailableError, match=f"transport '{name}' has no (a?sync) form.* With one: .*httpx"
    ):
        client("http://server", "key", transport=name)


def test_the_mark_is_pluggys():
    assert hookimpl.project_name == "memtrace"

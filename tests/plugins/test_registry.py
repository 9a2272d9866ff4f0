"""Plugins as people install them: little distributions on the path, found and loaded for real."""

import asyncio
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
    TransportSelection,
    TransportSpec,
    hookimpl,
    middleware_registry,
    select_transport,
    transport_registry,
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
BUILTIN = {"httpx": "memtrace_transports._httpx", "memory": "memtrace_transports.memory._plugin"}


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
        for registry in (transport_registry, middleware_registry):
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
        assert isinstance(client._dispatcher._shared.transport(client._dispatcher), Script)
    client = AsyncMemtrace(url, "key", transport=transport)
    assert isinstance(client._dispatcher._shared.transport(client._dispatcher), AsyncScript)


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
        ("5", "cannot be used: its create gives int, which cannot be called with"),
        ("None", "cannot be used: its create gives NoneType, which cannot"),
        ("dict", "cannot be used: its create gives the class dict, which cannot"),
        ("1 / 0", "cannot be made: ZeroDivisionError"),
        ("exit('no team')", "cannot be made: SystemExit: no team"),
    ],
    ids=["number", "nothing", "class", "raises", "exits"],
)
def test_a_middleware_plugin_that_makes_none_is_told_with_its_distribution(installed, code, told):
    code = MIDDLEWARE.replace("lambda: tag", f"lambda: {code}")
    installed.add("acme-memtrace", "tag", code, kind="middleware", version="3.1")
    installed.everywhere()
    with pytest.raises(
        ConfigurationError, match=rf"^middleware\[0\]: middleware 'tag' of acme-memtrace 3.1 {told}"
    ) as caught:
        Memtrace("http://server", "key", transport=Script(), middleware=["tag"])
    if "cannot be used" in told:
        assert caught.value.hint == "report it to the authors of acme-memtrace"


def test_a_middleware_that_is_interrupted_while_it_is_made_interrupts(installed):
    code = MIDDLEWARE.replace("lambda: tag", "lambda: (_ for _ in ()).throw(KeyboardInterrupt)")
    installed.add("acme-memtrace", "tag", code, kind="middleware")
    installed.everywhere()
    with pytest.raises(KeyboardInterrupt):
        Memtrace("http://server", "key", transport=Script(), middleware=["tag"])


def test_the_distribution_of_a_plugin_is_known_without_loading_it(installed):
    module = installed.add("acme-memtrace", "acme", GOOD, version="3.1")
    registry = installed.transports()
    assert registry.distribution("acme") == ("acme-memtrace", "3.1")
    assert registry.distribution("httpx") == ("memtrace-sdk", metadata.version("memtrace-sdk"))
    assert registry.distribution("nope") is None
    assert middleware_registry.distribution("retry") == registry.distribution("httpx")  # of every client, named by none
    assert module not in sys.modules


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
        ("import sys; sys.exit('no gpu')", "cannot be loaded: SystemExit: no gpu"),
        ("raise GeneratorExit('gone')", "cannot be loaded: GeneratorExit: gone"),
        ("class Odd(BaseException): pass\nraise Odd('odd')", "cannot be loaded: Odd: odd"),
        (GOOD.replace("return TransportSpec(", "return exit('no gpu') or dict("), "cannot be loaded: SystemExit: no gpu"),
        (GOOD.replace("TransportSpec(", "TransportSpec(requires='urllib3', "), "cannot be loaded: ConfigurationError: a TransportSpec's requires must"),
        (GOOD.replace("TransportSpec(", "TransportSpec(api='2', "), "cannot be loaded: ConfigurationError: a TransportSpec's api must be"),
        (GOOD.replace("TransportSpec(", "TransportSpec(api=None, "), "cannot be loaded: ConfigurationError: a TransportSpec's api must be"),
    ],
    ids=["import", "raises", "syntax", "misspelt hook", "wrong arguments", "no mark", "empty", "wrong type", "hook raises", "spec",
         "exits", "ends", "no Exception", "hook exits", "requires", "api text", "api none"],
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


def test_an_interrupt_while_a_plugin_is_loaded_interrupts(installed):
    installed.add("acme-memtrace", "acme", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        installed.transports().get("acme")


def test_an_option_that_this_sdk_does_not_have_is_refused_with_its_cure(installed):
    code = GOOD.replace("TransportSpec(", "TransportSpec(capabilities={'headers', 'http3'}, ")
    installed.add("acme-memtrace", "acme", code, version="3.1")
    registry = installed.transports()
    with pytest.raises(
        TransportNotAvailableError,
        match=r"^transport 'acme' of acme-memtrace 3.1 .* honours 'http3', which is not an option of memtrace-sdk \d.*"
        r"misspelt, or written for a newer memtrace-sdk. Did you mean 'http2'\?",
    ) as caught:
        registry.get("acme")
    assert caught.value.hint == "upgrade memtrace-sdk; if that does not help, upgrade or uninstall acme-memtrace"
    listed = line_of(registry.listing(), "acme-memtrace")
    assert listed.status == "broken"
    assert listed.detail.endswith(f"Did you mean 'http2'? {caught.value.hint}")


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


def test_another_version_of_the_interface_may_have_fields_of_other_kinds(installed):
    code = GOOD.replace("TransportSpec(", "TransportSpec(api=2, requires={'urllib3': '>=2'}, ")
    installed.add("acme-memtrace", "acme", code)
    with pytest.raises(TransportNotAvailableError, match="written for plugin interface 2"):
        installed.transports().get("acme")
    installed.add("acme-middleware", "tag", MIDDLEWARE.replace("lambda: tag", "5, api=2"), kind="middleware")
    with pytest.raises(ConfigurationError, match="written for plugin interface 2"):
        installed.middleware().get("tag")


# ---- specs


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "must have create, create_async, or both"),
        ({"create": 5}, r"'s create must be a function .* or None, not int .docs: https://\S+/errors/[a-z_]+.md.$"),
        ({"create": print, "create_async": "x"}, r"'s create_async must be a function .* or None, not str .docs: https://\S+/errors/[a-z_]+.md.$"),
        ({"create": print, "api": "2"}, r"'s api must be .* a whole number, not '2'; leave it out .docs: https://\S+/errors/[a-z_]+.md.$"),
        ({"create": print, "api": None}, "'s api must be .*, not None"),
        ({"create": print, "api": True}, "'s api must be .*, not True"),
        ({"create": print, "api": 1.0}, "'s api must be .*, not 1.0"),
        ({"create": print, "requires": "urllib3"}, r"'s requires must hold names, as in \('urllib3',\), not 'urllib3' .docs: https://\S+/errors/[a-z_]+.md.$"),
        ({"create": print, "requires": None}, r"'s requires must hold names, .* not None .docs: https://\S+/errors/[a-z_]+.md.$"),
        ({"create": print, "requires": (5,)}, r"'s requires must hold names, .* not \(5,\) .docs: https://\S+/errors/[a-z_]+.md.$"),
        ({"create": print, "requires": b"urllib3"}, r"'s requires must hold names, .* not b'urllib3' .docs: https://\S+/errors/[a-z_]+.md.$"),
        ({"create": print, "requires": ("urllib3>=2",)}, r"as they stand in an import, without versions, not 'urllib3>=2' .docs: https://\S+/errors/[a-z_]+.md.$"),
        ({"create": print, "requires": ("ruamel..yaml",)}, r"as they stand in an import, .* not 'ruamel..yaml' .docs: https://\S+/errors/[a-z_]+.md.$"),
        ({"create": print, "extra": 5}, r"'s extra must be a name or None, not 5 .docs: https://\S+/errors/[a-z_]+.md.$"),
        ({"create": print, "extra": ""}, r"'s extra must be a name or None, not '' .docs: https://\S+/errors/[a-z_]+.md.$"),
        ({"create": print, "capabilities": "proxy"}, r"'s capabilities must hold names, as in {'headers', 'proxy'}, not 'proxy' .docs: https://\S+/errors/[a-z_]+.md.$"),
        ({"create": print, "capabilities": 5}, r"'s capabilities must hold names, .* not 5 .docs: https://\S+/errors/[a-z_]+.md.$"),
        ({"create": print, "capabilities": {None}}, r"'s capabilities must hold names, .* not {None} .docs: https://\S+/errors/[a-z_]+.md.$"),
        ({"create": print, "capabilities": [""]}, r"'s capabilities must hold names, .* not \[''\] .docs: https://\S+/errors/[a-z_]+.md.$"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)  # fmt: skip
def test_a_spec_of_a_transport_that_is_wrong_is_refused(fields, told):
    with pytest.raises(ConfigurationError, match=f"^a TransportSpec.*{told}"):
        TransportSpec(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"create": 5},
        {"create": None},
        {"create": print, "api": "2"},
        {"create": print, "requires": "opentelemetry"},
        {"create": print, "requires": ("opentelemetry>=1",)},
        {"create": print, "extra": ""},
    ],
    ids=str,
)
def test_a_spec_of_a_middleware_that_is_wrong_is_refused(fields):
    with pytest.raises(ConfigurationError, match="^a MiddlewareSpec's (create|api|requires|extra) must (be|hold)"):
        MiddlewareSpec(**fields)


def test_any_iterable_of_names_will_do_in_a_spec():
    given = TransportSpec(create=print, requires=["urllib3", "ruamel.yaml"], capabilities=iter(["proxy", "headers"]))
    kept = TransportSpec(
        create=print, requires=("urllib3", "ruamel.yaml"), capabilities=frozenset({"headers", "proxy"})
    )
    assert given == kept
    assert hash(given) == hash(kept)


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
    with pytest.raises(
        TransportNotAvailableError,
        match=r"no transport is named 'zzzzz'. Installed: httpx, memory .docs: https://\S+/errors/[a-z_]+.md.$",
    ):
        installed.transports().get("zzzzz")
    with pytest.raises(
        ConfigurationError, match=r"no middleware is named 'x'. Installed: none .docs: https://\S+/errors/[a-z_]+.md.$"
    ):
        installed.middleware().get("x")


def test_a_name_in_another_case_is_not_known_but_near(installed, monkeypatch):
    installed.add("acme-memtrace", "Plain", GOOD)
    installed.everywhere()
    for name, near in (("PLAIN", "Plain"), ("plian", "Plain"), ("HTTPX", "httpx")):
        monkeypatch.setenv("MEMTRACE_TRANSPORT", name)
        with pytest.raises(
            TransportNotAvailableError, match=rf"^no transport is named '{name}'\. Did you mean '{near}'\?"
        ):
            Memtrace("http://server", "key")


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
    assert line_of(listing, "acme-bare").detail == (
        "reinstall acme-bare, whose dependencies not_there_1 and not_there_2 are missing: "
        "pip install --force-reinstall acme-bare"
    )
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
    assert chosen(None, "httpx") == ("httpx", "the base URL begins with 'httpx'")
    assert chosen("memory", "httpx") == ("memory", "transport='memory'")


def test_a_misspelt_scheme_is_told_how_an_address_begins(installed):
    with pytest.raises(TransportNotAvailableError, match="no transport is named 'htps'") as caught:
        Memtrace("htps://server", "key")
    assert caught.value.hint == "an address of a server begins with http:// or https://"
    with pytest.raises(TransportNotAvailableError) as caught:
        Memtrace("http://server", "key", transport="htps")
    assert caught.value.hint is None


def test_an_own_spec_of_another_interface_is_refused():
    with pytest.raises(TransportNotAvailableError, match="plugin interface 2; this memtrace-sdk has 1"):
        select_transport(TransportSpec(create=print, api=2), None, asynchronous=False)


def test_an_own_spec_with_an_option_that_does_not_exist_is_refused():
    spec = TransportSpec(create=print, capabilities=frozenset({"prxy"}))
    with pytest.raises(
        TransportNotAvailableError,
        match=r"the TransportSpec of transport= .* 'prxy', which is not an option .* mean 'proxy'\?",
    ):
        select_transport(spec, None, asynchronous=False)


def test_an_own_spec_is_taken_as_it_is():
    spec = TransportSpec(create=lambda options: Script())
    assert select_transport(spec, "nope", asynchronous=False) == TransportSelection(
        "your own", "transport= is a TransportSpec", spec
    )


@pytest.mark.parametrize(
    ("argument", "scheme", "variable", "reason"),
    [
        ("htpx", None, "", "transport='htpx'"),
        (None, "htpx", "", "the base URL begins with 'htpx'"),
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
            TransportSpec(create=print, requires=("not_there",), extra="x"),
            "the package not_there",
            'run: pip install "memtrace-sdk[x]"',
        ),
        (
            TransportSpec(create=print, requires=("sys", "no_1", "no_2.sub")),
            "the packages no_1, no_2.sub",
            "install what brings no_1 and no_2.sub; pip may know it by another name",
        ),
    ],
)
def test_a_missing_package_is_named_with_how_to_install_it(spec, needs, hint):
    with pytest.raises(TransportNotAvailableError, match=f"needs {needs}, not installed here") as caught:
        select_transport(spec, None, asynchronous=False)
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("more", "hint"),
    [
        (
            "",
            "reinstall acme-memtrace, whose dependency yaml_x is missing: pip install --force-reinstall acme-memtrace",
        ),
        ("extra='acme', ", 'run: pip install "memtrace-sdk[acme]"'),
    ],
)
def test_a_missing_package_of_a_plugin_is_told_by_the_plugins_distribution(installed, more, hint):
    installed.add(
        "acme-memtrace", "acme", GOOD.replace("TransportSpec(", f"TransportSpec(requires=('yaml_x',), {more}")
    )
    installed.everywhere()
    with pytest.raises(TransportNotAvailableError, match="'acme' needs the package yaml_x, not installed") as caught:
        Memtrace("http://server", "key", transport="acme")
    assert caught.value.hint == hint
    assert line_of(transport_registry.listing(), "acme-memtrace").detail == hint


def test_a_package_around_a_required_one_that_breaks_harms_nobody_else(installed):
    (installed.folder / "breaking_package").mkdir()
    (installed.folder / "breaking_package" / "__init__.py").write_text("raise SystemExit('no gpu')")
    code = GOOD.replace("TransportSpec(", "TransportSpec(requires=('breaking_package.part',), ")
    installed.add("acme-memtrace", "acme", code)
    assert line_of(installed.transports().listing(), "acme-memtrace").status == "missing package"


def test_an_interrupt_while_a_required_package_is_looked_for_interrupts(installed):
    (installed.folder / "interrupted_package").mkdir()
    (installed.folder / "interrupted_package" / "__init__.py").write_text("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        TransportSpec(create=print, requires=("interrupted_package.part",)).missing()


def test_a_package_put_together_by_hand_counts_as_installed(monkeypatch):
    module = type(sys)("made_by_hand")
    module.__spec__ = None
    monkeypatch.setitem(sys.modules, "made_by_hand", module)
    assert TransportSpec(create=print, requires=("made_by_hand",)).missing() == []


def test_without_httpx_the_default_says_what_to_install(installed, monkeypatch):
    installed.everywhere()
    for name in ("httpx", "httpx2", "requests"):
        spec = TransportSpec(create=print, requires=("not_there",), extra=name)
        monkeypatch.setitem(transport_registry._specs, name, spec)
    with pytest.raises(TransportNotAvailableError, match="asked for because it is the default") as caught:
        Memtrace("http://server", "key")
    assert "memtrace-sdk[httpx]" in caught.value.hint


def test_a_form_that_a_transport_lacks_is_told_with_those_that_have_it(installed):
    installed.add("acme-sync", "only-sync", GOOD.replace(", create_async=lambda options: AsyncScript()", ""))
    other = installed.add("acme-other", "other", GOOD)
    installed.add("acme-broken", "broken", "import sys; sys.exit('no gpu')")
    installed.everywhere()
    select_transport("only-sync", None, asynchronous=False)
    with pytest.raises(
        TransportNotAvailableError, match="transport 'only-sync' has no async form, which AsyncMemtrace needs"
    ) as caught:
        select_transport("only-sync", None, asynchronous=True)
    assert caught.value.message.endswith("These have one: aiohttp, httpx, httpx2, memory, sqlite")
    assert other not in sys.modules
    with pytest.raises(TransportNotAvailableError, match="has no sync form, which Memtrace needs"):
        select_transport(TransportSpec(create_async=print), None, asynchronous=False)


def test_a_built_in_one_that_a_frozen_application_left_out_is_no_alternative(installed, monkeypatch):
    installed.everywhere()
    monkeypatch.setitem(sys.modules, "memtrace_transports._aiohttp", None)
    with pytest.raises(
        TransportNotAvailableError,
        match=r"These have one: httpx, httpx2, memory, sqlite .docs: https://\S+/errors/[a-z_]+.md.$",
    ):
        AsyncMemtrace("http://server", "key", transport="requests")


def test_memory_is_never_chosen_by_itself(installed, monkeypatch):
    installed.everywhere()
    for name in ("httpx", "httpx2", "requests", "aiohttp"):
        spec = TransportSpec(create=print, create_async=print, requires=("not_there",))
        monkeypatch.setitem(transport_registry._specs, name, spec)
    for asynchronous in (False, True):
        with pytest.raises(TransportNotAvailableError, match="transport 'httpx' needs"):
            select_transport(None, None, asynchronous=asynchronous)


@pytest.mark.parametrize(
    ("asynchronous", "order"), [(False, ["httpx", "httpx2", "requests"]), (True, ["httpx", "httpx2", "aiohttp"])]
)
def test_the_first_default_that_is_installed_is_taken(installed, monkeypatch, asynchronous, order):
    installed.everywhere()
    for name in order:
        monkeypatch.setitem(transport_registry._specs, name, TransportSpec(create=print, create_async=print))
    for name in order:
        assert select_transport(None, None, asynchronous=asynchronous).name == name
        monkeypatch.setitem(transport_registry._specs, name, TransportSpec(create=print, requires=("not_there",)))


@pytest.mark.parametrize(("client", "name"), [(Memtrace, "aiohttp"), (AsyncMemtrace, "requests")])
def test_a_transport_of_the_other_kind_is_refused_when_the_client_is_made(installed, client, name):
    with pytest.raises(
        TransportNotAvailableError, match=f"transport '{name}' has no (a?sync) form.* These have one: .*httpx"
    ):
        client("http://server", "key", transport=name)


# ---- what a transport's plugin makes


CREATED = """
    from memtrace.plugins import TransportSpec, hookimpl
    from tests.conftest import AsyncScript, Script

    class Silent:
        def close(self): ...

    class Open:
        def send(self, request): ...

    @hookimpl
    def memtrace_transport():
        return TransportSpec(create=lambda options: WHAT, create_async=lambda options: WHAT)
"""
BOTH = "no FORM send(request) and FORM close()"


@pytest.mark.parametrize("form", ["sync", "async"])
@pytest.mark.parametrize(
    ("what", "gives"),
    [
        ("None", f"NoneType, which has {BOTH}"),
        ("5", f"int, which has {BOTH}"),
        ("Script", f"the class Script, which has {BOTH}"),
        ("AsyncScript", f"the class AsyncScript, which has {BOTH}"),
    ],
)
def test_what_a_plugin_makes_that_is_no_transport_is_told_with_its_distribution(installed, form, what, gives):
    with pytest.raises(TransportNotAvailableError) as caught:
        first_call(installed, form, what)
    maker = "create_async" if form == "async" else "create"
    assert caught.value.message == (
        f"transport 'acme' of acme-memtrace 3.1 cannot be used: its {maker} gives {gives.replace('FORM', form)} "
        "(asked for because transport='acme')"
    )
    assert caught.value.hint == "report it to the authors of acme-memtrace"


@pytest.mark.parametrize(
    ("form", "what", "lacks"),
    [
        ("sync", "AsyncScript()", r"no sync send\(request\) and sync close\(\)"),
        ("async", "Script()", r"no async send\(request\) and async close\(\)"),
        ("sync", "Silent()", r"no sync send\(request\) \("),
        ("sync", "Open()", r"no sync close\(\) \("),
    ],
)
def test_what_a_plugin_makes_for_the_other_client_or_by_half_is_told(installed, form, what, lacks):
    with pytest.raises(TransportNotAvailableError, match=f"which has {lacks}"):
        first_call(installed, form, what)


def first_call(installed, form, what):
    installed.add("acme-memtrace", "acme", CREATED.replace("WHAT", what), version="3.1")
    installed.everywhere()
    if form == "sync":
        Memtrace("http://server", "key", transport="acme").health()
    else:
        asyncio.run(AsyncMemtrace("http://server", "key", transport="acme").health())


def test_an_own_spec_that_makes_no_transport_is_told():
    client = Memtrace("http://server", "key", transport=TransportSpec(create=lambda options: options))
    with pytest.raises(
        TransportNotAvailableError, match="^transport 'your own' cannot be used: its create gives TransportOptions"
    ) as caught:
        client.health()
    assert caught.value.hint is None


def test_the_mark_is_pluggys():
    assert hookimpl.project_name == "memtrace"


def test_an_unknown_name_lists_what_can_be_used_and_what_is_missing_by_what_installs_it(monkeypatch):
    specs = {
        "able": TransportSpec(create=print),
        "lacking": TransportSpec(create=print, requires=("nowhere_to_be_found",), extra="lacking"),
    }
    registry = Registry(
        "transport",
        "no.such.group",
        TransportSpec,
        TransportNotAvailableError,
        {**dict.fromkeys(specs, "math"), "broken": "nowhere_to_be_found"},
    )
    load = registry._call_hook
    monkeypatch.setattr(registry, "_call_hook", lambda found: specs.get(found.name) or load(found))
    with pytest.raises(TransportNotAvailableError) as caught:
        registry.get("zzzzz")
    assert caught.value.message == (
        "no transport is named 'zzzzz'. Installed: able. "
        'Not installed: lacking (run: pip install "memtrace-sdk[lacking]")'
    )

"""Transports, middleware and rankers by name: hook specifications, discovery, selection and listing.

pluggy discovers and registers; it is not on the path of a call. A plugin is loaded when it is asked for by name, one by
one, so that a broken one harms only those who ask for it. Names of the built-in transports are reserved.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from importlib import metadata
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Generic, Literal, NamedTuple, TypeVar, cast

import pluggy

from memtrace._flow.composition import Middleware
from memtrace._support.error_text import closed, did_you_mean
from memtrace._support.lazy_modules import LazyModule
from memtrace._support.numbers import is_int
from memtrace.exceptions import ConfigurationError, MemtraceError, TransportNotAvailableError
from memtrace.middleware._placement import BUILT_IN, Position
from memtrace.transport import AsyncTransport, Transport, TransportOptions

if TYPE_CHECKING:
    from memtrace import ranking
else:
    ranking = LazyModule("memtrace.ranking")

__all__ = [
    "API_VERSION",
    "DEFAULT_CANDIDATES",
    "MiddlewareSpec",
    "PluginInfo",
    "RankerSpec",
    "Registry",
    "TransportSelection",
    "TransportSpec",
    "hookimpl",
    "middleware_registry",
    "ranker_registry",
    "select_transport",
    "transport_registry",
]

API_VERSION: Final = 1
"""The version of the plugin interface. A spec for another version raises an error."""

hookspec: Final[pluggy.HookspecMarker] = pluggy.HookspecMarker("memtrace")
hookimpl: Final[pluggy.HookimplMarker] = pluggy.HookimplMarker("memtrace")
"""Marks a plugin's hook: ``@hookimpl``."""


class _Spec:
    """The fields that plugins of each kind have in common. Each spec lists them in its own order."""

    __slots__ = ()

    requires: tuple[str, ...]
    extra: str | None
    api: int

    def __post_init__(self) -> None:
        if type(self.api) is not int:
            raise self._refused(
                "api", "be the version of the plugin interface, a whole number", f"{self.api!r}; leave it out"
            )
        if self.api != API_VERSION:
            return  # its rules are not known here; selecting it raises an error with the interface it was written for
        self._check()
        object.__setattr__(self, "requires", self._names("requires", "('urllib3',)"))
        for package in self.requires:
            if not all(part.isidentifier() for part in package.split(".")):
                rule = "hold names as they stand in an import, without versions"
                raise self._refused("requires", rule, repr(package))
        if self.extra is not None and not _is_name(self.extra):
            raise self._refused("extra", "be a name or None", repr(self.extra))

    def missing(self) -> list[str]:
        """List the required packages that are not installed.

        Returns:
            Their import names.
        """
        return [package for package in self.requires if not _is_installed(package)]

    def _check(self) -> None:
        """Check the fields that only this kind has."""

    def _check_maker(self, field: str, value: object, wanted: str) -> None:
        if not callable(value):
            raise self._refused(field, f"be {wanted}", type(value).__name__)

    def _names(self, field: str, example: str) -> tuple[str, ...]:
        value: object = getattr(self, field)
        if isinstance(value, Iterable) and not isinstance(value, str):
            names = tuple(cast("Iterable[object]", value))
            if all(map(_is_name, names)):
                return cast("tuple[str, ...]", names)
        raise self._refused(field, f"hold names, as in {example}", repr(value))

    def _refused(self, field: str, rule: str, given: str) -> ConfigurationError:
        return ConfigurationError(f"a {type(self).__name__}'s {field} must {rule}, not {given}")


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value != ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportSpec(_Spec):
    """Describe a transport. A plugin's ``memtrace_transport`` hook returns one.

    `create` serves `Memtrace` and `create_async` serves `AsyncMemtrace`; None if there is no such
    form. `requires` has the import names of the packages that it needs. `extra` is the extra of
    memtrace-sdk that installs them. `capabilities` has the fields of `TransportOptions` that it
    honours. A client raises `ConfigurationError` for any other option.

    Raises:
        ConfigurationError: A value has the wrong type, or both forms are missing.
    """

    create: Callable[[TransportOptions], Transport] | None = None
    create_async: Callable[[TransportOptions], AsyncTransport] | None = None
    requires: tuple[str, ...] = ()
    extra: str | None = None
    capabilities: frozenset[str] = frozenset()
    api: int = API_VERSION

    def _check(self) -> None:
        makers = {name: getattr(self, name) for name in ("create", "create_async")}
        given = {name: maker for name, maker in makers.items() if maker is not None}
        for name, maker in given.items():
            self._check_maker(name, maker, "a function that makes a transport of TransportOptions, or None")
        if not given:
            raise ConfigurationError(
                f"a {type(self).__name__} must have create, create_async, or both; this one makes no transport"
            )
        object.__setattr__(self, "capabilities", frozenset(self._names("capabilities", "{'headers', 'proxy'}")))

    def serves(self, *, asynchronous: bool) -> bool:
        """Check whether the transport has a form for a kind of client.

        Args:
            asynchronous: True for `AsyncMemtrace`, False for `Memtrace`.

        Returns:
            Whether it has one.
        """
        return (self.create_async if asynchronous else self.create) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class MiddlewareSpec(_Spec):
    """Describe a middleware. A plugin's ``memtrace_middleware`` hook returns one.

    `create` creates one for each client that names it. `position` is its place unless the client
    uses `before`, `after` or `replace`. None: its place in the client's list. `requires` has the
    import names of the packages that it needs. `extra` is the extra of memtrace-sdk that installs
    them.

    Raises:
        ConfigurationError: The position is not a `Position`, `create` is not callable, or a
            package's name is invalid.

    Example:
        >>> from memtrace.middleware import Position, log_attempts
        >>> spec = MiddlewareSpec(create=lambda: log_attempts, position=Position("before", "auth"))
    """

    create: Callable[[], Middleware]
    position: Position | None = None
    requires: tuple[str, ...] = ()
    extra: str | None = None
    api: int = API_VERSION

    def _check(self) -> None:
        self._check_maker("create", self.create, "a function that makes a middleware")
        if self.position is not None and not isinstance(self.position, Position):
            raise self._refused("position", "be a Position or None", type(self.position).__name__)


DEFAULT_CANDIDATES: Final = 100
"""How many memories a ranker puts in order, unless its spec says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankerSpec(_Spec):
    """Describe a ranker. A plugin's ``memtrace_ranker`` hook returns one.

    `create` creates one for each client that names it. `candidates`, from 1, is how many memories
    it gets to rank: the best by their words. `requires` has the import names of the packages that
    it needs. `extra` is the extra of memtrace-sdk that installs them.

    Raises:
        ConfigurationError: A value has the wrong type.

    Example:
        >>> from memtrace.ranking import LexicalRanker
        >>> RankerSpec(create=LexicalRanker, candidates=50).candidates
        50
    """

    create: Callable[[], ranking.Ranker]
    candidates: int = DEFAULT_CANDIDATES
    requires: tuple[str, ...] = ()
    extra: str | None = None
    api: int = API_VERSION

    def _check(self) -> None:
        self._check_maker("create", self.create, "a function that makes a ranker")
        if not is_int(self.candidates) or self.candidates < 1:
            raise self._refused("candidates", "be a whole number, 1 or more", repr(self.candidates))


class HookSpecs:
    """The hooks that a plugin may implement."""

    @hookspec(firstresult=True)
    def memtrace_transport(self) -> TransportSpec:  # type: ignore[empty-body]  # a hook specification has no body
        """The transport that this plugin brings."""

    @hookspec(firstresult=True)
    def memtrace_middleware(self) -> MiddlewareSpec:  # type: ignore[empty-body]  # as above
        """The middleware that this plugin brings."""

    @hookspec(firstresult=True)
    def memtrace_ranker(self) -> RankerSpec:  # type: ignore[empty-body]  # as above
        """The ranker that this plugin brings."""


Kind = Literal["transport", "middleware", "ranker"]
ClientKind = Literal["sync", "async"]
"""``sync`` is `Memtrace`, ``async`` is `AsyncMemtrace`."""

_CLIENTS: Final[tuple[ClientKind, ...]] = ("sync", "async")

Status = Literal["ok", "missing package", "broken", "shadowed", "ambiguous"]


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """The status of one plugin."""

    kind: Kind
    name: str
    distribution: str
    version: str
    status: Status
    #: Why the status is not ``ok``, and the cure.
    detail: str = ""
    #: The clients that a transport supports; empty if it cannot be loaded, and for the other kinds.
    serves: tuple[ClientKind, ...] = ()
    #: The clients that use this transport unless they or MEMTRACE_TRANSPORT name another.
    default_for: tuple[ClientKind, ...] = ()


class _Candidate(NamedTuple):
    """A plugin that was seen and not loaded."""

    name: str
    reference: str
    distribution: str
    version: str
    load: Callable[[], object]


SpecT = TypeVar("SpecT", bound="TransportSpec | MiddlewareSpec | RankerSpec")

_OWN_DISTRIBUTION = "memtrace-sdk"


class Registry(Generic[SpecT]):
    """The plugins of one kind: installed ones from an entry-point group, and built-in ones.

    Built-in names cannot be taken by a plugin. They work without entry points, in frozen
    applications and zip files too.
    """

    def __init__(
        self,
        kind: Kind,
        group: str,
        spec: type[SpecT],
        error: type[ConfigurationError],
        builtin: dict[str, str],
        *,
        reserved: tuple[str, ...] = (),
        defaults: Mapping[ClientKind, tuple[str, ...]] = MappingProxyType({}),
    ) -> None:
        self.kind: Kind = kind
        self._group = group
        self._spec = spec
        self._error = error
        self._builtin = builtin
        self._builtin_links = reserved
        self._defaults = defaults
        self._taken = frozenset({*builtin, *reserved})
        self._found: dict[str, list[_Candidate]] | None = None
        self._specs: dict[str, SpecT] = {}

    def get(self, name: str) -> SpecT:
        """Load a plugin.

        Args:
            name: The plugin's name.

        Returns:
            Its spec.

        Raises:
            ConfigurationError: No plugin has the name, it is broken, or two distributions claim it.
                For a transport it is a `TransportNotAvailableError`.
        """
        if name not in self._specs:
            self._specs[name] = self._load(self._find(name))
        return self._specs[name]

    def distribution(self, name: str) -> tuple[str, str] | None:
        """Find the distribution that installed a plugin.

        Args:
            name: The plugin's name.

        Returns:
            The distribution's name and version, or None if unknown.
        """
        if name in self._builtin_links:
            return _OWN_DISTRIBUTION, _own_version()
        group = self._candidates(name)
        return (group[0].distribution, group[0].version) if group else None

    def names(self) -> list[str]:
        """List the names of all plugins.

        Returns:
            The names, sorted.
        """
        return sorted({*self._builtin, *self._third_party()})

    def listing(self) -> list[PluginInfo]:
        """List all built-in and installed plugins with their status. It loads each one.

        Returns:
            One entry for each plugin.
        """
        links = [PluginInfo(self.kind, name, _OWN_DISTRIBUTION, _own_version(), "ok") for name in self._builtin_links]
        found = [self._builtin_found(name) for name in sorted(self._builtin)]
        found += [each for _, group in sorted(self._third_party(shadowed=True).items()) for each in group]
        defaults: Mapping[ClientKind, str | None] = {each: self._default_or_none(each) for each in self._defaults}
        return links + [self._info(each, defaults) for each in found]

    def _info(self, found: _Candidate, defaults: Mapping[ClientKind, str | None]) -> PluginInfo:
        status, detail, spec = self._status(found)
        plugin = PluginInfo(self.kind, found.name, found.distribution, found.version, status, detail)
        if not isinstance(spec, TransportSpec):
            return plugin
        serves: tuple[ClientKind, ...] = tuple(
            client for client in _CLIENTS if spec.serves(asynchronous=client == "async")
        )
        default_for = tuple(client for client in serves if defaults.get(client) == found.name)
        return replace(plugin, serves=serves, default_for=default_for)

    def default(self, client: ClientKind) -> str | None:
        """Find the default transport of a client.

        Args:
            client: ``sync`` or ``async``.

        Returns:
            The name of the first default whose packages are installed, or None.

        Raises:
            MemtraceError: A default cannot be loaded.
        """
        return next((name for name in self._defaults.get(client, ()) if not self.get(name).missing()), None)

    def _default_or_none(self, client: ClientKind) -> str | None:
        try:
            return self.default(client)
        except MemtraceError:  # a frozen application has left it out: its own line says so
            return None

    def _status(self, found: _Candidate) -> tuple[Status, str, SpecT | None]:
        """Its status, why it is not ``ok``, and its spec where that can be loaded."""
        if found.name in self._taken and found.distribution != _OWN_DISTRIBUTION:
            return (
                "shadowed",
                f"the name {found.name!r} belongs to a built-in {self.kind}; {found.distribution} must choose another",
                None,
            )
        if len(self._third_party().get(found.name, ())) > 1:
            return "ambiguous", "several distributions bring this name; uninstall all except one", None
        try:
            spec = self._load(found)
        except MemtraceError as error:
            return "broken", f"{closed(error.message, ';')} {error.hint}" if error.hint else error.message, None
        if spec.missing():
            return "missing package", install_hint(spec, found.distribution), spec
        return "ok", "", spec

    # -- finding

    def _find(self, name: str) -> _Candidate:
        if name in self._builtin_links:
            raise self._error(
                f"{name!r} is a built-in {self.kind}, which every client has in its place",
                hint=f"replace it with replace({name!r}, ...), or place others by before and after",
            )
        group = self._candidates(name)
        if not group:
            raise self._error(
                f"no {self.kind} is named {name!r}.{did_you_mean(name, self.names())} {self._inventory()}"
            )
        if len(group) > 1:
            claims = " and ".join(f"{found.distribution} {found.version}" for found in group)
            raise self._error(f"the {self.kind} name {name!r} is claimed by {claims}; uninstall all except one")
        return group[0]

    def _inventory(self) -> str:
        """What can be used here, and what is missing, by what installs it. Loads each plugin to find out."""
        usable: list[str] = []
        missing: list[str] = []
        for name in self.names():
            for found in self._candidates(name):
                status, detail, _ = self._status(found)
                if status == "ok":
                    usable.append(name)
                elif status == "missing package":
                    missing.append(f"{name} ({detail})")
        listed = f"Installed: {', '.join(usable) or 'none'}"
        return f"{listed}. Not installed: {', '.join(missing)}" if missing else listed

    def _candidates(self, name: str) -> list[_Candidate]:
        return [self._builtin_found(name)] if name in self._builtin else self._third_party().get(name, [])

    def _builtin_found(self, name: str) -> _Candidate:
        module = self._builtin[name]
        return _Candidate(name, module, _OWN_DISTRIBUTION, _own_version(), lambda: importlib.import_module(module))

    def _third_party(self, *, shadowed: bool = False) -> dict[str, list[_Candidate]]:
        if self._found is None:
            self._found = {}
            for entry in metadata.entry_points(group=self._group):
                distribution = entry.dist.name if entry.dist else "unknown"
                version = entry.dist.version if entry.dist else "unknown"
                found = _Candidate(entry.name, entry.value, distribution, version, entry.load)
                group = self._found.setdefault(entry.name, [])
                # One distribution may be found twice, as in an editable install beside its own source.
                seen = [(other.distribution, other.reference) for other in group]
                if distribution != _OWN_DISTRIBUTION and (distribution, found.reference) not in seen:
                    group.append(found)
        return {name: group for name, group in self._found.items() if group and (shadowed or name not in self._taken)}

    # -- loading

    def _load(self, found: _Candidate) -> SpecT:
        where = f"{self.kind} {found.name!r} of {found.distribution} {found.version} ({found.reference})"
        try:
            spec = self._call_hook(found)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a module that calls sys.exit() ends nobody's program
            raise self._error(
                f"{where} cannot be loaded: {type(error).__name__}: {error}",
                hint=_LEFT_OUT if _is_left_out(found, error) else f"upgrade or uninstall {found.distribution}",
            ) from error
        if not isinstance(spec, self._spec):
            gives = f"gives {type(spec).__name__}, not a {self._spec.__name__}"
            raise self._error(
                f"{where} {gives if spec is not None else f'has no function memtrace_{self.kind} that is marked with @hookimpl'}",
                hint=f"report it to the authors of {found.distribution}",
            )
        _check_fit(spec, where, found.distribution, self._error)
        return spec

    def _call_hook(self, found: _Candidate) -> object:
        """Register the plugin by itself, so that a misspelt hook or a broken neighbour cannot be mistaken for it, and ask it."""
        manager = pluggy.PluginManager("memtrace")
        manager.add_hookspecs(HookSpecs)
        manager.register(found.load(), name=f"{self.kind}:{found.name}")
        manager.check_pending()
        return cast("object", getattr(manager.hook, f"memtrace_{self.kind}")())


_LEFT_OUT = (
    "an application that is frozen has to include it: PyInstaller by --collect-submodules memtrace_transports, Nuitka by "
    "--include-package=memtrace_transports, cx_Freeze by packages; anywhere else reinstall memtrace-sdk"
)


def _is_left_out(found: _Candidate, error: BaseException) -> bool:
    """Whether a module of the SDK itself is not there, as where a freezer has not seen that it is needed."""
    if found.distribution != _OWN_DISTRIBUTION or not isinstance(error, ModuleNotFoundError):
        return False
    return (error.name or "").partition(".")[0] in ("memtrace", "memtrace_transports")


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):  # the package around it is missing, or it was put together by hand
        return package in sys.modules
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001  # the package around it cannot be imported: no other plugin's concern
        return False


def _check_fit(
    spec: TransportSpec | MiddlewareSpec | RankerSpec, subject: str, distribution: str, error: type[ConfigurationError]
) -> None:
    """Refuse what was written for another plugin interface, or for options that this memtrace-sdk does not have."""
    if spec.api != API_VERSION:
        raise error(
            f"{subject} was written for plugin interface {spec.api}; this memtrace-sdk has {API_VERSION}",
            hint=f"upgrade {distribution if spec.api < API_VERSION else _OWN_DISTRIBUTION}",
        )
    options = [option.name for option in fields(TransportOptions)]
    able = spec.capabilities if isinstance(spec, TransportSpec) else ()
    for name in sorted(able):
        if name not in options:
            raise error(
                f"{subject} says that it honours {name!r}, which is not an option of memtrace-sdk {_own_version()}: it is "
                f"misspelt, or written for a newer memtrace-sdk.{did_you_mean(name, options)}",
                hint=f"upgrade {_OWN_DISTRIBUTION}; if that does not help, upgrade or uninstall {distribution}",
            )


def check_installed(
    spec: TransportSpec | MiddlewareSpec | RankerSpec,
    subject: str,
    distribution: tuple[str, str] | None,
    error: type[ConfigurationError],
    why: str = "",
) -> None:
    """Raise for a plugin, called `subject`, whose packages are not all installed, with how to install them."""
    missing = spec.missing()
    if missing:
        packages = f"the package{'s' * (len(missing) > 1)} {', '.join(missing)}"
        hint = install_hint(spec, distribution[0] if distribution else None)
        raise error(f"{subject} needs {packages}, not installed here{why}", hint=hint)


def install_hint(spec: TransportSpec | MiddlewareSpec | RankerSpec, distribution: str | None) -> str:
    """How to get the packages that `spec` requires and that are missing here."""
    if spec.extra:
        return f'run: pip install "{_OWN_DISTRIBUTION}[{spec.extra}]"'
    missing = spec.missing()
    packages = " and ".join(missing)
    if distribution is None:
        return f"install what brings {packages}; pip may know it by another name"
    lacks = f"dependency {packages} is" if len(missing) == 1 else f"dependencies {packages} are"
    return f"reinstall {distribution}, whose {lacks} missing: pip install --force-reinstall {distribution}"


def _own_version() -> str:
    from memtrace._version import __version__

    return __version__


_BUILT_IN_TRANSPORTS: Final = {
    "aiohttp": "memtrace_transports._aiohttp",
    "httpx": "memtrace_transports._httpx",
    "httpx2": "memtrace_transports._httpx2",
    "memory": "memtrace_transports.memory._plugin",
    "requests": "memtrace_transports._requests",
    "sqlite": "memtrace_transports.sqlite._plugin",
}

HTTP_TRANSPORTS: Final = frozenset(_BUILT_IN_TRANSPORTS) - {"memory", "sqlite"}
"""The built-in transports that send to an address of http or https, and to no other."""

_DEFAULTS: Final[Mapping[ClientKind, tuple[str, ...]]] = MappingProxyType(
    {"sync": ("httpx", "httpx2", "requests"), "async": ("httpx", "httpx2", "aiohttp")}  # never "memory": it loses data
)

transport_registry: Final = Registry(
    "transport",
    "memtrace.transports",
    TransportSpec,
    TransportNotAvailableError,
    _BUILT_IN_TRANSPORTS,
    defaults=_DEFAULTS,
)
"""The transports by name."""

_BUILT_IN_MIDDLEWARE: Final = {
    "opentelemetry": "memtrace.integrations.opentelemetry._calls",
    "opentelemetry-attempts": "memtrace.integrations.opentelemetry._attempts",
}

middleware_registry: Final = Registry(
    "middleware", "memtrace.middleware", MiddlewareSpec, ConfigurationError, _BUILT_IN_MIDDLEWARE, reserved=BUILT_IN
)
"""The middleware by name. An installed middleware runs only in clients that name it. The built-in ones are in
every client.
"""

ranker_registry: Final = Registry(
    "ranker", "memtrace.rankers", RankerSpec, ConfigurationError, {"lexical": "memtrace._runtime.lexical_ranker"}
)
"""The rankers by name."""


# ---- selection ------------------------------------------------------------------------------------------------------


class TransportSelection(NamedTuple):
    """The selected transport, and the reason."""

    name: str
    reason: str
    spec: TransportSpec
    #: Name and version of the distribution that has it. None for your own spec.
    distribution: tuple[str, str] | None = None


def select_transport(
    argument: str | TransportSpec | None, url_scheme: str | None, *, asynchronous: bool
) -> TransportSelection:
    """Select the transport of a client. The first one that is set wins.

    The order is: the argument, the base URL's scheme, the variable MEMTRACE_TRANSPORT, the first
    default that is installed.

    Args:
        argument: The client's `transport` argument.
        url_scheme: The scheme of the base URL that names a transport; None if there is none.
        asynchronous: True for `AsyncMemtrace`, False for `Memtrace`.

    Returns:
        The transport, and why it was selected.

    Raises:
        TransportNotAvailableError: The transport is unknown, broken, not installed, or has no form
            for this kind of client.
    """
    if isinstance(argument, TransportSpec):
        _check_fit(argument, "the TransportSpec of transport=", "what brings the spec", TransportNotAvailableError)
        selection = TransportSelection("your own", "transport= is a TransportSpec", argument)
    else:
        name, reason = _choose(argument, url_scheme, "async" if asynchronous else "sync")
        try:
            selection = TransportSelection(
                name, reason, transport_registry.get(name), transport_registry.distribution(name)
            )
        except TransportNotAvailableError as error:
            hint = error.hint or (
                "an address of a server begins with http:// or https://" if url_scheme == name else None
            )
            raise TransportNotAvailableError(
                f"{error.message} (asked for because {reason})",
                argument="base_url" if argument is None and url_scheme is not None else "transport",
                hint=hint,
            ) from error.__cause__
    _check(selection, asynchronous=asynchronous)
    return selection


def _choose(argument: str | None, url_scheme: str | None, client: ClientKind) -> tuple[str, str]:
    variable = os.environ.get("MEMTRACE_TRANSPORT")
    if argument is not None:
        return argument, f"transport={argument!r}"
    if url_scheme is not None:
        return url_scheme, f"the base URL begins with {url_scheme!r}"
    if variable:
        return variable, f"MEMTRACE_TRANSPORT={variable}"
    default = transport_registry.default(client)
    if default is not None:
        return default, "it is the first default that is installed"
    return _DEFAULTS[client][0], "it is the default"


def _check(selection: TransportSelection, *, asynchronous: bool) -> None:
    spec = selection.spec
    asked = f"(asked for because {selection.reason})"
    subject = f"transport {selection.name!r}"
    check_installed(spec, subject, selection.distribution, TransportNotAvailableError, f" {asked}")
    if not spec.serves(asynchronous=asynchronous):
        client, form = ("AsyncMemtrace", "async") if asynchronous else ("Memtrace", "sync")
        # a third party's would have to be loaded to be named, and nobody asked for it
        fitting = [name for name in sorted(_BUILT_IN_TRANSPORTS) if _serves(name, asynchronous=asynchronous)]
        raise TransportNotAvailableError(
            f"{subject} has no {form} form, which {client} needs {asked}. These have one: {', '.join(fitting)}"
        )


def _serves(name: str, *, asynchronous: bool) -> bool:
    try:
        return transport_registry.get(name).serves(asynchronous=asynchronous)
    except TransportNotAvailableError:  # a frozen application may have left it out
        return False

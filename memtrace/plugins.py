"""Transports and middleware by name: hook specifications, discovery, selection and listing.

pluggy discovers and registers; it is not on the path of a call. A plugin is loaded when it is asked for by name, one by
one, so that a broken one harms only those who ask for it. Names of the built-in transports are reserved.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Final, Generic, Literal, TypeVar, cast

import pluggy

from memtrace.exceptions import ConfigurationError, MemtraceError, TransportNotAvailableError
from memtrace.middleware.chain import BUILT_IN
from memtrace.middleware.placement import Position
from memtrace.pipeline import Middleware
from memtrace.transport import AsyncTransport, Transport, TransportOptions

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "API_VERSION",
    "MiddlewareSpec",
    "PluginInfo",
    "Registry",
    "Selection",
    "TransportSpec",
    "hookimpl",
    "middlewares",
    "select_transport",
    "transports",
]

API_VERSION: Final = 1
"""The version of the plugin interface; a spec made for another one is refused."""

hookspec: Final[pluggy.HookspecMarker] = pluggy.HookspecMarker("memtrace")
hookimpl: Final[pluggy.HookimplMarker] = pluggy.HookimplMarker("memtrace")
"""Marks a plugin's hook: ``@hookimpl``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportSpec:
    """How a transport is made. A plugin's ``memtrace_transport`` hook returns one.

    `create` serves `Memtrace`, `create_async` serves `AsyncMemtrace`; None where there is no such form. `requires` are the
    importable packages it needs, `extra` the extra of memtrace-sdk that installs them. `capabilities` names the fields of
    `TransportOptions` that it honours; any other one that is given is refused when a client is made.
    """

    create: Callable[[TransportOptions], Transport] | None = None
    create_async: Callable[[TransportOptions], AsyncTransport] | None = None
    requires: tuple[str, ...] = ()
    extra: str | None = None
    capabilities: frozenset[str] = frozenset()
    api: int = API_VERSION

    def missing(self) -> list[str]:
        """The required packages that are not installed."""
        return [package for package in self.requires if not _is_installed(package)]

    def serves(self, *, asynchronous: bool) -> bool:
        """Whether there is a form for this kind of client."""
        return (self.create_async if asynchronous else self.create) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class MiddlewareSpec:
    """How a middleware is made. A plugin's ``memtrace_middleware`` hook returns one.

    `create` makes one for each client that names it. `position` is where it stands unless the client places it by `before`,
    `after` or `instead_of`; None: where it stands in the client's list. Raises `ConfigurationError` for a position that is
    no `Position`.

    >>> from memtrace.middleware import Position, log_attempts
    >>> spec = MiddlewareSpec(create=lambda: log_attempts, position=Position("before", "auth"))
    """

    create: Callable[[], Middleware]
    position: Position | None = None
    api: int = API_VERSION

    def __post_init__(self) -> None:
        if self.position is not None and not isinstance(self.position, Position):
            raise ConfigurationError(
                f"a MiddlewareSpec's position must be a Position or None, not {type(self.position).__name__}"
            )


class HookSpecs:
    """The hooks that a plugin may implement."""

    @hookspec(firstresult=True)
    def memtrace_transport(self) -> TransportSpec:  # type: ignore[empty-body]  # a hook specification has no body
        """The transport that this plugin brings."""

    @hookspec(firstresult=True)
    def memtrace_middleware(self) -> MiddlewareSpec:  # type: ignore[empty-body]  # as above
        """The middleware that this plugin brings."""


Status = Literal["ok", "missing package", "broken", "shadowed", "ambiguous"]


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """One line of the listing."""

    kind: Literal["transport", "middleware"]
    name: str
    distribution: str
    version: str
    status: Status
    #: Why the status is not ``ok``, and the cure.
    detail: str = ""


@dataclass(frozen=True, slots=True)
class _Found:
    """A plugin that was seen and not loaded."""

    name: str
    reference: str
    distribution: str
    version: str
    load: Callable[[], object]


SpecT = TypeVar("SpecT", bound="TransportSpec | MiddlewareSpec")

_OURS = "memtrace-sdk"


Kind = Literal["transport", "middleware"]


class Registry(Generic[SpecT]):
    """The plugins of one kind: those of an entry-point group, and a table of built-in ones.

    Frozen applications and zip files have no entry points; the table serves them, and keeps its names from being taken.
    So does `links`, for what every client has and nobody asks for: the built-in middleware.
    """

    def __init__(
        self,
        kind: Kind,
        group: str,
        spec: type[SpecT],
        error: type[ConfigurationError],
        builtin: dict[str, str],
        *,
        links: tuple[str, ...] = (),
    ) -> None:
        self.kind: Kind = kind
        self._group = group
        self._spec = spec
        self._error = error
        self._builtin = builtin
        self._links = links
        self._reserved = frozenset({*builtin, *links})
        self._found: dict[str, list[_Found]] | None = None
        self._specs: dict[str, SpecT] = {}

    def get(self, name: str) -> SpecT:
        """The spec of the plugin `name`, loaded now if it was not yet.

        Raises `TransportNotAvailableError` (for middleware `ConfigurationError`) that names the near name, the broken
        distribution, or the two that claim one name.
        """
        if name not in self._specs:
            self._specs[name] = self._load(self._find(name))
        return self._specs[name]

    def names(self) -> list[str]:
        """Every name that can be asked for, sorted."""
        return sorted({*self._builtin, *self._third_party()})

    def listing(self) -> list[PluginInfo]:
        """Every built-in and every installed one, with its status; loads each plugin to find out."""
        links = [PluginInfo(self.kind, name, _OURS, _own_version(), "ok") for name in self._links]
        builtin = [self._info(self._builtin_found(name)) for name in sorted(self._builtin)]
        others = [self._info(found) for _, group in sorted(self._third_party(shadowed=True).items()) for found in group]
        return links + builtin + others

    def _info(self, found: _Found) -> PluginInfo:
        status, detail = self._status(found)
        return PluginInfo(self.kind, found.name, found.distribution, found.version, status, detail)

    def _status(self, found: _Found) -> tuple[Status, str]:
        if found.name in self._reserved and found.distribution != _OURS:
            return (
                "shadowed",
                f"the name {found.name!r} belongs to a built-in {self.kind}; {found.distribution} must choose another",
            )
        if len(self._third_party().get(found.name, ())) > 1:
            return "ambiguous", "several distributions bring this name; uninstall all but one"
        try:
            spec = self._load(found)
        except MemtraceError as error:
            return "broken", f"{error.message}; {error.hint}" if error.hint else error.message
        if isinstance(spec, TransportSpec) and spec.missing():
            return "missing package", _install_hint(spec)
        return "ok", ""

    # -- finding

    def _find(self, name: str) -> _Found:
        if name in self._builtin:
            return self._builtin_found(name)
        if name in self._links:
            raise self._error(
                f"{name!r} is a built-in {self.kind}, which every client has in its place",
                hint=f"replace it with instead_of({name!r}, ...), or place others by before and after",
            )
        group = self._third_party().get(name, [])
        if not group:
            raise self._error(
                f"no {self.kind} is named {name!r}.{near_name(name, self.names())} Installed: {', '.join(self.names()) or 'none'}"
            )
        if len(group) > 1:
            claims = " and ".join(f"{found.distribution} {found.version}" for found in group)
            raise self._error(f"the {self.kind} name {name!r} is claimed by {claims}; uninstall all but one")
        return group[0]

    def _builtin_found(self, name: str) -> _Found:
        module = self._builtin[name]
        return _Found(name, module, _OURS, _own_version(), lambda: importlib.import_module(module))

    def _third_party(self, *, shadowed: bool = False) -> dict[str, list[_Found]]:
        if self._found is None:
            self._found = {}
            for entry in metadata.entry_points(group=self._group):
                distribution = entry.dist.name if entry.dist else "unknown"
                version = entry.dist.version if entry.dist else "unknown"
                found = _Found(entry.name, entry.value, distribution, version, entry.load)
                group = self._found.setdefault(entry.name, [])
                if distribution != _OURS and not any(_same(found, other) for other in group):
                    group.append(found)
        return {
            name: group for name, group in self._found.items() if group and (shadowed or name not in self._reserved)
        }

    # -- loading

    def _load(self, found: _Found) -> SpecT:
        where = f"{self.kind} {found.name!r} of {found.distribution} {found.version} ({found.reference})"
        try:
            spec = self._ask(found)
        except Exception as error:
            raise self._error(
                f"{where} cannot be loaded: {type(error).__name__}: {error}",
                hint=f"upgrade or uninstall {found.distribution}",
            ) from error
        if not isinstance(spec, self._spec):
            gives = f"gives {type(spec).__name__}, not a {self._spec.__name__}"
            raise self._error(
                f"{where} {gives if spec is not None else f'has no function memtrace_{self.kind} that is marked with @hookimpl'}",
                hint=f"tell the authors of {found.distribution}",
            )
        if spec.api != API_VERSION:
            raise self._error(
                f"{where} was written for plugin interface {spec.api}; this memtrace-sdk has {API_VERSION}",
                hint=f"upgrade {found.distribution if spec.api < API_VERSION else _OURS}",
            )
        return spec

    def _ask(self, found: _Found) -> object:
        """Register the plugin by itself, so that a misspelt hook or a broken neighbour cannot be mistaken for it, and ask it."""
        manager = pluggy.PluginManager("memtrace")
        manager.add_hookspecs(HookSpecs)
        manager.register(found.load(), name=f"{self.kind}:{found.name}")
        manager.check_pending()
        return cast("object", getattr(manager.hook, f"memtrace_{self.kind}")())


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):  # the package around it is missing, or it was put together by hand
        return package in sys.modules


def _same(one: _Found, other: _Found) -> bool:
    """One distribution that is found twice, as in an editable install beside its own source."""
    return (one.distribution, one.reference) == (other.distribution, other.reference)


def near_name(name: str, names: Iterable[str]) -> str:
    """A question for an error's text when one of `names` is close to `name`."""
    near = difflib.get_close_matches(name, names, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _install_hint(spec: TransportSpec) -> str:
    return (
        f'run: pip install "memtrace-sdk[{spec.extra}]"'
        if spec.extra
        else f"run: pip install {' '.join(spec.missing())}"
    )


def _own_version() -> str:
    from memtrace._version import __version__

    return __version__


transports: Final = Registry(
    "transport",
    "memtrace.transports",
    TransportSpec,
    TransportNotAvailableError,
    {
        "aiohttp": "memtrace_transports._aiohttp",
        "httpx": "memtrace_transports._httpx",
        "httpx2": "memtrace_transports._httpx2",
        "memory": "memtrace_transports.memory.plugin",
        "requests": "memtrace_transports._requests",
    },
)
"""The transports by name."""

middlewares: Final = Registry(
    "middleware", "memtrace.middleware", MiddlewareSpec, ConfigurationError, {}, links=BUILT_IN
)
"""The middleware by name. What is installed acts only when it is named; the built-in ones are in every client."""


# ---- selection ------------------------------------------------------------------------------------------------------

_SYNC_DEFAULTS = ("httpx", "httpx2", "requests")  # never "memory": it would lose data silently
_ASYNC_DEFAULTS = ("httpx", "httpx2", "aiohttp")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which transport, and why."""

    name: str
    reason: str
    spec: TransportSpec


def select_transport(argument: str | TransportSpec | None, url_scheme: str | None, *, asynchronous: bool) -> Selection:
    """Choose: the argument, else the base URL's scheme, else MEMTRACE_TRANSPORT, else the first default that is installed.

    Raises `TransportNotAvailableError` when the chosen one is unknown, broken, not installed, or has no form for this kind
    of client.
    """
    if isinstance(argument, TransportSpec):
        if argument.api != API_VERSION:
            raise TransportNotAvailableError(
                f"transport= is a TransportSpec for plugin interface {argument.api}; this memtrace-sdk has {API_VERSION}"
            )
        selection = Selection("your own", "transport= is a TransportSpec", argument)
    else:
        name, reason = _choose(argument, url_scheme, _ASYNC_DEFAULTS if asynchronous else _SYNC_DEFAULTS)
        try:
            selection = Selection(name, reason, transports.get(name))
        except TransportNotAvailableError as error:
            hint = error.hint or (
                "an address of a server begins with http:// or https://" if url_scheme == name else None
            )
            raise TransportNotAvailableError(
                f"{error.message} (asked for because {reason})", hint=hint
            ) from error.__cause__
    _check(selection, asynchronous=asynchronous)
    return selection


def _choose(argument: str | None, url_scheme: str | None, defaults: tuple[str, ...]) -> tuple[str, str]:
    variable = os.environ.get("MEMTRACE_TRANSPORT")
    if argument is not None:
        return argument, f"transport={argument!r}"
    if url_scheme is not None:
        return url_scheme, f"base_url (MEMTRACE_BASE_URL) begins with {url_scheme!r}"
    if variable:
        return variable, f"MEMTRACE_TRANSPORT={variable}"
    for name in defaults:
        if not transports.get(name).missing():
            return name, "it is the first default that is installed"
    return defaults[0], "it is the default"


def _check(selection: Selection, *, asynchronous: bool) -> None:
    spec = selection.spec
    missing = spec.missing()
    if missing:
        needs = f"the package{'s' * (len(missing) > 1)} {', '.join(missing)}"
        raise TransportNotAvailableError(
            f"transport {selection.name!r} needs {needs}, not installed here (asked for because {selection.reason})",
            hint=_install_hint(spec),
        )
    if not spec.serves(asynchronous=asynchronous):
        client, form = ("AsyncMemtrace", "async") if asynchronous else ("Memtrace", "sync")
        fitting = [name for name in transports.names() if _serves(name, asynchronous=asynchronous)]
        raise TransportNotAvailableError(
            f"transport {selection.name!r} has no {form} form, which {client} needs (asked for because {selection.reason}). "
            f"With one: {', '.join(fitting)}"
        )


def _serves(name: str, *, asynchronous: bool) -> bool:
    try:
        return transports.get(name).serves(asynchronous=asynchronous)
    except TransportNotAvailableError:
        return False

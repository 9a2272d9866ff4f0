"""Configuration in one place: arguments over the environment over defaults, checked when a client is made."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, get_args

from memtrace._support.callables import is_async_callable
from memtrace._support.error_text import from_distribution, type_name
from memtrace._support.numbers import is_positive_seconds
from memtrace._support.secrets import NoText, Secret, hidden
from memtrace._support.sqlite_urls import DEFAULT_KEY, StoreLocation, location_of_path, location_of_url
from memtrace._support.urls import AddressError, split_url
from memtrace.clock import Clock, SystemClock
from memtrace.exceptions import ENVIRONMENT_VARIABLES, ConfigurationError
from memtrace.middleware._placement import Link, Placement, Position
from memtrace.operations import Dedup, RetryPolicy
from memtrace.transport._header_rules import check_headers

if TYPE_CHECKING:
    from memtrace._flow.composition import Middleware
    from memtrace.plugins import MiddlewareSpec, RankerSpec, Registry
    from memtrace.ranking import Embedder, Ranker

SpecT = TypeVar("SpecT", bound="MiddlewareSpec | RankerSpec")

DEFAULT_RETRY: Final = RetryPolicy()
"""Three attempts."""


class Unset:
    """The type of an argument that was not given, for arguments in which None has its own meaning."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset()
"""The default of such an argument."""


class _UnsetText(str, Unset):
    """A string that was not given, whose default depends on the other arguments: signatures show it."""

    __slots__ = ()


DEFAULT_SINCE: Final = _UnsetText("24h")
"""How far back `recall` reads; with a query there is no limit."""


class _UnsetSeconds(float, Unset):
    """Seconds that were not given, and that the environment may replace: signatures show the number."""


LEXICAL: Final = "lexical"
"""The name of the built-in ranker: the order of the index."""

DEFAULT_TIMEOUT: Final = _UnsetSeconds(30)
"""Seconds that one attempt may take."""


@dataclass(frozen=True, slots=True)
class BaseUrl:
    """A base URL taken apart: which transport its scheme names, where requests go, and the path in front of every route."""

    transport: str | None
    origin: str
    path: str
    #: The ``Authorization`` header for a proxy in front, from credentials in the URL; the API key goes beside it.
    authorization: str | None = field(default=None, repr=False)

    @property
    def needs_no_key(self) -> bool:
        """Whether it is a store without a server, whose organisations are this machine's own."""
        return self.origin.startswith(("sqlite://", "memory://"))

    def __str__(self) -> str:
        return self.origin + self.path


@dataclass(frozen=True, slots=True)
class ChosenRanker:
    """A ranker, and how many candidates it is given."""

    ranker: Ranker
    candidates: int


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How a client searches: the same for all its copies."""

    #: The file of its index; None keeps it in memory, or leaves it to a transport that has one.
    index: str | None = None
    embedder: Embedder | None = field(default=None, repr=False)
    #: None for the order of the index.
    ranker: ChosenRanker | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What a client was configured with. The key is not part of its repr."""

    base_url: BaseUrl
    api_key: str = field(repr=False)
    timeout: float | None
    middleware: tuple[Link, ...]
    attempt_middleware: tuple[Link, ...]
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    clock: Clock
    deadline: float | None = None
    retry: RetryPolicy = DEFAULT_RETRY
    #: None: resources make a key for each call, and the flat methods of 0.2.0 leave it to the server.
    dedup: Dedup | None = None
    search: SearchSettings = SearchSettings()


def settings_from_args(
    base_url: str | os.PathLike[str] | None,
    api_key: str | None,
    *,
    timeout: float | None,
    deadline: float | None = None,
    retry: RetryPolicy = DEFAULT_RETRY,
    dedup: Dedup | None = None,
    middleware: Sequence[Middleware | Placement | str],
    attempt_middleware: Sequence[Middleware | Placement | str],
    headers: Mapping[str, str] | None,
    clock: Clock | None,
    search_index: str | os.PathLike[str] | None = None,
    embedder: Embedder | None = None,
    ranker: Ranker | str = LEXICAL,
) -> Settings:
    """Settings from arguments, then MEMTRACE_BASE_URL, MEMTRACE_API_KEY and MEMTRACE_TIMEOUT, then defaults.

    Raises `ConfigurationError`, which names the argument and the variable.
    """
    place = _base_url(base_url)
    return Settings(
        base_url=place,
        api_key=check_key(_api_key(api_key, place)),
        timeout=_timeout(timeout),
        deadline=positive_seconds(deadline, "deadline"),
        retry=check_retry(retry),
        dedup=check_dedup(dedup),
        middleware=check_middleware(middleware, "middleware"),
        attempt_middleware=check_middleware(attempt_middleware, "attempt_middleware"),
        headers=check_headers(headers),
        clock=clock if clock is not None else SystemClock(),
        search=SearchSettings(check_index(search_index), check_embedder(embedder), check_ranker(ranker)),
    )


def with_overrides(settings: Settings, **given: object) -> Settings:
    """A copy of `settings` with what is given changed, checked alike; what is `UNSET` stays. No variable has a say."""
    try:
        changed = {name: _CHECKS[name](value) for name, value in given.items() if not isinstance(value, Unset)}
    except ConfigurationError as error:
        error.variable_counts = False
        raise
    return replace(settings, **changed)


def check_middleware(chosen: Sequence[Middleware | Placement | str], argument: str) -> tuple[Link, ...]:
    """Middleware as objects with placements. A string names an installed one. Anything else must be callable."""
    if isinstance(chosen, str) or not isinstance(chosen, Sequence):
        raise ConfigurationError(f"{argument} must be a list or tuple of middleware", argument=argument)
    return tuple(_link(item, f"{argument}[{i}]") for i, item in enumerate(chosen))


def _link(item: Middleware | Placement | str, given: str) -> Link:
    if isinstance(item, Position):
        raise ConfigurationError(
            f"{given} is a Position, which says where and not what: write {item.relation}({item.link!r}, your_middleware)",
            argument=given,
        )
    wanted, position = (item.middleware, item.position) if isinstance(item, Placement) else (item, None)
    if isinstance(wanted, str):
        return _installed_link(wanted, given, position)
    if not _is_middleware(wanted):
        raise ConfigurationError(
            f"{given} cannot be called with (request, call_next): pass an instance or a generator function",
            argument=given,
        )
    return Link(wanted, given, position=position)


def _is_middleware(value: object) -> bool:
    return callable(value) and not isinstance(value, type)


def _installed_link(name: str, given: str, position: Position | None) -> Link:
    """The middleware of this name, at the given placement, else at the one its distribution declares."""
    from memtrace.plugins import middleware_registry

    spec, made, told, distribution = _made_by_plugin(middleware_registry, name, given, f"{given}: ")
    if not _is_middleware(made):
        raise ConfigurationError(
            f"{told} cannot be used: its create gives {type_name(made)}, which cannot be called with (request, call_next)",
            hint=f"report it to the authors of {distribution[0]}" if distribution else None,
            argument=given,
        )
    return Link(cast("Middleware", made), given, name, position or spec.position)


def _made_by_plugin(
    registry: Registry[SpecT], name: str, argument: str, place: str = ""
) -> tuple[SpecT, object, str, tuple[str, str] | None]:
    """The spec of a plugin, what it makes, what errors call it, and the distribution it comes from."""
    from memtrace.plugins import check_installed

    try:
        spec = registry.get(name)
    except ConfigurationError as error:
        raise ConfigurationError(f"{place}{error.message}", hint=error.hint, argument=argument) from error.__cause__
    distribution = registry.distribution(name)
    told = f"{place}{registry.kind} {name!r}{from_distribution(distribution)}"
    check_installed(spec, told, distribution, ConfigurationError)
    try:
        made: object = spec.create()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise ConfigurationError(
            f"{told} cannot be made: {type(error).__name__}: {error}", argument=argument
        ) from error
    return spec, made, told, distribution


_WITHOUT_A_SERVER: Final = (
    "to begin without a server, take sqlite:///agent.db, which keeps everything in that file, or memory:// for a test"
)

_NOUNS: Final = {"base_url": "the base URL", "api_key": "the API key", "timeout": "the timeout"}
"""What the arguments are called by those who set them otherwise than in Python, as in the console."""


def _base_url(value: str | os.PathLike[str] | None) -> BaseUrl:
    """The base URL that is given, or that the environment has; a path is that of a store in a file."""
    if not isinstance(value, os.PathLike):
        return parse_base_url(_arg_or_env(value, "base_url"))
    path = os.fspath(value)
    if not isinstance(path, str):
        raise _not_a_text("base_url", path)
    try:
        return _store_url(location_of_path(path))
    except AddressError as error:
        raise _bad_url(str(error)) from None


def _api_key(value: str | None, base_url: BaseUrl) -> str:
    """The key that is given, or that the environment has; a store without a server has a default."""
    if value is None and base_url.needs_no_key and not os.environ.get(ENVIRONMENT_VARIABLES["api_key"]):
        return DEFAULT_KEY
    return _arg_or_env(value, "api_key")


def _arg_or_env(value: str | None, argument: str) -> str:
    chosen = hidden(os.environ.get(ENVIRONMENT_VARIABLES[argument])) if value is None else value
    if not chosen:
        problem = "is missing" if chosen is None else "is empty"
        raise ConfigurationError(f"{_NOUNS[argument]} {problem}", argument=argument, hint=_WITHOUT_A_SERVER)
    if not isinstance(chosen, str):
        raise _not_a_text(argument, chosen)
    return chosen


def _not_a_text(argument: str, value: object) -> ConfigurationError:
    kind = value.kind if isinstance(value, NoText) else type(value)
    return ConfigurationError(f"{_NOUNS[argument]} must be a string, not {kind.__name__}", argument=argument)


def _timeout(value: float | None) -> float | None:
    text = os.environ.get("MEMTRACE_TIMEOUT")
    if not isinstance(value, Unset) or not text:
        return check_timeout(value)
    try:
        return check_timeout(float(text))
    except ValueError:
        raise ConfigurationError("MEMTRACE_TIMEOUT is not a number of seconds", argument="timeout") from None


def check_timeout(value: float | None) -> float | None:
    """Seconds above 0, or None for no limit."""
    return positive_seconds(value, "timeout")


def positive_seconds(value: float | None, argument: str) -> float | None:
    """Seconds above 0, or None for no limit."""
    if value is None:
        return None
    if not is_positive_seconds(value):
        noun = _NOUNS.get(argument, argument)
        raise ConfigurationError(f"{noun} must be a number of seconds above 0, or None for no limit", argument=argument)
    return float(value)


def check_retry(policy: RetryPolicy) -> RetryPolicy:
    """A policy, and no number of attempts."""
    if not isinstance(policy, RetryPolicy):
        raise ConfigurationError(
            f"retry must be a RetryPolicy, not {type_name(policy)}: RetryPolicy(max_attempts=1) turns retries off",
            argument="retry",
        )
    return policy


def check_dedup(dedup: Dedup | None) -> Dedup | None:
    """``server`` or ``per_call``, or None."""
    if dedup not in (None, *get_args(Dedup)):
        raise ConfigurationError(f"dedup must be one of {', '.join(get_args(Dedup))}, or None", argument="dedup")
    return dedup


def check_index(path: object) -> str | None:
    """The path of an index file, absolute: the working directory may change before it is opened."""
    if path is None:
        return None
    text = os.fspath(path) if isinstance(path, (str, os.PathLike)) else None
    if not isinstance(text, str) or not text or "\0" in text:
        raise ConfigurationError(
            "search_index must be the path of a file, or None to keep the index in memory", argument="search_index"
        )
    return os.path.abspath(text)  # noqa: PTH100  # as it is written, with its links


def check_embedder(embedder: object) -> Embedder | None:
    """A function that does not have to be awaited, or None."""
    if embedder is None or (callable(embedder) and not is_async_callable(embedder)):
        return cast("Embedder | None", embedder)
    raise ConfigurationError(
        f"embedder must be a blocking function that takes a list of strings and returns a list of vectors, not {type_name(embedder)}",
        argument="embedder",
        hint="an async client calls it in a thread",
    )


def check_ranker(ranker: Ranker | str) -> ChosenRanker | None:
    """A ranker, or the one of this name; None for the order of the index."""
    if ranker == LEXICAL:
        return None
    from memtrace.plugins import DEFAULT_CANDIDATES, ranker_registry

    if not isinstance(ranker, str):
        return ChosenRanker(_checked_ranker(ranker, "ranker"), DEFAULT_CANDIDATES)
    spec, made, told, distribution = _made_by_plugin(ranker_registry, ranker, "ranker")
    return ChosenRanker(_checked_ranker(made, told, distribution), spec.candidates)


def _checked_ranker(ranker: object, told: str, distribution: tuple[str, str] | None = None) -> Ranker:
    rank = getattr(ranker, "rank", None)
    if isinstance(ranker, type) or not callable(rank) or is_async_callable(rank):
        raise ConfigurationError(
            f"{told} cannot be used: {type_name(ranker)} has no blocking rank(query, candidates)",
            hint=f"report it to the authors of {distribution[0]}" if distribution else None,
            argument="ranker",
        )
    return cast("Ranker", ranker)


_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


def check_key(api_key: str) -> str:
    """A key that can stand in a header: printable ASCII, without white space around it."""
    if not isinstance(api_key, str):
        raise _not_a_text("api_key", api_key)
    if not api_key:
        raise ConfigurationError("the API key is empty", argument="api_key")
    if _KEY.fullmatch(api_key) is None:
        raise ConfigurationError(
            "the API key cannot be sent: it holds a line break, white space at an end, or a character that is not ASCII",
            argument="api_key",
            hint="a key read from a file often ends in a line break: strip it",
        )
    return Secret(api_key)


_CHECKS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "api_key": check_key,
    "timeout": check_timeout,
    "deadline": lambda value: positive_seconds(value, "deadline"),
    "retry": check_retry,
    "dedup": check_dedup,
    "middleware": lambda value: check_middleware(value, "middleware"),
    "attempt_middleware": lambda value: check_middleware(value, "attempt_middleware"),
    "headers": check_headers,
}
"""What can be changed of settings, by the argument's name."""


# ---- base URLs ------------------------------------------------------------------------------------------------------

_STORE_HINT = "write it like sqlite:///agent.db, or sqlite:////data/agent.db for an absolute path"
_SCHEME = re.compile(r"(?:(?P<transport>[A-Za-z][\w.-]*)\+)?(?P<scheme>[A-Za-z][\w.-]*)://(?P<rest>.*)", re.ASCII)


def parse_base_url(text: str) -> BaseUrl:
    """Take a base URL apart.

    ``http`` and ``https`` take any transport, ``name+https`` the one of that name, and any other scheme names a transport.

    >>> parse_base_url("requests+https://memtrace.example/v2/")
    BaseUrl(transport='requests', origin='https://memtrace.example', path='/v2')
    """
    if text != text.strip():
        raise _bad_url(
            "it has white space at an end", hint="a value read from a file often ends in a line break: strip it"
        )
    match = _SCHEME.fullmatch(text)
    if match is None:
        raise _bad_url("it does not begin with a scheme such as http:// or https://")
    transport, scheme = match["transport"], match["scheme"].lower()
    if scheme == "sqlite":
        return _store_of(match["rest"], transport)
    if scheme not in ("http", "https"):
        place = _custom_scheme_rest(scheme, match["rest"])
        from memtrace.plugins import HTTP_TRANSPORTS

        for name in (transport, scheme):
            if name in HTTP_TRANSPORTS:
                raise _bad_url(
                    f"the transport {name!r} sends to http:// and https:// only, not to {scheme}://",
                    hint=f"write {name}+https://host, or {name}+http://host",
                )
        return BaseUrl(transport or scheme, f"{scheme}://{place}", "")
    try:
        return BaseUrl(transport, *split_url(f"{scheme}://{match['rest']}"))
    except AddressError as error:
        raise _bad_url(str(error)) from None


def _store_of(rest: str, transport: str | None) -> BaseUrl:
    """A store in a file, its relative path made absolute now: the working directory may change before the first call."""
    try:
        return _store_url(location_of_url(f"sqlite://{rest}"), transport)
    except AddressError as error:
        raise _bad_url(str(error), hint=_STORE_HINT) from None


def _store_url(location: StoreLocation, transport: str | None = None) -> BaseUrl:
    return BaseUrl(transport or "sqlite", location.url(), "")


def _custom_scheme_rest(scheme: str, rest: str) -> str:
    """What follows a scheme that names a transport: its own business, as long as it can be shown."""
    if re.search(r"[\s\x00-\x1f\x7f]", rest) or not rest.isascii():
        raise _bad_url("it holds white space, a control character or a character that is not ASCII")
    if "@" in rest:
        raise _bad_url("it holds credentials; the API key is given apart from it")
    if scheme == "memory" and rest.strip("/"):
        raise _bad_url(
            "nothing can follow memory://, since two clients never share its store; hand both the same FakeMemtrace"
        )
    return rest.rstrip("/")


def _bad_url(
    problem: str,
    *,
    hint: str = "write it like http://localhost:9100, https://memtrace.example/path, or sqlite:///agent.db for a file",
) -> ConfigurationError:
    return ConfigurationError(f"the base URL is not a valid address: {problem}", argument="base_url", hint=hint)

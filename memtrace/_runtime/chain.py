"""The middleware chain of a client: the built-in links and the user's. It is ordered when the client is created."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from memtrace._flow.composition import Middleware
from memtrace._support.error_text import did_you_mean
from memtrace.exceptions import ConfigurationError
from memtrace.middleware._auth import ApiKeyAuth
from memtrace.middleware._errors import raise_errors
from memtrace.middleware._logging import log_attempts
from memtrace.middleware._placement import BUILT_IN, Link, Position
from memtrace.middleware._retry import Retry

if TYPE_CHECKING:
    from memtrace._runtime.config import Settings

_CHAIN: Final[Mapping[str, Callable[[Settings], Middleware | Sequence[Link]]]] = {
    "errors": lambda _: raise_errors,
    "middleware": lambda settings: settings.middleware,
    "retry": lambda settings: Retry(settings.retry),
    "auth": lambda settings: ApiKeyAuth(settings.api_key),
    "attempt_middleware": lambda settings: settings.attempt_middleware,
    "log": lambda _: log_attempts,
}
"""By name: the factory of a built-in link, or of the links of a user's list."""


def is_built_in(middleware: Middleware) -> bool:
    """Whether this is a built-in middleware. A class that a user derives from one is not."""
    return type(middleware) in (ApiKeyAuth, Retry) or middleware in (raise_errors, log_attempts)


def build_chain(settings: Settings) -> list[Middleware]:
    """Every middleware of a client, outermost first.

    Raises `ConfigurationError` for a placement beside a missing link, two replacements of one link, and a cycle.
    """
    given = [*settings.middleware, *settings.attempt_middleware]
    replacing = _replacing(given)
    standing: list[Link] = []
    named: dict[str, list[Link]] = {}
    for name, make in _CHAIN.items():
        made = make(settings)
        if isinstance(made, Sequence):
            standing.extend(link for link in made if link.position is None)
        else:
            link = replacing.get(name) or Link(made, name)
            standing.append(link)
            named[name] = [link]
    for link in given:
        if link.name is not None:
            named.setdefault(link.name, []).append(link)
    beside = _neighbours(given, named)
    chain = [link for stands in standing for link in _with_neighbours(stands, beside)]
    unplaced = [link for links in beside.values() for link in links if link not in chain]
    if unplaced:
        raise _cycle_error(unplaced, beside)
    return [link.middleware for link in chain]


def _replacing(given: Sequence[Link]) -> dict[str, Link]:
    """By the name of a built-in link: the middleware that replaces it."""
    found: dict[str, Link] = {}
    for link in given:
        if link.position is None or link.position.relation != "replace":
            continue
        name = link.position.link
        if name not in BUILT_IN:
            raise _unknown_link_error(link, link.position, "which is not a built-in link", BUILT_IN)
        if name in found:
            raise ConfigurationError(
                f"{found[name]} and {link} both stand instead of {name!r}; leave one of them out", argument=link.given
            )
        found[name] = link
    return found


_Neighbours = Mapping[tuple[str, Link], Sequence[Link]]


def _neighbours(given: Sequence[Link], named: Mapping[str, Sequence[Link]]) -> _Neighbours:
    """By relation and link: the middleware placed there, in the order of the lists."""
    found: dict[tuple[str, Link], list[Link]] = {}
    for link in given:
        position = link.position
        if position is None or position.relation == "replace":
            continue
        targets = named.get(position.link, ())
        if not targets:
            raise _unknown_link_error(link, position, "and this client has no link of that name", list(named))
        if len(targets) > 1:
            several = " and ".join(target.given for target in targets)
            raise ConfigurationError(
                f"{link} is placed {position}, and several have that name: {several}", argument=link.given
            )
        found.setdefault((position.relation, targets[0]), []).append(link)
    return found


def _with_neighbours(link: Link, beside: _Neighbours) -> Iterator[Link]:
    for other in beside.get(("before", link), ()):
        yield from _with_neighbours(other, beside)
    yield link
    for other in beside.get(("after", link), ()):
        yield from _with_neighbours(other, beside)


def _cycle_error(unplaced: Sequence[Link], beside: _Neighbours) -> ConfigurationError:
    """Follow the placements until one repeats. Links that only lead to the cycle are not named."""
    targets = {link: target for (_, target), links in beside.items() for link in links}
    walked = [unplaced[0]]
    while targets[walked[-1]] not in walked:
        walked.append(targets[walked[-1]])
    circle = walked[walked.index(targets[walked[-1]]) :]
    told = ", ".join(f"{link} {link.position}" for link in circle)
    return ConfigurationError(
        f"middleware is placed in a circle: {told}; place one of them beside a built-in link", argument=walked[0].given
    )


def _unknown_link_error(link: Link, position: Position, problem: str, known: Sequence[str]) -> ConfigurationError:
    from memtrace.plugins import middleware_registry

    hint = None
    if position.relation != "replace" and position.link in middleware_registry.names():
        hint = f"{position.link!r} is installed, but acts only where it is named: add it to middleware="
    return ConfigurationError(
        f"{link} is placed {position}, {problem}.{did_you_mean(position.link, known)} Known: {', '.join(known)}",
        hint=hint,
        argument=link.given,
    )

"""Placement: the position of a middleware, relative to a named link of the chain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from memtrace._flow.composition import Middleware
from memtrace.exceptions import ConfigurationError

BUILT_IN: Final[tuple[str, ...]] = ("errors", "retry", "auth", "log")
"""The names of the built-in links, outermost first."""

Relation = Literal["before", "after", "replace"]
"""Outside of a link, inside of it, or in its place."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a client's chain: before, after or instead of the link with this name.

    A `MiddlewareSpec` has one. In a client use `before`, `after` or `replace`.

    Raises:
        ConfigurationError: The relation is unknown, or the link is not a name.

    Example:
        >>> print(Position("replace", "auth"))
        instead of 'auth'
    """

    relation: Relation
    link: str

    def __post_init__(self) -> None:
        if self.relation not in get_args(Relation):
            raise ConfigurationError(
                f"a Position's relation must be one of {', '.join(get_args(Relation))}, not {self.relation!r}"
            )
        if not isinstance(self.link, str):
            raise ConfigurationError(
                f"{self.relation}: the link must be a name, not {type(self.link).__name__}; the name comes first, as in "
                f"{self.relation}('auth', ...)"
            )

    def __str__(self) -> str:
        return f"{'instead of' if self.relation == 'replace' else self.relation} {self.link!r}"


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """A middleware that is checked and made, with what was said of its place."""

    middleware: Middleware
    #: The argument that it came by, as in ``middleware[0]``.
    given: str
    #: The name by which it was asked for, where that is how.
    name: str | None = None
    position: Position | None = None

    def __str__(self) -> str:
        return self.given if self.name is None else f"{self.given} ({self.name!r})"


@dataclass(frozen=True, slots=True)
class Placement:
    """A middleware and its place, for the lists of a client. `before`, `after` and `replace` create it.

    Raises:
        ConfigurationError: The middleware has a place already, or the position is not a `Position`.

    Example:
        >>> before("auth", "tracing")
        Placement(middleware='tracing', position=Position(relation='before', link='auth'))
    """

    middleware: Middleware | str
    position: Position

    def __post_init__(self) -> None:
        if not isinstance(self.position, Position):
            raise ConfigurationError(
                f"a Placement's position must be a Position, not {type(self.position).__name__}: write before('auth', ...), "
                "after or replace, which make both"
            )
        if isinstance(self.middleware, Placement):
            raise ConfigurationError(
                f"a middleware has one place, and this one has two, {self.position} and {self.middleware.position}: "
                "leave one of them out"
            )
        if isinstance(self.middleware, Position):
            raise ConfigurationError(
                f"what is placed {self.position} is a Position, {self.middleware}, not a middleware: write "
                f"{self.position.relation}({self.position.link!r}, your_middleware)"
            )


def before(link: str, middleware: Middleware | str) -> Placement:
    """Place a middleware just before another: it sees the request earlier and the response later.

    Several placements before one link keep the order of their list.

    Args:
        link: The name of a built-in middleware, or of an installed one of the same client.
        middleware: The middleware, or the name of an installed one.

    Returns:
        The placement, for `middleware=` or `attempt_middleware=` of a client. The client raises
        `ConfigurationError` for an unknown name.

    Example:
        >>> from memtrace import Memtrace
        >>> from memtrace.middleware import log_attempts
        >>> client = Memtrace("memory://", "any key", middleware=[before("auth", log_attempts)])
    """
    return Placement(middleware, Position("before", link))


def after(link: str, middleware: Middleware | str) -> Placement:
    """Place a middleware just after another: it sees the request later and the response earlier.

    Several placements after one link keep the order of their list.

    Args:
        link: The name of a built-in middleware, or of an installed one of the same client.
        middleware: The middleware, or the name of an installed one.

    Returns:
        The placement, for `middleware=` or `attempt_middleware=` of a client. The client raises
        `ConfigurationError` for an unknown name.

    Example:
        >>> from memtrace import Memtrace
        >>> from memtrace.middleware import log_attempts
        >>> client = Memtrace("memory://", "any key", middleware=[after("errors", log_attempts)])
    """
    return Placement(middleware, Position("after", link))


def replace(link: str, middleware: Middleware | str) -> Placement:
    """Replace a built-in middleware.

    Other middleware is still placed before and after it by the built-in name.

    Args:
        link: The name of the built-in middleware.
        middleware: The middleware in its place, or the name of an installed one.

    Returns:
        The placement, for `middleware=` or `attempt_middleware=` of a client. The client raises
        `ConfigurationError` for a name that is not built in, and for two that replace the same one.

    Example:
        >>> from memtrace import Memtrace
        >>> from memtrace.middleware import ApiKeyAuth
        >>> client = Memtrace("memory://", "any key", middleware=[replace("auth", ApiKeyAuth("another key"))])
    """
    return Placement(middleware, Position("replace", link))

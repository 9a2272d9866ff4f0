"""How error texts name what was given to the SDK, and what is installed beside it."""

from __future__ import annotations

from collections.abc import Iterable


def type_name(value: object) -> str:
    """The class of a value, or the class that it is.

    >>> type_name(3), type_name(int)
    ('int', 'the class int')
    """
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """A question for an error's text when one of `names` is close to `name`."""
    import difflib  # nobody needs it who makes no mistake

    folded = {known.casefold(): known for known in names}
    near = difflib.get_close_matches(name.casefold(), folded, n=1)
    return f" Did you mean {folded[near[0]]!r}?" if near else ""


def from_distribution(distribution: tuple[str, str] | None) -> str:
    """What stands behind a plugin's name in an error's text."""
    return f" of {' '.join(distribution)}" if distribution else ""


def qualified_name(function: object) -> str:
    """The name of a function or of an instance's class, as a message shows it."""
    named = getattr(function, "__qualname__", None)
    return named if isinstance(named, str) else type(function).__qualname__

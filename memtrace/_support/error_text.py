"""How error texts name what was given to the SDK, and what is installed beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable

# controls, line ends, what turns the direction of writing, and half characters, which no stream can encode
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""A foreign text with escapes for what a terminal obeys, what breaks a line, and what cannot be encoded.

    >>> print(printable("red \x1b[31m\nline \ud800"))
    red \x1b[31m\nline \ud800
    """
    return _UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], text)


def excerpt(text: str, length: int = 300) -> str:
    r"""The beginning of a foreign text as `printable` shows it, of `length` characters at most and an ellipsis.

    >>> excerpt("two\nlines", 6)
    'two\\nl…'
    """
    shown = printable(text[: length + 1])
    return shown if len(shown) <= length else shown[:length] + "…"


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


def closed(text: str, mark: str = ".") -> str:
    """`text` with `mark` at its end, unless it already ends in one, so that another sentence can follow.

    >>> closed("not done"), closed("Did you mean 'a'?"), closed("not done", ";")
    ('not done.', "Did you mean 'a'?", 'not done;')
    """
    return text if text.endswith((".", "?", "!", "…")) else text + mark


def from_distribution(distribution: tuple[str, str] | None) -> str:
    """The suffix of a plugin's name in an error message."""
    return f" of {' '.join(distribution)}" if distribution else ""


def qualified_name(function: object) -> str:
    """The name of a function or of an instance's class, as a message shows it."""
    named = getattr(function, "__qualname__", None)
    return named if isinstance(named, str) else type(function).__qualname__

"""What identifiers, types and tags look like, and the server's words for what does not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

_GO_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"


def _check(pattern: str, problem: str) -> Callable[[str], str | None]:
    """A check that returns `problem` for a string that does not match. An empty one counts as absent."""
    matches = re.compile(pattern).fullmatch
    return lambda value: None if not value or matches(value) else problem


identifier_problem = _check(
    r"[a-zA-Z][a-zA-Z0-9_-]{0,127}", "invalid ID format: must be alphanumeric with underscores/hyphens, max 128 chars"
)
"""Why a string is not an agent or session id; None if it is one, or empty, which counts as absent."""
type_problem = _check(
    r"[a-zA-Z][a-zA-Z0-9_]{0,63}", "invalid type format: must be alphanumeric with underscores, max 64 chars"
)
"""Why a string is not a memory or event type; None if it is one, or empty."""
tag_problem = _check(
    r"[a-zA-Z0-9_.\-]{1,64}", "invalid tag format: must be alphanumeric with underscores/hyphens/dots, max 64 chars"
)
"""Why a string is not a tag; None if it is one, or empty."""


def first_problem(checks: Iterable[tuple[str, str | None]]) -> str | None:
    """The server's words for the first of these names that has a problem."""
    return next((f"invalid {name}: {problem}" for name, problem in checks if problem), None)


def trim(text: str) -> str:
    """`text` without the spaces around it, as Go's unicode tables know spaces."""
    return text.strip(_GO_SPACE)

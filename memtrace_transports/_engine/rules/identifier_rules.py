"""What identifiers, types and tags look like, and the server's words for what does not."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["first_problem", "identifier_problem", "tag_problem", "trim", "type_problem"]

_IDENTIFIER = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,127}")
_TYPE = re.compile(r"[a-zA-Z][a-zA-Z0-9_]{0,63}")
_TAG = re.compile(r"[a-zA-Z0-9_.\-]{1,64}")
_GO_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"


def identifier_problem(value: str) -> str | None:
    """Why `value` is no agent or session id; None when it is one, or empty, which counts as absent."""
    if not value or _IDENTIFIER.fullmatch(value):
        return None
    return "invalid ID format: must be alphanumeric with underscores/hyphens, max 128 chars"


def type_problem(value: str) -> str | None:
    """Why `value` is no memory or event type; None when it is one, or empty."""
    if not value or _TYPE.fullmatch(value):
        return None
    return "invalid type format: must be alphanumeric with underscores, max 64 chars"


def tag_problem(value: str) -> str | None:
    """Why `value` is no tag; None when it is one, or empty."""
    if not value or _TAG.fullmatch(value):
        return None
    return "invalid tag format: must be alphanumeric with underscores/hyphens/dots, max 64 chars"


def first_problem(checks: Iterable[tuple[str, str | None]]) -> str | None:
    """The server's words for the first of these names that has a problem."""
    return next((f"invalid {name}: {problem}" for name, problem in checks if problem), None)


def trim(text: str) -> str:
    """`text` without the spaces around it, as Go's unicode tables know spaces."""
    return text.strip(_GO_SPACE)

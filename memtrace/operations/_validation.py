"""The server's rules for arguments, checked before anything is sent.

Source: the observed behaviour of Memtrace 0.2.0. The server would return a 500 for a bad filter, and unrequested rows
for an empty or silently capped one. Each raises here, with the field and the rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import isfinite
from urllib.parse import quote

from memtrace._support.numbers import is_int, is_non_negative_seconds
from memtrace.exceptions import InvalidRequestError

ID_RULE = "a letter, then letters, digits, underscores or hyphens, at most 128 characters"
TYPE_RULE = "a letter, then letters, digits or underscores, at most 64 characters"
TAG_RULE = "letters, digits, underscores, hyphens or dots, at most 64 characters"
ID_FIELDS = ("agent_id", "session_id")
STRINGS_RULE = "a string or a list of strings"
"""Of each filter that knows several values."""
WHOLE_CHARACTERS = "whole Unicode characters"
MAX_LIMIT = 1000
BATCH_SIZE = 100
"""Items of a batch a request: the server takes 1.1 ms an item then, and 3.3 ms at 1,000."""

# Go's: Python's own has four control characters more
_WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"

_ID = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,127}")
_TYPE = re.compile(r"[a-zA-Z][a-zA-Z0-9_]{0,63}")
_TAG = re.compile(r"[a-zA-Z0-9_.\-]{1,64}")


def invalid(field: str, rule: str, reason: str = "the server accepts nothing else") -> InvalidRequestError:
    """The error for an argument that breaks a rule; its text names the field, the rule and the reason, never the value."""
    return broken_rule(field, rule, f"must be {rule}: {reason}")


def broken_rule(field: str, rule: str, problem: str) -> InvalidRequestError:
    """The error for an argument that breaks a rule, with the words that follow the field in its text."""
    return InvalidRequestError(f"{field} {problem}", field=field, rule=rule, problem=problem)


def require_non_empty(value: str | None, field: str) -> None:
    """Refuse None and the empty text."""
    if not value:
        raise invalid(field, "a string that is not empty", "it is required")


def check_id(value: object, field: str) -> None:
    """Refuse an id that the server's pattern does not match; None and the empty text count as absent."""
    if value and not (isinstance(value, str) and _ID.fullmatch(value)):
        error = invalid(field, ID_RULE)
        error.hint = id_hint(field, is_string=isinstance(value, str))
        raise error


def require_id(value: str | None, field: str) -> None:
    """Refuse None, the empty text, and an id that the server's pattern does not match."""
    require_non_empty(value, field)
    check_id(value, field)


def id_hint(field: str, *, is_string: bool = True) -> str:
    """The call that makes an ID of what an argument was given.

    >>> id_hint("agent_id", is_string=False)
    'memtrace.integrations.identifiers.id_for(str(agent_id)) creates an ID from any string'
    """
    name = field.rpartition(".")[2]
    text = name if is_string else f"str({name})"
    return f"memtrace.integrations.identifiers.id_for({text}) creates an ID from any string"


def check_type(value: str | None, field: str) -> None:
    """Refuse a memory or event type that the server's pattern does not match; None and the empty text count as absent."""
    if value and _TYPE.fullmatch(value) is None:
        raise invalid(field, TYPE_RULE)


def check_types(values: Iterable[str] | None, field: str) -> None:
    """`check_type` for each of a list."""
    for i, value in enumerate(values or ()):
        check_type(value, f"{field}[{i}]")


def check_tag(value: str, field: str) -> None:
    """Refuse a tag that the server's pattern does not match; the empty text passes."""
    if value and _TAG.fullmatch(value) is None:
        raise invalid(field, TAG_RULE)


def check_tags(values: Iterable[str] | None, field: str = "tags") -> None:
    """`check_tag` for each of a list."""
    for i, value in enumerate(values or ()):
        check_tag(value, f"{field}[{i}]")


def split_tags(text: str) -> list[str]:
    r"""The tags of a comma-separated string, as the server reads it.

    >>> split_tags("ui,\tnav,")
    ['ui', 'nav']
    """
    return [tag for part in text.split(",") if (tag := trim_tag(part))]


def trim_tag(text: str) -> str:
    """A tag of a list's query without the white space around it, which the server does not read.

    >>> trim_tag(" ui\u00a0")
    'ui'
    """
    return text.strip(_WHITE_SPACE)


def check_count(value: int | None) -> None:
    """Refuse a number of rows below 1, for which the server would silently take its default."""
    if value is not None and value < 1:
        raise invalid("limit", "1 or more", "the server would silently take its default instead")


def check_limit(value: int | None, field: str = "limit") -> None:
    """Refuse a limit of one request that the server would silently replace by its default."""
    if value is not None and not 1 <= value <= MAX_LIMIT:
        raise invalid(field, f"from 1 to {MAX_LIMIT}", "the server would silently take its default instead")


def check_page_size(value: int) -> None:
    """Refuse a number of rows a request that is no whole number from 1 to the server's most."""
    if not is_int(value) or not 1 <= value <= MAX_LIMIT:
        raise invalid("page_size", f"a whole number from 1 to {MAX_LIMIT}", "the server gives no more in one request")


def check_offset(value: int | None, field: str = "offset") -> None:
    """Refuse an offset that the server cannot read as a 64-bit number from 0: it would silently take 0 for it."""
    if value is not None and not 0 <= value < 2**63:
        raise invalid(field, "0 or more, and below 2**63", "the server would silently take 0 instead")


def check_importance(value: float | None) -> None:
    """Refuse a least importance that is no number, or below 0: the server would silently take it for none."""
    try:
        is_usable = value is None or (value >= 0 and isfinite(value))
    except (TypeError, OverflowError):  # a string, or an integer that no float can be
        is_usable = False
    if not is_usable:
        raise invalid("min_importance", "a finite number, 0 or more", "the server would silently ignore it")


def check_recent(value: object) -> None:
    """Refuse a number of newest memories that is none, or that no index can count to."""
    if not is_int(value) or not 0 <= value < 2**63:
        raise invalid(
            "recent", "a whole number, 0 or more, and below 2**63", "it says how many of the newest are always there"
        )


def check_non_negative_seconds(value: object, field: str) -> None:
    """Refuse what is no number of seconds to wait: a negative one, an endless one, none at all."""
    if not is_non_negative_seconds(value):
        raise invalid(field, "a number of seconds, 0 or more", "it says how long to wait")


def path_segment(value: str, field: str) -> str:
    """`value` as one segment of a path, percent-encoded. Refuses what would name another path: empty, ``.`` and ``..``.

    >>> path_segment("../admin", "agent_id")
    '..%2Fadmin'
    """
    if not is_text(value):
        error = invalid(field, "a string", f"{type(value).__name__} was given")
        error.hint = id_hint(field, is_string=False) if field in ID_FIELDS else None
        raise error
    if value in ("", ".", ".."):
        raise invalid(field, "neither empty nor '.' nor '..'", "it is a part of the path")
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise invalid(field, WHOLE_CHARACTERS, "it holds half of one") from None


def text_list(values: object, field: str) -> list[str] | None:
    """The strings of an iterable, read once, or a single string in a list; None stays None. Rejects anything else."""
    if values is None:
        return None
    if isinstance(values, str):
        return [values]
    found = list(values) if isinstance(values, Iterable) else [None]
    texts = [value for value in found if isinstance(value, str)]
    if len(texts) < len(found):
        raise invalid(field, STRINGS_RULE)
    return texts


def is_text(value: object) -> bool:
    """`isinstance`, where the annotation promises what a caller may not have kept."""
    return isinstance(value, str)

"""Every server text that the SDK reads: from a response's words to small typed values.

The server gives its errors no code: only the text says what failed. Only this module contains those texts. Source: the
observed behaviour of Memtrace 0.2.0, "Errors" and "Writing memories".
"""

from __future__ import annotations

import json
import re
from typing import Final, Literal, NamedTuple, cast

from memtrace._support.error_text import excerpt
from memtrace._support.urls import redact_memory_text
from memtrace.exceptions import RESPONSE_BODY_KEPT
from memtrace.operations._dense_json import is_dense
from memtrace.transport import Response

_MAX_ERROR = 2000


class ErrorMessage(NamedTuple):
    """What a failed response says, safe to show: bounded, and without what was searched for."""

    text: str
    #: The server's own hint, where it gives one.
    hint: str | None = None
    #: Whether `text` is the server's own; False for what a proxy or another server sent.
    is_from_server: bool = False


def read_error(response: Response) -> ErrorMessage:
    """Read the error of a failed response.

    Args:
        response: Any response of status 300 and above.

    Returns:
        The server's text and hint. For a body that is not the server's JSON: its first 300 characters, or the status.
    """
    try:
        content = _json(response.body)
    except (ValueError, RecursionError):
        text = " ".join(response.body[:RESPONSE_BODY_KEPT].decode("utf-8", "replace").split())
        shown = excerpt(redact_memory_text(text))  # "Cannot GET", and the path
        return ErrorMessage(shown or f"HTTP {response.status}")
    error, hint = (content.get("error"), content.get("hint")) if isinstance(content, dict) else (None, None)
    if not isinstance(error, str) or not error:
        return ErrorMessage(f"HTTP {response.status}")
    hint = excerpt(hint, _MAX_ERROR) if isinstance(hint, str) and hint else None
    return ErrorMessage(excerpt(_without_query(error), _MAX_ERROR), hint, is_from_server=True)


def _json(body: bytes) -> object:
    if is_dense(body):  # no error of the server is: it would take many times its size
        raise ValueError
    return json.loads(body)


def _without_query(text: str) -> str:
    """`text` without the engine's excerpt of its query, which may hold what was searched for."""
    found = _QUERY_EXCERPT.search(text)
    if found is None:
        return text
    end = found.start()
    while text.endswith(("\n", "\\n"), 0, end):  # a pattern that repeats line ends takes the square of their number
        end -= 1 if text[end - 1] == "\n" else 2
    return text[:end]


_QUERY_EXCERPT = re.compile(r"(?:\\n|\n)LINE \d+: ")

# ---- arguments ------------------------------------------------------------------------------------------------------


class RefusedArgument(NamedTuple):
    """An argument that the server does not accept."""

    #: The argument, as the SDK names it.
    field: str
    #: What it has to be, where the server says so.
    rule: str | None = None
    #: Its item of a batch, from 0; None outside of one.
    item: int | None = None


def refused_argument(text: str) -> RefusedArgument | None:
    """Which argument the server refuses, by which rule; None where `text` says something else.

    >>> refused_argument("failed to create memory 3: content is required")
    RefusedArgument(field='content', rule='required', item=3)
    """
    match = _ARGUMENT.match(text)
    if match is None:
        return None
    item = None if match["item"] is None else int(match["item"])
    if match["required"]:
        return RefusedArgument(match["required"], "required", item)
    name = match["invalid"]
    return RefusedArgument(_SDK_NAMES.get(name, name), _rule(text, name), item)


def refused_item(text: str) -> int | None:
    """The item of a batch, from 0, that the server refused after it had stored those before it; None for another text.

    >>> refused_item("failed to create memory 3: disk full")
    3
    """
    match = _ITEM.match(text)
    return None if match is None else int(match["item"])


def _rule(text: str, name: str) -> str | None:
    """The text after ``format: ``. The error for an invalid memory type has no such prefix."""
    _, found, rule = text.rpartition("format: ")
    return rule if found else _RULES.get(name)


_ITEM = re.compile(r"failed to create memory (?P<item>[0-9]{1,9}): ")
_ARGUMENT = re.compile(
    rf"(?:{_ITEM.pattern})?"
    r"(?:(?P<required>\w+) is required|invalid (?P<invalid>agent_id|session_id|memory_type|event_type|tag|include_type)\b)"
)
_RULES: Final = {"memory_type": "one of episodic, session, decision, entity"}
_SDK_NAMES: Final = {"tag": "tags", "include_type": "include_types"}

# ---- what is there, and what is not ---------------------------------------------------------------------------------

Resource = Literal["agent", "memory", "session"]
"""What can be missing."""

_MISSING: Final = {"agent not found": "agent", "memory not found": "memory", "session not found": "session"}


def missing_resource(text: str) -> Resource | None:
    """Which kind of thing the server did not find; None where `text` says something else.

    >>> missing_resource("session not found")
    'session'
    """
    return cast("Resource | None", _MISSING.get(text))


def is_duplicate_memory(text: str) -> bool:
    """Whether the memory was stored within the last 24 hours."""
    return text == "duplicate memory"


def is_foreign_key_violation(text: str) -> bool:
    """Whether an agent is not registered, or cannot be deleted because it has sessions: its database says it like this."""
    return "FOREIGN KEY" in text


# ---- storage --------------------------------------------------------------------------------------------------------


def is_missing_storage(text: str) -> bool:
    """Whether the organisation has no storage yet."""
    return "arc instance" in text.lower()


def is_storage_failure(text: str) -> bool:
    """Whether the storage failed; False where it could not read an argument.

    >>> is_storage_failure("failed to query memories: failed to query Arc: connection refused")
    True
    """
    return "query" in text and "Arc" in text and _UNREADABLE.search(text) is None


def unreadable_time(text: str) -> str | None:
    """The time that the storage could not read, unchanged; None if `text` is another error."""
    found = _UNREADABLE_TIME.search(text)
    return None if found is None else found["quoted"] or found["converted"] or ""


_UNREADABLE = re.compile("conver(?:t|sion)|timestamp field format", re.IGNORECASE)
_UNREADABLE_TIME = re.compile(
    r"""(?:invalid timestamp field format|timestamp field value out of range): \\?"(?P<quoted>.*?)\\?"|"""
    r"""could not convert string '(?P<converted>.*?)' to TIMESTAMP"""
)

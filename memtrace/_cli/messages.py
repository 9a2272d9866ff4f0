"""Errors of the SDK in the console's words: its options for Python arguments, its commands for calls, and without the key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from memtrace._cli.exit_status import CommandError, status_of
from memtrace.exceptions import InvalidRequestError, MemtraceError
from memtrace.operations._time_bounds import WRITTEN_RULES

#: The options for what a command sends, by the SDK's argument.
_OPTIONS: Final = {
    "content": "CONTENT",
    "dedup_key": "--dedup-key",
    "event_type": "--event-type",
    "event_types": "--event-type",
    "importance": "--importance",
    "include_types": "--type",
    "limit": "--limit",
    "max_tokens": "--max-tokens",
    "memory_type": "--type",
    "memory_types": "--type",
    "metadata": "--metadata",
    "min_importance": "--min-importance",
    "occurred_at": "--occurred-at",
    "query": "QUERY",
    "since": "--since",
    "tags": "--tag",
    "until": "--until",
}

#: What to do after a write that may have been stored, by the operation that failed.
_LOOKUP_HINTS: Final = {
    "memories.add": "look for it before you store it again, about two seconds later: memtrace-sdk recall AGENT",
    "memories.add_many": "import it again: what is stored already is passed over",
    "memories.list": "the server has accepted the memory: do not store it again; memtrace-sdk recall AGENT will show it",
}
#: What to do, by the error's code, where the SDK's hint is for Python.
_HINTS: Final = {"result_window_exceeded": "narrow it with --agent or --session, or use memtrace-sdk export"}


def text_of(error: MemtraceError, sources: Mapping[str, str]) -> str:
    """The whole text of an error.

    Args:
        error: The error, as the SDK raised it.
        sources: Where the console has the client's arguments from, such as ``--base-url`` for ``base_url``.
    """
    return error.format(problem_of(error), _hint_of(error), _source_of(error, sources))


def command_error_of(error: MemtraceError, sources: Mapping[str, str], key: str | None = None) -> CommandError:
    """What ends a command after an error of the SDK, without the key."""
    text, cause = redacted(text_of(error, sources), key), redacted(problem_of(error), key)
    return CommandError(text, status_of(error), cause=cause)


def problem_of(error: MemtraceError) -> str:
    """What happened; where an argument is wrong, by the option that gives it."""
    if isinstance(error, InvalidRequestError) and error.field and error.problem:
        option = _OPTIONS.get(error.field.partition("[")[0])
        written = WRITTEN_RULES.get(error.rule or "")
        problem = f"must be {written}" if written else error.problem
        return error.message if option is None else f"{option} {problem}"
    return error.message


def item_problem_of(error: MemtraceError) -> str:
    """Describe the error of one memory of a batch, without its index: the message has a line number instead."""
    if isinstance(error, InvalidRequestError) and error.field and error.problem:
        return f"{error.field.rpartition('.')[2]} {error.problem}"
    return error.message


def advice_of(error: MemtraceError, sources: Mapping[str, str]) -> str | None:
    """What to do, and where the value at fault comes from; None where neither is known."""
    hint, source = _hint_of(error), _source_of(error, sources)
    return f"{hint} ({source})" if hint and source else hint or source


def redacted(text: str, key: str | None) -> str:
    """`text` with stars for the key, which a server, or a proxy in front of it, may repeat."""
    return re.sub(rf"(?<![0-9A-Za-z]){re.escape(key)}(?![0-9A-Za-z])", "***", text) if key else text


def _hint_of(error: MemtraceError) -> str | None:
    operation = error.request.operation if error.request is not None and error.maybe_applied else ""
    is_call_in_python = error.code == "invalid_request"  # that makes an ID
    return _LOOKUP_HINTS.get(operation) or _HINTS.get(error.code, None if is_call_in_python else error.hint)


def _source_of(error: MemtraceError, sources: Mapping[str, str]) -> str | None:
    source = sources.get(error.argument or "")
    return f"from {source}" if source else None

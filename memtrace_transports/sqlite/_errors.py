"""What went wrong with a store's file, in words that name the file and what to do."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from memtrace.exceptions import ConfigurationError, MemtraceError, TransportCause, TransportError

UNSTORED = "nothing of this call was stored"


class _Kind(NamedTuple):
    text: str
    problem: str
    hint: str
    #: None for what no retry can change.
    cause: TransportCause | None


# SQLite's own texts: Python 3.10 gives no result codes.
_KINDS = (
    _Kind("is locked", "was locked by another process for longer than the timeout", "raise the timeout, or look for what holds it", "timeout"),
    _Kind("not a database", "is no SQLite database", "name another file; this one was not changed", None),
    _Kind("malformed", "is damaged", "run: memtrace-sdk store check; then go back to a backup, or copy what can be read with: memtrace-sdk export", None),
    _Kind("readonly", "cannot be written: the file or its folder is read-only", "change its permissions, or name another file", None),
    _Kind("disk is full", "cannot be written: the disk is full", "make room and call again", "connect"),
    _Kind("unable to open", "cannot be opened", "check that its folder exists and can be written by this user", None),
    _Kind("disk I/O error", "cannot be read or written: the disk reports an error", "look at the disk's health, then run: memtrace-sdk store check", "connect"),
    _Kind("no such module: fts5", "cannot be used: this Python's SQLite was built without FTS5", "use a Python whose sqlite3 has FTS5, as those of python.org, conda and uv have", None),
)  # fmt: skip


def store_error(error: sqlite3.Error, path: str, *, maybe_stored: bool = False) -> MemtraceError:
    """The error for what SQLite says of the store in `path`."""
    said = str(error)
    for kind in _KINDS:
        if kind.text in said:
            return _error(f"the store {path} {kind.problem}", kind.hint, kind.cause, maybe_stored=maybe_stored)
    return _error(
        f"the store {path} cannot be used: {said}", "run: memtrace-sdk store check", None, maybe_stored=maybe_stored
    )


def _error(text: str, hint: str, cause: TransportCause | None, *, maybe_stored: bool) -> MemtraceError:
    if maybe_stored:
        return TransportError(text, cause=cause or "protocol", maybe_sent=True, hint=hint)
    text = f"{text}; {UNSTORED}"
    if cause is None:
        return ConfigurationError(text, argument="base_url", hint=hint)
    return TransportError(text, cause=cause, maybe_sent=False, hint=hint)


def unusable(path: str, problem: str, hint: str) -> ConfigurationError:
    """The error for a path at which no store can be."""
    return ConfigurationError(f"the store {path} {problem}", argument="base_url", hint=hint)

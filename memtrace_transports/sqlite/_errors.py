"""What went wrong with a store's file, in words that name the file and what to do."""

from __future__ import annotations

import sqlite3

from memtrace._support.sqlite_files import Fault, fault_of
from memtrace.exceptions import ConfigurationError, MemtraceError, TransportError

UNSTORED = "nothing of this call was stored"

_HINTS = {
    "damaged": "run: memtrace-sdk store check; then go back to a backup, or copy what can be read with: memtrace-sdk export",
    "disk": "look at the disk's health, then run: memtrace-sdk store check",
    "missing": "check the path; the first call of a client makes the file",
    "network": "keep it on a local disk, and share it with: memtrace-sdk serve",
    "no_file": "name a file, as in sqlite:///agent.db",
    "other": "run: memtrace-sdk store check",
}
"""What to do where a store can do more than any file."""


def hint_for(fault: Fault) -> str:
    """What to do about what befell a store."""
    return _HINTS.get(fault.name, fault.hint)


def store_error(error: sqlite3.Error, path: str, *, maybe_stored: bool = False) -> MemtraceError:
    """The error for what SQLite says of the store in `path`."""
    fault = fault_of(error, path)
    text, hint = f"the store {path} {fault.problem}", hint_for(fault)
    if maybe_stored:
        return TransportError(text, cause=fault.cause or "protocol", maybe_sent=True, hint=hint)
    text = f"{text}; {UNSTORED}"
    if fault.cause is None:
        return ConfigurationError(text, argument="base_url", hint=hint)
    return TransportError(text, cause=fault.cause, maybe_sent=False, hint=hint)


def unusable(path: str, problem: str, hint: str) -> ConfigurationError:
    """The error for a path at which no store can be."""
    return ConfigurationError(f"the store {path} {problem}", argument="base_url", hint=hint)

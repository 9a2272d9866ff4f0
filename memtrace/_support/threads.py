"""Threads that the system does not give."""

from __future__ import annotations


def is_refused_thread(error: BaseException) -> bool:
    """Whether no thread could be started: too many run, or the interpreter is ending. Python has no class for it."""
    return isinstance(error, RuntimeError) and any(said in str(error) for said in ("new thread", "new futures"))

"""The observer that is called for silent actions of the server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from memtrace_transports._engine.store.rows import Row


class Observer(Protocol):
    """Hears of results that are right by the server's rules and surprising to a caller."""

    def duplicate_rejected(self, stored: str, rejected: str) -> None:
        """A memory was rejected as a duplicate; both contents, which may differ."""
        ...

    def tags_matched(self, rows: Iterable[Row], tags: Sequence[str]) -> None:
        """A read found `rows` for `tags`, which match as substrings."""
        ...

    def context_cut(self, found: int, kept: int) -> None:
        """A session's context has `kept` of the rows; `found` is more than that if some were left out."""
        ...

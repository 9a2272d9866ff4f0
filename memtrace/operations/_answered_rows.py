"""The rows that a client's own writes were answered with: none of them is what another, lost write left behind."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from memtrace.models import Memory

_KEPT = 2000
"""Rows: more than a server stores in the second by which the beginning of a call is not known."""


class AnsweredRows:
    """The newest rows that were answered, by key and time. Only single steps of the interpreter on it, so that it needs no lock."""

    def __init__(self) -> None:
        self._rows: OrderedDict[tuple[object, object], None] = OrderedDict()

    def note(self, result: object) -> None:
        """Remember the rows of a write's result, a memory or those of a batch; other results have none."""
        memories: list[Memory] = [result] if isinstance(result, Memory) else getattr(result, "memories", None) or []
        for memory in memories:
            self._rows[memory.dedup_key, f"{memory.time:%Y-%m-%dT%H:%M:%S.%f}"] = None
        while len(self._rows) > _KEPT:
            self._rows.popitem(last=False)

    def holds(self, row: Mapping[str, object]) -> bool:
        """Whether this row was answered to a write that is over."""
        return (row.get("dedup_key"), microseconds(row)) in self._rows


def microseconds(row: Mapping[str, object]) -> str:
    """A row's time as it is read later: an answer to a write has nanoseconds."""
    seconds, _, fraction = str(row.get("time")).removesuffix("Z").partition(".")
    return f"{seconds}.{fraction[:6]:0<6}"

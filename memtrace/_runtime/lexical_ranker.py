"""The plugin of the built-in ranker ``lexical``, which every client has unless it names another one."""

from __future__ import annotations

from memtrace.plugins import RankerSpec, hookimpl
from memtrace.ranking import LexicalRanker


@hookimpl
def memtrace_ranker() -> RankerSpec:
    """The order of the index, by words and vectors."""
    return RankerSpec(create=LexicalRanker)

"""Find relevant memories: a full-text index on SQLite, ranking by words, and vectors of an embedder."""

from __future__ import annotations

from memtrace.ranking._answering import answer_query
from memtrace.ranking._file import open_index_file
from memtrace.ranking._filters import MemoryFilter
from memtrace.ranking._hits import SearchHit, SearchHits
from memtrace.ranking._index import MemoryLoader, TextIndex
from memtrace.ranking._ranker import LexicalRanker, Ranker
from memtrace.ranking._search import MemorySearch
from memtrace.ranking._status import IndexProgress, IndexStatus
from memtrace.ranking._vectors import Embedder

__all__ = [
    "Embedder",
    "IndexProgress",
    "IndexStatus",
    "LexicalRanker",
    "MemoryFilter",
    "MemoryLoader",
    "MemorySearch",
    "Ranker",
    "SearchHit",
    "SearchHits",
    "TextIndex",
    "answer_query",
    "open_index_file",
]

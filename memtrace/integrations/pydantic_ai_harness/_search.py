"""Which files matter to a query, and what of them a model sees."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime, timezone

from pydantic_ai_harness.memory import MemorySearchMatch, MemorySearchResult

from memtrace.models import Memory
from memtrace.ranking import MemorySearch, SearchHits, TextIndex

_MARK = "..."


async def search_files(
    contents: Mapping[str, str],
    prefix: str,
    query: str,
    *,
    limit: int,
    max_files: int,
    max_chars: int,
    max_file_chars: int,
) -> MemorySearchResult:
    """The relevant files as matches, within bounds. Paths count without the prefix, which names a user and no content."""
    scanned = sorted(contents)[:max_files]
    texts = {path[len(prefix) :]: contents[path][:max_file_chars] for path in scanned}
    truncated = len(scanned) < len(contents) or any(len(contents[path]) > max_file_chars for path in scanned)
    hits = await asyncio.to_thread(_ranked, texts, query)
    matches: list[MemorySearchMatch] = []
    room = max_chars
    for hit in hits[:limit]:
        name = hit.memory.agent_id
        if room <= len(name):
            break
        snippet = _snippet(texts[name], query, room - len(name))
        matches.append(MemorySearchMatch(path=prefix + name, snippet=snippet, score=hit.score))
        room -= len(name) + len(snippet)
    return MemorySearchResult(matches=matches, scanned=len(scanned), truncated=truncated or len(matches) < len(hits))


def _ranked(texts: Mapping[str, str], query: str) -> SearchHits:
    """The texts that have words of the query, most relevant first, out of an index that lives as long as the call."""
    now = datetime.now(timezone.utc)
    with closing(sqlite3.connect(":memory:")) as connection:
        index = TextIndex(connection)
        index.add_many(  # an agent for each file: memories of one agent raise the scores of their neighbours
            Memory(
                time=now, org_id="", agent_id=name, memory_type="entity", event_type="file", content=f"{name}: {text}"
            )
            for name, text in texts.items()
        )
        return MemorySearch(index).search(query, limit=max(1, len(texts)))


def _snippet(text: str, query: str, room: int) -> str:
    """The part of the content within `room` characters that begins shortly before the first word of the query."""
    lower = text.lower()
    places = [place for word in query.lower().split() if (place := lower.find(word)) >= 0]
    begin = max(0, min(min(places, default=0) - room // 3, len(text) - room))
    cut = text[begin : begin + room]
    if begin:
        cut = (_MARK + cut[len(_MARK) :])[: len(cut)]
    if begin + room < len(text):
        cut = (cut[: -len(_MARK)] + _MARK)[-len(cut) :]
    return cut

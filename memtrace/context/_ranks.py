"""Orders of importance that are given from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import isnan

from memtrace.context._selection import RenderedMemory
from memtrace.models import Memory, MemoryList, SearchResult
from memtrace.operations._validation import invalid
from memtrace.ranking import SearchHit, SearchHits
from memtrace.transport import Neighbour

Rank = Iterable[SearchHit | Memory] | Callable[[Memory], float]
"""Which memories matter: hits or memories with the most important first, or a function that gives each a number."""

MemorySource = Iterable[Memory] | MemoryList | SearchResult | SearchHits
"""Memories in any order, or a result that has them."""


def memories_in(source: MemorySource) -> Iterable[Memory]:
    """The memories of a result, or what was given."""
    if isinstance(source, (MemoryList, SearchHits)):
        return source.memories
    return source.results if isinstance(source, SearchResult) else source


Neighbours = tuple[Neighbour | None, Neighbour | None]
"""The memories before and after one in its session, as far as an index knows."""


def hit_neighbours(rank: Rank | None) -> Callable[[Memory], Neighbours]:
    """The neighbours of each memory that was a hit."""
    if rank is None or callable(rank):
        return lambda _: (None, None)
    known = {_key(item.memory): (item.previous, item.next) for item in rank if isinstance(item, SearchHit)}
    return lambda memory: known.get(_key(memory), (None, None))


def in_order(entries: Sequence[RenderedMemory], rank: Rank) -> list[RenderedMemory]:
    """Memories with the most important first; of equal ones the newer first. What a rank does not name comes last."""
    newest_first = [*reversed(entries)]
    if callable(rank):
        numbers = {entry.number: _number(rank(entry.memory)) for entry in newest_first}
        for entry in entries:
            entry.chosen_by, entry.score = "score", numbers[entry.number]
        return sorted(newest_first, key=lambda entry: numbers[entry.number], reverse=True)
    order: dict[tuple[object, ...], int] = {}
    scores: dict[tuple[object, ...], float] = {}
    for place, item in enumerate(rank):
        key = _key(item.memory if isinstance(item, SearchHit) else item)
        order.setdefault(key, place)
        if isinstance(item, SearchHit):
            scores[key] = item.score
    for entry in entries:
        entry.chosen_by, entry.score = "score", scores.get(_key(entry.memory)) or None
    return sorted(newest_first, key=lambda entry: order.get(_key(entry.memory), len(order)))


def checked_rank(rank: Rank | None) -> Rank | None:
    """A rank that can be gone over more than once."""
    if rank is None or callable(rank):
        return rank
    if not isinstance(rank, Iterable):
        raise invalid("rank", _RULE, "nothing else gives an order")
    order = [*rank]
    if not all(map(_is_ranked, order)):
        raise invalid("rank", _RULE, "it holds something else")
    return order


def _is_ranked(item: object) -> bool:
    return isinstance(item, (SearchHit, Memory))


def _number(value: object) -> float:
    if not isinstance(value, (int, float)):
        raise invalid("rank", _RULE, f"it gave {type(value).__name__}")
    if isinstance(value, float) and isnan(value):  # it is neither before nor behind anything
        raise invalid("rank", _RULE, "it gave NaN")
    return value


def _key(memory: Memory) -> tuple[object, ...]:
    return memory.time, memory.agent_id, memory.session_id, memory.content


_RULE = "hits or memories, the most important first, or a function that gives each memory a number"

"""The result of a search: memories with their scores, most relevant first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, overload

from memtrace._support.numbers import counted
from memtrace._support.peer_names import HIT_NAMES, HITS_NAMES, HintsAtNames
from memtrace.models import MEMORY_TABLE, Memory
from memtrace.transport import Neighbour


@dataclass(frozen=True, slots=True)
class SearchHit(HintsAtNames):
    """A memory that a search found, with its score."""

    _peer_names: ClassVar[Mapping[str, str]] = HIT_NAMES

    memory: Memory = field(repr=False)
    #: How well it fits, above 0. Only scores of one result can be compared.
    score: float
    #: How many memories of its agent have this content; it is the newest of them.
    count: int = 1
    #: The memories before and after it in its session; without a session, among its agent's. None if there is none, or it is
    #: unknown.
    previous: Neighbour | None = field(default=None, repr=False, compare=False)
    next: Neighbour | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, repr=False)
class SearchHits(HintsAtNames):
    """The hits of a search, most relevant first: iteration, length, index, slice and truth are the hits'.

    Args:
        hits: The hits.
    """

    _peer_names: ClassVar[Mapping[str, str]] = HITS_NAMES

    _hits: tuple[SearchHit, ...] = field(default=())

    def __init__(self, hits: Iterable[SearchHit] = ()) -> None:
        object.__setattr__(self, "_hits", tuple(hits))

    @property
    def memories(self) -> list[Memory]:
        """The memories, most relevant first."""
        return [hit.memory for hit in self._hits]

    @property
    def count(self) -> int:
        """How many hits there are, as in every list result."""
        return len(self._hits)

    def __iter__(self) -> Iterator[SearchHit]:
        return iter(self._hits)

    def __len__(self) -> int:
        """Count the hits.

        Returns:
            How many there are.
        """
        return len(self._hits)

    @overload
    def __getitem__(self, place: int) -> SearchHit: ...

    @overload
    def __getitem__(self, place: slice) -> SearchHits: ...

    def __getitem__(self, place: int | slice) -> SearchHit | SearchHits:
        """Get a hit by its place, or several by a slice.

        Args:
            place: The place, from 0, or a slice.

        Returns:
            The hit, or the hits.
        """
        return SearchHits(self._hits[place]) if isinstance(place, slice) else self._hits[place]

    def _repr_html_(self) -> str:
        """Render the hits as a table, for notebooks."""
        from memtrace._support.html import rows_table

        columns = ("score", "count", *MEMORY_TABLE.columns)
        rows = (
            (f"{hit.score:.2f}", hit.count if hit.count > 1 else None, *MEMORY_TABLE.values(hit.memory))
            for hit in self._hits
        )
        return rows_table(f"SearchHits: {counted(len(self), 'hit', 'hits')}", columns, rows, len(self))

    def __repr__(self) -> str:
        """How many hits there are; no content."""
        return f"<SearchHits: {len(self._hits)}>"

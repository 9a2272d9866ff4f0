"""Vectors of memories, computed by the user's embedder, stored in the index and compared without a library.

Each vector is stored whole, with the norm 1, and as the signs of its numbers. Signs are compared as one integer, for all memories.
The cosine is computed for the nearest only.
"""

from __future__ import annotations

import logging
import sys
from array import array
from collections.abc import Callable, Container, Iterable, Sequence
from functools import partial
from heapq import nsmallest
from math import isfinite, sqrt
from operator import itemgetter, mul

from memtrace._support.characters import whole_characters
from memtrace._support.numbers import counted
from memtrace.ranking._index import TextIndex
from memtrace.ranking._places import block_of
from memtrace.ranking._scope import Scope

Embedder = Callable[[list[str]], list[list[float]]]
"""Turns a list of strings into vectors of one length. It may block; it is called with at most 64 strings at a time.

Vectors are stored under the name of the model and their length, and never compared with others. The name is the string in the
function's attribute `model` or `name`; the default is the name of the function or class, with its module.
"""

BATCH = 64
"""The most strings in one call of an embedder."""
_LONGEST_NAME = 200
_LEAST = 1e-150
"""The squares of smaller numbers underflow: a vector of only such numbers is zero."""
_logger = logging.getLogger("memtrace.ranking")


class CheckedEmbedder:
    """The user's embedder. If it fails, it is not called again: the log warns once, and words alone rank."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        #: The name under which its vectors are stored.
        self.model: str = model_name(embedder)[:_LONGEST_NAME]
        self.has_failed: bool = False
        #: The length of its vectors, once known. Vectors of different lengths cannot be compared.
        self.dimensions: int | None = None

    def vectors(self, texts: list[str]) -> list[list[float]] | None:
        """The vectors of strings, all of one length; None if the embedder fails or failed before."""
        if self.has_failed:
            return None
        try:
            vectors = [[float(value) for value in vector] for vector in self._embedder(texts)]
        except Exception as error:  # noqa: BLE001  whatever a user's function raises
            self._fail(f"failed with {type(error).__name__}")
            return None
        fault = self._fault(vectors, len(texts))
        if fault is not None:
            self._fail(fault)
            return None
        self.dimensions = len(vectors[0])
        return vectors

    def _fault(self, vectors: list[list[float]], expected: int) -> str | None:
        """The fault of vectors; None if they can be used."""
        lengths = set(map(len, vectors))
        if len(vectors) != expected:
            return f"gave {counted(len(vectors), 'vector', 'vectors')} for {counted(expected, 'string', 'strings')}"
        if 0 in lengths:
            return "gave a vector without numbers"
        if len(lengths) != 1:
            return "gave vectors of several lengths"
        if self.dimensions is not None and self.dimensions not in lengths:
            return "gave vectors of another length than before"
        if not all(all(map(isfinite, vector)) for vector in vectors):
            return "gave a number that is not finite (NaN or infinity)"
        return None

    def _fail(self, what: str) -> None:
        self.has_failed = True
        _logger.warning("the embedder %s: memories are ranked by their words alone", what)


def model_name(embedder: object) -> str:
    """The name of the model behind an embedder: its attribute `model` or `name`, or the name of the function or class.

    >>> class Embed:
    ...     model = "all-MiniLM-L6-v2"
    >>> model_name(Embed()), model_name(partial(print, model="small")), model_name(print)
    ('all-MiniLM-L6-v2', 'small', 'builtins.print')
    """
    holders = (embedder, getattr(embedder, "__self__", None))  # of a method, also the object that it belongs to
    said = [getattr(holder, attribute, None) for holder in holders for attribute in ("model", "name")]
    if isinstance(embedder, partial):
        said.append(embedder.keywords.get("model"))
    named = next((text for text in said if isinstance(text, str) and text), None)
    if named is not None:
        return whole_characters(named)
    if isinstance(embedder, partial):
        return model_name(embedder.func)
    kind = type(embedder)
    function = getattr(embedder, "__qualname__", kind.__qualname__)
    return f"{getattr(embedder, '__module__', kind.__module__)}.{function}"


def keep_vectors(index: TextIndex, model: str, vectors: Sequence[tuple[int, Sequence[float]]]) -> None:
    """Store a model's vectors of places, all of one length, beside those of other models."""
    index.set_vectors(model, len(vectors[0][1]), [(place, *_kept(vector)) for place, vector in vectors])


class QueryVector:
    """The memories near a query in a scope, by the vectors of one model."""

    def __init__(self, index: TextIndex, scope: Scope, vector: Sequence[float], model: int) -> None:
        self._index = index
        self._scope = scope
        self._model = model
        self._vector = _unit(vector)
        self._signs = _signs(vector)
        #: A zero vector has no direction: nothing is near it.
        self._has_direction = any(self._vector)

    def nearest(self, most: int, among: Container[int] | None = None) -> set[int]:
        """The `most` places in `among` whose signs are nearest to the query's. Equal distances: newest first."""
        if not self._has_direction:
            return set()
        signs, is_of_scope = self._signs, self._scope.has_block
        distances = [
            ((signs ^ int.from_bytes(kept, "big")).bit_count(), place)
            for place, kept in self._index.signs(self._scope, self._model)
            if kept and (among is None or place in among) and is_of_scope(block_of(place))
        ]
        farthest = max(nsmallest(most, map(itemgetter(0), distances)), default=0)
        near = {place for distance, place in distances if distance < farthest}
        at_the_edge = [place for distance, place in distances if distance == farthest]
        return near.union(self._index.youngest(at_the_edge, most - len(near)))

    def of_places(self, places: Iterable[int]) -> dict[int, float]:
        """The squared cosine of each place that has a vector; 0 for a negative cosine."""
        vector, kept = self._vector, self._index.vectors(places, self._model)
        return {place: max(0.0, sum(map(mul, vector, _read(of_place)))) ** 2 for place, of_place in kept}


def _unit(vector: Sequence[float]) -> array[float]:
    """The vector with the norm 1; zeros for a vector that is zero or too small to have a direction."""
    largest = max(map(abs, vector), default=0.0)
    if largest < _LEAST:
        return array("f", [0.0] * len(vector))
    scaled = [value / largest for value in vector]  # squares of large numbers are infinite
    length = sqrt(sum(map(mul, scaled, scaled)))
    return array("f", [value / length for value in scaled])


def _signs(vector: Iterable[float]) -> int:
    return int("1" + "".join(["1" if value > 0 else "0" for value in vector]), 2)


def _kept(vector: Sequence[float]) -> tuple[bytes, bytes]:
    """The signs of a vector, empty for a zero vector, and the whole vector."""
    unit = _unit(vector)
    if not any(unit):
        return b"", unit.tobytes()
    signs = _signs(unit)
    if sys.byteorder == "big":  # pragma: no cover  no such machine here
        unit.byteswap()
    return signs.to_bytes((signs.bit_length() + 7) // 8, "big"), unit.tobytes()


def _read(kept: bytes) -> array[float]:
    vector = array("f", kept)
    if sys.byteorder == "big":  # pragma: no cover  no such machine here
        vector.byteswap()
    return vector

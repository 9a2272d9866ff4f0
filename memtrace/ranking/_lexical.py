"""How well memories fit a query by their words: BM25 of a memory, of its group, and of its neighbours in it.

Parameters were chosen by measurement on chats and on meetings (`benchmarks/retrieval.py`), none on one of them alone.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Container, Iterable, Iterator, Mapping

from memtrace.ranking._batch import MOST_REPEATS, REPEATED
from memtrace.ranking._index import SHORTEST_PART, Scope, TextIndex
from memtrace.ranking._places import CODE_LENGTHS, LENGTH_BITS, LENGTHS, POSITION_BITS, around
from memtrace.ranking._words import query_words

#: BM25: how soon a repeated word counts no more, and how far a long text counts less.
_SATURATION = 0.9
_LENGTH_SHARE = 0.4
#: What the group counts: its BM25, and the sum of its best memories.
_GROUP = 0.8
_GROUP_BEST, _BEST = 0.08, 10
#: What the neighbours count: those before it, then those after it, the nearest first.
_BEFORE = (0.5, 0.25)
_AFTER = (0.4, 0.15)
#: What the share of the query's words counts that stand in a memory or its neighbours, rare words counting more.
_SHARE = 0.5
#: Words of a query that are looked up, and memories that are read for them, the rarest words first.
_MOST_WORDS = 64
_MOST_ROWS = 40_000
#: Words of the index that hold a word of the query, or are the beginning of it.
_MOST_VARIANTS = 12
#: A word of so many letters is also looked for within others; a shorter one only when it is nowhere by itself.
_LONG = 8

_CODE_MASK = LENGTHS - 1


def _postings(index: TextIndex, query: str, scope: Scope) -> Iterator[tuple[str, list[int]]]:
    """The words of a query that are found, with the rows that have them; the rarest first, until enough rows are read."""
    asked = query_words(query) if scope.count else []
    if len(asked) > _MOST_WORDS:
        asked = sorted(asked, key=len, reverse=True)[:_MOST_WORDS]  # long words are the rarer ones
    counts = index.word_counts(asked)
    share, read = scope.count / max(1, len(index)), 0
    for word in sorted(asked, key=lambda word: counts.get(word, 0)):
        if read and read + counts.get(word, 0) * share > _MOST_ROWS:
            break
        rows = index.rows(f'"{word}"', scope)
        if not rows or len(word) >= _LONG:
            rows = _rows_of_variants(index, word, scope) or rows
        if rows:
            yield word, rows
            read += len(rows)


def _rows_of_variants(index: TextIndex, word: str, scope: Scope) -> list[int]:
    """The rows of a word and of those that are put together with it, as in German, or have another ending."""
    if len(word) == 1 and not word.isascii():
        return index.rows(f'"{word}" *', scope)
    if len(word) < SHORTEST_PART or word.isdigit():
        return []
    variants = {word, *index.words_with(word, _MOST_VARIANTS)} - {word}
    return index.rows(" OR ".join(f'"{variant}"' for variant in sorted({word, *variants})), scope) if variants else []


class LexicalScores:
    """What the words of a query give the memories of a scope."""

    def __init__(self, index: TextIndex, query: str, scope: Scope) -> None:
        self._index = index
        self._scope = scope
        length = sum(scope.lengths.values())
        mean = max(1.0, length / max(1, scope.count))
        self._mean_of_groups = max(1.0, length / max(1, len(scope.lengths)))
        share = _LENGTH_SHARE
        self._norms = [_SATURATION * (1 - share + share * length / mean) for length in CODE_LENGTHS]
        self._own: defaultdict[int, float] = defaultdict(float)
        self._groups: defaultdict[int, float] = defaultdict(float)
        #: How rare each word is, and where it stands.
        self._found: list[tuple[float, list[int]]] = []
        for word, rows in _postings(index, query, scope):
            self._take(word, rows)

    def _take(self, word: str, rows: list[int]) -> None:
        """Count a word that stands in these rows."""
        weight = _rarity(self._scope.count, len(rows))
        own = self._own
        places = [row >> LENGTH_BITS for row in rows]
        counts = Counter([place >> POSITION_BITS for place in places])
        worth = [weight * (1 + _SATURATION) / (1 + norm) for norm in self._norms]
        for place, row in zip(places, rows, strict=True):
            own[place] += worth[row & _CODE_MASK]
        for times in range(2, MOST_REPEATS + 1):
            again = self._index.rows(f'"{REPEATED * (times - 1)}{word}"', self._scope)
            if not again:
                break
            more = [
                weight * (1 + _SATURATION) * (times / (times + norm) - (times - 1) / (times - 1 + norm))
                for norm in self._norms
            ]
            for row in again:
                own[row >> LENGTH_BITS] += more[row & _CODE_MASK]
            counts.update([row >> LENGTH_BITS + POSITION_BITS for row in again])
        self._take_groups(counts)
        self._found.append((weight, places))

    def _take_groups(self, counts: Counter[int]) -> None:
        weight = _rarity(len(self._scope.lengths), len(counts)) * (1 + _SATURATION)
        lengths, groups = self._scope.lengths, self._groups
        fixed, per_word = _SATURATION * (1 - _LENGTH_SHARE), _SATURATION * _LENGTH_SHARE / self._mean_of_groups
        for group, count in counts.items():
            groups[group] += weight * count / (count + fixed + per_word * lengths[group])

    def best(self, most: int, among: Container[int] | None = None) -> list[int]:
        """The `most` places that promise most, of all that have a word of the query and are `among` some; in no order."""
        groups = {group: _GROUP * score for group, score in self._groups.items()}
        own = [(place, score) for place, score in self._own.items() if among is None or place in among]
        rough = [score + groups[place >> POSITION_BITS] for place, score in own]
        least = sorted(rough)[-most:][0] if rough else 0.0
        return [place for (place, _), score in zip(own, rough, strict=True) if score >= least]

    def of_places(self, places: Collection[int]) -> dict[int, float]:
        """The scores of places, with all that counts."""
        of_groups = self._of_groups({place >> POSITION_BITS for place in places})
        own = smoothed(self._own, places)
        return {
            place: (score + of_groups[place >> POSITION_BITS]) * (1 + _SHARE * share)
            for place, score, share in zip(places, own, self._shares(places), strict=True)
        }

    def _shares(self, places: Collection[int]) -> list[float]:
        """For each place the share of the query's words that stand around it."""
        window = around(places)
        masks: defaultdict[int, int] = defaultdict(int)
        for number, (_, standing) in enumerate(self._found):
            for place in window.intersection(standing):
                masks[place] |= 1 << number
        weights = [weight for weight, _ in self._found]
        every = sum(weights) or 1.0
        shares: dict[int, float] = {}
        mask_of, found = masks.get, []
        for place in places:
            mask = (
                mask_of(place - 2, 0)
                | mask_of(place - 1, 0)
                | mask_of(place, 0)
                | mask_of(place + 1, 0)
                | mask_of(place + 2, 0)
            )
            if mask not in shares:
                shares[mask] = sum(weight for number, weight in enumerate(weights) if mask >> number & 1) / every
            found.append(shares[mask])
        return found

    def _of_groups(self, groups: Iterable[int]) -> dict[int, float]:
        """What a group adds to each of its memories."""
        return {
            group: _GROUP * self._groups.get(group, 0.0) + _GROUP_BEST * best
            for group, best in best_of_groups(self._own, groups).items()
        }


def best_of_groups(scores: Mapping[int, float], groups: Iterable[int]) -> dict[int, float]:
    """For each group the sum of the best of its memories' scores."""
    found: dict[int, list[float]] = {group: [] for group in groups}
    for place, score in scores.items():
        if (of_group := found.get(place >> POSITION_BITS)) is not None:
            of_group.append(score)
    return {group: sum(heapq.nlargest(_BEST, of_group)) for group, of_group in found.items()}


def smoothed(scores: Mapping[int, float], places: Iterable[int]) -> list[float]:
    """The scores of places with what their neighbours add."""
    of, (before, before_2), (after, after_2) = scores.get, _BEFORE, _AFTER
    return [
        of(place, 0.0)
        + before * of(place - 1, 0.0)
        + before_2 * of(place - 2, 0.0)
        + after * of(place + 1, 0.0)
        + after_2 * of(place + 2, 0.0)
        for place in places
    ]


def _rarity(count: int, having: int) -> float:
    return math.log(1 + (count - having + 0.5) / (having + 0.5))

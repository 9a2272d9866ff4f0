"""Score memories by the words of a query: BM25 of the memory, of its group, and of its neighbours.

Parameters were chosen by measurement on chats and on meetings (`benchmarks/retrieval.py`), none on one of them alone.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from itertools import islice

from memtrace.ranking._batch import MOST_REPEATS, REPEATED
from memtrace.ranking._index import LONGEST_ENDING, SHORTEST_PART, TextIndex
from memtrace.ranking._neighbours import Window
from memtrace.ranking._places import CODE_LENGTHS, LENGTH_BITS, LENGTHS, POSITION_BITS, places_of_block
from memtrace.ranking._scope import Scope
from memtrace.ranking._stems import stem
from memtrace.ranking._words import query_words

#: BM25's parameters: the saturation of repeated words (k1), and the share of length normalization (b).
_SATURATION = 0.9
_LENGTH_SHARE = 0.4
#: The weights of the group: of its BM25, and of the sum of its best memories' scores.
_GROUP = 0.8
_GROUP_BEST, _BEST = 0.08, 10
#: The weights of neighbours, nearest first: before the memory, and after it.
_BEFORE = (0.5, 0.25)
_AFTER = (0.4, 0.15)
#: The weight of the share of the query's words in a memory and its neighbours. Rare words count more.
_SHARE = 0.5
#: The most words of a query that are looked up, and the most rows that are read for them, rarest words first.
_MOST_WORDS = 64
_MOST_ROWS = 40_000
#: The most words of the scope that contain a word of the query or are its prefix.
_MOST_VARIANTS = 12
#: A word of at least this length is always looked for within other words; a shorter one only if it does not occur alone.
_LONG = 8

_CODE_MASK = LENGTHS - 1


def _postings(index: TextIndex, query: str, scope: Scope) -> Iterator[tuple[str, list[int]]]:
    """The stems of a query that are found, with the rows that have them; the rarest first, until enough rows are read.

    Only the scope matters: other memories in the index change nothing.
    """
    asked = query_words(query) if scope.count else []
    if len(asked) > _MOST_WORDS:
        asked = sorted(asked, key=len, reverse=True)[:_MOST_WORDS]  # long words are the rarer ones
    stems = {stem(word): word for word in reversed(asked)}
    found: dict[str, list[int]] = {}
    if (
        sum(index.word_counts([*stems]).values()) <= _MOST_ROWS
    ):  # few in the whole index, so the scope's can all be read
        found = {stemmed: index.rows(f'"{stemmed}"', scope) for stemmed in stems}
    counts = {word: len(found[word]) if found else index.row_count(f'"{word}"', scope) for word in stems}
    read = 0
    for stemmed in sorted(stems, key=lambda stemmed: (counts[stemmed], stemmed)):
        if read and read + counts[stemmed] > _MOST_ROWS:
            break
        rows = found[stemmed] if found else index.rows(f'"{stemmed}"', scope)
        if not rows or len(stems[stemmed]) >= _LONG:
            rows = _rows_of_variants(index, stemmed, stems[stemmed], scope) or rows
        if rows:
            yield stemmed, rows
            read += len(rows)


def _rows_of_variants(index: TextIndex, stemmed: str, word: str, scope: Scope) -> list[int]:
    """The rows of a stem, of compounds with it, as in German, and of words with another ending."""
    if len(word) == 1 and not word.isascii():
        return index.rows(f'"{word}" *', scope)
    if len(word) < SHORTEST_PART or word.isdigit():
        return []
    part = stemmed if len(stemmed) >= max(SHORTEST_PART, len(word) - LONGEST_ENDING) else word
    known = (f'"{variant}"' for variant in index.words_with(part) if variant != stemmed)
    variants = [*islice((match for match in known if index.row_count(match, scope)), _MOST_VARIANTS)]
    return index.rows(" OR ".join([f'"{stemmed}"', *variants]), scope) if variants else []


class LexicalScores:
    """The scores of a scope's memories by the words of a query."""

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
        #: The rarity of each word, and its places in order.
        self._found: list[tuple[float, list[int]]] = []
        for word, rows in _postings(index, query, scope):
            self._take(word, rows)

    def _take(self, word: str, rows: list[int]) -> None:
        """Count a word that occurs in these rows."""
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
        merged = self._scope.merged
        for block in merged.keys() & counts.keys():
            if block != merged[block]:
                counts[merged[block]] += counts.pop(block)
        weight = _rarity(len(self._scope.lengths), len(counts)) * (1 + _SATURATION)
        lengths, groups = self._scope.lengths, self._groups
        fixed, per_word = _SATURATION * (1 - _LENGTH_SHARE), _SATURATION * _LENGTH_SHARE / self._mean_of_groups
        for group, count in counts.items():
            groups[group] += weight * count / (count + fixed + per_word * lengths[group])

    def best(self, most: int, among: Container[int] | None = None) -> list[int]:
        """The `most` best places by a rough score, of those in `among` that have a word of the query; unordered."""
        groups = {group: _GROUP * score for group, score in self._groups.items()}
        groups |= {block: groups.get(group, 0.0) for block, group in self._scope.merged.items()}
        own = [(place, score) for place, score in self._own.items() if among is None or place in among]
        rough = [score + groups[place >> POSITION_BITS] for place, score in own]
        least = sorted(rough)[-most:][0] if rough else 0.0
        return [place for (place, _), score in zip(own, rough, strict=True) if score >= least]

    def of_places(self, windows: Mapping[int, Window]) -> dict[int, float]:
        """The full scores of places, which are passed with their neighbours."""
        of_blocks = self._of_blocks({place >> POSITION_BITS for place in windows})
        own = smoothed(self._own, windows)
        return {
            place: (score + of_blocks[place >> POSITION_BITS]) * (1 + _SHARE * share)
            for place, score, share in zip(windows, own, self._shares(windows), strict=True)
        }

    def _shares(self, windows: Mapping[int, Window]) -> list[float]:
        """For each place, the share of the query's words in it and its neighbours."""
        window = set(windows).union(*windows.values())
        masks: defaultdict[int, int] = defaultdict(int)
        for number, (_, standing) in enumerate(self._found):
            for place in window.intersection(standing):
                masks[place] |= 1 << number
        weights = [weight for weight, _ in self._found]
        every = sum(weights) or 1.0
        shares: dict[int, float] = {}
        mask_of, found = masks.get, []
        for place, (before, before_2, after, after_2) in windows.items():
            mask = (
                mask_of(before_2, 0) | mask_of(before, 0) | mask_of(place, 0) | mask_of(after, 0) | mask_of(after_2, 0)
            )
            if mask not in shares:
                shares[mask] = sum(weight for number, weight in enumerate(weights) if mask >> number & 1) / every
            found.append(shares[mask])
        return found

    def _of_blocks(self, blocks: Iterable[int]) -> dict[int, float]:
        """The score that each memory of a block gets from its group."""
        merged = self._scope.merged
        of_block = {block: self._scope.group_of(block) for block in blocks}
        members: dict[int, set[int]] = {group: {group} for group in of_block.values()}
        for block, group in merged.items():
            if group in members:
                members[group].add(block)
        own = self._own
        best = best_of_groups(
            (group, own[place]) for group, some in members.items() for place in self._standing_in(some)
        )
        worth = {group: _GROUP * self._groups.get(group, 0.0) + _GROUP_BEST * best.get(group, 0.0) for group in members}
        return {block: worth[group] for block, group in of_block.items()}

    def _standing_in(self, blocks: Iterable[int]) -> set[int]:
        """The places in these blocks that have a word of the query."""
        places = set[int]()
        for block in blocks:
            first, last = places_of_block(block)
            for _, standing in self._found:
                start = bisect_left(standing, first)
                places.update(standing[start : bisect_right(standing, last, start)])
        return places


def best_of_groups(scores: Iterable[tuple[int, float]]) -> dict[int, float]:
    """For each group the sum of the best of its memories' scores, each given with its group."""
    found: defaultdict[int, list[float]] = defaultdict(list)
    for group, score in scores:
        found[group].append(score)
    return {group: sum(heapq.nlargest(_BEST, some)) for group, some in found.items()}


def smoothed(scores: Mapping[int, float], windows: Mapping[int, Window]) -> list[float]:
    """The scores of places, with their neighbours' weighted scores added."""
    of, (first, second), (third, fourth) = scores.get, _BEFORE, _AFTER
    return [
        of(place, 0.0)
        + first * of(before, 0.0)
        + second * of(before_2, 0.0)
        + third * of(after, 0.0)
        + fourth * of(after_2, 0.0)
        for place, (before, before_2, after, after_2) in windows.items()
    ]


def _rarity(count: int, having: int) -> float:
    return math.log(1 + (count - having + 0.5) / (having + 0.5))

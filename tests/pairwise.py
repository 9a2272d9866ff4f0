"""Rows of several settings in which every two values stand together at least once."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["pairwise"]


def pairwise(axes: Mapping[str, Sequence[Any]], *, seed: int) -> list[dict[str, Any]]:
    """As few rows as a greedy search finds; another seed finds other ones."""
    chance, names = random.Random(seed), list(axes)
    left = {
        ((one, i), (other, j))
        for one, other in itertools.combinations(names, 2)
        for i in range(len(axes[one]))
        for j in range(len(axes[other]))
    }
    rows = []
    while left:
        row = dict(chance.choice(sorted(left)))
        for name in chance.sample(names, len(names)):
            if name not in row:
                row[name] = max(
                    chance.sample(range(len(axes[name])), len(axes[name])),
                    key=lambda value, name=name: sum(_pair(names, (name, value), met) in left for met in row.items()),
                )
        left -= set(itertools.combinations([(name, row[name]) for name in names], 2))
        rows.append({name: axes[name][row[name]] for name in names})
    return rows


def _pair(names, one, other):
    return tuple(sorted((one, other), key=lambda choice: names.index(choice[0])))

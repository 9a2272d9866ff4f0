"""Samples of parametrised tests: a few cases drawn with a printed seed in a default run, all of them in a whole run.

    @pytest.mark.parametrize("status", sample(STATUSES, 5))
    @pytest.mark.parametrize(("library", "coding"), crossed(LIBRARIES, CODINGS))

`pytest --whole` runs every case, and `pytest --sample-seed=N` repeats the draw of an earlier run.
"""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

__all__ = ["begin", "crossed", "is_whole", "sample", "seed"]

CaseT = TypeVar("CaseT")

_run: dict[str, Any] = {"seed": 0, "whole": False}


def begin(*, seed: int, whole: bool) -> None:
    """Set what the run draws with; `tests.conftest` calls it before the first test module is imported."""
    _run.update(seed=seed, whole=whole)


def is_whole() -> bool:
    """Whether every case runs."""
    return bool(_run["whole"])


def seed() -> int:
    """The seed of the run."""
    return int(_run["seed"])


def sample(cases: Iterable[CaseT], at_most: int) -> list[CaseT]:
    """`at_most` of `cases`, in their order; all of them in a whole run."""
    known = list(cases)
    if is_whole() or len(known) <= at_most:
        return known
    drawn = _chance(1).sample(range(len(known)), at_most)
    return [known[i] for i in sorted(drawn)]


def crossed(*axes: Sequence[Any], at_least: int = 0, called_from: int = 1) -> list[tuple[Any, ...]]:
    """Rows with a value of each axis; every value stands in one row at least. The whole product in a whole run.

    There are as many rows as the longest axis has values, or `at_least` so many. Each place that draws has a draw of its own:
    a function that draws for its caller, and for the caller of that, raises `called_from`.
    """
    if is_whole() or not all(axes):
        return list(itertools.product(*axes))
    chance, count = _chance(called_from), max(at_least, *(len(axis) for axis in axes))
    columns = [_shuffled_rounds(len(axis), count, chance) for axis in axes]
    rows = dict.fromkeys(zip(*columns, strict=True))  # without the rows that came twice
    return [tuple(axis[i] for axis, i in zip(axes, row, strict=True)) for row in rows]


def _shuffled_rounds(length: int, count: int, chance: random.Random) -> list[int]:
    """`count` indices below `length`; each comes again only after all others came."""
    indices: list[int] = []
    while len(indices) < count:
        indices.extend(chance.sample(range(length), length))
    return indices[:count]


def _chance(called_from: int) -> random.Random:
    """Its own for each place that draws, so that a file run by itself draws what it draws in a run of all."""
    caller = sys._getframe(1 + called_from)
    return random.Random(f"{seed()} {caller.f_globals['__name__']} {caller.f_lineno}")

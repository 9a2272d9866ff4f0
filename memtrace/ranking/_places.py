"""The place of a memory in an index, as one number: what a posting says about it without looking anything up.

From the top: the bucket of the agent that began the group (so that one agent's memories stand together), the group (a session,
or a run of an agent's memories without one), the position in it. The row of the full-text table has the length below that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from zlib import crc32

LENGTH_BITS = 8
POSITION_BITS = 14
GROUP_BITS = 30
BUCKET_BITS = 11

LENGTHS = 1 << LENGTH_BITS
NEIGHBOURS = 2
"""How far a memory's neighbours reach in a group."""
POSITIONS = (1 << POSITION_BITS) - 2 * NEIGHBOURS
"""How many memories a group has at most; then another one begins."""

_STEPS = 24
"""Of lengths, for each doubling: 3 % each."""


def bucket_of(agent_id: str) -> int:
    """Where the groups stand that this agent began; agents share one when there are thousands."""
    return crc32(agent_id.encode()) >> 32 - BUCKET_BITS


def first_place(group: int) -> int:
    """Of a group, whose number has its bucket above it. What is around it belongs to no group."""
    return (group << POSITION_BITS) + NEIGHBOURS


def group_of(place: int) -> int:
    """The group in which a place is."""
    return place >> POSITION_BITS


LAST_ROW = (1 << 63) - 1


def around(places: Iterable[int]) -> set[int]:
    """Places and their neighbours; at some of them no memory may be."""
    return {place + step for place in places for step in range(-NEIGHBOURS, NEIGHBOURS + 1)}


def row_of(place: int, length: int) -> int:
    """The row of the full-text table, for a memory of so many words."""
    code = min(LENGTHS - 1, round(_STEPS * math.log2(1 + length)))
    return place << LENGTH_BITS | code


def group_of_row(row: int) -> int:
    """The group of a row of the full-text table."""
    return row >> POSITION_BITS + LENGTH_BITS


def bucket_bounds(bucket: int) -> tuple[int, int]:
    """The first row of the full-text table in a bucket, and the last one."""
    bits = GROUP_BITS + POSITION_BITS + LENGTH_BITS
    return bucket << bits, (bucket + 1 << bits) - 1


def group_bounds(group: int) -> tuple[int, int]:
    """The first row of the full-text table in a group, and the last one."""
    bits = POSITION_BITS + LENGTH_BITS
    return group << bits, (group + 1 << bits) - 1


CODE_LENGTHS: tuple[float, ...] = tuple(2 ** (code / _STEPS) - 1 for code in range(LENGTHS))
"""The number of words that each code stands for."""

"""The place of a memory in an index, as one number, so that a posting needs no other table.

From the top: the bucket of its agent (so that one agent's memories stand together), the block, the position in it. A block has
memories of one agent in one session, or of one agent in a run without a session; the position is the order of adding, which says
nothing. The row of the full-text table has the length below that.
"""

from __future__ import annotations

import math
from zlib import crc32

LENGTH_BITS = 8
POSITION_BITS = 20
BLOCK_BITS = 24
BUCKET_BITS = 11

LENGTHS = 1 << LENGTH_BITS
REACH = 2
"""How many neighbours on each side count."""
POSITIONS = (1 << POSITION_BITS) - 2 * REACH
"""The most memories of a block."""

RUN_GAP = 30 * 60 * 1_000_000
"""A longer gap between two memories of an agent without a session, in microseconds, begins a new run."""

_STEPS = 24
"""Codes per doubling of the length, so that each step is 3 %."""


def blocks_of(agent_id: str) -> tuple[int, int]:
    """The first and the last block of an agent's bucket. Thousands of agents share buckets."""
    bucket = crc32(agent_id.encode()) >> 32 - BUCKET_BITS
    return bucket << BLOCK_BITS, (bucket + 1 << BLOCK_BITS) - 1


def first_place(block: int) -> int:
    """The first place of a block, whose number has its bucket in the high bits. The places around a block belong to none."""
    return (block << POSITION_BITS) + REACH


def block_of(place: int) -> int:
    """The block in which a place is."""
    return place >> POSITION_BITS


def places_of_block(block: int) -> tuple[int, int]:
    """The first and the last place that a block can have."""
    return block << POSITION_BITS, (block + 1 << POSITION_BITS) - 1


LAST_ROW = (1 << 63) - 1


def row_of(place: int, length: int) -> int:
    """The row of the full-text table, for a memory of so many words."""
    code = min(LENGTHS - 1, round(_STEPS * math.log2(1 + length)))
    return place << LENGTH_BITS | code


def block_of_row(row: int) -> int:
    """The block of a row of the full-text table."""
    return row >> POSITION_BITS + LENGTH_BITS


def rows_of_blocks(first: int, last: int) -> tuple[int, int]:
    """The first row of the full-text table in blocks that follow each other, and the last one."""
    bits = POSITION_BITS + LENGTH_BITS
    return first << bits, (last + 1 << bits) - 1


CODE_LENGTHS: tuple[float, ...] = tuple(2 ** (code / _STEPS) - 1 for code in range(LENGTHS))
"""The number of words of each code."""

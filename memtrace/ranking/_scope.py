"""The scope of a query, an organisation, an agent or a session, with its statistics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from memtrace.ranking._batch import sequence_of
from memtrace.ranking._places import LAST_ROW, RUN_GAP, blocks_of, rows_of_blocks
from memtrace.ranking._tables import Tables


@dataclass(frozen=True, slots=True)
class Scope:
    """The memories of a query's scope, in groups. A group is a session, or a run without one. Only they count in scores."""

    #: The first and last rows of the full-text table.
    bounds: Sequence[tuple[int, int]]
    #: The number of words of each group. The name of a group is one of its blocks: the only one, or one of those in `merged`.
    lengths: dict[int, int]
    #: The group of each block, if the group has several.
    merged: dict[int, int]
    #: The number of memories.
    count: int
    #: The blocks whose memories may not be in order of time, or may have neighbours in other blocks.
    disordered: Collection[int]
    #: The blocks of memories without a session.
    sessionless: Collection[int]
    #: The agent whose memories alone are neighbours, if others may be in the same session.
    agent_id: str | None = None
    #: Whether blocks of other agents may be within the bounds.
    is_mixed: bool = False

    def has_block(self, block: int) -> bool:
        """Whether a block of the index belongs to it."""
        return block in self.lengths or block in self.merged

    def group_of(self, block: int) -> int:
        """The group of a block."""
        return self.merged.get(block, block)


class _Blocks:
    """Some of the blocks of an index."""

    def __init__(self, tables: Tables, condition: str = "1", values: Sequence[object] = ()) -> None:
        blocks = f"FROM {{blocks}} WHERE docs>0 AND {condition}"
        every = tables.run(f"SELECT id, length, docs, sequence {blocks}", values).fetchall()
        self.lengths: dict[int, int] = {row[0]: row[1] for row in every}
        self.count = sum([row[2] for row in every])
        sequences = {row[0]: row[3] for row in every}
        sessionless = f"SELECT id, agent_id, first, last {blocks} AND is_run ORDER BY agent_id, first"
        runs = dict(_runs(tables.run(sessionless, values)))
        self.sessionless = runs.keys()
        self.merged = _merged(sequences | runs)
        disordered = tables.run(f"SELECT id {blocks} AND NOT in_order", values)
        self.disordered = {*self.merged, *(block for (block,) in disordered)}
        for block, group in self.merged.items():
            if block != group:
                self.lengths[group] += self.lengths.pop(block)

    def scope(self, bounds: Sequence[tuple[int, int]], agent_id: str | None = None, *, is_mixed: bool = False) -> Scope:
        return Scope(
            bounds, self.lengths, self.merged, self.count, self.disordered, self.sessionless, agent_id, is_mixed
        )


def scope_of(tables: Tables, agent_id: str | None, session_id: str | None) -> Scope:
    """The scope of a session, or else of an agent, or else of all memories.

    An agent's are its own memories, and not what others have in the same sessions: an index that was read for the agent alone has
    only those.
    """
    if session_id is not None:
        blocks = _Blocks(tables, "sequence=?", (sequence_of("", session_id),))
        return blocks.scope([rows_of_blocks(block, block) for block in sorted({*blocks.lengths, *blocks.merged})])
    if agent_id is None:
        return _Blocks(tables).scope([(0, LAST_ROW)])
    first, last = blocks_of(agent_id)
    of_others = "SELECT EXISTS (SELECT 1 FROM {blocks} WHERE docs>0 AND id BETWEEN ? AND ? AND agent_id!=?)"
    blocks = _Blocks(tables, "id BETWEEN ? AND ? AND agent_id=?", (first, last, agent_id))
    is_mixed = bool(tables.one(of_others, (first, last, agent_id)))
    return blocks.scope([rows_of_blocks(first, last)], agent_id, is_mixed=is_mixed)


def _runs(blocks: Iterable[tuple[int, str, int, int]]) -> Iterable[tuple[int, int]]:
    """Each block of memories without a session, by agent and time, with the first block of its run."""
    of_agent, end, run = "", 0, 0
    for block, agent_id, first, last in blocks:
        if agent_id != of_agent or first - end > RUN_GAP:
            run, end = block, last
        of_agent, end = agent_id, max(last, end)
        yield block, run


def _merged(groups: dict[int, int]) -> dict[int, int]:
    """The blocks that share a group, each with the first of them."""
    if len({*groups.values()}) == len(groups):
        return {}
    blocks: defaultdict[int, list[int]] = defaultdict(list)
    for block, group in groups.items():
        blocks[group].append(block)
    return {block: some[0] for some in blocks.values() if len(some) > 1 for block in some}

"""Add memories to an index: choose a block with room for each, its place there, and its words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from memtrace._support.timestamps import to_microseconds
from memtrace.models import Memory
from memtrace.ranking._places import POSITIONS, RUN_GAP, blocks_of, first_place, row_of
from memtrace.ranking._stems import stem
from memtrace.ranking._tables import Tables
from memtrace.ranking._words import memory_text, words

REPEATED = "_"
"""The prefix of a repeated word: one for the second occurrence in a memory, two for the third."""
MOST_REPEATS = 3
FIND = "SELECT place FROM {docs} WHERE fingerprint=? AND time=? AND session_id IS ?"
"""The place of a memory, by its `identity`."""

_LATEST = (1 << 63) - 1
_TRIED = 4
"""How many blocks are searched for room before a new one is created."""

_Owner = tuple[int, str, bool]
"""The owner of a block: the sequence, the agent, and whether its memories have no session and form a run."""


def identity(memory: Memory) -> tuple[int, int, str | None]:
    """The key that identifies a memory, since the server gives it no ID."""
    return fingerprint(memory), to_microseconds(memory.time), memory.session_id or None


def fingerprint(memory: Memory) -> int:
    """A hash that is the same for equal contents of one agent; others collide once in 2**64."""
    return _digest(f"{memory.agent_id}\n{memory.content}")


def sequence_of(agent_id: str, session_id: str | None) -> int:
    """The sequence in which a memory has neighbours: its session, or its agent's memories without a session."""
    return _digest(f"agent {agent_id}" if session_id is None else f"session {session_id}")


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "big", signed=True)


def stems_of(memory: Memory) -> list[str]:
    """The stem of each word of a memory."""
    return [stem(word) for word in words(memory_text(memory))]


def index_text(found: Sequence[str]) -> str:
    """The string that FTS5 splits at spaces: each word once, and repeated words again with a prefix."""
    counts = Counter(found)
    text = " ".join(counts)
    if len(counts) < len(found):
        for word, count in [pair for pair in counts.items() if pair[1] > 1]:
            text += "".join([f" {REPEATED * (times - 1)}{word}" for times in range(2, 1 + min(count, MOST_REPEATS))])
    return text


def unmarked(text: str) -> Iterator[str]:
    """The words of an index text, each once."""
    return (word for word in text.split() if not word.startswith(REPEATED))


@dataclass(slots=True)
class _Block:
    """Memories of one owner, in the order of adding."""

    id: int
    #: The number of positions in use.
    taken: int = 0
    docs: int = 0
    length: int = 0
    #: When its first and its last memory occurred.
    first: int = 0
    last: int = 0
    #: The tie-breakers of the last memory, for memories that occurred at the same time.
    last_time: int = 0
    last_print: int = 0
    #: Whether the memories were added in order of time, without a hole.
    in_order: bool = True

    def has_room(self, at: int, *, is_run: bool) -> bool:
        """Whether the block can take a memory. Without a session, it must remain one run."""
        is_near = not is_run or self.first - RUN_GAP <= at <= self.last + RUN_GAP
        return is_near and self.taken < POSITIONS

    def take(self, at: int, time: int, print_of_content: int, length: int) -> int:
        """Count a memory, and return its place."""
        place = first_place(self.id) + self.taken
        key = at, time, print_of_content
        if not self.taken:
            self.first, self.last = at, at
        elif key <= (self.last, self.last_time, self.last_print):
            self.in_order = False
        self.first, self.last = min(self.first, at), max(self.last, at)
        self.last_time, self.last_print = time, print_of_content
        self.taken += 1
        self.docs += 1
        self.length += length
        return place


class Batch:
    """Adds memories in the caller's transaction."""

    def __init__(self, tables: Tables, *, keep: bool) -> None:
        self._tables = tables
        self._keep = keep
        self._blocks: dict[_Owner, _Block] = {}
        #: The newest block of each bucket, once it is known.
        self._newest: dict[int, int] = {}
        self._seen: set[tuple[int, int, str | None]] = set()
        self._docs: list[tuple[object, ...]] = []
        self._waiting: list[tuple[int, str]] = []

    def take(self, memory: Memory, key: int | None) -> int | None:
        """Add a memory. Returns its place, or None if it is in the index already."""
        known = print_of_content, time, session_id = identity(memory)
        if self._keep:  # a host adds each of its memories once
            if known in self._seen or self._tables.one(FIND, known) is not None:
                return None
            self._seen.add(known)
        at = to_microseconds(memory.occurred_at)
        found = stems_of(memory)
        sequence = sequence_of(memory.agent_id, session_id)
        block = self._block((sequence, memory.agent_id, session_id is None), at)
        place = block.take(at, time, print_of_content, len(found))
        self._waiting.append((row_of(place, len(found)), index_text(found)))
        self._docs.append(
            (
                place,
                key,
                sequence,
                at,
                time,
                memory.agent_id,
                session_id,
                memory.memory_type,
                memory.event_type,
                memory.importance or 0.0,
                ",".join(memory.tags or ()),
                print_of_content,
                memory.model_dump_json().encode() if self._keep else None,
            )
        )
        return place

    def write(self) -> int:
        """Write the added memories, and return their number."""
        tables = self._tables
        tables.run_many("INSERT INTO {docs} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", self._docs)
        tables.run_many("INSERT INTO {waiting} VALUES (?, ?)", self._waiting)
        for owner, block in self._blocks.items():
            self._write_block(owner, block)
        return len(self._docs)

    def _write_block(self, owner: _Owner, block: _Block) -> None:
        values = (block.id, *owner, block.taken, block.docs, block.length, block.first, block.last)
        sql = "INSERT OR REPLACE INTO {blocks} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        self._tables.run(sql, (*values, block.last_time, block.last_print, block.in_order))

    def _block(self, owner: _Owner, at: int) -> _Block:
        """The block for a memory: the previous memory's, another one of its owner, or a new one."""
        block = self._blocks.get(owner)
        if block is None or not block.has_room(at, is_run=owner[2]):
            if block is not None:
                self._write_block(owner, block)
            block = self._blocks[owner] = self._stored(owner, at) or self._new(owner[1])
        return block

    def _stored(self, owner: _Owner, at: int) -> _Block | None:
        """A block of the owner that has room. For runs, one of the latest that begin at most one gap after the memory."""
        sequence, agent_id, is_run = owner
        rows = self._tables.run(
            "SELECT id, taken, docs, length, first, last, last_time, last_print, in_order FROM {blocks}"
            " WHERE sequence=? AND agent_id=? AND first<=? ORDER BY first DESC, id DESC LIMIT ?",
            (sequence, agent_id, at + RUN_GAP if is_run else _LATEST, _TRIED),
        )
        blocks = [_Block(*row) for row in rows]
        return next((block for block in blocks if block.has_room(at, is_run=is_run)), None)

    def _new(self, agent_id: str) -> _Block:
        first, last = blocks_of(agent_id)
        newest = self._newest.get(first)
        if newest is None:
            newest = self._tables.one(
                "SELECT ifnull(max(id), ?1) FROM {blocks} WHERE id BETWEEN ?1 AND ?2", (first, last)
            )
        self._newest[first] = block = newest + 1
        return _Block(block)

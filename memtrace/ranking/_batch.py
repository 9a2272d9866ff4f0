"""Memories on their way into an index: which group each belongs to, where it stands there, and which words it has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from memtrace._support.timestamps import to_microseconds
from memtrace.models import Memory
from memtrace.ranking._places import GROUP_BITS, POSITIONS, bucket_of, first_place, row_of
from memtrace.ranking._tables import Tables
from memtrace.ranking._words import memory_text, words

REPEATED = "_"
"""A word that a memory has two or three times is also in the index with as many of these before it, less one."""
MOST_REPEATS = 3
FIND = "SELECT place FROM {docs} WHERE fingerprint=? AND time=? AND session_id IS ?"
"""Where a memory stands, by its `identity`."""
#: Two memories without a session that are further apart belong to different groups.
_GAP = 30 * 60 * 1_000_000


def identity(memory: Memory) -> tuple[int, int, str | None]:
    """What tells a memory from every other one: the server gives none a name."""
    return fingerprint(memory), to_microseconds(memory.time), memory.session_id or None


def fingerprint(memory: Memory) -> int:
    """The same for equal contents of one agent; of others it differs, but for one in 2**64."""
    text = f"{memory.agent_id}\n{memory.content}".encode(errors="surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big", signed=True)


def index_text(found: Sequence[str]) -> str:
    """What FTS5 takes apart at its spaces: each word once, and the repeated ones again with a mark."""
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
class _Group:
    """A session, or a run of an agent's memories without one."""

    number: int
    id: int
    #: How many positions are taken.
    taken: int = 0
    docs: int = 0
    length: int = 0
    #: When the memory occurred that was added last.
    last: int = 0
    is_new: bool = False

    def takes(self, session_id: str | None, at: int) -> bool:
        """Whether one more memory belongs to it."""
        return self.taken < POSITIONS and (session_id is not None or abs(at - self.last) <= _GAP)


class Batch:
    """Adds memories in one transaction, which is the caller's."""

    def __init__(self, tables: Tables, *, keep: bool) -> None:
        self._tables = tables
        self._keep = keep
        self._groups: dict[str, _Group] = {}
        #: The number of the newest group, once it is known.
        self._last: int | None = None
        self._seen: set[tuple[int, int, str | None]] = set()
        self._members: set[tuple[str, int]] = set()
        self._docs: list[tuple[object, ...]] = []
        self._waiting: list[tuple[int, str]] = []

    def take(self, memory: Memory, key: int | None) -> None:
        """Add one, unless it is there already."""
        known = print_of_content, time, session_id = identity(memory)
        if self._keep:  # a host adds each of its memories once
            if known in self._seen or self._tables.one(FIND, known) is not None:
                return
            self._seen.add(known)
        at = to_microseconds(memory.occurred_at)
        found = words(memory_text(memory))
        group = self._group(memory.agent_id, session_id, at)
        place = first_place(group.id) + group.taken
        group.taken += 1
        group.docs += 1
        group.length += len(found)
        group.last = at
        self._members.add((memory.agent_id, group.number))
        self._waiting.append((row_of(place, len(found)), index_text(found)))
        self._docs.append(
            (
                place,
                key,
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

    def write(self) -> int:
        """Write what was taken; gives how many memories that are."""
        tables = self._tables
        tables.run_many("INSERT INTO {docs} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", self._docs)
        tables.run_many("INSERT INTO {waiting} VALUES (?, ?)", self._waiting)
        tables.run_many("INSERT OR IGNORE INTO {members} VALUES (?, ?)", self._members)
        for owner, group in self._groups.items():
            self._write_group(owner, group)
        return len(self._docs)

    def _write_group(self, owner: str, group: _Group) -> None:
        values = (group.taken, group.docs, group.length, group.last, group.number)
        if group.is_new:
            self._tables.run("INSERT INTO {groups} VALUES (?5, ?6, ?7, ?1, ?2, ?3, ?4)", (*values, group.id, owner))
        else:
            self._tables.run("UPDATE {groups} SET taken=?, docs=?, length=?, last=? WHERE number=?", values)

    def _group(self, agent_id: str, session_id: str | None, at: int) -> _Group:
        """The group that a memory belongs to: its owner's last one, or a new one."""
        owner = "a" + agent_id if session_id is None else "s" + session_id
        group = self._groups.get(owner) or self._stored(owner)
        if group is None or not group.takes(session_id, at):
            if owner in self._groups:
                self._write_group(owner, self._groups[owner])
            group = self._new(agent_id)
        self._groups[owner] = group
        return group

    def _stored(self, owner: str) -> _Group | None:
        sql = "SELECT number, id, taken, docs, length, last FROM {groups} WHERE owner=? ORDER BY number DESC LIMIT 1"
        row = self._tables.run(sql, (owner,)).fetchone()
        return None if row is None else _Group(*row)

    def _new(self, agent_id: str) -> _Group:
        last = self._tables.one("SELECT coalesce(max(number), 0) FROM {groups}") if self._last is None else self._last
        self._last = number = int(last) + 1
        return _Group(number, bucket_of(agent_id) << GROUP_BITS | number, is_new=True)

"""The neighbours of memories, in order of time: in their session, or among their agent's memories without a session.

Memories are ordered by `occurred_at`, then by the server's time, then by a hash of agent and content. The order of reading and
adding makes no difference. In most blocks the memories were added in this order, so that a neighbour's place is the next number.
In others the index is read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from memtrace._support.timestamps import from_microseconds
from memtrace.ranking._places import REACH, RUN_GAP, block_of
from memtrace.ranking._scope import Scope
from memtrace.ranking._tables import Tables
from memtrace.transport import Neighbour

Window = tuple[int, int, int, int]
"""The places before and after a place, nearest first; 0 for none."""

_Standing = tuple[int, int, int]
"""A place, with its memory's `occurred_at` and server time in microseconds."""


class _Row(NamedTuple):
    """The values by which a memory is ordered."""

    place: int
    sequence: int
    at: int
    time: int
    fingerprint: int
    session_id: str | None


class Neighbours:
    """The neighbours of the memories of a scope."""

    def __init__(self, tables: Tables, scope: Scope) -> None:
        self._tables = tables
        self._scope = scope
        side = "SELECT place, at, time FROM {docs} WHERE sequence=? AND (at, time, fingerprint)"
        agent = "" if scope.agent_id is None else " AND agent_id=?"
        self._before = f"{side} < (?, ?, ?){agent} ORDER BY at DESC, time DESC, fingerprint DESC LIMIT ?"
        self._after = f"{side} > (?, ?, ?){agent} ORDER BY at, time, fingerprint LIMIT ?"

    def around(self, places: Iterable[int]) -> dict[int, Window]:
        """Places and their neighbours, each with its neighbours. Some may have no memory."""
        windows: dict[int, Window] = {}
        asked: list[int] = []
        for place in places:
            if block_of(place) in self._scope.disordered:
                asked.append(place)
            else:
                for near in range(place - REACH, place + REACH + 1):
                    windows[near] = near - 1, near - 2, near + 1, near + 2
        for row in self._rows(asked):
            before, after = (_of_run(row, side) for side in self._beside(row, 2 * REACH))
            beside = [0] * (4 * REACH + 1)
            beside[2 * REACH - len(before) : 2 * REACH + 1 + len(after)] = [*reversed(before), row.place, *after]
            for number in range(REACH, 3 * REACH + 1):
                windows[beside[number]] = beside[number - 1], beside[number - 2], beside[number + 1], beside[number + 2]
        windows.pop(0, None)
        return windows

    def times(self, places: Collection[int]) -> dict[int, tuple[Neighbour | None, Neighbour | None]]:
        """The memories before and after each place, at any distance in time; None if there is none."""
        found: dict[int, tuple[Neighbour | None, Neighbour | None]] = {}
        disordered, sessionless = self._scope.disordered, self._scope.sessionless
        known = [place for place in places if not (block_of(place) in disordered or block_of(place) in sessionless)]
        near = {place + step for place in known for step in (-1, 1)}
        sql = "SELECT place, at, time FROM {docs} WHERE true"
        standing = {row[0]: _neighbour(row) for row in self._tables.run_at(sql, "place", near)}
        found.update((place, (standing.get(place - 1), standing.get(place + 1))) for place in known)
        for row in self._rows(place for place in places if place not in found):
            before, after = (_neighbour(side[0]) if side else None for side in self._beside(row, 1))
            found[row.place] = before, after
        return found

    def _rows(self, places: Iterable[int]) -> Iterable[_Row]:
        sql = "SELECT place, sequence, at, time, fingerprint, session_id FROM {docs} WHERE true"
        return map(_Row._make, [*self._tables.run_at(sql, "place", places)])

    def _beside(self, row: _Row, most: int) -> tuple[list[_Standing], list[_Standing]]:
        """The memories before and after a row, nearest first."""
        _, sequence, at, time, fingerprint, _ = row
        agent = () if self._scope.agent_id is None else (self._scope.agent_id,)
        values = (sequence, at, time, fingerprint, *agent, most)
        return self._tables.run(self._before, values).fetchall(), self._tables.run(self._after, values).fetchall()


def _of_run(row: _Row, side: Sequence[_Standing]) -> list[int]:
    """The places of one side that are in the same session, or in the same run."""
    places: list[int] = []
    last = row.at
    for place, at, _ in side:
        if row.session_id is None and abs(at - last) > RUN_GAP:
            break
        places.append(place)
        last = at
    return places


def _neighbour(standing: _Standing) -> Neighbour:
    _, at, time = standing
    return Neighbour(from_microseconds(at), from_microseconds(time))

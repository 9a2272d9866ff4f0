"""The text index of a store: in its file, kept by its transactions, without a second copy of the contents."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from pydantic import ValidationError

from memtrace._support.timestamps import from_microseconds
from memtrace.models import WIRE, Memory
from memtrace.ranking import TextIndex, answer_query
from memtrace.transport import IndexAnswer, IndexQuery
from memtrace_transports._engine.routes.memories import row_json
from memtrace_transports._engine.store.rows import Row

READ_COLUMNS = "time, agent_id, ifnull(session_id, ''), memory_type, event_type, content, metadata, tags, dedup_key, importance, parent_id"
"""The columns of the memories as a `Row` has them."""

NumberedRow = tuple[int, Row]

_IS_WHOLE = "whole"
_FILLED_ROWS = 1000
_KEYS = 500


class TextIndexes:
    """The text index of each organisation: no other's words count in its scores. Its owner holds a lock around every call."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[str, TextIndex] = {}

    def use(self, connection: sqlite3.Connection) -> None:
        """Go on with another connection to the same file."""
        self._connection = connection
        self._known.clear()

    def add(self, org_id: str, rows: Sequence[NumberedRow]) -> None:
        """Add new rows, in the transaction that has stored them."""
        index = self._known.get(org_id)
        if index is None:
            index, has_all = self._opened(org_id)
            if has_all:
                return
        keys = [number for number, _ in rows]
        index.add_many([_indexed(org_id, row) for _, row in rows], keys)

    def of(self, org_id: str) -> TextIndex:
        """The index of an organisation, in a transaction that writes: one that is not there, or another version's, is made."""
        index = self._known.get(org_id)
        return self._opened(org_id)[0] if index is None else index

    def _opened(self, org_id: str) -> tuple[TextIndex, bool]:
        """An index that was not known, and whether it was made now, of all that is stored."""
        index = TextIndex(self._connection, org_id, keep=False)
        is_made = index.note(_IS_WHOLE) is None
        if is_made:
            self._fill(index, org_id)
        self._known[org_id] = index
        return index, is_made

    def is_ready(self, org_id: str) -> bool:
        """Whether a query needs no transaction that writes: the index is known, and nothing waits in it."""
        index = self._known.get(org_id)
        return index is not None and not index.waits

    def answer(self, org_id: str, asked: IndexQuery) -> IndexAnswer:
        """What the index of an organisation answers."""
        return answer_query(self.of(org_id), asked, lambda keys: self._memories(org_id, keys))

    def remove(self, org_id: str, rows: Iterable[Row]) -> None:
        """Take out rows before they are deleted, with their words, in the same transaction."""
        self.of(org_id).remove_many([_indexed(org_id, row) for row in rows], lambda keys: self._memories(org_id, keys))

    def kept(self, org_id: str) -> TextIndex | None:
        """The index of an organisation; None where the next search or write makes it: it is not there, or another version's."""
        index = self._known.get(org_id)
        if index is None:
            index = TextIndex.kept(self._connection, org_id)
        return None if index is None or index.note(_IS_WHOLE) is None else index

    def make_anew(self, org_id: str) -> None:
        """Make the index of an organisation of what it remembers, in a transaction that writes."""
        self.drop(org_id)
        self.of(org_id)

    def drop(self, org_id: str) -> None:
        """Remove the index of an organisation."""
        self._known.pop(org_id, None)
        TextIndex(self._connection, org_id, keep=False).drop()

    def forget(self) -> None:
        """Know none any more: a transaction was taken back, and perhaps a new index with it."""
        self._known.clear()

    def _fill(self, index: TextIndex, org_id: str) -> None:
        query = f"SELECT m.id, {READ_COLUMNS} FROM memories AS m JOIN organisations AS o ON o.id = m.org WHERE o.org_id = ? ORDER BY time"  # noqa: S608
        rows = iter(self._connection.execute(query, (org_id,)))
        while some := list(islice(rows, _FILLED_ROWS)):
            index.add_many([_indexed(org_id, Row(*row)) for _, *row in some], [number for number, *_ in some])
        index.set_note(_IS_WHOLE, "yes")

    def _memories(self, org_id: str, keys: Sequence[int]) -> Iterator[Memory]:
        """The memories of these rows, in the order of the keys."""
        for start in range(0, len(keys), _KEYS):
            some = list(keys[start : start + _KEYS])
            query = f"SELECT id, {READ_COLUMNS} FROM memories WHERE id IN ({', '.join('?' * len(some))})"  # noqa: S608
            rows = {number: Row(*row) for number, *row in self._connection.execute(query, some)}
            if len(rows) < len(set(some)):
                raise sqlite3.DatabaseError("the text index is malformed: it has memories that are not stored")
            yield from (memory_of(org_id, rows[key]) for key in some)


def _indexed(org_id: str, row: Row) -> Memory:
    """A row as the index takes it: most have nothing that has to be read, which takes three times as long."""
    if row.metadata:
        return memory_of(org_id, row)
    return Memory.model_construct(
        time=from_microseconds(row.time),
        org_id=org_id,
        agent_id=row.agent_id,
        session_id=row.session_id or None,
        memory_type=row.memory_type,
        event_type=row.event_type,
        content=row.content,
        tags=row.tags.split(",") if row.tags else None,
        dedup_key=row.dedup_key,
        importance=row.importance or None,
        parent_id=row.parent_id or None,
    )


def memory_of(org_id: str, row: Row) -> Memory:
    """A row as a client reads it. Metadata that is deeper than a client can read is left out."""
    try:
        return Memory.model_validate_json(row_json(org_id, row), context=WIRE)
    except ValidationError:
        return Memory.model_validate_json(row_json(org_id, row._replace(metadata="")), context=WIRE)

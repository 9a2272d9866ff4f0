"""Snapshots of an append-only store: a tree, in which each has the rows added since its parent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, cast

T = TypeVar("T")


class StoreSnapshot:
    """What a store held at one moment. Only that store can read it, as often as one likes."""

    __slots__ = ()


class _Node(StoreSnapshot, Generic[T]):
    """`parent` and what was added since; only the first snapshot of a store has no parent."""

    __slots__ = ("added", "depth", "history", "parent")

    def __init__(self, history: object, parent: _Node[T] | None, added: Sequence[T]) -> None:
        self.history = history
        self.parent = parent
        self.added = added
        self.depth: int = parent.depth + 1 if parent else 0


class UndoHistory(Generic[T]):
    """The additions to one store since its first snapshot, and how it gets from one snapshot to another.

    `undo` and `redo` take back the newest addition, and make one again.
    """

    __slots__ = ("_added", "_here", "_identity", "_redo", "_undo")

    def __init__(self, undo: Callable[[T], None], redo: Callable[[T], None]) -> None:
        self._undo = undo
        self._redo = redo
        self._identity = object()
        self._here: _Node[T] | None = None
        self._added: list[T] = []

    @property
    def is_kept(self) -> bool:
        """Whether there is a snapshot. Rows added before the first one are never removed."""
        return self._here is not None

    def note(self, addition: T) -> None:
        """Remember an addition."""
        self._added.append(addition)

    def snapshot(self) -> StoreSnapshot:
        """The state now, in constant time. Without additions since, it is the newest snapshot again."""
        if self._here is None or self._added:
            self._here = _Node(self._identity, self._here, self._added)
            self._added = []
        return self._here

    def restore(self, snapshot: StoreSnapshot) -> None:
        """Go to the state of `snapshot`, in a time that grows with the difference, and not with the store.

        Raises ValueError for a snapshot of another history.
        """
        if not isinstance(snapshot, _Node) or snapshot.history is not self._identity:
            raise ValueError("this snapshot was taken of another store")
        self._take_back(self._added)
        self._added = []
        here, there = cast("_Node[T]", self._here), cast("_Node[T]", snapshot)
        ahead: list[_Node[T]] = []
        while here is not there:
            if here.depth < there.depth:
                ahead.append(there)
                there = cast("_Node[T]", there.parent)
            else:
                self._take_back(here.added)
                here = cast("_Node[T]", here.parent)
        for node in reversed(ahead):
            for addition in node.added:
                self._redo(addition)
        self._here = snapshot

    def _take_back(self, additions: Sequence[T]) -> None:
        for addition in reversed(additions):
            self._undo(addition)

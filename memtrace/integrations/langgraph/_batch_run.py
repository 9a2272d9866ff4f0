"""What a store does with the operations of a batch: it reads first, then it puts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from langgraph.store import base

from memtrace._runtime.workflows.keyset_pagination import PAGE_SIZE
from memtrace._runtime.workflows.steps import Workflow
from memtrace.integrations.langgraph._checks import CheckedBatch
from memtrace.integrations.langgraph._embedding import Vector
from memtrace.integrations.langgraph._item_records import Place, StoredItem
from memtrace.integrations.langgraph._items import StoredItems
from memtrace.integrations.langgraph._known_versions import KnownVersions
from memtrace.integrations.langgraph._matching import matches_filter, matches_path
from memtrace.integrations.langgraph._relevance import RelevantItems
from memtrace.integrations.langgraph._vector_items import VectorItems

if TYPE_CHECKING:
    from memtrace._runtime.dispatch._request_cycle import AnyDispatcher

_SPARE = 100
"""Rows that a search reads in addition: old versions, deletions and renewals."""


@dataclass(frozen=True, slots=True)
class Known:
    """The items of a store, and what its searches remember of them."""

    items: StoredItems
    vector_items: VectorItems
    versions: KnownVersions


class BatchRun:
    """One batch on one client. `queries` has the vector of each query, in a store that embeds."""

    def __init__(self, known: Known, queries: Mapping[str, Vector], of: AnyDispatcher[Any]) -> None:
        self._items, self._vector_items, self._versions = known.items, known.vector_items, known.versions
        self._queries = queries
        self._searching = of.searching
        self._clock = of.settings.clock
        #: Items whose time to live begins anew.
        self._read: dict[Place, StoredItem] = {}

    def results(self, batch: CheckedBatch) -> Workflow[list[base.Result]]:
        """One result for each operation."""
        results: list[base.Result] = []
        for op in batch.ops:
            results += [(yield from self._result(op))]
        yield from self._items.put([*batch.puts.values()], self._clock)
        yield from self._items.renew(
            [item for place, item in self._read.items() if place not in batch.puts], self._clock
        )
        return results

    def _result(self, op: base.Op) -> Workflow[base.Result]:
        if isinstance(op, base.GetOp):
            found = yield from self._items.find((op.namespace, op.key), self._clock)
            return None if found is None else _item(self._noted(found, op))
        if isinstance(op, base.SearchOp):
            return (yield from self._search(op))
        if isinstance(op, base.ListNamespacesOp):
            return (yield from self._list_namespaces(op))
        return None

    def _noted(self, item: StoredItem, op: base.GetOp | base.SearchOp) -> StoredItem:
        if op.refresh_ttl:
            self._read[item.place] = item
        return item

    def _search(self, op: base.SearchOp) -> Workflow[list[base.SearchItem]]:
        if not op.limit:
            return []
        if op.query is None:
            found = yield from self._newest(op)
        elif op.query in self._queries:
            found = yield from self._similar(op, self._queries[op.query])
        else:
            found = yield from self._relevant(op, op.query)
        return [_search_item(self._noted(item, op), score) for item, score in found[op.offset :]]

    def _newest(self, op: base.SearchOp) -> Workflow[list[tuple[StoredItem, float | None]]]:
        """The items that were put last."""
        wanted = op.offset + op.limit
        page_size = PAGE_SIZE if op.filter else min(PAGE_SIZE, wanted + _SPARE)
        live = self._items.live(op.namespace_prefix, self._clock, page_size)
        found: list[tuple[StoredItem, float | None]] = []
        while len(found) < wanted and (items := (yield from live.next())) is not None:
            found += [(item, None) for item in items if matches_filter(item.value, op.filter)]
        return found[:wanted]

    def _similar(self, op: base.SearchOp, query: Vector) -> Workflow[list[tuple[StoredItem, float | None]]]:
        """The items whose vectors are most similar to the query's."""
        yield from self._vector_items.refresh(self._searching)
        prefix = op.namespace_prefix

        def is_wanted(item: StoredItem) -> bool:
            return item.place[0][: len(prefix)] == prefix and matches_filter(item.value, op.filter)

        return self._vector_items.best(query, op.offset + op.limit, is_wanted, self._searching)

    def _relevant(self, op: base.SearchOp, query: str) -> Workflow[list[tuple[StoredItem, float | None]]]:
        """The items that the words of the query find."""
        items = RelevantItems(self._items.form, query, op.namespace_prefix, self._versions, self._searching)

        def is_wanted(item: StoredItem) -> bool:
            return item.is_indexed and matches_filter(item.value, op.filter)

        found = yield from items.best(op.offset + op.limit, is_wanted)
        return [*found]

    def _list_namespaces(self, op: base.ListNamespacesOp) -> Workflow[list[tuple[str, ...]]]:
        conditions = op.match_conditions or ()
        live = self._items.live(_known_beginning(conditions), self._clock)
        namespaces: set[tuple[str, ...]] = set()
        while (items := (yield from live.next())) is not None:
            namespaces |= {item.place[0] for item in items}
        matching = {
            namespace[: op.max_depth]
            for namespace in namespaces
            if all(matches_path(namespace, each.path, from_end=each.match_type == "suffix") for each in conditions)
        }
        return sorted(matching)[op.offset : op.offset + op.limit]


def _known_beginning(conditions: Iterable[base.MatchCondition]) -> tuple[str, ...]:
    """The labels that the first condition on beginnings names: the server can choose by them."""
    path = next((each.path for each in conditions if each.match_type == "prefix"), ())
    return tuple(takewhile(lambda label: label != "*", path))


def _item(item: StoredItem) -> base.Item:
    namespace, key = item.place
    return base.Item(
        value=item.value, key=key, namespace=namespace, created_at=item.created_at, updated_at=item.updated_at
    )


def _search_item(item: StoredItem, score: float | None) -> base.SearchItem:
    return base.SearchItem(*item.place, item.value, item.created_at, item.updated_at, score)

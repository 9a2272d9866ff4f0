"""The store that LangGraph calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any, cast

from langgraph.store import base

from memtrace._runtime.workflows.keyset_pagination import PAGE_SIZE
from memtrace._runtime.workflows.steps import Workflow
from memtrace._support.numbers import is_int
from memtrace.async_client import AsyncMemtrace
from memtrace.client import Memtrace
from memtrace.clock import Clock
from memtrace.exceptions import InvalidRequestError
from memtrace.integrations._dual_client import DualClient
from memtrace.integrations.langgraph._items import Place, Put, StoredItem, StoredItems
from memtrace.integrations.langgraph._matching import check_filter, matches_filter, matches_path
from memtrace.operations._validation import broken_rule, check_non_negative_seconds, invalid, require_id
from memtrace.ranking._search import check_query

if TYPE_CHECKING:
    from memtrace._runtime.dispatch._request_cycle import AnyDispatcher

_SPARE = 100


class MemtraceStore(base.BaseStore):
    """A LangGraph store whose items are memories of one agent, which need not be registered.

    A put or a deletion is another memory. The newest memory of a key counts. A search with a
    `query` ranks items by its words, and by meaning if the client has an embedder, like
    `memories.search`. A list as `index`, and `ttl`, raise `NotImplementedError`.

    Blocking methods need `client`. The async ones use `async_client`, or `client` in a thread.

    Args:
        client: The client of the blocking methods.
        async_client: The client of the async methods. Default: `client`, in a thread.
        agent_id: The agent whose memories the items are.
        wait_timeout: Seconds that a write waits until its items can be read. None does not wait, so
            that a read right after may miss them.

    Raises:
        InvalidRequestError: The server does not accept the ID, or `wait_timeout` is negative.
        ConfigurationError: There is no client, or one of the wrong kind.

    Example:
        >>> from memtrace import Memtrace
        >>> with Memtrace("memory://", "any key") as client:
        ...     store = MemtraceStore(client, agent_id="assistant")
        ...     store.put(("users", "42"), "prefs", {"theme": "dark"})
        ...     store.put(("users", "42"), "home", {"text": "lives in Lisbon"})
        ...     store.get(("users", "42"), "prefs").value
        ...     store.search(("users",), query="where does the user live?")[0].value
        {'theme': 'dark'}
        {'text': 'lives in Lisbon'}
    """

    def __init__(
        self,
        client: Memtrace | None = None,
        async_client: AsyncMemtrace | None = None,
        *,
        agent_id: str,
        wait_timeout: float | None = 5.0,
    ) -> None:
        require_id(agent_id, "agent_id")
        if wait_timeout is not None:
            check_non_negative_seconds(wait_timeout, "wait_timeout")
        self._dual_client = DualClient(client, async_client, "MemtraceStore")
        self._items = StoredItems(agent_id, wait_timeout)

    def batch(self, ops: Iterable[base.Op]) -> list[base.Result]:
        """Run operations together: reads first, then the puts.

        Reads see what was there before the puts. Of several puts of one key the last one counts.

        Args:
            ops: The operations.

        Returns:
            One result for each operation, in order.

        Raises:
            NotImplementedError: The store does not have a feature. Nothing was sent.
            InvalidRequestError: The store cannot keep an item. Nothing was sent.
            PayloadTooLargeError: An item is over 4 MiB. Nothing was sent.
            BatchError: Only some puts were stored.
            MemtraceError: Reading or writing failed.
        """
        reads, puts = _checked(ops)
        return self._dual_client.run(lambda of: self._done(reads, puts, of))

    async def abatch(self, ops: Iterable[base.Op]) -> list[base.Result]:
        """Run operations together, like `batch` does: reads first, then the puts.

        Args:
            ops: The operations.

        Returns:
            One result for each operation, in order.

        Raises:
            NotImplementedError: The store does not have a feature. Nothing was sent.
            InvalidRequestError: The store cannot keep an item. Nothing was sent.
            PayloadTooLargeError: An item is over 4 MiB. Nothing was sent.
            BatchError: Only some puts were stored.
            MemtraceError: Reading or writing failed.
        """
        reads, puts = _checked(ops)
        return await self._dual_client.run_async(lambda of: self._done(reads, puts, of))

    def _done(
        self, reads: Sequence[base.Op], puts: Sequence[Put], of: AnyDispatcher[Any]
    ) -> Workflow[list[base.Result]]:
        results: list[base.Result] = []
        for op in reads:
            results += [(yield from self._read(op, of))]
        yield from self._items.put(puts, of.settings.clock)
        return results

    def _read(self, op: base.Op, of: AnyDispatcher[Any]) -> Workflow[base.Result]:
        clock = of.settings.clock
        if isinstance(op, base.GetOp):
            found = yield from self._items.find((tuple(op.namespace), op.key), clock)
            return None if found is None else _item(found)
        if isinstance(op, base.SearchOp):
            return (yield from self._ranked(op, op.query, of) if op.query else self._search(op, clock))
        if isinstance(op, base.ListNamespacesOp):
            return (yield from self._list_namespaces(op, clock))
        return None

    def _search(self, op: base.SearchOp, clock: Clock) -> Workflow[list[base.SearchItem]]:
        wanted = op.offset + op.limit if op.limit else 0
        page_size = PAGE_SIZE if op.filter else min(PAGE_SIZE, wanted + _SPARE)
        live = self._items.live(op.namespace_prefix, clock, page_size)
        found: list[base.SearchItem] = []
        while len(found) < wanted and (items := (yield from live.next())) is not None:
            found += [_search_item(item) for item in items if matches_filter(item.value, op.filter)]
        return found[op.offset : wanted]

    def _ranked(self, op: base.SearchOp, query: str, of: AnyDispatcher[Any]) -> Workflow[list[base.SearchItem]]:
        if not op.limit:
            return []
        items = self._items.relevant(query, op.namespace_prefix, of.searching)

        def is_wanted(item: StoredItem) -> bool:
            return item.is_indexed and matches_filter(item.value, op.filter)

        found = yield from items.best(op.offset + op.limit, is_wanted)
        return [_search_item(item, score) for item, score in found[op.offset :]]

    def _list_namespaces(self, op: base.ListNamespacesOp, clock: Clock) -> Workflow[list[tuple[str, ...]]]:
        conditions = op.match_conditions or ()
        live = self._items.live(_known_beginning(conditions), clock)
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


def _search_item(item: StoredItem, score: float | None = None) -> base.SearchItem:
    return base.SearchItem(*item.place, item.value, item.created_at, item.updated_at, score)


# ---- validation -----------------------------------------------------------------------------------------------------


def _checked(ops: Iterable[base.Op]) -> tuple[list[base.Op], list[Put]]:
    """The operations, and the last put of each place; none of which asks for what the store does not have."""
    chosen = list(ops)
    puts: dict[Place, Put] = {}
    for i, op in enumerate(chosen):
        field = f"ops[{i}]"
        if isinstance(op, base.GetOp):
            _check_place(op.namespace, op.key, field)
        elif isinstance(op, base.PutOp):
            _check_put(op, field)
            place = tuple(op.namespace), op.key
            puts.pop(place, None)
            puts[place] = Put.of(place, op.value, f"{field}.value", is_indexed=op.index is not False)
        elif isinstance(op, base.SearchOp):
            _check_search(op, field)
        elif isinstance(op, base.ListNamespacesOp):
            _check_listing(op, field)
        else:
            raise invalid(field, "a GetOp, PutOp, SearchOp or ListNamespacesOp", f"{type(op).__name__} was given")
    return chosen, list(puts.values())


def _check_put(op: base.PutOp, field: str) -> None:
    _check_place(op.namespace, op.key, field)
    if op.ttl is not None:
        raise NotImplementedError(f"{field}.ttl must be None: MemtraceStore has no time to live")
    if op.index:
        raise NotImplementedError(
            f"{field}.index must be None or False: MemtraceStore searches the whole of a value, or none of it"
        )


def _check_search(op: base.SearchOp, field: str) -> None:
    _check_labels(op.namespace_prefix, f"{field}.namespace_prefix")
    _check_window(op.limit, op.offset, field)
    if op.query:
        try:
            check_query(op.query)
        except InvalidRequestError as error:
            raise broken_rule(f"{field}.query", str(error.rule), str(error.problem)) from None
    if op.filter is not None and not isinstance(cast("object", op.filter), dict):
        raise invalid(f"{field}.filter", "a dict", f"{type(op.filter).__name__} was given")
    check_filter(op.filter, f"{field}.filter")


def _check_listing(op: base.ListNamespacesOp, field: str) -> None:
    _check_window(op.limit, op.offset, field)
    if op.max_depth is not None and not (is_int(op.max_depth) and op.max_depth > 0):
        raise invalid(f"{field}.max_depth", "None, or a whole number of 1 or more", "it says how many labels to give")
    for condition in op.match_conditions or ():
        _check_labels(condition.path, f"{field}.match_conditions")
        if condition.match_type not in ("prefix", "suffix"):
            raise invalid(f"{field}.match_conditions", "of type prefix or suffix", "there is no other")


def _check_place(namespace: object, key: object, field: str) -> None:
    _check_labels(namespace, f"{field}.namespace")
    if not isinstance(key, str):
        raise invalid(f"{field}.key", "a string", f"{type(key).__name__} was given")


def _check_labels(labels: object, field: str) -> None:
    if not isinstance(labels, (tuple, list)) or not all(isinstance(label, str) for label in labels):
        raise invalid(field, "a tuple of strings", "it names a namespace")


def _check_window(limit: object, offset: object, field: str) -> None:
    for value, name in ((limit, "limit"), (offset, "offset")):
        if not is_int(value) or value < 0:
            raise invalid(f"{field}.{name}", "a whole number of 0 or more", "it says how many to give or to pass over")

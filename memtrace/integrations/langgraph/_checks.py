"""The operations that LangGraph passes, checked before any is sent, and the puts that they come to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from langgraph.store import base

from memtrace._support.numbers import is_int
from memtrace.exceptions import InvalidRequestError
from memtrace.integrations._errors import InvalidTypeError, invalid_type
from memtrace.integrations.langgraph._embedding import Embedding, Vector, check_paths
from memtrace.integrations.langgraph._expiry import check_ttl
from memtrace.integrations.langgraph._item_records import Place, Put
from memtrace.integrations.langgraph._matching import check_filter
from memtrace.operations._validation import broken_rule, invalid
from memtrace.ranking._search import check_query


class _NamespaceError(InvalidTypeError, base.InvalidNamespaceError):
    """A namespace that is none: LangGraph's own error too."""


@dataclass(slots=True)
class CheckedBatch:
    """Operations whose namespaces are tuples, the last put of each place, and what has to be embedded."""

    ops: list[base.Op]
    puts: dict[Place, Put]
    #: The texts of each put.
    texts: dict[Place, list[str]] = field(default_factory=dict)

    def all_texts(self) -> list[str]:
        """Each text once."""
        return [*dict.fromkeys(text for texts in self.texts.values() for text in texts)]

    def queries(self) -> list[str]:
        """Each query once."""
        return [*dict.fromkeys(op.query for op in self.ops if isinstance(op, base.SearchOp) and op.query and op.limit)]

    def set_vectors(self, vectors: dict[str, Vector]) -> None:
        """Give each put the vectors of its texts."""
        for place, texts in self.texts.items():
            self.puts[place] = replace(self.puts[place], vectors=[vectors[text] for text in texts])


def checked(ops: Iterable[base.Op], embedding: Embedding | None) -> CheckedBatch:
    """The operations; none of which asks for what the store does not have."""
    batch = CheckedBatch([], {})
    for i, op in enumerate(ops):
        field = f"ops[{i}]"
        if isinstance(op, base.GetOp):
            batch.ops.append(op._replace(namespace=_place(op.namespace, op.key, field)[0]))
        elif isinstance(op, base.PutOp):
            batch.ops.append(op)
            _add_put(batch, op, field, embedding)
        elif isinstance(op, base.SearchOp):
            batch.ops.append(_checked_search(op, field))
        elif isinstance(op, base.ListNamespacesOp):
            batch.ops.append(_checked_listing(op, field))
        else:
            raise invalid(field, "a GetOp, PutOp, SearchOp or ListNamespacesOp", f"{type(op).__name__} was given")
    return batch


def _add_put(batch: CheckedBatch, op: base.PutOp, field: str, embedding: Embedding | None) -> None:
    place = _place(op.namespace, op.key, field)
    check_ttl(op.ttl, f"{field}.ttl")
    if op.index is not None and op.index is not False:
        check_paths(op.index, f"{field}.index")
        if embedding is None:
            raise NotImplementedError(
                f"{field}.index must be None or False: only a MemtraceStore with an index=... embeds parts of a value"
            )
    put = Put.of(place, op.value, f"{field}.value", is_indexed=op.index is not False, ttl=op.ttl)
    batch.puts[place] = put
    batch.texts.pop(place, None)
    if embedding is not None and op.value is not None and put.is_indexed:
        batch.texts[place] = embedding.texts(op.value, op.index or None)


def _checked_search(op: base.SearchOp, field: str) -> base.SearchOp:
    prefix = _labels(op.namespace_prefix, f"{field}.namespace_prefix")
    _check_window(op.limit, op.offset, field)
    query = op.query
    if isinstance(query, str) and not query.strip():
        query = None
    if query is not None:
        try:
            check_query(query)
        except InvalidRequestError as error:
            raise broken_rule(f"{field}.query", str(error.rule), str(error.problem)) from None
    wanted: object = op.filter
    if wanted is not None and not isinstance(wanted, dict):
        raise invalid_type(f"{field}.filter", "a dict", f"{type(wanted).__name__} was given")
    check_filter(wanted, f"{field}.filter")
    return op._replace(namespace_prefix=prefix, query=query)


def _checked_listing(op: base.ListNamespacesOp, field: str) -> base.ListNamespacesOp:
    _check_window(op.limit, op.offset, field)
    if op.max_depth is not None and not (is_int(op.max_depth) and op.max_depth >= 0):
        raise invalid(f"{field}.max_depth", "None, or a whole number of 0 or more", "it says how many labels to give")
    conditions: list[base.MatchCondition] = []
    for condition in op.match_conditions or ():
        conditions.append(
            base.MatchCondition(condition.match_type, _labels(condition.path, f"{field}.match_conditions"))
        )
        if condition.match_type not in ("prefix", "suffix"):
            raise invalid(f"{field}.match_conditions", "of type prefix or suffix", "there is no other")
    return op._replace(match_conditions=tuple(conditions))


def _place(namespace: object, key: object, field: str) -> Place:
    labels = _labels(namespace, f"{field}.namespace")
    if not isinstance(key, str):
        raise invalid_type(f"{field}.key", "a string", f"{type(key).__name__} was given")
    return labels, key


def _labels(labels: object, field: str) -> tuple[str, ...]:
    """The labels of a namespace; a string is one label."""
    if isinstance(labels, str):
        return (labels,)
    if isinstance(labels, Sequence) and all(isinstance(label, str) for label in labels):
        return tuple(labels)
    problem = "must be a tuple of strings: it names a namespace"
    raise _NamespaceError(f"{field} {problem}", field=field, rule="a tuple of strings", problem=problem)


def _check_window(limit: object, offset: object, field: str) -> None:
    for value, name in ((limit, "limit"), (offset, "offset")):
        if not is_int(value) or value < 0:
            raise invalid(f"{field}.{name}", "a whole number of 0 or more", "it says how many to give or to pass over")

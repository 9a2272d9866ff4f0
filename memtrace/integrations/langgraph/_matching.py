"""What LangGraph's filters and match conditions mean. The server knows neither: they are applied to what was read."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from memtrace.operations._validation import invalid

_ORDERING: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
_OPERATORS = ("$eq", "$ne", *_ORDERING)


def check_filter(wanted: object, field: str) -> None:
    """Refuse an operator that there is none of, at any depth."""
    if isinstance(wanted, Mapping):
        if _is_operators(wanted) and not set(wanted) <= set(_OPERATORS):
            raise invalid(field, f"values, or operators out of {', '.join(_OPERATORS)}", "there is no other")
        for each in wanted.values():
            check_filter(each, field)


def matches_filter(value: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> bool:
    """Whether each field that is asked for is as asked; a field that is not there counts as None."""
    return all(_matches(value.get(name), each) for name, each in (wanted or {}).items())


def _matches(value: object, wanted: object) -> bool:
    if isinstance(wanted, Mapping):
        if _is_operators(wanted):
            return all(_compares(value, name, operand) for name, operand in wanted.items())
        return isinstance(value, Mapping) and matches_filter(value, wanted)
    if isinstance(wanted, (list, tuple)):
        return isinstance(value, list) and len(value) == len(wanted) and all(map(_matches, value, wanted))
    return value == wanted


def _is_operators(wanted: Mapping[str, Any]) -> bool:
    return any(name.startswith("$") for name in wanted)


def _compares(value: object, name: str, operand: object) -> bool:
    """Only two numbers have an order, and two texts."""
    if name in ("$eq", "$ne"):
        return (value == operand) is (name == "$eq")
    alike = (_is_number(value) and _is_number(operand)) or (isinstance(value, str) and isinstance(operand, str))
    return alike and _ORDERING[name](value, operand)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def matches_path(namespace: Sequence[str], path: Sequence[str], *, from_end: bool) -> bool:
    """Whether a namespace begins, or ends, with `path`, in which ``*`` matches any label."""
    if len(namespace) < len(path):
        return False
    part = namespace[len(namespace) - len(path) :] if from_end else namespace[: len(path)]
    return all(label in ("*", name) for name, label in zip(part, path, strict=True))

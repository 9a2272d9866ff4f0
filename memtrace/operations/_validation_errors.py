"""What pydantic finds wrong with a field, as the SDK says it: the field, and the rule after "must be"."""

from __future__ import annotations

from pydantic import ValidationError

from memtrace._support.error_text import type_name
from memtrace.exceptions import InvalidRequestError
from memtrace.operations._time_bounds import TIME_RULE
from memtrace.operations._validation import ID_FIELDS, STRINGS_RULE, broken_rule, id_hint

_KINDS = {
    "string_type": "a string",
    "list_type": "a list",
    "dict_type": "a dict",
    "bool_type": "True or False",
    "int_type": "a whole number",
    "float_type": "a number",
    "callable_type": "a function",
    "datetime_type": "an aware datetime",
}
_RULES = {
    "missing": "given",
    "finite_number": "a finite number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_parsing": "a number",
    "literal_error": "{expected}",
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:g}",
    "naive_datetime": "an aware datetime, as in datetime.now(timezone.utc)",
    "occurred_twice": "omitted if metadata has another 'occurred_at'",
}

_LISTED = ("memory_types", "event_types", "include_types", "tags")
_ONE_TYPE_HINTS = {
    (
        "ListOptions",
        name,
    ): f"a list filters by one type; memories.filter({name}s=[...]) and memories.search accept several"
    for name in ("memory_type", "event_type")
}


def invalid_request_from(error: ValidationError) -> InvalidRequestError:
    """The SDK's error for the first field that a model does not take. It holds no value."""
    field, rule, problem = first_violation(error)
    told = broken_rule(field, rule, problem)
    if rule == _KINDS["string_type"]:
        told.hint = id_hint(field, is_string=False) if field in ID_FIELDS else _ONE_TYPE_HINTS.get((error.title, field))
    return told


def first_violation(error: ValidationError) -> tuple[str, str, str]:
    """The first field that a model does not take, its rule, and what is wrong, to be read after the field.

    >>> from memtrace.models import AddMemoryRequest
    >>> try:
    ...     AddMemoryRequest(agent_id="assistant", content=["no text"])
    ... except ValidationError as error:
    ...     first_violation(error)
    ('content', 'a string', 'must be a string, not list')
    """
    field, rule, given = _violated_rule(error)
    return field, rule, f"must be {rule}{given}"


def _violated_rule(error: ValidationError) -> tuple[str, str, str]:
    """The field, its rule, and for a wrong type the words that name the type."""
    errors = error.errors(include_url=False)
    # of the forms that a field can have, the one in which most was right
    first = max((each for each in errors if each["loc"][:1] == errors[0]["loc"][:1]), key=lambda each: len(each["loc"]))
    places, kind = first["loc"], first["type"]
    field = f"{places[0]}" + "".join(f"[{place}]" for place in places[1:] if isinstance(place, int))
    given = f", not {type_name(first['input'])}"
    if field in ("since", "until"):
        return field, TIME_RULE, given
    if field in _LISTED and error.title != "AddMemoryRequest":
        return field, STRINGS_RULE, given
    if kind in _KINDS:
        return field, _KINDS[kind], given
    if kind in _RULES:
        return field, _RULES[kind].format_map(first.get("ctx", {})), ""
    return field, f"what its type allows: {first['msg']}", ""

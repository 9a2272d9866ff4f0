"""A request model, or the same fields as keywords: one of the two becomes the model that is sent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from memtrace._support.error_text import did_you_mean, type_name
from memtrace.models import AddMemoryRequest, ListOptions, TimeBound
from memtrace.operations._validation import invalid, is_text, require_non_empty
from memtrace.operations._validation_errors import invalid_request_from

ModelT = TypeVar("ModelT", bound=BaseModel)


def coerce_request(model: type[ModelT], given: ModelT | None, fields: Mapping[str, object]) -> ModelT:
    """`given`, or a model of `fields`.

    Raises `TypeError` for both at once, another type, or a keyword that the model does not have; `InvalidRequestError` for
    a value that it does not take.
    """
    if given is None:
        return _built(model, fields)
    if fields:
        raise TypeError(f"pass {model.__name__}(...) or its fields as keywords, not both")
    if not isinstance(given, model):
        fields_of = ", ".join(model.model_fields)
        raise TypeError(
            f"expected {model.__name__} or its fields as keywords, not {type_name(given)}; the fields are {fields_of}"
        )
    return given


def filters_from(model: type[ModelT], given: ModelT | None, fields: Mapping[str, object]) -> ModelT:
    """`coerce_request` for what reads everyone's memories: an empty id among the fields is refused, since it would not filter.

    In options that are made by hand it keeps the server's meaning, which code for 0.2.0 may rely on.
    """
    for name in ("agent_id", "session_id"):
        if fields.get(name) == "":
            raise invalid(name, "None or a string that is not empty", "an empty one would not filter")
    return coerce_request(model, given, fields)


def episodic_memory(agent_id: str, content: str, occurred_at: datetime | None = None) -> AddMemoryRequest:
    """What `remember` stores."""
    return _built(AddMemoryRequest, {"agent_id": agent_id, "content": content, "occurred_at": occurred_at})


def decision_memory(agent_id: str, content: str, reasoning: str) -> AddMemoryRequest:
    """What `decide` stores. A decision that is no text, or an empty one, is refused by that name."""
    require_non_empty(content if is_text(content) else "", "decision")
    fields = {"memory_type": "decision", "event_type": "decision", "metadata": {"reasoning": reasoning}}
    return _built(AddMemoryRequest, {"agent_id": agent_id, "content": content, **fields})


def recent_query(agent_id: str, since: TimeBound, limit: int | None = None) -> ListOptions:
    """What `recall` reads. An empty agent is refused: as a filter it would mean everyone."""
    require_non_empty(agent_id, "agent_id")
    given = {"agent_id": agent_id, "since": since, "limit": 100 if limit is None else limit, "order": "desc"}
    return _built(ListOptions, given)


def _built(model: type[ModelT], fields: Mapping[str, object]) -> ModelT:
    for name in fields:
        if name not in model.model_fields:
            raise TypeError(f"unexpected keyword argument {name!r}.{did_you_mean(name, model.model_fields)}")
    try:
        return model(**fields)
    except ValidationError as error:
        raise invalid_request_from(error) from None

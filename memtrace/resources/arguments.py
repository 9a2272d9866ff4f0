"""A request model, or the same fields as keywords: one of the two becomes the model that is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from memtrace.model_errors import refusal
from memtrace.models import AddMemoryRequest, ListOptions, TimeBound
from memtrace.naming import kind_of, near_name
from memtrace.operations import required
from memtrace.rules import is_text, refuse

__all__ = ["decision", "episode", "filters_from", "model_from", "newest"]

ModelT = TypeVar("ModelT", bound=BaseModel)


def model_from(model: type[ModelT], given: ModelT | None, fields: Mapping[str, object]) -> ModelT:
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
            f"expected {model.__name__} or its fields as keywords, not {kind_of(given)}; the fields are {fields_of}"
        )
    return given


def filters_from(model: type[ModelT], given: ModelT | None, fields: Mapping[str, object]) -> ModelT:
    """`model_from` for what reads everyone's memories: an empty id among the fields is refused, since it would not filter.

    In options that are made by hand it keeps the server's meaning, which code for 0.2.0 may rely on.
    """
    for name in ("agent_id", "session_id"):
        if fields.get(name) == "":
            raise refuse(name, "None or a text that is not empty", "an empty one would not filter")
    return model_from(model, given, fields)


def episode(agent_id: str, content: str) -> AddMemoryRequest:
    """What `remember` stores."""
    return _built(AddMemoryRequest, {"agent_id": agent_id, "content": content})


def decision(agent_id: str, content: str, reasoning: str) -> AddMemoryRequest:
    """What `decide` stores. A decision that is no text, or an empty one, is refused by that name."""
    required(content if is_text(content) else "", "decision")
    fields = {"memory_type": "decision", "event_type": "decision", "metadata": {"reasoning": reasoning}}
    return _built(AddMemoryRequest, {"agent_id": agent_id, "content": content, **fields})


def newest(agent_id: str, since: TimeBound) -> ListOptions:
    """What `recall` reads. An empty agent is refused: as a filter it would mean everyone."""
    given = {"agent_id": required(agent_id, "agent_id"), "since": since, "limit": 100, "order": "desc"}
    return _built(ListOptions, given)


def _built(model: type[ModelT], fields: Mapping[str, object]) -> ModelT:
    for name in fields:
        if name not in model.model_fields:
            raise TypeError(f"unexpected keyword argument {name!r}.{near_name(name, model.model_fields)}")
    try:
        return model(**fields)
    except ValidationError as error:
        raise refusal(error) from None

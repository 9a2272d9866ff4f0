"""A request model, or the same fields as keywords: one of the two becomes the model that is sent."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from memtrace.exceptions import InvalidRequestError

__all__ = ["model_from"]

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
        raise TypeError(f"expected {model.__name__} or its fields as keywords, not {type(given).__name__}")
    return given


def _built(model: type[ModelT], fields: Mapping[str, object]) -> ModelT:
    for name in fields:
        if name not in model.model_fields:
            near = difflib.get_close_matches(name, model.model_fields, n=1)
            raise TypeError(f"unexpected keyword argument {name!r}.{f' Did you mean {near[0]!r}?' if near else ''}")
    try:
        return model(**fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise InvalidRequestError(f"{field}: {first['msg']}", field=field, rule=first["msg"]) from None

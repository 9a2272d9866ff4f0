"""JSON texts of very many small values, which take many times their bytes once they are read."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, from_json

from memtrace.models import WIRE

ModelT = TypeVar("ModelT", bound=BaseModel)

SMALL = 64 * 1024
_BYTES_A_VALUE = 10
_BEGINNING = 4096


def is_dense(body: bytes) -> bool:
    """Whether a body is large and may have a value per ten bytes or less. Memories take thirty bytes a value.

    Marks inside strings count too, so this is no proof.
    """
    if len(body) <= SMALL:
        return False
    return body.count(b",") + body.count(b"[") + body.count(b"{") > len(body) // _BYTES_A_VALUE


def validate_dense(model: type[ModelT], body: bytes) -> ModelT:
    """Validate such JSON by its Python values: slower than `validate_json`, whose errors copy all of the input.

    Wrong rows at its beginning are found there. Raises ValidationError, and ValueError for what is not JSON.
    """
    beginning = from_json(body[:_BEGINNING], allow_partial=True)
    try:
        model.model_validate(beginning, context=WIRE)
    except ValidationError as error:
        if _is_whole(beginning, first_error(error)["loc"]):
            raise
    return model.model_validate(from_json(body), context=WIRE)


def first_error(error: ValidationError) -> ErrorDetails:
    """The first thing that is wrong, without the value."""
    return error.errors(include_url=False, include_input=False, include_context=False)[0]


def _is_whole(beginning: Any, place: tuple[int | str, ...]) -> bool:
    """Whether the value at `place` of a prefix is complete."""
    match place:
        case ():
            return True
        case (str(name), int(row), *_):
            return row < len(beginning[name]) - 1
        case _:
            return False

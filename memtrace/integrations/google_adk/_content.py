"""What the Agent Development Kit stores, as JSON and as text for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from google.adk.events import Event
from google.genai.types import Content
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from memtrace.exceptions import InvalidRequestError
from memtrace.operations._validation import invalid

if TYPE_CHECKING:
    from pydantic.main import IncEx


_ERRORS = (TypeError, ValueError, RecursionError)  # pydantic's serialization error among them


def state_as_json(state: dict[str, Any], field: str) -> dict[str, Any]:
    """A state as JSON. Raises `InvalidRequestError`, which names `field`, for what JSON cannot hold."""
    try:
        json.dumps(state, allow_nan=False)
    except _ERRORS:
        return _converted(state, field)
    return state


def _converted(state: dict[str, Any], field: str) -> dict[str, Any]:
    """What the kit has in a state besides JSON, such as dates and models."""
    try:
        plain: dict[str, Any] = to_jsonable_python(state)
        json.dumps(plain, allow_nan=False)
    except _ERRORS:
        raise _no_json(field) from None
    return plain


def model_as_json(model: BaseModel, field: str, exclude: IncEx | None = None) -> dict[str, Any]:
    """A model as JSON, without fields that are None. Raises `InvalidRequestError`, which names `field`, where that cannot be."""
    try:
        json.dumps(
            model.model_dump(exclude=exclude), allow_nan=False, default=str
        )  # of numbers that are none, JSON has null
        return model.model_dump(mode="json", exclude_none=True, exclude=exclude)
    except _ERRORS:
        raise _no_json(field) from None


def event_as_json(event: Event) -> dict[str, Any]:
    """An event as JSON. Raises `InvalidRequestError`, which names it or its change of the state, where that cannot be."""
    delta = state_as_json(event.actions.state_delta, "event.actions.state_delta")
    plain = model_as_json(event, "event", exclude={"actions": {"state_delta"}})
    return {**plain, "actions": {**plain["actions"], "state_delta": delta}}


def _no_json(field: str) -> InvalidRequestError:
    return invalid(field, "values that JSON can hold", "it could not be given back as it is")


def text_of(content: Content | None) -> str:
    """The texts and the calls of tools that a content has; empty where it has neither."""
    parts = (content.parts if content is not None else None) or []
    return "\n".join(filter(None, map(_part, parts)))


def spoken(content: Content | None) -> str:
    """The texts alone."""
    parts = (content.parts if content is not None else None) or []
    return "\n".join(part.text for part in parts if part.text)


def _part(part: Any) -> str:
    if part.text:
        return str(part.text)
    if part.function_call is not None:
        return f"{part.function_call.name}({part.function_call.args})"
    if part.function_response is not None:
        return f"{part.function_response.name}: {part.function_response.response}"
    return ""

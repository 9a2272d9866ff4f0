"""JSON Schemas of what tools return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

OPTIONAL_TEXTS: Final[dict[str, Any]] = {"type": "array", "items": {"type": "string"}}
"""A list of strings."""


def object_of(properties: Mapping[str, Any], *, required: Sequence[str]) -> dict[str, Any]:
    """An object. A newer server may add fields, which stay."""
    return {"type": "object", "properties": dict(properties), "required": list(required)}


def array_of(items: Mapping[str, Any]) -> dict[str, Any]:
    """A list of such values."""
    return {"type": "array", "items": dict(items)}

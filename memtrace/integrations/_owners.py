"""Whose memories an integration keeps: the ids of an agent and of a session."""

from __future__ import annotations

from memtrace.exceptions import InvalidRequestError
from memtrace.operations._validation import check_id, require_non_empty


def check_owner(value: str, field: str) -> None:
    """Refuse an id that the server would not take, and tell of `id_for`."""
    require_non_empty(value, field)
    try:
        check_id(value, field)
    except InvalidRequestError as error:
        error.hint = f"memtrace.integrations.identifiers.id_for({field}) creates an ID from any string"
        raise

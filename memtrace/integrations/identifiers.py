"""Convert the ids of frameworks, which may be any string, to ids that the server accepts."""

from __future__ import annotations

import hashlib

from memtrace.exceptions import InvalidRequestError
from memtrace.operations._validation import check_id, require_non_empty

__all__ = ["id_for"]

_PREFIX = "id-"


def id_for(text: str) -> str:
    """Create a valid ID from any string.

    The same string gives the same ID, everywhere and in every version. Two strings never share one.

    Args:
        text: Any string, not empty.

    Returns:
        The string itself if it is a valid ID, otherwise ``id-`` and 32 hex digits.

    Raises:
        InvalidRequestError: The string is empty.

    Example:
        >>> id_for("thread_42"), id_for("user:42")
        ('thread_42', 'id-ea3fd43be1e57d62e163dae19fc740bd')
    """
    require_non_empty(text, "text")
    try:
        check_id(text, "text")
    except InvalidRequestError:
        return _made_from(text)
    return _made_from(text) if text.startswith(_PREFIX) else text


def _made_from(text: str) -> str:
    return _PREFIX + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]

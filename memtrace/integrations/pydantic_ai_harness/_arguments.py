"""Rules for paths, numbers and metadata, which are those of the harness's own stores."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

_SEGMENT = re.compile(r"[A-Za-z0-9_.-]{1,200}")
_LONGEST_METADATA = 4096


def check_path(path: str) -> None:
    """Raises `ValueError` for a path that could name another file."""
    if not all(_SEGMENT.fullmatch(part) and part != "." and ".." not in part for part in path.split("/")):
        raise ValueError(f"invalid memory path {path!r}: it has segments of letters, digits, '_', '-' and '.'")


def check_prefix(prefix: str) -> None:
    """Raises `ValueError` for what no path begins with."""
    if prefix:
        check_path(prefix.removesuffix("/"))


def check_positive(value: int, name: str) -> None:
    """Raises `ValueError` for 0 and less."""
    if value <= 0:
        raise ValueError(f"{name} must be positive")


def checked_metadata(metadata: Mapping[str, str] | None) -> dict[str, str] | None:
    """The metadata to store. Raises `TypeError` for other values than strings, and `ValueError` for NUL and too many."""
    if not metadata:
        return None
    if not all(isinstance(text, str) for pair in metadata.items() for text in pair):
        raise TypeError("metadata must be strings by name")
    if any("\0" in text for pair in metadata.items() for text in pair):
        raise ValueError("metadata must have no NUL")
    if len(json.dumps(dict(metadata), ensure_ascii=False)) > _LONGEST_METADATA:
        raise ValueError(f"metadata must have at most {_LONGEST_METADATA} characters as JSON")
    return dict(metadata)

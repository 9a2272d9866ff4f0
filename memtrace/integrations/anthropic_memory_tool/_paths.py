"""Paths as a model writes them: below ``/memories``, and nowhere else."""

from __future__ import annotations

import re
from urllib.parse import unquote

from anthropic.lib.tools import ToolError

ROOT = "/memories"

_LONGEST = 1024
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


def normal_path(path: str) -> str:
    """The one form of a path: no empty segments, no ``.``, no slash at the end.

    Raises `ToolError` for a path outside ``/memories``, for one with ``..`` in whatever spelling, and for one that could not
    stand in a listing.

    >>> normal_path("/memories//notes/./today.md")
    '/memories/notes/today.md'
    >>> normal_path("/memories/%2e%2e/secrets")
    Traceback (most recent call last):
    anthropic.lib.tools._beta_functions.ToolError: Path /memories/%2e%2e/secrets would escape /memories directory
    """
    if _CONTROL.search(path) or not _is_text(path):
        raise ToolError("A path must have no control characters and no halves of characters")
    if len(path) > _LONGEST:
        raise ToolError(f"A path must have at most {_LONGEST} characters, this one has {len(path)}")
    segments = [segment for segment in path.split("/") if segment not in ("", ".")]
    if not path.startswith("/") or segments[:1] != [ROOT[1:]]:
        raise ToolError(f"Path must start with {ROOT}, got: {path}")
    if ".." in re.split(r"[/\\]", _decoded(path)):
        raise ToolError(f"Path {path} would escape {ROOT} directory")
    return "/" + "/".join(segments)


def _decoded(path: str) -> str:
    """The path behind any number of percent-encodings: some day a server may decode once more."""
    while (decoded := unquote(path)) != path:
        path = decoded
    return path


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def ancestors(path: str) -> list[str]:
    """The directories above a path, the root first.

    >>> ancestors("/memories/notes/today.md")
    ['/memories', '/memories/notes']
    """
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(2, len(parts))]


def is_below(path: str, directory: str) -> bool:
    """Whether a path is this directory or something in it."""
    return path == directory or path.startswith(f"{directory}/")

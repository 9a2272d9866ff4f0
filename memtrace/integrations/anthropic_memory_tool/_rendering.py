"""What a model is shown of the files: listings, numbered lines, sizes."""

from __future__ import annotations

from collections.abc import Iterable

from memtrace.integrations.anthropic_memory_tool._paths import is_below
from memtrace.integrations.anthropic_memory_tool._tree import Tree

_NUMBER_WIDTH = 6
_DEPTH = 2
_UNIT = 1024
_UNITS = "BKMG"


def numbered(lines: Iterable[str], first: int) -> str:
    """Lines with their numbers, which begin at `first`."""
    return "\n".join(f"{number:{_NUMBER_WIDTH}}\t{line}" for number, line in enumerate(lines, first))


def listing(tree: Tree, directory: str) -> str:
    """A directory and what is in it, two levels deep and without hidden names, each with its size."""
    rows = [f"{_size_of(tree, directory)}\t{directory}"]
    for path in sorted(_within(tree, directory), key=lambda path: path.split("/")):
        end = "/" if path in tree.directories else ""
        rows.append(f"{_size_of(tree, path)}\t{path}{end}")
    return "\n".join(rows)


def _within(tree: Tree, directory: str) -> Iterable[str]:
    for path in (*tree.files, *tree.directories):
        if path != directory and is_below(path, directory):
            names = path[len(directory) + 1 :].split("/")
            if len(names) <= _DEPTH and not any(name.startswith(".") for name in names):
                yield path


def _size_of(tree: Tree, path: str) -> str:
    """The size of a file, or of all files below a directory, hidden ones too."""
    return size_text(sum(len(file.text.encode()) for name, file in tree.files.items() if is_below(name, path)))


def size_text(size: int) -> str:
    """A number of bytes for people.

    >>> size_text(0), size_text(1023), size_text(1024), size_text(1536)
    ('0B', '1023B', '1K', '1.5K')
    """
    value, unit = float(size), 0
    while value >= _UNIT and unit < len(_UNITS) - 1:
        value, unit = value / _UNIT, unit + 1
    return f"{value:.0f}{_UNITS[unit]}" if value.is_integer() else f"{value:.1f}{_UNITS[unit]}"

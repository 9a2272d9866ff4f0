"""The commands of the memory tool, by the texts that its documentation gives: what each answers, and what it changes.

No I/O happens here: a command looks at a tree. What it refuses it raises as `ToolError`, which the model reads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from anthropic.lib.tools import ToolError
from anthropic.types import beta

from memtrace._support.characters import has_half_character
from memtrace._support.numbers import is_int
from memtrace.integrations.anthropic_memory_tool._paths import ROOT, is_below, normal_path
from memtrace.integrations.anthropic_memory_tool._rendering import listing, numbered
from memtrace.integrations.anthropic_memory_tool._tree import Change, Deleted, Renamed, Tree, Written

_NEIGHBOURS = 2  # lines above and below a replacement that its response shows


@dataclass(frozen=True, slots=True)
class Result:
    """The response to the model, and the change to write first, if any."""

    text: str = field(repr=False)
    change: Change | None = None


Command = Callable[[Tree], Result]
"""One command with its arguments, checked as far as that can be done without the files; what it comes to for these. Raises
`ToolError`."""


class View:
    """Shows a directory, or a file with line numbers."""

    def __init__(self, command: beta.BetaMemoryTool20250818ViewCommand) -> None:
        self._path = normal_path(_text(command, "path"))
        self._range: object = command.view_range

    def __call__(self, tree: Tree) -> Result:
        """The content to show. Raises `ToolError`."""
        if self._path in tree.files:
            lines = tree.files[self._path].text.split("\n")
            first, last = self._chosen(len(lines))
            shown = numbered(lines[first - 1 : last], first)
            return Result(f"Here's the content of {self._path} with line numbers:\n{shown}")
        _refuse_absent(tree, self._path)
        heading = f"Here're the files and directories up to 2 levels deep in {self._path}, excluding hidden items:"
        return Result(f"{heading}\n{listing(tree, self._path)}")

    def _chosen(self, count: int) -> tuple[int, int]:
        """The first and the last line to be shown, from 1."""
        if self._range is None:
            return 1, count
        if not isinstance(self._range, list) or len(self._range) != 2 or not all(map(is_int, self._range)):
            raise ToolError("Invalid `view_range` parameter. It should be two line numbers, [first, last]")
        first, last = max(self._range[0], 1), self._range[1]
        last = count if last == -1 else last
        if not first <= last or first > count:
            raise ToolError(
                f"Invalid `view_range` parameter: {self._range}. The file has {count} lines; "
                "the last line may be -1 for the end, and is not before the first"
            )
        return first, last


class Create:
    """Makes a new file."""

    def __init__(self, command: beta.BetaMemoryTool20250818CreateCommand, max_file_size: int) -> None:
        self._path = normal_path(_text(command, "path"))
        self._file_text = _text(command, "file_text")
        _check_size(self._path, self._file_text, max_file_size)

    def __call__(self, tree: Tree) -> Result:
        """The new file. Raises `ToolError`."""
        if tree.has(self._path):
            raise ToolError(f"File {self._path} already exists")
        _refuse_without_room(tree, self._path)
        return Result(f"File created successfully at: {self._path}", Written(self._path, self._file_text))


class StrReplace:
    """Replaces a string that occurs in a file exactly once."""

    def __init__(self, command: beta.BetaMemoryTool20250818StrReplaceCommand, max_file_size: int) -> None:
        self._path = normal_path(_text(command, "path"))
        self._old, self._new = _text(command, "old_str"), _text(command, "new_str")
        if has_half_character(self._old):
            raise ToolError("No replacement was performed, old_str must have no halves of characters")
        if not self._old:
            raise ToolError("No replacement was performed, old_str is empty. Use insert to add text")
        self._max_file_size = max_file_size

    def __call__(self, tree: Tree) -> Result:
        """The file with the replacement. Raises `ToolError`."""
        text = _text_of_file(tree, self._path)
        places = self._places(text)
        if not places:
            raise ToolError(
                f"No replacement was performed, old_str `{self._old}` did not appear verbatim in {self._path}."
            )
        if len(places) > 1:
            lines = ", ".join(str(text.count("\n", 0, place) + 1) for place in places)
            raise ToolError(
                f"No replacement was performed. Multiple occurrences of old_str `{self._old}` in lines: {lines}. "
                "Please ensure it is unique"
            )
        place = places[0]
        changed = text[:place] + self._new + text[place + len(self._old) :]
        _check_size(self._path, changed, self._max_file_size)
        line = text.count("\n", 0, place)
        first = max(line - _NEIGHBOURS, 0)
        snippet = numbered(changed.split("\n")[first : line + _NEIGHBOURS + 1], first + 1)
        answer = "The memory file has been edited. Here is the snippet showing the change (with line numbers):"
        return Result(f"{answer}\n{snippet}", Written(self._path, changed))

    def _places(self, text: str) -> list[int]:
        """Where the old text begins, also where two of them overlap: which one is meant is then not known either."""
        places = []
        place = text.find(self._old)
        while place != -1:
            places.append(place)
            place = text.find(self._old, place + 1)
        return places


class Insert:
    """Inserts lines behind a line; line 0 is the beginning."""

    def __init__(self, command: beta.BetaMemoryTool20250818InsertCommand, max_file_size: int) -> None:
        self._path = normal_path(_text(command, "path"))
        self._line, self._text = _line(command), _text(command, "insert_text")
        self._max_file_size = max_file_size

    def __call__(self, tree: Tree) -> Result:
        """The file with the new lines. Raises `ToolError`."""
        lines = _text_of_file(tree, self._path).split("\n")
        if not lines[-1]:
            lines.pop()  # what a newline at the end leaves
        if not 0 <= self._line <= len(lines):
            raise ToolError(
                f"Invalid `insert_line` parameter: {self._line}. It should be within the range [0, {len(lines)}]."
            )
        lines.insert(self._line, self._text.rstrip("\n"))
        changed = "\n".join(lines).removesuffix("\n") + "\n"
        _check_size(self._path, changed, self._max_file_size)
        return Result(f"The file {self._path} has been edited.", Written(self._path, changed))


class Delete:
    """Deletes a file, or a directory with all that is in it."""

    def __init__(self, command: beta.BetaMemoryTool20250818DeleteCommand) -> None:
        self._path = normal_path(_text(command, "path"))
        if self._path == ROOT:
            raise ToolError(f"Cannot delete the {ROOT} directory itself")

    def __call__(self, tree: Tree) -> Result:
        """The tree without it. Raises `ToolError`."""
        if not tree.has(self._path):
            raise ToolError(f"The path {self._path} does not exist")
        return Result(f"Successfully deleted {self._path}", Deleted(self._path))


class Rename:
    """Renames or moves a file or a directory; never over something else."""

    def __init__(self, command: beta.BetaMemoryTool20250818RenameCommand) -> None:
        self._path, self._to = normal_path(_text(command, "old_path")), normal_path(_text(command, "new_path"))
        if self._path == ROOT:
            raise ToolError(f"Cannot rename the {ROOT} directory itself")

    def __call__(self, tree: Tree) -> Result:
        """The tree with the new path. Raises `ToolError`."""
        if tree.has(self._to):
            raise ToolError(f"The destination {self._to} already exists")
        if not tree.has(self._path):
            raise ToolError(f"The path {self._path} does not exist")
        if is_below(self._to, self._path):
            raise ToolError(f"Cannot move {self._path} into itself")
        _refuse_without_room(tree, self._to)
        return Result(f"Successfully renamed {self._path} to {self._to}", Renamed(self._path, self._to))


class Clear:
    """Deletes everything below the root."""

    def __call__(self, tree: Tree) -> Result:
        """The empty tree. Raises `ToolError`."""
        is_empty = not tree.files and tree.directories == {ROOT}
        return Result("All memory cleared", None if is_empty else Deleted(ROOT))


def _text(command: object, field: str) -> str:
    """A field of a command. What a model writes is not checked by anybody before."""
    value = getattr(command, field, None)
    if not isinstance(value, str):
        raise ToolError(f"Invalid `{field}` parameter. It should be a string")
    return value


def _line(command: object) -> int:
    value = getattr(command, "insert_line", None)
    if not is_int(value):
        raise ToolError("Invalid `insert_line` parameter. It should be a line number")
    return value


def _text_of_file(tree: Tree, path: str) -> str:
    _refuse_absent(tree, path)
    if path in tree.directories:
        raise ToolError(f"The path {path} is not a file.")
    return tree.files[path].text


def _refuse_absent(tree: Tree, path: str) -> None:
    if not tree.has(path):
        raise ToolError(f"The path {path} does not exist. Please provide a valid path.")


def _refuse_without_room(tree: Tree, path: str) -> None:
    if not tree.has_room_for(path):
        raise ToolError(f"Cannot make {path}: a directory above it is a file")


def _check_size(path: str, text: str, max_file_size: int) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ToolError(f"The text of {path} must have no halves of characters") from None
    if size > max_file_size:
        raise ToolError(
            f"File {path} would have {size} bytes; a memory file has at most {max_file_size}. Use several files"
        )

"""The files and directories that a series of changes leads to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from memtrace.integrations.anthropic_memory_tool._paths import ROOT, ancestors, is_below


@dataclass(frozen=True, slots=True)
class Written:
    """A file has this text from now on."""

    path: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Deleted:
    """A file, or a directory with all that is in it, is gone. The root itself stays, empty."""

    path: str


@dataclass(frozen=True, slots=True)
class Renamed:
    """A file, or a directory with all that is in it, has another path."""

    path: str
    to: str


Change = Written | Deleted | Renamed
"""What a command does to the tree."""


@dataclass(frozen=True, slots=True)
class File:
    """A file's text, and the change that wrote it."""

    text: str = field(repr=False)
    version: str


@dataclass(slots=True)
class Tree:
    """Files by their paths, and the directories that were made for them. A directory outlives its files."""

    files: dict[str, File] = field(default_factory=dict)
    directories: set[str] = field(default_factory=lambda: {ROOT})

    def copy(self) -> Tree:
        """One that changes by itself."""
        return Tree(dict(self.files), set(self.directories))

    def has(self, path: str) -> bool:
        """Whether a file or a directory has this path."""
        return path in self.files or path in self.directories

    def state_of(self, path: str) -> str:
        """A digest of the state of a path and all paths below it; the empty string if nothing is there."""
        if not self.has(path):
            return ""
        digest = hashlib.sha256()
        for name in sorted(name for name in self.files if is_below(name, path)):
            digest.update(f"{name}\n{self.files[name].version}\n".encode())
        return digest.hexdigest()[:32]

    def apply(self, change: Change, version: str) -> bool:
        """Make a change; False, and nothing changed, where there is no room for it."""
        if not self._takes(change):
            return False
        if isinstance(change, Written):
            self.files[change.path] = File(change.text, version)
            self.directories.update(ancestors(change.path))
        elif isinstance(change, Deleted):
            self._remove(change.path)
        else:
            self._move(change.path, change.to)
        return True

    def _takes(self, change: Change) -> bool:
        if isinstance(change, Written):
            return change.path not in self.directories and self.has_room_for(change.path)
        if isinstance(change, Deleted):
            return self.has(change.path)
        free = not self.has(change.to) and self.has_room_for(change.to)
        return change.path != ROOT and self.has(change.path) and free

    def has_room_for(self, path: str) -> bool:
        """Whether no file takes the place of a directory above this path."""
        return not any(directory in self.files for directory in ancestors(path))

    def _remove(self, path: str) -> None:
        self.files = {name: file for name, file in self.files.items() if not is_below(name, path)}
        self.directories = {name for name in self.directories if name == ROOT or not is_below(name, path)}

    def _move(self, path: str, to: str) -> None:
        def moved(name: str) -> str:
            return to + name[len(path) :] if is_below(name, path) else name

        self.files = {moved(name): file for name, file in self.files.items()}
        self.directories = {moved(name) for name in self.directories}
        self.directories.update(ancestors(to))

"""Every text of the SDK that people may read: errors, hints, log records, warnings, the console's help and output."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import memtrace
import memtrace_transports

PACKAGES = tuple(Path(package.__file__).parent for package in (memtrace, memtrace_transports))
SENTENCE = 2
"""A string with so many words may be one."""


@dataclass(frozen=True)
class Message:
    """A string of the source, a value in it written CODE."""

    place: str
    text: str


def messages() -> Iterator[Message]:
    """The strings of several words, without docstrings."""
    for package in PACKAGES:
        for path in sorted(package.rglob("*.py")):
            for line, text in strings(path.read_text(encoding="utf-8")):
                if len(text.split()) >= SENTENCE:
                    yield Message(f"{path.relative_to(package.parent).as_posix()}:{line}", text)


def strings(source: str) -> Iterator[tuple[int, str]]:
    """The strings of a module, with their lines; adjacent literals are one."""
    tree = ast.parse(source)
    skipped = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in ast.walk(node) if isinstance(part, ast.Constant)}
            yield node.lineno, "".join(part.value if isinstance(part, ast.Constant) else "CODE" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node.lineno, node.value


def prose(text: str) -> str:
    """A message without code."""
    return re.sub(r"`[^`]*`", "CODE", text)

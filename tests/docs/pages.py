"""The project's pages: where they are, and how they are read."""

from __future__ import annotations

import doctest
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from doctest import ELLIPSIS
from pathlib import Path
from types import SimpleNamespace

from sybil import Document, Region, Sybil
from sybil.evaluators.doctest import DocTestEvaluator
from sybil.parsers.abstract import DocTestStringParser
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser

# doctest of Python 3.10 compares the last of these texts alone, which may be a note; later ones compare all of them.
if sys.version_info < (3, 11):
    doctest.traceback = SimpleNamespace(**vars(traceback))
    doctest.traceback.format_exception_only = lambda *error: ["".join(traceback.format_exception_only(*error))]

ROOT = Path(__file__).parents[2]
MANUAL = sorted((ROOT / "docs").rglob("*.md"))
REFERENCE = [ROOT / "docs" / "reference.md", *sorted((ROOT / "docs" / "reference").glob("*.md"))]
ERRORS = sorted((ROOT / "docs" / "errors").glob("*.md"))
WITH_EXAMPLES = [ROOT / "README.md", *MANUAL]
ALL = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *MANUAL]

ELSEWHERE = ("memtrace.integrations.crewai",)
"""Packages whose framework is not installed here: a nox session of their own imports and tests them."""

_FENCE = re.compile(
    r"^(?P<fence>`{3,}|:{3,})(?P<language>[^\n]*)\n(?P<code>.*?)^(?P=fence)[ \t]*$", re.MULTILINE | re.DOTALL
)


def name_of(page: Path) -> str:
    """The page's path in the project, for test ids."""
    return page.relative_to(ROOT).as_posix()


def reference() -> str:
    """The text of all pages of the reference."""
    return "\n".join(page.read_text(encoding="utf-8") for page in REFERENCE)


def blocks(text: str, language: str) -> list[str]:
    """What stands in blocks that are marked with this language."""
    return [match["code"] for match in _FENCE.finditer(text) if match["language"].strip() == language]


def python_blocks(text: str) -> list[str]:
    """What stands in blocks marked ``python``."""
    return blocks(text, "python")


def consoles(text: str) -> list[str]:
    """What stands in blocks marked ``pycon``."""
    return blocks(text, "pycon")


def tables_of_contents(text: str) -> list[list[str]]:
    """The entries of each toctree of a page, without its options."""
    tables = [match["code"] for match in _FENCE.finditer(text) if match["language"].strip() == "{toctree}"]
    return [[line for line in table.splitlines() if line and not line.startswith(":")] for table in tables]


def section(text: str, heading: str) -> str:
    """The section of a page under this second-level heading."""
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def without_blocks(text: str) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", text)


def without_code(text: str) -> str:
    """A page without its fenced blocks and without inline code."""
    return re.sub(r"`[^`\n]*`", "", without_blocks(text))


def headings(text: str) -> Iterator[str]:
    """The titles of a page, as they are written."""
    for line in _FENCE.sub("", text).splitlines():
        match = re.match(r"#{1,6} +(.+?) *$", line)
        if match:
            yield match[1]


def _consoles(document: Document) -> Iterable[Region]:
    """Each ``>>>`` of a block marked ``pycon``."""
    for block in CodeBlockParser("pycon", _nothing)(document):
        for example in DocTestStringParser(DocTestEvaluator(ELLIPSIS))(block.parsed, document.path):
            example.adjust(block, block.parsed)
            yield example


def _nothing(_: object) -> None:
    raise AssertionError("a block is taken apart before it is run")


EXAMPLES = Sybil(parsers=[PythonCodeBlockParser(doctest_optionflags=ELLIPSIS), _consoles])

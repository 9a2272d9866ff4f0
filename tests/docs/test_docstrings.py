"""The docstrings of the reference: a summary, each argument, what is returned and raised, in the words of the field."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import mcp.server.lowlevel  # noqa: F401  # first here: its models cannot be built once others have been imported
import pytest

import memtrace
from tests.docs import docstrings, wording
from tests.docs.docstrings import Entry

REFERENCE = docstrings.entries()
ROOT = Path(memtrace.__file__).parents[1]


def test_the_reference_describes_functions_methods_properties_and_classes():
    names = {entry.name for entry in REFERENCE}
    assert len(names) == len(REFERENCE) > 500
    assert names >= {
        "memtrace.context.build_context",
        "memtrace.Memtrace",
        "memtrace.Memtrace.remember",
        "memtrace.Memory.occurred_at",  # a property
        "memtrace.middleware.Middleware.__call__",  # asked for by the page
        "memtrace.plugins.RankerSpec.missing",  # of a private base class
    }
    assert "memtrace.ranking.TextIndex.rows" not in names  # left out by the page


def test_every_docstring_has_a_summary_args_returns_and_raises():
    lacking = {entry.name: docstrings.lacks(entry) for entry in REFERENCE}
    assert {name: lacks for name, lacks in lacking.items() if lacks} == {}


def test_every_docstring_is_in_the_words_of_the_field():
    found = {entry.name: wording.findings(docstrings.prose(entry.doc)) for entry in REFERENCE}
    assert {name: places for name, places in found.items() if places} == {}


def test_what_is_said_of_attributes_and_constants_is_in_the_words_of_the_field():
    said = docstrings.attribute_docs()
    assert len(said) > 200
    found = {place: wording.findings(docstrings.prose(text)) for place, text in said.items()}
    assert {place: places for place, places in found.items() if places} == {}


def test_private_docstrings_and_comments_are_in_the_words_of_the_field():
    sources = [path for package in ("memtrace", "memtrace_transports") for path in (ROOT / package).rglob("*.py")]
    checked = {path: path.relative_to(ROOT).as_posix() for path in sources}
    assert len(checked) > 300
    found = {
        f"{name}:{line}": wording.findings(docstrings.prose(text), but=wording.FOR_USERS)
        for path, name in checked.items()
        for line, text in docstrings.sentences(path.read_text(encoding="utf-8"))
    }
    assert len(found) > 3000
    assert {place: places for place, places in found.items() if places} == {}


# ---- the checker ----------------------------------------------------------------------------------------------------


def bare(name, *, times: int = 1, **unknown: NoReturn) -> str:
    raise ValueError(name)


def said_in_prose(name) -> None:
    """Do something.

    Raises `ValueError` sometimes.
    """


def said_twice(name) -> None:
    """Do something
    to it.

    Args:
        name: Whose.
        other: Nobody's.
    """


def halves(text) -> str:
    """Cut in two.

    Args:
        text: What to cut.

    Returns:
        One half: the first.
    """
    return text[: len(text) // 2]


def numbers(count):
    """Count up.

    Args:
        count: How far.

    Yields:
        The numbers.
    """
    yield from range(count)


def complete(name, *parts, **fields: object) -> str:
    """Join names.

    Args:
        name: The first.
        *parts: The others.
        **fields: More,
            on two lines.

    Returns:
        All, joined.

    Raises:
        ValueError: There is none.
    """
    if not name:
        raise ValueError(name)
    return "".join([name, *parts, *map(str, fields)])


def passes_on(name) -> None:
    """Do something.

    Args:
        name: Whose.
    """
    try:
        complete(name)
    except ValueError:
        if name:
            raise


class Sends:
    """Something that sends."""

    def __init__(self, address: str) -> None:
        self._dispatcher = address

    def send(self) -> None:
        """Send it."""
        self._dispatcher.send(1)


@pytest.mark.parametrize(
    ("value", "lacks"),
    [
        (bare, ["a docstring"]),
        (said_in_prose, ["its “Raises …” in a section", "Args: name"]),
        (said_twice, ["a first line that is a sentence of its own", "no such argument: other"]),
        (halves, ["Returns without a colon, before which Sphinx reads a type"]),
        (Sends.send, ["Raises"]),
        (Sends, ["Args: address"]),
        (numbers, []),
        (complete, []),
        (passes_on, []),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_checker_says_what_a_docstring_lacks(value, lacks, monkeypatch):
    monkeypatch.setattr(docstrings, "OWN", ("tests.",))
    assert docstrings.lacks(Entry("its.name", value)) == lacks


def test_the_checker_sees_what_a_function_takes_gives_and_raises():
    assert docstrings.parameters(bare) == ["name", "times"]
    assert docstrings.parameters(complete) == ["name", "parts", "fields"]
    assert docstrings.returns(bare)
    assert not docstrings.returns(passes_on)
    assert docstrings.raises(bare)
    assert not docstrings.raises(passes_on)


def test_the_prose_of_a_docstring_has_no_examples_and_no_code():
    doc = "One `thing`\nfor ``two``.\n\nArgs:\n    name: A\n        long one.\n\nExample:\n    >>> the(answer)\n    'an answer'\n"
    assert " ".join(docstrings.prose(doc).split()) == "One CODE for CODE. Args: name: A long one. Example:"


def test_a_class_that_only_the_sdk_creates_needs_no_args(monkeypatch):
    monkeypatch.setattr(docstrings, "OWN", ("tests.",))
    assert docstrings.lacks(Entry("its.name", Sends, is_called=False)) == []


def test_what_is_said_of_attributes_and_constants_is_found():
    source = 'A = 1\n"""The first\nletter."""\nclass B:\n    #: One\n    #: or two.\n    c: int  # no\n'
    assert list(docstrings.comments(source)) == [(5, "One or two.")]
    assert list(docstrings.strings_below_assignments(source)) == [(2, "The first\nletter.")]


def test_all_docstrings_and_comments_of_a_module_are_found():
    source = (
        '"""The module."""\nA = "# no comment"  # One\n# and another\n# of two lines.\n\n#: A letter.\nB = 1\n"""Its string."""\n'
        'def c():  # noqa: D\n    """A function."""\n    # type: ignore\n    "no docstring"\n'
        'class D:\n    """A class."""\n    async def e():\n        """A method."""\n'
    )
    assert sorted(docstrings.sentences(source)) == [
        (1, "The module."),
        (2, "One"),
        (3, "and another of two lines."),
        (6, "A letter."),
        (8, "Its string."),
        (10, "A function."),
        (14, "A class."),
        (16, "A method."),
    ]


def test_a_literal_block_at_the_end_of_a_docstring_is_no_prose():
    assert docstrings.prose("One.\n\n::\n\n    the answer; a; b").strip() == "One."

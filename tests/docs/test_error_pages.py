"""Each code that an error of the SDK can have has its page, and errors name it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import memtrace
import memtrace_transports
from memtrace.exceptions import CODES, PAGES, MemtraceError
from tests.docs import pages

CLASSES = [
    kind
    for name in memtrace.__all__
    if isinstance(kind := getattr(memtrace, name), type) and issubclass(kind, MemtraceError)
]


def codes_in_the_source():
    """The slugs of the classes, and those that are given to an error where it is made."""
    found = {kind._code for kind in CLASSES}
    for package in (memtrace, memtrace_transports):
        for module in Path(package.__file__).parent.rglob("*.py"):
            for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "").endswith("Error"):
                    given = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
                    found |= {value.value for value in given if isinstance(value, ast.Constant) and value.value}
    return found


def test_every_code_in_the_source_is_listed():
    assert codes_in_the_source() == CODES


def test_every_code_has_a_page_and_every_page_a_code():
    assert {page.stem for page in pages.ERRORS} == CODES


@pytest.mark.parametrize("page", pages.ERRORS, ids=pages.name_of)
def test_a_page_has_a_title_that_a_search_shows_well_a_cause_a_fix_and_an_example_whose_error_names_it(page):
    text = page.read_text(encoding="utf-8")
    title, *parts = pages.headings(text)
    assert re.fullmatch(rf"{page.stem}: [a-z][^.:]{{9,}}", title)
    assert parts == ["Cause", "Fix", "Example"]
    for part in ("Cause", "Fix"):
        assert pages.section(text, part).strip().startswith("- ")
    (example,) = pages.consoles(text)
    shown = [line for line in example.splitlines() if not line.startswith((">>>", "..."))]
    assert any(
        re.search(rf"\bdocs: https://\S+/docs/errors/{page.stem}\.md\)$|'errors/{page.stem}'", line) for line in shown
    )


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_the_page_of_a_class_names_it(kind):
    page = pages.ROOT / "docs" / "errors" / f"{kind._code}.md"
    assert f"`{kind.__name__}`" in page.read_text(encoding="utf-8")
    assert kind("what happened").page == f"{PAGES}/{kind._code}"


def test_the_page_about_errors_leads_to_each():
    text = (pages.ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\[`(\w+)`\]\(errors/\1\.md\)", text)) == CODES


def test_a_code_of_somebody_elses_leads_to_the_page_of_its_class():
    assert memtrace.TransportError("x", code="pigeon_lost").page == "errors/transport"

    class OfMine(memtrace.NotFoundError):
        pass

    assert OfMine("x", code="mine").page == "errors/not_found"


def test_errors_that_0_2_0_had_keep_their_bare_text_where_they_are_made_by_hand():
    for kind in (MemtraceError, memtrace.AuthenticationError, memtrace.NotFoundError, memtrace.ConflictError):
        assert str(kind("what happened", 418)) == "what happened"


def test_pages_are_named_below_the_address_of_the_documentation_where_it_has_one():
    project = (pages.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    address = re.search(r'^Documentation = "(?P<url>[^"]+)"', project, re.MULTILINE)
    assert (f"{address['url'].rstrip('/')}/errors" if address else "errors") == PAGES

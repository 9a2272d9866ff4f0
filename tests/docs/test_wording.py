"""The words of the documentation: a term that people search for, a verb that names the action, a subject that acts.

Few rules, for prose alone: code is left out.
"""

from __future__ import annotations

import re

import pytest

from tests.docs import pages
from tests.docs.wording import RULES, findings

CONTRIBUTORS = {
    "CONTRIBUTING.md",
    "docs/architecture.md",
    "docs/performance-internals.md",
    "docs/delivery-table.md",
    "docs/changelog.md",
}


def prose(text):
    """A page's headings, and its paragraphs each on one line, without code, comments and the targets of links."""
    text = re.sub(r"`[^`\n]*`", "CODE", pages.without_blocks(text))
    text = re.sub(r"\]\([^)]*\)", "]", text).replace("*", "").replace("[", "").replace("]", "")
    return re.sub(r"(?<=[^\n|])\n(?=[^\n#|>-])", " ", text)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_finds_its_wrong_sentence_and_leaves_the_right_one(name):
    rule = RULES[name]
    assert list(rule.found_in(rule.wrong))
    assert not list(rule.found_in(rule.right))
    assert not [found for other in RULES.values() for found in other.found_in(rule.right)]


def test_prose_has_paragraphs_on_one_line_and_no_code():
    page = "# Title\n\nOne `the answer`\nline with [a link](the-answer.md).\n\n```python\nthe answer\n```\n\n- item\n- next\n"
    assert prose(page).split("\n") == ["# Title", "", "One CODE line with a link.", "", "", "", "- item", "- next", ""]


@pytest.mark.parametrize("page", pages.ALL, ids=pages.name_of)
def test_a_page_says_it_in_the_words_of_the_field(page):
    contributors = {"maintainers' facts"} if pages.name_of(page) in CONTRIBUTORS else set()
    found = findings(prose(page.read_text(encoding="utf-8")), but=frozenset(contributors))
    assert found == []

"""The pages that list a client's settings name all of them."""

import inspect
import re

import pytest

from memtrace import Memtrace
from tests.docs import pages


def parameters(function):
    """Its parameters, without self."""
    return set(inspect.signature(function).parameters) - {"self"}


def named_in_the_first_column(table):
    """What stands in back quotes in the first cell of each line, as far as it is a parameter."""
    cells = re.findall(r"^\| ([^|]*)\|", table, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)} & parameters(Memtrace.__init__)


@pytest.mark.parametrize("page", ["README.md", "docs/configuration.md"])
def test_the_table_of_the_configuration_has_every_argument(page):
    text = (pages.ROOT / page).read_text(encoding="utf-8")
    table = pages.section(text, "Configuration") if page == "README.md" else text.partition("\n## ")[0]
    assert named_in_the_first_column(table) == parameters(Memtrace.__init__)


def test_the_page_says_all_that_a_copy_takes():
    text = (pages.ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    sentence = re.search(r"It accepts ([^.]*)\.", pages.section(text, "Other settings on the same connections"))
    assert set(re.findall(r"`(\w+)`", sentence[1])) == parameters(Memtrace.with_options)
